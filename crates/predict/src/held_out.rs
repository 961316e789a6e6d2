//! How well a law holds: each run is predicted from the others.

use crate::fit::{Sample, Setting};
use crate::law::Law;
use crate::parallel;
use crate::run::Run;

/// A run that was predicted from the other runs.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Its name.
    pub name: String,
    /// Its final loss by the law.
    pub predicted: f64,
    /// Its final loss.
    pub observed: f64,
}

impl HeldOut {
    /// Predicted minus observed.
    pub fn error(&self) -> f64 {
        self.predicted - self.observed
    }
}

/// Predicts each run from the others. A run is skipped if no lr of the others falls, or no fit succeeds.
pub(crate) fn held_out(law: Law, runs: &[Run]) -> Vec<HeldOut> {
    let each: Vec<usize> = (0..runs.len()).collect();
    let predicted = parallel::map(&each, |out| {
        let run = runs.get(*out)?;
        let others: Vec<&Run> =
            runs.iter().enumerate().filter(|(i, _)| i != out).map(|(_, run)| run).collect();
        if !others.iter().any(|run| run.lrs.falls()) {
            return None;
        }
        let samples: Vec<Sample<'_>> = others.iter().map(|run| Sample::of(run)).collect();
        let fit = Setting::new(law, &others)?.fit(&samples)?;
        Some(HeldOut { name: run.name.clone(), predicted: fit.last(&run.lrs), observed: run.last })
    });
    predicted.into_iter().flatten().filter(|run| run.predicted.is_finite()).collect()
}

/// The mean absolute error; `None` without a run.
pub(crate) fn mean_error(runs: &[HeldOut]) -> Option<f64> {
    let sum: f64 = runs.iter().map(|run| run.error().abs()).sum();
    (!runs.is_empty()).then(|| sum / runs.len() as f64)
}

/// The root of the mean squared error; 0 without a run.
pub(crate) fn typical_error(runs: &[HeldOut]) -> f64 {
    let sum: f64 = runs.iter().map(|run| run.error() * run.error()).sum();
    (sum / runs.len().max(1) as f64).sqrt()
}
