//! The key `metric` of a sweep file.

use spec::metric::{Direction, Metric, Target, in_text};

use crate::Files;

const MODEL: &str = "data: {dataset: digits}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\n";
const PROGRAM: &str = "trainer: {command: [python3, train.py]}\n";

fn file(task: &str, metric: &str) -> String {
    format!("{task}budget: {{steps: 100}}\nlr: 0.1\nschedules: {{a: {{kind: constant}}}}\nmetric: {metric}\n")
}

fn read(task: &str, metric: &str) -> Result<Metric, String> {
    let text = file(task, metric);
    let read = spec::read_with(&text, "x", &Files(|name| name == "train.py"));
    match read {
        Ok(spec) => {
            // A stored text has the same metric.
            assert_eq!(in_text(&text), spec.metric, "{metric}");
            Ok(spec.metric)
        }
        Err(found) => Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn a_metric_has_a_name_and_a_goal() {
    let (low, high) = (Direction::LowerIsBetter, Direction::HigherIsBetter);
    let own = |name: &str, direction| Metric::Own { name: name.to_owned(), direction };
    let target =
        |name: &str, direction, value| Metric::StepsTo(Target { name: name.to_owned(), direction, value });
    for (task, text, expected) in [
        (MODEL, "final", Metric::Final),
        (MODEL, "valid_loss", Metric::Final),
        (MODEL, "{name: valid_loss, goal: minimize}", Metric::Final),
        (MODEL, "best", Metric::Best),
        (MODEL, "tail:50", Metric::Tail(50)),
        (MODEL, "valid_accuracy", Metric::ValidAccuracy),
        (MODEL, "{steps_to: {valid_loss: 3.28}}", target("valid_loss", low, 3.28)),
        (MODEL, "{steps_to: {valid_accuracy: 0.9}}", target("valid_accuracy", high, 0.9)),
        (PROGRAM, "{name: bleu, goal: maximize}", own("bleu", high)),
        (PROGRAM, "{name: eval/perplexity, goal: minimize}", own("eval/perplexity", low)),
        (PROGRAM, "{steps_to: {bleu: 30}, goal: maximize}", target("bleu", high, 30.0)),
    ] {
        assert_eq!(read(task, text), Ok(expected), "{text}");
    }
    assert_eq!(in_text("schedules: {a: {kind: constant}}\n"), Metric::Final);
}

#[test]
fn other_metrics_are_refused() {
    for (task, text, words) in [
        (MODEL, "3", "7:9: metric: expected the name of a metric"),
        (MODEL, "valid_los", "metric: unknown metric `valid_los` (did you mean `valid_loss`?)"),
        (MODEL, "{name: bleu, goal: maximize}", "unknown metric `bleu`: a built-in model has final, best"),
        (
            PROGRAM,
            "bleu",
            "whether a lower or a higher `bleu` is better is missing (write {name: bleu, goal: maximize}",
        ),
        (PROGRAM, "{name: bleu, goal: max}", "metric.goal: expected one of `minimize` and `maximize`"),
        (PROGRAM, "{goal: maximize}", "missing key `name`"),
        (PROGRAM, "{name: bleu, gaol: maximize}", "unknown key `gaol` (did you mean `goal`?)"),
        (PROGRAM, "{name: loss, goal: minimize}", "`loss` is ambiguous: write `train_loss` or `valid_loss`"),
        (PROGRAM, "{name: val_loss, goal: minimize}", "did you mean `valid_loss`?"),
        (
            MODEL,
            "{name: valid_accuracy, goal: minimize}",
            "a higher `valid_accuracy` is better: this goal contradicts it",
        ),
        (MODEL, "test_loss", "`test_loss` can't decide a sweep: test data never choose a config"),
        (MODEL, "{steps_to: 3}", "metric.steps_to: expected a metric and its target"),
        (MODEL, "{steps_to: {valid_loss: low}}", "metric.steps_to.valid_loss: expected a number"),
        (MODEL, "{steps_to: {train_loss: 1}}", "`train_loss` can't have a target"),
        (PROGRAM, "{steps_to: {bleu: 30}}", "whether a lower or a higher `bleu` is better is missing"),
        (MODEL, "{steps_to: {valid_loss: 1, valid_accuracy: 1}}", "expected one metric with its target"),
        (MODEL, "{steps_to: {valid_loss: 1}, name: best}", "can't be combined with `steps_to`"),
        (MODEL, "{values: [final, best]}", "unknown key `values`"),
    ] {
        let message = read(task, text).expect_err(text);
        assert!(message.contains(words), "{text}: {message}");
    }
    let model = "task: {kind: quadratic, dimensions: 5}\noptimizer: {kind: sgd}\n";
    let message = read(model, "valid_accuracy").expect_err("no accuracy");
    assert!(message.contains("metric: this model has no accuracy"), "{message}");
    let once = format!("{MODEL}evaluate: {{every: 100}}\n");
    let message = read(&once, "{steps_to: {valid_loss: 1}}").expect_err("one evaluation");
    assert!(message.contains("evaluated only after their last step"), "{message}");
}
