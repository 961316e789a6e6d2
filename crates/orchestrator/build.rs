//! Passes the git commit to the compiler, if the source is a git checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
    println!("cargo::rerun-if-changed=../../crates");
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    if let Some(commit) = output.ok().filter(|output| output.status.success()) {
        println!("cargo::rustc-env=SWEEP_GIT_COMMIT={}", String::from_utf8_lossy(&commit.stdout).trim());
    }
}
