//! The allowed imports between crates (docs/explanation/architecture.md).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::support::root;

/// The crates of the workspace, each with the crates that it may import.
const ALLOWED: [(&str, &[&str]); 22] = [
    ("fault", &[]),
    ("needs", &[]),
    ("pgtest", &["needs"]),
    ("schedule", &[]),
    ("interop", &["schedule"]),
    ("stats", &[]),
    ("predict", &["stats"]),
    ("search", &["stats"]),
    ("spec", &["interop", "schedule", "search"]),
    ("kernels", &[]),
    ("trainer", &["fault", "kernels", "schedule", "spec"]),
    ("store", &["fault", "spec"]),
    ("program", &["fault", "schedule", "spec", "trainer"]),
    ("orchestrator", &["schedule", "spec", "trainer", "program", "store"]),
    ("verdict", &["stats", "schedule", "spec"]),
    ("report", &["stats", "schedule", "verdict"]),
    (
        "sweep",
        &[
            "fault",
            "schedule",
            "interop",
            "spec",
            "trainer",
            "program",
            "store",
            "orchestrator",
            "predict",
            "search",
            "verdict",
        ],
    ),
    ("dashboard", &["schedule", "spec", "store", "verdict", "report", "sweep"]),
    (
        "cli",
        &[
            "fault",
            "schedule",
            "interop",
            "stats",
            "predict",
            "search",
            "spec",
            "trainer",
            "program",
            "store",
            "orchestrator",
            "verdict",
            "report",
            "sweep",
            "dashboard",
        ],
    ),
    ("kit", &["cli", "trainer"]),
    ("own-model", &["kit"]),
    ("tests", &[]),
];

#[test]
fn crates_import_only_what_the_design_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let folders: BTreeMap<&str, &str> = packages.iter().map(named).collect();
    let names: BTreeSet<&str> = folders.values().copied().collect();
    assert_eq!(names, allowed.keys().copied().collect(), "the table above lists every crate");
    for package in packages {
        let (_, name) = named(package);
        let dependencies = package["dependencies"].as_array().expect("a list");
        // Dependencies of tests do not count.
        let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
        let ours = normal.filter_map(|dependency| folders.get(dependency["name"].as_str()?));
        for dependency in ours {
            assert!(allowed[name].contains(dependency), "{name} must not import {dependency}");
        }
    }
}

/// A dependency with other features in the tests than in the program is compiled twice, with everything that depends on it.
#[test]
fn the_tests_share_the_compiled_dependencies_of_the_program() {
    let program = features(&["--package", "sweep-lr", "--edges", "normal,build"]);
    let tests = features(&["--workspace", "--edges", "normal,build,dev"]);
    let ours = |name: &str| name.starts_with("sweep-");
    let differ: Vec<&String> = program.difference(&tests).filter(|name| !ours(name)).collect();
    assert!(
        differ.is_empty(),
        "these have more features in the tests, so list the same features in Cargo.toml: {differ:?}"
    );
}

/// Each package with its features.
fn features(args: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p} {f}"])
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.replace(" (proc-macro)", "").replace(" (*)", ""))
        .collect()
}

/// The name of a package on the registry, and its folder, which is its name in the code.
fn named(package: &serde_json::Value) -> (&str, &str) {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let folder = manifest.parent().and_then(Path::file_name).and_then(OsStr::to_str).expect("a folder");
    (package["name"].as_str().expect("a name"), folder)
}

/// Names like `store` are too general for a registry, so published crates have the prefix `sweep-`.
#[test]
fn published_crates_have_a_unique_name_and_a_description() {
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let path = entry.expect("an entry").path().join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).expect("a manifest");
        let is_published = !manifest.contains("publish = false");
        for needed in ["name = \"sweep-", "description = ", "repository.workspace", "readme.workspace"] {
            assert!(!is_published || manifest.contains(needed), "{} lacks {needed}", path.display());
        }
    }
}

#[test]
fn only_the_store_imports_sqlx() {
    let metadata = std::fs::read_to_string(root().join("crates/store/Cargo.toml")).expect("a manifest");
    assert!(metadata.contains("sqlx"));
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let manifest = std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        assert!(path.ends_with("store") || !manifest.contains("sqlx"), "{} imports sqlx", path.display());
    }
}
