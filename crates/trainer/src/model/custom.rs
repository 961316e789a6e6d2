//! The model of a custom task.

use candle_core::{Result, Tensor};
use candle_nn::Init;
use spec::trial::{CustomParameter, CustomTaskSpec};

use super::{Architecture, Input, Shape, Sizes};
use crate::custom::BuiltTask;

/// The model of a custom task. Without the task only its sizes are known.
#[derive(Debug)]
pub(super) struct CustomModel {
    shapes: Vec<Shape>,
    task: Option<BuiltTask>,
}

impl CustomModel {
    /// The model as the plan describes it, without the task.
    pub(super) fn planned(planned: &CustomTaskSpec) -> Self {
        let shape = |CustomParameter { name, dims, transposed }: &CustomParameter| Shape {
            transposed: *transposed,
            ..Shape::new(name, dims, Init::Const(0.0))
        };
        Self { shapes: planned.parameters.iter().map(shape).collect(), task: None }
    }

    /// The model of a built task.
    pub(super) fn of(task: BuiltTask) -> Self {
        Self { shapes: task.shapes(), task: Some(task) }
    }
}

impl Architecture for CustomModel {
    fn shapes(&self, _: Sizes) -> Vec<Shape> {
        self.shapes.clone()
    }

    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        let Some(task) = &self.task else { candle_core::bail!("this program does not have the custom task") };
        task.loss(input.parameters, &input.batch.picked)
    }

    fn evaluate(&self, _: &Input<'_>) -> Result<(f64, Option<usize>)> {
        candle_core::bail!("custom tasks are evaluated through `Task::evaluate`")
    }
}
