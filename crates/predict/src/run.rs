//! A curve to learn from: the lrs and the losses of a run, smoothed.

use crate::lrs::{Lrs, Point};

/// The kind of the losses, which decides how they are smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Losses {
    /// On a fixed validation set: the last one is the final loss.
    Validation,
    /// On batches: the final loss is the mean over this part of the run, at its end.
    Training {
        /// From 0 to 1.
        last: f64,
    },
}

impl Losses {
    /// Where the final loss of a run of `steps` steps is, in steps.
    pub(crate) fn end(self, steps: f64) -> f64 {
        match self {
            Self::Validation => steps,
            Self::Training { last } => steps * (1.0 - last / 2.0),
        }
    }
}

/// A run, reduced to what a fit needs.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name in messages.
    pub name: String,
    /// Its lrs at the windows and, as the last point, where the final loss is.
    pub(crate) lrs: Lrs,
    /// Mean loss of each window.
    pub(crate) losses: Vec<f64>,
    /// The final loss.
    pub(crate) last: f64,
}

/// The most windows of a run.
const WINDOWS: f64 = 64.0;
/// The fewest windows of a run.
pub(crate) const FEWEST: usize = 6;
/// The beginning of a run, which the laws do not describe.
const BEGINNING: f64 = 0.05;

impl Run {
    /// Smooths a run. `lrs`: one per update. `losses`: the number of updates before each loss, in rising order, and the loss. `None` if
    /// fewer than 6 windows have a loss, or a loss is not finite.
    pub fn new(name: String, lrs: &[f64], losses: &[(f64, f64)], kind: Losses) -> Option<Self> {
        let steps = lrs.len() as f64;
        let begin = (BEGINNING * steps).max(warmup(lrs).min(steps / 2.0));
        let mut windows = windows(losses.iter().filter(|(step, _)| *step > begin), begin, steps);
        let end = match kind {
            Losses::Validation => losses.last().copied(),
            Losses::Training { last } => {
                mean(losses.iter().filter(|(step, _)| *step >= steps * (1.0 - last)))
            }
        };
        let (end, last) = end?;
        let is_finite = windows.iter().all(|(_, loss)| loss.is_finite()) && last.is_finite();
        if windows.len() < FEWEST || !is_finite {
            return None;
        }
        windows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let at: Vec<f64> = windows.iter().map(|(step, _)| *step).collect();
        let reduced = Lrs::ending(lrs.iter().copied(), &at, end);
        Some(Self { name, lrs: reduced, losses: windows.into_iter().map(|(_, loss)| loss).collect(), last })
    }

    /// Its lrs, to be predicted.
    pub fn lrs(&self) -> &Lrs {
        &self.lrs
    }

    /// The final loss.
    pub fn last(&self) -> f64 {
        self.last
    }

    /// The windows: a moment and the mean loss.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (&Point, f64)> {
        self.lrs.points.iter().zip(self.losses.iter().copied())
    }

    /// The relative noise of the windows, from second differences, which a smooth curve hardly has.
    pub(crate) fn noise(&self) -> f64 {
        let logs: Vec<f64> = self.losses.iter().map(|loss| loss.abs().max(f64::MIN_POSITIVE).ln()).collect();
        let mut second: Vec<f64> = logs
            .windows(3)
            .filter_map(|three| match three {
                [a, b, c] => Some((a - 2.0 * b + c).abs()),
                _ => None,
            })
            .collect();
        second.sort_by(f64::total_cmp);
        // The median of |x| of a normal x is 0.6745 σ, and σ² of a second difference is 6 times that of a value.
        second.get(second.len() / 2).map_or(0.0, |median| median / 0.6745 / 6.0_f64.sqrt())
    }
}

/// The number of updates before the lr stops rising for the first time.
fn warmup(lrs: &[f64]) -> f64 {
    let falls = lrs.windows(2).position(|pair| matches!(pair, [a, b] if b < a)).unwrap_or(lrs.len());
    let rises = lrs.windows(2).take(falls).rposition(|pair| matches!(pair, [a, b] if b > a));
    rises.map_or(0.0, |at| (at + 2) as f64)
}

/// The mean step and loss of each window after `begin`.
fn windows<'a>(losses: impl Iterator<Item = &'a (f64, f64)>, begin: f64, steps: f64) -> Vec<(f64, f64)> {
    let mut means = Vec::new();
    let mut open: Vec<(f64, f64)> = Vec::new();
    let index = |step: f64| ((step - begin) / (steps - begin) * WINDOWS).ceil();
    for loss in losses {
        if open.first().is_some_and(|(first, _)| index(*first) != index(loss.0)) {
            means.extend(mean(open.iter()));
            open.clear();
        }
        open.push(*loss);
    }
    means.extend(mean(open.iter()));
    means
}

fn mean<'a>(losses: impl Iterator<Item = &'a (f64, f64)>) -> Option<(f64, f64)> {
    let (mut count, mut step, mut loss) = (0.0, 0.0, 0.0);
    for (at, value) in losses {
        (count, step, loss) = (count + 1.0, step + at, loss + value);
    }
    (count > 0.0).then(|| (step / count, loss / count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_losses_are_means_of_windows_without_the_warmup() {
        let lrs: Vec<f64> = (0..1000).map(|t| (f64::from(t + 1) / 200.0).min(1.0)).collect();
        let losses: Vec<(f64, f64)> =
            (0..1000).map(|t| (f64::from(t), if t % 2 == 0 { 1.0 } else { 3.0 })).collect();
        let run = Run::new("a".to_owned(), &lrs, &losses, Losses::Training { last: 0.04 }).expect("a run");
        assert_eq!(run.losses.len(), 64);
        assert!(run.lrs.points[0].step > 200.0);
        assert_eq!(run.last, 2.0);
        let end = run.lrs.points.last().expect("a point");
        assert_eq!(end.step, 979.5);
    }

    #[test]
    fn the_last_validation_loss_is_the_final_one() {
        let lrs = vec![0.1; 100];
        let losses: Vec<(f64, f64)> = (1..=10).map(|i| (f64::from(i) * 10.0, 1.0 / f64::from(i))).collect();
        let run = Run::new("a".to_owned(), &lrs, &losses, Losses::Validation).expect("a run");
        assert_eq!((run.last, run.losses.len()), (0.1, 10));
        assert!(Run::new("b".to_owned(), &lrs, &losses[5..], Losses::Validation).is_none());
        let bad: Vec<(f64, f64)> = losses.iter().map(|(step, _)| (*step, f64::NAN)).collect();
        assert!(Run::new("c".to_owned(), &lrs, &bad, Losses::Validation).is_none());
    }
}
