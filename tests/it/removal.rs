//! `sweep rm`: its output and what it removes. After a kill the store is consistent, and removed trials are trained again to the
//! same bits.

use crate::support::{Output, Sandbox};

const RUN: &str = "\
data: {dataset: digits, limit: 100, batch_size: 20}
model: {kind: mlp, hidden: [4]}
optimizer: {kind: sgd}
budget: {steps: 12}
lr: {values: [0.05, 0.1]}
extend: false
";

/// Two sweeps that share the runs of one schedule. These share steps with the other runs.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let schedules = "schedules:\n  same: {kind: constant}\n";
    sandbox.write("a.yaml", format!("{RUN}{schedules}  late: {{body: 1x, cooldown: {{over: 4, to: 0}}}}\n"));
    sandbox.write("b.yaml", format!("{RUN}{schedules}  cosine: {{kind: cosine}}\n"));
    for file in ["a.yaml", "b.yaml"] {
        sandbox.run(&[file, "-q"]).exits(0);
    }
    sandbox
}

const WHOLE: &str = "select json_array('orphan', \"table\", rowid) from pragma_foreign_key_check";

fn is_whole(sandbox: &Sandbox) {
    assert_eq!(sandbox.texts(WHOLE), [""; 0]);
    assert_eq!(sandbox.texts("pragma integrity_check"), ["ok"]);
    let orphans = "select cast(count(*) as text) from steps as s where not exists (
        select 1 from trial_stages as g where g.stage_id = s.stage_id and s.step < g.end_step)";
    assert_eq!(sandbox.texts(orphans), ["0"], "steps without a trial");
}

#[test]
fn a_removed_sweep_is_trained_again_to_the_same_bits() {
    let sandbox = sandbox();
    let before = sandbox.fingerprints();
    assert_eq!(before.len(), 6);

    let Output { stdout, .. } = sandbox.run(&["rm", "a.yaml"]).exits(0);
    for words in [
        "sweep a: would remove the results of 2 runs (2 done), 24 steps",
        "2 runs kept, used by other sweeps: b (2)",
        "nothing was removed; repeat with --yes to remove",
    ] {
        assert!(stdout.contains(words), "{words} in\n{stdout}");
    }
    assert_eq!(sandbox.fingerprints(), before, "nothing is removed without --yes");
    let rows = sandbox.run(&["rm", "a", "--format", "json"]).exits(0).json();
    let fates: Vec<&str> =
        rows.as_array().expect("rows").iter().filter_map(|row| row["fate"].as_str()).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == "removed").count(), 2, "{fates:?}");

    sandbox.run(&["rm", "a", "--yes"]).exits(0);
    is_whole(&sandbox);
    let left = sandbox.fingerprints();
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|(id, print)| before[id] == *print), "what stays is untouched");
    let refused = sandbox.run(&["rank", "a"]).exits(2);
    assert!(refused.stderr.contains("unknown sweep `a`"), "{}", refused.stderr);
    sandbox.run(&["rank", "b"]).exits(0);
    assert_eq!(sandbox.texts("select distinct sweep from trials"), ["b"]);

    sandbox.run(&["a.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.fingerprints(), before);
    for sweep in ["a", "b"] {
        sandbox.run(&["rm", sweep, "--yes"]).exits(0);
    }
    assert_eq!(sandbox.fingerprints().len(), 0);
    assert_eq!(sandbox.texts("select cast(count(*) as text) from steps"), ["0"]);
}

#[test]
fn a_removed_trial_is_trained_again() {
    let sandbox = sandbox();
    let before = sandbox.fingerprints();
    let id = sandbox.texts("select trial_id from runs where schedule = 'same' and sweep = 'a' order by 1")[0]
        .clone();
    let shown = sandbox.run(&["rm", "--trial", &id[..8]]).exits(0).stdout;
    assert!(
        shown.contains("1 run will be trained again by the sweeps that use them: a (1), b (1)"),
        "{shown}"
    );
    sandbox.run(&["rm", "--trial", &id[..8], "--yes"]).exits(0);
    is_whole(&sandbox);
    assert_eq!(sandbox.fingerprints().len(), 5);
    assert_eq!(sandbox.texts(&format!("select status from trials where trial_id = '{id}'")), ["queued"]);
    sandbox.run(&["b.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.fingerprints(), before);
    for (args, words) in [
        (&["rm"][..], "required"),
        (&["rm", "c"], "unknown sweep `c`"),
        (&["rm", "--trial", "zz"], "no trial id starts with `zz`"),
        (&["rm", "a", "--trial", &id], "cannot be used with"),
    ] {
        let refused = sandbox.run(args).exits(2);
        assert!(refused.stderr.contains(words), "{words} in\n{}", refused.stderr);
    }
}

/// Kills before and after the commit, and before the files are removed.
#[test]
fn a_killed_removal_is_complete_or_has_no_effect() {
    let sandbox = sandbox();
    let before = sandbox.fingerprints();
    let mut left = Vec::new();
    for (point, sweeps) in [("store.begin", 2), ("store.commit", 2), ("store.committed", 1)] {
        sandbox.run_with_fault(&["rm", "a", "--yes"], &format!("{point}:1:kill"));
        is_whole(&sandbox);
        assert_eq!(sandbox.texts("select sweep from sweeps").len(), sweeps, "{point}");
        left.push(sandbox.fingerprints().len());
    }
    assert_eq!(left, [6, 6, 4]);
    sandbox.run(&["a.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.fingerprints(), before);
}

/// `rm` removes the folder of a program's trial. `gc` removes it after a kill.
#[test]
#[cfg(unix)]
fn files_of_programs_are_removed_too() {
    let sandbox = Sandbox::new();
    let script = "\
        echo started\n\
        printf '{\"step\": 0, \"train_loss\": 1, \"valid_loss\": 1}\\n' > \"$SWEEP_REPORT\"\n";
    sandbox.write("train.sh", script);
    sandbox.write(
        "p.yaml",
        "trainer: {command: [sh, train.sh]}\nbudget: {steps: 1}\nseeds: 2\nlr: 1\nschedules: {a: {kind: constant}}\n",
    );
    sandbox.run(&["p.yaml", "-q"]).exits(0);
    let folders = || std::fs::read_dir(sandbox.path("runs/trials")).map_or(0, Iterator::count);
    assert_eq!(folders(), 2);
    let planned = sandbox.run(&["rm", "p"]).exits(0).stdout;
    assert!(planned.contains("files of these runs (output, checkpoints, weights): 2"), "{planned}");
    let id = sandbox.texts("select trial_id from trials order by 1")[0].clone();
    sandbox.run(&["rm", "--trial", &id, "--yes"]).exits(0);
    assert_eq!(folders(), 1);
    // The state after a kill between the removal from the database and from the disk.
    sandbox.sql("delete from sweeps; delete from trials");
    sandbox.run(&["gc", "-q"]).exits(0);
    assert_eq!(folders(), 0);
}

#[test]
fn a_sweep_in_training_is_not_removed() {
    let sandbox = Sandbox::new();
    let long = RUN.replace("steps: 12", "steps: 2000000");
    sandbox.write("long.yaml", format!("{long}schedules: {{a: {{kind: constant}}}}\n"));
    let mut child = sandbox.start(&["long.yaml", "-q"]);
    crate::support::wait("it trains", || {
        sandbox.path("runs/sweep.db").exists()
            && sandbox.run(&["query", "select 1 as x from leases", "--format", "csv"]).stdout.contains('1')
    });
    let refused = sandbox.run(&["rm", "long", "--yes"]).exits(1);
    assert!(refused.stderr.contains(&format!("process {} on", child.id())), "{}", refused.stderr);
    crate::support::kill(&mut child);
    // Dead processes hold no trials, so their checkpoints are removed.
    sandbox.run(&["rm", "long", "--yes"]).exits(0);
    assert_eq!(sandbox.texts("select sweep from sweeps"), [""; 0]);
    assert_eq!(std::fs::read_dir(sandbox.path("runs/checkpoints")).map_or(0, Iterator::count), 0);
}
