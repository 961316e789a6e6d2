//! Lints: warnings about schedules that are legal and probably not intended. This file has the table of lints
//! and those that need the lr of the whole run; lints of a single kind are in its file.

use crate::fields::{Field, text};
use crate::problem::Problem;
use crate::tree::{Place, Value};

/// One lint. Each of its warnings is a [`Problem`] with its name.
#[derive(Debug)]
pub struct Lint {
    /// Its name, shown in each warning and used to silence it.
    pub name: &'static str,
    /// The situation that it warns of. One sentence without a full stop.
    pub what: &'static str,
    /// A schedule that triggers it in a run of 1000 steps; empty if it needs a whole file.
    pub example: &'static str,
    /// The suggested change.
    pub fix: &'static str,
}

pub(crate) const HORIZON_MISMATCH: &str = "horizon-mismatch";
pub(crate) const MID_CYCLE: &str = "mid-cycle";
pub(crate) const RESTART_AT_PEAK: &str = "restart-at-peak";
pub(crate) const ZERO_WARMUP: &str = "zero-warmup";
pub(crate) const ZERO_TAIL: &str = "zero-tail";
pub(crate) const NEVER_CHANGES: &str = "never-changes";
pub(crate) const NO_RISE: &str = "no-rise";
pub(crate) const WRONG_MODE: &str = "wrong-mode";
pub(crate) const VANISHING_LR: &str = "vanishing-lr";
pub(crate) const EPOCHS_AS_STEPS: &str = "epochs-as-steps";
pub(crate) const NO_STEPS: &str = "no-steps";
/// Two schedules of a file are the same in every run.
pub const SAME_SCHEDULE: &str = "same-schedule";
/// Two schedules of a file have runs in common.
pub const SHARED_RUNS: &str = "shared-runs";
/// An axis changes nothing.
pub const IDLE_AXIS: &str = "idle-axis";
/// An axis changes what losses mean.
pub const MIXED_LOSSES: &str = "mixed-losses";
/// A value that other YAML readers interpret differently.
pub const AMBIGUOUS_VALUE: &str = "ambiguous-value";
/// A comment or key silences an unknown lint.
pub const UNKNOWN_LINT: &str = "unknown-lint";
/// A comment or key silences nothing.
pub const UNUSED_ALLOW: &str = "unused-allow";

/// Every lint.
pub const LINTS: &[Lint] = &[
    Lint {
        name: HORIZON_MISMATCH,
        what: "a schedule does not reach its end at the last step: the `over` of a ramp or cycle is shorter or longer \
               than its segment, or a milestone, knot, phase, first drop, first cycle or first check is beyond the end \
               of the run. A rise that ends early is fine: it is a warmup",
        example: "{kind: cosine, to: 0, over: 900}",
        fix: "remove `over`, or write the length that the warning suggests",
    },
    Lint {
        name: MID_CYCLE,
        what: "a cyclic schedule or a `restart` stops in the middle of a cycle, at a high lr; a difference of up to a \
               hundredth of a cycle is ignored",
        example: "{kind: cyclic, min: 0.1x, up: 300}",
        fix: "write the `up` or `every` that the warning suggests, or choose a budget of whole cycles",
    },
    Lint {
        name: RESTART_AT_PEAK,
        what: "a `restart` begins a new cycle in the last steps of the run, so the run ends at its peak lr",
        example: "{restart: {kind: cosine, to: 0}, every: 333}",
        fix: "write the `every` that the warning suggests",
    },
    Lint {
        name: ZERO_WARMUP,
        what: "the first update of a warmup or of the run has lr 0 and changes nothing",
        example: "{warmup: {over: \"5%\", from: 0}, body: 1x}",
        fix: "write `from: 0.01x`, or `sample: right`",
    },
    Lint {
        name: ZERO_TAIL,
        what: "more than one update at the end of the run has lr 0 and changes nothing",
        example: "{kind: piecewise, points: [[0, 1x], [\"90%\", 0]]}",
        fix: "move the last knot to the end of the run, or end above 0",
    },
    Lint {
        name: VANISHING_LR,
        what: "for at least a tenth of the run the lr is below 1e-7 of its peak, or 0 in single precision, so these \
               updates change nothing",
        example: "{kind: torch.StepLR, step_size: 30}",
        fix: "write `clock: epoch` as the warning suggests if the schedule was stepped once per epoch; otherwise use a \
              slower decay",
    },
    Lint {
        name: EPOCHS_AS_STEPS,
        what: "the lengths of a schedule look like epochs, but they count steps: its last change or a whole cycle is \
               within the first twentieth of the run (the first tenth for torch names). Lengths in percent or epochs \
               and short warmups are fine; cycles and rises that end early are only checked for torch names",
        example: "{kind: torch.LinearLR, total_iters: 5}",
        fix: "write `clock: epoch` as the warning suggests, or `clock: step` if steps are intended",
    },
    Lint {
        name: NO_STEPS,
        what: "a length in percent or epochs rounds to 0 steps, so that a warmup, cooldown, phase, milestone or knot \
               has no effect",
        example: "{warmup: {over: \"0.01%\", from: 0.1x}, body: {kind: cosine, to: 0}}",
        fix: "write a larger length, or the length in steps",
    },
    Lint {
        name: NEVER_CHANGES,
        what: "the lr never changes during the run, for any losses, although the kind is meant to change it",
        example: "{kind: cosine, to: 1x}",
        fix: "write `kind: constant` if that is intended, or another end if not; for rules such as `plateau` choose a \
              smaller `patience` or a shorter `every`",
    },
    Lint {
        name: NO_RISE,
        what: "a `one_cycle` starts after its peak, because `pct_start` is less than one step",
        example: "{kind: one_cycle, pct_start: 0.0001}",
        fix: "choose a larger `pct_start`",
    },
    Lint {
        name: WRONG_MODE,
        what: "a rule expects a loss to rise (`mode: max`, the default of timm) or an accuracy to fall",
        example: "{kind: plateau, mode: max, patience: 2}",
        fix: "write `mode: min` for a loss, or `watch: valid_accuracy` for an accuracy if the model or program reports one",
    },
    Lint {
        name: SAME_SCHEDULE,
        what: "two schedules of the file are the same in every run; each run is trained once and counted for both",
        example: "",
        fix: "remove one of them, or change the part that should differ",
    },
    Lint {
        name: SHARED_RUNS,
        what: "two schedules have some runs in common, at some base lrs; these runs are trained once",
        example: "",
        fix: "nothing to fix if that is intended",
    },
    Lint {
        name: IDLE_AXIS,
        what: "an axis of a schedule, or the base lr, changes nothing: two of its configs are the same run",
        example: "",
        fix: "remove the value that the warning names",
    },
    Lint {
        name: MIXED_LOSSES,
        what: "an axis changes the data, the task or the kind of model, so that losses are not comparable; the ranking \
               still takes the lowest loss of each schedule",
        example: "",
        fix: "write one sweep per value",
    },
    Lint {
        name: AMBIGUOUS_VALUE,
        what: "an unquoted value in `params` or of a custom task is text here, but something else in other YAML \
               readers: `no`, `off`, `0x10`, `1_000`, `0,1`, `None`, `inf`; or a whole number anywhere in the file \
               begins with 0, as in `012`",
        example: "",
        fix: "write the value that the warning suggests (`false`, `16`, `1000`, `0.1`, `null`, `12`), or quotes if \
              text is intended",
    },
    Lint {
        name: UNKNOWN_LINT,
        what: "a comment or key allows an unknown lint",
        example: "",
        fix: "write the name that the warning suggests",
    },
    Lint {
        name: UNUSED_ALLOW,
        what: "a comment or key allows a lint that does not occur there",
        example: "",
        fix: "remove it",
    },
];

/// The lint of a name.
pub fn find(name: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.name == name)
}

/// Reads the value of a key `allow`: names of lints, each with its place. Unknown names are accepted, because
/// an older program may read a newer file.
///
/// # Errors
/// It is neither a text nor a list of texts.
pub fn allow_list(field: &Field<'_>) -> Result<Vec<(String, Place)>, Problem> {
    let name = |tree| {
        let name = text(&Field { tree, path: field.path.clone() }).ok();
        name.map(|name| (name, tree.place))
    };
    let names = match &field.tree.value {
        Value::Text(_) => name(field.tree).map(|name| vec![name]),
        Value::List(items) => items.iter().map(name).collect(),
        _ => None,
    };
    names.ok_or_else(|| field.expected("a list of names of lints, as in [mid-cycle]"))
}

/// A warning without a place. It gets the place of its node later.
pub(crate) fn warning(lint: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Default::default(), "", message).with_lint(lint)
}

/// The maximum number of steps that are checked one by one.
const MAX_LOOKED_AT: u64 = 1_000_000;

/// The warnings that follow from the lr of a whole run of an open-loop schedule. `found` has the warnings of
/// the kinds; warnings that follow from them are not repeated.
pub(crate) fn whole_run(
    lr: impl Fn(u64) -> f64,
    total: u64,
    constant: bool,
    found: &[Problem],
) -> Vec<Problem> {
    let warned = |lint| found.iter().any(|problem| problem.lint == Some(lint));
    let mut warnings = Vec::new();
    let tail = zero_tail(&lr, total);
    if tail > 1 && !warned(HORIZON_MISMATCH) {
        let message = match tail {
            n if n == total => "the lr is 0 at every step, so nothing is trained".to_owned(),
            n if n == MAX_LOOKED_AT => format!("the lr is 0 for at least the last {n} of {total} steps"),
            n => format!("the lr is 0 for the last {n} of {total} steps"),
        };
        warnings.push(warning(ZERO_TAIL, message).with_hint("end above 0, or at the end of the run"));
    }
    if tail < 2 && vanishes(&lr, total) {
        let last = lr(total.saturating_sub(1));
        let message = format!(
            "for at least a tenth of the run the lr is below 1e-7 of its peak (at the last step it is {last:.0e}), so \
             these updates change nothing"
        );
        warnings.push(warning(VANISHING_LR, message).with_hint("use a slower decay"));
    }
    // If the lr is always 0, that was already reported.
    if lr(0) == 0.0 && tail < total && !warned(ZERO_WARMUP) {
        let message = "lr(0) is 0, so the first update changes nothing";
        warnings.push(warning(ZERO_WARMUP, message).with_hint("start at 0.01x"));
    }
    if !constant && total > 1 && tail < total && !warned(NEVER_CHANGES) {
        warnings.extend(never_changes(&lr, total));
    }
    warnings
}

/// Steps in a row at the end that have lr 0, counted up to [`MAX_LOOKED_AT`].
fn zero_tail(lr: &impl Fn(u64) -> f64, total: u64) -> u64 {
    (0..total).rev().take_while(|t| lr(*t) == 0.0).take(MAX_LOOKED_AT as usize).count() as u64
}

/// The number of steps that are checked if a sample is enough.
const SAMPLES: u64 = 2000;

/// Whether at least a tenth of the run has an lr that is above 0 but too small to change weights: below 1e-7
/// of the peak, which is about the resolution of single precision, or 0 in single precision.
pub(crate) fn vanishes(lr: &impl Fn(u64) -> f64, total: u64) -> bool {
    let stride = total.div_ceil(SAMPLES).max(1);
    let lrs: Vec<f64> = (0..total.div_ceil(stride)).map(|i| lr(i * stride)).collect();
    let peak = lrs.iter().copied().fold(0.0, f64::max);
    let lost = lrs.iter().filter(|lr| **lr > 0.0 && (**lr as f32 == 0.0 || **lr < 1e-7 * peak)).count();
    lost * 10 >= lrs.len().max(10)
}

/// Compares in single precision, as used in training. The ends and the middle decide most schedules quickly.
fn never_changes(lr: &impl Fn(u64) -> f64, total: u64) -> Option<Problem> {
    let first = lr(0) as f32;
    let same = |t: u64| lr(t) as f32 == first;
    let stride = total.div_ceil(MAX_LOOKED_AT);
    if !same(total - 1) || !same(total / 2) || !(0..total.div_ceil(stride)).all(|i| same(i * stride)) {
        return None;
    }
    let where_to = if stride == 1 {
        "the whole run".to_owned()
    } else {
        format!("the whole run of {total} steps (checked every {stride} steps)")
    };
    let warning = warning(NEVER_CHANGES, format!("the lr is the same for {where_to}"));
    Some(warning.with_hint("write {kind: constant} if that is intended"))
}
