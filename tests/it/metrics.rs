//! Metrics other than losses: what a program reports under its own names decides a sweep and is shown everywhere; steps to a
//! target.

use serde_json::json;

use crate::support::{Output, Sandbox, finish, root};

/// The lower lr has the better loss, and the higher lr the better `bleu`. The schedule `b` is better by `bleu`, and `a` by loss.
const PROGRAM: &str = "\
import sweep_trial as sweep
trial = sweep.current()
b = trial.schedule_name == 'b'
for step in trial.steps():
    trial.log(step, train_loss=2.0, **({'eval/f1': step / 10} if step % 2 else {}))
    if trial.evaluates(step):
        bleu = 20 + 50 * trial.base_lr + 2 * b + 0.01 * trial.seed + 0.1 * (step + 1)
        loss = 1 + trial.base_lr + 0.1 * b + 0.001 * trial.seed - 0.01 * (step + 1)
        trial.log(step, valid_loss=loss, **({'bleu': bleu} if trial.params['reports'] else {}))
trial.finish(valid_loss=loss)
";

const FILE: &str = "\
name: own
trainer: {command: [python3, train.py], params: {reports: true}}
budget: {steps: 10}
evaluate: {every: 5}
metric: {name: bleu, goal: maximize}
seeds: {tune: 2, decide: 6}
extend: false
lr: {values: [0.1, 0.2]}
schedules:
  a: {kind: constant}
  b: {kind: constant, value: 0.99x}
";

fn sandbox(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", PROGRAM);
    sandbox.write("own.yaml", file);
    sandbox
}

fn trained(sandbox: &Sandbox) -> Output {
    let mut command = sandbox.command(&["own.yaml"]);
    command.env("PYTHONPATH", root().join("python/src"));
    finish(command)
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_metric_of_the_program_decides_a_sweep() {
    let sandbox = sandbox(FILE);
    let ran = trained(&sandbox).exits(0);
    assert!(ran.stdout.contains("schedules by bleu"), "{}", ran.stdout);
    // The tuning seeds choose by it: by the loss, the lr would be 0.1.
    let chosen = sandbox.query("select distinct base_lr as lr from promotions where kind = 'chosen'");
    assert_eq!(chosen, json!([{"lr": 0.2}]));
    let rank = |args: &[&str]| {
        sandbox.run(&[&["rank", "--format", "json", "--quiet"], args].concat()).exits(0).json()
    };
    let own = rank(&[]);
    assert_eq!((&own[0]["schedule"], &own[0]["metric"]), (&json!("b"), &json!("bleu:max")));
    assert_eq!(
        (&own[1]["verdict"], &own[1]["n"], &own[1]["unreported"]),
        (&json!("worse"), &json!(6), &json!(0))
    );
    assert!((own[1]["diff"].as_f64().expect("a difference") + 2.0).abs() < 1e-9, "{own}");
    // The command line overrides it. The configs are still those that were trained on the deciding seeds.
    let loss = rank(&["--metric", "final"]);
    assert_eq!((&loss[0]["schedule"], &loss[0]["n"]), (&json!("a"), &json!(6)));
    assert_eq!(rank(&["--metric", "bleu"]), own);
    assert_eq!(rank(&["--metric", "bleu:min"])[0]["schedule"], json!("a"));
    assert_eq!(rank(&["--metric", "eval/f1:max"])[0]["mean"], json!(0.9), "the last value counts");
    let compared = sandbox.run(&["compare", "a", "b"]).exits(0).stdout;
    assert!(compared.starts_with("a is worse than b, bleu -2"), "{compared}");
    let best = sandbox.run(&["show", "best", "--format", "json"]).exits(0).json();
    assert_eq!((&best[0]["schedule"], &best[0]["seed"]), (&json!("b"), &json!(7)));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn metrics_of_the_program_are_shown_and_exported() {
    let sandbox = sandbox(FILE);
    trained(&sandbox).exits(0);
    let shown = sandbox.run(&["show", "best"]).exits(0).stdout;
    assert!(shown.contains("\"bleu\":33.07") && shown.contains("\"eval/f1\":0.9"), "{shown}");
    let steps = sandbox.run(&["show", "best", "--metrics", "--format", "csv"]).exits(0).stdout;
    let lines: Vec<&str> = steps.lines().collect();
    assert_eq!(lines[0], "step,lr,train_loss,valid_loss,grad_norm,bleu,eval/f1");
    assert!(lines[10].ends_with(",33.07,0.9") && lines[1].ends_with(",,,"), "{steps}");
    let runs = sandbox.run(&["export", "results", "--to", "csv"]).exits(0).stdout;
    assert!(runs.lines().next().is_some_and(|head| head.ends_with("metric:bleu,metric:eval/f1")), "{runs}");
    let steps = sandbox.run(&["export", "results", "--metrics", "--to", "csv"]).exits(0).stdout;
    assert!(steps.lines().next().is_some_and(|head| head.ends_with("grad_norm,bleu,eval/f1")), "{steps}");
    sandbox.run(&["export", "results", "--to", "tensorboard", "-o", "logs"]).exits(0);
    let curves = sandbox.query("select name, count(*) as n from metric_curves group by name order by name");
    assert_eq!(curves, json!([{"name": "bleu", "n": 40}, {"name": "eval/f1", "n": 100}]));
    for args in [&["report", "-o", "report.html"][..], &["report", "--format", "md", "-o", "report.md"]] {
        sandbox.run(args).exits(0);
    }
    let page = std::fs::read_to_string(sandbox.path("report.html")).expect("the report");
    assert!(page.contains("\"curve_metric\":\"bleu\"") && page.contains("\"curves\":[\"bleu\",\"eval/f1\"]"));
    sandbox.run(&["plot", "--figure", "curves", "-o", "curves.svg"]).exits(0);
    let figure = std::fs::read_to_string(sandbox.path("curves.svg")).expect("the figure");
    assert!(figure.contains("Bleu and learning rate"), "{figure:.2000}");
    // Removed trials leave no value.
    sandbox.run(&["rm", "own", "--yes"]).exits(0);
    assert_eq!(sandbox.query("select count(*) as n from metric_values"), json!([{"n": 0}]));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn an_unknown_metric_is_refused_with_the_nearest_name() {
    let sandbox = sandbox(&FILE.replace("name: bleu", "name: blue"));
    // The metrics of a program are known when its first runs have ended: nothing is trained on deciding seeds.
    let ran = trained(&sandbox).exits(2);
    assert!(
        ran.stderr.contains("no finished run of `own` has reported `blue` (did you mean `bleu`?)"),
        "{}",
        ran.stderr
    );
    assert_eq!(sandbox.query("select count(*) as n from cells where purpose = 'decide'"), json!([{"n": 0}]));
    // With the right name the same results are used.
    sandbox.write("own.yaml", FILE);
    let ran = trained(&sandbox).exits(0);
    assert!(ran.stderr.contains("8 already stored; training 12"), "{}", ran.stderr);
    for (metric, words) in [
        ("blue", "did you mean `bleu`?"),
        ("eval/f1", "--metric eval/f1:max"),
        ("perplexity", "they report `bleu` and `eval/f1`"),
        ("valid_los", "did you mean `valid_loss`?"),
        ("accuracy", "the runs of `own` have no test accuracy"),
    ] {
        let refused = sandbox.run(&["rank", "--metric", metric]).exits(2);
        assert!(refused.stderr.contains(words), "{metric}: {}", refused.stderr);
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_run_without_the_metric_ranks_last_and_is_said() {
    let file = FILE
        .replace("reports: true", "reports: {values: [true, false]}")
        .replace("{tune: 2, decide: 6}", "6");
    let sandbox = sandbox(&file);
    trained(&sandbox).exits(0);
    let rows = sandbox.run(&["rank", "--by", "config", "--format", "json"]).exits(0).json();
    assert_eq!(rows.as_array().map(Vec::len), Some(8));
    let without =
        file.replace("reports: {values: [true, false]}", "reports: false").replace("name: own", "name: none");
    sandbox.write("own.yaml", without);
    let refused = trained(&sandbox).exits(2);
    assert!(refused.stderr.contains("has reported `bleu` (they report `eval/f1`)"), "{}", refused.stderr);
}

const DIGITS: &str = "\
name: target
data: {dataset: digits, limit: 600, batch_size: 25}
model: {kind: mlp, hidden: [12]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 60}
evaluate: {every: 3}
seeds: {tune: 2, decide: 6}
extend: false
lr: {values: [0.02, 0.1]}
schedules:
  constant: {kind: constant}
  tiny: {kind: constant, value: 0.001x}
  linear: {kind: linear, to: 0}
";

#[test]
fn schedules_are_ranked_by_their_steps_to_a_target() {
    let sandbox = Sandbox::new();
    sandbox.write("t.yaml", format!("{DIGITS}metric: {{steps_to: {{valid_loss: 1.2}}}}\n"));
    let ran = sandbox.run(&["t.yaml"]).exits(0);
    assert!(ran.stdout.contains("schedules by steps to valid loss 1.2"), "{}", ran.stdout);
    assert!(ran.stdout.contains("did not reach the target: tiny 6/6"), "{}", ran.stdout);
    let rows = sandbox.run(&["rank", "--format", "json", "--quiet"]).exits(0).json();
    let last = &rows[2];
    assert_eq!(
        (&last["schedule"], &last["unreached"], &last["verdict"]),
        (&json!("tiny"), &json!(6), &json!("worse"))
    );
    assert_eq!((&last["mean"], &last["seconds"]), (&json!(61.0), &json!(null)));
    // The same from the evaluations, by hand.
    let config = rows[0]["config_id"].as_str().expect("an id");
    let by_hand = sandbox.query(&format!(
        "select avg(first) as mean from (select min(step) + 1 as first from evaluations join trials using (trial_id) \
         join cells using (trial_id) where config_id = '{config}' and purpose = 'decide' and valid_loss <= 1.2 group by trial_id)"
    ));
    assert_eq!((&by_hand[0]["mean"], rows[0]["unreached"].as_u64()), (&rows[0]["mean"], Some(0)));
    assert!(rows[0]["seconds"].as_f64() > Some(0.0), "{rows}");
    // By the loss, other configs than those that the target chose have no deciding runs, and are not used.
    let loss = sandbox.run(&["rank", "--metric", "final", "--format", "json", "--quiet"]).exits(0).json();
    assert!(loss.as_array().expect("rows").iter().all(|row| row["n"] == 6), "{loss}");
    // Accuracies of all evaluations are stored too.
    let accuracy = ["rank", "--metric", "steps_to:valid_accuracy:0.6", "--format", "json", "--quiet"];
    let accuracy = sandbox.run(&accuracy).exits(0).json();
    assert_eq!(accuracy[2]["schedule"], json!("tiny"));
}

#[test]
fn a_built_in_model_decides_by_its_accuracy() {
    let sandbox = Sandbox::new();
    sandbox.write("t.yaml", format!("{DIGITS}metric: valid_accuracy\n"));
    sandbox.run(&["t.yaml", "--quiet"]).exits(0);
    let rows = sandbox.run(&["rank", "--format", "json", "--quiet"]).exits(0).json();
    let config = rows[0]["config_id"].as_str().expect("an id");
    let by_hand = sandbox.query(&format!(
        "select avg(valid_accuracy) as mean from trials join cells using (trial_id) \
         where config_id = '{config}' and purpose = 'decide'"
    ));
    let mean = |row: &serde_json::Value| row["mean"].as_f64().expect("a mean");
    assert!((mean(&rows[0]) - mean(&by_hand[0])).abs() < 1e-12 && mean(&rows[0]) >= mean(&rows[1]), "{rows}");
}

/// Its `bleu` stops rising after step 4; the loss falls until the end.
const STAGNATES: &str = "\
import sweep_trial as sweep
trial = sweep.current()
for step in trial.steps():
    trial.lr(step)
    if trial.evaluates(step):
        trial.log(step, train_loss=2.0 - 0.1 * step, valid_loss=2.0 - 0.1 * step, bleu=min(step, 4))
    else:
        trial.log(step, train_loss=2.0 - 0.1 * step)
trial.finish(valid_loss=1.0)
";

const WATCHES: &str = "\
name: watches
trainer: {command: [python3, train.py]}
budget: {steps: 10}
evaluate: {every: 2}
seeds: 1
lr: 0.1
schedules:
  p: {kind: plateau, watch: bleu, mode: max, patience: 0, factor: 0.5}
";

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_schedule_watches_a_metric_of_the_program() {
    let sandbox = sandbox(WATCHES);
    sandbox.write("train.py", STAGNATES);
    trained(&sandbox).exits(0);
    let lrs = sandbox.query("select lr from steps order by step");
    let lrs: Vec<f64> = lrs.as_array().expect("rows").iter().filter_map(|row| row["lr"].as_f64()).collect();
    // The checks after steps 1, 3 and 5 see a rise, those after steps 7 and 9 do not.
    assert_eq!(lrs, [vec![0.1; 8], vec![0.05; 2]].concat());
    // A metric that is not reported when it is due would leave the lr as it is without a word.
    sandbox.write("own.yaml", WATCHES.replace("watch: bleu", "watch: rouge"));
    let failed = trained(&sandbox);
    assert!(failed.stderr.contains("step 1 has no `rouge`, which the schedule needs"), "{}", failed.stderr);
}

#[test]
fn only_programs_have_metrics_to_watch_and_the_user_says_which_values_are_better() {
    let built_in = WATCHES.replace(
        "trainer: {command: [python3, train.py]}",
        "task: {kind: quadratic}\noptimizer: {kind: sgd}",
    );
    for (file, message) in [
        (WATCHES.replace("mode: max, ", ""), "`bleu` needs `mode: max`"),
        (WATCHES.replace("watch: bleu", "watch: valid_los"), "did you mean `valid_loss`?"),
        (
            WATCHES.replace("watch: bleu", "watch: loss"),
            "`loss` is ambiguous: write `train_loss` or `valid_loss`",
        ),
        (WATCHES.replace("watch: bleu", "watch: test_loss"), "or a metric of the program's own"),
        (built_in, "this schedule watches `bleu`, but only a `trainer` program reports such metrics"),
    ] {
        let checked = sandbox(&file).run(&["check", "own.yaml"]).exits(2);
        assert!(checked.stderr.contains(message), "{}", checked.stderr);
    }
}
