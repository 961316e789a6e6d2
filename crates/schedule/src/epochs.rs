//! Detects schedules whose lengths are probably epochs, because they were stepped once per epoch in the
//! original program, and suggests `clock: epoch`.

use crate::coverage::Coverage;
use crate::lint::{
    EPOCHS_AS_STEPS, HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK, VANISHING_LR, ZERO_TAIL, vanishes, warning,
};
use crate::problem::Problem;
use crate::segment::Position;
use crate::{Feedback, Schedule};

/// Lints that can be caused by epochs that are read as steps.
const SYMPTOMS: [&str; 6] =
    [HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK, ZERO_TAIL, VANISHING_LR, EPOCHS_AS_STEPS];

/// The first 1/20 of the run counts as early.
const EARLY: u64 = 20;

/// For schedulers that are often stepped once per epoch, the first 1/10.
const EARLY_OF_TORCH: u64 = 10;

/// The number of steps in which cycles are counted.
const COUNTED: u64 = 4000;

/// The maximum length of a mapping that is repeated in a hint, in characters.
const MAX_WRITTEN: usize = 200;

impl Schedule {
    /// Warns about lengths that look like epochs and suggests `clock: epoch` if that solves the problem. A
    /// schedule that sets its clock is skipped.
    pub(crate) fn warn_of_epochs(&self, warnings: &mut Vec<Problem>) {
        if self.feedback() == Feedback::ClosedLoop || self.node.root.has_clock() {
            return;
        }
        let start = self.start();
        let lr = |t| self.lr(t, &start);
        warnings.extend(self.settled(&lr).or_else(|| self.many_cycles(&lr)));
        for warning in warnings.iter_mut().filter(|warning| is_symptom(warning)) {
            if let Some(advice) = self.advice(warning) {
                warning.hint = Some(match warning.hint.take() {
                    Some(hint) => format!("{advice}; otherwise {hint}"),
                    None => advice,
                });
            }
        }
    }

    fn total(&self) -> u64 {
        self.run.len as u64
    }

    /// The same run with `clock: epoch`, if epochs are known.
    fn by_epochs(&self, at: &Position) -> Option<Position> {
        at.epoch.filter(|steps| *steps > 1.0).map(|steps| at.by_epochs(steps))
    }

    /// The lr with `clock: epoch`; `steps` is the length of an epoch.
    fn lr_by_epochs(&self, steps: f64) -> impl Fn(u64) -> f64 {
        let start = self.start();
        move |t| self.node.root.lr(&self.at(t).by_epochs(steps), &start)
    }

    /// Warns if the last change of the lr is within the first few steps. If another clock makes no
    /// difference, the lengths are in percent or epochs and are correct.
    fn settled(&self, lr: &impl Fn(u64) -> f64) -> Option<Problem> {
        let total = self.total();
        let early = total / if self.node.document.stepped_by_epoch { EARLY_OF_TORCH } else { EARLY };
        let from = settles(lr, total, early)?;
        let guess = (total / from) as f64;
        if settles(&self.lr_by_epochs(self.run.epoch.unwrap_or(guess)), total, early).is_some() {
            return None;
        }
        // A warmup is normally short, so rises are only reported for schedulers that are often stepped once
        // per epoch.
        let last = lr(total - 1);
        let falls = (0..from).all(|t| lr(t) >= last);
        if !falls && !self.node.document.stepped_by_epoch {
            return None;
        }
        let message = format!("the lr does not change after step {from} of {total}");
        Some(self.problem_of_epochs(message))
    }

    /// Warns about a torch schedule with many short cycles. If a cycle of that many epochs were longer than
    /// the run, steps are intended.
    fn many_cycles(&self, lr: &impl Fn(u64) -> f64) -> Option<Problem> {
        let total = self.total();
        if !self.node.document.stepped_by_epoch || !self.node.root.has_formula(&self.run) {
            return None;
        }
        let counted = total.min(COUNTED);
        let cycles = valleys(lr, counted);
        let period = counted.checked_div(cycles).filter(|period| period * EARLY <= total)?;
        let fits = |steps: f64| period as f64 * steps <= total as f64 * 1.01;
        if self.run.epoch.is_some_and(|steps| !fits(steps)) {
            return None;
        }
        Some(self.problem_of_epochs(format!("a cycle takes about {period} of the {total} steps")))
    }

    fn problem_of_epochs(&self, message: String) -> Problem {
        let problem = warning(EPOCHS_AS_STEPS, message);
        Problem { place: self.node.place, path: self.node.path.clone(), ..problem }
    }

    /// The hint if the lengths are epochs; `None` if that does not solve the problem.
    fn advice(&self, warning: &Problem) -> Option<String> {
        let lint = warning.lint?;
        let Some(run) = self.by_epochs(&self.run) else {
            // Without the length of an epoch the fix can't be checked.
            let unknown = self.run.epoch.is_none() && [VANISHING_LR, EPOCHS_AS_STEPS].contains(&lint);
            let advice = "if it was stepped once per epoch, write its lengths in steps, or use `clock: epoch` and set \
                          `steps_per_epoch`";
            return unknown.then(|| advice.to_owned());
        };
        let lr = self.lr_by_epochs(run.tick);
        let cured = match lint {
            EPOCHS_AS_STEPS => true,
            VANISHING_LR => !vanishes(&lr, self.total()),
            ZERO_TAIL => lr(self.total().saturating_sub(2)) > 0.0,
            _ => self.fits(&run),
        };
        cured.then(|| format!("if it was stepped once per epoch, write {}", self.with_epochs()))
    }

    /// Whether the schedule has no problems and no warnings with `clock: epoch`.
    fn fits(&self, run: &Position) -> bool {
        let mut found = Vec::new();
        self.node.root.check(run, &mut found);
        if found.is_empty() {
            self.node.root.warn(&Coverage::run(self.run, None).by(*run), &mut found);
        }
        found.is_empty()
    }

    /// The schedule as written, with `clock: epoch`.
    fn with_epochs(&self) -> String {
        let written = self.node.document.by_epochs.as_ref();
        let written = written.filter(|text| text.chars().count() <= MAX_WRITTEN);
        written.cloned().unwrap_or_else(|| "`clock: epoch`".to_owned())
    }
}

fn is_symptom(warning: &Problem) -> bool {
    warning.lint.is_some_and(|lint| SYMPTOMS.contains(&lint))
}

/// The step after which the lr never changes, if it is within the first `early` steps and not step 0.
fn settles(lr: &impl Fn(u64) -> f64, total: u64, early: u64) -> Option<u64> {
    let last = lr(total.saturating_sub(1)) as f32;
    let same = |t: u64| lr(t) as f32 == last;
    let stride = (total - early).div_ceil(COUNTED).max(1);
    if early == 0 || !(early..total).step_by(usize::try_from(stride).unwrap_or(usize::MAX)).all(same) {
        return None;
    }
    (0..early).rev().take(COUNTED as usize).find(|t| !same(*t)).map(|t| t + 1)
}

/// How often the lr changes from falling to rising within the first steps.
fn valleys(lr: &impl Fn(u64) -> f64, steps: u64) -> u64 {
    let (mut before, mut falls, mut turns) = (lr(0), false, 0);
    for t in 1..steps {
        let now = lr(t);
        turns += u64::from(falls && now > before);
        falls = now < before || (falls && now == before);
        before = now;
    }
    turns
}
