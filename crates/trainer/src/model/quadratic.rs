//! The noisy quadratic (Zhang et al. 2019, arXiv 1907.04164): loss ½ Σ hᵢ wᵢ² with curvature hᵢ = i^-exponent, gradients
//! hᵢ wᵢ + √(noise hᵢ / batch size) ξᵢ with standard normal ξ, and standard normal initial weights. The loss of a batch is
//! ½ Σ (√hᵢ wᵢ + √(noise / batch size) ξᵢ)², which has this gradient; the validation loss has no noise.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use schedule::catalogue::AT_LEAST_0;
use serde::Deserialize;
use spec::catalogue::{Kind, ModelKind, Param, ParamType, Reads, fits_all, no_check};

use super::closed_form::{Bowl, ClosedForm, Synthetic, powers};
use super::shape::normal;
use super::{Architecture, Entry, Shape, Sizes, build};
use crate::data::Batch;
use crate::expected::{Gradient, Problem};
use crate::random::Stream;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "quadratic",
            doc: "the noisy quadratic of Zhang et al. (arXiv 1907.04164): loss ½ Σ hᵢ wᵢ² with hᵢ = i^-exponent, gradients with noise of variance noise · hᵢ / batch size, standard normal initial weights",
            example: "{kind: quadratic, dimensions: 20}",
            params: &[
                Param::new("dimensions", ParamType::Count(1_000_000), "100", "number of weights"),
                Param::new(
                    "exponent",
                    ParamType::Number(AT_LEAST_0),
                    "1.25",
                    "decay of the curvature: i^-exponent",
                ),
                Param::new(
                    "noise",
                    ParamType::Number(AT_LEAST_0),
                    "3.0",
                    "variance of the gradient noise, in units of the curvature",
                ),
                Param::new("batch_size", ParamType::Count(1_000_000), "1", "examples per step"),
            ],
            check: no_check,
        },
        reads: Reads::Nothing,
        loss: "excess of the expected loss over its minimum",
        accuracy: false,
        fits: fits_all,
    },
    build: build::<Quadratic>,
};

#[derive(Debug, Deserialize)]
struct Quadratic {
    dimensions: usize,
    exponent: f64,
    noise: f64,
    batch_size: usize,
}

impl Architecture for Quadratic {
    fn shapes(&self, _: Sizes) -> Vec<Shape> {
        vec![Shape::new("weight", &[self.dimensions], normal(1.0))]
    }

    fn closed_form(&self) -> Option<Synthetic> {
        Some(Synthetic(Arc::new(Noisy {
            bowl: Bowl::new(self.exponent, vec![0.0; self.dimensions]),
            spread: (self.noise / self.batch_size as f64).sqrt() as f32,
        })))
    }

    fn expected(&self) -> Option<Problem> {
        let scales = powers(self.dimensions, self.exponent).collect();
        let gradient = Gradient::Fixed(self.noise / self.batch_size as f64);
        Some(Problem::new(scales, std::iter::repeat_n(1.0, self.dimensions), gradient))
    }

    fn numbers_in_batch(&self, _: Sizes) -> usize {
        self.dimensions
    }

    fn numbers_in_graph(&self, _: Sizes) -> usize {
        self.dimensions
    }
}

#[derive(Debug)]
struct Noisy {
    bowl: Bowl,
    /// Standard deviation of a batch's minimum, in units in which every curvature is 1.
    spread: f32,
}

impl ClosedForm for Noisy {
    fn bowl(&self) -> &Bowl {
        &self.bowl
    }

    fn minimum(&self) -> f64 {
        0.5 * (self.bowl.scales.len() as f64 * f64::from(self.spread).powi(2))
    }

    /// Draws the minimum of the batch, times the square roots of the curvatures.
    fn draw(&self, seed: u64, t: u64, batch: &mut Batch) {
        batch.clear(0, 0.0);
        let mut stream = Stream::new(seed, "examples", &format!("step {t}"));
        batch.pixels.resize(self.bowl.scales.len(), 0.0);
        stream.normals(&mut batch.pixels);
        batch.pixels.iter_mut().for_each(|x| *x *= self.spread);
        batch.noise.clear();
    }

    fn loss_and_gradient(&self, w: &[f32], batch: &Batch, gradient: &mut [f32]) -> f32 {
        let mut sum = 0.0f64;
        let all = w.iter().zip(&batch.pixels).zip(&self.bowl.roots).zip(gradient);
        for (((w, minimum), root), gradient) in all {
            let distance = root.mul_add(*w, -*minimum);
            *gradient = root * distance;
            sum += f64::from(distance * distance);
        }
        (0.5 * sum) as f32
    }

    fn loss(&self, w: &Tensor, batch: &Batch, device: &Device) -> Result<Tensor> {
        let tensor = |numbers: &[f32]| Tensor::new(numbers, device)?.to_dtype(w.dtype());
        let distance = ((w * tensor(&self.bowl.roots)?)? - tensor(&batch.pixels)?)?;
        distance.sqr()?.sum_all()? * 0.5
    }
}
