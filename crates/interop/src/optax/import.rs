//! `optax.schedules`, called with the number of updates so far, and some of its transformations.

use crate::arguments::Arguments;
use crate::entry::{Extra, ExtraType, LibraryEntry, PLAIN};
use crate::trees::{
    combine_lengths, constant_lr, float, list, lr, map, phases, scaled, text, ticks, times_base, whole, with,
    with_base, with_some,
};
use schedule::catalogue::{
    ABOVE_0, ANY, AT_LEAST_0, BETWEEN_0_AND_1, FROM_0_TO_1, Param, ParamType, optional, param, required,
};
use schedule::catalogue::{EVERY, WATCH_LOSS};
use schedule::lr_value::LrValue;
use schedule::tree::{Tree, Value};

const INIT: Param = param("init_value", ParamType::Lr, "1x", "lr at step 0");
const PEAK: Param = param("peak_value", ParamType::Lr, "1x", "the highest lr");
const BEGIN: Param =
    param("transition_begin", ParamType::Length(0), "0", "number of steps at the first value");
const STAIRCASE: Param =
    param("staircase", ParamType::Flag, "false", "change the lr only at the end of each `transition_steps`");
const RATE: Param = required(
    "decay_rate",
    ParamType::Number(AT_LEAST_0),
    "factor per `transition_steps`; 0 keeps the lr constant, as in optax",
);
const BOUND: Param = optional(
    "end_value",
    ParamType::Lr,
    "bound: a lower bound if decay_rate is below 1, otherwise an upper bound",
);

pub(crate) const ENTRIES: &[LibraryEntry] = &[
    LibraryEntry {
        name: "optax.constant_schedule",
        signature: "value",
        params: &[param("value", ParamType::Lr, "1x", "the lr")],
        expansion: "{kind: constant, value: value}",
        example: "optax.constant_schedule(0.1)",
        expand: |given| Some(constant_lr(given.tree("value")?)),
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.linear_schedule",
        signature: "init_value, end_value, transition_steps, transition_begin=",
        params: &[
            INIT,
            required("end_value", ParamType::Lr, "lr at the end"),
            required("transition_steps", ParamType::Length(0), "length of the transition"),
            BEGIN,
        ],
        expansion: "{phases: [{for: transition_begin, value: init_value}, {kind: linear, from: init_value, to: \
                    end_value, over: transition_steps}]}",
        note: "With transition_steps 0 the lr stays at init_value, as in optax",
        example: "optax.linear_schedule(init_value=0.1, end_value=0.0, transition_steps=100)",
        expand: |given| line(given, "init_value", "end_value", "transition_steps", None),
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.polynomial_schedule",
        aliases: &["optax.polynomial_decay"],
        signature: "init_value, end_value, power, transition_steps, transition_begin=",
        params: &[
            INIT,
            required("end_value", ParamType::Lr, "lr at the end"),
            required("power", ParamType::Number(ABOVE_0), "exponent of the remaining fraction"),
            required("transition_steps", ParamType::Length(0), "length of the transition"),
            BEGIN,
        ],
        expansion: "{phases: [{for: transition_begin, value: init_value}, {kind: polynomial, from: init_value, to: \
                    end_value, over: transition_steps, power: power}]}",
        note: "With transition_steps 0 the lr stays at init_value, as in optax",
        example: "optax.polynomial_schedule(init_value=0.1, end_value=0.001, power=2, transition_steps=100)",
        expand: |given| {
            let power = given.tree("power")?;
            line(given, "init_value", "end_value", "transition_steps", Some(power))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.exponential_decay",
        signature: "init_value, transition_steps, decay_rate, transition_begin=, staircase=, end_value=",
        params: &[INIT, STRETCH, RATE, BEGIN, STAIRCASE, BOUND],
        expansion: "{clamp: {min or max: end_value}, of: {base: init_value, of: {phases: [{for: transition_begin, value: \
                    1x}, {kind: exponential, gamma: decay_rate, every: transition_steps, staircase: staircase}]}}}",
        note: "With transition_steps 0 or decay_rate 0 the lr stays at init_value, for any end_value, as in optax",
        example: "optax.exponential_decay(init_value=0.1, transition_steps=50, decay_rate=0.5)",
        expand: |given| exponential(given, "init_value"),
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.cosine_decay_schedule",
        signature: "init_value, decay_steps, alpha=, exponent=",
        params: &[
            INIT,
            required("decay_steps", ParamType::Length(1), "length of the half wave"),
            param("alpha", ParamType::Number(AT_LEAST_0), "0.0", "the last lr as a fraction of the first"),
            param("exponent", ParamType::Number(ABOVE_0), "1.0", "power of the wave"),
        ],
        expansion: "{base: init_value, of: {kind: cosine, to: alpha x, over: decay_steps, exponent: exponent}}",
        example: "optax.cosine_decay_schedule(init_value=0.1, decay_steps=100, alpha=0.1)",
        expand: |given| {
            let over = given.tree("decay_steps")?;
            given.set_length(&over);
            let of = map([
                ("kind", text("cosine")),
                ("to", times_base(given.number("alpha")?)),
                ("over", over),
                ("exponent", given.tree("exponent")?),
            ]);
            Some(with_base(given.lr("init_value")?, of))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.warmup_constant_schedule",
        signature: "init_value, peak_value, warmup_steps",
        params: &[
            required("init_value", ParamType::Lr, "lr at step 0"),
            PEAK,
            required("warmup_steps", ParamType::Length(0), "length of the warmup"),
        ],
        expansion: "{kind: linear, from: init_value, to: peak_value, over: warmup_steps}",
        note: "With warmup_steps 0 the lr stays at init_value, as in optax",
        example: "optax.warmup_constant_schedule(init_value=0.0, peak_value=0.1, warmup_steps=10)",
        expand: |given| {
            let tree = line(given, "init_value", "peak_value", "warmup_steps", None);
            // The warmup does not set the length of the run.
            given.length = None;
            tree
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.warmup_cosine_decay_schedule",
        signature: "init_value, peak_value, warmup_steps, decay_steps, end_value=, exponent=",
        params: &[
            required("init_value", ParamType::Lr, "lr at step 0"),
            PEAK,
            required("warmup_steps", ParamType::Length(0), "length of the warmup"),
            required("decay_steps", ParamType::Length(1), "total length, including the warmup"),
            param("end_value", ParamType::Lr, "0.0", "lr at the end"),
            param("exponent", ParamType::Number(ABOVE_0), "1.0", "power of the wave"),
        ],
        expansion: "{phases: [{for: warmup_steps, kind: linear, from: init_value, to: peak_value}, {kind: cosine, from: \
                    peak_value, to: end_value, over: decay_steps - warmup_steps, exponent: exponent}]}",
        note: "decay_steps includes the warmup, unlike in keras. With a peak_value of 0 the lr is 0",
        example: "optax.warmup_cosine_decay_schedule(init_value=0.0, peak_value=0.1, warmup_steps=10, decay_steps=100)",
        expand: |given| {
            let total = given.tree("decay_steps")?;
            given.set_length(&total);
            let (over, number) = given.minus("decay_steps", "warmup_steps")?;
            if number <= 0.0 {
                let message = format!("expected more than `warmup_steps`, which it includes, found {total}");
                return given.refuse("decay_steps", message);
            }
            let rise = rise(given)?;
            let peak = given.lr("peak_value")?;
            let fall = map([
                ("kind", text("cosine")),
                ("from", lr(peak)),
                ("to", given.tree("end_value")?),
                ("over", over),
                ("exponent", given.tree("exponent")?),
            ]);
            let fall = if peak.is_zero() { constant_lr(float(0.0)) } else { fall };
            Some(phases(vec![(given.tree("warmup_steps")?, rise)], fall))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.warmup_exponential_decay_schedule",
        signature: "init_value, peak_value, warmup_steps, transition_steps, decay_rate, transition_begin=, staircase=, \
            end_value=",
        params: &[
            required("init_value", ParamType::Lr, "lr at step 0"),
            PEAK,
            required("warmup_steps", ParamType::Length(0), "length of the warmup"),
            STRETCH,
            RATE,
            BEGIN,
            STAIRCASE,
            BOUND,
        ],
        expansion: "{phases: [{for: warmup_steps, kind: linear, from: init_value, to: peak_value}, {clamp: {min or max: \
                    end_value}, of: {base: peak_value, of: {phases: [{for: transition_begin, value: 1x}, {kind: \
                    exponential, gamma: decay_rate, every: transition_steps, staircase: staircase}]}}}]}",
        note: "transition_begin counts from the end of the warmup",
        example: "optax.warmup_exponential_decay_schedule(init_value=0.0, peak_value=0.1, warmup_steps=10, \
                  transition_steps=50, decay_rate=0.5)",
        expand: |given| {
            let (warmup, rise) = (given.tree("warmup_steps")?, rise(given)?);
            Some(phases(vec![(warmup, rise)], exponential(given, "peak_value")?))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.piecewise_constant_schedule",
        signature: "init_value, boundaries_and_scales=",
        params: &[INIT],
        extra: &[SCALES],
        expansion: "{base: init_value, of: {kind: multistep, at: [boundaries], gammas: [scales]}}",
        note: "A scale applies from its boundary on",
        example: "optax.piecewise_constant_schedule(0.1, {60: 0.1, 90: 0.1})",
        expand: |given| {
            let (init, scales) = (given.lr("init_value")?, given.scales("boundaries_and_scales")?);
            if scales.is_empty() {
                return Some(constant_lr(lr(init)));
            }
            let mut product = 1.0;
            let mut values = vec![text("1x")];
            for (_, scale) in &scales {
                product *= scale;
                values.push(times_base(product));
            }
            // Factors of 0 can only be written as values.
            let zero = scales.iter().any(|(_, scale)| *scale == 0.0);
            let at = list(scales.iter().map(|(step, _)| whole(*step as f64)).collect());
            let gammas = list(scales.iter().map(|(_, scale)| float(*scale)).collect());
            let (name, factors) = if zero { ("values", list(values)) } else { ("gammas", gammas) };
            Some(with_base(init, map([("kind", text("multistep")), ("at", at), (name, factors)])))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.piecewise_interpolate_schedule",
        signature: "interpolate_type, init_value, boundaries_and_scales=",
        params: &[
            required(
                "interpolate_type",
                ParamType::Choice(&["linear", "cosine"]),
                "interpolation between the knots",
            ),
            INIT,
        ],
        extra: &[SCALES],
        expansion: "{kind: piecewise, interp: interpolate_type, points: [[0, init_value], [boundary, init_value * the \
                    scales so far], ...]}",
        note: "Scales are factors on the previous value. A boundary at 0 replaces init_value",
        example: "optax.piecewise_interpolate_schedule('linear', 0.01, {30: 10.0, 100: 0.01})",
        expand: |given| {
            let interp = given.choice("interpolate_type")?;
            let (init, scales) = (given.lr("init_value")?, given.scales("boundaries_and_scales")?);
            given.set_length_ticks(scales.last().map(|(step, _)| *step as f64));
            Some(knots(interp, init, &scales))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.linear_onecycle_schedule",
        signature: "transition_steps, peak_value, pct_start=, pct_final=, div_factor=, final_div_factor=",
        params: &[
            TRANSITION,
            PEAK,
            SHARE,
            param(
                "pct_final",
                ParamType::Number(FROM_0_TO_1),
                "0.85",
                "fraction of the cycle at which the lr is back at its first value",
            ),
            DIV,
            param(
                "final_div_factor",
                ParamType::Number(ABOVE_0),
                "1e4",
                "the last lr is the first one divided by this",
            ),
        ],
        expansion: "{kind: piecewise, points: [[0, peak_value / div_factor], [int(pct_start * N), peak_value], \
                    [int(pct_final * N), peak_value / div_factor], [N, peak_value / (div_factor * final_div_factor)]]}",
        note: "The knots are at whole steps and the end is step N = transition_steps, unlike in torch's OneCycleLR",
        example: "optax.linear_onecycle_schedule(transition_steps=100, peak_value=0.1)",
        expand: |given| {
            let n = given.whole("transition_steps")?;
            let (div, last) = (given.number("div_factor")?, given.number("final_div_factor")?);
            let (start, back) = (given.number("pct_start")?, given.number("pct_final")?);
            let scales = [(part(start, n), div), (part(back, n), 1.0 / div), (n as i64, 1.0 / last)];
            one_cycle(given, "linear", div, &scales)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.cosine_onecycle_schedule",
        signature: "transition_steps, peak_value, pct_start=, div_factor=, final_div_factor=",
        params: &[
            TRANSITION,
            PEAK,
            SHARE,
            DIV,
            param(
                "final_div_factor",
                ParamType::Number(ABOVE_0),
                "1e4",
                "the last lr is the first one divided by this",
            ),
        ],
        expansion: "{kind: piecewise, interp: cosine, points: [[0, peak_value / div_factor], [int(pct_start * N), \
                    peak_value], [N, peak_value / (div_factor * final_div_factor)]]}",
        note: "The knots are at whole steps and the end is step N = transition_steps, unlike in torch's OneCycleLR",
        example: "optax.cosine_onecycle_schedule(transition_steps=100, peak_value=0.1)",
        expand: |given| {
            let n = given.whole("transition_steps")?;
            let (div, last) = (given.number("div_factor")?, given.number("final_div_factor")?);
            let start = given.number("pct_start")?;
            let scales = [(part(start, n), div), (n as i64, 1.0 / (div * last))];
            one_cycle(given, "cosine", div, &scales)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.sgdr_schedule",
        signature: "cosine_kwargs",
        extra: &[Extra {
            name: "cosine_kwargs",
            ty: ExtraType::Each,
            required: true,
            doc: "the parameters of `optax.warmup_cosine_decay_schedule` for each cycle",
        }],
        expansion: "{phases: [{for: decay_steps, <warmup_cosine_decay_schedule>}, ...]}",
        example: "optax.sgdr_schedule([{'init_value': 0.0, 'peak_value': 0.1, 'warmup_steps': 5, 'decay_steps': 50}, \
                  {'init_value': 0.0, 'peak_value': 0.05, 'warmup_steps': 5, 'decay_steps': 50}])",
        expand: sgdr,
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.join_schedules",
        signature: "schedules, boundaries",
        params: &[required("boundaries", ParamType::Lengths, "the steps at which the next schedules begin")],
        extra: &[Extra {
            name: "schedules",
            ty: ExtraType::Schedules,
            required: true,
            doc: "the schedules, one more than the boundaries",
        }],
        expansion: "{phases: [{for: boundaries[0], schedules[0]}, ..., {schedules[n]}]}",
        note: "Each schedule counts from its own start. If boundaries do not rise, the later one wins, as in optax",
        example: "optax.join_schedules([optax.linear_schedule(0.0, 0.1, 10), optax.cosine_decay_schedule(0.1, 90)], [10])",
        expand: |given| {
            let boundaries = given.items("boundaries");
            let n = given.children.len();
            if boundaries.len() + 1 != n {
                let message =
                    format!("{n} schedules need {} boundaries, found {}", n.max(1) - 1, boundaries.len());
                return given.refuse("boundaries", message);
            }
            let boundaries = in_force(given, boundaries);
            crate::torch::sequence::sequence(given, "boundaries", &boundaries)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.contrib.reduce_on_plateau",
        aliases: &["optax.reduce_on_plateau"],
        signature: "factor=, patience=, rtol=, atol=, cooldown=, accumulation_size=, min_scale=",
        params: &[
            param("factor", ParamType::Number(BETWEEN_0_AND_1), "0.1", "factor of each reduction"),
            param(
                "patience",
                ParamType::Whole(1),
                "10",
                "number of checks without improvement before a reduction",
            ),
            param(
                "rtol",
                ParamType::Number(FROM_0_TO_1),
                "1e-4",
                "minimum improvement relative to the best metric",
            ),
            param("atol", ParamType::Number(AT_LEAST_0), "0.0", "absolute improvement required in addition"),
            param("cooldown", ParamType::Whole(0), "0", "checks to ignore after a reduction"),
            param("accumulation_size", ParamType::Whole(1), "1", "number of checks whose mean is one metric"),
            param(
                "min_scale",
                ParamType::Number(AT_LEAST_0),
                "0.0",
                "lower bound, as a factor of the base lr",
            ),
            WATCH_LOSS,
            EVERY,
        ],
        expansion: "{kind: plateau, apply: same, factor: factor, patience: patience - 1, threshold: rtol, threshold_abs: \
                    atol, cooldown: cooldown, accumulate: accumulation_size, min: min_scale x, eps: 0}",
        note: "The loss of the batch at an update already scales that update. optax reduces at the patience-th check \
               without improvement, torch at the next one. A patience of 0 reduces at each improvement in optax and is \
               refused",
        example: "optax.contrib.reduce_on_plateau(factor=0.5, patience=5)",
        expand: |given| {
            let (relative, absolute) = (given.number("rtol")?, given.number("atol")?);
            if relative == 0.0 && absolute == 0.0 {
                return given.refuse("rtol", "expected `rtol` or `atol` above 0");
            }
            let mut tree = map([
                ("kind", text("plateau")),
                ("apply", text("same")),
                ("factor", given.tree("factor")?),
                ("patience", whole(given.whole("patience")?.saturating_sub(1) as f64)),
                ("threshold", given.tree("rtol")?),
                ("threshold_abs", given.tree("atol")?),
                ("cooldown", given.tree("cooldown")?),
                ("accumulate", given.tree("accumulation_size")?),
                ("min", times_base(given.number("min_scale")?)),
                ("eps", whole(0.0)),
            ]);
            tree = with_some(tree, "watch", given.maybe_tree("watch"));
            Some(with_some(tree, "every", given.maybe_tree("every")))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.polyak_sgd",
        signature: "max_learning_rate=, scaling=, f_min=, eps=, variant=",
        params: &[
            param("max_learning_rate", ParamType::Lr, "1.0", "upper bound"),
            param("scaling", ParamType::Number(ABOVE_0), "1.0", "only 1"),
            param("f_min", ParamType::Number(ANY), "0.0", "the lowest possible loss"),
            param("eps", ParamType::Number(AT_LEAST_0), "0.0", "added to the squared norm"),
            param(
                "variant",
                ParamType::Choice(&["sps", "sps+"]),
                "sps",
                "both are the same here: the lr is never negative",
            ),
        ],
        expansion: "{kind: polyak, max: max_learning_rate, f_min: f_min, eps: eps, variant: variant}",
        note: "Other values of `scaling` than 1 are refused, because the code of optax divides by it and its \
               documentation multiplies",
        example: "optax.polyak_sgd(max_learning_rate=0.5)",
        expand: |given| {
            if given.number("scaling")? != 1.0 {
                return given.refuse(
                    "scaling",
                    "expected 1, because the code and the documentation of optax differ for other values",
                );
            }
            Some(map([
                ("kind", text("polyak")),
                ("max", given.tree("max_learning_rate")?),
                ("f_min", given.tree("f_min")?),
                ("eps", given.tree("eps")?),
                ("variant", given.tree("variant")?),
            ]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "optax.contrib.dog",
        signature: "learning_rate=, init_step=, eps=, weight_decay=, mask=",
        params: &[
            param("learning_rate", ParamType::PositiveLr, "1.0", "factor on the rule's lr"),
            param("eps", ParamType::Number(AT_LEAST_0), "1e-8", "added to the sum of squares"),
        ],
        extra: &[Extra {
            name: "init_step",
            ty: ExtraType::Pair,
            required: false,
            doc: "scale of the first steps: `[heuristic, 1e-6]` (the default) or `[distance, r]`",
        }],
        refused: &[("weight_decay", "set it in the sweep file with `optimizer: {weight_decay: ...}`")],
        expansion: "{base: learning_rate, of: {kind: dog, init: init_step[0], r_eps: init_step[1], eps: eps}}",
        note: "`init_step` with a learning_rate is not supported",
        example: "optax.contrib.dog(learning_rate=0.5, init_step=('distance', 0.01))",
        expand: |given| {
            let init = given.items("init_step");
            let (word, reach) = match init.as_slice() {
                [word, reach] => (word.clone(), reach.clone()),
                _ => (text("heuristic"), float(1e-6)),
            };
            let rule =
                map([("kind", text("dog")), ("init", word), ("r_eps", reach), ("eps", given.tree("eps")?)]);
            Some(map([("base", given.tree("learning_rate")?), ("of", rule)]))
        },
        ..PLAIN
    },
];

/// The effective boundaries: a boundary that is not before a later one has no effect, nor has the schedule
/// between them.
fn in_force(given: &mut Arguments<'_, '_>, boundaries: Vec<Tree>) -> Vec<Tree> {
    if !boundaries.iter().all(|tree| ticks(tree).is_some()) {
        return boundaries;
    }
    let mut kept: Vec<Tree> = Vec::new();
    for boundary in boundaries {
        while kept.last().is_some_and(|last| ticks(last) >= ticks(&boundary)) {
            kept.pop();
            given.children.remove(kept.len() + 1);
        }
        kept.push(boundary);
    }
    kept
}

const SCALES: Extra = Extra {
    name: "boundaries_and_scales",
    ty: ExtraType::Scales,
    required: false,
    doc: "steps, each with a factor on the lr",
};
const STRETCH: Param =
    required("transition_steps", ParamType::Length(0), "length over which `decay_rate` is applied once");
const TRANSITION: Param =
    required("transition_steps", ParamType::Whole(1), "length N of the cycle, in steps");
const SHARE: Param =
    param("pct_start", ParamType::Number(FROM_0_TO_1), "0.3", "fraction of the cycle in which the lr rises");
const DIV: Param =
    param("div_factor", ParamType::Number(ABOVE_0), "25.0", "the first lr is peak_value / div_factor");

/// A transition from one lr to another, after some steps at the first.
fn line(
    given: &mut Arguments<'_, '_>,
    from: &'static str,
    to: &'static str,
    over: &'static str,
    power: Option<Tree>,
) -> Option<Tree> {
    let (from, to, over) = (given.tree(from)?, given.tree(to)?, given.tree(over)?);
    if ticks(&over) == Some(0.0) {
        return Some(constant_lr(from));
    }
    let begin = given.tree("transition_begin").unwrap_or_else(|| whole(0.0));
    let sum = combine_lengths(&over, &begin, |a, b| a + b).filter(|_| ticks(&over).is_some());
    given.set_length_ticks(sum.map(|(_, sum)| sum));
    let kind = text(if power.is_some() { "polynomial" } else { "linear" });
    let way = map([("kind", kind), ("from", from.clone()), ("to", to), ("over", over)]);
    Some(phases(vec![(begin, constant_lr(from))], with_some(way, "power", power)))
}

/// The warmup of a schedule that begins with one.
fn rise(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    Some(map([
        ("kind", text("linear")),
        ("from", given.tree("init_value")?),
        ("to", given.tree("peak_value")?),
    ]))
}

/// Exponential decay from the value of one parameter.
fn exponential(given: &mut Arguments<'_, '_>, from: &'static str) -> Option<Tree> {
    let (init, every, rate) = (given.lr(from)?, given.tree("transition_steps")?, given.number("decay_rate")?);
    if ticks(&every) == Some(0.0) || rate == 0.0 {
        return Some(constant_lr(lr(init)));
    }
    let decay = map([
        ("kind", text("exponential")),
        ("gamma", given.tree("decay_rate")?),
        ("every", every),
        ("staircase", given.tree("staircase")?),
    ]);
    let decay =
        with_base(init, phases(vec![(given.tree("transition_begin")?, constant_lr(text("1x")))], decay));
    Some(match given.maybe_tree("end_value") {
        Some(end) => {
            let bound = if rate < 1.0 { "min" } else { "max" };
            with(map([("clamp", map([(bound, end)]))]), "of", decay)
        }
        None => decay,
    })
}

/// A fraction of a number of steps, rounded as by Python's `int`.
fn part(share: f64, n: u64) -> i64 {
    (share * n as f64).trunc() as i64
}

/// Knots from scales. If steps are equal, the last one wins, as in a Python dict.
fn one_cycle(given: &mut Arguments<'_, '_>, interp: &str, div: f64, scales: &[(i64, f64)]) -> Option<Tree> {
    let mut once: Vec<(i64, f64)> = Vec::new();
    for (step, scale) in scales {
        once.retain(|(known, _)| known != step);
        once.push((*step, *scale));
    }
    once.sort_by_key(|(step, _)| *step);
    let peak = given.lr("peak_value")?;
    given.set_length_ticks(once.last().map(|(step, _)| *step as f64));
    Some(knots(interp, scaled(peak, 1.0 / div), &once))
}

/// Knots from factors on the previous value.
fn knots(interp: &str, init: LrValue, scales: &[(i64, f64)]) -> Tree {
    let point = |step: i64, value: LrValue| list(vec![whole(step as f64), lr(value)]);
    let mut value = init;
    let mut points = vec![point(0, value)];
    for (step, scale) in scales {
        value = scaled(value, *scale);
        if *step == 0 {
            points.clear();
        }
        points.push(point(*step, value));
    }
    map([("kind", text("piecewise")), ("interp", text(interp)), ("points", list(points))])
}

fn sgdr(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let mut cycles = Vec::new();
    let mut total = Some(0.0);
    for tree in given.items("cosine_kwargs") {
        let Some(length) = tree.get("decay_steps").cloned() else {
            return given.refuse("cosine_kwargs", "missing key `decay_steps` in one of the cycles");
        };
        total = total.zip(ticks(&length)).map(|(total, steps)| total + steps);
        let Value::Map(mut entries) = tree.value else { return None };
        entries.push(crate::trees::entry("kind", text("optax.warmup_cosine_decay_schedule")));
        cycles.push((length, Tree { place: tree.place, value: Value::Map(entries) }));
    }
    given.set_length_ticks(total);
    // A cycle stays at its last value after its end, so the last cycle needs no length.
    let (_, last) = cycles.pop()?;
    let path = "cosine_kwargs";
    let mut expanded = Vec::new();
    for (length, cycle) in cycles {
        expanded.push((length, given.expanded(&cycle, path)?));
    }
    let last = given.expanded(&last, path)?;
    Some(phases(expanded, last))
}
