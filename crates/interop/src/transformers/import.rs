//! `transformers.optimization`, stepped after each update. The optimizer's lr is the base lr.

use crate::arguments::Arguments;
use crate::entry::{Extra, ExtraType, LAST_EPOCH, LibraryEntry, MODE, PLAIN};
use crate::torch::import::{
    PLATEAU, PLATEAU_EXPANSION, PLATEAU_NOTE, PLATEAU_PER_GROUP, PLATEAU_SIGNATURE, plateau,
};
use crate::trees::{
    combine_lengths, constant_lr, entry, float, map, phases, text, ticks, times_base, whole, with, with_some,
    with_warmup,
};
use schedule::catalogue::greedy as greedy_rule;
use schedule::catalogue::{ABOVE_0, AT_LEAST_0, FROM_0_TO_1, Param, ParamType, optional, param, required};
use schedule::catalogue::{EVERY, WATCH};
use schedule::tree::{Tree, Value};

const WARMUP: Param = required("num_warmup_steps", ParamType::Length(0), "length W of the warmup from lr 0");
const TOTAL: Param =
    required("num_training_steps", ParamType::Length(1), "total length T, including the warmup");
const WAVES: Param = param("num_cycles", ParamType::Number(ABOVE_0), "0.5", "number of waves in the decay");
const MIN_LR: Param = optional("min_lr", ParamType::Lr, "lowest lr of the wave");
const MIN_RATE: Param = optional(
    "min_lr_rate",
    ParamType::Number(AT_LEAST_0),
    "the same as a factor of the base lr; only one of the two",
);

pub(crate) const ENTRIES: &[LibraryEntry] = &[
    LibraryEntry {
        name: "transformers.get_scheduler",
        signature: "name, optimizer, num_warmup_steps=, num_training_steps=, scheduler_specific_kwargs=",
        params: &[
            required("name", ParamType::Choice(NAMES), "which of the schedules below"),
            optional("num_warmup_steps", ParamType::Length(0), "length of the warmup"),
            optional("num_training_steps", ParamType::Length(1), "total length"),
        ],
        extra: &[Extra {
            name: "scheduler_specific_kwargs",
            ty: ExtraType::Parameters,
            required: false,
            doc: "the other parameters of the schedule `name`",
        }],
        expansion: "the schedule `name`, as below",
        example: "transformers.get_scheduler('cosine', optimizer, num_warmup_steps=10, num_training_steps=100)",
        expand: get_scheduler,
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_constant_schedule",
        aliases: &["transformers.constant"],
        signature: "optimizer, last_epoch=",
        params: &[LAST_EPOCH],
        expansion: "{kind: constant}",
        example: "transformers.get_constant_schedule(optimizer)",
        expand: |_| Some(constant_lr(text("1x"))),
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_constant_schedule_with_warmup",
        aliases: &["transformers.constant_with_warmup"],
        signature: "optimizer, num_warmup_steps, last_epoch=",
        params: &[WARMUP, LAST_EPOCH],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {value: 1x}]}",
        example: "transformers.get_constant_schedule_with_warmup(optimizer, num_warmup_steps=10)",
        expand: |given| {
            Some(with_warmup(given.tree("num_warmup_steps")?, float(0.0), constant_lr(text("1x"))))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_linear_schedule_with_warmup",
        aliases: &["transformers.linear"],
        signature: "optimizer, num_warmup_steps, num_training_steps, last_epoch=",
        params: &[WARMUP, TOTAL, LAST_EPOCH],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {kind: linear, to: 0, over: T - W}]}",
        note: "The first update has lr 0, as in all these schedules with a warmup. After a warmup of T or more the lr is 0",
        example: "transformers.get_linear_schedule_with_warmup(optimizer, num_warmup_steps=10, num_training_steps=100)",
        expand: |given| {
            let (over, n) = decay(given)?;
            let fall = map([("kind", text("linear")), ("to", float(0.0)), ("over", over)]);
            let fall = if n > 0.0 { fall } else { constant_lr(float(0.0)) };
            Some(with_warmup(given.tree("num_warmup_steps")?, float(0.0), fall))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_cosine_schedule_with_warmup",
        aliases: &["transformers.cosine"],
        signature: "optimizer, num_warmup_steps, num_training_steps, num_cycles=, last_epoch=",
        params: &[WARMUP, TOTAL, WAVES, LAST_EPOCH],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {kind: cosine, to: 0, over: max(T - W, 1), \
                    cycles: num_cycles, after: continue}]}",
        note: "After T the lr rises again",
        example: "transformers.get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=10, num_training_steps=100)",
        expand: |given| wave(given, float(0.0)),
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_cosine_with_hard_restarts_schedule_with_warmup",
        aliases: &["transformers.cosine_with_restarts"],
        signature: "optimizer, num_warmup_steps, num_training_steps, num_cycles=, last_epoch=",
        params: &[
            WARMUP,
            TOTAL,
            param("num_cycles", ParamType::Number(ABOVE_0), "1", "number of cycles in the decay"),
            LAST_EPOCH,
        ],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {for: max(T - W, 1), kind: lambda, expr: \"0.5 * \
                    (1 + cos(pi * ((num_cycles * (t / T)) % 1)))\"}, {value: 0}]}",
        note: "The length of a cycle may be fractional; the last step of a cycle is rounded as in transformers",
        example: "transformers.get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, num_warmup_steps=10, \
                  num_training_steps=100, num_cycles=3)",
        expand: |given| {
            let (over, n) = decay(given)?;
            let over = if n > 0.0 { over } else { whole(1.0) };
            let expr = format!("0.5 * (1.0 + cos(pi * (({} * (t / T)) % 1.0)))", given.number("num_cycles")?);
            let cycles = map([("kind", text("lambda")), ("expr", text(&expr))]);
            let body = phases(vec![(over, cycles)], constant_lr(float(0.0)));
            Some(with_warmup(given.tree("num_warmup_steps")?, float(0.0), body))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_polynomial_decay_schedule_with_warmup",
        aliases: &["transformers.polynomial"],
        signature: "optimizer, num_warmup_steps, num_training_steps, lr_end=, power=, last_epoch=",
        params: &[
            WARMUP,
            TOTAL,
            param("lr_end", ParamType::Lr, "1e-7", "final lr, below the base lr"),
            param("power", ParamType::Number(ABOVE_0), "1.0", "exponent of the remaining fraction"),
            LAST_EPOCH,
        ],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {clamp: {min: lr_end, max: 1x, like: lr_end}, of: {kind: polynomial, \
                    to: lr_end, over: T - W, power: power}}]}",
        note: "The default of lr_end is 1e-7, not 0. W = T divides by 0 in transformers and is refused",
        example: "transformers.get_polynomial_decay_schedule_with_warmup(optimizer, num_warmup_steps=10, \
                  num_training_steps=100, power=2.0)",
        expand: |given| {
            let (over, n) = decay(given)?;
            if n == 0.0 {
                return given.refuse(
                    "num_warmup_steps",
                    "expected a value different from `num_training_steps`: nothing is left to decay",
                );
            }
            let (to, power) = (given.tree("lr_end")?, given.tree("power")?);
            let fall =
                map([("kind", text("polynomial")), ("to", to.clone()), ("over", over), ("power", power)]);
            let fall = if n > 0.0 { fall } else { constant_lr(to.clone()) };
            // This clamp only refuses an `lr_end` that is not below the base lr, as transformers does.
            let bounds = map([("min", to), ("max", text("1x")), ("like", text("lr_end"))]);
            let fall = map([("clamp", bounds), ("of", fall)]);
            Some(with_warmup(given.tree("num_warmup_steps")?, float(0.0), fall))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_inverse_sqrt_schedule",
        aliases: &["transformers.inverse_sqrt"],
        signature: "optimizer, num_warmup_steps, timescale=, last_epoch=",
        params: &[
            WARMUP,
            optional(
                "timescale",
                ParamType::Length(1),
                "as in `inverse_sqrt`; W by default, or 10000 if W is 0",
            ),
            LAST_EPOCH,
        ],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {kind: inverse_sqrt, timescale: timescale}]}",
        example: "transformers.get_inverse_sqrt_schedule(optimizer, num_warmup_steps=10)",
        expand: |given| {
            let warmup = given.tree("num_warmup_steps")?;
            let timescale = given.maybe_tree("timescale").unwrap_or_else(|| match ticks(&warmup) {
                Some(0.0) => whole(10_000.0),
                _ => warmup.clone(),
            });
            let body = map([("kind", text("inverse_sqrt")), ("timescale", timescale)]);
            Some(with_warmup(warmup, float(0.0), body))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_reduce_on_plateau_schedule",
        aliases: &["transformers.reduce_lr_on_plateau"],
        signature: PLATEAU_SIGNATURE,
        params: PLATEAU,
        per_group: PLATEAU_PER_GROUP,
        expansion: PLATEAU_EXPANSION,
        note: PLATEAU_NOTE,
        example: "transformers.get_reduce_on_plateau_schedule(optimizer, patience=3, factor=0.5)",
        expand: plateau,
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_cosine_with_min_lr_schedule_with_warmup",
        aliases: &["transformers.cosine_with_min_lr"],
        signature: "optimizer, num_warmup_steps, num_training_steps, num_cycles=, last_epoch=, min_lr=, min_lr_rate=",
        params: &[WARMUP, TOTAL, WAVES, LAST_EPOCH, MIN_LR, MIN_RATE],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x}, {kind: cosine, to: min_lr, over: max(T - W, 1), \
                    cycles: num_cycles, after: continue}]}",
        note: "After T the lr rises again",
        example: "transformers.get_cosine_with_min_lr_schedule_with_warmup(optimizer, num_warmup_steps=10, \
                  num_training_steps=100, min_lr_rate=0.1)",
        expand: |given| {
            let to = min_lr(given)?;
            wave(given, to)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
        aliases: &["transformers.cosine_warmup_with_min_lr"],
        signature: "optimizer, num_warmup_steps, num_training_steps, num_cycles=, last_epoch=, min_lr=, min_lr_rate=, \
            warmup_lr_rate=",
        params: &[
            WARMUP,
            TOTAL,
            WAVES,
            LAST_EPOCH,
            MIN_LR,
            MIN_RATE,
            optional(
                "warmup_lr_rate",
                ParamType::Number(AT_LEAST_0),
                "first lr of the warmup, as a factor of the base lr",
            ),
        ],
        expansion: "{phases: [{for: W, kind: linear, from: 0, to: 1x, sample: right}, {kind: cosine, to: min_lr, over: \
                    max(T - W, 1), cycles: num_cycles, sample: right, after: continue}]}; with warmup_lr_rate the warmup is \
                    {from: warmup_lr_rate x, sample: closed}",
        note: "Each step is one step further than in the other schedules: the first update does not have lr 0, and the \
               last has min_lr",
        example: "transformers.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(optimizer, num_warmup_steps=10, \
                  num_training_steps=100, min_lr_rate=0.1)",
        expand: |given| {
            let to = min_lr(given)?;
            let fall = with(cosine(given, to)?, "sample", text("right"));
            let (from, sample) = match given.maybe_number("warmup_lr_rate") {
                Some(rate) => (times_base(rate), "closed"),
                None => (float(0.0), "right"),
            };
            let rise =
                map([("kind", text("linear")), ("from", from), ("to", text("1x")), ("sample", text(sample))]);
            Some(phases(vec![(given.tree("num_warmup_steps")?, rise)], fall))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_wsd_schedule",
        aliases: &["transformers.warmup_stable_decay"],
        signature: "optimizer, num_warmup_steps, num_decay_steps, num_training_steps=, num_stable_steps=, warmup_type=, \
            decay_type=, min_lr_ratio=, num_cycles=, last_epoch=",
        params: &[
            required("num_warmup_steps", ParamType::Length(0), "length W of the warmup"),
            required("num_decay_steps", ParamType::Length(0), "length D of the decay"),
            optional("num_training_steps", ParamType::Length(1), "total length T"),
            optional(
                "num_stable_steps",
                ParamType::Length(0),
                "length S of the stable part; T - W - D by default",
            ),
            param("warmup_type", ParamType::Choice(SHAPES), "linear", "shape of the rise from min_lr_ratio"),
            param("decay_type", ParamType::Choice(SHAPES), "cosine", "shape of the decay to min_lr_ratio"),
            param(
                "min_lr_ratio",
                ParamType::Number(FROM_0_TO_1),
                "0",
                "the lowest lr as a factor of the base lr",
            ),
            WAVES,
            LAST_EPOCH,
        ],
        expansion: "{phases: [{for: W, warmup: {over: \"100%\", from: min_lr_ratio x, shape: warmup_type}, body: 1x}, {for: S, \
                    value: 1x}, {for: D, kind: decay_type, to: min_lr_ratio x}, {value: min_lr_ratio x}]}",
        note: "num_training_steps or num_stable_steps is required; with both, num_stable_steps is used. If W + D is \
               longer than T, the decay starts after its beginning",
        example: "transformers.get_wsd_schedule(optimizer, num_warmup_steps=10, num_decay_steps=20, num_training_steps=100)",
        expand: wsd,
        ..PLAIN
    },
    LibraryEntry {
        name: "transformers.get_greedy_schedule",
        aliases: &["transformers.greedy", "transformers.GreedyLR"],
        signature: "optimizer, mode=, factor=, patience=, threshold=, threshold_mode=, cooldown=, warmup=, min_lr=, \
            max_lr=, eps=, verbose=, smooth=, window_size=, reset_start=",
        params: &[
            MODE,
            greedy_rule::FACTOR,
            greedy_rule::PATIENCE,
            greedy_rule::THRESHOLD,
            greedy_rule::THRESHOLD_MODE,
            greedy_rule::COOLDOWN,
            greedy_rule::WARMUP,
            param("min_lr", ParamType::Lr, "1e-3", "lower bound"),
            param("max_lr", ParamType::Lr, "1", "upper bound"),
            greedy_rule::EPS,
            param("smooth", ParamType::Flag, "false", "use the mean of the last checks as the metric"),
            param("window_size", ParamType::Whole(1), "50", "number of checks in the mean"),
            param(
                "reset_start",
                ParamType::Whole(0),
                "500",
                "reductions at the lower bound before a restart",
            ),
            WATCH,
            EVERY,
        ],
        per_group: &["min_lr", "max_lr"],
        expansion: "{kind: greedy, mode: mode, factor: factor, ..., min: min_lr, max: max_lr, smooth: window_size if \
                    smooth, reset_after: reset_start}",
        note: "It checks the metric whenever the run evaluates; `every` and `watch` change that, as in `greedy`",
        example: "transformers.get_greedy_schedule(optimizer, patience=5, factor=0.9)",
        expand: greedy,
        ..PLAIN
    },
];

const SHAPES: &[&str] = &["linear", "cosine", "1-sqrt"];

const NAMES: &[&str] = &[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "reduce_lr_on_plateau",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
    "greedy",
];

/// T - W and its number. Sets the length T.
fn decay(given: &mut Arguments<'_, '_>) -> Option<(Tree, f64)> {
    let total = given.tree("num_training_steps")?;
    given.set_length(&total);
    given.minus("num_training_steps", "num_warmup_steps")
}

fn cosine(given: &mut Arguments<'_, '_>, to: Tree) -> Option<Tree> {
    let (over, n) = decay(given)?;
    Some(map([
        ("kind", text("cosine")),
        ("to", to),
        ("over", if n > 0.0 { over } else { whole(1.0) }),
        ("cycles", given.tree("num_cycles")?),
        ("after", text("continue")),
    ]))
}

fn wave(given: &mut Arguments<'_, '_>, to: Tree) -> Option<Tree> {
    let fall = cosine(given, to)?;
    Some(with_warmup(given.tree("num_warmup_steps")?, float(0.0), fall))
}

/// The lowest lr of the wave, which must be given in one of two ways.
fn min_lr(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    match (given.maybe_tree("min_lr"), given.maybe_number("min_lr_rate")) {
        (Some(lr), None) => Some(lr),
        (None, Some(rate)) => Some(times_base(rate)),
        (None, None) => given.refuse("min_lr", "expected `min_lr` or `min_lr_rate`"),
        (Some(_), Some(_)) => given.refuse("min_lr_rate", "expected only one of `min_lr` and `min_lr_rate`"),
    }
}

fn wsd(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let (warmup, decay) = (given.tree("num_warmup_steps")?, given.tree("num_decay_steps")?);
    let min = times_base(given.number("min_lr_ratio")?);
    let stable = match given.maybe_tree("num_stable_steps") {
        Some(stable) => (stable, 0.0),
        None if given.has("num_training_steps") => {
            let total = given.tree("num_training_steps")?;
            given.set_length(&total);
            let rest = combine_lengths(&total, &warmup, |a, b| a - b);
            let Some(left) = rest.and_then(|(rest, _)| combine_lengths(&rest, &decay, |a, b| a - b)) else {
                let message = "expected warmup, decay and total length in one unit: steps or percent";
                return given.refuse("num_decay_steps", message);
            };
            left
        }
        None => {
            return given.refuse("num_training_steps", "expected `num_training_steps` or `num_stable_steps`");
        }
    };
    if given.has("num_stable_steps") {
        let sum =
            [&warmup, &stable.0, &decay].into_iter().try_fold(0.0, |sum, length| Some(sum + ticks(length)?));
        given.set_length_ticks(sum);
    }
    let shape = match given.choice("warmup_type")? {
        "1-sqrt" => "one_minus_sqrt",
        shape => shape,
    };
    let up = map([("over", text("100%")), ("from", min.clone()), ("shape", text(shape))]);
    let rise = map([("warmup", up), ("body", text("1x"))]);
    let to = ("to", min.clone());
    let fall = match given.choice("decay_type")? {
        "1-sqrt" => map([("kind", text("one_minus_sqrt")), to]),
        "cosine" => map([("kind", text("cosine")), to, ("cycles", given.tree("num_cycles")?)]),
        _ => map([("kind", text("linear")), to]),
    };
    let (stable, missing) = stable;
    let plateau = (stable, constant_lr(text("1x")));
    let parts = match ticks(&decay) {
        // The decay starts before the end of the warmup.
        Some(length) if missing < 0.0 => {
            let left = (length + missing).max(0.0);
            let late = map([("shift", whole(-missing)), ("of", with(fall, "over", decay))]);
            vec![(warmup, rise), (whole(left), late)]
        }
        _ if missing < 0.0 => {
            return given
                .refuse("num_decay_steps", "warmup and decay together are longer than `num_training_steps`");
        }
        Some(0.0) => vec![(warmup, rise), plateau],
        _ => vec![(warmup, rise), plateau, (decay, fall)],
    };
    Some(phases(parts, constant_lr(min)))
}

fn greedy(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let mut tree = with_some(map([("kind", text("greedy"))]), "mode", given.mode());
    for (name, own) in [
        ("factor", "factor"),
        ("patience", "patience"),
        ("threshold", "threshold"),
        ("threshold_mode", "threshold_mode"),
        ("cooldown", "cooldown"),
        ("warmup", "warmup"),
        ("min_lr", "min"),
        ("max_lr", "max"),
        ("eps", "eps"),
        ("watch", "watch"),
        ("every", "every"),
    ] {
        tree = with_some(tree, own, given.maybe_tree(name));
    }
    if given.has("reset_start") {
        // A reset after 0 reductions happens at the first one.
        tree = with(tree, "reset_after", whole(given.whole("reset_start")?.max(1) as f64));
    }
    Some(if given.flag("smooth")? { with(tree, "smooth", given.tree("window_size")?) } else { tree })
}

fn get_scheduler(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let name = given.choice("name")?;
    let needed: &[&'static str] = match name {
        "constant" | "reduce_lr_on_plateau" | "greedy" => &[],
        "constant_with_warmup" | "inverse_sqrt" => &["num_warmup_steps"],
        _ => &["num_warmup_steps", "num_training_steps"],
    };
    let mut entries = vec![entry("kind", text(&format!("transformers.{name}")))];
    for name in needed {
        entries.extend(given.maybe_tree(name).map(|tree| entry(name, tree)));
    }
    // transformers does not pass further arguments to these two.
    if !matches!(name, "constant" | "constant_with_warmup") {
        entries.extend(given.entries("scheduler_specific_kwargs"));
    }
    Some(Tree::new(Value::Map(entries)))
}
