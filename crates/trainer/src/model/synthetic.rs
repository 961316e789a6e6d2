//! Tasks with a closed form: the noisy quadratic and power-law linear regression. Their examples are always new, their expected
//! loss is known of any weights, and of any open-loop schedule before anything is trained (see `expected`).

use candle_core::{Device, Result, Tensor};
use spec::trial::Model as Kind;

use crate::data::Batch;
use crate::random::Stream;

/// What is drawn, and what it makes of weights.
#[derive(Debug, Clone)]
pub struct Synthetic {
    kind: Which,
    /// Of each weight: curvature, or variance of its input.
    scales: Vec<f32>,
    /// Their roots.
    roots: Vec<f32>,
    /// Of the quadratic: deviation of a batch's minimum, in units in which every curvature is 1.
    spread: f32,
    /// Where the expected loss is least.
    target: Vec<f32>,
    /// Examples of a step; of the quadratic 1, whose noise is the batch's.
    rows: usize,
    /// Variance of what no weights explain.
    noise: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Quadratic,
    Regression,
}

/// i^-exponent for i = 1 ... n. The same numbers on every machine.
pub(crate) fn powers(n: usize, exponent: f64) -> impl Iterator<Item = f64> {
    (1..=n).map(move |i| libm::pow(i as f64, -exponent))
}

impl Synthetic {
    /// Of a model that is one.
    pub fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::PowerLawRegression(task) => {
                let scales = || powers(task.dimensions, task.capacity);
                Some(Self {
                    kind: Which::Regression,
                    scales: scales().map(|x| x as f32).collect(),
                    roots: scales().map(|x| x.sqrt() as f32).collect(),
                    spread: 0.0,
                    target: powers(task.dimensions, task.source).map(|x| x.sqrt() as f32).collect(),
                    rows: task.batch_size,
                    noise: task.noise as f32,
                })
            }
            Kind::Quadratic(task) => {
                let scales = || powers(task.dimensions, task.exponent);
                Some(Self {
                    kind: Which::Quadratic,
                    scales: scales().map(|x| x as f32).collect(),
                    roots: scales().map(|x| x.sqrt() as f32).collect(),
                    spread: (task.noise / task.batch_size as f64).sqrt() as f32,
                    target: vec![0.0; task.dimensions],
                    rows: 1,
                    noise: 0.0,
                })
            }
            _ => None,
        }
    }

    /// Draws what step `t` of a seed sees: minima of the quadratic, times the root of its curvature, or inputs (`pixels`) and
    /// errors (`noise`).
    pub(crate) fn draw(&self, seed: u64, t: u64, batch: &mut Batch) {
        batch.clear(0, 0.0);
        let mut stream = Stream::new(seed, "examples", &format!("step {t}"));
        batch.pixels.resize(self.rows * self.scales.len(), 0.0);
        stream.normals(&mut batch.pixels);
        for row in batch.pixels.chunks_exact_mut(self.roots.len().max(1)) {
            for (x, root) in row.iter_mut().zip(&self.roots) {
                *x *= if self.kind == Which::Regression { *root } else { self.spread };
            }
        }
        batch.noise.resize(if self.kind == Which::Regression { self.rows } else { 0 }, 0.0);
        stream.normals(&mut batch.noise);
        let deviation = self.noise.sqrt();
        batch.noise.iter_mut().for_each(|x| *x *= deviation);
    }

    /// Mean loss of a batch; writes its gradient.
    pub(crate) fn loss_and_gradient(&self, w: &[f32], batch: &Batch, gradient: &mut [f32]) -> f32 {
        match self.kind {
            Which::Quadratic => {
                let mut sum = 0.0f64;
                let all = w.iter().zip(&batch.pixels).zip(&self.roots).zip(gradient);
                for (((w, minimum), root), gradient) in all {
                    let apart = root.mul_add(*w, -*minimum);
                    *gradient = root * apart;
                    sum += f64::from(apart * apart);
                }
                (0.5 * sum) as f32
            }
            Which::Regression => {
                gradient.fill(0.0);
                let (mut sum, share) = (0.0f64, 1.0 / self.rows as f32);
                for (x, error) in batch.pixels.chunks_exact(w.len().max(1)).zip(&batch.noise) {
                    let apart = w.iter().zip(&self.target).map(|(w, target)| w - target);
                    let residual = apart.zip(x).fold(-*error, |sum, (apart, x)| apart.mul_add(*x, sum));
                    sum += f64::from(residual) * f64::from(residual);
                    for (gradient, x) in gradient.iter_mut().zip(x) {
                        *gradient = (share * residual).mul_add(*x, *gradient);
                    }
                }
                (0.5 * sum * f64::from(share)) as f32
            }
        }
    }

    /// By how much the expected loss of these weights is above the least there is.
    pub(crate) fn excess(&self, w: &[f32]) -> f64 {
        let apart = w.iter().zip(&self.target).map(|(w, target)| f64::from(*w) - f64::from(*target));
        let sum: f64 = apart.zip(&self.scales).map(|(apart, scale)| f64::from(*scale) * apart * apart).sum();
        0.5 * sum
    }

    /// The expected loss of a batch.
    pub(crate) fn expected(&self, w: &[f32]) -> f64 {
        let least = match self.kind {
            Which::Quadratic => self.scales.len() as f64 * f64::from(self.spread).powi(2),
            Which::Regression => f64::from(self.noise),
        };
        self.excess(w) + 0.5 * least
    }
}

/// The mean loss of a batch by candle's operations, for other devices than the CPU.
pub(crate) fn loss(kind: &Kind, parameters: &[Tensor], batch: &Batch, device: &Device) -> Result<Tensor> {
    let Some(w) = parameters.first() else { candle_core::bail!("no weights") };
    let Some(task) = Synthetic::of(kind) else { candle_core::bail!("this is no task with a closed form") };
    let d = task.scales.len();
    let tensor =
        |numbers: &[f32], dims: &[usize]| Tensor::from_slice(numbers, dims, device)?.to_dtype(w.dtype());
    match task.kind {
        Which::Quadratic => {
            let apart = ((w * tensor(&task.roots, &[d])?)? - tensor(&batch.pixels, &[d])?)?;
            apart.sqr()?.sum_all()? * 0.5
        }
        Which::Regression => {
            let apart = (w - tensor(&task.target, &[d])?)?.unsqueeze(1)?;
            let seen = tensor(&batch.pixels, &[task.rows, d])?.matmul(&apart)?.squeeze(1)?;
            (seen - tensor(&batch.noise, &[task.rows])?)?.sqr()?.mean_all()? * 0.5
        }
    }
}
