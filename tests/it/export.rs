//! `sweep export schedule`: the text of the exported code, and the errors if a library has no counterpart.
//! `scripts/check-exports` checks that the code gives the right lrs.

use std::collections::BTreeSet;

use crate::support::Sandbox;

const SWEEP: &str = "\
name: small
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 20}
seeds: 1
lr: {values: [0.1, 0.3]}
schedules:
  constant: {kind: constant, value: 0.2}
  cosine: {warmup: {over: 2, from: 0.01x}, body: {kind: cosine, to: {values: [0, 0.1x]}}}
  plateau: {kind: plateau, watch: train_loss, every: 2, factor: 0.5, patience: 0}
";

fn export(node: &str, target: &str) -> String {
    let args = ["export", "schedule", node, "--lr", "0.1", "--total", "100", "--steps-per-epoch", "10"];
    Sandbox::new().run(&[&args[..], &["--to", target]].concat()).exits(0).stdout
}

/// The exported program without its header.
fn code(node: &str, target: &str) -> String {
    let text = export(node, target);
    let (_, code) = text.split_once("\n\"\"\"\n\n").expect("a text at its head");
    code.to_owned()
}

#[test]
fn library_classes_are_used_if_they_give_the_same_lrs() {
    let warmup_cosine = "{warmup: {over: 10%, from: 0.1x}, body: {kind: cosine, to: 0.2x}}";
    for target in ["pytorch", "optax", "keras", "timm"] {
        insta::assert_snapshot!(format!("classes_of_{target}"), code(warmup_cosine, target));
    }
    let linear = "{warmup: {over: 10%}, body: {kind: linear}}";
    insta::assert_snapshot!("classes_of_transformers", code(linear, "transformers"));
    insta::assert_snapshot!("a_rule", export("{kind: plateau, patience: 3, every: 1 epochs}", "pytorch"));
}

#[test]
fn the_closed_form_is_printed_if_the_library_has_no_class() {
    let rex = "{restart: {kind: rex}, every: 10, mult: 2}";
    insta::assert_snapshot!("closed_form_for_pytorch", export(rex, "pytorch"));
    insta::assert_snapshot!("closed_form_for_optax", code(rex, "optax"));
    let epochs = "{clock: epoch, body: 1x, cooldown: {over: 4, shape: one_minus_sqrt}}";
    insta::assert_snapshot!("closed_form_for_keras", code(epochs, "keras"));
    let lambda = "{kind: lambda, expr: \"0.5 if t > 3 and t < 9 else 1\"}";
    insta::assert_snapshot!("closed_form_for_transformers", code(lambda, "transformers"));
    insta::assert_snapshot!("closed_form_for_timm", code("{kind: rex}", "timm"));
}

/// LinearLR can't start at 0, and CosineAnnealingLR rises again after its end. They must not be printed in these cases.
#[test]
fn a_class_that_would_differ_is_not_used() {
    for (node, target, class) in [
        ("{kind: linear, from: 0, to: 1x}", "pytorch", "LinearLR"),
        ("{kind: cosine, over: 50}", "pytorch", "CosineAnnealingLR"),
        ("{kind: cosine, exponent: 2}", "pytorch", "CosineAnnealingLR"),
        ("{kind: one_cycle, over: 50}", "pytorch", "OneCycleLR"),
        ("{kind: cosine}", "keras", "CosineDecay"),
        ("{kind: step, every: 49}", "optax", "exponential_decay"),
        ("{restart: {kind: cosine, to: 0.1x}, every: 10, decay: 0.5}", "timm", "CosineLRScheduler"),
        ("{kind: multistep, at: [0, 6]}", "timm", "MultiStepLRScheduler"),
        ("{warmup: {over: 5, from: 0.1x}, body: {kind: linear}}", "transformers", "get_scheduler"),
    ] {
        assert!(!export(node, target).contains(class), "{node} for {target} has {class}");
    }
}

#[test]
fn csv_and_json_are_the_lrs_of_the_run() {
    let sandbox = Sandbox::new();
    let node = "{kind: one_cycle, momentum: {min: 0.8, max: 0.9}}";
    for format in ["csv", "json"] {
        let run = ["--lr", "0.1", "--total", "30"];
        let exported =
            sandbox.run(&[&["export", "schedule", node, "--to", format], &run[..]].concat()).exits(0);
        let printed = sandbox.run(&[&["lr", node, "--format", format], &run[..]].concat()).exits(0);
        assert_eq!(exported.stdout, printed.stdout);
    }
}

/// The exported arithmetic keeps its order, because the last digit may matter.
#[test]
fn the_arithmetic_of_an_expression_keeps_its_order() {
    let body = |expr: &str, target| {
        let code = code(&format!("{{kind: lambda, expr: \"{expr}\"}}"), target);
        code.lines().rfind(|line| line.contains("return 0.1")).expect("a return").trim().to_owned()
    };
    assert_eq!(body("0.5 ** ((t / 10) // 0.1)", "pytorch"), "return 0.1 * 0.5 ** ((t / 10) // 0.1)");
    assert_eq!(
        body("1 - (t * (0.1 * 3)) // 0.3 / 100", "pytorch"),
        "return 0.1 * (1 - ((t * (0.1 * 3)) // 0.3) / 100)"
    );
    assert_eq!(body("int(t * 1.5) / 150", "pytorch"), "return 0.1 * (math.floor(t * 1.5) / 150)");
    assert_eq!(
        body("1 / ((t >= 3) + (t >= 6) + 1)", "optax"),
        "return 0.1 / (jnp.asarray((t >= 3), float) + jnp.asarray((t >= 6), float) + 1)"
    );
}

#[test]
fn rules_without_a_counterpart_are_refused() {
    let refused = |node: &str, target: &str| {
        let args = ["export", "schedule", node, "--lr", "0.1", "--total", "100", "--to", target];
        Sandbox::new().run(&args).exits(1)
    };
    let output = refused("{kind: adagrad_norm}", "pytorch");
    assert_eq!(output.stdout, "");
    for words in ["PyTorch has no counterpart of `adagrad_norm`", "--to csv"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    let output = refused("{warmup: {over: 5}, body: {kind: greedy}}", "transformers");
    assert!(output.stderr.contains("without a schedule around it"), "{}", output.stderr);
    for (expr, target, words) in [
        // A whole number that no float represents.
        ("(t * 10**17 + 1) % 7 / 7", "pytorch", "at t = 1 instead of the lr"),
        ("round(0.9 ** t, 2)", "keras", "no counterpart among the functions of arrays"),
        // XLA multiplies by 1 / 10, and 3 * 0.1 is not 0.3.
        ("0.5 ** ((t / 10) // 0.1)", "optax", "another lr at t = 3"),
    ] {
        let output = refused(&format!("{{kind: lambda, expr: \"{expr}\"}}"), target);
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    let output = refused("{kind: plateau}", "csv");
    assert!(output.stderr.contains("not known before"), "{}", output.stderr);
}

#[test]
fn a_schedule_of_a_sweep_file_is_exported_by_name_and_variant() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SWEEP);
    let run = |args: &[&str]| sandbox.run(&[&["export", "schedule"], args, &["--to", "json", "-q"]].concat());
    let output = run(&["small.yaml:cosine"]).exits(2);
    assert_eq!(output.stdout, "");
    for words in ["several configs of `cosine`", "--lr", "--config ID", "lr 0.3, schedule.body.to \"0.1x\""] {
        assert!(output.stderr.contains(words), "no {words} in {}", output.stderr);
    }
    let listed = output.stderr.lines().find(|line| line.contains("lr 0.3, schedule.body.to \"0.1x\""));
    let id = listed.and_then(|line| line.split_whitespace().next()).expect("an id");
    let lrs = run(&["small.yaml:cosine", "--config", id]).exits(0).json();
    assert_eq!(lrs["lr"][0], 0.003);
    assert_eq!(lrs["lr"].as_array().map(Vec::len), Some(20));
    // The base lrs do not affect an absolute lr, so there is only one variant.
    assert_eq!(run(&["small.yaml:constant", "--lr", "0.3"]).exits(0).json()["lr"][0], 0.2);
    let output = run(&["small.yaml:cosin"]).exits(2);
    assert!(output.stderr.contains("did you mean `cosine`?"), "{}", output.stderr);
    let output = run(&["small.yaml"]).exits(2);
    assert!(output.stderr.contains("has several schedules"), "{}", output.stderr);
    let output = run(&["missing.yaml:cosine"]).exits(2);
    assert!(output.stderr.contains("sweep file not found: missing.yaml"), "{}", output.stderr);
    // `--total` is for single schedules, not for sweep files.
    let output = run(&["small.yaml:cosine", "--total", "5"]).exits(2);
    assert!(output.stderr.contains("a learning rate of at least 0"), "{}", output.stderr);
    assert_eq!(run(&["0.5x", "--total", "5", "--lr", "0.4"]).exits(0).json()["lr"][4], 0.2);
}

#[test]
fn a_trial_is_exported_with_its_trained_lrs() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SWEEP);
    sandbox.run(&["small.yaml", "-q"]).exits(0);
    let trial = |schedule: &str| {
        let rows =
            sandbox.query(&format!("select trial_id from trials where schedule = '{schedule}' limit 1"));
        rows[0]["trial_id"].as_str().expect("a trial").to_owned()
    };
    let run = |args: &[&str]| sandbox.run(&[&["export", "schedule"], args].concat());
    let program = run(&["best", "--to", "pytorch"]).exits(0).stdout;
    assert!(program.contains("def make_scheduler(optimizer"), "{program}");
    // The lrs that a rule decided are only in the database.
    let plateau = trial("plateau");
    let lrs = run(&[&plateau, "--to", "json"]).exits(0).json();
    let stored = sandbox.query(&format!("select lr from metrics where trial_id = '{plateau}' order by step"));
    let stored: Vec<&serde_json::Value> =
        stored.as_array().expect("rows").iter().map(|row| &row["lr"]).collect();
    assert_eq!(lrs["lr"].as_array().expect("lrs").iter().collect::<Vec<_>>(), stored);
    assert!(stored.iter().any(|lr| **lr != *stored[0]), "the rule never moved its lr");
    let output = run(&["zzzz", "--to", "csv"]).exits(2);
    assert!(output.stderr.contains("no trial id starts with"), "{}", output.stderr);
    run(&[&plateau, "--to", "csv", "-o", "lrs.csv"]).exits(0);
    let written = std::fs::read_to_string(sandbox.path("lrs.csv")).expect("a file");
    assert!(written.starts_with("step,lr\n0,0.1\n") || written.starts_with("step,lr\n0,0.3\n"), "{written}");
}

#[test]
fn unsupported_exports_are_refused() {
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| sandbox.run(&[&["export", "schedule"], args].concat()).exits(2).stderr;
    for (args, words) in [
        (vec!["{kind: cosine}", "--to", "tensorflow", "--total", "9"], "pytorch"),
        (vec!["{kind: cosine}", "--to", "pytorch"], "--total"),
        (vec!["{kind: cosin}", "--to", "pytorch", "--total", "9"], "did you mean `cosine`?"),
        (vec!["{kind: cosine, over: 0}", "--to", "csv", "--total", "9"], "at least 1"),
        (vec!["{kind: cosine}", "--to", "csv", "--total", "9", "-o", "no/such/folder"], "can't write"),
        (vec!["best", "--to", "pytorch"], "sweep.db"),
    ] {
        let stderr = run(&args);
        assert!(stderr.contains(words), "{args:?}: no {words} in\n{stderr}");
    }
}

/// `query` prints all digits of an lr, to be pasted into SQL; `plan` rounds it, and commands take both.
#[test]
fn printed_lrs_can_be_pasted_into_commands() {
    for (space, numbers) in [
        ("{linspace: [0.1, 1, 10]}", 10),
        ("{logspace: [0.0003, 0.03, 5]}", 5),
        ("{values: [0.123456789, 1.5e-9, 2]}", 3),
        ("{values: [0.12346, 0.123456789]}", 2),
    ] {
        let sandbox = Sandbox::new();
        let file =
            SWEEP.replace("{values: [0.1, 0.3]}", space).replace("steps: 20}", "steps: 2}\nextend: false");
        let file = file.split("  cosine").next().expect("the beginning").replace("value: 0.2", "value: 1x");
        sandbox.write("small.yaml", format!("{file}  rule: {{kind: plateau}}\n"));
        sandbox.run(&["small.yaml", "-q"]).exits(0);
        let plan = sandbox.run(&["plan", "small.yaml", "--no-probe"]).exits(0).stdout;
        let row = plan.lines().find(|line| line.starts_with("constant")).expect("a row");
        let lrs: Vec<&str> =
            row.split("  ").map(str::trim).find(|cell| cell.contains(' ')).expect("lrs").split(' ').collect();
        assert_eq!(lrs.len(), numbers, "{plan}");
        let printed = sandbox.run(&["query", "select distinct base_lr from runs order by 1"]).exits(0).stdout;
        let printed: BTreeSet<&str> = printed.lines().skip(1).map(str::trim).collect();
        assert_eq!(printed.len(), numbers);
        let export =
            |lr: &str| sandbox.run(&["export", "schedule", "small.yaml:constant", "--lr", lr, "--to", "csv"]);
        for &lr in &lrs {
            assert!(lr.chars().filter(char::is_ascii_digit).count() <= 7, "four digits: {lr}");
            let is_one = lrs.iter().filter(|other| **other == lr).count() == 1;
            export(lr).exits(if is_one { 0 } else { 2 });
        }
        for lr in printed {
            export(lr).exits(0);
            for table in ["runs", "trials", "cells"] {
                let sql = format!("select schedule from {table} where base_lr = {lr}");
                assert_eq!(sandbox.query(&sql).as_array().map(Vec::len), Some(2), "{sql}");
            }
        }
    }
    // Another spelling of the same lr also works.
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SWEEP);
    for lr in ["0.3", "0.30000000000000004"] {
        sandbox.run(&["export", "schedule", "small.yaml:plateau", "--lr", lr, "--to", "pytorch"]).exits(0);
    }
}
