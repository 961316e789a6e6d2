//! A custom model for `sweep`, written with candle-nn: a small network that classifies the points of two spirals.

use std::process::ExitCode;

use sweep_kit::candle_core::{Module, Result, Tensor};
use sweep_kit::candle_nn::{Linear, VarBuilder, linear, loss::cross_entropy};
use sweep_kit::kernels::evaluate;
use sweep_kit::nn::{LayerNorm, layer_norm};
use sweep_kit::{Evaluation, Part, Picked, Task, Tasks};

struct Model {
    fc1: Linear,
    fc2: Linear,
    norm: LayerNorm,
    fc3: Linear,
}

impl Model {
    fn new(width: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            fc1: linear(2, width, vb.pp("fc1"))?,
            fc2: linear(width, width, vb.pp("fc2"))?,
            norm: layer_norm(width, 1e-5, vb.pp("norm"))?,
            fc3: linear(width, 2, vb.pp("fc3"))?,
        })
    }

    /// Logits (points, 2) of the two spirals.
    fn scores(&self, points: Vec<f32>) -> Result<Tensor> {
        let x = Tensor::from_vec(points, ((), 2), self.fc1.weight().device())?;
        let x = self.fc1.forward(&x)?.tanh()?;
        let x = self.norm.forward(&self.fc2.forward(&x)?)?.tanh()?;
        self.fc3.forward(&x)
    }
}

/// The keys next to `kind` in the sweep file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Spirals {
    width: usize,
}

/// The points (points, 2) with these indices, and the spiral of each (0 or 1). The spirals alternate.
fn points(indices: impl Iterator<Item = usize>) -> (Vec<f32>, Vec<u32>) {
    let point = |i: usize| {
        let (radius, side) = (i as f32 / 1000.0, i % 2);
        let angle = 12.0 * radius + std::f32::consts::PI * side as f32;
        ([radius * angle.cos(), radius * angle.sin()], side as u32)
    };
    let (points, sides): (Vec<[f32; 2]>, _) = indices.map(point).unzip();
    (points.concat(), sides)
}

impl Task for Spirals {
    type Model = Model;

    fn version(&self) -> String {
        "2".to_owned()
    }

    fn model(&self, vb: VarBuilder<'_>) -> Result<Model> {
        Model::new(self.width, vb)
    }

    /// There are 999 points; every third one is for validation.
    fn len(&self, part: Part) -> usize {
        match part {
            Part::Train => 666,
            Part::Valid => 333,
            Part::Test => 0,
        }
    }

    fn batch_size(&self) -> usize {
        32
    }

    fn loss(&self, model: &Model, batch: &Picked) -> Result<Tensor> {
        let (points, sides) = points(batch.examples.iter().map(|i| i + i / 2));
        let scores = model.scores(points)?;
        cross_entropy(&scores, &Tensor::new(sides, scores.device())?)
    }

    fn evaluate(&self, model: &Model, part: Part) -> Result<Evaluation> {
        let (points, sides) = points((0..self.len(part)).map(|i| 3 * i + 2));
        let (sum, correct) = evaluate(&model.scores(points)?, &sides)?;
        let n = sides.len() as f64;
        Ok(Evaluation { loss: sum / n, accuracy: Some(correct as f64 / n) })
    }
}

fn main() -> ExitCode {
    sweep_kit::main(Tasks::new().with("spirals", |params| serde_json::from_value::<Spirals>(params.clone())))
}
