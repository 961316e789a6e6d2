//! The losses and other metrics of a run, and how they differ from those of another run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use spec::event::{Event, Outcome};
use store::LossRow;

/// The values that a run reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Losses {
    /// The losses of the batch and of the validation set. NaN where there is none.
    losses: BTreeMap<u64, [f64; 2]>,
    /// The bits of the other metrics, by name and step.
    others: BTreeMap<String, BTreeMap<u64, u64>>,
}

impl Losses {
    /// Adds the values of an event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Steps { rows, evaluated, .. } => {
                for row in rows {
                    self.losses.insert(row.step, [row.train_loss, f64::NAN]);
                }
                for evaluation in evaluated {
                    self.losses.entry(evaluation.step).or_insert([f64::NAN; 2])[1] = evaluation.valid_loss;
                }
            }
            Event::Measured { values, .. } => {
                values
                    .iter()
                    .for_each(|measured| self.measured(&measured.name, measured.step, measured.value));
            }
            _ => {}
        }
    }

    /// Adds a value of another metric. NaN counts as no value.
    pub(crate) fn measured(&mut self, name: &str, step: u64, value: f64) {
        if !value.is_nan() {
            self.others.entry(name.to_owned()).or_default().insert(step, value.to_bits());
        }
    }

    pub(crate) fn of_rows(rows: Vec<LossRow>) -> Self {
        let losses =
            |row: LossRow| (row.step, [row.train_loss, row.valid_loss].map(|x| x.unwrap_or(f64::NAN)));
        Self::of_steps(rows.into_iter().map(losses))
    }

    /// Each step with the loss of its batch and that of the validation set.
    pub(crate) fn of_steps(losses: impl Iterator<Item = (u64, [f64; 2])>) -> Self {
        Self { losses: losses.collect(), ..Self::default() }
    }

    /// How the losses of another run differ, and over the steps from `first` on by how much. `None` if all bits are equal.
    pub(crate) fn difference(&self, other: &Self, first: u64) -> Option<Difference> {
        let none = [f64::NAN; 2];
        let steps: BTreeSet<u64> = self.losses.keys().chain(other.losses.keys()).copied().collect();
        let mut found = Difference { steps: steps.len(), ..Difference::default() };
        let (mut sum, mut count) = (0.0, 0_u32);
        for step in steps {
            let of = |run: &Self| run.losses.get(&step).copied().unwrap_or(none);
            let (a, b) = (of(self), of(other));
            let is_same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            if !a.iter().zip(&b).all(is_same) {
                found.different += 1;
                found.at.get_or_insert(step);
            }
            for (a, b) in a.iter().zip(&b).filter(|_| step >= first) {
                let difference = (a - b).abs();
                if difference.is_finite() {
                    (sum, count) = (sum + difference * difference, count + 1);
                    found.largest = found.largest.max(difference);
                } else if a.is_finite() != b.is_finite() {
                    found.unpaired += 1;
                }
            }
        }
        found.mean = (sum / f64::from(count.max(1))).sqrt();
        (found.different > 0).then_some(found)
    }

    /// The other metrics that differ in any bit from those of another run.
    pub(crate) fn differing_metrics<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let names = self.others.keys().chain(other.others.keys());
        names.filter(|name| self.others.get(*name) != other.others.get(*name)).map(String::as_str).collect()
    }
}

/// How the losses of two runs differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Number of steps of both runs.
    pub steps: usize,
    /// Number of steps with a different loss.
    pub different: usize,
    /// The first of them.
    pub at: Option<u64>,
    /// Root mean square of the differences, over the losses that both runs have after they part from other trials.
    pub mean: f64,
    /// The largest of these differences.
    pub largest: f64,
    /// Number of losses that are finite in only one of the runs.
    pub unpaired: usize,
}

/// The losses of a separate run, or why it failed. `None` if it was stopped.
pub(crate) fn result(losses: Losses, outcome: Option<Outcome>) -> Option<Result<Losses, String>> {
    match outcome? {
        Outcome::Done(_) | Outcome::Diverged { .. } => Some(Ok(losses)),
        Outcome::Failed { reason } | Outcome::GivenUp { reason } => Some(Err(reason)),
        Outcome::Stopped { .. } => None,
    }
}
