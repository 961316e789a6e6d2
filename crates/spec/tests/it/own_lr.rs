//! Schedules with their own base lr or lr grid.

use std::collections::BTreeSet;

use spec::protocol::{AddedBy, AddedLr, Decisions};
use spec::{Plan, Spec, plan, plan_on, yaml};

use crate::schema::takes_file;

const RUN: &str = "data: {dataset: digits}\nmodel: {kind: mlp}\noptimizer: {kind: sgd}\nbudget: {values: [{steps: 10}, {steps: 20}]}\n";

fn spec(text: &str) -> Spec {
    assert!(takes_file(&yaml::read(text).expect("good YAML")), "the schema accepts it: {text}");
    trainer::read(text, "x").unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn planned(rest: &str) -> Plan {
    let text = format!("{RUN}{rest}\n");
    plan(&spec(&text)).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Base lrs and steps of a schedule's runs, in order.
fn runs(plan: &Plan, schedule: &str) -> Vec<(f64, u64)> {
    let own = plan.cells.iter().filter(|cell| cell.schedule == schedule);
    own.map(|cell| &plan.trials[cell.trial].config)
        .map(|config| (config.base_lr, config.task.steps))
        .collect()
}

fn ids(plan: &Plan) -> BTreeSet<&str> {
    plan.trials.iter().map(|trial| trial.id.as_str()).collect()
}

#[test]
fn a_schedules_own_lr_replaces_the_files_lr() {
    let plan = planned(
        "lr: {values: [0.1, 0.2]}\nschedules: {a: {kind: cosine}, b: {kind: linear, to: 0.5x, lr: {values: [1, 3]}}}",
    );
    assert_eq!(runs(&plan, "a"), [(0.1, 10), (0.2, 10), (0.1, 20), (0.2, 20)]);
    assert_eq!(runs(&plan, "b"), [(1.0, 10), (3.0, 10), (1.0, 20), (3.0, 20)]);
    let b = plan.trials.iter().find(|trial| trial.config.schedule_name == "b").expect("a trial of b");
    let state = b.config.start();
    assert_eq!(b.config.schedule.lr(0, &state), 1.0, "1x is the schedule's own lr");
    assert!(b.config.axes.iter().all(|(path, _)| path == "budget"), "the base lr is not an axis");
    assert_eq!(b.config.json()["lr"], 1.0);
    assert!(b.config.json()["schedule"].get("lr").is_none());
}

#[test]
fn ids_do_not_depend_on_where_the_lr_is_written() {
    for schedule in [
        "{kind: cosine, to: 0.1x}",
        "{kind: plateau, patience: 1}",
        "{warmup: {over: 2}, body: {kind: cosine}}",
        "{phases: [{for: 3, value: 1x}, {kind: linear, to: 0}]}",
        "{body: \"torch.CosineAnnealingLR(T_max=10)\"}",
        "{kind: torch.StepLR, step_size: 3}",
    ] {
        let with_lr = schedule.replacen('{', "{lr: 0.3, ", 1);
        let of_file = planned(&format!("lr: 0.3\nschedules: {{a: {schedule}}}"));
        let own = planned(&format!("lr: {{values: [0.1, 5]}}\nschedules: {{a: {with_lr}}}"));
        let only = planned(&format!("schedules: {{a: {with_lr}}}"));
        assert_eq!(ids(&of_file), ids(&own), "{schedule}");
        assert_eq!(ids(&of_file), ids(&only), "{schedule}");
    }
}

#[test]
fn every_form_of_an_axis_is_an_lr_grid() {
    for (lr, lrs) in [
        ("0.5", vec![0.5]),
        ("{values: [0.5, 2]}", vec![0.5, 2.0]),
        ("{linspace: [1, 3, 3]}", vec![1.0, 2.0, 3.0]),
        ("{logspace: [0.01, 1, 3]}", vec![0.01, 0.1, 1.0]),
    ] {
        let spec =
            spec(&format!("{RUN}schedules: {{a: {{kind: cosine, lr: {lr}}}, b: {{kind: linear, lr: 7}}}}\n"));
        assert_eq!(spec.schedules[0].lrs(&spec), lrs, "{lr}");
        assert_eq!(spec.schedules[1].lrs(&spec), [7.0]);
    }
    // In an axis of complete schedules, each value has its own lr.
    let plan = planned(
        "lr: 9\nschedules: {a: {values: [{kind: cosine, lr: 1}, {kind: linear, lr: 2}, {kind: constant}]}}",
    );
    assert_eq!(runs(&plan, "a"), [(1.0, 10), (1.0, 20), (2.0, 10), (2.0, 20), (9.0, 10), (9.0, 20)]);
    // With another axis, each value is combined with each.
    let plan = planned("schedules: {a: {kind: linear, to: {values: [0, 0.1x]}, lr: {values: [1, 2]}}}");
    assert_eq!(plan.trials.len(), 2 * 2 * 2);
}

#[test]
fn a_grid_is_extended_only_for_the_given_budget() {
    let spec = spec(&format!(
        "{RUN}lr: 5\nschedules: {{a: {{kind: cosine, lr: {{values: [1, 2]}}}}, b: {{kind: linear}}}}\n"
    ));
    let added = vec![AddedLr { by: AddedBy::Extend, schedule: "a".into(), steps: 20, base_lr: 4.0 }];
    let plan = plan_on(&spec, Decisions { added, ..Decisions::default() }).expect("a plan");
    assert_eq!(runs(&plan, "a"), [(1.0, 10), (2.0, 10), (1.0, 20), (2.0, 20), (4.0, 20)]);
    assert_eq!(runs(&plan, "b"), [(5.0, 10), (5.0, 20)]);
}

#[test]
fn an_unused_lr_gets_a_warning() {
    let warned = |rest: &str| planned(rest).warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = warned(
        "lr: {values: [1, 2]}\nschedules: {a: {kind: cosine, lr: 1}, b: {kind: linear, to: 0, lr: 2}}",
    );
    assert!(
        all.iter().any(|warning| warning.contains("lr: not used: every schedule has its own `lr`")),
        "{all:?}"
    );
    assert_eq!(warned("lr: 3\nschedules: {a: {kind: cosine, lr: 1}, b: {kind: linear, to: 0}}"), [""; 0]);
}

#[test]
fn problems_of_an_own_lr_name_its_path() {
    for (rest, words) in [
        (
            "lr: 1\nschedules: {a: {kind: cosine, lr: 0}}",
            "schedules.a.lr: expected a number above 0, found `0`",
        ),
        ("lr: 1\nschedules: {a: {kind: cosine, lr: 0.1x}}", "schedules.a.lr: expected a number above 0"),
        (
            "lr: 1\nschedules: {a: {kind: cosine, lr: {values: [1, -1]}}}",
            "schedules.a.lr: expected a number above 0",
        ),
        (
            "lr: 1\nschedules: {a: {kind: cosine, lr: {values: []}}}",
            "schedules.a.lr.values: an axis needs at least one value",
        ),
        ("lr: 1\nschedules: {a: {kind: cosine, lr: [1, 2]}}", "schedules.a.lr: expected a number above 0"),
        ("schedules: {a: {kind: cosine, lr: 1}, b: {kind: linear}}", "missing key `lr`"),
        ("schedules: {a: {kind: cosine}}", "missing key `lr`"),
        (
            "schedules: {a: {kind: cosine, lr: {linspace: [1, 2, 9999]}, to: {linspace: [0, 0.5, 200]}}}",
            "trials",
        ),
    ] {
        let text = format!("{RUN}{rest}\n");
        let read = trainer::read(&text, "x").and_then(|spec| plan(&spec).map(|_| ()));
        let problems: Vec<String> = read.expect_err(&text).iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(words)), "{rest}: {problems:?}");
    }
}
