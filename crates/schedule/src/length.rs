//! Lengths in a schedule: ticks, percent of the segment, epochs or steps.

use crate::fields::Field;
use crate::formula::{Term, TermPosition};
use crate::lint::NO_STEPS;
use crate::problem::Problem;
use crate::segment::Position;
use crate::tree::{Place, Value};

/// A length and its place in the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Length {
    amount: Amount,
    place: Place,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    /// Ticks of the segment's clock: steps by default, epochs with `clock: epoch`.
    Ticks(f64),
    /// Percent of the segment, rounded half up to whole ticks.
    Percent(f64),
    Epochs(f64),
    Steps(f64),
}

const FORM: &str = "a length, as in 100 (steps), \"10%\", \"2 epochs\", \"500 steps\"";

/// Reads a length of at least `least` ticks. Checks that depend on the run are made later.
///
/// # Errors
/// The value is not a length, or it is too short for every run.
pub(crate) fn length_of(least: u64) -> impl Fn(&Field<'_>) -> Result<Length, Problem> {
    move |field| match length(field) {
        Err(_) if is_negative(field) => {
            Err(field.problem(format!("expected a length of at least {least}, found {}", field.tree)))
        }
        Ok(Length { amount: Amount::Ticks(ticks), .. }) if ticks < least as f64 => {
            Err(field.problem(format!("expected a length of at least {least}, found {ticks}")))
        }
        length => length,
    }
}

fn is_negative(field: &Field<'_>) -> bool {
    match field.tree.value {
        Value::Int(ticks) => ticks < 0,
        Value::Float(ticks) => ticks < 0.0,
        _ => false,
    }
}

/// Reads a length.
///
/// # Errors
/// The value is not a length, or it is negative.
pub fn length(field: &Field<'_>) -> Result<Length, Problem> {
    let amount = match &field.tree.value {
        Value::Int(ticks) if *ticks >= 0 => Amount::Ticks(*ticks as f64),
        // Some programs write whole numbers as 20.0.
        Value::Float(ticks) if *ticks >= 0.0 && ticks.fract() == 0.0 && *ticks <= 1e15 => {
            Amount::Ticks(*ticks)
        }
        _ if is_negative(field) => {
            return Err(field.problem(format!("expected a length of at least 0, found {}", field.tree)));
        }
        Value::Text(text) => amount(text).ok_or_else(|| field.expected(FORM))?,
        Value::Float(share) if *share < 1.0 => {
            let percent = (share * 1e11).round() / 1e9;
            return Err(field.expected(FORM).with_hint(format!("write a fraction as \"{percent}%\"")));
        }
        Value::Float(ticks) => {
            let whole = ticks.round();
            let hint = format!("write {whole}, or \"{ticks} epochs\" if epochs are meant");
            return Err(field.expected(FORM).with_hint(hint));
        }
        _ => return Err(field.expected(FORM)),
    };
    Ok(Length { amount, place: field.tree.place, path: field.path.clone() })
}

fn amount(text: &str) -> Option<Amount> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !matches!(c, '0'..='9' | '.'))?);
    let number = number.parse::<f64>().ok().filter(|x| x.is_finite() && *x <= 1e15)?;
    match unit.trim() {
        "%" if number <= 100.0 => Some(Amount::Percent(number)),
        "epoch" | "epochs" => Some(Amount::Epochs(number)),
        "step" | "steps" if number.fract() == 0.0 => Some(Amount::Steps(number)),
        _ => None,
    }
}

impl Length {
    /// The length in whole steps, for a length outside a schedule in a run of `total` steps.
    ///
    /// # Errors
    /// It rounds to 0 steps, or it is in epochs of unknown length.
    pub fn steps(&self, total: u64, steps_per_epoch: Option<u64>) -> Result<u64, Problem> {
        let at = Position::run(total, 1.0, steps_per_epoch);
        self.check_epochs(&at)?;
        match self.ticks(&at) {
            steps if steps >= 1.0 => Ok(steps as u64),
            _ => Err(self.problem(format!("{} of {total} steps rounds to 0 steps", self.written()))),
        }
    }

    /// The length in ticks of its segment.
    pub(crate) fn ticks(&self, at: &Position) -> f64 {
        match self.amount {
            Amount::Ticks(ticks) => ticks,
            Amount::Percent(percent) => at.round(percent * at.len / 100.0),
            Amount::Epochs(epochs) => at.round(epochs * at.epoch.unwrap_or(1.0) / at.tick),
            Amount::Steps(steps) => steps / at.tick,
        }
    }

    /// The length in ticks, as a term.
    pub(crate) fn formula(&self, at: &TermPosition) -> Term {
        match self.amount {
            Amount::Ticks(ticks) => ticks.into(),
            Amount::Percent(percent) => at.round(Term::from(percent) * at.len.clone() / 100.0),
            Amount::Epochs(epochs) => at.round((epochs * at.epoch.unwrap_or(1.0) / at.tick).into()),
            Amount::Steps(steps) => (steps / at.tick).into(),
        }
    }

    /// The length in ticks, checked against the run: the length of an epoch must be known if it is in epochs,
    /// and it must be at least `least` ticks (steps, if ticks can be split).
    pub(crate) fn check(&self, at: &Position, least: f64, problems: &mut Vec<Problem>) -> Option<f64> {
        if let Err(problem) = self.check_epochs(at) {
            problems.push(problem);
            return None;
        }
        let ticks = self.ticks(at);
        // If ticks can be split, the minimum is in steps.
        let shortest = if at.whole { least } else { least / at.tick };
        if ticks < shortest {
            let message = format!("{} is too short: it is {ticks} of {} here", self.written(), at.len);
            problems.push(self.problem(message));
            return None;
        }
        Some(ticks)
    }

    /// Warns of a percentage or a number of epochs above 0 that rounds to 0 ticks.
    pub(crate) fn warn_if_lost(&self, at: &Position, warnings: &mut Vec<Problem>) {
        let (Amount::Percent(amount) | Amount::Epochs(amount)) = self.amount else { return };
        if amount > 0.0 && self.ticks(at) == 0.0 {
            let what = if at.tick == 1.0 { "steps" } else { "epochs" };
            let message = format!("{} of {} {what} rounds to 0", self.written(), at.len);
            let problem = self.problem(message).with_lint(NO_STEPS);
            let least = if at.tick == 1.0 { "1" } else { "\"1 steps\"" };
            warnings.push(problem.with_hint(format!("write {least} for one step, or a larger value")));
        }
    }

    /// Checks that the length of an epoch is known if this length is in epochs.
    fn check_epochs(&self, at: &Position) -> Result<(), Problem> {
        if !matches!(self.amount, Amount::Epochs(_)) || at.epoch.is_some() {
            return Ok(());
        }
        let problem = self.problem("this length is in epochs, but the length of an epoch is unknown");
        Err(problem.with_hint("pass --steps-per-epoch, or write the length in steps or percent"))
    }

    /// Whether it is a percentage of the segment.
    pub(crate) fn is_percent(&self) -> bool {
        matches!(self.amount, Amount::Percent(_))
    }

    /// A problem with this length.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.place, self.path.clone(), message)
    }

    /// The length as a user would write it.
    pub(crate) fn written(&self) -> String {
        match self.amount {
            Amount::Ticks(ticks) => format!("{ticks}"),
            Amount::Percent(percent) => format!("{percent}%"),
            Amount::Epochs(epochs) => format!("{epochs} epochs"),
            Amount::Steps(steps) => format!("{steps} steps"),
        }
    }
}
