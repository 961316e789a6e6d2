//! Presets: schedules that are named elsewhere and are combinations of kinds here. A preset is a documented
//! expansion, not a kind: a sweep file contains the expansion, so that nothing is hidden.

use crate::catalogue::Ends;

/// A named expansion.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its names in other libraries, for hints.
    pub aliases: &'static [&'static str],
    /// One line: what it does.
    pub summary: &'static str,
    /// The expansion, with typical lengths.
    pub expansion: &'static str,
    /// How the library's own form differs, and what to change.
    pub note: &'static str,
    /// Its lr at the start, at the end and after the end.
    pub ends: Ends,
    /// The paper or library that defines it.
    pub source: &'static str,
}

const FIRST_IS_0: &str = "lr(0) is 0 as in the library, so the first update changes nothing; `from: 0.01x` or `sample: \
                          right` in the warmup avoids that";
const FROM_0: &str = "starts at 0; the base lr is reached at the first step after the warmup";
const NOTCH: &str = "the last step is one step short of 0";
const HELD: &str = "stays at 0";

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
        ends: Ends { before: FROM_0, at: NOTCH, after: "stays at 0; in transformers the lr rises again" },
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
        note: "for `cosine_warmup_with_min_lr` write `sample: right` in warmup and body",
        ends: Ends {
            before: FROM_0,
            at: "the last step is one step above 0.1x",
            after: "stays at 0.1x; in transformers the lr rises again",
        },
        source: "transformers cosine_with_min_lr",
    },
    &Preset {
        name: "warmup_polynomial",
        aliases: &["polynomial_with_warmup", "get_polynomial_decay_schedule_with_warmup"],
        summary: "a linear rise, then a power of the remaining fraction",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: polynomial, power: 2, to: 0}}",
        note: "transformers ends at 1e-7: write `to: 1e-7`",
        ends: Ends { before: FROM_0, at: NOTCH, after: HELD },
        source: "transformers polynomial",
    },
    &Preset {
        name: "warmup_exponential",
        aliases: &["warmup_exponential_decay_schedule"],
        summary: "a linear rise, then exponential decay",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {kind: exponential, gamma: 0.5, every: \"20%\"}}",
        note: "for optax's `end_value` wrap it: {clamp: {min: 0.01x}, of: ...}",
        ends: Ends { before: FROM_0, at: "no target: the value of the formula", after: "continues to fall" },
        source: "optax warmup_exponential_decay_schedule",
    },
    &Preset {
        name: "wsd",
        aliases: &["trapezoid", "trapezoidal", "warmup_stable_decay", "get_wsd_schedule", "WSDScheduler"],
        summary: "warmup, stable, decay: a rise, the base lr, a fall",
        expansion: "{warmup: {over: \"5%\", from: 0.01x}, body: 1x, cooldown: {over: \"20%\", to: 0}}",
        note: "the `shape` of the cooldown can be any ramp: `one_minus_sqrt` (as in the paper on cooldowns), `cosine`, \
               `exp_norm`, ...",
        ends: Ends { before: "starts at 0.01x", at: NOTCH, after: HELD },
        source: "MiniCPM, arXiv 2404.06395; Haegele et al., arXiv 2405.18392; transformers, timm, Megatron",
    },
    &Preset {
        name: "knee",
        aliases: &["KneeLRScheduler", "explore_exploit", "flat_linear"],
        summary: "the base lr for an explore phase, then a linear fall",
        expansion: "{body: 1x, cooldown: {over: \"50%\", to: 0}}",
        note: "`over` is the rest after the explore phase",
        ends: Ends { before: "the base lr from the first step on", at: NOTCH, after: HELD },
        source: "Iyer et al., arXiv 2003.03977",
    },
    &Preset {
        name: "infinite",
        aliases: &["infinite_lr", "continual", "InfiniteLR"],
        summary: "a rise, a fall to a constant lr, and a final fall",
        expansion: "{phases: [{for: \"5%\", kind: linear, from: 0.01x, to: 1x}, {for: \"25%\", kind: cosine, to: 0.3x}, \
                    {for: \"50%\", value: 0.3x}, {kind: geometric, from: 0.3x, to: 0.01x}]}",
        note: "to train longer, make the phase with `value` longer; the phases before it do not change",
        ends: Ends {
            before: "starts at 0.01x",
            at: "the last step is one step above 0.01x",
            after: "stays at 0.01x",
        },
        source: "Ibrahim et al., arXiv 2403.08763; Singh et al., arXiv 2503.02844",
    },
    &Preset {
        name: "cyclic_wsd",
        aliases: &["wsd_s", "wsd_restarts"],
        summary: "repeated stable and decay phases, a good model after each",
        expansion: "{restart: {body: 1x, cooldown: {over: \"30%\", shape: one_minus_sqrt}}, every: \"25%\"}",
        note: "does not reset the optimizer's state, as some papers do",
        ends: Ends { before: "each cycle starts at the base lr", at: NOTCH, after: "the next cycle begins" },
        source: "Wen et al., arXiv 2410.05192",
    },
    &Preset {
        name: "warm_restarts",
        aliases: &["cosine_restarts", "cosine_warm_restarts"],
        summary: "cosine cycles of growing length, each from the base lr",
        expansion: "{restart: {kind: cosine, to: 0}, every: \"15%\", mult: 2}",
        note: "torch's T_0 is `every`, its T_mult `mult`; here the cycles of 15 %, 30 % and 60 % take slightly more \
               than the run",
        ends: Ends {
            before: "each cycle starts at the base lr",
            at: "depends on the position in the cycle: here near the end of the third",
            after: "the cycles continue",
        },
        source: "SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts",
    },
    &Preset {
        name: "hard_restarts",
        aliases: &["cosine_with_hard_restarts", "get_cosine_with_hard_restarts_schedule_with_warmup"],
        summary: "a linear rise, then equal cosine cycles from the base lr",
        expansion: "{warmup: {over: \"10%\", from: 0}, body: {restart: {kind: cosine, to: 0}, every: \"33.4%\", limit: 3}}",
        note: "`every` is the length of the body divided by `num_cycles`",
        ends: Ends { before: FROM_0, at: NOTCH, after: HELD },
        source: "transformers cosine_with_restarts",
    },
    &Preset {
        name: "power_cooldown",
        aliases: &["power_decay", "granite"],
        summary: "the power scheduler with a warmup and a cooldown",
        expansion: "{warmup: {over: \"5%\", from: 0.01x, target: body}, body: {kind: power, a: 4, tokens_per_step: 16}, \
                    cooldown: {over: \"20%\", to: 0, mode: multiply}}",
        note: "with `multiply` the power continues to fall during the cooldown",
        ends: Ends { before: "starts at 0.01x and rises to the power's own value", at: NOTCH, after: HELD },
        source: "Shen et al., arXiv 2408.13359",
    },
    &Preset {
        name: "rsqrt_cooldown",
        aliases: &["inverse_sqrt_cooldown", "rsqrt_linear"],
        summary: "a warmup, 1/sqrt(t) decay, and a cooldown to 0",
        expansion: "{warmup: {over: \"5%\", from: 0.01x}, body: {kind: inverse_sqrt, timescale: \"5%\"}, \
                    cooldown: {over: \"20%\", to: 0, mode: multiply}}",
        note: "with `multiply` 1/sqrt(t) continues to fall during the cooldown",
        ends: Ends { before: "starts at 0.01x", at: NOTCH, after: HELD },
        source: "Zhai et al., arXiv 2106.04560; big_vision rsqrt",
    },
    &Preset {
        name: "one_cycle_knots",
        aliases: &["cosine_onecycle_schedule", "linear_onecycle_schedule", "one_cycle_piecewise"],
        summary: "one rise and one fall, knots at whole steps, as in optax",
        expansion: "{kind: piecewise, points: [[0, 0.04x], [\"30%\", 1x], [\"100%\", 0.000004x]], interp: cosine}",
        note: "the knots are at whole steps and the last one at T, not T - 1: one step later than in torch, which is \
               `one_cycle`",
        ends: Ends {
            before: "starts at 0.04x",
            at: "the last step is one step above the last knot",
            after: "stays at the lr of the last knot",
        },
        source: "optax cosine_onecycle_schedule, linear_onecycle_schedule (`interp: linear`)",
    },
    &Preset {
        name: "constant_factor",
        aliases: &["ConstantLR_factor", "warmup_step"],
        summary: "a fraction of the base lr at first, then the base lr",
        expansion: "{phases: [{for: \"20%\", value: 0.3333333333333333x}, {value: 1x}]}",
        note: "torch's default is 5 steps or epochs",
        ends: Ends { before: "a third of the base lr", at: "the base lr", after: "the base lr" },
        source: "torch ConstantLR",
    },
    &Preset {
        name: "repeated_epochs",
        aliases: &["epoch_clock", "per_epoch", "StepLR_per_epoch"],
        summary: "a schedule whose lr changes once per epoch",
        expansion: "{clock: epoch, kind: cosine, to: 0}",
        note: "lengths inside are in epochs; with `clock: epoch_fraction` the lr changes at each step",
        ends: Ends {
            before: "the base lr in the first epoch",
            at: "the last epoch is one epoch short of 0",
            after: HELD,
        },
        source: "torch schedulers stepped once an epoch; timm `t_in_epochs`",
    },
    &Preset {
        name: "lr_range_test",
        aliases: &["range_test", "LRFinder"],
        summary: "from a very small to a very large lr, to find a good lr",
        expansion: "{kind: geometric, from: 0.0001x, to: 10x}",
        note: "use `linear` instead of `geometric` for a linear rise; a diverged run is a result, not an error",
        ends: Ends {
            before: "starts at 0.0001x",
            at: "the last step is one step below 10x",
            after: "stays at 10x",
        },
        source: "Smith, arXiv 1506.01186; DeepSpeed LRRangeTest",
    },
];
