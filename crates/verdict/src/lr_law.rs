//! How the best lr of a schedule changes with the length of its runs: the power law lr = B · T^-β over the budgets of a sweep, its
//! uncertainty, and its value at another length.

use std::collections::BTreeSet;

use stats::random::SplitMix;
use stats::{Trend, trend};

use crate::promote::choosing;
use crate::refine::{Curve, NoMinimum};
use crate::results::{RunResult, budgets, grids};

/// Budgets that a law needs: through two of them every power law fits.
pub const FEWEST_BUDGETS: usize = 3;

/// Seeds that an interval needs: fewer have too few different resamples.
pub const FEWEST_SEEDS: usize = 5;

/// The number of resamples.
const DRAWS: usize = 2000;

/// A distance from the line, in log lr, up to which nothing is called a bend.
const STRAIGHT: f64 = 0.02;

/// A distance that always is one, if there is no interval.
const LARGE: f64 = 0.1;

/// Lower and upper end of a 95 % interval.
pub type Interval = (f64, f64);

/// The law of one schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct LrLaw {
    /// The schedule.
    pub schedule: String,
    /// Number of seeds that have results at every lr and length.
    pub seeds: usize,
    /// Its best lr at each length of its runs, the shortest first.
    pub budgets: Vec<AtBudget>,
    /// Whether the best config has other axes at some lengths, so that lrs of different configs are compared.
    pub mixes_axes: bool,
    /// The law; `None` if fewer than [`FEWEST_BUDGETS`] lengths have an estimate.
    pub fit: Option<Fit>,
}

/// The best lr at one length of the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct AtBudget {
    /// The length in steps.
    pub steps: i64,
    /// The estimate of the best lr.
    pub lr: Result<f64, NoMinimum>,
    /// Its interval; `None` if there are fewer than [`FEWEST_SEEDS`] seeds.
    pub interval: Option<Interval>,
}

/// A fitted law.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// B: the law's lr at a run of one step.
    pub b: f64,
    /// β.
    pub beta: f64,
    /// Interval of β.
    pub beta_interval: Option<Interval>,
    /// The length in steps whose estimate is farthest from the law, and the estimate divided by the law's lr.
    pub farthest: (i64, f64),
    /// Whether the estimates bend away from a power law.
    pub bends: bool,
    /// The law at another length.
    pub at: Option<At>,
}

/// The law at one length of the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    /// The length in steps.
    pub steps: u64,
    /// The lr.
    pub lr: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// The length, divided by that of the longest runs of the law.
    pub beyond: f64,
}

/// The laws of all schedules, by the seeds that choose configs, in the order of the sweep file. `at`: a length in steps at which the laws
/// are evaluated.
///
/// The best lr at a length is where a parabola in log lr through the best lr of the grid and its neighbours is lowest; the law is the line
/// through these points in log lr and log T, by least squares. Intervals are percentiles of 2,000 repetitions of both on seeds that are
/// drawn with replacement, the same ones at all lengths (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13).
pub fn lr_laws(results: &[RunResult], at: Option<u64>) -> Vec<LrLaw> {
    let mut schedules: Vec<&str> = Vec::new();
    for run in results {
        if !schedules.contains(&run.trial.schedule.as_str()) {
            schedules.push(&run.trial.schedule);
        }
    }
    schedules.into_iter().map(|schedule| lr_law(results, schedule, at)).collect()
}

/// A length of the runs and the losses there.
type Length = (i64, Option<Curve>);

fn lr_law(results: &[RunResult], schedule: &str, at: Option<u64>) -> LrLaw {
    let own: Vec<RunResult> = results.iter().filter(|run| run.trial.schedule == schedule).cloned().collect();
    // Draws of the same seeds at all lengths keep what runs of one seed have in common.
    let mut seeds = choosing(&own);
    for (_, curve) in lengths(&own, &seeds) {
        let complete: BTreeSet<i64> =
            curve.map(|curve| curve.seeds).unwrap_or_default().into_iter().collect();
        seeds.retain(|seed| complete.contains(seed));
    }
    let lengths = lengths(&own, &seeds);
    let draws = draws(seeds.len());
    let budgets: Vec<AtBudget> = lengths.iter().map(|length| at_budget(length, &draws)).collect();
    let known: Vec<(i64, &Curve)> = lengths
        .iter()
        .zip(&budgets)
        .filter(|(_, budget)| budget.lr.is_ok())
        .filter_map(|((steps, curve), _)| Some((*steps, curve.as_ref()?)))
        .collect();
    let axes = |curve: &Curve| -> Vec<(String, String)> {
        curve.axes.iter().filter(|(path, _)| !path.starts_with("budget")).cloned().collect()
    };
    let distinct: BTreeSet<Vec<(String, String)>> = known.iter().map(|(_, curve)| axes(curve)).collect();
    LrLaw {
        schedule: schedule.to_owned(),
        seeds: seeds.len(),
        mixes_axes: distinct.len() > 1,
        fit: if known.len() < FEWEST_BUDGETS { None } else { fit(&known, seeds.len(), &draws, at) },
        budgets,
    }
}

fn lengths(results: &[RunResult], seeds: &[i64]) -> Vec<Length> {
    let curve = |steps: i64| grids(results, steps).first().and_then(|grid| Curve::of(grid, seeds));
    budgets(results).into_iter().map(|steps| (steps, curve(steps))).collect()
}

/// How often each seed counts in each resample; empty if there are too few seeds.
fn draws(seeds: usize) -> Vec<Vec<u32>> {
    if seeds < FEWEST_SEEDS {
        return Vec::new();
    }
    let mut random = SplitMix::new(0x1a3);
    let draw = |_| {
        let mut counts = vec![0u32; seeds];
        for _ in 0..seeds {
            if let Some(count) = counts.get_mut(random.below(seeds)) {
                *count += 1;
            }
        }
        counts
    };
    (0..DRAWS).map(draw).collect()
}

fn at_budget((steps, curve): &Length, draws: &[Vec<u32>]) -> AtBudget {
    let Some(curve) = curve else {
        return AtBudget { steps: *steps, lr: Err(NoMinimum::NoResults), interval: None };
    };
    let lr = curve.minimum(&curve.once()).map(|minimum| minimum.lr);
    let drawn = draws.iter().filter_map(|counts| curve.best_log_lr(counts)).map(libm::exp);
    let interval = interval(drawn.collect()).filter(|_| lr.is_ok());
    AtBudget { steps: *steps, lr, interval }
}

/// The law through the best lrs at these lengths.
fn fit(known: &[(i64, &Curve)], seeds: usize, draws: &[Vec<u32>], at: Option<u64>) -> Option<Fit> {
    let points = |counts: &[u32]| -> Option<Vec<(f64, f64)>> {
        known
            .iter()
            .map(|(steps, curve)| Some((libm::log(*steps as f64), curve.best_log_lr(counts)?)))
            .collect()
    };
    let own = points(&vec![1; seeds])?;
    let line = trend(&own)?;
    let drawn: Vec<Trend> = draws.iter().filter_map(|counts| trend(&points(counts)?)).collect();
    let of = |number: &dyn Fn(&Trend) -> f64| interval(drawn.iter().map(number).collect());
    let residual = |(x, y): &(f64, f64)| y - line.at(*x);
    let far =
        known.iter().zip(own.iter().map(residual)).max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))?;
    let ((farthest, _), distance) = far;
    let bends = match of(&|line| line.bend) {
        Some((low, high)) => (low > 0.0 || high < 0.0) && distance.abs() > STRAIGHT,
        None => distance.abs() > LARGE,
    };
    let longest = known.iter().map(|(steps, _)| *steps).max()?;
    let at = at.map(|steps| {
        let x = libm::log(steps as f64);
        At {
            steps,
            lr: libm::exp(line.at(x)),
            interval: of(&|line| libm::exp(line.at(x))),
            beyond: steps as f64 / longest as f64,
        }
    });
    Some(Fit {
        b: libm::exp(line.at(0.0)),
        beta: -line.slope,
        beta_interval: of(&|line| -line.slope),
        farthest: (*farthest, libm::exp(distance)),
        bends,
        at,
    })
}

/// The 2.5th and the 97.5th percentile. `None` without numbers.
fn interval(mut drawn: Vec<f64>) -> Option<Interval> {
    drawn.sort_by(f64::total_cmp);
    let last = drawn.len().checked_sub(1)?;
    let at = |share: f64| drawn.get((share * last as f64).round() as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

#[cfg(test)]
mod tests {
    use stats::Normal;

    use super::*;
    use crate::edges::Edge;
    use crate::ranking::tests::run;
    use crate::results::RunState;

    const LRS: [f64; 7] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];

    /// Runs whose best lr is `best` at each length, times noise of each seed that all lengths share.
    fn results(budgets: &[i64], best: impl Fn(f64) -> f64, seeds: i64, noise: f64) -> Vec<RunResult> {
        let mut all = Vec::new();
        let mut random = Normal::new(7);
        for seed in 0..seeds {
            let shift = noise * random.draw();
            for steps in budgets {
                let own = noise * random.draw();
                for lr in LRS {
                    let distance = (lr / best(*steps as f64)).ln() - shift - own;
                    let mut result = run("a", lr, seed, RunState::Done(1.0 + distance.powi(2)));
                    result.trial.steps = *steps;
                    result.trial.config_id.push_str(&steps.to_string());
                    all.push(result);
                }
            }
        }
        all
    }

    fn power(steps: f64) -> f64 {
        2.0 * steps.powf(-0.5)
    }

    #[test]
    fn a_power_law_is_found_and_extrapolated() {
        let law = lr_laws(&results(&[100, 400, 1600], power, 8, 0.0), Some(6400)).remove(0);
        let fit = law.fit.expect("a law");
        assert!((fit.b - 2.0).abs() < 1e-9 && (fit.beta - 0.5).abs() < 1e-9, "{fit:?}");
        assert!(!fit.bends);
        let at = fit.at.expect("a length");
        assert!((at.lr - 0.025).abs() < 1e-9 && at.beyond == 4.0, "{at:?}");
        assert_eq!((law.seeds, law.mixes_axes), (8, false));
    }

    /// 400 laws of made-up runs with noise, with fixed seeds.
    #[test]
    fn intervals_contain_the_truth_about_as_often_as_they_say() {
        let (mut exponent, mut value) = (0, 0);
        let mut random = Normal::new(11);
        for _ in 0..400 {
            let (mut all, mut shifts) = (results(&[100, 400, 1600], power, 12, 0.0), Vec::new());
            for _ in 0..36 {
                shifts.push(0.2 * random.draw());
            }
            for run in &mut all {
                let at =
                    run.trial.seed as usize * 3 + (run.trial.steps as f64 / 100.0).log(4.0).round() as usize;
                let distance = (run.trial.base_lr / power(run.trial.steps as f64)).ln() - shifts[at];
                run.state = RunState::Done(1.0 + distance.powi(2));
            }
            let fit = lr_laws(&all, Some(6400)).remove(0).fit.expect("a law");
            let contains = |interval: Option<Interval>, truth: f64| {
                interval.is_some_and(|(low, high)| low <= truth && truth <= high)
            };
            exponent += u32::from(contains(fit.beta_interval, 0.5));
            value += u32::from(contains(fit.at.and_then(|at| at.interval), 0.025));
        }
        // Percentile intervals of 12 seeds are a little narrow.
        println!("intervals of 95 % contain beta in {exponent} and the lr in {value} of 400 laws");
        assert!((352..=392).contains(&exponent) && (352..=392).contains(&value), "{exponent} {value}");
    }

    #[test]
    fn a_bend_is_reported() {
        // The exponent falls from 0.75 to 0.25.
        let bent = |steps: f64| 0.1 * (steps / 400.0).powf(-0.5) * ((steps / 400.0).ln().powi(2) / 8.0).exp();
        for (noise, seeds) in [(0.02, 8), (0.0, 2)] {
            let fit = lr_laws(&results(&[100, 400, 1600], bent, seeds, noise), None).remove(0).fit;
            let fit = fit.expect("a law");
            assert!(fit.bends && fit.farthest.0 == 400 && fit.farthest.1 < 0.95, "{fit:?}");
            assert_eq!(fit.beta_interval.is_some(), seeds >= 5);
            let straight = lr_laws(&results(&[100, 400, 1600], power, seeds, noise), None).remove(0).fit;
            assert!(!straight.expect("a law").bends);
        }
    }

    #[test]
    fn fewer_than_three_estimates_have_no_law() {
        let law = lr_laws(&results(&[100, 400], power, 8, 0.0), None).remove(0);
        assert_eq!(law.fit, None);
        // 2 / sqrt(4) is beyond the grid.
        let law = lr_laws(&results(&[4, 100, 400], power, 8, 0.0), None).remove(0);
        assert_eq!((law.budgets[0].lr, law.fit), (Err(NoMinimum::Edge(0.64, Edge::High)), None));
        let law = lr_laws(&results(&[4, 100, 400, 1600], power, 8, 0.0), None).remove(0);
        assert!((law.fit.expect("a law").beta - 0.5).abs() < 1e-9);
    }

    #[test]
    fn seeds_without_all_results_are_left_out() {
        let mut all = results(&[100, 400, 1600], power, 8, 0.0);
        all.retain(|run| run.trial.seed != 3 || run.trial.steps != 1600);
        assert_eq!(lr_laws(&all, None).remove(0).seeds, 7);
    }
}
