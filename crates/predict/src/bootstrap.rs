//! How much the fit depends on its runs and on their noise: it is repeated on runs drawn with replacement, with residuals drawn in blocks.

use stats::random::SplitMix;

use crate::fit::{Fit, Sample, Setting};
use crate::parallel;
use crate::run::Run;

/// Number of repetitions: their standard deviation is known to about 10 %.
const REPETITIONS: u64 = 50;
/// The most steps of a fit, which starts near its end.
const ITERATIONS: usize = 20;
/// Windows in a block: residuals of neighbours are alike.
const BLOCK: usize = 6;
/// Draws of runs until one of them can be fitted.
const TRIES: usize = 100;

/// Fits of resampled runs, each from the parameters of the fit.
pub(crate) fn resampled(setting: &Setting, fit: &Fit, runs: &[Run]) -> Vec<Fit> {
    let seeds: Vec<u64> = (0..REPETITIONS).collect();
    let fits = parallel::map(&seeds, |seed| {
        let mut random = SplitMix::new(*seed);
        let drawn = drawn(runs, &mut random);
        let samples: Vec<Sample<'_>> = drawn
            .into_iter()
            .map(|(run, count)| {
                let losses = noisy(fit, run, &mut random);
                Sample { run, losses, weight: (count as f64).sqrt() }
            })
            .collect();
        setting.fit_from(&samples, &fit.parameters, ITERATIONS)
    });
    fits.into_iter().flatten().collect()
}

/// Runs drawn with replacement, each once with its count. The lr of at least one falls, and at least two differ if there are more than
/// two.
fn drawn<'a>(runs: &'a [Run], random: &mut SplitMix) -> Vec<(&'a Run, usize)> {
    let fewest = if runs.len() > 2 { 2 } else { 1 };
    for _ in 0..TRIES {
        let mut counts = vec![0_usize; runs.len()];
        for _ in runs {
            if let Some(count) = counts.get_mut(random.below(runs.len())) {
                *count += 1;
            }
        }
        let drawn: Vec<_> = runs.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        if drawn.len() >= fewest && drawn.iter().any(|(run, _)| run.lrs.falls()) {
            return drawn;
        }
    }
    runs.iter().map(|run| (run, 1)).collect()
}

/// The fitted curve of a run plus blocks of its residuals, relative to the loss.
fn noisy(fit: &Fit, run: &Run, random: &mut SplitMix) -> Vec<f64> {
    let fitted: Vec<f64> = run.windows().map(|(point, _)| fit.loss(&run.lrs, point)).collect();
    let residuals: Vec<f64> = fitted.iter().zip(&run.losses).map(|(fitted, loss)| loss - fitted).collect();
    let mut start = 0;
    let noisy = fitted.iter().enumerate().map(|(i, fitted)| {
        if i % BLOCK == 0 {
            start = random.below(residuals.len());
        }
        let drawn = residuals.get((start + i % BLOCK) % residuals.len()).copied().unwrap_or_default();
        fitted + drawn
    });
    noisy.collect()
}
