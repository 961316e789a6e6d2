//! From a spec to a plan: names of configs by their axes, and that a problem of many configs is reported once.

use spec::{Plan, plan};

const RUN: &str = "data: {dataset: digits}\nmodel: {kind: mlp, hidden: [{values: [4, 8]}]}\noptimizer: {kind: sgd}\n\
                   budget: {steps: 10}\nlr: {values: [0.1, 0.2]}\nseeds: 2\n";

fn planned(schedules: &str) -> Plan {
    let text = format!("{RUN}{schedules}\n");
    let spec = trainer::read(&text, "x").unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    plan(&spec).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

#[test]
fn configs_are_named_by_the_paths_of_their_axes() {
    let plan =
        planned("schedules: {a: {kind: linear, to: {values: [0, 0.1x]}}, b: {values: [1x, {kind: cosine}]}}");
    let axes = |i: usize| -> Vec<String> {
        plan.trials[i].config.axes.iter().map(|(path, value)| format!("{path} = {value}")).collect()
    };
    assert_eq!(axes(0), ["model.hidden.0 = 4", "schedule.to = 0"]);
    assert_eq!(axes(7), ["model.hidden.0 = 8", "schedule.to = \"0.1x\""]);
    assert_eq!(axes(15), ["model.hidden.0 = 8", "schedule = {kind: cosine}"]);
    assert_eq!(plan.trials.len(), 2 * 2 * 4 * 2);
}

#[test]
fn a_bad_axis_is_one_problem_and_does_not_affect_other_axes() {
    for (from, to, at) in [
        ("lr: {values: [0.1, 0.2]}", "lr: {values: []}\nclip_norm: {values: [1, 2]}", "[]"),
        (
            "lr: {values: [0.1, 0.2]}",
            "lr:\n  values:\n    - 1\n    - 2\n    - 1.0\nclip_norm: {values: [1, 2]}",
            "1.0",
        ),
        ("[{values: [4, 8]}]", "[{values: 4}, {values: [4, 8]}]", "4"),
        ("{a: 1x}", "{a: {kind: step, every: {values: []}, gamma: {values: [0.5]}}}", "[]"),
        (
            "{a: 1x}",
            "{a: {phases: [{for: {linspace: [3, 1, 2]}, value: {values: [1x, 0]}}, {value: 0}]}}",
            "[3, 1, 2]",
        ),
        ("{a: 1x}", "{a: {kind: multistep, at: [3, {values: [4, 4]}], gamma: {values: [0.5, 0.2]}}}", "4"),
    ] {
        let text = format!("{RUN}schedules: {{a: 1x}}\n").replacen(from, to, 1);
        let problems = trainer::read(&text, "x").expect_err(&text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert_eq!(&text[problems[0].place.start..problems[0].place.end], at, "{problems:?}");
    }
}

#[test]
fn a_bad_axis_does_not_hide_other_mistakes() {
    let text = format!(
        "{RUN}clip_norm: {{values: []}}\ncolour: 1\nschedules: {{a: {{kind: cosine, to: {{values: 1}}, frm: 0}}}}\n"
    );
    let problems = trainer::read(&text, "x").expect_err(&text);
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        ["clip_norm.values", "colour", "schedules.a.to.values", "schedules.a.frm"],
        "{problems:?}"
    );
}

#[test]
fn a_problem_of_many_configs_is_reported_once_at_its_value() {
    let text = format!("{RUN}schedules: {{a: {{warmup: {{over: 11}}, body: 1x}}}}\n");
    let spec = trainer::read(&text, "x").expect("good except for the length");
    let problems = plan(&spec).expect_err("a warmup longer than the run");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(&text[problems[0].place.start..problems[0].place.end], "11");
    assert_eq!(problems[0].path, "schedules.a.warmup.over");
}

/// This includes closed-loop rules, which are compared by their parameters.
#[test]
fn a_schedule_and_its_library_name_are_the_same_trial() {
    let id = |schedule: &str| planned(&format!("schedules: {{a: {schedule}}}")).trials[0].id.clone();
    for (named, own) in [
        (
            "{kind: torch.ReduceLROnPlateau, patience: 2, min_lr: 0.1x}",
            "{kind: plateau, min: 0.1x, patience: 2}",
        ),
        ("\"torch.ReduceLROnPlateau(opt, patience=2)\"", "{kind: plateau, patience: 2}"),
        (
            "\"get_scheduler('greedy', opt, scheduler_specific_kwargs={'patience': 1})\"",
            "{kind: greedy, patience: 1}",
        ),
        ("\"torch.CosineAnnealingLR(opt, T_max=10)\"", "{kind: cosine}"),
        ("{kind: torch.StepLR, step_size: \"50%\"}", "{kind: step, every: 5}"),
    ] {
        assert_eq!(id(named), id(own), "{named}");
    }
    assert_ne!(id("\"torch.ReduceLROnPlateau(opt, patience=2)\""), id("{kind: plateau, patience: 3}"));
}
