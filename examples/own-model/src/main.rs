//! A model of one's own under `sweep`: a small network tells two spirals apart.

use std::process::ExitCode;

use sweep_kit::candle_core::{Result, Tensor};
use sweep_kit::kernels::{Activation, cross_entropy, evaluate, linear};
use sweep_kit::{Evaluation, Part, Picked, Shape, Task, Tasks, Tensors};

/// What stands beside `kind` in the sweep file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Spirals {
    width: usize,
}

/// Points (points, 2) of two spirals, by turns, and whose they are.
fn points(indices: impl Iterator<Item = usize>) -> (Vec<f32>, Vec<u32>) {
    let point = |i: usize| {
        let (radius, side) = (i as f32 / 1000.0, i % 2);
        let angle = 12.0 * radius + std::f32::consts::PI * side as f32;
        ([radius * angle.cos(), radius * angle.sin()], side as u32)
    };
    let (points, sides): (Vec<[f32; 2]>, _) = indices.map(point).unzip();
    (points.concat(), sides)
}

/// Scores (points, 2) of the two spirals.
fn scores(p: &Tensors, points: Vec<f32>) -> Result<Tensor> {
    let x = Tensor::from_vec(points, ((), 2), &p.device())?;
    let x = linear(&x, p.get("fc1.weight")?, p.get("fc1.bias")?, Activation::Tanh, false)?;
    let x = linear(&x, p.get("fc2.weight")?, p.get("fc2.bias")?, Activation::Tanh, true)?;
    linear(&x, p.get("fc3.weight")?, p.get("fc3.bias")?, Activation::Identity, true)
}

impl Task for Spirals {
    fn version(&self) -> String {
        "1".to_owned()
    }

    fn parameters(&self) -> Vec<Shape> {
        let width = self.width;
        [Shape::layer("fc1", 2, width), Shape::layer("fc2", width, width), Shape::layer("fc3", width, 2)]
            .concat()
    }

    /// Of a thousand points every third one is for validation.
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

    fn loss(&self, parameters: &Tensors, batch: &Picked) -> Result<Tensor> {
        let (points, sides) = points(batch.examples.iter().map(|i| i + i / 2));
        cross_entropy(&scores(parameters, points)?, &Tensor::new(sides, &parameters.device())?)
    }

    fn evaluate(&self, parameters: &Tensors, part: Part) -> Result<Evaluation> {
        let (points, sides) = points((0..self.len(part)).map(|i| 3 * i + 2));
        let (sum, right) = evaluate(&scores(parameters, points)?, &sides)?;
        let n = sides.len() as f64;
        Ok(Evaluation { loss: sum / n, accuracy: Some(right as f64 / n) })
    }
}

fn main() -> ExitCode {
    sweep_kit::main(Tasks::new().with("spirals", |params| serde_json::from_value::<Spirals>(params.clone())))
}
