//! Schedules that were stepped once an epoch in the program that they come from, and count steps here: how their lr shows
//! that, and what they are under `clock: epoch`.

use crate::coverage::Coverage;
use crate::lint::{
    EPOCHS_AS_STEPS, HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK, VANISHING_LR, ZERO_TAIL, vanishes, warning,
};
use crate::problem::Problem;
use crate::segment::Position;
use crate::{Feedback, Schedule};

/// What a schedule that takes steps for epochs may be warned of.
const SYMPTOMS: [&str; 6] =
    [HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK, ZERO_TAIL, VANISHING_LR, EPOCHS_AS_STEPS];

/// The first twentieth of the run is its beginning.
const EARLY: u64 = 20;

/// The same where the scheduler is one that many programs step once an epoch: its first tenth.
const EARLY_OF_TORCH: u64 = 10;

/// The first steps, in which cycles are counted.
const COUNTED: u64 = 4000;

/// The longest mapping that is repeated in advice, in characters.
const MAX_WRITTEN: usize = 200;

impl Schedule {
    /// Warns of lengths that look like epochs, and advises `clock: epoch` where that is a cure. A schedule that says what
    /// it counts is left alone.
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
                    Some(hint) => format!("{advice}; else {hint}"),
                    None => advice,
                });
            }
        }
    }

    fn total(&self) -> u64 {
        self.run.len as u64
    }

    /// The same run as the schedule sees it under `clock: epoch`, where epochs are known.
    fn by_epochs(&self, at: &Position) -> Option<Position> {
        at.epoch.filter(|steps| *steps > 1.0).map(|steps| at.by_epochs(steps))
    }

    /// The lr under `clock: epoch`; `steps` is the length of an epoch.
    fn lr_by_epochs(&self, steps: f64) -> impl Fn(u64) -> f64 {
        let start = self.start();
        move |t| self.node.root.lr(&self.at(t).by_epochs(steps), &start)
    }

    /// A schedule whose last change lies within the first few steps. Where another clock makes no difference its lengths are in
    /// percent or epochs, and mean what they say.
    fn settled(&self, lr: &impl Fn(u64) -> f64) -> Option<Problem> {
        let total = self.total();
        let early = total / if self.node.document.stepped_by_epoch { EARLY_OF_TORCH } else { EARLY };
        let from = settles(lr, total, early)?;
        let guess = (total / from) as f64;
        if settles(&self.lr_by_epochs(self.run.epoch.unwrap_or(guess)), total, early).is_some() {
            return None;
        }
        // A warmup is short by nature; only what is known to have been stepped once an epoch is taken for more.
        let last = lr(total - 1);
        let falls = (0..from).all(|t| lr(t) >= last);
        if !falls && !self.node.document.stepped_by_epoch {
            return None;
        }
        let message = format!("after step {from} of {total} the lr stays as it is");
        Some(self.problem_of_epochs(message))
    }

    /// A schedule of torch with many short cycles. Where a cycle of as many epochs is longer than the run, steps are meant.
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
        Problem { place: self.node.document.place, path: self.node.path.clone(), ..problem }
    }

    /// What to write if the lengths are epochs; `None` if that is no cure.
    fn advice(&self, warning: &Problem) -> Option<String> {
        let lint = warning.lint?;
        let Some(run) = self.by_epochs(&self.run) else {
            // Without epochs nothing is known of the cure.
            let unknown = self.run.epoch.is_none() && [VANISHING_LR, EPOCHS_AS_STEPS].contains(&lint);
            let advice = "if it was stepped once an epoch, write its lengths in steps, or `clock: epoch` and say by \
                          `steps_per_epoch` how long an epoch is";
            return unknown.then(|| advice.to_owned());
        };
        let lr = self.lr_by_epochs(run.tick);
        let cured = match lint {
            EPOCHS_AS_STEPS => true,
            VANISHING_LR => !vanishes(&lr, self.total()),
            ZERO_TAIL => lr(self.total().saturating_sub(2)) > 0.0,
            _ => self.fits(&run),
        };
        cured.then(|| format!("if it was stepped once an epoch, write {}", self.with_epochs()))
    }

    /// Whether nothing is to be said of the schedule under `clock: epoch`.
    fn fits(&self, run: &Position) -> bool {
        let mut found = Vec::new();
        self.node.root.check(run, &mut found);
        if found.is_empty() {
            self.node.root.warn(&Coverage::run(self.run, None).by(*run), &mut found);
        }
        found.is_empty()
    }

    /// The schedule as one writes it with `clock: epoch`.
    fn with_epochs(&self) -> String {
        let written = self.node.document.by_epochs.as_ref();
        let written = written.filter(|text| text.chars().count() <= MAX_WRITTEN);
        written.cloned().unwrap_or_else(|| "`clock: epoch`".to_owned())
    }
}

fn is_symptom(warning: &Problem) -> bool {
    warning.lint.is_some_and(|lint| SYMPTOMS.contains(&lint))
}

/// The step from which the lr stays the same to the end, where that is one of the `early` first steps and not step 0.
fn settles(lr: &impl Fn(u64) -> f64, total: u64, early: u64) -> Option<u64> {
    let last = lr(total.saturating_sub(1)) as f32;
    let same = |t: u64| lr(t) as f32 == last;
    let stride = (total - early).div_ceil(COUNTED).max(1);
    if early == 0 || !(early..total).step_by(usize::try_from(stride).unwrap_or(usize::MAX)).all(same) {
        return None;
    }
    (0..early).rev().take(COUNTED as usize).find(|t| !same(*t)).map(|t| t + 1)
}

/// How often the lr turns from falling to rising within the first steps.
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
