//! The tables themselves: names, defaults, ranges.

use std::collections::HashSet;

use proptest::prelude::*;
use schedule::catalogue::{self, Default, ENTRIES, Entry, Param, ParamType};
use schedule::combine::COMBINATORS;
use schedule::tree::{Tree, Value};

use crate::generate::{bare, check, float, int, map, number, parse, scalar, text, trajectory, with};

#[test]
fn names_are_unique_and_find_their_entries() {
    let mut names = HashSet::new();
    for entry in ENTRIES {
        assert!(names.insert(entry.kind), "{}", entry.kind);
        assert!(catalogue::find(entry.kind).is_some_and(|found| std::ptr::eq(found, *entry)));
        let params: Vec<&str> = entry.all_params().map(|param| param.name).collect();
        assert_eq!(params.iter().collect::<HashSet<_>>().len(), params.len(), "{}: {params:?}", entry.kind);
    }
    for each in COMBINATORS {
        assert!(names.insert(each.key) || each.key == "scale", "{}", each.key);
        assert_eq!(each.nodes.len(), 1, "{}", each.key);
    }
}

/// Names of other libraries map to one kind only, so that hints are correct.
#[test]
fn aliases_are_unique() {
    let mut seen = HashSet::new();
    for entry in ENTRIES {
        for alias in entry.aliases {
            assert!(seen.insert(alias.to_lowercase()), "{alias} is an alias of two kinds");
        }
    }
}

#[test]
fn an_alias_suggests_its_kind() {
    for entry in ENTRIES {
        for alias in entry.aliases.iter().filter(|alias| catalogue::find(alias).is_none()) {
            let mut problems = Vec::new();
            assert!(schedule::parse(&map([("kind", text(alias))]), "", &mut problems).is_none());
            let hint = problems[0].hint.clone().unwrap_or_default();
            assert!(hint.contains(&format!("`{}`", entry.kind)), "{alias}: {hint}");
        }
    }
}

/// The node without a parameter and the node with its default written out are the same schedule.
fn same_with_default(node: &Tree, written: &Tree) {
    let seen: Vec<(f64, f64)> = (0..50).map(|t| (1.0 + f64::from(t % 7), 1.0)).collect();
    let horizon = schedule::Horizon { base_lr: 0.1, total: 40, steps_per_epoch: Some(5) };
    let fit = |tree: &Tree| parse(tree).resolve(&horizon);
    match (fit(node), fit(written)) {
        (Ok(plain), Ok(same)) => assert_eq!(trajectory(&plain, &seen), trajectory(&same, &seen), "{written}"),
        (Err(plain), Err(same)) => assert_eq!(plain.len(), same.len(), "{written}"),
        (plain, same) => panic!("{node}: {plain:?}, but {written}: {same:?}"),
    }
}

#[test]
fn every_default_reads_as_if_written() {
    for entry in ENTRIES {
        check(20, &bare(entry.all_params()), |own| {
            let node = map([("kind", text(entry.kind))].into_iter().chain(own));
            for param in entry.all_params() {
                if let Default::Is(default) = param.default {
                    same_with_default(&node, &with(&node, param.name, scalar(default)));
                }
            }
            Ok(())
        });
    }
}

#[test]
fn every_default_of_a_combinator_reads_as_if_written() {
    let node = |key: &str, own: Tree| match key {
        "noise" => map([("noise", own), ("of", map([("kind", text("linear"))]))]),
        "clamp" => map([("clamp", own), ("of", map([("kind", text("linear"))]))]),
        key => map([("body", map([("kind", text("linear"))])), (key, with(&own, "over", int(5)))]),
    };
    for each in COMBINATORS {
        for param in each.params {
            if let Default::Is(default) = param.default {
                let plain = map([("restart", map([("kind", text("linear"))])), ("every", int(10))]);
                assert_eq!(each.key, "restart", "a default of `{}` to be tested here", each.key);
                same_with_default(&plain, &with(&plain, param.name, scalar(default)));
            }
        }
        for group in each.groups {
            for param in group.params {
                if let Default::Is(default) = param.default {
                    let written = map([(param.name, scalar(default))]);
                    same_with_default(&node(group.key, map::<&str>([])), &node(group.key, written));
                }
            }
        }
    }
}

/// Kind, parameter and default in libraries and papers.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("constant", "value", "1x"),
    ("linear", "from", "1x"),
    ("linear", "to", "0"),
    ("linear", "sample", "left"),
    ("linear", "after", "hold"),
    ("polynomial", "power", "1"),
    ("cosine", "k", "1"),
    ("cosine", "cycles", "0.5"),
    ("cosine", "exponent", "1"),
    ("exp_norm", "ratio", "0.1"),
    ("rex", "d", "0.5"),
    ("tanh", "lb", "-7"),
    ("tanh", "ub", "3"),
    ("step", "gamma", "0.1"),
    ("multistep", "offset", "0"),
    ("exponential", "every", "1"),
    ("exponential", "staircase", "false"),
    ("inverse_time", "rate", "1"),
    ("inverse_time", "every", "1"),
    ("inverse_time", "power", "1"),
    ("power", "a", "4"),
    ("power", "b", "-0.51"),
    ("cyclic", "max", "1x"),
    ("cyclic", "up", "2000"),
    ("cyclic", "mode", "triangular"),
    ("cyclic", "gamma", "1"),
    ("one_cycle", "max", "1x"),
    ("one_cycle", "pct_start", "0.3"),
    ("one_cycle", "div", "25"),
    ("one_cycle", "final_div", "10000"),
    ("one_cycle", "anneal", "cos"),
    ("one_cycle", "three_phase", "false"),
    ("plateau", "factor", "0.1"),
    ("plateau", "patience", "10"),
    ("plateau", "threshold", "1e-4"),
    ("plateau", "threshold_mode", "rel"),
    ("plateau", "cooldown", "0"),
    ("plateau", "min", "0"),
    ("plateau", "eps", "1e-8"),
    ("plateau", "accumulate", "1"),
    ("plateau", "apply", "next"),
    ("greedy", "factor", "0.95"),
    ("greedy", "patience", "10"),
    ("greedy", "threshold", "1e-6"),
    ("greedy", "threshold_mode", "abs"),
    ("greedy", "min", "1e-3"),
    ("greedy", "max", "1"),
    ("greedy", "smooth", "1"),
    ("greedy", "reset_after", "500"),
    ("greedy", "eps", "1e-8"),
    ("adaptive", "divide", "5"),
    ("adaptive", "tol", "1e-4"),
    ("adaptive", "patience", "10"),
    ("adaptive", "stop_below", "1e-6"),
    ("bold_driver", "up", "1.05"),
    ("bold_driver", "down", "0.5"),
    ("adagrad_norm", "b0", "0"),
    ("adagrad_norm", "eps", "1e-10"),
    ("polyak", "max", "1x"),
    ("polyak", "f_min", "0"),
    ("polyak", "eps", "0"),
];

/// The defaults of libraries and papers. `every_default_reads_as_if_written` tests that the readers use the
/// table.
#[test]
fn defaults_match_the_libraries() {
    for &(kind, name, default) in DEFAULTS {
        let entry = catalogue::find(kind).expect(kind);
        let param = entry.all_params().find(|param| param.name == name).expect(name);
        assert_eq!(param.default, Default::Is(default), "{kind}: {name}");
    }
    let restart = COMBINATORS.iter().find(|each| each.key == "restart").expect("restart");
    for (name, default) in
        [("mult", "1"), ("decay", "1"), ("decay_on", "peak"), ("floor", "0"), ("then", "0")]
    {
        let param = restart.params.iter().find(|param| param.name == name).expect(name);
        assert_eq!(param.default, Default::Is(default), "{name}");
    }
    let group = |key: &str| {
        COMBINATORS.iter().flat_map(|each| each.groups).find(|group| group.key == key).expect("a group")
    };
    for (key, name, default) in [
        ("warmup", "from", "0"),
        ("warmup", "shape", "linear"),
        ("warmup", "sample", "left"),
        ("warmup", "mode", "prefix"),
        ("warmup", "target", "1x"),
        ("cooldown", "to", "0"),
        ("cooldown", "sample", "left"),
        ("cooldown", "mode", "anchor"),
    ] {
        let param = group(key).params.iter().find(|param| param.name == name).expect(name);
        assert_eq!(param.default, Default::Is(default), "{key}: {name}");
    }
    // The only default that depends on other keys.
    let drop = map([("kind", text("multistep")), ("at", crate::generate::list(vec![int(1)]))]);
    let schedule = crate::generate::fit(&drop, 3);
    assert!((schedule.lr(1, &schedule.start()) - 0.01).abs() < 1e-15);
}

/// A value outside each parameter's range.
fn outside(holds: &ParamType) -> Vec<Tree> {
    match holds {
        ParamType::Lr | ParamType::LrOr(_) => {
            vec![float(-0.1), text("-1x"), text("bodies"), Tree::new(Value::Bool(true))]
        }
        ParamType::PositiveLr => vec![int(0), text("0x"), float(-1.0)],
        ParamType::Length(least) => {
            let short = if *least > 0 { int(*least as i64 - 1) } else { int(-1) };
            vec![
                short,
                float(1.5),
                text("101%"),
                text("-3 steps"),
                text("1.5 steps"),
                text("ten"),
                float(-1.0),
            ]
        }
        ParamType::Number(range) => {
            let schema: serde_json::Value = serde_json::from_str(range.schema).expect("JSON");
            let bound = |name: &str| schema[name].as_f64();
            let mut values = vec![text("1"), Tree::new(Value::Null), Tree::new(Value::List(vec![]))];
            values.extend(bound("minimum").map(|x| float(x - 1e-9)));
            values.extend(bound("exclusiveMinimum").map(float));
            values.extend(bound("maximum").map(|x| float(x + 1e-9)));
            values.extend(bound("exclusiveMaximum").map(float));
            values
        }
        ParamType::Whole(least) => vec![int(*least as i64 - 1), float(2.5), text("2")],
        ParamType::Integer => vec![float(1.5), text("1")],
        ParamType::Flag => vec![int(1), text("yes")],
        ParamType::Metric(_) => vec![text("loss"), text("valid_los"), text("test_loss"), text("1st"), int(0)],
        ParamType::Choice(_) => vec![text("never_a_word"), int(0), Tree::new(Value::Null)],
        ParamType::Lengths | ParamType::Factors | ParamType::Lrs | ParamType::Points => {
            let list = |items| Tree::new(Value::List(items));
            vec![list(vec![]), int(3), list(vec![text("bad")]), list(vec![Tree::new(Value::Bool(true))])]
        }
        ParamType::Expression => {
            vec![text("never_a_word"), text("t +"), Tree::new(Value::Null), Tree::new(Value::Bool(true))]
        }
        ParamType::Momentum => {
            vec![float(0.9), map([("min", float(0.9)), ("max", float(0.8))]), map([("min", int(0))])]
        }
    }
}

#[test]
fn values_outside_a_range_are_refused_when_read() {
    for entry in ENTRIES {
        check(3, &bare(entry.all_params()), |own| {
            let node = map([("kind", text(entry.kind))].into_iter().chain(own));
            for param in entry.all_params() {
                for value in outside(&param.ty) {
                    let bad = with(&node, param.name, value);
                    let mut problems = Vec::new();
                    prop_assert!(schedule::parse(&bad, "", &mut problems).is_none(), "{bad}");
                    prop_assert!(
                        problems.iter().any(|problem| problem.path.starts_with(param.name)),
                        "{problems:?}"
                    );
                }
            }
            Ok(())
        });
    }
}

/// The reader accepts every number that the JSON Schema of a range allows.
#[test]
fn ranges_and_their_schemas_agree() {
    let ranges = |entry: &&'static Entry| -> Vec<&'static Param> {
        entry.all_params().filter(|param| matches!(param.ty, ParamType::Number(_))).collect()
    };
    for entry in ENTRIES {
        for param in ranges(entry) {
            let ParamType::Number(range) = &param.ty else { continue };
            check(50, &(bare(entry.all_params()), number(range)), |(own, x)| {
                let node = map([("kind", text(entry.kind))].into_iter().chain(own));
                let mut problems = Vec::new();
                let read = schedule::parse(&with(&node, param.name, float(x)), "", &mut problems);
                // The only condition between two numbers.
                let order = entry.kind == "tanh";
                prop_assert!(read.is_some() || order, "{}: {} = {x}: {problems:?}", entry.kind, param.name);
                Ok(())
            });
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    for entry in ENTRIES {
        check(1, &bare(entry.all_params()), |own| {
            let node = map([("kind", text(entry.kind))].into_iter().chain(own));
            for param in entry.all_params().filter(|param| param.name.len() > 3) {
                let typo = format!("{}q", param.name);
                let mut problems = Vec::new();
                prop_assert!(schedule::parse(&with(&node, &typo, int(1)), "", &mut problems).is_none());
                let hint = problems.iter().find_map(|problem| problem.hint.clone()).unwrap_or_default();
                prop_assert!(hint.contains(param.name), "{}: {typo}: {problems:?}", entry.kind);
            }
            Ok(())
        });
    }
}
