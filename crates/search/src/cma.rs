//! CMA-ES, the evolution strategy with covariance matrix adaptation (Hansen 2016, "The CMA Evolution Strategy: A Tutorial",
//! arXiv 1604.00772; the notation is that of its figure 6, without negative weights). It needs only the order of the losses of a
//! generation, so losses may be noisy, and infinite ones are last.

use crate::eigen::{Matrix, eigen, identity};
use crate::random::Normal;

/// The state between two generations.
#[derive(Debug, Clone)]
pub struct Cma {
    mean: Vec<f64>,
    sigma: f64,
    covariance: Matrix,
    /// Eigenvectors of the covariance, as rows, and square roots of its eigenvalues.
    axes: Matrix,
    scales: Vec<f64>,
    path_covariance: Vec<f64>,
    path_sigma: Vec<f64>,
    generations: i32,
    rates: Rates,
}

/// The default parameters of a population (table 1 of the tutorial).
#[derive(Debug, Clone)]
struct Rates {
    weights: Vec<f64>,
    effective: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// Expected length of a normal vector.
    length: f64,
}

impl Rates {
    fn new(dimensions: usize, population: usize) -> Self {
        let n = dimensions as f64;
        let parents = (population / 2).max(1);
        let raw = (1..=parents).map(|i| libm::log((population as f64 + 1.0) / 2.0) - libm::log(i as f64));
        let raw: Vec<f64> = raw.map(|w| w.max(f64::MIN_POSITIVE)).collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|w| w / sum).collect();
        let effective = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
        let c_sigma = (effective + 2.0) / (n + effective + 5.0);
        let more = ((effective - 1.0) / (n + 1.0)).max(0.0).sqrt() - 1.0;
        let c_1 = 2.0 / ((n + 1.3) * (n + 1.3) + effective);
        let c_mu = 2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0) * (n + 2.0) + effective);
        Self {
            effective,
            c_sigma,
            d_sigma: 1.0 + 2.0 * more.max(0.0) + c_sigma,
            c_c: (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n),
            c_1,
            c_mu: c_mu.max(0.0).min(1.0 - c_1),
            length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            weights,
        }
    }
}

impl Cma {
    /// Starts at a point, with this standard deviation in every coordinate. Each generation has `population` points, at least 2.
    pub fn new(mean: Vec<f64>, sigma: f64, population: usize) -> Self {
        let n = mean.len();
        Self {
            rates: Rates::new(n.max(1), population.max(2)),
            sigma,
            covariance: identity(n),
            axes: identity(n),
            scales: vec![1.0; n],
            path_covariance: vec![0.0; n],
            path_sigma: vec![0.0; n],
            generations: 0,
            mean,
        }
    }

    /// The center of its distribution.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The step size.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// A point, from a vector of normal numbers.
    pub(crate) fn sample(&self, normal: &[f64]) -> Vec<f64> {
        let mut point = self.mean.clone();
        for ((axis, scale), z) in self.axes.iter().zip(&self.scales).zip(normal) {
            add(&mut point, self.sigma * scale * z, axis);
        }
        point
    }

    /// A generation of points.
    pub(crate) fn population(&self, size: usize, normal: &mut Normal) -> Vec<Vec<f64>> {
        (0..size).map(|_| self.sample(&normal.vector(self.mean.len()))).collect()
    }

    /// Learns from the points of a generation, the best first.
    pub fn tell(&mut self, ranked: &[Vec<f64>]) {
        let Rates { effective, c_sigma, d_sigma, c_c, c_1, c_mu, length, .. } = self.rates;
        let weights = self.rates.weights.clone();
        let steps: Vec<Vec<f64>> = ranked
            .iter()
            .take(weights.len())
            .map(|x| x.iter().zip(&self.mean).map(|(x, m)| (x - m) / self.sigma).collect())
            .collect();
        let mut step = vec![0.0; self.mean.len()];
        steps.iter().zip(&weights).for_each(|(y, w)| add(&mut step, *w, y));
        add(&mut self.mean, self.sigma, &step);

        self.path_sigma.iter_mut().for_each(|x| *x *= 1.0 - c_sigma);
        let whitened = self.whitened(&step);
        add(&mut self.path_sigma, (c_sigma * (2.0 - c_sigma) * effective).sqrt(), &whitened);
        let norm = self.path_sigma.iter().map(|x| x * x).sum::<f64>().sqrt();
        self.generations += 1;
        let settled = (1.0 - power(1.0 - c_sigma, 2 * self.generations)).sqrt();
        let is_short = norm / settled < (1.4 + 2.0 / (self.mean.len() as f64 + 1.0)) * length;

        self.path_covariance.iter_mut().for_each(|x| *x *= 1.0 - c_c);
        if is_short {
            add(&mut self.path_covariance, (c_c * (2.0 - c_c) * effective).sqrt(), &step);
        }
        let lost = if is_short { 0.0 } else { c_1 * c_c * (2.0 - c_c) };
        for (i, row) in self.covariance.iter_mut().enumerate() {
            row.iter_mut().for_each(|x| *x *= 1.0 - c_1 - c_mu + lost);
            add_outer(row, i, c_1, &self.path_covariance);
            steps.iter().zip(&weights).for_each(|(y, w)| add_outer(row, i, c_mu * w, y));
        }
        self.sigma *= libm::exp((c_sigma / d_sigma * (norm / length - 1.0)).min(1.0));
        let (values, axes) = eigen(&self.covariance);
        self.axes = axes;
        self.scales = values.iter().map(|value| value.max(1e-12).sqrt()).collect();
    }

    /// The vector in coordinates in which the covariance is the identity.
    fn whitened(&self, vector: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; vector.len()];
        for (axis, scale) in self.axes.iter().zip(&self.scales) {
            let along: f64 = axis.iter().zip(vector).map(|(a, x)| a * x).sum();
            add(&mut sum, along / scale, axis);
        }
        sum
    }
}

/// Adds a multiple of a vector.
fn add(to: &mut [f64], factor: f64, vector: &[f64]) {
    to.iter_mut().zip(vector).for_each(|(to, x)| *to += factor * x);
}

/// Adds row `i` of a multiple of a vector's product with itself.
fn add_outer(row: &mut [f64], i: usize, factor: f64, vector: &[f64]) {
    let at = vector.get(i).copied().unwrap_or(0.0);
    add(row, factor * at, vector);
}

/// A whole power, by multiplication: `powi` need not have the same bits on every machine.
fn power(x: f64, n: i32) -> f64 {
    (0..n.min(10_000)).fold(1.0, |product, _| product * x)
}
