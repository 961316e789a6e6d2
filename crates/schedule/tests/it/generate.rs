//! Random schedules, generated from the tables of kinds and combinators.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use schedule::catalogue::{Default, ENTRIES, Entry, Param, ParamType, Range};
use schedule::combine::{COMBINATORS, Combinator, Form, Group};
use schedule::tree::{Key, Place, Tree, Value};
use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Horizon, Node, Schedule, State};

/// Runs a test on random values with a fixed seed.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config =
        Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(4242), ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("{error}");
    }
}

pub(crate) fn text(text: &str) -> Tree {
    Tree::new(Value::Text(text.to_owned()))
}

pub(crate) fn int(i: i64) -> Tree {
    Tree::new(Value::Int(i))
}

pub(crate) fn float(x: f64) -> Tree {
    Tree::new(Value::Float(x))
}

pub(crate) fn list(items: Vec<Tree>) -> Tree {
    Tree::new(Value::List(items))
}

pub(crate) fn map<N: AsRef<str>>(entries: impl IntoIterator<Item = (N, Tree)>) -> Tree {
    let key = |name: N| Key { place: Place::default(), name: name.as_ref().to_owned() };
    Tree::new(Value::Map(entries.into_iter().map(|(name, tree)| (key(name), tree)).collect()))
}

/// The mapping with one more entry, which replaces an older one of that name.
pub(crate) fn with(tree: &Tree, name: &str, value: Tree) -> Tree {
    let Value::Map(entries) = &tree.value else { panic!("{tree} is not a mapping") };
    let mut entries = entries.clone();
    entries.retain(|(key, _)| key.name != name);
    entries.push((Key { place: Place::default(), name: name.to_owned() }, value));
    Tree::new(Value::Map(entries))
}

/// A scalar as the tables write defaults.
pub(crate) fn scalar(written: &str) -> Tree {
    if let Ok(i) = written.parse() {
        return int(i);
    }
    if let Ok(x) = written.parse() {
        return float(x);
    }
    match written {
        "true" => Tree::new(Value::Bool(true)),
        "false" => Tree::new(Value::Bool(false)),
        _ => text(written),
    }
}

/// A schedule that must be readable.
pub(crate) fn parse(tree: &Tree) -> Node {
    let mut problems = Vec::new();
    schedule::parse(tree, "", &mut problems).unwrap_or_else(|| panic!("{tree}: {problems:?}"))
}

/// A schedule that must fit.
pub(crate) fn fit(tree: &Tree, total: u64) -> Schedule {
    let horizon = Horizon { base_lr: 0.1, total, steps_per_epoch: Some(7) };
    parse(tree).resolve(&horizon).unwrap_or_else(|problems| panic!("{tree}: {problems:?}"))
}

/// The inputs of rules at each step of an artificial run: loss and squared norm of the gradient.
pub(crate) type Seen = Vec<(f64, f64)>;

/// A run in progress: the state of the rules and their stored vectors.
#[derive(Clone, Default)]
pub(crate) struct Run {
    pub(crate) state: State,
    pub(crate) vectors: Plain,
}

impl Run {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        Self { state: schedule.start(), vectors: Plain::default() }
    }
}

/// Runs one step and returns the lr. The gradient rotates from step to step, and the parameters follow it.
pub(crate) fn step(schedule: &Schedule, run: &mut Run, t: u64, (loss, squared): (f64, f64)) -> f64 {
    let (norm, turn) = (squared.sqrt(), 0.4 * t as f64);
    run.vectors.gradient = vec![norm * turn.cos(), norm * turn.sin()];
    run.vectors.parameters.resize(2, 1.0);
    let before = BeforeUpdate { train_loss: loss, grad_norm_squared: squared };
    schedule.before_update(&mut run.state, t, &before, &mut run.vectors);
    let lr = schedule.lr(t, &run.state);
    for (x, g) in run.vectors.parameters.iter_mut().zip(&run.vectors.gradient) {
        *x -= 0.1 * g;
    }
    let after = AfterUpdate {
        train_loss: loss,
        valid_loss: Some(loss),
        valid_accuracy: Some(-loss),
        own: &BTreeMap::new(),
        evaluated: true,
    };
    schedule.after_update(&mut run.state, t, &after);
    lr
}

/// The lrs of a run.
pub(crate) fn trajectory(schedule: &Schedule, seen: &Seen) -> Vec<f64> {
    let mut run = Run::new(schedule);
    (0..).zip(seen).map(|(t, seen)| step(schedule, &mut run, t, *seen)).collect()
}

/// Losses that rise and fall, sometimes not finite.
pub(crate) fn seen(steps: usize) -> impl Strategy<Value = Seen> {
    let loss = prop_oneof![20 => 0.0..3.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-1.0)];
    proptest::collection::vec((loss, 0.0..4.0), steps)
}

/// A number in a range, generated from its JSON Schema to test that the schema agrees with the reader.
pub(crate) fn number(range: &Range) -> BoxedStrategy<f64> {
    let schema: serde_json::Value = serde_json::from_str(range.schema).expect("JSON");
    let bound = |name: &str| schema[name].as_f64();
    let low = bound("minimum").or(bound("exclusiveMinimum")).unwrap_or(-8.0);
    let high = bound("maximum").or(bound("exclusiveMaximum")).unwrap_or(low.max(0.0) + 5.0);
    let low = if schema.get("maximum").is_none() && bound("exclusiveMaximum").is_some() && low < 0.0 {
        high - 3.0
    } else {
        low
    };
    let within = (0.001..0.999).prop_map(move |q| low + (high - low) * q);
    let ends: Vec<f64> = bound("minimum").into_iter().chain(bound("maximum")).collect();
    let edge = if ends.is_empty() { within.clone().boxed() } else { prop::sample::select(ends).boxed() };
    prop_oneof![6 => within, 1 => edge].boxed()
}

fn lr(positive: bool) -> BoxedStrategy<Tree> {
    let least = if positive { 1e-6 } else { 0.0 };
    prop_oneof![
        (least..2.0).prop_map(float),
        (least..2.0).prop_map(|x| text(&format!("{x}x"))),
        Just(text("1x")),
        Just(int(i64::from(positive))),
    ]
    .boxed()
}

fn length(least: u64) -> BoxedStrategy<Tree> {
    prop_oneof![
        4 => (least..30).prop_map(|n| int(n as i64)),
        1 => (least..30).prop_map(|n| float(n as f64)),
        3 => (0_u32..=400).prop_map(|tenths| text(&format!("{}%", f64::from(tenths) / 10.0))),
        1 => (0.5..3.0).prop_map(|n| text(&format!("{n:.1} epochs"))),
        1 => (least..30).prop_map(|n| text(&format!("{n} steps"))),
    ]
    .boxed()
}

/// Rising lengths.
fn rising(most: usize) -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(1_i64..9, 1..=most).prop_map(|gaps| {
        gaps.iter()
            .scan(0, |sum, gap| {
                *sum += gap;
                Some(*sum)
            })
            .collect()
    })
}

fn value(holds: &ParamType) -> BoxedStrategy<Tree> {
    match holds {
        ParamType::Lr => lr(false),
        ParamType::PositiveLr => lr(true),
        ParamType::LrOr(word) => prop_oneof![lr(false), Just(text(word))].boxed(),
        ParamType::Length(least) => length(*least),
        ParamType::Number(range) => number(range).prop_map(float).boxed(),
        ParamType::Whole(least) => (*least..12).prop_map(|n| int(n as i64)).boxed(),
        ParamType::Integer => (-3_i64..4).prop_map(int).boxed(),
        ParamType::Flag => any::<bool>().prop_map(|b| Tree::new(Value::Bool(b))).boxed(),
        ParamType::Choice(words) | ParamType::Metric(words) => {
            prop::sample::select(*words).prop_map(text).boxed()
        }
        ParamType::Lengths => rising(4).prop_map(|at| list(at.into_iter().map(int).collect())).boxed(),
        ParamType::Factors => proptest::collection::vec(0.01..3.0, 1..4)
            .prop_map(|factors| list(factors.into_iter().map(float).collect()))
            .boxed(),
        ParamType::Lrs => proptest::collection::vec(lr(false), 1..5).prop_map(list).boxed(),
        ParamType::Points => (rising(4), proptest::collection::vec(lr(false), 4))
            .prop_map(|(at, lrs)| {
                list(at.into_iter().zip(lrs).map(|(at, lr)| list(vec![int(at), lr])).collect())
            })
            .boxed(),
        ParamType::Expression => {
            const WORDS: [&str; 5] = [
                "0.95 ** t",
                "1 / (1 + 0.1 * t)",
                "0.5 * (1 + cos(pi * min(t, T) / T))",
                "1 - t / 150",
                "base",
            ];
            prop_oneof![6 => prop::sample::select(&WORDS[..]).prop_map(text), 1 => (0.0..2.0).prop_map(float)]
                .boxed()
        }
        ParamType::Momentum => (0.0..0.9, 0.0..0.09)
            .prop_map(|(min, width)| map([("min", float(min)), ("max", float(min + width))]))
            .boxed(),
    }
}

type Entries = Vec<(&'static str, Tree)>;

/// Values of parameters: required ones always, each optional one every third time.
fn params<'a>(params: impl Iterator<Item = &'a Param>) -> BoxedStrategy<Entries> {
    let each: Vec<BoxedStrategy<Option<(&'static str, Tree)>>> = params
        .map(|param| {
            let (name, value) = (param.name, value(&param.ty));
            match param.default {
                Default::Required => value.prop_map(move |value| Some((name, value))).boxed(),
                _ => proptest::option::weighted(0.33, value)
                    .prop_map(move |value| Some((name, value?)))
                    .boxed(),
            }
        })
        .collect();
    each.prop_map(|entries| entries.into_iter().flatten().collect()).boxed()
}

/// Only the required parameters.
pub(crate) fn bare<'a>(all: impl Iterator<Item = &'a Param>) -> BoxedStrategy<Entries> {
    params(all.filter(|param| param.default == Default::Required))
}

/// A node of one kind.
pub(crate) fn kind(entry: &'static Entry) -> BoxedStrategy<Tree> {
    params(entry.all_params())
        .prop_map(|entries| map([("kind", text(entry.kind))].into_iter().chain(entries)))
        .boxed()
}

/// The mapping of a group; the shape of a cooldown may be any ramp.
fn group(group: &'static Group) -> BoxedStrategy<Tree> {
    let own = params(group.params.iter());
    if !group.shaped {
        return own.prop_map(map).boxed();
    }
    let ramps: Vec<&'static Entry> = ENTRIES.iter().copied().filter(|entry| entry.is_ramp()).collect();
    let shape = prop::sample::select(ramps).prop_flat_map(move |entry| {
        let taken =
            |param: &&Param| group.params.iter().all(|own| own.name != param.name) && param.name != "from";
        params(entry.params.iter().filter(taken))
            .prop_map(|entries| [("shape", text(entry.kind))].into_iter().chain(entries).collect::<Entries>())
    });
    (own, shape).prop_map(|(own, shape)| map(own.into_iter().chain(shape))).boxed()
}

/// A node of one combinator around random nodes.
pub(crate) fn combinator(combinator: &'static Combinator, inner: BoxedStrategy<Tree>) -> BoxedStrategy<Tree> {
    let children = match combinator.form {
        Form::One => inner,
        Form::Many => proptest::collection::vec(inner, 1..4).prop_map(list).boxed(),
        Form::Phases => {
            let phase =
                (length(0), inner.clone(), lr(false)).prop_map(|(length, node, lr)| match node.value {
                    Value::Map(_) => with(&node, "for", length),
                    _ => map([("for", length), ("value", lr)]),
                });
            let last = inner.prop_map(|node| match node.value {
                Value::Map(_) => node,
                _ => map([("value", node)]),
            });
            (proptest::collection::vec(phase, 0..3), last)
                .prop_map(|(mut phases, last)| {
                    phases.push(last);
                    list(phases)
                })
                .boxed()
        }
    };
    let groups: Vec<BoxedStrategy<Option<(&'static str, Tree)>>> = combinator
        .groups
        .iter()
        .map(|each| {
            let chance = if each.least == 0 { 0.6 } else { 0.999 };
            proptest::option::weighted(chance, group(each)).prop_map(|tree| Some((each.key, tree?))).boxed()
        })
        .collect();
    let key = combinator.nodes[0];
    (children, groups, params(combinator.params.iter()))
        .prop_map(move |(children, groups, params)| {
            map([(key, children)].into_iter().chain(groups.into_iter().flatten()).chain(params))
        })
        .boxed()
}

/// Any node, combinators nested up to a depth.
pub(crate) fn node(depth: usize) -> BoxedStrategy<Tree> {
    let kinds = ENTRIES.iter().copied().map(kind).collect::<Vec<_>>();
    let leaf = prop_oneof![1 => lr(false), 9 => prop::strategy::Union::new(kinds)].boxed();
    if depth == 0 {
        return leaf;
    }
    let inner = node(depth - 1);
    let branches = COMBINATORS.iter().map(|each| combinator(each, inner.clone())).collect::<Vec<_>>();
    let branch = prop::strategy::Union::new(branches);
    let clocks: &[&str] = &["step", "epoch", "epoch_fraction"];
    let clock = proptest::option::weighted(0.15, prop::sample::select(clocks));
    (prop_oneof![1 => leaf, 3 => branch], clock)
        .prop_map(|(node, clock)| match (clock, &node.value) {
            (Some(clock), Value::Map(_)) => with(&node, "clock", text(clock)),
            _ => node,
        })
        .boxed()
}

/// A run.
pub(crate) fn horizon() -> impl Strategy<Value = Horizon> {
    (1e-4..2.0, prop_oneof![1 => Just(1_u64), 8 => 2_u64..200], proptest::option::weighted(0.9, 1_u64..20))
        .prop_map(|(base_lr, total, steps_per_epoch)| Horizon { base_lr, total, steps_per_epoch })
}
