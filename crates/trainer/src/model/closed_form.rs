//! Tasks with a closed form: their examples are generated anew for each step, and the expected loss of any weights is known. So is
//! the expected loss of any open-loop schedule, before training (see `expected`).

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use crate::data::Batch;

/// A task with a closed form. Its expected loss is ½ Σ scaleᵢ (wᵢ - targetᵢ)² plus the minimum.
pub(crate) trait ClosedForm: Debug + Send + Sync {
    /// The location of the minimum, and the curvature around it.
    fn bowl(&self) -> &Bowl;

    /// The minimum of the expected loss of a batch.
    fn minimum(&self) -> f64;

    /// Draws the examples of step `t` for a seed.
    fn draw(&self, seed: u64, t: u64, batch: &mut Batch);

    /// Mean loss of a batch; writes its gradient into `gradient`.
    fn loss_and_gradient(&self, w: &[f32], batch: &Batch, gradient: &mut [f32]) -> f32;

    /// Mean loss of a batch with candle's operations, for devices other than the CPU.
    fn loss(&self, w: &Tensor, batch: &Batch, device: &Device) -> Result<Tensor>;
}

/// The quadratic shape of an expected loss; see [`ClosedForm`].
#[derive(Debug)]
pub(crate) struct Bowl {
    /// For each weight: the curvature, or the variance of its input.
    pub(crate) scales: Vec<f32>,
    /// The square roots of `scales`.
    pub(crate) roots: Vec<f32>,
    /// The weights at the minimum.
    pub(crate) target: Vec<f32>,
}

impl Bowl {
    /// A bowl with the scales i^-exponent.
    pub(crate) fn new(exponent: f64, target: Vec<f32>) -> Self {
        let scales = || powers(target.len(), exponent);
        let (roots, scales) =
            (scales().map(|x| x.sqrt() as f32).collect(), scales().map(|x| x as f32).collect());
        Self { scales, roots, target }
    }
}

/// i^-exponent for i = 1 ... n. The same numbers on every machine.
pub(crate) fn powers(n: usize, exponent: f64) -> impl Iterator<Item = f64> {
    (1..=n).map(move |i| libm::pow(i as f64, -exponent))
}

/// A task with a closed form, as a source of examples.
#[derive(Debug, Clone)]
pub struct Synthetic(pub(crate) Arc<dyn ClosedForm>);

impl Synthetic {
    /// The difference of the expected loss of these weights and its minimum.
    pub(crate) fn excess(&self, w: &[f32]) -> f64 {
        let Bowl { scales, target, .. } = self.0.bowl();
        let distance = w.iter().zip(target).map(|(w, target)| f64::from(*w) - f64::from(*target));
        let sum: f64 =
            distance.zip(scales).map(|(distance, scale)| f64::from(*scale) * distance * distance).sum();
        0.5 * sum
    }

    /// The expected loss of a batch with these weights.
    pub(crate) fn expected(&self, w: &[f32]) -> f64 {
        self.excess(w) + self.0.minimum()
    }
}
