//! Lints: schedules that are legal and probably not meant. The table of their names, and those that need
//! the lr of the whole run; what one kind can say of itself stands in its own file.

use crate::fields::{Field, text};
use crate::problem::Problem;
use crate::tree::{Place, Value};

/// One lint. What it warns of is a [`Problem`] with its name.
#[derive(Debug)]
pub struct Lint {
    /// Its name, shown with each warning and used to silence it.
    pub name: &'static str,
    /// What it warns of. One sentence without a full stop.
    pub what: &'static str,
    /// A schedule of which it warns, in a run of 1000 steps; empty where it takes a whole file.
    pub example: &'static str,
    /// What to write instead.
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
/// Some runs of one schedule are those of another.
pub const SHARED_RUNS: &str = "shared-runs";
/// An axis changes nothing.
pub const IDLE_AXIS: &str = "idle-axis";
/// An axis changes what losses mean.
pub const MIXED_LOSSES: &str = "mixed-losses";
/// A value that other readers of YAML take for something else.
pub const AMBIGUOUS_VALUE: &str = "ambiguous-value";
/// A comment or key silences a lint that there is not.
pub const UNKNOWN_LINT: &str = "unknown-lint";
/// A comment or key silences nothing.
pub const UNUSED_ALLOW: &str = "unused-allow";

/// Every lint.
pub const LINTS: &[Lint] = &[
    Lint {
        name: HORIZON_MISMATCH,
        what: "a schedule does not reach its declared end at the last step: a ramp or cycle whose `over` is \
               shorter or longer than what it stands in, a milestone, knot, phase, first drop, first cycle or \
               first look beyond the run. A rise that is over early is fine: it is a warmup",
        example: "{kind: cosine, to: 0, over: 900}",
        fix: "leave out `over`, or write the length that the warning names",
    },
    Lint {
        name: MID_CYCLE,
        what: "a cyclic schedule or a `restart` stops in the middle of a cycle, with a high lr; a hundredth of \
               a cycle is forgiven",
        example: "{kind: cyclic, min: 0.1x, up: 300}",
        fix: "the `up` or `every` that the warning names, or a budget of whole cycles",
    },
    Lint {
        name: RESTART_AT_PEAK,
        what: "a `restart` begins a new cycle with the last step or steps of the run, which ends at its peak",
        example: "{restart: {kind: cosine, to: 0}, every: 333}",
        fix: "the `every` that the warning names",
    },
    Lint {
        name: ZERO_WARMUP,
        what: "the first update of a warmup, or of the run, has lr 0 and changes nothing",
        example: "{warmup: {over: \"5%\", from: 0}, body: 1x}",
        fix: "`from: 0.01x`, or `sample: right`",
    },
    Lint {
        name: ZERO_TAIL,
        what: "more than one update at the end of the run has lr 0 and changes nothing",
        example: "{kind: piecewise, points: [[0, 1x], [\"90%\", 0]]}",
        fix: "move the last knot to the end of the run, or end above 0",
    },
    Lint {
        name: VANISHING_LR,
        what: "for a tenth of the run or more the lr is below a ten-millionth of its peak, or 0 in single precision, so that \
               the updates change nothing",
        example: "{kind: torch.StepLR, step_size: 30}",
        fix: "`clock: epoch` for a schedule that was stepped once an epoch, as the warning writes it; a slower decay otherwise",
    },
    Lint {
        name: EPOCHS_AS_STEPS,
        what: "the lengths of a schedule look like epochs and count steps: its last change, or a whole cycle, lies within the \
               first twentieth of the run, under the names of torch within the first tenth. Lengths in percent or epochs and short warmups are fine; cycles, and rises that \
               end early, are looked at under the names of torch",
        example: "{kind: torch.LinearLR, total_iters: 5}",
        fix: "`clock: epoch`, as the warning writes it; `clock: step` if steps are meant",
    },
    Lint {
        name: NO_STEPS,
        what: "a length that is a share or in epochs rounds to no step: a warmup, cooldown, phase, milestone or knot that \
               is not there",
        example: "{warmup: {over: \"0.01%\", from: 0.1x}, body: {kind: cosine, to: 0}}",
        fix: "a larger share, or the length in steps",
    },
    Lint {
        name: NEVER_CHANGES,
        what: "the lr of a kind that is meant to change it stays the same for the whole run, whatever the losses",
        example: "{kind: cosine, to: 1x}",
        fix: "`kind: constant` if that is meant, another end if not; for `plateau` and its like a smaller `patience` \
              or a shorter `every`",
    },
    Lint {
        name: NO_RISE,
        what: "a `one_cycle` starts past its top, because `pct_start` is less than one step",
        example: "{kind: one_cycle, pct_start: 0.0001}",
        fix: "a larger `pct_start`",
    },
    Lint {
        name: WRONG_MODE,
        what: "a rule waits for a loss to rise (`mode: max`, the default of timm), or for an accuracy to fall",
        example: "{kind: plateau, mode: max, patience: 2}",
        fix: "`mode: min` for a loss; `watch: valid_accuracy` for an accuracy, where the model or program reports one",
    },
    Lint {
        name: SAME_SCHEDULE,
        what: "two schedules of the file are the same in every run; each run is trained once and counted for both",
        example: "",
        fix: "leave one of them out, or change what was meant to differ",
    },
    Lint {
        name: SHARED_RUNS,
        what: "some runs of one schedule are those of another, at some base lrs; they are trained once",
        example: "",
        fix: "nothing, if that is meant",
    },
    Lint {
        name: IDLE_AXIS,
        what: "an axis of a schedule, or the base lr, changes nothing: two of its configs are the same run",
        example: "",
        fix: "leave out the value that the warning names",
    },
    Lint {
        name: MIXED_LOSSES,
        what: "an axis changes the data, the task or the kind of model, so that losses mean different things; the ranking \
               takes the lowest of each schedule, whatever it is a loss of",
        example: "",
        fix: "a sweep of its own for each value",
    },
    Lint {
        name: AMBIGUOUS_VALUE,
        what: "a value without quotes in `params`, or of a task of your own, is text here and something else elsewhere: `no`, \
               `off`, `0x10`, `1_000`, `0,1`, `None`, `inf`; or a whole number, anywhere in the file, begins with 0, as in \
               `012`",
        example: "",
        fix: "`false`, `16`, `1000`, `0.1`, `null`, `12` as the warning names it; quotes where text is meant",
    },
    Lint {
        name: UNKNOWN_LINT,
        what: "a comment or key allows a lint that there is not",
        example: "",
        fix: "the nearest name, which the warning says",
    },
    Lint {
        name: UNUSED_ALLOW,
        what: "a comment or key allows a lint that does not warn there",
        example: "",
        fix: "leave it out",
    },
];

/// The lint of a name.
pub fn find(name: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.name == name)
}

/// The value of a key `allow`: names of lints, each with its place. Whether there are such lints is not
/// looked at: an older program may read a newer file.
///
/// # Errors
/// It is no list of texts, nor one text.
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

/// A warning without a place: it gets that of the node it is about.
pub(crate) fn warning(lint: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Default::default(), "", message).with_lint(lint)
}

/// The most steps that are looked at one by one.
const MAX_LOOKED_AT: u64 = 1_000_000;

/// What the lr of a whole run shows, `lr` being a function of the step alone. `found` holds what the kinds
/// have said of themselves: what follows from that is not told again.
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
            n if n == total => "the lr is 0 at every step: nothing is trained".to_owned(),
            n if n == MAX_LOOKED_AT => format!("the lr is 0 for at least the last {n} of {total} steps"),
            n => format!("the lr is 0 for the last {n} of {total} steps"),
        };
        warnings.push(warning(ZERO_TAIL, message).with_hint("end above 0, or with the run"));
    }
    if tail < 2 && vanishes(&lr, total) {
        let last = lr(total.saturating_sub(1));
        let message = format!(
            "for a tenth of the run or more the lr is below 1e-7 of its peak (at the last step it is {last:.0e}): those \
             updates change nothing"
        );
        warnings.push(warning(VANISHING_LR, message).with_hint("write a slower decay"));
    }
    // Of a run without any lr all is said.
    if lr(0) == 0.0 && tail < total && !warned(ZERO_WARMUP) {
        let message = "lr(0) is 0: the first update changes nothing";
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

/// Steps that are looked at where a sample is enough.
const SAMPLES: u64 = 2000;

/// Whether a tenth of the run has an lr above 0 that moves no weight: less than a ten-millionth of the highest, which is
/// about what single precision resolves, or 0 in single precision.
pub(crate) fn vanishes(lr: &impl Fn(u64) -> f64, total: u64) -> bool {
    let stride = total.div_ceil(SAMPLES).max(1);
    let lrs: Vec<f64> = (0..total.div_ceil(stride)).map(|i| lr(i * stride)).collect();
    let peak = lrs.iter().copied().fold(0.0, f64::max);
    let lost = lrs.iter().filter(|lr| **lr > 0.0 && (**lr as f32 == 0.0 || **lr < 1e-7 * peak)).count();
    lost * 10 >= lrs.len().max(10)
}

/// Single precision is what training uses. The ends and the middle tell most schedules at once.
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
        format!("the whole run of {total} steps, looked at every {stride}")
    };
    let warning = warning(NEVER_CHANGES, format!("the lr is the same for {where_to}"));
    Some(warning.with_hint("write {kind: constant} if that is meant"))
}
