//! `sweep export results`: tables and event files. `scripts/check-tensorboard` checks that TensorBoard reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Output, Sandbox};

/// All runs with the second lr diverge.
const SWEEP: &str = "\
name: small
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd, momentum: {values: [0, 0.9]}}
budget: {steps: 20}
seeds: 2
extend: false
lr: {values: [0.1, 1e6]}
schedules:
  constant: {kind: constant}
  \"../a/b \\\"c\\\"\": {body: {kind: cosine, to: {values: [0, 0.1x]}}}
";

fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SWEEP);
    sandbox.run(&["small.yaml", "-q"]).exits(0);
    sandbox
}

fn export(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.run(&[&["export", "results"], args].concat())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn exported_tables_equal_the_database() {
    let sandbox = trained();
    let runs = objects(&export(&sandbox, &["--to", "jsonl"]).exits(0).stdout);
    let stored = sandbox.query(
        "select r.schedule, r.config_id, r.base_lr, r.seed, r.status, r.steps, r.steps_done, r.final_train_loss,
            r.final_valid_loss, r.valid_accuracy, r.test_loss, r.test_accuracy, r.diverged_at, r.trial_id, t.digest,
            t.weights_hash
        from runs as r join trials as t using (trial_id) order by r.position",
    );
    let stored = stored.as_array().expect("rows");
    assert_eq!((runs.len(), stored.len()), (24, 24));
    for (run, row) in runs.iter().zip(stored) {
        for (column, value) in row.as_object().expect("an object") {
            assert_eq!(run[column], *value, "{column}");
        }
    }
    let momenta: BTreeSet<String> =
        runs.iter().map(|run| run["axis:optimizer.momentum"].to_string()).collect();
    assert_eq!(momenta.into_iter().collect::<Vec<_>>(), ["0.0", "0.9"]);
    let targets: BTreeSet<String> = runs.iter().map(|run| run["axis:schedule.body.to"].to_string()).collect();
    assert_eq!(targets.into_iter().collect::<Vec<_>>(), ["\"0\"", "\"0.1x\"", "null"]);

    let mut steps = objects(&export(&sandbox, &["small.yaml", "--to", "jsonl", "--metrics"]).exits(0).stdout);
    // The view has no accuracies of evaluations.
    let measured = |step: &mut Value| step.as_object_mut().and_then(|step| step.remove("valid_accuracy"));
    let accuracies: Vec<Value> = steps.iter_mut().filter_map(measured).collect();
    assert_eq!(accuracies.len(), steps.len());
    assert!(accuracies.iter().any(Value::is_number));
    let stored = sandbox.query(
        "select r.schedule, r.config_id, r.base_lr, r.seed, r.trial_id, m.step, m.lr, m.train_loss, m.valid_loss,
            m.grad_norm
        from runs as r join metrics as m using (trial_id) order by r.position, m.step",
    );
    assert!(steps.len() > 200, "{} steps", steps.len());
    assert_eq!(Value::Array(steps), stored);
}

#[test]
fn files_are_written_atomically_and_numbers_that_are_not_finite_are_null_in_json() {
    let sandbox = trained();
    let printed = export(&sandbox, &["small", "--to", "csv", "--metrics"]).exits(0).stdout;
    let quiet = export(&sandbox, &["--to", "csv", "--metrics", "-o", "steps.csv"]).exits(0);
    assert_eq!((quiet.stdout, quiet.stderr), (String::new(), String::new()));
    assert_eq!(std::fs::read_to_string(sandbox.path("steps.csv")).expect("a file"), printed);
    assert!(printed.starts_with(
        "schedule,config_id,base_lr,seed,trial_id,step,lr,train_loss,valid_loss,grad_norm,valid_accuracy\nconstant,"
    ));
    // The step that diverged has no gradient.
    assert!(printed.lines().any(|line| line.ends_with(",NaN,")), "{printed}");
    sandbox.sql("update steps set train_loss = 9e999 where step = 1");
    let line = |form: &str| {
        let text = export(&sandbox, &["--to", form, "--metrics"]).exits(0).stdout;
        text.lines()
            .find(|line| line.contains("inf") || line.contains("\"train_loss\":null"))
            .map(str::to_owned)
    };
    assert!(line("csv").is_some_and(|line| line.contains(",1,0.1,inf,")));
    assert!(line("jsonl").is_some_and(|line| line.contains("\"step\":1,\"lr\":0.1,\"train_loss\":null,")));
    assert_eq!(hidden(&sandbox), [""; 0]);
}

#[test]
fn tensorboard_gets_a_folder_for_each_run() {
    let sandbox = trained();
    let events = |name: &str| export(&sandbox, &["--to", "tensorboard", "-o", name]);
    events("logs").exits(0);
    let logs = sandbox.path("logs");
    let mut files = Vec::new();
    event_files(&logs, &mut files);
    files.sort();
    let names: Vec<String> = files
        .iter()
        .map(|file| {
            file.parent().expect("a folder").strip_prefix(&logs).expect("inside").display().to_string()
        })
        .collect();
    assert_eq!(names.len(), 25, "{names:?}");
    for name in ["", "_a_b _c_/lr=0.1,momentum=0,to=0.1x,seed=1", "constant/lr=1e6,momentum=0.9,seed=0"] {
        assert!(names.iter().any(|known| known == name), "no {name} in {names:?}");
    }
    // The frames of a complete run: version, start, steps, results, end.
    let frames = |file: &Path| {
        let bytes = std::fs::read(file).expect("a file");
        let (mut rest, mut count) = (bytes.as_slice(), 0);
        while let Some((length, _)) = rest.split_first_chunk::<8>() {
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length");
            rest = rest.get(length + 16..).expect("a whole frame");
            count += 1;
        }
        count
    };
    let of = |name: &str| logs.join(name).join("events.out.tfevents.sweep");
    assert_eq!(frames(&of("constant/lr=0.1,momentum=0,seed=0")), 2 + 20 + 2);
    assert_eq!(frames(&of("")), 2);

    let output = events("logs").exits(2);
    assert!(output.stderr.contains("not empty"), "{}", output.stderr);
    std::fs::create_dir(sandbox.path("empty")).expect("a folder");
    events("empty").exits(0);
    let output = events("small.yaml").exits(2);
    assert!(output.stderr.contains("it is not a folder"), "{}", output.stderr);
    assert_eq!(hidden(&sandbox), [""; 0]);
}

#[test]
fn the_runs_and_steps_of_one_schedule() {
    let sandbox = trained();
    for steps in [&[][..], &["--metrics"]] {
        let all = objects(&export(&sandbox, &[&["--to", "jsonl"], steps].concat()).exits(0).stdout);
        let one = [&["--to", "jsonl", "--schedule", "constant"], steps].concat();
        let one = objects(&export(&sandbox, &one).exits(0).stdout);
        let mut expected: Vec<_> = all.into_iter().filter(|row| row["schedule"] == "constant").collect();
        for row in &mut expected {
            // This axis belongs to the other schedule.
            row.as_object_mut().expect("an object").remove("axis:schedule.body.to");
        }
        assert!(!expected.is_empty());
        assert_eq!(one, expected, "{steps:?}");
    }
}

#[test]
fn unsupported_exports_are_refused() {
    let sandbox = trained();
    for (args, words) in [
        (&["--to", "tensorboard"][..], "-o DIR"),
        (&["--to", "tensorboard", "--metrics", "-o", "x"], "--metrics is for tables"),
        (&["smal", "--to", "csv"], "did you mean `small`?"),
        (&["--to", "csv", "--schedule", "constnat"], "has no schedule `constnat` (did you mean `constant`?)"),
        (&["--to", "csv", "-o", "no/such/file"], "can't write no/such/file"),
        (&["--to", "csv", "-o", "runs"], "it is a directory"),
        (&["--to", "tensorboard", "-o", "no/such/folder"], "can't write no/such/folder"),
        (&["--to", "parquet", "-o", "x.parquet"], "--features parquet"),
    ] {
        let output = export(&sandbox, args).exits(2);
        assert!(output.stderr.contains(words), "{args:?}: no {words} in\n{}", output.stderr);
        assert_eq!(output.stdout, "");
    }
    assert!(!sandbox.path("x.parquet").exists());
}

fn event_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { event_files(&path, found) } else { found.push(path) }
    }
}

/// Files that an interrupted write has left.
fn hidden(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path("")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}
