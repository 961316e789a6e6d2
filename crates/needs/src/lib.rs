//! What some tests need of a machine and a machine need not have. A build script asks [`tell`], which makes a cfg of each
//! thing that is there; a test that needs one is ignored without it, and its name says so in the list of all tests:
//! `#[cfg_attr(not(has_python), ignore = "needs python3")]`. The search is made when the tests are compiled. The variable
//! `SWEEP_REQUIRE_PYTHON` (and so on) makes such tests run in any case: they fail where the thing is missing.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A thing that tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `python3`.
    Python,
    /// A `python3` that has numpy.
    Numpy,
    /// The browser `chromium`.
    Chromium,
    /// PostgreSQL's `initdb` and what belongs to it.
    Postgres,
    /// A mount namespace in which a small file system can be made.
    Mounts,
}

impl Need {
    /// As in the cfg `has_python`.
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Numpy => "numpy",
            Self::Chromium => "chromium",
            Self::Postgres => "postgres",
            Self::Mounts => "mounts",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Python => succeeds("python3", &["--version"]),
            Self::Numpy => numpy().is_some(),
            Self::Chromium => succeeds("chromium", &["--version"]),
            Self::Postgres => postgres().is_some(),
            Self::Mounts => {
                succeeds("unshare", &["--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/tmp"])
            }
        }
    }
}

/// Says to cargo, from a build script, which of these things are there.
pub fn tell(needs: &[Need]) {
    println!("cargo::rerun-if-changed=build.rs");
    for need in needs {
        let (name, variable) = (need.name(), format!("SWEEP_REQUIRE_{}", need.name().to_uppercase()));
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rustc-check-cfg=cfg(has_{name})");
        if std::env::var_os(variable).is_some() || need.is_there() {
            println!("cargo::rustc-cfg=has_{name}");
        }
    }
}

/// The folder of PostgreSQL's programs: the newest that Debian has installed, or that of the search path.
pub fn postgres() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort();
    let debian = found.into_iter().rev().map(|(_, bin)| bin);
    debian.chain(search_path()).find(|bin| bin.join("initdb").is_file())
}

/// The folder of a `python3` that has numpy: one that was made for the tests, or the machine's own.
pub fn numpy() -> Option<PathBuf> {
    let made = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python/bin"));
    let has_numpy = |folder: &PathBuf| {
        folder.join("python3").to_str().is_some_and(|python| succeeds(python, &["-c", "import numpy"]))
    };
    std::iter::once(made).chain(search_path()).find(has_numpy)
}

fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
