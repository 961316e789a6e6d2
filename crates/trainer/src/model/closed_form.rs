//! What tasks with a closed form have in common: their examples are always new, and the expected loss of any weights is known, as
//! is that of any open-loop schedule before anything is trained (see `expected`).

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use crate::data::Batch;

/// A task with a closed form. Its expected loss is ½ Σ scaleᵢ (wᵢ - targetᵢ)² above the least there is.
pub(crate) trait ClosedForm: Debug + Send + Sync {
    /// Where the expected loss is least, and how it rises from there.
    fn bowl(&self) -> &Bowl;

    /// The least expected loss of a batch.
    fn least(&self) -> f64;

    /// Draws what step `t` of a seed sees.
    fn draw(&self, seed: u64, t: u64, batch: &mut Batch);

    /// Mean loss of a batch; writes its gradient.
    fn loss_and_gradient(&self, w: &[f32], batch: &Batch, gradient: &mut [f32]) -> f32;

    /// Mean loss of a batch by candle's operations, for other devices than the CPU.
    fn loss(&self, w: &Tensor, batch: &Batch, device: &Device) -> Result<Tensor>;
}

/// See [`ClosedForm`].
#[derive(Debug)]
pub(crate) struct Bowl {
    /// Of each weight: curvature, or variance of its input.
    pub(crate) scales: Vec<f32>,
    /// Their roots.
    pub(crate) roots: Vec<f32>,
    /// Where the expected loss is least.
    pub(crate) target: Vec<f32>,
}

impl Bowl {
    /// With the scales i^-exponent.
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

/// A task with a closed form, as the source of a run's examples.
#[derive(Debug, Clone)]
pub struct Synthetic(pub(crate) Arc<dyn ClosedForm>);

impl Synthetic {
    /// By how much the expected loss of these weights is above the least there is.
    pub(crate) fn excess(&self, w: &[f32]) -> f64 {
        let Bowl { scales, target, .. } = self.0.bowl();
        let apart = w.iter().zip(target).map(|(w, target)| f64::from(*w) - f64::from(*target));
        let sum: f64 = apart.zip(scales).map(|(apart, scale)| f64::from(*scale) * apart * apart).sum();
        0.5 * sum
    }

    /// The expected loss of a batch.
    pub(crate) fn expected(&self, w: &[f32]) -> f64 {
        self.excess(w) + self.0.least()
    }
}
