//! `timm.scheduler`. Its schedulers count epochs unless `t_in_epochs` is false. The optimizer's lr is the
//! base lr, and it is used at t = 0 regardless of the formula.

use super::parameters::{
    CYCLE_DECAY, CYCLE_LIMIT, CYCLE_MUL, EPOCHS, FIRST, K, LENGTH, LR_MIN, NOISE_PCT, NOISE_RANGE,
    NOISE_SEED, NOISE_STD, OVERLAY, PREFIX, REFUSED, SPAN, WARMUP, ticks_of,
};
use crate::arguments::Arguments;
use crate::entry::{LibraryEntry, PLAIN};
use crate::trees::{constant_lr, float, list, map, phases, text, ticks, whole, with, with_some, without};
use schedule::catalogue::{ABOVE_0, ANY, AT_LEAST_0, BETWEEN_0_AND_1, ParamType, optional, param, required};
use schedule::catalogue::{EVERY, WATCH};
use schedule::lr_value::LrValue;
use schedule::tree::{Tree, Value};

pub(crate) const ENTRIES: &[LibraryEntry] = &[
    LibraryEntry {
        name: "timm.CosineLRScheduler",
        signature: "optimizer, t_initial, lr_min=, cycle_mul=, cycle_decay=, cycle_limit=, warmup_t=, warmup_lr_init=, \
            warmup_prefix=, t_in_epochs=, noise_range_t=, noise_pct=, noise_std=, noise_seed=, k_decay=, \
            initialize=",
        params: &[
            LENGTH,
            LR_MIN,
            CYCLE_MUL,
            CYCLE_DECAY,
            CYCLE_LIMIT,
            WARMUP,
            FIRST,
            OVERLAY,
            EPOCHS,
            K,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: SPAN,
        expansion: "{clock: epoch, phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {shift: \
                    warmup_t, of: {restart: {kind: cosine, to: lr_min, k: k_decay}, every: t_initial, mult: cycle_mul, \
                    decay: cycle_decay, limit: cycle_limit, then: lr_min}}]}",
        note: OVERLAID,
        example: "timm.scheduler.CosineLRScheduler(optimizer, t_initial=100, warmup_t=5, warmup_lr_init=1e-5)",
        expand: |given| {
            let wave =
                map([("kind", text("cosine")), ("to", given.tree("lr_min")?), ("k", given.tree("k_decay")?)]);
            let cycles = cycles(given, wave)?;
            let body = with_timm_warmup(given, cycles)?;
            with_clock(given, body)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.TanhLRScheduler",
        signature: "optimizer, t_initial, lb=, ub=, lr_min=, cycle_mul=, cycle_decay=, cycle_limit=, warmup_t=, \
            warmup_lr_init=, warmup_prefix=, t_in_epochs=, noise_range_t=, noise_pct=, noise_std=, noise_seed=, \
            initialize=",
        params: &[
            LENGTH,
            param("lb", ParamType::Number(ANY), "-7.0", "argument at the start of a cycle"),
            param("ub", ParamType::Number(ANY), "3.0", "argument at its end, above lb"),
            LR_MIN,
            CYCLE_MUL,
            CYCLE_DECAY,
            CYCLE_LIMIT,
            WARMUP,
            FIRST,
            OVERLAY,
            EPOCHS,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: SPAN,
        expansion: "{clock: epoch, warmup: {over: warmup_t, from: warmup_lr_init, mode: overlay, target: body}, body: \
                    {restart: {kind: tanh, lb: lb, ub: ub, to: lr_min}, every: t_initial, mult: cycle_mul, decay: \
                    cycle_decay, limit: cycle_limit, then: lr_min}}; without a warmup {phases: [{for: 1, value: 1x}, \
                    {shift: 1, of: ...}]}",
        note: "The warmup ends at the value of the curve at that step, or with `warmup_prefix: true` at the base lr, \
               after which the curve begins. Without a warmup the lr at t = 0 is the base lr, slightly above the curve",
        example: "timm.scheduler.TanhLRScheduler(optimizer, t_initial=100, lr_min=1e-4)",
        expand: tanh,
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.PolyLRScheduler",
        signature: "optimizer, t_initial, power=, lr_min=, cycle_mul=, cycle_decay=, cycle_limit=, warmup_t=, \
            warmup_lr_init=, warmup_prefix=, t_in_epochs=, noise_range_t=, noise_pct=, noise_std=, noise_seed=, \
            k_decay=, initialize=",
        params: &[
            LENGTH,
            param("power", ParamType::Number(ABOVE_0), "0.5", "exponent of the remaining fraction"),
            LR_MIN,
            CYCLE_MUL,
            CYCLE_DECAY,
            CYCLE_LIMIT,
            WARMUP,
            FIRST,
            OVERLAY,
            EPOCHS,
            K,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: SPAN,
        expansion: "{clock: epoch, phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {shift: \
                    warmup_t, of: {restart: {kind: polynomial, power: power, to: lr_min, k: k_decay}, every: t_initial, \
                    mult: cycle_mul, decay: cycle_decay, limit: cycle_limit, then: lr_min}}]}",
        note: OVERLAID,
        example: "timm.scheduler.PolyLRScheduler(optimizer, t_initial=100, power=0.9)",
        expand: |given| {
            let way = map([
                ("kind", text("polynomial")),
                ("power", given.tree("power")?),
                ("to", given.tree("lr_min")?),
                ("k", given.tree("k_decay")?),
            ]);
            let cycles = cycles(given, way)?;
            let body = with_timm_warmup(given, cycles)?;
            with_clock(given, body)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.StepLRScheduler",
        signature: "optimizer, decay_t, decay_rate=, warmup_t=, warmup_lr_init=, warmup_prefix=, t_in_epochs=, \
            noise_range_t=, noise_pct=, noise_std=, noise_seed=, initialize=",
        params: &[
            param("decay_rate", ParamType::Number(ABOVE_0), "1.0", "factor of each drop"),
            WARMUP,
            FIRST,
            PREFIX,
            EPOCHS,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: &[ticks_of("decay_t", "length of an interval, whole or fractional"), NOISE_RANGE],
        expansion: "{clock: epoch, phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {kind: step, \
                    every: decay_t, gamma: decay_rate}]}; where decay_t is not whole {kind: lambda, expr: decay_rate ** \
                    (t // decay_t)}",
        note: "The default of decay_rate is 1, which means no drops. With `warmup_prefix: false` the intervals count \
               from 0, and the warmup hides the first steps",
        example: "timm.scheduler.StepLRScheduler(optimizer, decay_t=30, decay_rate=0.1, warmup_t=3)",
        expand: |given| {
            let every = given.tree("decay_t")?;
            let steps = match fraction(&every) {
                Some(every) => {
                    let expr = format!("{} ** (t // {every})", given.number("decay_rate")?);
                    map([("kind", text("lambda")), ("expr", text(&expr))])
                }
                None => map([("kind", text("step")), ("every", every), ("gamma", given.tree("decay_rate")?)]),
            };
            let body = with_timm_warmup(given, steps)?;
            with_clock(given, body)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.MultiStepLRScheduler",
        signature: "optimizer, decay_t, decay_rate=, warmup_t=, warmup_lr_init=, warmup_prefix=, t_in_epochs=, \
            noise_range_t=, noise_pct=, noise_std=, noise_seed=, initialize=",
        params: &[
            required("decay_t", ParamType::Lengths, "the milestones"),
            param("decay_rate", ParamType::Number(ABOVE_0), "1.0", "factor of each drop"),
            WARMUP,
            FIRST,
            PREFIX,
            EPOCHS,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: SPAN,
        expansion: "{clock: epoch, phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {kind: \
                    multistep, at: decay_t, gamma: decay_rate, offset: 1}]}",
        note: "A milestone m takes effect at t = m - 1, but not at t = 0. The default of decay_rate is 1, which means \
               no drops. With `warmup_prefix: false` milestones count from 0, and the warmup hides the first steps. \
               Milestones that are not in rising order are refused, because timm's binary search is not reliable for \
               them",
        example: "timm.scheduler.MultiStepLRScheduler(optimizer, decay_t=[30, 60], decay_rate=0.1)",
        expand: |given| {
            let at = given.items("decay_t");
            let early = at.iter().any(|tree| ticks(tree).is_some_and(|m| m <= 1.0));
            let steps = if at.is_empty() {
                constant_lr(text("1x"))
            } else {
                map([
                    ("kind", text("multistep")),
                    ("at", list(at)),
                    ("gamma", given.tree("decay_rate")?),
                    ("offset", whole(1.0)),
                ])
            };
            let warm = given.tree("warmup_t")?;
            let body = match ticks(&warm) {
                Some(0.0) if early => with_base_lr_first(steps),
                _ => with_timm_warmup(given, steps)?,
            };
            with_clock(given, body)
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.WSDLRScheduler",
        signature: "optimizer, t_initial, decay_t, lr_min=, stable_fn=, stable_timescale=, stable_power=, decay_fn=, \
            decay_power=, decay_ratio=, warmup_t=, warmup_lr_init=, t_in_epochs=, noise_range_t=, noise_pct=, \
            noise_std=, noise_seed=, initialize=",
        params: &[
            required("t_initial", ParamType::Length(1), "total length of the stable part and the decay"),
            param("lr_min", ParamType::Lr, "0.0", "lr at the end"),
            param(
                "stable_fn",
                ParamType::Choice(&["constant", "rsqrt", "power"]),
                "constant",
                "the stable part",
            ),
            optional(
                "stable_timescale",
                ParamType::Number(ABOVE_0),
                "timescale of rsqrt and power; warmup_t by default",
            ),
            param("stable_power", ParamType::Number(ABOVE_0), "0.5", "exponent of power"),
            param(
                "decay_fn",
                ParamType::Choice(&["linear", "1-sqrt", "cosine", "power", "exp"]),
                "1-sqrt",
                "the shape of the decay",
            ),
            param("decay_power", ParamType::Number(ABOVE_0), "0.5", "exponent of the decay `power`"),
            param("decay_ratio", ParamType::Number(BETWEEN_0_AND_1), "0.1", "steepness of the decay `exp`"),
            WARMUP,
            FIRST,
            EPOCHS,
            NOISE_PCT,
            NOISE_STD,
            NOISE_SEED,
        ],
        extra: &[
            ticks_of("decay_t", "length of the decay, whole or fractional, at most t_initial"),
            NOISE_RANGE,
        ],
        expansion: "{clock: epoch, phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {for: \
                    t_initial - decay_t, value: 1x}, {kind: decay_fn, over: decay_t, to: lr_min}]}; with stable_fn \
                    rsqrt or power, or a decay_t that is not whole, a `lambda` of its formula after the warmup",
        note: "t_initial does not include the warmup. An lr_min above the base lr raises all lrs except the warmup and \
               t = 0",
        example: "timm.scheduler.WSDLRScheduler(optimizer, t_initial=100, decay_t=20, warmup_t=5)",
        expand: wsd,
        ..PLAIN
    },
    LibraryEntry {
        name: "timm.PlateauLRScheduler",
        signature: "optimizer, decay_rate=, patience_t=, threshold=, cooldown_t=, warmup_t=, warmup_lr_init=, lr_min=, \
            mode=, noise_range_t=, noise_type=, noise_pct=, noise_std=, noise_seed=, initialize=",
        params: &[
            param("decay_rate", ParamType::Number(BETWEEN_0_AND_1), "0.1", "factor of each reduction"),
            param(
                "patience_t",
                ParamType::Whole(0),
                "10",
                "number of checks without improvement before the lr is reduced",
            ),
            param(
                "threshold",
                ParamType::Number(AT_LEAST_0),
                "1e-4",
                "minimum improvement relative to the best metric",
            ),
            param("cooldown_t", ParamType::Whole(0), "0", "checks to ignore after a reduction"),
            WARMUP,
            FIRST,
            param("lr_min", ParamType::Lr, "0.0", "lower bound"),
            param(
                "mode",
                ParamType::Choice(&["min", "max"]),
                "max",
                "whether a lower or a higher metric is better",
            ),
            WATCH,
            EVERY,
        ],
        refused: REFUSED,
        expansion: "{phases: [{for: warmup_t, kind: linear, from: warmup_lr_init, to: 1x}, {kind: plateau, mode: mode, \
                    factor: decay_rate, patience: patience_t, threshold: threshold, cooldown: cooldown_t, min: lr_min}]}",
        note: "The default of mode is `max`, for an accuracy; a loss needs `mode: min`. The metric is checked when the \
               run evaluates. warmup_t counts steps, or epochs with `clock: epoch`. Metrics during the warmup are \
               ignored",
        example: "timm.scheduler.PlateauLRScheduler(optimizer, decay_rate=0.5, patience_t=2, mode='min')",
        expand: plateau,
        ..PLAIN
    },
    super::factory::CREATE,
];

const OVERLAID: &str = "Lengths are in epochs unless `t_in_epochs: false`. The warmup hides the first steps of the \
                        schedule, and the lr jumps to the schedule's value after it; with `warmup_prefix: true` the \
                        schedule begins after the warmup. Cycles need a t_initial ** k_decay that fits a Python float. \
                        A run is refused if timm starts a cycle one step late because its logarithm rounds down (with \
                        cycle_mul 3 the cycle after 121 * t_initial)";

/// The schedule with the base lr at the first step.
fn with_base_lr_first(of: Tree) -> Tree {
    phases(vec![(whole(1.0), constant_lr(text("1x")))], map([("shift", whole(1.0)), ("of", of)]))
}

/// The cycles of a decay to `lr_min`. Sets their length.
fn cycles(given: &mut Arguments<'_, '_>, way: Tree) -> Option<Tree> {
    let (every, limit) = (given.tree("t_initial")?, given.whole("cycle_limit")?);
    let (mul, decay) = (given.number("cycle_mul")?, given.number("cycle_decay")?);
    let n = limit as f64;
    let k = way.get("k").and_then(|k| ticks(k).or(fraction(k)));
    if ticks(&every).zip(k).is_some_and(|(every, k)| libm::pow(every, k).is_infinite()) {
        return given.refuse("k_decay", "t_initial ** k_decay is too large for Python's floats");
    }
    let warm = if given.flag("warmup_prefix")? { ticks(&given.tree("warmup_t")?) } else { Some(0.0) };
    let whole_length = ticks(&every).zip(warm).map(|(every, warm)| {
        let cycles =
            if mul == 1.0 { every * n } else { (every * (libm::pow(mul, n) - 1.0) / (mul - 1.0)).floor() };
        cycles + warm
    });
    set_length(given, whole_length)?;
    if limit == 1 {
        return Some(with(way, "over", every));
    }
    if decay != 1.0 && matches!(given.lr("lr_min")?, LrValue::Multiple(factor) if factor != 0.0) {
        return given.refuse("lr_min", "expected an absolute learning rate with `cycle_decay`");
    }
    let cycles = map([
        ("restart", way),
        ("every", every),
        ("mult", given.at_place_of("cycle_mul", float(mul))),
        ("decay", float(decay)),
        ("limit", whole(n)),
        ("then", given.tree("lr_min")?),
    ]);
    Some(if mul == 1.0 { cycles } else { with(cycles, "like", text("timm")) })
}

fn set_length(given: &mut Arguments<'_, '_>, ticks: Option<f64>) -> Option<()> {
    if given.flag("t_in_epochs")? {
        given.set_length_epochs(ticks)
    } else {
        given.set_length_ticks(ticks)
    }
    Some(())
}

/// The schedule after a warmup to the base lr, or with its first steps hidden by the warmup.
fn with_timm_warmup(given: &mut Arguments<'_, '_>, body: Tree) -> Option<Tree> {
    let (over, from) = (given.tree("warmup_t")?, given.tree("warmup_lr_init")?);
    if ticks(&over) == Some(0.0) {
        return Some(body);
    }
    let body = if given.flag("warmup_prefix")? { body } else { map([("shift", over.clone()), ("of", body)]) };
    Some(crate::trees::with_warmup(over, from, body))
}

/// Adds noise and the clock in epochs, if configured.
fn with_clock(given: &mut Arguments<'_, '_>, tree: Tree) -> Option<Tree> {
    let tree = with_noise(given, tree)?;
    if !given.flag("t_in_epochs")? {
        return Some(tree);
    }
    Some(with(tree, "clock", text("epoch")))
}

/// Adds noise, if configured.
fn with_noise(given: &mut Arguments<'_, '_>, tree: Tree) -> Option<Tree> {
    let Some(range) = given.maybe_tree("noise_range_t") else { return Some(tree) };
    let mut ends = match range.value {
        Value::List(ends) => ends,
        _ => vec![range],
    };
    // t >= 2.5 for whole t is t >= 3.
    for end in &mut ends {
        if let Some(x) = fraction(end) {
            end.value = whole(x.ceil()).value;
        }
    }
    if let [from, to] = ends.as_slice()
        && ticks(from).zip(ticks(to)).is_some_and(|(from, to)| from >= to)
    {
        return Some(tree);
    }
    let range = list(ends);
    let noise = map([
        ("std", given.tree("noise_std")?),
        ("pct", given.tree("noise_pct")?),
        ("seed", given.tree("noise_seed")?),
        ("single", Tree::new(Value::Bool(true))),
        ("range", range),
    ]);
    Some(map([("noise", noise), ("of", tree)]))
}

fn tanh(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let (lb, ub) = (given.number("lb")?, given.number("ub")?);
    if lb >= ub {
        return given.refuse("ub", format!("`ub` ({ub}) must be above `lb` ({lb})"));
    }
    let way =
        map([("kind", text("tanh")), ("lb", float(lb)), ("ub", float(ub)), ("to", given.tree("lr_min")?)]);
    // After the last cycle the lr is lr_min, slightly below the end of the curve.
    let mut body = cycles(given, way)?;
    if body.get("restart").is_none() {
        let (every, to) = (given.tree("t_initial")?, given.tree("lr_min")?);
        body =
            map([("restart", without(body, "over")), ("every", every), ("limit", whole(1.0)), ("then", to)]);
    }
    let (over, from) = (given.tree("warmup_t")?, given.tree("warmup_lr_init")?);
    let tree = if ticks(&over) == Some(0.0) {
        with_base_lr_first(body)
    } else if given.flag("warmup_prefix")? {
        crate::trees::with_warmup(over, from, body)
    } else {
        with_overlaid_warmup(over, from, body)
    };
    with_clock(given, tree)
}

/// A schedule that starts at step 0, with its first steps hidden by a warmup to its lr at the end of the
/// warmup.
fn with_overlaid_warmup(over: Tree, from: Tree, body: Tree) -> Tree {
    let warmup =
        |over| map([("over", over), ("from", from), ("mode", text("overlay")), ("target", text("body"))]);
    if ticks(&over).is_none() {
        return map([("warmup", warmup(over)), ("body", body)]);
    }
    // In its own phase the warmup may be longer than the run.
    let first = map([("warmup", warmup(text("100%"))), ("body", body.clone())]);
    phases(vec![(over.clone(), first)], map([("shift", over), ("of", body)]))
}

/// A fractional number of ticks.
fn fraction(tree: &Tree) -> Option<f64> {
    match tree.value {
        Value::Float(x) if x.fract() != 0.0 => Some(x),
        _ => None,
    }
}

fn wsd(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let (length, down) = (given.tree("t_initial")?, given.tree("decay_t")?);
    let rest = match ticks(&length).zip(fraction(&down)) {
        Some((length, down)) => Some((float(length - down), length - down)),
        None => crate::trees::combine_lengths(&length, &down, |a, b| a - b),
    };
    let Some((stable, rest)) = rest else {
        return given.refuse("decay_t", format!("expected the unit of `t_initial` ({length}), found {down}"));
    };
    if rest < 0.0 {
        return given.refuse("decay_t", format!("expected at most `t_initial` ({length}), found {down}"));
    }
    let (over, from) = (given.tree("warmup_t")?, given.tree("warmup_lr_init")?);
    let total = ticks(&length).zip(ticks(&over)).map(|(length, warm)| length + warm);
    set_length(given, total)?;
    let body = if given.choice("stable_fn")? == "constant" && fraction(&down).is_none() {
        let to = given.tree("lr_min")?;
        let (kind, own) = match given.choice("decay_fn")? {
            "linear" => ("linear", None),
            "cosine" => ("cosine", None),
            "power" => ("one_minus_power", Some(("power", given.tree("decay_power")?))),
            "exp" => ("exp_norm", Some(("ratio", given.tree("decay_ratio")?))),
            _ => ("one_minus_sqrt", None),
        };
        let mut fall = map([("kind", text(kind)), ("to", to.clone())]);
        if let Some((name, value)) = own {
            fall = with(fall, name, value);
        }
        phases(vec![(stable, constant_lr(text("1x"))), (down, fall)], constant_lr(to))
    } else {
        let Some((begin, down)) = Some(rest).zip(ticks(&down).or(fraction(&down))) else {
            return given.refuse("decay_t", "expected a number if `stable_fn` is not `constant`");
        };
        formula(given, begin, down)?
    };
    let body = if given.lr("lr_min")?.is_zero() {
        body
    } else {
        let floor = map([("min", given.tree("lr_min")?)]);
        let clamped = map([("clamp", floor), ("of", body)]);
        // The lower bound does not apply at t = 0.
        if ticks(&over) == Some(0.0) { with_base_lr_first(clamped) } else { clamped }
    };
    with_clock(given, crate::trees::with_warmup(over, from, body))
}

/// The stable part and the decay as one formula.
fn formula(given: &mut Arguments<'_, '_>, begin: f64, down: f64) -> Option<Tree> {
    let stable = stable_factor(given)?;
    let min = match given.lr("lr_min")? {
        LrValue::Absolute(lr) => format!("({lr} / base)"),
        LrValue::Multiple(factor) => format!("{factor}"),
    };
    let p = format!("min(max(t - {begin}, 0) / {down}, 1)");
    let left = match given.choice("decay_fn")? {
        "linear" => format!("1 - {p}"),
        "cosine" => format!("0.5 * (1 + cos(pi * {p}))"),
        "power" => format!("1 - {p} ** {}", given.number("decay_power")?),
        "exp" => {
            let ratio = given.number("decay_ratio")?;
            format!("({ratio} ** {p} - {ratio}) / (1 - {ratio})")
        }
        _ => format!("1 - sqrt({p})"),
    };
    let stable = format!("max({stable}, {min})");
    let expr = format!("{min} + ({stable} - {min}) * ({left})");
    Some(map([("kind", text("lambda")), ("expr", text(&expr))]))
}

/// The stable part as an expression, relative to the base lr.
fn stable_factor(given: &mut Arguments<'_, '_>) -> Option<String> {
    let power = match given.choice("stable_fn")? {
        "constant" => return Some("1".to_owned()),
        "rsqrt" => 0.5,
        _ => given.number("stable_power")?,
    };
    let timescale = match given.maybe_number("stable_timescale") {
        Some(timescale) => timescale,
        None => match ticks(&given.tree("warmup_t")?) {
            Some(warm) if warm > 0.0 => warm,
            _ => {
                let message = "expected a number above 0 if there is no warmup";
                given.problem("stable_timescale", message);
                return None;
            }
        },
    };
    Some(format!("(1 + t / {timescale}) ** -{power}"))
}

fn plateau(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let mut tree = map([("kind", text("plateau")), ("mode", given.tree("mode")?)]);
    for (name, own) in [
        ("decay_rate", "factor"),
        ("patience_t", "patience"),
        ("threshold", "threshold"),
        ("cooldown_t", "cooldown"),
        ("lr_min", "min"),
        ("watch", "watch"),
        ("every", "every"),
    ] {
        tree = with_some(tree, own, given.maybe_tree(name));
    }
    Some(crate::trees::with_warmup(given.tree("warmup_t")?, given.tree("warmup_lr_init")?, tree))
}
