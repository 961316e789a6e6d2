//! `keras.optimizers.schedules` and the callback `ReduceLROnPlateau`.

use crate::arguments::Arguments;
use crate::entry::{Extra, ExtraType, LibraryEntry, NumberType, PLAIN, Typed};
use crate::trees::{
    combine_lengths, map, phases, text, ticks, times_base, whole, with, with_base, with_some,
};
use schedule::catalogue::{
    ABOVE_0, AT_LEAST_0, AT_LEAST_1, BETWEEN_0_AND_1, Param, ParamType, optional, param, required,
};
use schedule::catalogue::{EVERY, WATCH};
use schedule::tree::{Tree, Value};

const INITIAL: Param = param("initial_learning_rate", ParamType::Lr, "1x", "lr at step 0");
const STAIRCASE: Param =
    param("staircase", ParamType::Flag, "false", "change the lr only at the end of each `decay_steps`");

const FLOAT: &[Typed] = &[Typed {
    name: "initial_learning_rate",
    number: NumberType::Float,
    otherwise: "Keras computes in the type of this number, so an `int` rounds all others to integers",
}];

pub(crate) const ENTRIES: &[LibraryEntry] = &[
    LibraryEntry {
        name: "keras.ExponentialDecay",
        signature: "initial_learning_rate, decay_steps, decay_rate, staircase=, name=",
        params: &[
            INITIAL,
            required("decay_steps", ParamType::Length(1), "length over which `decay_rate` is applied once"),
            required("decay_rate", ParamType::Number(ABOVE_0), "factor per `decay_steps`"),
            STAIRCASE,
        ],
        typed: FLOAT,
        expansion: "{base: initial_learning_rate, of: {kind: exponential, gamma: decay_rate, every: decay_steps, \
                    staircase: staircase}}",
        example: "keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.9)",
        expand: |given| {
            let of = map([
                ("kind", text("exponential")),
                ("gamma", given.tree("decay_rate")?),
                ("every", given.tree("decay_steps")?),
                ("staircase", given.tree("staircase")?),
            ]);
            Some(with_base(given.lr("initial_learning_rate")?, of))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.InverseTimeDecay",
        signature: "initial_learning_rate, decay_steps, decay_rate, staircase=, name=",
        params: &[
            INITIAL,
            required("decay_steps", ParamType::Length(1), "the unit of time"),
            required("decay_rate", ParamType::Number(AT_LEAST_0), "rate of decay"),
            STAIRCASE,
        ],
        typed: FLOAT,
        expansion: "{base: initial_learning_rate, of: {kind: inverse_time, rate: decay_rate, every: decay_steps, \
                    staircase: staircase}}",
        example: "keras.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=100, decay_rate=0.5)",
        expand: |given| {
            let of = map([
                ("kind", text("inverse_time")),
                ("rate", given.tree("decay_rate")?),
                ("every", given.tree("decay_steps")?),
                ("staircase", given.tree("staircase")?),
            ]);
            Some(with_base(given.lr("initial_learning_rate")?, of))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.PiecewiseConstantDecay",
        signature: "boundaries, values, name=",
        params: &[
            required("boundaries", ParamType::Lengths, "the last step of each value"),
            required("values", ParamType::Lrs, "the lr up to the first boundary and after each boundary"),
        ],
        expansion: "{kind: multistep, at: boundaries, values: values, offset: -1}",
        note: "At a boundary the old value still applies",
        example: "keras.optimizers.schedules.PiecewiseConstantDecay(boundaries=[60, 90], values=[0.1, 0.01, 0.001])",
        expand: |given| {
            let (n, found) = (given.items("boundaries").len() + 1, given.items("values").len());
            if n != found {
                let message = format!("{} boundaries need {n} values, found {found}", n - 1);
                return given.refuse("values", message);
            }
            Some(map([
                ("kind", text("multistep")),
                ("at", given.tree("boundaries")?),
                ("values", given.tree("values")?),
                ("offset", Tree::new(Value::Int(-1))),
            ]))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.PolynomialDecay",
        signature: "initial_learning_rate, decay_steps, end_learning_rate=, power=, cycle=, name=",
        params: &[
            INITIAL,
            required("decay_steps", ParamType::Length(1), "length of the decay"),
            param("end_learning_rate", ParamType::Lr, "1e-4", "lr at its end"),
            param("power", ParamType::Number(ABOVE_0), "1.0", "exponent of the remaining fraction"),
            param(
                "cycle",
                ParamType::Flag,
                "false",
                "after the end, stretch the decay to the next multiple of its length",
            ),
        ],
        typed: FLOAT,
        expansion: "{kind: polynomial, from: initial_learning_rate, to: end_learning_rate, over: decay_steps, power: \
                    power, after: stretch if cycle}",
        note: "The default of end_learning_rate is 1e-4, not 0",
        example: "keras.optimizers.schedules.PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.001, power=2.0)",
        expand: |given| {
            let over = given.tree("decay_steps")?;
            given.set_length(&over);
            let tree = map([
                ("kind", text("polynomial")),
                ("from", given.tree("initial_learning_rate")?),
                ("to", given.tree("end_learning_rate")?),
                ("over", over),
                ("power", given.tree("power")?),
            ]);
            Some(if given.flag("cycle")? { with(tree, "after", text("stretch")) } else { tree })
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.CosineDecay",
        signature: "initial_learning_rate, decay_steps, alpha=, name=, warmup_target=, warmup_steps=",
        params: &[
            INITIAL,
            required("decay_steps", ParamType::Length(1), "length of the half wave, without the warmup"),
            param("alpha", ParamType::Number(AT_LEAST_0), "0.0", "the last lr as a fraction of the highest"),
            optional("warmup_target", ParamType::Lr, "lr at the end of the warmup; no warmup by default"),
            param("warmup_steps", ParamType::Length(0), "0", "length of the warmup"),
        ],
        typed: FLOAT,
        expansion: "{base: initial_learning_rate, of: {kind: cosine, to: alpha x, over: decay_steps}}; with \
                    warmup_target {phases: [{for: warmup_steps, kind: linear, from: initial_learning_rate, to: \
                    warmup_target}, {base: warmup_target, of: {kind: cosine, to: alpha x, over: decay_steps}}]}",
        note: "warmup_steps without warmup_target has no effect",
        example: "keras.optimizers.schedules.CosineDecay(0.0, decay_steps=90, warmup_target=0.1, warmup_steps=10)",
        expand: cosine,
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.CosineDecayRestarts",
        signature: "initial_learning_rate, first_decay_steps, t_mul=, m_mul=, alpha=, name=",
        params: &[
            INITIAL,
            required("first_decay_steps", ParamType::Length(1), "length of the first cycle"),
            param(
                "t_mul",
                ParamType::Number(AT_LEAST_1),
                "2.0",
                "length of each cycle relative to the one before",
            ),
            param(
                "m_mul",
                ParamType::Number(ABOVE_0),
                "1.0",
                "factor per cycle on the part of the lr above alpha",
            ),
            param("alpha", ParamType::Number(AT_LEAST_0), "0.0", "the lowest lr as a fraction of the first"),
        ],
        typed: FLOAT,
        expansion: "{base: initial_learning_rate, of: {restart: {kind: cosine, to: alpha x}, every: first_decay_steps, \
                    mult: t_mul, decay: m_mul, decay_on: amplitude, floor: alpha x}}",
        note: "The default of t_mul is 2, not 1. Here a cycle begins exactly at its boundary; in keras rounding of a \
               logarithm can delay it by one step",
        example: "keras.optimizers.schedules.CosineDecayRestarts(0.1, first_decay_steps=10)",
        expand: |given| {
            let floor = times_base(given.number("alpha")?);
            let of = map([
                ("restart", map([("kind", text("cosine")), ("to", floor.clone())])),
                ("every", given.tree("first_decay_steps")?),
                ("mult", given.tree("t_mul")?),
                ("decay", given.tree("m_mul")?),
                ("decay_on", text("amplitude")),
                ("floor", floor),
            ]);
            Some(with_base(given.lr("initial_learning_rate")?, of))
        },
        ..PLAIN
    },
    LibraryEntry {
        name: "keras.ReduceLROnPlateau",
        signature: "monitor=, factor=, patience=, verbose=, mode=, min_delta=, cooldown=, min_lr=",
        params: &[
            param("factor", ParamType::Number(BETWEEN_0_AND_1), "0.1", "factor of each reduction"),
            param(
                "patience",
                ParamType::Whole(0),
                "10",
                "number of checks without improvement before a reduction; 0 \
                                                          is the same as 1",
            ),
            param(
                "mode",
                ParamType::Choice(&["auto", "min", "max"]),
                "auto",
                "whether a lower or a higher metric is better",
            ),
            param("min_delta", ParamType::Number(AT_LEAST_0), "1e-4", "minimum absolute improvement"),
            param("cooldown", ParamType::Whole(0), "0", "checks to ignore after a reduction"),
            param("min_lr", ParamType::Lr, "0.0", "lower bound"),
            WATCH,
            EVERY,
        ],
        extra: &[Extra {
            name: "monitor",
            ty: ExtraType::Word,
            required: false,
            doc: "`val_loss`, `loss` (the loss of the batch) or `val_accuracy` (also `val_acc`, `val_..._accuracy`); \
                  with another name, `watch` sets the metric",
        }],
        expansion: "{kind: plateau, factor: factor, patience: patience - 1, mode: mode, threshold: min_delta, \
                    threshold_mode: abs, cooldown: cooldown - 1, min: min_lr, eps: 0, watch: train_loss if monitor is \
                    loss, valid_accuracy if monitor is val_accuracy}",
        note: "keras reduces the lr at the patience-th check without improvement, torch at the next one; its cooldown \
               includes the check that ends it. It checks whenever the run evaluates, unless `every` is set",
        example: "keras.callbacks.ReduceLROnPlateau(monitor='val_loss', factor=0.2, patience=5, min_lr=0.001)",
        expand: plateau,
        ..PLAIN
    },
];

fn cosine(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let over = given.tree("decay_steps")?;
    let wave =
        map([("kind", text("cosine")), ("to", times_base(given.number("alpha")?)), ("over", over.clone())]);
    let Some(target) = given.maybe_lr("warmup_target") else {
        given.set_length(&over);
        return Some(with_base(given.lr("initial_learning_rate")?, wave));
    };
    let warmup = given.tree("warmup_steps")?;
    given.set_length_ticks(
        combine_lengths(&over, &warmup, |a, b| a + b).filter(|_| ticks(&over).is_some()).map(|(_, sum)| sum),
    );
    let rise = map([
        ("kind", text("linear")),
        ("from", given.tree("initial_learning_rate")?),
        ("to", given.tree("warmup_target")?),
    ]);
    Some(phases(vec![(warmup, rise)], with_base(target, wave)))
}

fn plateau(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let monitor = given.word("monitor").unwrap_or_else(|| "val_loss".to_owned());
    let accuracy =
        monitor.starts_with("val_") && (monitor.ends_with("accuracy") || monitor.ends_with("_acc"));
    let mode = match given.choice("mode")? {
        "auto" if matches!(monitor.as_str(), "loss" | "val_loss") => "min",
        "auto" if accuracy => "max",
        "auto" => {
            let message = format!("expected `min` or `max`: the direction of `{monitor}` is unknown");
            return given.refuse("mode", message);
        }
        mode => mode,
    };
    let fewer = |n: u64| whole(n.saturating_sub(1) as f64);
    let mut tree = map([
        ("kind", text("plateau")),
        ("mode", text(mode)),
        ("factor", given.tree("factor")?),
        ("patience", fewer(given.whole("patience")?)),
        ("threshold", given.tree("min_delta")?),
        ("threshold_mode", text("abs")),
        ("cooldown", fewer(given.whole("cooldown")?)),
        ("min", given.tree("min_lr")?),
        ("eps", whole(0.0)),
    ]);
    let watch = given.maybe_tree("watch").or_else(|| match monitor.as_str() {
        "loss" => Some(text("train_loss")),
        _ => accuracy.then(|| text("valid_accuracy")),
    });
    tree = with_some(tree, "watch", watch);
    Some(with_some(tree, "every", given.maybe_tree("every")))
}
