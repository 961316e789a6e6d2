//! Closed-loop rules that watch the validation accuracy of a built-in model. `programs` has the test with an external program.

use crate::support::Sandbox;

/// The lr of each step under torch's ReduceLROnPlateau(mode="max", factor=0.5, patience=0, threshold=0), for accuracies
/// that are measured every `every` steps.
fn halved(lr: f64, accuracies: &[f64], every: usize) -> Vec<f64> {
    let (mut lr, mut best, mut lrs) = (lr, f64::NEG_INFINITY, Vec::new());
    for accuracy in accuracies {
        lrs.extend(vec![lr; every]);
        if *accuracy > best {
            best = *accuracy;
        } else {
            lr *= 0.5;
        }
    }
    lrs
}

fn numbers(sandbox: &Sandbox, sql: &str) -> Vec<f64> {
    let rows = sandbox.query(sql);
    let rows = rows.as_array().expect("rows");
    rows.iter().map(|row| row["x"].as_f64().expect("a number")).collect()
}

/// Runs of all lengths give the accuracies that the longest run measured on its way.
#[test]
fn a_rule_follows_the_accuracy_of_a_model() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "a.yaml",
        "data: {dataset: digits, batch_size: 20}\nmodel: {kind: mlp, hidden: [8]}\noptimizer: {kind: sgd, momentum: 0.9}\n\
         budget: {steps: {values: [10, 20, 30, 40, 50, 60, 70, 80]}}\nevaluate: {every: 10}\nlr: 0.4\nschedules:\n  \
         a: {kind: plateau, watch: valid_accuracy, factor: 0.5, patience: 0, threshold: 0}\n",
    );
    sandbox.run(&["a.yaml", "-q"]).exits(0);
    let accuracies = numbers(&sandbox, "select valid_accuracy as x from trials order by steps");
    let lrs = numbers(
        &sandbox,
        "select lr as x from metrics join trials using (trial_id) where steps = 80 order by step",
    );
    let expected = halved(0.4, &accuracies, 10);
    assert_eq!(lrs, expected, "{accuracies:?}");
    assert!(expected.first() != expected.last(), "no cut was made: {accuracies:?}");
}

#[test]
fn a_model_without_an_accuracy_is_refused() {
    let sandbox = Sandbox::new();
    for workload in [
        "data: {dataset: digits, batch_size: 20}\nmodel: {kind: vae}",
        "task: {kind: quadratic}",
        "task: {kind: power-law-regression}",
    ] {
        sandbox.write(
            "a.yaml",
            format!(
                "{workload}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 9}}\nlr: 0.1\nschedules:\n  \
                 a: {{warmup: {{over: 2}}, body: {{kind: plateau, watch: valid_accuracy}}}}\n"
            ),
        );
        let message = sandbox.run(&["check", "a.yaml"]).exits(2).stderr;
        assert!(
            message.contains("watches the validation accuracy, but this model has no accuracy"),
            "{message}"
        );
    }
}
