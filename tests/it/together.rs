//! Several processes with one store: they share the trials and take over those of dead processes. A process with an expired lease
//! writes nothing.

use std::collections::BTreeMap;
use std::process::Child;

use crate::support::{Sandbox, finish, kill, signal, wait};

/// Enough unshared trials to keep two processes busy.
const FILE: &str = "\
data: {dataset: digits, batch_size: 20}
model: {kind: mlp, hidden: [32]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {epochs: 12}
seeds: 6
extend: false
lr: {values: [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]}
schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
";

const ARGS: [&str; 6] = ["sweep.yaml", "--workers", "1", "--lanes", "1", "--quiet"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.yaml", FILE);
    sandbox
}

fn has_begun(sandbox: &Sandbox, done: usize) -> bool {
    let output =
        sandbox.run(&["query", "select trial_id from trials where status = 'done'", "--format", "csv"]);
    output.code == 0 && output.stdout.lines().count() > done
}

fn undisturbed() -> BTreeMap<String, String> {
    let sandbox = sandbox();
    sandbox.run(&["sweep.yaml", "--quiet"]).exits(0);
    sandbox.fingerprints()
}

/// Starts a process, and a second one after the first has begun to train.
fn start_two(sandbox: &Sandbox) -> (Child, Child) {
    let first = sandbox.start(&ARGS);
    wait("the first one begins", || has_begun(sandbox, 1));
    let second = sandbox.start(&ARGS);
    wait("the second one joins", || sandbox.count("runners where sweep is not null") == 2);
    (first, second)
}

#[test]
fn two_processes_share_the_trials_of_a_sweep() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    let mut first = sandbox.start(&ARGS);
    wait("the first one begins", || has_begun(&sandbox, 1));
    let second = sandbox.run(&ARGS[..5]).exits(0);
    assert!(first.wait().expect("the process ends").success());
    assert_eq!(sandbox.fingerprints(), wanted);
    // The last progress line includes trials that the other process has ended in the meantime.
    let last = second.stderr.lines().rfind(|line| line.contains(" finished")).expect("a line of progress");
    let (ended, rest) = last.split_once('/').expect("ended and all");
    assert!(rest.starts_with(&format!("{ended} finished, ")), "{last}");
    assert!(last.contains(" by other processes"), "{last}");
    assert_eq!(sandbox.count("runners"), 2);
    assert_eq!(sandbox.count("leases"), 0);
    assert_eq!(sandbox.count("trials where attempts != 1"), 0, "nothing was trained twice");
    // Each has trained trials, and their stages have distinct numbers.
    assert!(sandbox.count("trial_stages where stage_id >= 16777216") > 0);
    assert!(sandbox.count("trial_stages where stage_id < 16777216") > 0);
}

/// Others take over the trials of a killed process without waiting for its lease, because the system reports that it has ended.
#[test]
#[cfg(unix)]
fn trials_of_a_dead_process_are_taken_over() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    let (mut first, mut second) = start_two(&sandbox);
    kill(&mut first);
    let status = sandbox.run(&["status"]).exits(0);
    assert!(status.stdout.contains("died") || sandbox.count("runners where ended_at is null") <= 1);
    assert!(second.wait().expect("the process ends").success());
    assert_eq!(sandbox.fingerprints(), wanted);
    assert_eq!(sandbox.count("runners where taken_over_by is not null"), 1);
}

/// A process that was suspended past its lease finds its trials taken over, and writes nothing.
#[test]
#[cfg(unix)]
fn a_process_whose_lease_has_expired_writes_nothing() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    let args = [&ARGS[..], &["--lease", "2"]].concat();
    let mut command = sandbox.command(&args);
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let first = command.spawn().expect("the process starts");
    wait("the first one begins", || has_begun(&sandbox, 1));
    // A process that is suspended within a transaction would block all others.
    wait("it is suspended between two transactions", || {
        signal(&first, "-STOP");
        let is_free = sandbox.can_be_written();
        if !is_free {
            signal(&first, "-CONT");
        }
        is_free
    });
    let second = sandbox.run(&args);
    second.exits(0);
    let ended = sandbox.fingerprints();
    signal(&first, "-CONT");
    let first = first.wait_with_output().expect("the process ends");
    let message = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(1), "{message}");
    assert!(message.contains("another process took over the trials of this one"), "{message}");
    assert_eq!(sandbox.fingerprints(), ended);
    assert_eq!(ended, wanted);
    sandbox.run(&ARGS).exits(0);
}

/// Two processes that start at the same time without a store create one and share it.
#[test]
fn two_processes_that_start_together_share_a_new_store() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    let mut both = [sandbox.start(&ARGS), sandbox.start(&ARGS)];
    for process in &mut both {
        assert!(process.wait().expect("the process ends").success());
    }
    assert_eq!(sandbox.count("runners"), 2);
    assert_eq!(sandbox.fingerprints(), wanted);
    assert_eq!(sandbox.count("trials where attempts != 1"), 0, "nothing was trained twice");
}

/// A process that is stopped releases its trials to the others.
#[test]
#[cfg(unix)]
fn a_stopped_process_releases_its_trials() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    let (mut first, mut second) = start_two(&sandbox);
    signal(&first, "-TERM");
    assert_eq!(first.wait().expect("the process ends").code(), Some(130));
    assert!(second.wait().expect("the process ends").success());
    assert_eq!(sandbox.fingerprints(), wanted);
    let output = finish(sandbox.command(&["status", "--format", "json"]));
    assert_eq!(output.json()[0]["running"], 0);
}
