//! One small sweep, run in all ways: digests, weights and all stored steps are the same.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Sandbox, finish};

/// Schedules with common beginnings, different lengths, and closed-loop rules on losses, gradients and weights: trials that fork
/// early, late and never.
const FILE: &str = "\
name: ways
data: {dataset: digits, batch_size: 32}
model: {kind: mlp, hidden: [24, 9]}
optimizer: {kind: adamw, weight_decay: 0.01}
budget: {steps: {values: [30, 60]}}
seeds: 2
lr: 0.01
evaluate: {every: 15}
schedules:
  constant: {kind: constant}
  wsd: {body: 1x, cooldown: {over: {values: [5, 10, \"50%\"]}, to: 0}}
  warm: {warmup: {over: 8, from: 0.1x}, body: {kind: step, every: 20, gamma: 0.5}}
  cycled: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}
  plateau: {kind: plateau, watch: train_loss, every: 5, factor: 0.5, patience: 0}
  validated: {kind: plateau, watch: valid_loss, every: 10, factor: 0.5, patience: 0}
  adagrad_norm: {scale: 0.1, of: {kind: adagrad_norm}}
  free: {kind: schedule_free}
  dog: {kind: dog}
";

/// The complete results by trial. The lr counts in single precision, as in updates.
pub(crate) fn results(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let rows = sandbox.query(
        "select trial_id, status, digest, weights_hash, final_train_loss, final_valid_loss, valid_accuracy, \
         test_loss, test_accuracy, steps_done, (select json_group_array(json_array(step, train_loss, valid_loss, \
         grad_norm)) from metrics m where m.trial_id = t.trial_id) as metrics from trials t",
    );
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| (row["trial_id"].as_str().expect("an id").to_owned(), row.clone())).collect()
}

fn run(args: &[&str], cpu: Option<&str>) -> (Sandbox, BTreeMap<String, Value>) {
    run_file(FILE, args, cpu)
}

pub(crate) fn run_file(file: &str, args: &[&str], cpu: Option<&str>) -> (Sandbox, BTreeMap<String, Value>) {
    let sandbox = Sandbox::new();
    sandbox.write("ways.yaml", file);
    let mut command = sandbox.command(&[&["ways.yaml"], args].concat());
    cpu.map(|cpu| command.env("SWEEP_CPU", cpu));
    finish(command).exits(0);
    let found = results(&sandbox);
    (sandbox, found)
}

#[track_caller]
pub(crate) fn assert_same(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>, way: &str) {
    assert_eq!(found.len(), expected.len(), "{way}");
    for (id, row) in expected {
        assert_eq!(found.get(id), Some(row), "{way}: trial {id}");
    }
}

/// The names of all instruction sets that have kernels and run on this processor.
pub(crate) fn instruction_sets() -> Vec<&'static str> {
    let mut levels = vec!["scalar"];
    #[cfg(target_arch = "x86_64")]
    {
        let fma = std::arch::is_x86_feature_detected!("fma");
        levels.extend((fma && std::arch::is_x86_feature_detected!("avx2")).then_some("avx2"));
        levels.extend((fma && std::arch::is_x86_feature_detected!("avx512f")).then_some("avx512"));
    }
    if cfg!(target_arch = "aarch64") {
        levels.push("neon");
    }
    levels
}

#[test]
fn every_way_of_running_a_sweep_gives_the_same_bits() {
    // Each trial separately: no other lanes, no sharing, one thread.
    let (separate, expected) = run(&["--no-share", "--lanes", "1", "--workers", "1"], None);
    assert_eq!(expected.len(), 44);
    for id in expected.keys() {
        separate.run(&["reproduce", id, "--quiet"]).exits(0);
    }

    for args in [
        &["--workers", "1"][..],
        &["--workers", "2"],
        &["--workers", "4"],
        &["--lanes", "1"],
        &["--lanes", "16"],
        &["--no-share", "--lanes", "16"],
        // Memory for a few states only: the others wait on disk.
        &["--memory", "20MiB", "--workers", "1"],
        &["--checkpoint-every", "0", "--lanes", "3"],
    ] {
        let (_, found) = run(args, None);
        assert_same(&found, &expected, &args.join(" "));
    }

    for level in instruction_sets() {
        assert_same(&run(&[], Some(level)).1, &expected, level);
    }
}

/// Convolutions have separate kernels.
#[test]
fn a_convolutional_network_has_the_same_bits_on_every_instruction_set() {
    let file = "\
data: {dataset: digits, limit: 100, batch_size: 24}
model: {kind: lenet}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 6}
lr: 0.05
schedules: {constant: {kind: constant}, cosine: {kind: cosine, to: 0}}
";
    let (separate, expected) = run_file(file, &["--no-share", "--lanes", "1", "--workers", "1"], None);
    separate.run(&["reproduce", "best", "--quiet"]).exits(0);
    for level in instruction_sets() {
        assert_same(&run_file(file, &[], Some(level)).1, &expected, level);
    }
}

#[test]
#[cfg(unix)]
fn a_sweep_that_is_interrupted_again_and_again_ends_with_the_same_bits() {
    let (_, expected) = run(&[], None);
    let sandbox = Sandbox::new();
    sandbox.write("ways.yaml", FILE);
    for (lanes, fault) in [
        ("1", "train.step:60:kill"),
        ("4", "train.step:150:term"),
        ("8", "fork.after:1:kill"),
        ("1", "train.step:40:term"),
        ("4", "checkpoint.renamed:5:kill"),
        ("4", "store.committed:3:kill"),
        ("8", "store.commit:4:kill"),
        ("1", "checkpoint.remove:2:kill"),
    ] {
        sandbox.run_with_fault(&["ways.yaml", "--checkpoint-every", "0", "--lanes", lanes], fault);
        let left = sandbox.texts("select trial_id from trials where status not in ('done', 'diverged')");
        assert!(!left.is_empty(), "{fault}: all was trained before");
    }
    assert!(!sandbox.texts("select cast(step as text) from metrics").is_empty(), "nothing was interrupted");
    sandbox.run(&["ways.yaml"]).exits(0);
    assert_same(&results(&sandbox), &expected, "interrupted");
    assert_eq!(sandbox.texts("pragma integrity_check"), ["ok"]);
    let left: Vec<_> = std::fs::read_dir(sandbox.path("runs/checkpoints")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// `plan` and the database count the same steps.
#[test]
fn the_database_holds_as_many_trained_steps_as_the_plan_says() {
    let open: String = FILE
        .lines()
        .filter(|line| {
            !["plateau", "validated", "adagrad_norm", "free", "dog"]
                .iter()
                .any(|closed| line.trim_start().starts_with(&format!("{closed}:")))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let sandbox = Sandbox::new();
    sandbox.write("ways.yaml", &open);
    let plan = sandbox.run(&["plan", "ways.yaml", "--format", "json", "--no-probe"]).exits(0).json();
    assert!(plan["steps_trained"].as_u64() < plan["steps_asked"].as_u64(), "{plan}");
    sandbox.run(&["ways.yaml"]).exits(0);
    let sharing = sandbox.query("select * from sharing");
    assert_eq!(sharing[0]["steps_trained"], plan["steps_trained"], "{sharing}");
    assert_eq!(sharing[0]["steps_asked"], plan["steps_asked"], "{sharing}");

    let plan =
        sandbox.run(&["plan", "ways.yaml", "--format", "json", "--no-probe", "--no-share"]).exits(0).json();
    assert_eq!(plan["steps_trained"], plan["steps_asked"]);
}

#[test]
fn too_little_memory_is_refused_before_training() {
    let sandbox = Sandbox::new();
    sandbox.write("ways.yaml", FILE);
    let output = sandbox.run(&["ways.yaml", "--memory", "1MiB"]).exits(2);
    assert!(
        output.stderr.contains("not enough memory") && output.stderr.contains("at least"),
        "{}",
        output.stderr
    );
    assert_eq!(sandbox.query("select count(*) as n from metrics")[0]["n"], 0);
    let output = sandbox.run(&["ways.yaml", "--memory", "lots"]).exits(2);
    assert!(output.stderr.contains("lots"), "{}", output.stderr);
}
