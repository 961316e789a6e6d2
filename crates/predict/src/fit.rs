//! Least squares: the parameters with which a law is closest to the windows of some runs.

use rmpfit::{MPConfig, MPError, MPFitter, MPPar, MPResult, MPSide};

use crate::law::{Bounds, Law, MOST, Units};
use crate::lrs::{Lrs, Point};
use crate::run::Run;

/// A law with parameters.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) law: Law,
    pub(crate) units: Units,
    pub(crate) parameters: Vec<f64>,
    /// Half the sum of the squared residuals.
    cost: f64,
}

impl Fit {
    pub(crate) fn loss(&self, lrs: &Lrs, now: &Point) -> f64 {
        self.law.loss(&self.parameters, &self.units, lrs, now, &mut [])
    }

    /// The final loss of a run with these lrs.
    pub(crate) fn last(&self, lrs: &Lrs) -> f64 {
        lrs.points.last().map_or(f64::NAN, |end| self.loss(lrs, end))
    }
}

/// A run with the losses and the weight that it has in a fit.
#[derive(Debug, Clone)]
pub(crate) struct Sample<'a> {
    pub(crate) run: &'a Run,
    pub(crate) losses: Vec<f64>,
    pub(crate) weight: f64,
}

impl<'a> Sample<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        Self { run, losses: run.losses.clone(), weight: 1.0 }
    }
}

/// The setting that fits of the same runs share.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) law: Law,
    pub(crate) units: Units,
    bounds: Vec<Bounds>,
    /// Larger residuals count linearly, not squared.
    large: f64,
    /// The smallest loss that residuals are divided by.
    least: f64,
}

/// The smallest limit of a large residual, relative to the loss.
const LARGE: f64 = 1e-3;
/// The number of starts that are fitted: those with the smallest residuals.
const STARTS: usize = 3;
/// The most steps of a fit.
const ITERATIONS: usize = 100;

impl Setting {
    /// `None` without a window.
    pub(crate) fn new(law: Law, runs: &[&Run]) -> Option<Self> {
        let largest = |value: fn(&Run) -> f64| runs.iter().map(|run| value(run)).fold(0.0, f64::max);
        let units = Units {
            peak: largest(|run| run.lrs.peak),
            sum: largest(|run| run.lrs.total),
            steps: runs.iter().map(|run| run.lrs.steps as f64).fold(f64::INFINITY, f64::min),
        };
        let losses = || runs.iter().flat_map(|run| run.losses.iter().copied());
        let low = losses().reduce(f64::min)?;
        let high = losses().reduce(f64::max)?;
        let mut noise: Vec<f64> = runs.iter().map(|run| run.noise()).collect();
        noise.sort_by(f64::total_cmp);
        let noise = noise.get(noise.len() / 2).copied().unwrap_or_default();
        let bounds = law.bounds(low, high);
        let least = (high - low).abs().max(1e-12) * 1e-3;
        Some(Self { law, units, bounds, large: LARGE.max(2.0 * noise), least })
    }

    /// Fits from the law's own starts. `None` if no fit succeeds.
    pub(crate) fn fit(&self, samples: &[Sample<'_>]) -> Option<Fit> {
        let starts = self.law.starts().into_iter();
        let mut starts: Vec<(f64, Vec<f64>)> =
            starts.filter_map(|(alpha, own)| self.start(samples, alpha, &own)).collect();
        starts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let fits =
            starts.iter().take(STARTS).filter_map(|(_, start)| self.fit_from(samples, start, ITERATIONS));
        fits.min_by(|a, b| a.cost.total_cmp(&b.cost))
    }

    /// Fits from one start in at most `iterations` steps. `None` if the solver fails.
    pub(crate) fn fit_from(&self, samples: &[Sample<'_>], start: &[f64], iterations: usize) -> Option<Fit> {
        let mut parameters: Vec<f64> =
            start.iter().zip(&self.bounds).map(|(x, (low, high))| x.clamp(*low, *high)).collect();
        let mut problem = Problem::new(self, samples, iterations);
        let status = problem.mpfit(&mut parameters).ok()?;
        let is_finite = parameters.iter().all(|x| x.is_finite());
        let (law, units) = (self.law, self.units);
        is_finite.then_some(Fit { law, units, parameters, cost: status.best_norm / 2.0 })
    }

    /// A start: the best L0, A and B for given other parameters, by linear least squares, and their cost.
    fn start(&self, samples: &[Sample<'_>], alpha: f64, own: &[f64]) -> Option<(f64, Vec<f64>)> {
        let with = |l: f64, a: f64, b: f64| -> Vec<f64> {
            let shared = [l, a, alpha, b];
            let all = shared.iter().chain(own).zip(&self.bounds);
            all.map(|(x, (low, high))| x.clamp(*low, *high)).collect()
        };
        // With A = B = 1 the derivatives by ln A and ln B are the two columns.
        let unit: Vec<f64> = [0.0, 0.0, alpha, 0.0].iter().chain(own).copied().collect();
        let mut matrix = [[0.0; 4]; 3];
        let mut slopes = [0.0; MOST];
        for (sample, point, loss) in windows(samples) {
            let weight = sample.weight * progress(sample, point) / loss.abs().max(self.least);
            self.law.loss(&unit, &self.units, &sample.run.lrs, point, &mut slopes);
            let row = [slopes[0] * weight, slopes[1] * weight, slopes[3] * weight, loss * weight];
            for (line, x) in matrix.iter_mut().zip(row) {
                line.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y);
            }
        }
        let [l, a, b] = solve(matrix)?;
        let log = |x: f64| x.max(f64::MIN_POSITIVE).ln();
        let start = with(l, log(a), log(b));
        let mut deviates = vec![0.0; samples.iter().map(|sample| sample.losses.len()).sum()];
        Problem::new(self, samples, 0).eval(&start, &mut deviates).ok()?;
        let cost: f64 = deviates.iter().map(|x| x * x).sum();
        cost.is_finite().then_some((cost, start))
    }
}

/// The part of a run that is done: the weight of a window. The final loss is what counts, and the laws fit the beginning worst.
fn progress(sample: &Sample<'_>, now: &Point) -> f64 {
    now.step / sample.run.lrs.steps.max(1) as f64
}

/// Every window of some samples.
fn windows<'a>(samples: &'a [Sample<'a>]) -> impl Iterator<Item = (&'a Sample<'a>, &'a Point, f64)> {
    samples.iter().flat_map(|sample| {
        sample.run.lrs.points.iter().zip(&sample.losses).map(move |(point, loss)| (sample, point, *loss))
    })
}

/// Solves three symmetric linear equations, each with its right side last, by elimination. `None` if they depend on each other.
fn solve(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    // A column of zeros, as without any change of the lr, has the solution 0.
    let size = m[0][0] + m[1][1] + m[2][2];
    for (i, line) in m.iter_mut().enumerate() {
        line[i] += 1e-12 * size;
    }
    for i in 0..3 {
        let (pivot, line) = (m[i][i], m[i]);
        if pivot <= 0.0 || !pivot.is_finite() {
            return None;
        }
        for (_, other) in m.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = other[i] / pivot;
            other.iter_mut().zip(line).for_each(|(x, y)| *x -= factor * y);
        }
    }
    let solution = [m[0][3] / m[0][0], m[1][3] / m[1][1], m[2][3] / m[2][2]];
    solution.iter().all(|x| x.is_finite()).then_some(solution)
}

/// The problem in the form of the solver, which keeps the parameters within bounds (MINPACK's Levenberg-Marquardt, with limits as in
/// CMPFIT).
struct Problem<'a> {
    setting: &'a Setting,
    samples: &'a [Sample<'a>],
    config: MPConfig,
    parameters: Vec<MPPar>,
}

impl<'a> Problem<'a> {
    fn new(setting: &'a Setting, samples: &'a [Sample<'a>], max_iter: usize) -> Self {
        let config = MPConfig { ftol: 1e-9, xtol: 1e-9, max_iter, ..MPConfig::new() };
        let limited = |(low, high): &Bounds| MPPar {
            limited_low: true,
            limited_up: true,
            limit_low: *low,
            limit_up: *high,
            side: MPSide::User,
            ..MPPar::new()
        };
        Self { setting, samples, config, parameters: setting.bounds.iter().map(limited).collect() }
    }

    /// Computes the residuals and, for each window, calls `then` with its index, the factor of its derivatives and the derivatives of the
    /// loss.
    fn compute(
        &self,
        p: &[f64],
        deviates: &mut [f64],
        mut then: impl FnMut(usize, f64, &[f64]),
    ) -> MPResult<()> {
        let Setting { law, units, large, least, .. } = self.setting;
        let mut slopes = [0.0; MOST];
        for (i, ((sample, point, loss), deviate)) in windows(self.samples).zip(deviates).enumerate() {
            let scale = loss.abs().max(*least);
            let residual = (law.loss(p, units, &sample.run.lrs, point, &mut slopes) - loss) / scale;
            let (value, slope) = soft(residual, *large);
            let weight = sample.weight * progress(sample, point);
            *deviate = value * weight;
            then(i, slope * weight / scale, &slopes);
        }
        Ok(())
    }
}

/// The root of twice the pseudo-Huber loss with its sign: x for small x, growing as the root of x for large ones. And its slope.
fn soft(x: f64, large: f64) -> (f64, f64) {
    let z = x / large;
    let root = z.hypot(1.0);
    // 2 (root - 1) without cancellation.
    let value = z * (2.0 / (root + 1.0)).sqrt();
    let slope = if value == 0.0 { 1.0 } else { z / (root * value) };
    (value * large, slope)
}

impl MPFitter for Problem<'_> {
    fn eval(&mut self, params: &[f64], deviates: &mut [f64]) -> MPResult<()> {
        self.compute(params, deviates, |_, _, _| {})
    }

    fn jacobian(
        &mut self,
        params: &[f64],
        deviates: &mut [f64],
        derivs: &mut [Option<Vec<f64>>],
    ) -> MPResult<()> {
        self.compute(params, deviates, |i, factor, slopes| {
            for (column, slope) in derivs.iter_mut().zip(slopes) {
                if let Some(to) = column.as_mut().and_then(|column| column.get_mut(i)) {
                    *to = factor * slope;
                }
            }
        })?;
        match deviates.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(MPError::Nan),
        }
    }

    fn number_of_points(&self) -> usize {
        self.samples.iter().map(|sample| sample.losses.len()).sum()
    }

    fn config(&self) -> &MPConfig {
        &self.config
    }

    fn parameters(&self) -> &[MPPar] {
        &self.parameters
    }
}
