//! Models: parameters in a fixed order with seeded initial values, and a loss. Each architecture is one file here and one line in
//! `TABLE`, and implements the trait `Architecture`.

mod char_gpt;
pub(crate) mod closed_form;
mod custom;
pub(crate) mod direct;
mod layer;
mod lenet;
mod mlp;
pub(crate) mod parameters;
mod power_law_regression;
mod quadratic;
mod shape;
mod vae;

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{DType, Device, Error, Result, Tensor, Var};
use serde::de::DeserializeOwned;
use spec::catalogue::ModelKind;
use spec::trial::{Choice, Model as Chosen, Network};

use self::closed_form::Synthetic;
use self::custom::CustomModel;
use self::direct::Layer;
pub(crate) use self::shape::Shape;
use crate::custom::BuiltTask;
use crate::data::{Batch, Form};
use crate::expected::Problem;
use crate::ops::cross_entropy::{self, cross_entropy};
use crate::ops::record::{Source, note_source};

/// The built-in models.
pub(crate) static TABLE: &[&Entry] = &[
    &mlp::ENTRY,
    &lenet::ENTRY,
    &vae::ENTRY,
    &char_gpt::ENTRY,
    &quadratic::ENTRY,
    &power_law_regression::ENTRY,
];

/// A built-in model.
pub(crate) struct Entry {
    /// Name, parameters and documentation for sweep files.
    pub(crate) kind: ModelKind,
    /// Builds the architecture from the values in a sweep file.
    build: fn(&Choice) -> serde_json::Result<Arc<dyn Architecture>>,
}

/// The `build` of an architecture that deserializes from the values.
fn build<T: Architecture + DeserializeOwned + 'static>(
    choice: &Choice,
) -> serde_json::Result<Arc<dyn Architecture>> {
    Ok(Arc::new(choice.typed::<T>()?))
}

/// A model architecture. A classifier implements `logits`, a task with a closed form implements `closed_form`, and any other
/// architecture implements `loss` and `evaluate`.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// Its parameters, in a fixed order.
    fn shapes(&self, sizes: Sizes) -> Vec<Shape>;

    /// Logits of the classes, (examples, classes); for text (characters, alphabet).
    fn logits(&self, _: &Input<'_>) -> Result<Tensor> {
        candle_core::bail!("this model does not classify")
    }

    /// The task, if it has a closed form.
    fn closed_form(&self) -> Option<Synthetic> {
        None
    }

    /// Mean loss of a batch, a scalar, tracked for a backward pass.
    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        match self.closed_form() {
            Some(task) => task.0.loss(input.single_parameter()?, input.batch, input.device),
            None => cross_entropy(&self.logits(input)?, &input.labels()?),
        }
    }

    /// Loss summed over the examples of a batch (for text: over its characters), and the number of correctly classified ones.
    /// Not called for models with a plan.
    fn evaluate(&self, input: &Input<'_>) -> Result<(f64, Option<usize>)> {
        if let Some(task) = self.closed_form() {
            return Ok((task.excess(&cpu_values(input.single_parameter()?)?), None));
        }
        let (sum, correct) = cross_entropy::evaluate(&self.logits(input)?, &input.batch.labels)?;
        Ok((sum, Some(correct)))
    }

    /// Its layers, if it is a chain of layers. Such models are trained on the CPU without a graph.
    fn layers(&self, _: Sizes) -> Option<Vec<Layer>> {
        None
    }

    /// The moments of its weights before the first step, if it has a closed form.
    fn expected(&self) -> Option<Problem> {
        None
    }

    /// Number of examples that are evaluated together. It affects the order in which losses are summed, and so the bits.
    fn chunk(&self) -> usize {
        1
    }

    /// The form of its inputs.
    fn form(&self) -> Form {
        Form::Dense
    }

    /// Random numbers that it needs for each example.
    fn draws(&self) -> usize {
        0
    }

    /// Numbers that a batch holds for one example, for the memory estimate.
    fn numbers_in_batch(&self, sizes: Sizes) -> usize {
        sizes.inputs
    }

    /// Numbers that candle's graph holds for one example, for the memory estimate.
    fn numbers_in_graph(&self, _: Sizes) -> usize {
        0
    }
}

/// The sizes that the data determine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    /// Numbers per example; for text the size of the alphabet.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
}

/// The inputs of a forward pass.
pub(crate) struct Input<'a> {
    pub(crate) sizes: Sizes,
    /// The values of the parameters, in their order.
    pub(crate) parameters: &'a [Tensor],
    pub(crate) batch: &'a Batch,
    pub(crate) device: &'a Device,
}

impl Input<'_> {
    /// The numbers of the examples, (examples, inputs).
    pub(crate) fn rows(&self) -> Result<Tensor> {
        self.tensor(&self.batch.pixels, self.sizes.inputs, Source::Pixels)
    }

    /// The random numbers for the model, (examples, draws).
    pub(crate) fn noise(&self, draws: usize) -> Result<Tensor> {
        self.tensor(&self.batch.noise, draws, Source::Noise)
    }

    /// The characters of a text.
    pub(crate) fn tokens(&self) -> Result<Tensor> {
        self.indices(&self.batch.tokens, Source::Tokens)
    }

    /// The labels.
    pub(crate) fn labels(&self) -> Result<Tensor> {
        self.indices(&self.batch.labels, Source::Labels)
    }

    /// A tensor (examples, columns) of these numbers.
    fn tensor(&self, numbers: &[f32], columns: usize, source: Source) -> Result<Tensor> {
        let dtype = self.parameters.first().map_or(DType::F32, Tensor::dtype);
        let shape = (self.batch.labels.len(), columns);
        let tensor = Tensor::from_slice(numbers, shape, self.device)?.to_dtype(dtype)?;
        note_source(&tensor, source);
        Ok(tensor)
    }

    fn indices(&self, indices: &[u32], source: Source) -> Result<Tensor> {
        let tensor = Tensor::new(indices, self.device)?;
        note_source(&tensor, source);
        Ok(tensor)
    }

    /// The value of the only parameter.
    fn single_parameter(&self) -> Result<&Tensor> {
        self.parameters.first().ok_or_else(|| Error::Msg("the model has no parameter".to_owned()))
    }
}

/// The numbers of a tensor on any device.
fn cpu_values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()
}

/// An architecture with the sizes of its data.
#[derive(Debug, Clone)]
pub struct Arch {
    pub(crate) architecture: Arc<dyn Architecture>,
    pub(crate) sizes: Sizes,
}

impl Arch {
    /// The architecture of a network.
    ///
    /// # Errors
    /// The model is unknown, for example in a database that another version wrote.
    pub fn of(network: &Network) -> Result<Self> {
        let (inputs, classes) = network.data.as_ref().map_or((0, 0), |data| data.dataset.shape());
        let architecture: Arc<dyn Architecture> = match &network.model {
            Chosen::Custom(task) => Arc::new(CustomModel::planned(task)),
            Chosen::BuiltIn(choice) => {
                let entry = TABLE.iter().find(|entry| entry.kind.name == choice.kind);
                let entry = entry.ok_or_else(|| Error::Msg(format!("unknown model `{}`", choice.kind)))?;
                (entry.build)(choice)
                    .map_err(|error| Error::Msg(format!("model {}: {error}", choice.kind)))?
            }
        };
        Ok(Self { architecture, sizes: Sizes { inputs, classes } })
    }

    /// Adds the custom task, if there is one: then the model can compute its loss.
    pub(crate) fn with_task(self, task: Option<BuiltTask>) -> Self {
        match task {
            Some(task) => Self { architecture: Arc::new(CustomModel::of(task)), ..self },
            None => self,
        }
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.architecture.shapes(self.sizes)
    }

    pub(crate) fn layers(&self) -> Option<Vec<Layer>> {
        self.architecture.layers(self.sizes)
    }

    /// Total number of values in all parameters.
    pub(crate) fn size(&self) -> u64 {
        self.shapes().iter().map(|shape| shape.dims.iter().product::<usize>() as u64).sum()
    }
}

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, such as `fc1.weight`.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Whether its two dimensions are transposed relative to PyTorch's layout.
    pub transposed: bool,
}

/// A deep copy of a variable.
pub(crate) fn copy_of(var: &Var) -> Result<Var> {
    Var::from_tensor(&var.as_detached_tensor().copy()?)
}

/// Deep copies of parameters.
pub(crate) fn copies(parameters: &[Parameter]) -> Result<Vec<Parameter>> {
    let copy = |p: &Parameter| Ok(Parameter { var: copy_of(&p.var)?, ..p.clone() });
    parameters.iter().map(copy).collect()
}

/// The model of one run.
#[derive(Debug)]
pub struct Model {
    arch: Arc<Arch>,
    parameters: Vec<Parameter>,
}

impl Model {
    /// A model with the initial values of `seed`.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(arch: &Arch, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        let parameters = arch.shapes().into_iter().map(|shape| {
            let var = shape.var(seed, dtype, device)?;
            Ok(Parameter { name: shape.name, var, transposed: shape.transposed })
        });
        Ok(Self { arch: Arc::new(arch.clone()), parameters: parameters.collect::<Result<_>>()? })
    }

    /// The parameters, in a fixed order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub(crate) fn arch(&self) -> &Arch {
        &self.arch
    }

    /// A deep copy.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(self.with(copies(&self.parameters)?))
    }

    /// The same model with other parameters, in the same order. Values are not copied.
    pub(crate) fn with(&self, parameters: Vec<Parameter>) -> Self {
        Self { arch: Arc::clone(&self.arch), parameters }
    }

    /// Mean loss of a batch, a scalar, tracked for a backward pass.
    ///
    /// # Errors
    /// The device or a custom task fails.
    pub(crate) fn loss(&self, batch: &Batch, device: &Device) -> Result<Tensor> {
        let parameters: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_tensor().clone()).collect();
        let sizes = self.arch.sizes;
        self.arch.architecture.loss(&Input { sizes, parameters: &parameters, batch, device })
    }

    /// Loss summed over the examples of a batch (for text: over its characters), and the number of correctly classified ones. Not
    /// tracked for a backward pass.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn evaluate(&self, batch: &Batch, device: &Device) -> Result<(f64, Option<usize>)> {
        let (sizes, parameters) = (self.arch.sizes, self.values());
        self.arch.architecture.evaluate(&Input { sizes, parameters: &parameters, batch, device })
    }

    /// The reference loss for divergence. `loss`: the loss of the first batch. For a task with a closed form it is the expected
    /// loss, because the loss of a small batch may be near 0 by chance.
    pub(crate) fn first_loss(&self, loss: f32) -> Result<f32> {
        match self.arch.architecture.closed_form().zip(self.parameters.first()) {
            Some((task, weight)) => Ok(task.expected(&cpu_values(&weight.var)?) as f32),
            None => Ok(loss),
        }
    }

    /// The values of its parameters, not tracked for a backward pass.
    pub(crate) fn values(&self) -> Vec<Tensor> {
        self.parameters.iter().map(|p| p.var.as_detached_tensor()).collect()
    }
}

#[cfg(test)]
mod tests;
