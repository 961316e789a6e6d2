//! Linear regression on fresh examples: x is normal with variances λᵢ = i^-capacity, y = x·w* + √noise ε with w*ᵢ² = i^-source. The
//! loss is half the squared error, and initial weights are 0. The validation loss is the excess over the minimum:
//! ½ Σ λᵢ (wᵢ - w*ᵢ)².

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use schedule::catalogue::AT_LEAST_0;
use serde::Deserialize;
use spec::catalogue::{Kind, ModelKind, Param, ParamType, Reads, fits_all, no_check};

use super::closed_form::{Bowl, ClosedForm, Synthetic, powers};
use super::{Architecture, Entry, Shape, Sizes, build};
use crate::data::Batch;
use crate::expected::{Gradient, Problem};
use crate::random::Stream;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "power-law-regression",
            doc: "least squares on fresh examples: x normal with variances λᵢ = i^-capacity, y = x·w* plus noise, w*ᵢ² = i^-source, initial weights 0",
            example: "{kind: power-law-regression, dimensions: 20}",
            params: &[
                Param::new("dimensions", ParamType::Count(1_000_000), "100", "number of weights"),
                Param::new(
                    "capacity",
                    ParamType::Number(AT_LEAST_0),
                    "1.25",
                    "decay of the input variances: i^-capacity",
                ),
                Param::new(
                    "source",
                    ParamType::Number(AT_LEAST_0),
                    "0.5",
                    "decay of the squared true weights: i^-source",
                ),
                Param::new("noise", ParamType::Number(AT_LEAST_0), "0.49", "variance of the noise in y"),
                Param::new("batch_size", ParamType::Count(65_536), "4", "examples per step"),
            ],
            check: no_check,
        },
        reads: Reads::Nothing,
        loss: "excess of the expected loss over its minimum",
        accuracy: false,
        fits: fits_all,
    },
    build: build::<Regression>,
};

#[derive(Debug, Deserialize)]
struct Regression {
    dimensions: usize,
    capacity: f64,
    source: f64,
    noise: f64,
    batch_size: usize,
}

impl Architecture for Regression {
    fn shapes(&self, _: Sizes) -> Vec<Shape> {
        vec![Shape::new("weight", &[self.dimensions], Init::Const(0.0))]
    }

    fn closed_form(&self) -> Option<Synthetic> {
        let target = powers(self.dimensions, self.source).map(|x| x.sqrt() as f32).collect();
        Some(Synthetic(Arc::new(Fresh {
            bowl: Bowl::new(self.capacity, target),
            rows: self.batch_size,
            noise: self.noise as f32,
        })))
    }

    fn expected(&self) -> Option<Problem> {
        let scales = powers(self.dimensions, self.capacity).collect();
        let gradient = Gradient::Sampled(self.batch_size as f64, self.noise);
        Some(Problem::new(scales, powers(self.dimensions, self.source), gradient))
    }

    fn numbers_in_batch(&self, _: Sizes) -> usize {
        self.dimensions + 1
    }

    fn numbers_in_graph(&self, _: Sizes) -> usize {
        self.dimensions
    }
}

#[derive(Debug)]
struct Fresh {
    bowl: Bowl,
    /// Examples per step.
    rows: usize,
    /// Variance of the noise in y.
    noise: f32,
}

impl ClosedForm for Fresh {
    fn bowl(&self) -> &Bowl {
        &self.bowl
    }

    fn minimum(&self) -> f64 {
        0.5 * f64::from(self.noise)
    }

    /// Draws inputs (into `pixels`) and errors (into `noise`).
    fn draw(&self, seed: u64, t: u64, batch: &mut Batch) {
        batch.clear(0, 0.0);
        let mut stream = Stream::new(seed, "examples", &format!("step {t}"));
        let roots = &self.bowl.roots;
        batch.pixels.resize(self.rows * roots.len(), 0.0);
        stream.normals(&mut batch.pixels);
        for row in batch.pixels.chunks_exact_mut(roots.len().max(1)) {
            row.iter_mut().zip(roots).for_each(|(x, root)| *x *= root);
        }
        batch.noise.resize(self.rows, 0.0);
        stream.normals(&mut batch.noise);
        let deviation = self.noise.sqrt();
        batch.noise.iter_mut().for_each(|x| *x *= deviation);
    }

    fn loss_and_gradient(&self, w: &[f32], batch: &Batch, gradient: &mut [f32]) -> f32 {
        gradient.fill(0.0);
        let (mut sum, share) = (0.0f64, 1.0 / self.rows as f32);
        for (x, error) in batch.pixels.chunks_exact(w.len().max(1)).zip(&batch.noise) {
            let distance = w.iter().zip(&self.bowl.target).map(|(w, target)| w - target);
            let residual = distance.zip(x).fold(-*error, |sum, (distance, x)| distance.mul_add(*x, sum));
            sum += f64::from(residual) * f64::from(residual);
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient = (share * residual).mul_add(*x, *gradient);
            }
        }
        (0.5 * sum * f64::from(share)) as f32
    }

    fn loss(&self, w: &Tensor, batch: &Batch, device: &Device) -> Result<Tensor> {
        let tensor = |numbers: &[f32]| Tensor::new(numbers, device)?.to_dtype(w.dtype());
        let distance = (w - tensor(&self.bowl.target)?)?.unsqueeze(1)?;
        let inputs = tensor(&batch.pixels)?.reshape((self.rows, ()))?;
        let predicted = inputs.matmul(&distance)?.squeeze(1)?;
        (predicted - tensor(&batch.noise)?)?.sqr()?.mean_all()? * 0.5
    }
}
