//! Every built-in task gives the same bits in all ways of running it, and tasks with a closed form reach their expected losses.

use spec::catalogue::{ModelKind, Reads};

use crate::same_bits::{assert_same, instruction_sets, results, run_file};
use crate::support::{Sandbox, root, signal, wait};

/// A model on a custom table.
const TABLE: &str = "data: {dataset: {csv: table.csv, label: kind, test: 20%}, batch_size: 8}\nmodel: {kind: mlp, hidden: [6]}";

/// The built-in tasks: name, and model with data.
fn tasks() -> impl Iterator<Item = (&'static str, String)> {
    let task = |model: &&'static ModelKind| {
        let task = match model.reads {
            Reads::Rows => {
                format!("data: {{dataset: digits, batch_size: 8, limit: 60}}\nmodel: {}", model.example)
            }
            Reads::Text => {
                format!("data: {{dataset: emma, batch_size: 4, limit: 60}}\nmodel: {}", model.example)
            }
            Reads::Nothing => format!("task: {}", model.example),
        };
        (model.name, task)
    };
    trainer::catalogue().models.iter().map(task).chain([("a table", TABLE.to_owned())])
}

/// Schedules with common beginnings, and closed-loop rules on losses, gradients and weights.
const REST: &str = "
name: ways
optimizer: {kind: sgd, momentum: 0.5}
budget: {steps: 24}
seeds: 2
lr: 0.02
evaluate: {every: 8}
schedules:
  constant: {kind: constant}
  wsd: {body: 1x, cooldown: {over: {values: [5, 10]}, to: 0}}
  cycled: {kind: one_cycle, momentum: {min: 0.4, max: 0.6}}
  validated: {kind: plateau, watch: valid_loss, every: 8, factor: 0.5, patience: 0}
  adagrad_norm: {scale: 0.1, of: {kind: adagrad_norm}}
  free: {kind: schedule_free}
  dog: {kind: dog}
";

fn table() -> String {
    let row = |i: usize| {
        let x = ((i * 37) % 101) as f64 / 50.0;
        format!("{x},{},{}\n", ((i * 53) % 97) as f64 - 40.0, ["a", "b", "c"][i % 3])
    };
    format!("x,y,kind\n{}", (0..90).map(row).collect::<String>())
}

/// Runs a task in a separate folder with the files that it needs.
fn run(
    task: &str,
    args: &[&str],
    cpu: Option<&str>,
) -> (Sandbox, std::collections::BTreeMap<String, serde_json::Value>) {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", table());
    sandbox.write("ways.yaml", format!("{task}{REST}"));
    let mut command = sandbox.command(&[&["ways.yaml"], args].concat());
    cpu.map(|cpu| command.env("SWEEP_CPU", cpu));
    crate::support::finish(command).exits(0);
    let found = results(&sandbox);
    (sandbox, found)
}

#[test]
fn every_task_has_the_same_bits_in_every_way_of_running_it() {
    for (name, task) in tasks() {
        let (separate, expected) = run(&task, &["--no-share", "--lanes", "1", "--workers", "1"], None);
        assert_eq!(expected.len(), 16, "{name}");
        assert!(expected.values().all(|row| row["status"] == "done"), "{name}: {expected:?}");
        let ids: Vec<&str> = expected.keys().map(String::as_str).collect();
        for id in ids.iter().step_by(5) {
            separate.run(&["reproduce", id, "--quiet"]).exits(0);
        }
        for args in
            [&["--workers", "2"][..], &["--lanes", "16"], &["--lanes", "3", "--checkpoint-every", "0"]]
        {
            assert_same(&run(&task, args, None).1, &expected, &format!("{name} {}", args.join(" ")));
        }
        for level in instruction_sets() {
            assert_same(&run(&task, &[], Some(level)).1, &expected, &format!("{name} {level}"));
        }
    }
}

#[test]
fn every_task_resumes_from_its_checkpoints_to_the_same_bits() {
    for (name, task) in tasks() {
        // Long enough to be interrupted; the steps of tasks with a closed form are short.
        let steps = if task.starts_with("task:") { 24_000 } else { 600 };
        let rest = REST
            .replace("steps: 24", &format!("steps: {steps}"))
            .replace("every: 8", &format!("every: {}", steps / 3));
        let file = format!("{task}{rest}");
        let (whole, stopped) = (Sandbox::new(), Sandbox::new());
        for sandbox in [&whole, &stopped] {
            sandbox.write("table.csv", table());
            sandbox.write("ways.yaml", &file);
        }
        whole.run(&["ways.yaml", "-q"]).exits(0);
        let mut child =
            stopped.start(&["ways.yaml", "--checkpoint-every", "0", "--workers", "1", "--lanes", "2"]);
        let database = stopped.path("runs/sweep.db");
        wait("a first step", || {
            database.exists()
                && stopped
                    .run(&["query", "select 1 from metrics limit 1", "--format", "json"])
                    .stdout
                    .contains('1')
        });
        signal(&child, "-TERM");
        assert_eq!(child.wait().expect("the process ends").code(), Some(130), "{name}: it was over before");
        let middle = "select trial_id from trials where status = 'stopped' and steps_done > 0";
        assert!(!stopped.texts(middle).is_empty(), "{name}: nothing stopped in the middle");
        stopped.run(&["ways.yaml", "-q"]).exits(0);
        assert_same(&results(&stopped), &results(&whole), name);
    }
}

const TEN: &str = "
optimizer: {kind: sgd}
budget: {steps: 300}
seeds: 120
extend: false
schedules:
  constant: {kind: constant}
  linear: {kind: linear, to: 0}
  cosine: {kind: cosine, to: 0}
  step: {kind: multistep, at: [\"50%\", \"75%\"], gamma: 0.1}
  exponential: {kind: exponential, gamma: 0.985}
  inverse: {kind: lambda, expr: \"1 / (1 + 10 * t / T)\"}
  warm: {warmup: {over: \"5%\", from: 0}, body: {kind: polynomial, power: 2, to: 0}}
  wsd: {body: 1x, cooldown: {over: \"20%\", to: 0}}
  triangle: {kind: one_cycle}
  restarts: {restart: {kind: cosine, to: 0}, every: \"25%\"}
";

/// The rows of `sweep expect`.
fn expected(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let rows = sandbox.run(&["expect", "ten.yaml", "--format", "json"]).exits(0).json();
    rows.as_array().expect("rows").clone()
}

/// Compares the mean losses of many seeds with the closed form, for both tasks, with and without momentum.
#[test]
fn ten_schedules_reach_their_expected_losses() {
    for (task, optimizer, lr) in [
        ("{kind: quadratic, dimensions: 30}", "{kind: sgd}", "{values: [0.05, 0.3]}"),
        (
            "{kind: quadratic, dimensions: 30, noise: 0.3, batch_size: 4, exponent: 0.5}",
            "{kind: sgd, momentum: 0.8}",
            "0.05",
        ),
        ("{kind: power-law-regression, dimensions: 30}", "{kind: sgd}", "0.1"),
        (
            "{kind: power-law-regression, dimensions: 30, batch_size: 2, noise: 0.5}",
            "{kind: sgd, momentum: 0.8}",
            "0.02",
        ),
    ] {
        let sandbox = Sandbox::new();
        let file = TEN.replace("{kind: sgd}", optimizer);
        sandbox.write("ten.yaml", format!("task: {task}\nlr: {lr}{file}"));
        sandbox.run(&["ten.yaml", "-q"]).exits(0);
        let rows = expected(&sandbox);
        assert!(rows.len() >= 10, "{rows:?}");
        let z: Vec<f64> = rows.iter().map(|row| row["z"].as_f64().expect("a number")).collect();
        for (row, z) in rows.iter().zip(&z) {
            assert_eq!(row["runs"], 120);
            assert!(z.abs() < 4.0, "{task}: {row}");
            let (mean, expected) =
                (row["mean"].as_f64().expect("a mean"), row["expected"].as_f64().expect("a loss"));
            assert!((mean / expected - 1.0).abs() < 0.1, "{task}: {row}");
        }
    }
}

/// In experiments/quadratic.yaml the schedule with the best expected loss is ranked first.
#[test]
fn the_best_schedule_by_the_closed_form_is_ranked_first() {
    let sandbox = Sandbox::new();
    let file = std::fs::read(root().join("experiments/quadratic.yaml")).expect("the experiment");
    sandbox.write("ten.yaml", file);
    sandbox.run(&["ten.yaml", "-q"]).exits(0);
    let rows = expected(&sandbox);
    assert_eq!(rows[0]["schedule"], "linear", "{:?}", rows[0]);
    let lines = sandbox.run(&["rank", "--format", "json"]).exits(0).json();
    let mean = |line: &serde_json::Value| line["mean"].as_f64().expect("a mean");
    let lines = lines.as_array().expect("lines");
    let linear = lines.iter().find(|line| line["schedule"] == "linear").expect("a line");
    assert!(mean(linear) <= 1.01 * mean(&lines[0]), "{linear} {}", lines[0]);
    assert_eq!(linear["base_lr"], rows[0]["base_lr"]);
    let constant = lines.iter().find(|line| line["schedule"] == "constant").expect("a line");
    assert!(mean(constant) > 1.2 * mean(linear), "{constant}");
}

#[test]
fn tasks_without_a_closed_form_are_reported() {
    let sandbox = Sandbox::new();
    let refused = |file: &str, words: &str| {
        sandbox.write("a.yaml", file);
        let message = sandbox.run(&["expect", "a.yaml"]).exits(2).stderr;
        assert!(message.contains(words), "{words} in {message}");
    };
    let quadratic = "task: {kind: quadratic}\nbudget: {steps: 9}\nlr: 0.1\n";
    refused(
        &format!("{quadratic}optimizer: {{kind: adamw}}\nschedules: {{a: {{kind: constant}}}}\n"),
        "it needs plain sgd, with or without momentum; remove or change `optimizer.kind`",
    );
    refused(
        &format!("{quadratic}optimizer: {{kind: sgd}}\nschedules: {{a: {{kind: plateau}}}}\n"),
        "it needs an open-loop schedule",
    );
    refused(
        "data: {dataset: digits}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\nbudget: {steps: 9}\nlr: 0.1\n\
         schedules: {a: {kind: constant}}\n",
        "only the tasks quadratic and power-law-regression",
    );
    refused(
        "task: {kind: quadratic}\noptimizer: {kind: sgd}\nbudget: {epochs: 2}\nlr: 0.1\nschedules: {a: {kind: constant}}\n",
        "the number of steps in an epoch of a task that generates its examples is unknown",
    );
    refused(
        "task: {kind: quadratik}\noptimizer: {kind: sgd}\nbudget: {steps: 2}\nlr: 0.1\nschedules: {a: {kind: constant}}\n",
        "did you mean `quadratic`?",
    );
}

/// The loss is far below the entropy of the character frequencies.
#[test]
fn a_small_transformer_learns_to_spell() {
    let file = "\
data: {dataset: emma, batch_size: 8, limit: 2000}
model: {kind: char-gpt, layers: 1, heads: 2, width: 32, context: 32}
optimizer: {kind: adamw}
clip_norm: 1
budget: {steps: 300}
lr: 0.003
schedules: {cosine: {kind: cosine, to: 0}}
";
    let (_, found) = run_file(file, &[], None);
    let row = found.values().next().expect("a trial");
    let loss = row["final_valid_loss"].as_f64().expect("a loss");
    assert!((1.5..2.75).contains(&loss), "{loss}");
    assert!(row["valid_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.2), "{row}");
}

/// A model that predicts the mean of each pixel has a loss of about 206 nats per image of MNIST.
#[test]
fn a_small_autoencoder_learns_shapes() {
    let file = "\
data: {dataset: mnist, batch_size: 50, limit: 5000}
model: {kind: vae, hidden: [64], latent: 2}
optimizer: {kind: adamw, weight_decay: 0}
budget: {steps: 300}
lr: 0.003
schedules: {cosine: {kind: cosine, to: 0}}
";
    let (_, found) = run_file(file, &[], None);
    let row = found.values().next().expect("a trial");
    let loss = row["final_valid_loss"].as_f64().expect("a loss");
    assert!((150.0..195.0).contains(&loss), "{loss}");
    assert!(row["valid_accuracy"].is_null(), "{row}");
}
