//! Loss and accuracy of a model over a whole split.

use candle_core::{Device, Result, Tensor};

use crate::data::{Images, Split};
use crate::kernels::cross_entropy;
use crate::model::{Model, PIXELS};

/// Images that are evaluated at once. Part of what fixes the order in which losses are added.
const CHUNK: usize = 500;

/// What an evaluation gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evaluation {
    /// Mean cross-entropy.
    pub(crate) loss: f64,
    /// Share of images named rightly, 0 to 1.
    pub(crate) accuracy: f64,
}

/// Evaluates a model on every image of a split.
pub(crate) fn evaluate(model: &Model, images: &Images, split: &Split, device: &Device) -> Result<Evaluation> {
    let (mut sum, mut right) = (0.0, 0);
    for first in (0..split.len()).step_by(CHUNK) {
        let (pixels, labels) = images.batch(split, first..(first + CHUNK).min(split.len()));
        let batch = Tensor::from_vec(pixels, (labels.len(), PIXELS), device)?;
        let (loss, rightly) = cross_entropy::evaluate(&model.infer(&batch)?, &labels)?;
        sum += loss;
        right += rightly;
    }
    let n = split.len().max(1) as f64;
    Ok(Evaluation { loss: sum / n, accuracy: right as f64 / n })
}
