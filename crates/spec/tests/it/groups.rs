//! Schedules by parameter group: base lrs by group, ids, shared steps, refusals.

use std::collections::BTreeSet;

use spec::record::TrialRecord;
use spec::trial::Config;
use spec::{Plan, Spec, plan, share, yaml};

use crate::schema::takes_file;

const RUN: &str = "trainer: {command: [python3], share: true}\nbudget: {steps: 20}\n";

const SPLIT: &str =
    "{groups: {matrices: {body: 1x, cooldown: {over: \"50%\", to: 0}}, rest: {kind: linear, to: 0}}}";

fn spec(text: &str) -> Spec {
    assert!(takes_file(&yaml::read(text).expect("good YAML")), "the schema accepts it: {text}");
    spec::read(text, "x").unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn planned(rest: &str) -> Plan {
    let text = format!("{RUN}{rest}\n");
    plan(&spec(&text)).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn refused(rest: &str) -> String {
    let text = format!("{RUN}{rest}\n");
    let found = spec::read(&text, "x").and_then(|spec| plan(&spec)).map(|_| ());
    let problems = found.expect_err(rest);
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn ids(plan: &Plan) -> BTreeSet<&str> {
    plan.trials.iter().map(|trial| trial.id.as_str()).collect()
}

/// Base lr and ratio of each group.
fn groups(config: &Config) -> Vec<(String, f64, bool)> {
    let groups = config.schedule.groups();
    groups.map(|group| (group.name.to_owned(), group.base_lr, group.keeps_ratio)).collect()
}

fn lrs(config: &Config, t: u64) -> Vec<f64> {
    config.schedule.group_lrs(t, &config.start()).collect()
}

#[test]
fn each_group_has_its_schedule_and_its_base_lr() {
    let plan = planned(&format!(
        "lr: {{matrices: {{values: [0.02, 0.04]}}, rest: 0.3}}\nschedules: {{split: {SPLIT}}}"
    ));
    let configs: Vec<&Config> = plan.trials.iter().map(|trial| &*trial.config).collect();
    assert_eq!(configs.iter().map(|config| config.base_lr).collect::<Vec<_>>(), [0.02, 0.04]);
    let config = configs[1];
    assert_eq!(groups(config), [("matrices".to_owned(), 0.04, false), ("rest".to_owned(), 0.3, false)]);
    assert!(config.axes.is_empty(), "{:?}", config.axes);
    assert_eq!(lrs(config, 0), [0.04, 0.3]);
    let expected = 0.3 * (1.0 - 10.0 / 19.0);
    let [matrices, rest] = lrs(config, 10)[..] else { panic!("two groups") };
    assert!(matrices <= 0.04 && (rest - expected).abs() < 0.02, "{matrices} {rest}");
    assert_eq!(config.schedule.lr(10, &config.start()), matrices, "the first group's lr is the lr");
    for (i, lr) in [matrices, rest].into_iter().enumerate() {
        let own = config.schedule.of_group(i).expect("a group");
        assert_eq!(own.lr(10, &own.start()), lr);
    }
}

#[test]
fn a_group_without_a_base_lr_keeps_its_ratio() {
    for (lr, keeps) in
        [("{values: [0.1]}", true), ("{matrices: 0.1}", true), ("{matrices: 0.1, rest: 0.1}", false)]
    {
        let plan = planned(&format!("lr: {lr}\nschedules: {{split: {SPLIT}}}"));
        let config = &plan.trials[0].config;
        assert_eq!(groups(config)[1], ("rest".to_owned(), 0.1, keeps), "{lr}");
    }
}

#[test]
fn the_lr_of_another_group_is_an_axis_of_the_schedule() {
    let rest = format!("schedules: {{split: {SPLIT}, plain: {{kind: linear, to: 0}}}}");
    let plan = planned(&format!(
        "lr: {{matrices: {{values: [0.02, 0.04]}}, rest: {{logspace: [0.1, 1, 3]}}}}\n{rest}"
    ));
    let split: Vec<&Config> = plan
        .trials
        .iter()
        .map(|trial| &*trial.config)
        .filter(|config| config.schedule_name == "split")
        .collect();
    assert_eq!(split.len(), 6);
    let axes: BTreeSet<_> = split.iter().flat_map(|config| config.axes.clone()).collect();
    let lr = |value: &str| ("lr.rest".to_owned(), value.to_owned());
    assert_eq!(axes, BTreeSet::from([lr("0.1"), lr("0.316227766017"), lr("1.0")]));
    let plain = plan.trials.iter().filter(|trial| trial.config.schedule_name == "plain");
    assert_eq!(
        plain.map(|trial| trial.config.base_lr).collect::<Vec<_>>(),
        [0.02, 0.04],
        "the lr of the first group"
    );
}

#[test]
fn a_schedules_own_lrs_replace_the_files() {
    let own = SPLIT.replacen('{', "{lr: {matrices: {values: [1, 2]}, rest: 3}, ", 1);
    let plan = planned(&format!("lr: 0.1\nschedules: {{split: {own}, plain: 1x}}"));
    let found: Vec<f64> = plan.trials.iter().map(|trial| trial.config.base_lr).collect();
    assert_eq!(found, [1.0, 2.0, 0.1]);
    assert_eq!(groups(&plan.trials[0].config)[1].1, 3.0);
    let of_file =
        planned(&format!("lr: {{matrices: {{values: [1, 2]}}, rest: 3}}\nschedules: {{split: {SPLIT}}}"));
    assert_eq!(ids(&of_file), plan.trials[..2].iter().map(|trial| trial.id.as_str()).collect());
}

#[test]
fn ids_depend_on_what_a_group_changes_and_on_nothing_else() {
    let id = |lr: &str, schedule: &str| {
        let plan = planned(&format!("lr: {lr}\nschedules: {{split: {schedule}}}"));
        plan.trials[0].id.clone()
    };
    let base = id("{matrices: 0.1, rest: 0.3}", SPLIT);
    assert_eq!(base, id("{matrices: 0.1, rest: 0.3}", &SPLIT.replace("1x", "{kind: constant}")));
    let closed = "{groups: {matrices: {kind: plateau}, rest: 1x}}";
    let mut all = BTreeSet::from([base]);
    for (lr, schedule) in [
        ("{matrices: 0.1, rest: 0.1}", SPLIT.to_owned()),
        ("0.1", SPLIT.to_owned()),
        ("{matrices: 0.1, other: 0.3}", SPLIT.replace("rest", "other")),
        ("{rest: 0.1, matrices: 0.3}", "{groups: {rest: 1x, matrices: 1x}}".to_owned()),
        ("0.1", "{groups: {matrices: 1x, rest: 1x}}".to_owned()),
        ("{matrices: 0.1, rest: 0.3}", "{groups: {matrices: 1x, rest: 1x}}".to_owned()),
        ("0.1", "{groups: {rest: 1x, matrices: 1x}}".to_owned()),
        ("0.1", "1x".to_owned()),
        ("0.1", closed.to_owned()),
        ("0.2", closed.to_owned()),
        ("{matrices: 0.1, rest: 0.1}", closed.to_owned()),
        ("{matrices: 0.1, rest: 0.2}", closed.to_owned()),
    ] {
        assert!(all.insert(id(lr, &schedule)), "{lr} {schedule}");
    }
}

#[test]
fn a_stored_config_is_read_again() {
    for lr in ["{matrices: 0.1, rest: 0.3}", "0.1"] {
        for schedule in [SPLIT, "{groups: {matrices: {kind: plateau}, rest: 1x}}"] {
            let plan = planned(&format!("lr: {lr}\nschedules: {{split: {schedule}}}"));
            let trial = &plan.trials[0];
            let record = TrialRecord {
                schedule: "split".to_owned(),
                config: trial.config.json().to_string(),
                seed: 0,
                ..TrialRecord::default()
            };
            let again = record.trial().expect("a stored trial");
            assert_eq!(again.id, trial.id, "{lr} {schedule}");
            assert_eq!(groups(&again.config), groups(&trial.config));
        }
    }
}

#[test]
fn steps_are_shared_while_the_lrs_of_all_groups_agree() {
    let group = |late: u64| format!("{{phases: [{{for: {late}, value: 1x}}, {{value: 0.5x}}]}}");
    let with = |a: u64, b: u64| format!("{{groups: {{a: {}, b: {}}}}}", group(a), group(b));
    let plan = planned(&format!(
        "lr: 0.1\nschedules: {{x: {}, y: {}, z: {}}}",
        with(16, 16),
        with(16, 8),
        with(4, 16)
    ));
    let trials: Vec<_> = plan.trials.iter().collect();
    // x and y agree for 8 steps, z leaves after 4.
    assert_eq!(share::trained_steps(&trials), 20 + 12 + 16);
    let other = planned(&format!(
        "lr: 0.1\nschedules: {{x: {}, y: {{groups: {{a: 1x, c: 1x}}}}, z: 1x}}",
        with(16, 16)
    ));
    assert_eq!(share::shareable_groups(other.trials.iter()).len(), 3, "other groups are another run");
}

#[test]
fn rules_of_all_groups_are_counted() {
    let plan = planned("lr: 0.1\nschedules: {x: {groups: {a: 1x, b: {kind: plateau}, c: {kind: polyak}}}}");
    let schedule = &plan.trials[0].config.schedule;
    assert_eq!(schedule.feedback(), schedule::Feedback::ClosedLoop);
    assert_eq!(schedule.rule_kinds(), ["plateau", "polyak"]);
    assert!(schedule.needs().gradient && schedule.needs().loss);
    assert!(schedule.accepts_state(&schedule.start()));
    let open: Vec<bool> = schedule.groups().map(|group| group.is_closed_loop).collect();
    assert_eq!(open, [false, true, true]);
}

#[test]
fn mistakes_are_explained() {
    for (rest, words) in [
        (
            "lr: 1\nschedules: {a: {groups: {}}}",
            "schedules.a.groups: expected a mapping from names of parameter groups",
        ),
        ("lr: 1\nschedules: {a: {groups: {values: 1x, b: 1x}}}", "can't have the name `values`"),
        (
            "lr: 1\nschedules: {a: {groups: {b: {kind: cosin}}}}",
            "schedules.a.groups.b.kind: unknown schedule `cosin`",
        ),
        ("lr: 1\nschedules: {a: {groups: {b: 1x}, warmup: {over: 3}}}", "unknown key `warmup`"),
        (
            "lr: 1\nschedules: {a: {warmup: {over: 3}, body: {groups: {b: 1x}}}}",
            "`groups` can only be at the top",
        ),
        ("lr: {b: 1}\nschedules: {a: 1x}", "lr: expected a number above 0"),
        (
            "lr: {b: 1, c: 2}\nschedules: {a: {groups: {c: 1x, b: 0.5x}}}",
            "write the groups in the same order",
        ),
        ("lr: {b: 1, rset: 2}\nschedules: {a: {groups: {b: 1x, rest: 1x}}}", "did you mean `rest`?"),
        ("lr: {b: 0}\nschedules: {a: {groups: {b: 1x}}}", "lr.b: expected a number above 0"),
        ("lr: {b: 1, c: -1}\nschedules: {a: {groups: {b: 1x, c: 1x}}}", "lr.c: expected a number above 0"),
        ("lr: {b: 1, c: [1, 2]}\nschedules: {a: {groups: {b: 1x, c: 1x}}}", "write {values: [1, 2]}"),
        (
            "lr: 1\nschedules: {a: {groups: {b: {kind: schedule_free}}}}",
            "works on the weights of the whole model",
        ),
        (
            "lr: 1\nschedules: {a: {groups: {b: {kind: cosine, tp: 0}}}}",
            "schedules.a.groups.b.tp: unknown key `tp`",
        ),
    ] {
        let found = refused(rest);
        assert!(found.contains(words), "{rest}\n{found}");
    }
    // A mistake is reported once.
    for rest in [
        "lr: {b: 1, c: x}\nschedules: {a: {groups: {b: 1x, c: 1x}}}",
        "lr: {b: 1, c: 2}\nschedules: {a: {groups: {b: {kind: cosin}, c: 1x}}}",
    ] {
        let found = refused(rest);
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn what_does_not_know_groups_refuses_them() {
    let search = "seeds: {tune: 8, decide: 32}\nsearch: {knots: 4, trials: 1000}";
    let found = refused(&format!("lr: 1\n{search}\nschedules: {{a: {{groups: {{b: 1x}}}}, c: 1x}}"));
    assert!(
        found.contains("a search is for one schedule for all parameters, but `a` has parameter groups"),
        "{found}"
    );
    let plan = planned(&format!("lr: 0.1\nschedules: {{split: {SPLIT}}}"));
    let schedule = &plan.trials[0].config.schedule;
    assert_eq!(spec::screen::unusable(schedule), Some("has parameter groups"));
    assert!(schedule.formula().is_none());
}
