//! Schedules that have a name elsewhere and are made of others here. A preset is a documented expansion:
//! text that parses. It is no kind: a sweep file holds the expansion, so that nothing in it is hidden.

use crate::catalogue::Ends;

/// A name and what it stands for.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What other libraries call it; used for hints.
    pub aliases: &'static [&'static str],
    /// One line: what it does.
    pub summary: &'static str,
    /// The node that it stands for, with lengths one would use.
    pub expansion: &'static str,
    /// Where the library's own form differs, and what to change.
    pub note: &'static str,
    /// How it ends.
    pub ends: Ends,
    /// Paper or library.
    pub source: &'static str,
}

const FIRST_IS_0: &str = "lr(0) is 0 as in the library, so that the first update changes nothing; `from: 0.01x` or \
                          `sample: right` in the warmup mends that";
const FROM_0: &str = "starts at 0; the base lr is reached at the first step after the warmup";
const NOTCH: &str = "the last step stands one notch short of 0";
const HELD: &str = "0 holds";

/// Every preset.
pub const PRESETS: &[&Preset] = &[
    &Preset {
        name: "warmup_constant",
        aliases: &["constant_with_warmup", "get_constant_schedule_with_warmup", "warmup_constant_schedule"],
        summary: "a linear rise, then the base lr",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: 1x}",
        note: FIRST_IS_0,
        ends: Ends { before: FROM_0, at: "the base lr", after: "the base lr" },
        source: "transformers constant_with_warmup, optax warmup_constant_schedule",
    },
    &Preset {
        name: "warmup_linear",
        aliases: &[
            "linear_with_warmup",
            "get_linear_schedule_with_warmup",
            "WarmupDecayLR",
            "slanted_triangular",
        ],
        summary: "a linear rise, then a linear fall to 0",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: linear, to: 0}}",
        note: FIRST_IS_0,
        ends: Ends { before: FROM_0, at: NOTCH, after: HELD },
        source: "transformers linear, DeepSpeed WarmupDecayLR, Megatron",
    },
    &Preset {
        name: "warmup_cosine",
        aliases: &[
            "cosine_with_warmup",
            "get_cosine_schedule_with_warmup",
            "warmup_cosine_decay_schedule",
            "WarmupCosineLR",
            "LinearWarmupCosineAnnealingLR",
        ],
        summary: "a linear rise, then half a cosine wave down to 0",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: cosine, to: 0}}",
        note: FIRST_IS_0,
        ends: Ends { before: FROM_0, at: NOTCH, after: "0 holds; transformers climbs back up" },
        source: "transformers cosine, optax warmup_cosine_decay_schedule, keras CosineDecay",
    },
    &Preset {
        name: "cosine_min_lr",
        aliases: &[
            "cosine_with_min_lr",
            "cosine_warmup_with_min_lr",
            "get_cosine_with_min_lr_schedule_with_warmup",
        ],
        summary: "a linear rise, then half a cosine wave down to 0.1x",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: cosine, to: 0.1x}}",
        note: "for `cosine_warmup_with_min_lr` put `sample: right` into warmup and body",
        ends: Ends {
            before: FROM_0,
            at: "the last step stands one notch above 0.1x",
            after: "0.1x holds; transformers climbs back up",
        },
        source: "transformers cosine_with_min_lr",
    },
    &Preset {
        name: "warmup_polynomial",
        aliases: &["polynomial_with_warmup", "get_polynomial_decay_schedule_with_warmup"],
        summary: "a linear rise, then a power of the share that is left",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: polynomial, power: 2, to: 0}}",
        note: "transformers ends at 1e-7: `to: 1e-7`",
        ends: Ends { before: FROM_0, at: NOTCH, after: HELD },
        source: "transformers polynomial",
    },
    &Preset {
        name: "warmup_exponential",
        aliases: &["warmup_exponential_decay_schedule"],
        summary: "a linear rise, then the same factor at each step",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: exponential, gamma: 0.5, every: \"20%\"}}",
        note: "for optax's `end_value` wrap it: {clamp: {min: 0.01x}, of: ...}",
        ends: Ends {
            before: FROM_0,
            at: "no target: as far down as the factor has brought it",
            after: "goes on falling",
        },
        source: "optax warmup_exponential_decay_schedule",
    },
    &Preset {
        name: "wsd",
        aliases: &["trapezoid", "trapezoidal", "warmup_stable_decay", "get_wsd_schedule", "WSDScheduler"],
        summary: "warmup, stable, decay: a rise, the base lr, a fall",
        expansion: "{warmup: {over: \"5%\", from: 0.01x}, body: 1x, cooldown: {over: \"20%\", to: 0}}",
        note: "the fall's `shape` is any ramp: `one_minus_sqrt` in the paper on cooldowns, `cosine`, `exp_norm`, ...",
        ends: Ends { before: "starts at 0.01x", at: NOTCH, after: HELD },
        source: "MiniCPM, arXiv 2404.06395; Haegele et al., arXiv 2405.18392; transformers, timm, Megatron",
    },
    &Preset {
        name: "knee",
        aliases: &["KneeLRScheduler", "explore_exploit", "flat_linear"],
        summary: "the base lr for an explore phase, then a linear fall",
        expansion: "{body: 1x, cooldown: {over: \"50%\", to: 0}}",
        note: "`over` is the part that is left after the explore phase",
        ends: Ends { before: "the base lr from the first step on", at: NOTCH, after: HELD },
        source: "Iyer et al., arXiv 2003.03977",
    },
    &Preset {
        name: "infinite",
        aliases: &["infinite_lr", "continual", "InfiniteLR"],
        summary: "a rise, a fall to a level to be held for ever, a last fall",
        expansion: "{phases: [{for: \"5%\", kind: linear, from: 0.01x, to: 1x}, {for: \"25%\", kind: cosine, to: 0.3x}, \
                    {for: \"50%\", value: 0.3x}, {kind: geometric, from: 0.3x, to: 0.01x}]}",
        note: "to train on, make the phase with `value` longer; the phases before it stay as they are",
        ends: Ends {
            before: "starts at 0.01x",
            at: "the last step stands one notch above 0.01x",
            after: "0.01x holds",
        },
        source: "Ibrahim et al., arXiv 2403.08763; Singh et al., arXiv 2503.02844",
    },
    &Preset {
        name: "cyclic_wsd",
        aliases: &["wsd_s", "wsd_restarts"],
        summary: "stable and decay again and again: a good model after each",
        expansion: "{restart: {body: 1x, cooldown: {over: \"30%\", shape: one_minus_sqrt}}, every: \"25%\"}",
        note: "without the restarts of the optimiser's state that some papers make",
        ends: Ends { before: "each cycle starts at the base lr", at: NOTCH, after: "the next cycle begins" },
        source: "Wen et al., arXiv 2410.05192",
    },
    &Preset {
        name: "warm_restarts",
        aliases: &["cosine_restarts", "cosine_warm_restarts"],
        summary: "cosine falls, each from the base lr again and longer",
        expansion: "{restart: {kind: cosine, to: 0}, every: \"15%\", mult: 2}",
        note: "torch's T_0 is `every`, its T_mult `mult`; cycles of 1, 2 and 4 parts take a little more than the run here",
        ends: Ends {
            before: "each cycle starts at the base lr",
            at: "wherever the cycle stands: here near the end of the third",
            after: "the cycles go on",
        },
        source: "SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts",
    },
    &Preset {
        name: "hard_restarts",
        aliases: &["cosine_with_hard_restarts", "get_cosine_with_hard_restarts_schedule_with_warmup"],
        summary: "a linear rise, then equal cosine falls from the base lr",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {restart: {kind: cosine, to: 0}, every: \"33.4%\", limit: 3}}",
        note: "`every` is the body's length over `num_cycles`",
        ends: Ends { before: FROM_0, at: NOTCH, after: HELD },
        source: "transformers cosine_with_restarts",
    },
    &Preset {
        name: "power_cooldown",
        aliases: &["power_decay", "granite"],
        summary: "the power scheduler with a rise before and a fall after it",
        expansion: "{warmup: {over: \"5%\", from: 0.01x, target: body}, body: {kind: power, a: 4, tokens_per_step: 16}, \
                    cooldown: {over: \"20%\", to: 0, mode: multiply}}",
        note: "`multiply`: the power goes on falling underneath",
        ends: Ends { before: "starts at 0.01x and rises to the power's own value", at: NOTCH, after: HELD },
        source: "Shen et al., arXiv 2408.13359",
    },
    &Preset {
        name: "rsqrt_cooldown",
        aliases: &["inverse_sqrt_cooldown", "rsqrt_linear"],
        summary: "a rise, 1/sqrt(t) decay, and a fall that scales it to 0",
        expansion: "{warmup: {over: \"5%\", from: 0.01x}, body: {kind: inverse_sqrt, timescale: \"5%\"}, \
                    cooldown: {over: \"20%\", to: 0, mode: multiply}}",
        note: "`multiply`: 1/sqrt(t) goes on falling underneath",
        ends: Ends { before: "starts at 0.01x", at: NOTCH, after: HELD },
        source: "Zhai et al., arXiv 2106.04560; big_vision rsqrt",
    },
    &Preset {
        name: "one_cycle_knots",
        aliases: &["cosine_onecycle_schedule", "linear_onecycle_schedule", "one_cycle_piecewise"],
        summary: "one rise and one fall between whole steps, as optax has it",
        expansion: "{kind: piecewise, points: [[0, 0.04x], [\"30%\", 1x], [\"100%\", 0.000004x]], interp: cosine}",
        note: "knots at whole steps, the last at T, not T - 1: one step off torch's, which is `one_cycle`",
        ends: Ends {
            before: "starts at 0.04x",
            at: "the last step stands one notch above the last knot",
            after: "the last knot's lr holds",
        },
        source: "optax cosine_onecycle_schedule, linear_onecycle_schedule (`interp: linear`)",
    },
    &Preset {
        name: "constant_factor",
        aliases: &["ConstantLR_factor", "warmup_step"],
        summary: "a share of the base lr at first, then the base lr",
        expansion: "{phases: [{for: \"20%\", value: 0.3333333333333333x}, {value: 1x}]}",
        note: "torch counts 5 steps, or epochs, if not told otherwise",
        ends: Ends { before: "a third of the base lr", at: "the base lr", after: "the base lr" },
        source: "torch ConstantLR",
    },
    &Preset {
        name: "repeated_epochs",
        aliases: &["epoch_clock", "per_epoch", "StepLR_per_epoch"],
        summary: "a schedule whose lr is held within each epoch",
        expansion: "{clock: epoch, kind: cosine, to: 0}",
        note: "lengths inside are in epochs; with `clock: epoch_fraction` the lr moves at each step",
        ends: Ends {
            before: "the first epoch's lr is the base lr",
            at: "the last epoch stands one notch short of 0",
            after: HELD,
        },
        source: "torch schedulers stepped once an epoch; timm `t_in_epochs`",
    },
    &Preset {
        name: "lr_range_test",
        aliases: &["range_test", "LRFinder"],
        summary: "from a tiny lr to a huge one, to find a good one",
        expansion: "{kind: geometric, from: 0.0001x, to: 10x}",
        note: "`linear` in place of `geometric` for an even rise; a run that diverges is a result, not an error",
        ends: Ends {
            before: "starts at 0.0001x",
            at: "the last step stands one notch below 10x",
            after: "10x holds",
        },
        source: "Smith, arXiv 1506.01186; DeepSpeed LRRangeTest",
    },
];
