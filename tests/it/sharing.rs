//! Programs whose trials share steps: the results of trials that are trained separately, from fewer steps.

use std::collections::BTreeMap;

use crate::support::{KILLED, Sandbox};

const PROGRAM: &str = include_str!("programs/shared.py");

/// The trunk of each seed is `constant`; cooldowns leave it at steps 81, 121 and 161 of 200. The cosine shares one step, which is not
/// worth a checkpoint, and the rule is known only in training.
const FILE: &str = "\
name: share
trainer: {command: [python3, shared.py], share: true, params: {mode: well}}
budget: {steps: 200}
evaluate: {every: 10}
seeds: 2
extend: false
lr: 0.1
schedules:
  constant: {kind: constant}
  wsd: {body: 1x, cooldown: {over: {values: [\"20%\", \"40%\", \"60%\"]}, to: 0}}
  cosine: {kind: cosine, to: 0}
  plateau: {kind: plateau, patience: 1, watch: train_loss}
";

/// Steps of the trials of `FILE`: per seed 3 whole runs and 119, 79 and 39 steps of cooldowns.
const TRAINED: usize = 2 * (3 * 200 + 119 + 79 + 39);

/// Steps of the trial that is also trained separately.
const CHECKED: usize = 200;

fn sandbox(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("shared.py", PROGRAM);
    sandbox.write("share.yaml", file);
    sandbox
}

fn with_mode(mode: &str) -> String {
    FILE.replace("mode: well", &format!("mode: {mode}")).replace("seeds: 2", "seeds: 1")
}

/// The results and all steps of all trials.
fn results(sandbox: &Sandbox) -> Vec<String> {
    let sql = [
        "select json_array(trial_id, status, steps_done, final_train_loss, final_valid_loss, diverged_at, diverged_loss, digest) \
         from trials order by trial_id",
        "select json_array(trial_id, step, lr, train_loss, valid_loss) from metrics order by trial_id, step",
        "select json_array(trial_id, step, valid_loss) from evaluations order by trial_id, step",
        "select json_array((select count(*) from checkpoints), (select count(*) from leases))",
    ];
    sql.iter().flat_map(|sql| sandbox.texts(sql)).collect()
}

/// Number of lines of a file that the program writes.
fn lines(sandbox: &Sandbox, file: &str) -> usize {
    std::fs::read_to_string(sandbox.path(file)).expect("the program ran").lines().count()
}

/// Results of the same trials without shared steps.
fn separate(mode: &str, file: &str) -> Vec<String> {
    let sandbox = sandbox(&file.replace("share: true, ", ""));
    // In this mode only the first starts fail.
    sandbox.write("died", "xx");
    let ran = sandbox.run(&["share.yaml", "-q", "--retries", "0"]);
    assert!(ran.code == 0 || mode == "nan", "{}", ran.stderr);
    results(&sandbox)
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn shared_steps_are_trained_once_with_the_results_of_separate_trials() {
    let sandbox = sandbox(FILE);
    let plan = sandbox.run(&["plan", "share.yaml"]).exits(0).stdout;
    assert!(plan.contains(&format!("2400 steps, {TRAINED} to train")), "{plan}");
    assert!(plan.contains("one trial that shares steps is also trained separately"), "{plan}");
    let ran = sandbox.run(&["share.yaml"]).exits(0);
    assert!(ran.stderr.contains(&format!("{TRAINED} steps instead of 2400")), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("was also trained separately, and its losses differ in no bit"),
        "{}",
        ran.stderr
    );
    assert_eq!(results(&sandbox), separate("well", FILE));
    // Each trial has one start of the program, and the check another one.
    assert_eq!((lines(&sandbox, "steps"), lines(&sandbox, "starts")), (TRAINED + CHECKED, 12 + 1));
    let stored = sandbox.query("select steps_asked, steps_trained from sharing");
    assert_eq!(stored, serde_json::json!([{"steps_asked": 2400, "steps_trained": TRAINED}]));
    assert_eq!(sandbox.query("select distinct attempts from trials"), serde_json::json!([{"attempts": 1}]));
    // No copy of a checkpoint is left.
    assert_eq!(std::fs::read_dir(sandbox.path("runs/checkpoints")).expect("a folder").count(), 0);
    for id in sandbox.texts("select trial_id from trials") {
        let entries = std::fs::read_dir(sandbox.path("runs/trials").join(&id)).expect("the trial's folder");
        let names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(names.iter().all(|name| name == "output.log" || name == "sharing.json"), "{names:?}");
    }
    // The check is not repeated.
    let again = sandbox.run(&["share.yaml"]).exits(0);
    assert!(
        again.stderr.contains("nothing to train") && !again.stderr.contains("separate"),
        "{}",
        again.stderr
    );
    assert_eq!(lines(&sandbox, "starts"), 13);
    sandbox.run(&["reproduce", "best"]).exits(0);
    let unshared = self::sandbox(FILE);
    unshared.run(&["share.yaml", "-q", "--no-share"]).exits(0);
    assert_eq!((results(&unshared), lines(&unshared, "steps")), (results(&sandbox), 2400));
}

/// A shorter run shares all its steps except the last, whose report has its results.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn runs_of_several_lengths_share_steps() {
    let file = "\
name: share
trainer: {command: [python3, shared.py], share: true, params: {mode: well}}
budget: {steps: {values: [100, 150, 200]}}
evaluate: {every: 10}
lr: 0.1
extend: false
schedules:
  constant: {kind: constant}
  wsd: {body: 1x, cooldown: {over: 20, to: 0}}
";
    let sandbox = sandbox(file);
    sandbox.run(&["share.yaml", "-q"]).exits(0);
    assert_eq!(results(&sandbox), separate("well", file));
    // The trunk of 200 steps, the last step of two constant runs, and three cooldowns after a step with the lr of the trunk.
    assert_eq!(
        sandbox.query("select steps_trained as n from sharing"),
        serde_json::json!([{"n": 200 + 2 + 3 * 19}])
    );
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_sweep_that_is_killed_between_fork_and_branch_loses_nothing() {
    let undisturbed = sandbox(FILE);
    undisturbed.run(&["share.yaml", "-q"]).exits(0);
    let wanted = results(&undisturbed);
    for fault in [
        "fork.before:1:kill",
        "fork.before:2:kill",
        "fork.after:2:kill",
        "fork.after:4:kill",
        "checkpoint.renamed:2:kill",
        "store.committed:4:kill",
        "checkpoint.remove:3:kill",
        "fork.before:2:error",
        "checkpoint.write:2:short",
    ] {
        let sandbox = sandbox(FILE);
        let ran = sandbox.run_with_fault(&["share.yaml", "-q"], fault);
        assert!(ran.code == KILLED || !fault.contains("kill"), "{fault}: {}", ran.stderr);
        sandbox.run(&["share.yaml", "-q"]).exits(0);
        assert_eq!(results(&sandbox), wanted, "{fault}");
        assert_eq!(
            std::fs::read_dir(sandbox.path("runs/checkpoints")).expect("a folder").count(),
            0,
            "{fault}"
        );
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_without_checkpoints_fails_at_its_first_steps() {
    let sandbox = sandbox(&with_mode("never"));
    let ran = sandbox.run(&["share.yaml", "-q"]).exits(1);
    assert!(
        ran.stderr.contains("there is no checkpoint after step 0, which `trainer: {share: true}` needs"),
        "{}",
        ran.stderr
    );
    let sql = "select status, max(steps_done) <= 2 as early, count(*) as n from trials where error like '%no checkpoint%' group by status";
    assert_eq!(sandbox.query(sql), serde_json::json!([{"status": "failed", "early": 1, "n": 4}]));
}

/// The losses agree, but an average of the weights is not in the checkpoint.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_metric_that_sharing_changes_is_refused() {
    let sandbox = sandbox(&with_mode("average"));
    let ran = sandbox.run(&["share.yaml", "-q"]).exits(1);
    let words =
        "its losses differ in no bit, but these metrics differ, in which two separate runs agree: `gap`";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
}

/// A metric that differs from run to run, such as a time, says nothing about sharing.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_metric_that_differs_in_each_run_is_not_refused() {
    let sandbox = sandbox(&with_mode("clock"));
    let ran = sandbox.run(&["share.yaml"]).exits(0);
    assert!(ran.stderr.contains("its losses differ in no bit\n"), "{}", ran.stderr);
    let again = sandbox.run(&["reproduce", "best"]).exits(0).stdout;
    assert!(again.contains("every bit of the losses is equal, but other metrics differ"), "{again}");
    assert!(again.contains("differs  `clock` at 20 of 20 steps, first at step 9: "), "{again}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_that_forgets_its_random_state_is_refused() {
    let sandbox = sandbox(&with_mode("forgets"));
    let ran = sandbox.run(&["share.yaml", "-q"]).exits(1);
    let words = [
        "has other results when it shares steps than when it is trained separately",
        "two separate runs do not differ",
        "trial.state()",
    ];
    assert!(words.iter().all(|words| ran.stderr.contains(words)), "{}", ran.stderr);
    // No result of a trial that shared steps is kept, and without sharing they are trained.
    let sql = "select count(*) as n from trials where schedule in ('constant', 'wsd') and status = 'done'";
    assert_eq!(sandbox.query(sql), serde_json::json!([{"n": 0}]));
    sandbox.write("share.yaml", with_mode("forgets").replace("share: true, ", ""));
    sandbox.run(&["share.yaml", "-q"]).exits(0);
    assert_eq!(results(&sandbox), separate("forgets", &with_mode("forgets")));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_program_that_is_not_deterministic_may_share_steps() {
    let sandbox = sandbox(&with_mode("noisy"));
    let ran = sandbox.run(&["share.yaml"]).exits(0);
    assert!(ran.stderr.contains("; two separate runs differ by "), "{}", ran.stderr);
    assert_eq!(lines(&sandbox, "steps"), TRAINED / 2 + 2 * CHECKED);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn all_trials_that_share_a_diverging_step_diverge() {
    let sandbox = sandbox(&with_mode("nan"));
    sandbox.run(&["share.yaml", "-q"]);
    assert_eq!(results(&sandbox), separate("nan", &with_mode("nan")));
    let sql = "select status, diverged_at as at, count(*) as n from trials group by 1, 2";
    assert_eq!(sandbox.query(sql), serde_json::json!([{"status": "diverged", "at": 25, "n": 6}]));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_failure_in_shared_steps_is_that_of_one_trial() {
    let sandbox = sandbox(&with_mode("dies"));
    // Its program resumes from the checkpoint after step 0, and dies again.
    let ran = sandbox.run(&["share.yaml", "--workers", "1", "--retries", "0"]).exits(1);
    assert!(ran.stderr.contains("3 trials that shared steps with trial"), "{}", ran.stderr);
    let states: BTreeMap<String, String> = ["done", "failed"]
        .map(|status| {
            let sql = format!("select schedule from trials where status = '{status}' order by schedule");
            (status.to_owned(), sandbox.texts(&sql).join(" "))
        })
        .into();
    assert_eq!(states["failed"].split(' ').count(), 1, "{states:?}");
    sandbox.run(&["share.yaml", "-q"]).exits(0);
    assert_eq!(results(&sandbox), separate("dies", &with_mode("dies")));
}
