//! Tasks that a program of the user's own brings along: a model written with candle-nn, its data and its loss. Everything else
//! (schedules, seeds, lanes, shared steps, checkpoints) is as for the models that ship with the tool.

mod probe;
mod tasks;

use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::model::parameters::{Given, described};

pub use self::tasks::Tasks;
pub use crate::data::Part;
pub use crate::evaluate::Evaluation;
use crate::model::Shape;
use crate::nn;
use crate::random::Stream;

/// A model, its data and its loss. What it computes must follow from its arguments alone: a trial is trained again from its
/// seed, and its steps may be shared with others.
pub trait Task: Send + Sync {
    /// The model: layers that hold their parameters.
    type Model;

    /// A version, as in "1". Change it when the same sweep file no longer means the same training (the model, the data, the
    /// loss): it is a part of a trial's id.
    fn version(&self) -> String;

    /// Builds the model. It is built anew for each step, so it asks for the same parameters each time. All of them are trained:
    /// their initial values follow the hints, drawn from the trial's seed and their names. Two requests for one name get the
    /// same tensor. Data must be on `vb.device()`.
    ///
    /// # Errors
    /// Any error fails the trial.
    fn model(&self, vb: VarBuilder<'static>) -> Result<Self::Model>;

    /// Examples of a part. Training and validation have at least one; the test may have none.
    fn len(&self, part: Part) -> usize;

    /// Examples of a step, from 1 to those of the training part. Each epoch goes through these in an order of its own; a last
    /// batch that would be short is dropped.
    fn batch_size(&self) -> usize;

    /// Mean loss of a batch: a scalar of type f32 from which candle reaches each parameter. Where the first one is above 0, a run
    /// whose loss exceeds `diverge_above` times it has diverged.
    ///
    /// # Errors
    /// Any error fails the trial and is reported as its reason.
    fn loss(&self, model: &Self::Model, batch: &Picked) -> Result<Tensor>;

    /// Mean loss on a part, and the share of its examples that are classified correctly, where the model classifies.
    ///
    /// # Errors
    /// Any error fails the trial and is reported as its reason.
    fn evaluate(&self, model: &Self::Model, part: Part) -> Result<Evaluation>;
}

/// A task whose type of model is not known.
trait AnyTask: Send + Sync {
    fn version(&self) -> String;
    fn len(&self, part: Part) -> usize;
    fn batch_size(&self) -> usize;
    /// Builds the model and drops it.
    fn ask(&self, vb: VarBuilder<'static>) -> Result<()>;
    fn loss(&self, vb: VarBuilder<'static>, batch: &Picked) -> Result<Tensor>;
    fn evaluate(&self, vb: VarBuilder<'static>, part: Part) -> Result<Evaluation>;
}

impl<T: Task> AnyTask for T {
    fn version(&self) -> String {
        Task::version(self)
    }

    fn len(&self, part: Part) -> usize {
        Task::len(self, part)
    }

    fn batch_size(&self) -> usize {
        Task::batch_size(self)
    }

    fn ask(&self, vb: VarBuilder<'static>) -> Result<()> {
        self.model(vb).map(drop)
    }

    fn loss(&self, vb: VarBuilder<'static>, batch: &Picked) -> Result<Tensor> {
        Task::loss(self, &self.model(vb)?, batch)
    }

    fn evaluate(&self, vb: VarBuilder<'static>, part: Part) -> Result<Evaluation> {
        Task::evaluate(self, &self.model(vb)?, part)
    }
}

/// Which examples make up a batch.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// Indices into the training part.
    pub examples: Vec<usize>,
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

impl Picked {
    /// Numbers that are drawn evenly from 0 up to 1, the same whenever this step of this seed is trained: for noise of the
    /// model's own. `name` separates one draw from another.
    ///
    /// # Errors
    /// The device fails.
    pub fn uniform(&self, name: &str, dims: &[usize], device: &Device) -> Result<Tensor> {
        let mut stream = Stream::new(self.seed, name, &format!("step {}", self.step));
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| 0.5 + stream.uniform(0.5)).collect();
        Tensor::from_vec(numbers, dims, device)
    }
}

/// A task and the parameters of its model.
#[derive(Clone)]
pub struct OwnTask {
    task: Arc<dyn AnyTask>,
    shapes: Arc<Vec<Shape>>,
}

impl OwnTask {
    /// Builds the model once to learn its parameters.
    fn new(task: Arc<dyn AnyTask>) -> Result<Self> {
        let shapes = described(|vb| task.ask(vb))?;
        Ok(Self { task, shapes: Arc::new(shapes) })
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.shapes.to_vec()
    }

    pub(crate) fn len(&self, part: Part) -> usize {
        self.task.len(part)
    }

    /// Mean loss of a batch, with these values of the parameters.
    pub(crate) fn loss(&self, parameters: &[Tensor], batch: &Picked) -> Result<Tensor> {
        nn::with_step(batch, || self.task.loss(self.with(parameters), batch))
    }

    pub(crate) fn evaluate(&self, parameters: &[Tensor], part: Part) -> Result<Evaluation> {
        self.task.evaluate(self.with(parameters), part)
    }

    /// Hands out these values of the parameters.
    fn with(&self, parameters: &[Tensor]) -> VarBuilder<'static> {
        let device = parameters.first().map_or(Device::Cpu, |first| first.device().clone());
        VarBuilder::from_backend(Box::new(Given::new(&self.shapes, parameters)), DType::F32, device)
    }
}

impl fmt::Debug for OwnTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnTask").field(&self.shapes).finish()
    }
}

/// Checks that a loss is what the engine takes.
pub(crate) fn scalar(loss: &Tensor) -> Result<f32> {
    if loss.rank() != 0 || loss.dtype() != DType::F32 {
        candle_core::bail!(
            "a loss must be a scalar of f32, and this one has shape {:?} and type {:?}",
            loss.dims(),
            loss.dtype()
        );
    }
    loss.to_scalar()
}

#[cfg(test)]
mod tests;
