//! `torch.optim.lr_scheduler`, stepped after each update. The optimizer's lr is the base lr.

use crate::arguments::Arguments;
use crate::entry::{Extra, ExtraType, LAST_EPOCH, LibraryEntry, MODE, NumberType, PLAIN, torch_typed};
use crate::trees::{constant_lr, float, list, map, phases, text, ticks, times_base, whole, with, with_some};
use schedule::catalogue::plateau as plateau_rule;
use schedule::catalogue::{ABOVE_0, FROM_0_BELOW_1, FROM_0_TO_1, ParamType, Range};
use schedule::catalogue::{EVERY, WATCH};
use schedule::catalogue::{Param, optional, param, required};
use schedule::lr_value::LrValue;
use schedule::tree::{Tree, Value};

/// The range of factors for which torch does not allow 0.
const SHARE: Range = Range {
    words: "a number above 0 and at most 1",
    schema: r#"{"exclusiveMinimum": 0, "maximum": 1}"#,
    accepts: |x| x > 0.0 && x <= 1.0,
};

const EXPRESSION: &str = "a lambda of the step, or an expression over `t`, as in \"0.95 ** t\"";
const CYCLE: Param = optional(
    "cycle_momentum",
    ParamType::Flag,
    "also cycle the momentum (Adam: beta1); off unless a momentum argument is set",
);

pub(crate) const ENTRIES: &[LibraryEntry] = &[
    LibraryEntry {
        name: "torch.LambdaLR",
        signature: "optimizer, lr_lambda, last_epoch=",
        params: &[required("lr_lambda", ParamType::Expression, EXPRESSION), LAST_EPOCH],
        per_group: &["lr_lambda"],
        expansion: "{kind: lambda, expr: lr_lambda}",
        note: "A lambda may use functions with `math.` and `np.`, and its parameter may have any name",
        example: "torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=lambda epoch: 0.95 ** epoch)",
        expand: |given| Some(map([("kind", text("lambda")), ("expr", given.tree("lr_lambda")?)])),
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.MultiplicativeLR",
        signature: "optimizer, lr_lambda, last_epoch=",
        params: &[required("lr_lambda", ParamType::Expression, EXPRESSION), LAST_EPOCH],
        per_group: &["lr_lambda"],
        expansion: "{kind: multiplicative, expr: lr_lambda}",
        note: "The lambda is not applied at step 0",
        example: "torch.optim.lr_scheduler.MultiplicativeLR(optimizer, lr_lambda=lambda epoch: 0.95)",
        expand: |given| Some(map([("kind", text("multiplicative")), ("expr", given.tree("lr_lambda")?)])),
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.StepLR",
        signature: "optimizer, step_size, gamma=, last_epoch=",
        params: &[
            required("step_size", ParamType::Length(1), "length of an interval"),
            param("gamma", ParamType::Number(ABOVE_0), "0.1", "factor of each drop"),
            LAST_EPOCH,
        ],
        expansion: "{kind: step, every: step_size, gamma: gamma}",
        example: "torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)",
        expand: |given| {
            Some(map([
                ("kind", text("step")),
                ("every", given.tree("step_size")?),
                ("gamma", given.tree("gamma")?),
            ]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.MultiStepLR",
        signature: "optimizer, milestones, gamma=, last_epoch=",
        params: &[
            required(
                "milestones",
                ParamType::Lengths,
                "steps of the drops; a repeated milestone counts each time",
            ),
            param("gamma", ParamType::Number(ABOVE_0), "0.1", "factor of each drop"),
            LAST_EPOCH,
        ],
        expansion: "{kind: multistep, at: milestones, gamma: gamma}",
        note: "Milestones may be in any order; a milestone at 0 takes effect at step 0",
        example: "torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[30, 80], gamma=0.1)",
        expand: |given| {
            let mut at = given.items("milestones");
            if at.is_empty() {
                return Some(constant_lr(text("1x")));
            }
            if at.iter().all(|tree| ticks(tree).is_some()) {
                at.sort_by(|a, b| ticks(a).partial_cmp(&ticks(b)).unwrap_or(std::cmp::Ordering::Equal));
            }
            Some(map([("kind", text("multistep")), ("at", list(at)), ("gamma", given.tree("gamma")?)]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.ConstantLR",
        signature: "optimizer, factor=, total_iters=, last_epoch=",
        params: &[
            param("factor", ParamType::Number(SHARE), "0.3333333333333333", "initial factor on the base lr"),
            param("total_iters", ParamType::Length(0), "5", "step at which the lr becomes the base lr"),
            LAST_EPOCH,
        ],
        expansion: "{phases: [{for: total_iters, value: factor x}, {value: 1x}]}",
        note: "With total_iters 0 torch stays at factor, unlike its own closed form: a bug that is reproduced here to \
               match torch. A factor of 0 fails in torch at step total_iters and is refused",
        example: "torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=4)",
        expand: |given| {
            let (factor, over) = (times_base(given.number("factor")?), given.tree("total_iters")?);
            if ticks(&over) == Some(0.0) {
                return Some(constant_lr(factor));
            }
            Some(phases(vec![(over, constant_lr(factor))], constant_lr(text("1x"))))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.LinearLR",
        signature: "optimizer, start_factor=, end_factor=, total_iters=, last_epoch=",
        params: &[
            param(
                "start_factor",
                ParamType::Number(SHARE),
                "0.3333333333333333",
                "factor on the base lr at step 0",
            ),
            param(
                "end_factor",
                ParamType::Number(FROM_0_TO_1),
                "1.0",
                "factor at step total_iters and after",
            ),
            param("total_iters", ParamType::Length(0), "5", "length of the ramp"),
            LAST_EPOCH,
        ],
        expansion: "{kind: linear, from: start_factor x, to: end_factor x, over: total_iters}",
        note: "With total_iters 0 the lr stays at start_factor, as in torch",
        example: "torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=20)",
        expand: |given| {
            let (from, to) = (given.number("start_factor")?, given.number("end_factor")?);
            let over = given.tree("total_iters")?;
            if ticks(&over) == Some(0.0) {
                return Some(constant_lr(times_base(from)));
            }
            if given.has("total_iters") {
                given.set_length(&over);
            }
            Some(map([
                ("kind", text("linear")),
                ("from", times_base(from)),
                ("to", times_base(to)),
                ("over", over),
            ]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.ExponentialLR",
        signature: "optimizer, gamma, last_epoch=",
        params: &[required("gamma", ParamType::Number(ABOVE_0), "factor per step"), LAST_EPOCH],
        expansion: "{kind: exponential, gamma: gamma}",
        example: "torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)",
        expand: |given| Some(map([("kind", text("exponential")), ("gamma", given.tree("gamma")?)])),
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.PolynomialLR",
        signature: "optimizer, total_iters=, power=, last_epoch=",
        params: &[
            param("total_iters", ParamType::Length(0), "5", "length of the decay to 0"),
            param("power", ParamType::Number(ABOVE_0), "1.0", "exponent of the remaining fraction"),
            LAST_EPOCH,
        ],
        expansion: "{kind: polynomial, power: power, over: total_iters, to: 0}",
        note: "With total_iters 0 the lr stays at the base lr, as in torch",
        example: "torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=100, power=2.0)",
        expand: |given| {
            let over = given.tree("total_iters")?;
            if ticks(&over) == Some(0.0) {
                return Some(constant_lr(text("1x")));
            }
            if given.has("total_iters") {
                given.set_length(&over);
            }
            Some(map([("kind", text("polynomial")), ("power", given.tree("power")?), ("over", over)]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.CosineAnnealingLR",
        signature: "optimizer, T_max, eta_min=, last_epoch=",
        params: &[
            required("T_max", ParamType::Length(1), "length of the half wave"),
            param("eta_min", ParamType::Lr, "0.0", "lr at its end"),
            LAST_EPOCH,
        ],
        expansion: "{kind: cosine, to: eta_min, over: T_max, after: continue}",
        note: "After T_max the lr rises again, as in torch",
        example: "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)",
        expand: |given| {
            let over = given.tree("T_max")?;
            given.set_length(&over);
            Some(map([
                ("kind", text("cosine")),
                ("to", given.tree("eta_min")?),
                ("over", over),
                ("after", text("continue")),
            ]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.CosineAnnealingWarmRestarts",
        signature: "optimizer, T_0, T_mult=, eta_min=, last_epoch=",
        params: &[
            required("T_0", ParamType::Length(1), "length of the first cycle"),
            param("T_mult", ParamType::Whole(1), "1", "length of each cycle relative to the one before"),
            param("eta_min", ParamType::Lr, "0.0", "lr at the end of each cycle"),
            LAST_EPOCH,
        ],
        typed: &[torch_typed("T_0", NumberType::Int), torch_typed("T_mult", NumberType::Int)],
        expansion: "{restart: {kind: cosine, to: eta_min}, every: T_0, mult: T_mult}",
        note: "`clock: epoch_fraction` corresponds to torch's `step(epoch + i / steps_per_epoch)`",
        example: "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2)",
        expand: |given| {
            let of = map([("kind", text("cosine")), ("to", given.tree("eta_min")?)]);
            Some(map([("restart", of), ("every", given.tree("T_0")?), ("mult", given.tree("T_mult")?)]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.CyclicLR",
        signature: "optimizer, base_lr, max_lr, step_size_up=, step_size_down=, mode=, gamma=, scale_fn=, scale_mode=, \
            cycle_momentum=, base_momentum=, max_momentum=, last_epoch=",
        params: &[
            required("base_lr", ParamType::Lr, "lowest lr of each cycle"),
            param("max_lr", ParamType::Lr, "1x", "highest lr of the first cycle"),
            param("step_size_up", ParamType::Length(1), "2000", "length of the rise"),
            optional(
                "step_size_down",
                ParamType::Length(1),
                "length of the fall; the same as the rise by default",
            ),
            param(
                "mode",
                ParamType::Choice(&["triangular", "triangular2", "exp_range"]),
                "triangular",
                "how the peaks change from cycle to cycle",
            ),
            param("gamma", ParamType::Number(ABOVE_0), "1.0", "factor per step of exp_range"),
            CYCLE,
            param("base_momentum", ParamType::Number(FROM_0_BELOW_1), "0.8", "momentum at the peak"),
            param("max_momentum", ParamType::Number(FROM_0_BELOW_1), "0.9", "momentum at the lowest lr"),
            LAST_EPOCH,
        ],
        per_group: &["base_lr", "max_lr", "base_momentum", "max_momentum"],
        refused: &[("scale_fn", "it is a Python function; to scale a cycle, use `chain` with a `lambda`")],
        expansion: "{kind: cyclic, min: base_lr, max: max_lr, up: step_size_up, down: step_size_down, mode: mode, \
                    gamma: gamma, momentum: {min: base_momentum, max: max_momentum} if configured}",
        note: "torch cycles the momentum by default. Here the optimizer's momentum is used, so that schedules can be \
               compared, unless `cycle_momentum: true`, `base_momentum` or `max_momentum` is written. A max_lr below \
               base_lr, which torch accepts, is refused as a probable mistake, and so is a base_momentum above \
               max_momentum. A gamma above 1 that makes the momentum negative is refused too",
        example: "torch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.001, max_lr=0.1, step_size_up=200)",
        expand: |given| {
            let (low, high) = (given.lr("base_lr")?, given.lr("max_lr")?);
            // If only one depends on the base lr, this is checked later.
            let falls = match (low, high) {
                (LrValue::Absolute(low), LrValue::Absolute(high)) => high < low,
                (LrValue::Multiple(low), LrValue::Multiple(high)) => high < low,
                _ => false,
            };
            if falls {
                return given.refuse("max_lr", "`max_lr` is below `base_lr`");
            }
            let tree = map([
                ("kind", text("cyclic")),
                ("min", given.tree("base_lr")?),
                ("max", given.tree("max_lr")?),
                ("up", given.tree("step_size_up")?),
                ("mode", given.tree("mode")?),
                ("gamma", given.tree("gamma")?),
            ]);
            let tree = with_some(tree, "down", given.maybe_tree("step_size_down"));
            Some(with_some(tree, "momentum", momentum(given)?))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.OneCycleLR",
        signature: "optimizer, max_lr, total_steps=, epochs=, steps_per_epoch=, pct_start=, anneal_strategy=, \
            cycle_momentum=, base_momentum=, max_momentum=, div_factor=, final_div_factor=, three_phase=, \
            last_epoch=",
        params: &[
            param("max_lr", ParamType::Lr, "1x", "highest lr"),
            optional("total_steps", ParamType::Length(1), "length of the cycle"),
            optional("epochs", ParamType::Whole(1), "with steps_per_epoch, instead of total_steps"),
            optional("steps_per_epoch", ParamType::Whole(1), "with epochs, instead of total_steps"),
            param(
                "pct_start",
                ParamType::Number(FROM_0_TO_1),
                "0.3",
                "fraction of the cycle in which the lr rises",
            ),
            param(
                "anneal_strategy",
                ParamType::Choice(&["cos", "linear"]),
                "cos",
                "interpolation between the knots",
            ),
            CYCLE,
            param("base_momentum", ParamType::Number(FROM_0_BELOW_1), "0.85", "momentum at the peak"),
            param("max_momentum", ParamType::Number(FROM_0_BELOW_1), "0.95", "momentum at both ends"),
            param("div_factor", ParamType::Number(ABOVE_0), "25.0", "the first lr is max_lr / div_factor"),
            param(
                "final_div_factor",
                ParamType::Number(ABOVE_0),
                "10000.0",
                "the last lr is the first one divided by this",
            ),
            param(
                "three_phase",
                ParamType::Flag,
                "false",
                "fall back in as many steps as the rise, then to the last lr",
            ),
            LAST_EPOCH,
        ],
        per_group: &["max_lr", "base_momentum", "max_momentum"],
        typed: &[
            torch_typed("total_steps", NumberType::Int),
            torch_typed("epochs", NumberType::Int),
            torch_typed("steps_per_epoch", NumberType::Int),
            torch_typed("pct_start", NumberType::Float),
        ],
        expansion: "{kind: one_cycle, after: error, max: max_lr, over: total_steps, pct_start: pct_start, div: \
                    div_factor, final_div: final_div_factor, anneal: anneal_strategy, three_phase: three_phase, \
                    momentum: {min: base_momentum, max: max_momentum} if configured}",
        note: "torch cycles the momentum by default. Here the optimizer's momentum is used, so that schedules can be \
               compared, unless `cycle_momentum: true`, `base_momentum` or `max_momentum` is written; base_momentum \
               must not be above max_momentum. A run longer than total_steps is refused, because torch leaves the curve \
               after one more step and then fails. pct_start * total_steps = 1 divides by 0 in torch and is refused",
        example: "torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=100)",
        expand: one_cycle,
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.ReduceLROnPlateau",
        signature: PLATEAU_SIGNATURE,
        params: PLATEAU,
        per_group: PLATEAU_PER_GROUP,
        expansion: PLATEAU_EXPANSION,
        note: PLATEAU_NOTE,
        example: "torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3, factor=0.5)",
        expand: plateau,
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.SequentialLR",
        signature: "optimizer, schedulers, milestones, last_epoch=",
        params: &[
            required("milestones", ParamType::Lengths, "the steps at which the next schedules begin"),
            LAST_EPOCH,
        ],
        extra: &[Extra {
            name: "schedulers",
            ty: ExtraType::Schedules,
            required: true,
            doc: "the schedules, one more than the milestones",
        }],
        expansion: "{phases: [{for: milestones[0], schedulers[0]}, ..., {schedulers[n]}]}",
        note: "Each schedule counts from its own start. These are refused because torch computes something else: \
               OneCycleLR and CyclicLR (their constructors change the optimizer's lr for the others), MultiplicativeLR \
               after the first place (it continues from the previous lr), and SequentialLR and ChainedScheduler after \
               the first place (torch fails). In the first place torch steps these two once more before the first \
               update: the milestones of a SequentialLR come one step early, as they do here; an ExponentialLR, \
               PolynomialLR, CosineAnnealingLR or MultiplicativeLR that begins inside would not start at the base lr \
               and is refused. Milestones that are not in rising order are refused. With total_iters 0 a ConstantLR \
               after a milestone is the base lr; other schedules fail in torch and are refused",
        example: "torch.optim.lr_scheduler.SequentialLR(optimizer, schedulers=[torch.optim.lr_scheduler.LinearLR(optimizer, \
                  start_factor=0.1, total_iters=5), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=95)], \
                  milestones=[5])",
        expand: super::sequence::sequential,
        ..PLAIN
    },
    LibraryEntry {
        name: "torch.ChainedScheduler",
        signature: "schedulers, optimizer=",
        extra: &[Extra { name: "schedulers", ty: ExtraType::Schedules, required: true, doc: "the factors" }],
        expansion: "{chain: schedulers}",
        note: "The product of the factors of its schedules, in closed form. torch computes it step by step, which is \
               the same for schedules that only multiply the lr. Others, which set the lr at each step or fall to an \
               eta_min above 0, override their neighbours in torch and are refused; so is a SequentialLR, which sets \
               the lr when it is created and at its milestones. A ChainedScheduler inside is the product of its \
               schedules. After the T_max of a CosineAnnealingLR torch no longer computes the product, so a longer run \
               is refused",
        example: "torch.optim.lr_scheduler.ChainedScheduler([torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.1, \
                  total_iters=20), torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)])",
        expand: super::sequence::chained,
        ..PLAIN
    },
];

pub(crate) const PLATEAU_SIGNATURE: &str =
    "optimizer, mode=, factor=, patience=, threshold=, threshold_mode=, cooldown=, min_lr=, eps=, verbose=";

pub(crate) const PLATEAU_PER_GROUP: &[&str] = &["min_lr"];

pub(crate) const PLATEAU: &[Param] = &[
    MODE,
    plateau_rule::FACTOR,
    plateau_rule::PATIENCE,
    plateau_rule::THRESHOLD,
    plateau_rule::THRESHOLD_MODE,
    plateau_rule::COOLDOWN,
    param("min_lr", ParamType::Lr, "0", "lower bound"),
    plateau_rule::EPS,
    WATCH,
    EVERY,
];

pub(crate) const PLATEAU_EXPANSION: &str = "{kind: plateau, mode: mode, factor: factor, patience: patience, threshold: \
     threshold, threshold_mode: threshold_mode, cooldown: cooldown, min: min_lr, eps: eps}";
pub(crate) const PLATEAU_NOTE: &str =
    "It checks the metric whenever the run evaluates; `every` and `watch` change that, as in `plateau`";

/// Writes only the arguments that the user passed, so that `plateau` and this name give the same trial.
pub(crate) fn plateau(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let mut tree = with_some(map([("kind", text("plateau"))]), "mode", given.mode());
    for (name, own) in [
        ("factor", "factor"),
        ("patience", "patience"),
        ("threshold", "threshold"),
        ("threshold_mode", "threshold_mode"),
        ("cooldown", "cooldown"),
        ("min_lr", "min"),
        ("eps", "eps"),
        ("watch", "watch"),
        ("every", "every"),
    ] {
        tree = with_some(tree, own, given.maybe_tree(name));
    }
    Some(tree)
}

/// The bounds of the momentum, if it is cycled. The outer `None` means a problem.
fn momentum(given: &mut Arguments<'_, '_>) -> Option<Option<Tree>> {
    let configured = match given.maybe_tree("cycle_momentum").map(|tree| tree.value) {
        Some(Value::Bool(configured)) => configured,
        _ => given.has("base_momentum") || given.has("max_momentum"),
    };
    let (low, high) = (given.number("base_momentum")?, given.number("max_momentum")?);
    if configured && low > high {
        given.problem("base_momentum", format!("`base_momentum` ({low}) is above `max_momentum` ({high})"));
        return None;
    }
    Some(configured.then(|| map([("min", float(low)), ("max", float(high))])))
}

fn one_cycle(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let over = match given.maybe_tree("total_steps") {
        Some(over) => over,
        None if given.has("epochs") && given.has("steps_per_epoch") => {
            let (epochs, steps) = (given.whole("epochs")?, given.whole("steps_per_epoch")?);
            match epochs.checked_mul(steps) {
                Some(total) => whole(total as f64),
                None => return given.refuse("epochs", "epochs * steps_per_epoch is too large"),
            }
        }
        None => {
            let name = if given.has("epochs") { "epochs" } else { "steps_per_epoch" };
            return given.refuse(name, "expected `total_steps`, or both `epochs` and `steps_per_epoch`");
        }
    };
    given.set_length(&over);
    let share = given.number("pct_start")?;
    if ticks(&over).is_some_and(|n| (share * n - 1.0).abs() < 1e-9) {
        let message =
            format!("pct_start * total_steps ({share} * {over}) must not be 1: the rise would take 0 steps");
        return given.refuse("pct_start", message);
    }
    let mut tree = map([("kind", text("one_cycle")), ("over", over), ("after", text("error"))]);
    for (name, own) in [
        ("max_lr", "max"),
        ("pct_start", "pct_start"),
        ("div_factor", "div"),
        ("final_div_factor", "final_div"),
        ("anneal_strategy", "anneal"),
        ("three_phase", "three_phase"),
    ] {
        tree = with(tree, own, given.tree(name)?);
    }
    Some(with_some(tree, "momentum", momentum(given)?))
}
