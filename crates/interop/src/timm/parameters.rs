//! Parameters that several timm schedulers share.

use schedule::catalogue::{ABOVE_0, AT_LEAST_1, Param, ParamType, param, required};

use crate::entry::{Extra, ExtraType};

pub(crate) const LENGTH: Param = required("t_initial", ParamType::Length(1), "length of the first cycle");
pub(crate) const LR_MIN: Param =
    param("lr_min", ParamType::Lr, "0.0", "lr at the end of each cycle and after the last");
pub(crate) const CYCLE_MUL: Param = param(
    "cycle_mul",
    ParamType::Number(AT_LEAST_1),
    "1.0",
    "length of each cycle relative to the one before",
);
pub(crate) const CYCLE_DECAY: Param =
    param("cycle_decay", ParamType::Number(ABOVE_0), "1.0", "factor per cycle on the highest lr");
pub(crate) const CYCLE_LIMIT: Param = param("cycle_limit", ParamType::Whole(1), "1", "number of cycles");
pub(crate) const WARMUP: Param = param("warmup_t", ParamType::Length(0), "0", "length of the warmup");
pub(crate) const FIRST: Param =
    param("warmup_lr_init", ParamType::Lr, "0.0", "lr at the start of the warmup");
pub(crate) const OVERLAY: Param =
    param("warmup_prefix", ParamType::Flag, "false", "whether the schedule begins after the warmup");
pub(crate) const PREFIX: Param =
    param("warmup_prefix", ParamType::Flag, "true", "whether the schedule begins after the warmup");
pub(crate) const EPOCHS: Param =
    param("t_in_epochs", ParamType::Flag, "true", "count epochs, with one lr per epoch; otherwise steps");
pub(crate) const K: Param = param(
    "k_decay",
    ParamType::Number(ABOVE_0),
    "1.0",
    "exponent of the progress in a cycle: p^k instead of p",
);
pub(crate) const NOISE_PCT: Param =
    param("noise_pct", ParamType::Number(ABOVE_0), "0.67", "bound on the noise");
pub(crate) const NOISE_STD: Param =
    param("noise_std", ParamType::Number(ABOVE_0), "1.0", "standard deviation of the noise");
pub(crate) const NOISE_SEED: Param = param("noise_seed", ParamType::Whole(0), "42", "seed of the noise");
pub(crate) const NOISE_RANGE: Extra = Extra {
    name: "noise_range_t",
    ty: ExtraType::Span,
    required: false,
    doc: "the range with noise: `from` or `[from, to]`; no noise by default",
};
pub(crate) const SPAN: &[Extra] = &[NOISE_RANGE];
pub(crate) const REFUSED: &[(&str, &str)] =
    &[("noise_range_t", "noise on a rule differs from timm's: write {noise: ..., of: ...}")];

/// A length that may be fractional.
pub(crate) const fn ticks_of(name: &'static str, doc: &'static str) -> Extra {
    Extra { name, ty: ExtraType::Ticks, required: true, doc }
}
