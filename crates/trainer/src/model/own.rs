//! The model of a task that a program of the user's own brings along.

use candle_core::{Result, Tensor};
use candle_nn::Init;
use spec::trial::{CustomParameter, CustomTaskSpec};

use super::{Architecture, Input, Shape, Sizes};
use crate::own::OwnTask;

/// A task's model. Where only sizes count the task itself is not at hand.
#[derive(Debug)]
pub(super) struct OwnModel {
    shapes: Vec<Shape>,
    task: Option<OwnTask>,
}

impl OwnModel {
    /// As the plan knows it.
    pub(super) fn planned(own: &CustomTaskSpec) -> Self {
        let shape = |CustomParameter { name, dims, transposed }: &CustomParameter| Shape {
            transposed: *transposed,
            ..Shape::new(name, dims, Init::Const(0.0))
        };
        Self { shapes: own.parameters.iter().map(shape).collect(), task: None }
    }

    /// With the task.
    pub(super) fn of(task: OwnTask) -> Self {
        Self { shapes: task.shapes(), task: Some(task) }
    }
}

impl Architecture for OwnModel {
    fn shapes(&self, _: Sizes) -> Vec<Shape> {
        self.shapes.clone()
    }

    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        let Some(own) = &self.task else { candle_core::bail!("this program does not know the task") };
        own.loss(input.parameters, &input.batch.own)
    }

    fn evaluate(&self, _: &Input<'_>) -> Result<(f64, Option<usize>)> {
        candle_core::bail!("a task of one's own evaluates itself")
    }
}
