//! `sweep lr` on the command line, compared with the golden files, which hold numbers of the real libraries.

use std::path::Path;

use serde_json::Value;

use crate::support::{Sandbox, root};

/// Runs one golden file. The error describes the first difference.
fn check(sandbox: &Sandbox, path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).expect("a golden file");
    let golden: Value = serde_json::from_str(&text).expect("golden files are JSON");
    let Some(yaml) = golden["yaml"].as_str() else { return Ok(()) };
    let expected: Vec<f64> = golden["lr"].as_array().expect("lr").iter().filter_map(Value::as_f64).collect();
    let (total, steps) = (golden["total_steps"].to_string(), expected.len().to_string());
    let mut args = vec!["lr", "--format", "json", "--total", &total, "--steps", &steps];
    let per_epoch = golden["steps_per_epoch"].to_string();
    if golden["steps_per_epoch"].is_u64() {
        args.extend(["--steps-per-epoch", &per_epoch]);
    }
    for (key, flag) in [("metrics", "--metrics"), ("inputs", "--inputs")] {
        if golden[key].is_array() || golden[key].is_object() {
            sandbox.write(&format!("{key}.json"), golden[key].to_string());
            args.extend([flag, if key == "metrics" { "metrics.json" } else { "inputs.json" }]);
        }
    }
    args.push(yaml);
    let output = sandbox.run(&args).exits(0).json();
    let (rtol, atol) = (golden["rtol"].as_f64().expect("rtol"), golden["atol"].as_f64().expect("atol"));
    for (column, expected) in [("lr", expected), ("momentum", numbers(&golden["momentum"]))] {
        let found = numbers(&output[column]);
        if found.len() < expected.len() {
            return Err(format!("{column} has {} values instead of {}", found.len(), expected.len()));
        }
        for (t, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if (found - expected).abs() > atol + rtol * expected.abs() {
                return Err(format!("{column}({t}) is {found} instead of {expected}"));
            }
        }
    }
    Ok(())
}

fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// One golden file of each kind gives the numbers of the library.
#[test]
fn golden_files_pass_from_the_command_line() {
    let sandbox = Sandbox::new();
    let mut failures = Vec::new();
    for name in [
        "cosine__torch__01",
        "cyclic__torch__04",
        "warm_restarts__timm__10",
        "epoch_clock__torch__05",
        "warmup_cosine__keras__10",
        "wsd__transformers__04",
        "plateau__torch__03",
        "plateau__optax__16",
        "adagrad_norm__torch__01",
        "inverse_time__scikit_learn__06",
        "lambda__torch__03",
        "polyak__optax__02",
    ] {
        let path = root().join("crates/schedule/golden").join(name).with_extension("json");
        if let Err(error) = check(&sandbox, &path) {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn csv_has_one_line_for_each_step() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["lr", "--lr", "0.1", "--total", "4", "{kind: linear, to: 0}"]).exits(0);
    insta::assert_snapshot!(output.stdout, @"
    step,lr
    0,0.1
    1,0.07500000000000001
    2,0.05
    3,0.025
    ");
}

#[test]
fn metrics_may_hold_nan_and_infinity_as_python_writes_them() {
    let sandbox = Sandbox::new();
    sandbox.write("m.json", "[1.0, NaN, Infinity, -Infinity, 0.5]");
    let node = "{kind: bold_driver, up: 2, down: 0.5}";
    let output = sandbox.run(&["lr", node, "--total", "6", "--metrics", "m.json"]).exits(0);
    let lrs: Vec<&str> =
        output.stdout.lines().skip(1).map(|line| line.split(',').nth(1).unwrap_or("")).collect();
    // NaN does not count as an improvement; minus infinity does.
    assert_eq!(lrs, ["1", "1", "0.5", "0.25", "0.5", "0.25"]);
    sandbox.write("m.json", "[1.0, nan]");
    let output = sandbox.run(&["lr", node, "--total", "2", "--metrics", "m.json"]).exits(2);
    assert!(output.stderr.contains("m.json:1:8"), "{}", output.stderr);
}

#[test]
fn a_closed_loop_schedule_needs_its_metric() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["lr", "--total", "4", "{kind: plateau}"]).exits(2);
    assert!(output.stderr.contains("--metrics"), "{}", output.stderr);
    sandbox.write("short.json", "[1, 2]");
    let output = sandbox.run(&["lr", "--total", "9", "--metrics", "short.json", "{kind: plateau}"]).exits(2);
    assert!(output.stderr.contains("the inputs have 3 steps, 9 are needed"), "{}", output.stderr);
}

/// A call as pasted from a program, with its own length.
#[test]
fn a_pasted_call_needs_no_total() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["lr", "torch.OneCycleLR(max_lr=0.1, total_steps=4)"]).exits(0);
    insta::assert_snapshot!(output.stdout, @"
    step,lr
    0,0.004
    1,0.0811745653949763
    2,0.028306099820869915
    3,0.0000004
    ");
    let program = "opt = torch.optim.SGD(net.parameters(), lr=0.2)\n\
                   sched = torch.optim.lr_scheduler.LinearLR(\n    opt, 1.0, end_factor=0.0,  # to the end\n    total_iters=4)\n";
    let output = sandbox.run(&["lr", "--format", "json", program]).exits(0).json();
    let lrs = numbers(&output["lr"]);
    assert!(
        lrs.iter().zip([0.2, 0.15, 0.1, 0.05]).all(|(found, wanted)| (found - wanted).abs() < 1e-15),
        "{lrs:?}"
    );
    assert_eq!(lrs.len(), 4);
    let output = sandbox.run(&["lr", "--format", "json", "--lr", "2", program]).exits(0).json();
    assert_eq!(numbers(&output["lr"])[0], 2.0);
    let output =
        sandbox.run(&["lr", "--format", "json", "{kind: torch.CosineAnnealingLR, T_max: 3}"]).exits(0).json();
    assert_eq!(numbers(&output["lr"]).len(), 3);
}

#[test]
fn a_missing_length_is_an_error() {
    let sandbox = Sandbox::new();
    for (schedule, asks) in [
        ("torch.StepLR(opt, step_size=30)", "--total"),
        ("{kind: cosine}", "--total"),
        (
            "timm.scheduler.CosineLRScheduler(opt, t_initial=15)",
            "15 epochs long: give the steps per epoch with --steps-per-epoch",
        ),
    ] {
        let output = sandbox.run(&["lr", schedule]).exits(2);
        assert!(output.stderr.contains(asks), "{schedule}: {}", output.stderr);
    }
}

#[test]
fn a_mistake_in_a_call_is_shown_with_its_span() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["lr", "torch.OneCycleLR(max_lr=0.1,\n  total_step=100)"]).exits(2);
    assert!(output.stderr.contains("<schedule>:2:3"), "{}", output.stderr);
    assert!(output.stderr.contains("did you mean `total_steps`?"), "{}", output.stderr);
}
