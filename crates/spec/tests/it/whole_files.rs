//! Files with several mistakes: all are reported together, each once.

use crate::Files;

const GOOD: &str = "data: {dataset: digits, batch_size: 50}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\n\
                    budget: {steps: 100}\nlr: 0.1\nschedules: {a: {kind: cosine, to: 0}}\n";

/// All problems of a file.
fn problems(text: &str) -> Vec<String> {
    let world = Files(|name| name == "train.py");
    let found = spec::read_with(text, "x", &world).and_then(|spec| spec::plan(&spec)).expect_err(text);
    found.iter().map(ToString::to_string).collect()
}

/// Checks that the file has exactly these problems, each given by some words of it.
#[track_caller]
fn reports(text: &str, words: &[&str]) {
    let found = problems(text);
    assert_eq!(found.len(), words.len(), "{text}\n{found:#?}");
    for (problem, words) in found.iter().zip(words) {
        assert!(problem.contains(words), "{words} in {problem}");
    }
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_bad_value_does_not_hide_other_mistakes() {
    let text = with("{steps: 100}", "{steps: 0}")
        .replace("lr: 0.1", "lr: -0.1\nseeds: [1, 99999999999999999999999]");
    reports(
        &text,
        &[
            "budget.steps: expected a whole number of at least 1",
            "lr: expected a number above 0",
            "seeds[1]: this number is too large",
        ],
    );
    let text =
        with("{steps: 100}", "{epochs: 2, steps: 5}").replace("{kind: mlp}", "{kind: mlp, hidden: 128}");
    reports(&text, &["model.hidden: expected a list", "budget: `epochs` and `steps` are both given"]);
}

#[test]
fn an_unknown_kind_does_not_hide_mistakes_in_its_mapping() {
    let text = with("{kind: sgd}", "{kind: adm, momentum: 3, weight_decay: -1, betas: 2}");
    reports(
        &text,
        &[
            "expected one of `sgd` and `adamw`",
            "optimizer.momentum",
            "optimizer.weight_decay",
            "optimizer.betas",
        ],
    );
    let text = with("{kind: mlp}", "{kind: mpl, hidden: [0], latent: 0}");
    reports(&text, &["did you mean `mlp`", "model.hidden", "model.latent"]);
    let text = with("dataset: digits, batch_size: 50", "dataset: digit, batch_size: 0, limit: -1");
    reports(&text, &["did you mean `digits`", "data.batch_size", "data.limit"]);
    let text = with("{kind: cosine, to: 0}", "{kind: cosin, to: -1, over: 0}");
    reports(&text, &["did you mean `cosine`", "schedules.a.to", "schedules.a.over"]);
}

#[test]
fn schedules_that_do_not_fit_the_run_are_reported_with_other_mistakes() {
    let text = with("{kind: cosine, to: 0}", "{warmup: {over: 500}, body: 1x}, b: {kind: cosin}")
        .replace("lr: 0.1", "lr: 0.1\nseeds: [-1, 2, 2]");
    reports(
        &text,
        &["seeds: expected a seed", "seeds: duplicate seed 2", "the warmup takes 500", "schedules.b"],
    );
    let text = with(
        "{kind: cosine, to: 0}",
        "{kind: multistep, at: [-1, 50, x]}, b: {kind: piecewise, points: [[0, -1], [z, 1x]]}",
    );
    reports(&text, &["a.at[0]", "a.at[2]", "b.points[0]", "b.points[1]"]);
    let text = format!("{GOOD}lr_multipliers: {{fc1: 0, fc2: -1}}\nevaluate: {{every: x}}\n")
        .replace("{steps: 100}", "{step: 3}");
    reports(
        &text,
        &[
            "budget: expected one of",
            "budget.step: ",
            "lr_multipliers.fc1",
            "lr_multipliers.fc2",
            "evaluate.every",
        ],
    );
}

#[test]
fn a_mistake_in_a_task_or_program_does_not_hide_others() {
    let text = "task: {kind: quadratik, dimensions: 0, noise: -1}\noptimizer: {kind: sgd}\nbudget: {steps: 3}\nlr: 0.1\n\
                schedules: {a: 1x}\n";
    reports(text, &["did you mean `quadratic`", "task.dimensions", "task.noise"]);
    let text = "trainer: {command: [], files: [no.py], grace: soon}\nbudget: {steps: 3}\nlr: 0.1\nseeds: []\nschedules: {a: 1x}\n";
    reports(
        text,
        &["the command is empty", "file not found: `no.py`", "trainer.grace", "this list of seeds is empty"],
    );
}

#[test]
fn keys_of_other_tools_get_a_hint() {
    let wandb = "program: train.py\nmethod: grid\nmetric: {name: val_loss, goal: minimize}\nparameters:\n  \
                 lr: {values: [0.1, 0.01]}\n  batch_size: {value: 64}\n";
    let found = problems(wandb);
    let missing: Vec<&String> = found.iter().filter(|problem| problem.contains("missing")).collect();
    assert_eq!(missing.len(), 1, "{found:#?}");
    assert!(missing[0].contains("`schedules`") && missing[0].contains("`lr`"), "{found:#?}");
    assert!(found.iter().filter(|problem| problem.contains("known keys")).count() <= 1, "{found:#?}");
    assert!(found.iter().any(|problem| problem.contains("did you mean `valid_loss`?")), "{found:#?}");
    for (key, words) in [
        ("program", "trainer: {command: [python3, train.py]}"),
        ("method", "remove it"),
        ("parameters", "{values: [...]}"),
    ] {
        let hit = found.iter().find(|problem| problem.contains(&format!("unknown key `{key}`")));
        assert!(hit.is_some_and(|problem| problem.contains(words)), "{key}: {found:#?}");
    }
    for (key, words) in [
        ("precision: bf16", "single precision"),
        ("accumulate: 4", "a step is one batch"),
        ("gradient_accumulation_steps: 4", "a step is one batch"),
        ("early_stopping: {patience: 3}", "trained to its end"),
        ("weight_decay: 0.1", "belongs in `optimizer"),
        ("batch_size: 8", "belongs in `data"),
        ("epochs: 3", "budget: {epochs: 2}"),
        ("hidden: [3]", "belongs in `model"),
        ("max_grad_norm: 1", "clip_norm: 1"),
        ("eval_every: 10", "evaluate: {every: 100}"),
        ("device: cuda", "`--device`"),
        ("num_workers: 4", "`--workers`"),
        ("warmup_steps: 10", "{warmup: {over:"),
        ("command: [x]", "belongs in `trainer`"),
    ] {
        let found = problems(&format!("{GOOD}{key}\n"));
        assert!(found.len() == 1 && found[0].contains(words), "{key}: {found:#?}");
        let inside = with("{kind: cosine, to: 0}", &format!("{{kind: cosine, to: 0, {key}}}"));
        let found = problems(&inside);
        assert!(found.len() == 1 && found[0].contains(words), "{key}: {found:#?}");
    }
    // In its own section, an unknown key is reported without such a hint.
    let found = problems(&with("{kind: sgd}", "{kind: adamw, nesterov: true}"));
    assert!(found[0].contains("known keys"), "{found:#?}");
    let both = GOOD.replace("model:", "modle:").replace("optimizer: ", "qqq: 1\nzzz: 2\noptimizer: ");
    let found = problems(&both);
    assert_eq!(found.iter().filter(|problem| problem.contains("known keys")).count(), 1, "{found:#?}");
}

#[test]
fn other_notations_of_numbers_and_booleans_get_a_hint() {
    for (from, to, words) in [
        ("to: 0", "to: 0,1x", "write decimal numbers with a point: 0.1x"),
        ("to: 0", "to: '0,1x'", "write 0.1x"),
        ("steps: 100", "steps: 1_000", "write 1000"),
        ("steps: 100", "steps: 0x10", "write 16"),
        ("lr: 0.1", "lr: 0,1", "write 0.1"),
        ("to: 0", "to: 0, over: 0.05", "write a fraction as \"5%\""),
        ("to: 0", "to: 0, over: 0.07", "write a fraction as \"7%\""),
        ("to: 0", "to: 0, over: 12.5", "write 13, or \"12.5 epochs\""),
        ("steps: 100}", "steps: 100}\nevaluate: {every: 0.1}", "write a fraction as \"10%\""),
        ("{kind: sgd}", "{kind: sgd, momentum: 0.9, nesterov: yes}", "write true"),
        ("{kind: sgd}", "{kind: sgd, momentum: 0,9}", "a point: 0.9"),
        ("{kind: cosine, to: 0}", "{kind: one_cycle, three_phase: off}", "write false"),
    ] {
        reports(&with(from, to), &[words]);
    }
    let text = with("{kind: cosine, to: 0}", "{kind: step, every: {values: []}}");
    reports(&text, &["an axis needs at least one value"]);
}

#[test]
fn ambiguous_values_in_params_get_a_warning() {
    let warnings = |params: &str| -> Vec<String> {
        let text = format!(
            "trainer: {{command: [python3, train.py], params: {params}}}\nbudget: {{steps: 3}}\nlr: 0.1\nschedules: {{a: 1x}}\n"
        );
        let world = Files(|_| true);
        let spec = spec::read_with(&text, "x", &world).unwrap_or_else(|found| panic!("{text}{found:?}"));
        let found = spec::plan(&spec).expect("a plan").warnings;
        assert!(found.iter().all(|warning| warning.lint == Some("ambiguous-value")), "{found:?}");
        found.iter().map(ToString::to_string).collect()
    };
    for (value, words) in [
        ("no", "write false"),
        ("Yes", "write true"),
        ("on", "write true"),
        ("off", "write false"),
        ("y", "write true"),
        ("0x10", "write 16"),
        ("0o17", "write 15"),
        ("0b11", "write 3"),
        ("1_000", "write 1000"),
        ("012", "write 12"),
        ("None", "write null"),
        ("inf", "convert it to a number in the program"),
    ] {
        for place in [
            format!("{{x: {value}}}"),
            format!("{{x: {{y: [1, {value}]}}}}"),
            format!("{{x: {{values: [{value}, 5]}}}}"),
        ] {
            let found = warnings(&place);
            assert!(found.len() == 1 && found[0].contains(words), "{place}: {found:?}");
        }
        assert_eq!(warnings(&format!("{{x: \"{value}\"}}")), [""; 0], "quotes make it a text");
    }
    let found = warnings("{dropout: 0,1}");
    assert!(found.len() == 1 && found[0].contains("a point: 0.1"), "{found:?}");
    for quiet in ["true", "null", "~", "1e5", "0.5", "0", "-7", "relu", "2024-01-01", "v1.2", "norm", "a_1"] {
        assert_eq!(warnings(&format!("{{x: {quiet}}}")), [""; 0], "{quiet}");
    }
}
