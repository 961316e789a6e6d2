//! Optional programs and features of the machine that some tests need. A build script calls [`emit_cfgs`], which sets a cfg for each
//! one that is available. A test that needs one is ignored without it, with a reason in the list of tests:
//! `#[cfg_attr(not(has_python), ignore = "needs python3")]`. The search happens when the tests are compiled. Variables such as
//! `SWEEP_REQUIRE_PYTHON` run these tests in any case, so that they fail if the program is missing.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Something that tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `python3`.
    Python,
    /// A `python3` that has numpy.
    Numpy,
    /// The browser `chromium`.
    Chromium,
    /// The accessibility checker axe-core, unpacked in the folder for builds.
    Axe,
    /// PostgreSQL's `initdb` and the programs next to it.
    Postgres,
    /// A mount namespace in which a tmpfs can be mounted.
    Mounts,
}

impl Need {
    /// The name, as in the cfg `has_python`.
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Numpy => "numpy",
            Self::Chromium => "chromium",
            Self::Axe => "axe",
            Self::Postgres => "postgres",
            Self::Mounts => "mounts",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Python => succeeds("python3", &["--version"]),
            Self::Numpy => find_numpy().is_some(),
            Self::Chromium => succeeds("chromium", &["--version"]),
            Self::Axe => axe().is_file(),
            Self::Postgres => find_postgres().is_some(),
            Self::Mounts => {
                succeeds("unshare", &["--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/tmp"])
            }
        }
    }
}

/// Tells cargo, from a build script, which of these are available.
pub fn emit_cfgs(needs: &[Need]) {
    println!("cargo::rerun-if-changed=build.rs");
    for need in needs {
        let (name, variable) = (need.name(), format!("SWEEP_REQUIRE_{}", need.name().to_uppercase()));
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rustc-check-cfg=cfg(has_{name})");
        if std::env::var_os(variable).is_some() || need.is_available() {
            println!("cargo::rustc-cfg=has_{name}");
        }
    }
}

/// The folder of PostgreSQL's programs: the newest version that Debian installed, or the one on the `PATH`.
pub fn find_postgres() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort();
    let debian = found.into_iter().rev().map(|(_, bin)| bin);
    debian.chain(search_path()).find(|bin| bin.join("initdb").is_file())
}

/// The script of axe-core: `npm pack axe-core` unpacked in target/axe.
pub fn axe() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/package/axe.min.js"))
}

/// The folder of a `python3` with numpy: the environment for the tests, or one on the `PATH`.
pub fn find_numpy() -> Option<PathBuf> {
    let test_environment = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python/bin"));
    let has_numpy = |folder: &PathBuf| {
        folder.join("python3").to_str().is_some_and(|python| succeeds(python, &["-c", "import numpy"]))
    };
    std::iter::once(test_environment).chain(search_path()).find(has_numpy)
}

fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
