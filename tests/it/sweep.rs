//! A sweep from its file to its ranking, and its guarantees: the same bits after interruptions, nothing is trained twice, nothing is
//! lost.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Sandbox, root, signal, wait};

const SMALL: &str = "\
name: small
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [16]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {epochs: 2}
seeds: 2
extend: false
lr: {values: [0.01, 0.1]}
schedules:
  constant: {kind: constant}
  cosine: {warmup: {over: \"10%\", from: 0.01x}, body: {kind: cosine, to: 0}}
  plateau: {kind: plateau, watch: train_loss, every: 10, factor: 0.5, patience: 0}
  adagrad_norm: {kind: adagrad_norm}
";

fn run(args: &[&str]) -> (Sandbox, BTreeMap<String, String>) {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.run(&[&["small.yaml"], args].concat()).exits(0);
    let found = sandbox.fingerprints();
    (sandbox, found)
}

#[test]
fn a_sweep_ends_with_a_ranking_a_database_and_a_reproducible_best_run() {
    let sandbox = Sandbox::new();
    let file = root().join("experiments/smoke.yaml");
    let output = sandbox.run(&[file.to_str().expect("UTF-8")]).exits(0);
    for schedule in ["constant", "linear", "cosine", "wsd", "plateau", "adagrad_norm"] {
        assert!(output.stdout.contains(schedule), "{}", output.stdout);
    }
    assert!(output.stdout.contains("sweep reproduce"), "{}", output.stdout);
    let ranking = sandbox.query("select * from ranking");
    assert_eq!(ranking.as_array().map(Vec::len), Some(6), "{ranking}");
    let counts = sandbox.query("select status, count(*) as n from trials group by status");
    assert_eq!(counts, serde_json::json!([{"status": "done", "n": 36}]));
    assert_eq!(sandbox.query("pragma integrity_check"), serde_json::json!([{"integrity_check": "ok"}]));
    let output = sandbox.run(&["reproduce", "best"]).exits(0);
    assert!(output.stdout.contains("every bit is equal"), "{}", output.stdout);
}

#[test]
fn the_ranking_of_the_program_and_of_the_database_agree() {
    let (sandbox, _) = run(&[]);
    let program = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let database = sandbox.query("select * from ranking order by rank");
    let (program, database) = (program.as_array().expect("rows"), database.as_array().expect("rows"));
    assert_eq!(program.len(), database.len());
    for (program, database) in program.iter().zip(database) {
        assert_eq!(program["schedule"], database["schedule"]);
        assert_eq!(program["base_lr"], database["base_lr"]);
        let (a, b) = (program["mean"].as_f64(), database["mean_valid_loss"].as_f64());
        let (a, b) = (a.expect("a mean"), b.expect("a mean"));
        assert!((a - b).abs() < 1e-12 * a.abs(), "{a} and {b}");
    }
}

#[test]
fn a_missing_instruction_set_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    let mut command = sandbox.command(&["small.yaml"]);
    command.env("SWEEP_CPU", "abacus");
    let output = crate::support::finish(command).exits(2);
    assert!(output.stderr.contains("abacus") && output.stderr.contains("scalar"), "{}", output.stderr);
}

#[test]
fn a_second_run_trains_nothing_and_a_changed_file_its_new_cells_only() {
    let (sandbox, before) = run(&[]);
    let finished = sandbox.query("select trial_id, finished_at from trials order by trial_id");
    sandbox.run(&["small.yaml"]).exits(0);
    assert_eq!(sandbox.query("select trial_id, finished_at from trials order by trial_id"), finished);

    sandbox.write("small.yaml", format!("{SMALL}  linear: {{kind: linear, to: 0}}\n"));
    sandbox.run(&["small.yaml"]).exits(0);
    let after = sandbox.fingerprints();
    assert_eq!(after.len(), before.len() + 4);
    assert!(before.iter().all(|(id, row)| after.get(id) == Some(row)), "the old trials are as they were");
    let still = sandbox
        .query("select trial_id, finished_at from trials where schedule <> 'linear' order by trial_id");
    assert_eq!(still, finished);
}

/// Ctrl-C gives exit code 130 and a checkpoint. After a restart the results are the same.
#[test]
#[cfg(unix)]
fn an_interrupted_sweep_continues_to_the_same_end() {
    let long = SMALL.replace("epochs: 2", "epochs: 60");
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", &long);
    let mut child = sandbox.start(&["small.yaml"]);
    let begun = |sandbox: &Sandbox| {
        let output = sandbox.run(&["query", "select count(*) as n from metrics", "--format", "json"]);
        output.code == 0 && output.json()[0]["n"].as_i64() > Some(0)
    };
    wait("a first step", || begun(&sandbox));
    signal(&child, "-INT");
    assert_eq!(child.wait().expect("the child ends").code(), Some(130));
    let stopped = sandbox.query("select count(*) as n from trials where status = 'stopped'");
    assert!(stopped[0]["n"].as_i64() > Some(0), "{stopped}");

    sandbox.run(&["small.yaml"]).exits(0);
    let undisturbed = Sandbox::new();
    undisturbed.write("small.yaml", &long);
    undisturbed.run(&["small.yaml"]).exits(0);
    assert_eq!(sandbox.fingerprints(), undisturbed.fingerprints());
}

#[test]
fn reproduce_names_the_first_step_that_differs() {
    let (sandbox, _) = run(&[]);
    let trial = sandbox.query("select trial_id from trials where schedule = 'cosine' and seed = 0 limit 1");
    let id = trial[0]["trial_id"].as_str().expect("an id");
    sandbox.run(&["reproduce", &id[..8]]).exits(0);

    // Changes the last bits of the stored run from step 17 on.
    sandbox.sql(&format!(
        "update metrics set train_loss = train_loss * (1 + 1e-7) where trial_id = '{id}' and step >= 17"
    ));
    let output = sandbox.run(&["reproduce", &id[..8]]).exits(1);
    assert!(output.stdout.contains("step 17 is the first that differs: train_loss"), "{}", output.stdout);

    // Initial weights of another seed.
    sandbox.sql(&format!("update trials set seed = 99 where trial_id = '{id}'"));
    let output = sandbox.run(&["reproduce", &id[..8]]).exits(1);
    assert!(output.stdout.contains("step 0 is the first that differs"), "{}", output.stdout);
    assert!(output.stderr.contains("it was changed"), "{}", output.stderr);
}

#[test]
fn reproduce_also_compares_digest_and_weights() {
    let (sandbox, _) = run(&[]);
    for column in ["digest", "weights_hash"] {
        sandbox.sql(&format!(
            "update trials set {column} = iif({column} like 'f%', '0', 'f') || substr({column}, 2) where schedule = 'plateau'"
        ));
        let trial = sandbox.query("select trial_id from trials where schedule = 'plateau' limit 1");
        let output = sandbox.run(&["reproduce", trial[0]["trial_id"].as_str().expect("an id")]).exits(1);
        assert!(output.stdout.contains("every step is equal, but"), "{}", output.stdout);
    }
}

/// Models and optimizers, with clipping and a momentum schedule, undisturbed and interrupted.
#[test]
#[cfg(unix)]
fn every_task_trains_and_resumes_to_the_same_bits() {
    for (model, optimizer) in [
        ("{kind: lenet}", "{kind: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.001}"),
        ("{kind: mlp, hidden: []}", "{kind: adamw}"),
        ("{kind: mlp, hidden: [16, 8]}", "{kind: sgd}"),
    ] {
        let text = format!(
            "data: {{dataset: digits, batch_size: 20, limit: 200}}\nmodel: {model}\noptimizer: {optimizer}\n\
             budget: {{steps: 30}}\nclip_norm: 1\nlr: 0.01\n\
             schedules:\n  one_cycle: {{kind: one_cycle, momentum: {{min: 0.85, max: 0.95}}}}\n"
        );
        let (whole, stopped) = (Sandbox::new(), Sandbox::new());
        for sandbox in [&whole, &stopped] {
            sandbox.write("task.yaml", &text);
        }
        whole.run(&["task.yaml"]).exits(0);
        stopped.run_with_fault(&["task.yaml"], "train.step:12:term");
        let middle =
            stopped.query("select status, steps_done, (select count(*) from checkpoints) as n from trials");
        assert_eq!(middle[0]["status"], "stopped", "{middle}");
        let steps = middle[0]["steps_done"].as_i64().expect("a number");
        assert!(
            (1..30).contains(&steps) && middle[0]["n"] == 1,
            "it stopped at no step in the middle: {middle}"
        );
        stopped.run(&["task.yaml"]).exits(0);
        for sandbox in [&whole, &stopped] {
            sandbox.run(&["reproduce", "best"]).exits(0);
        }
        assert_eq!(whole.fingerprints(), stopped.fingerprints(), "{model} {optimizer}");
        assert_eq!(whole.fingerprints().len(), 1);
    }
}

#[test]
fn a_diverged_trial_is_a_result_and_does_not_affect_others() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL.replace("[0.01, 0.1]", "[0.1, 1000]"));
    sandbox.run(&["small.yaml"]).exits(0);
    let rows = sandbox
        .query("select base_lr, status, count(*) as n from trials where schedule = 'constant' group by 1, 2");
    assert_eq!(
        rows,
        serde_json::json!([
            {"base_lr": 0.1, "status": "done", "n": 2},
            {"base_lr": 1000.0, "status": "diverged", "n": 2},
        ])
    );
    let at =
        sandbox.query("select count(*) as n from trials where status = 'diverged' and diverged_at is null");
    assert_eq!(at[0]["n"], 0);
    let ranking = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let constant = ranking.as_array().expect("rows").iter().find(|row| row["schedule"] == "constant");
    let constant = constant.expect("constant is ranked");
    assert_eq!((&constant["base_lr"], &constant["diverged_in_grid"]), (&Value::from(0.1), &Value::from(2)));
}
