//! Who may import whom (design, section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::support::root;

/// Our crates and those of ours that each may import.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("fault", &[]),
    ("needs", &[]),
    ("pgtest", &["needs"]),
    ("schedule", &[]),
    ("interop", &["schedule"]),
    ("stats", &[]),
    ("spec", &["interop", "schedule"]),
    ("trainer", &["fault", "schedule", "spec"]),
    ("store", &["fault", "spec"]),
    ("program", &["schedule", "spec", "trainer"]),
    ("orchestrator", &["spec", "trainer", "program", "store"]),
    ("verdict", &["stats", "schedule", "spec"]),
    ("report", &["stats", "schedule", "verdict"]),
    (
        "cli",
        &[
            "fault",
            "schedule",
            "interop",
            "stats",
            "spec",
            "trainer",
            "program",
            "store",
            "orchestrator",
            "verdict",
            "report",
        ],
    ),
    ("sweep-kit", &["cli", "trainer"]),
    ("own-model", &["sweep-kit"]),
    ("end-to-end", &[]),
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
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(names, allowed.keys().copied().collect(), "the table above lists every crate");
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let dependencies = package["dependencies"].as_array().expect("a list");
        // What tests import does not count.
        let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
        for dependency in normal.filter_map(|dependency| dependency["name"].as_str()) {
            let ours = names.contains(dependency);
            assert!(!ours || allowed[name].contains(&dependency), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn sql_stands_in_the_store_only_and_sqlx_with_it() {
    let metadata = std::fs::read_to_string(root().join("crates/store/Cargo.toml")).expect("a manifest");
    assert!(metadata.contains("sqlx"));
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let manifest = std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        assert!(path.ends_with("store") || !manifest.contains("sqlx"), "{} imports sqlx", path.display());
    }
}
