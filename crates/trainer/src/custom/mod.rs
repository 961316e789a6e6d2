//! Custom tasks: a model written with candle-nn, its data and its loss, defined by a Rust program that uses this crate. Schedules,
//! seeds, lanes, shared steps and checkpoints work as for the built-in models.

mod probe;
mod tasks;

use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::model::parameters::{Provided, record_parameters};

pub use self::tasks::Tasks;
pub use crate::data::Part;
pub use crate::evaluate::Evaluation;
use crate::model::Shape;
use crate::nn;
use crate::random::Stream;

/// A model, its data and its loss. All methods must be deterministic functions of their arguments: a trial may be trained again from
/// its seed, and trials may share steps.
pub trait Task: Send + Sync {
    /// The model: layers with their parameters.
    type Model;

    /// A version, such as "1". Change it when the same sweep file no longer means the same training, because the model, the data or
    /// the loss changed. It is part of the trial id.
    fn version(&self) -> String;

    /// Builds the model. It is built again for each step, and must request the same parameters each time. All of them are trained.
    /// Their initial values follow the hints of the requests, and are drawn from the trial's seed and the parameter's name. Requests
    /// for the same name return the same tensor. Data must be on `vb.device()`.
    ///
    /// # Errors
    /// Any error fails the trial.
    fn model(&self, vb: VarBuilder<'static>) -> Result<Self::Model>;

    /// Number of examples in a part. Training and validation need at least one; test may have none.
    fn len(&self, part: Part) -> usize;

    /// Number of examples per step, from 1 to the number of training examples. Each epoch visits the training examples in a new
    /// random order; an incomplete last batch is dropped.
    fn batch_size(&self) -> usize;

    /// Mean loss of a batch: an f32 scalar that depends on every parameter. If the first loss of a run is above 0, the run diverges
    /// when a loss exceeds `diverge_above` times the first.
    ///
    /// # Errors
    /// Any error fails the trial and is reported as its reason.
    fn loss(&self, model: &Self::Model, batch: &Picked) -> Result<Tensor>;

    /// Mean loss on a part, and the fraction of correctly classified examples, if the model classifies.
    ///
    /// # Errors
    /// Any error fails the trial and is reported as its reason.
    fn evaluate(&self, model: &Self::Model, part: Part) -> Result<Evaluation>;
}

/// A task without its model type, for trait objects.
trait AnyTask: Send + Sync {
    fn version(&self) -> String;
    fn len(&self, part: Part) -> usize;
    fn batch_size(&self) -> usize;
    /// Builds the model and drops it.
    fn build_model(&self, vb: VarBuilder<'static>) -> Result<()>;
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

    fn build_model(&self, vb: VarBuilder<'static>) -> Result<()> {
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
    /// Random numbers, uniform in [0, 1), for a model that needs noise. They are the same whenever this step of this seed is
    /// trained. Use a different `name` for each draw.
    ///
    /// # Errors
    /// The device fails.
    pub fn uniform(&self, name: &str, dims: &[usize], device: &Device) -> Result<Tensor> {
        let mut stream = Stream::new(self.seed, name, &format!("step {}", self.step));
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| 0.5 + stream.uniform(0.5)).collect();
        Tensor::from_vec(numbers, dims, device)
    }
}

/// A task, and the parameters of its model.
#[derive(Clone)]
pub struct BuiltTask {
    task: Arc<dyn AnyTask>,
    shapes: Arc<Vec<Shape>>,
}

impl BuiltTask {
    /// Builds the model once to record its parameters.
    fn new(task: Arc<dyn AnyTask>) -> Result<Self> {
        let shapes = record_parameters(|vb| task.build_model(vb))?;
        Ok(Self { task, shapes: Arc::new(shapes) })
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.shapes.to_vec()
    }

    pub(crate) fn len(&self, part: Part) -> usize {
        self.task.len(part)
    }

    /// Mean loss of a batch with these parameter values.
    pub(crate) fn loss(&self, parameters: &[Tensor], batch: &Picked) -> Result<Tensor> {
        nn::with_step(batch, || self.task.loss(self.with(parameters), batch))
    }

    pub(crate) fn evaluate(&self, parameters: &[Tensor], part: Part) -> Result<Evaluation> {
        self.task.evaluate(self.with(parameters), part)
    }

    /// A `VarBuilder` that returns these parameter values.
    fn with(&self, parameters: &[Tensor]) -> VarBuilder<'static> {
        let device = parameters.first().map_or(Device::Cpu, |first| first.device().clone());
        VarBuilder::from_backend(Box::new(Provided::new(&self.shapes, parameters)), DType::F32, device)
    }
}

impl fmt::Debug for BuiltTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuiltTask").field(&self.shapes).finish()
    }
}

/// The value of a loss, after checking that it is an f32 scalar.
pub(crate) fn scalar(loss: &Tensor) -> Result<f32> {
    if loss.rank() != 0 || loss.dtype() != DType::F32 {
        candle_core::bail!(
            "expected a scalar loss of type f32, found shape {:?} and type {:?}",
            loss.dims(),
            loss.dtype()
        );
    }
    loss.to_scalar()
}

#[cfg(test)]
mod tests;
