//! Models: parameters in a fixed order with seeded initial values, and a loss. Each architecture is one file here and one line in
//! the `TABLE`; what it must say of itself is the trait `Architecture`.

mod char_gpt;
pub(crate) mod closed_form;
pub(crate) mod direct;
mod layer;
mod lenet;
mod mlp;
mod own;
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
use self::direct::Layer;
use self::own::OwnModel;
pub(crate) use self::shape::Shape;
use crate::data::{Batch, Form};
use crate::expected::Problem;
use crate::kernels::cross_entropy::{self, cross_entropy};
use crate::own::OwnTask;

/// The models that ship with the tool.
pub(crate) static TABLE: &[&Entry] = &[
    &mlp::ENTRY,
    &lenet::ENTRY,
    &vae::ENTRY,
    &char_gpt::ENTRY,
    &quadratic::ENTRY,
    &power_law_regression::ENTRY,
];

/// A model that ships with the tool.
pub(crate) struct Entry {
    /// How sweep files name it.
    pub(crate) kind: ModelKind,
    /// The architecture with the values that a sweep file gives its parameters.
    build: fn(&Choice) -> serde_json::Result<Arc<dyn Architecture>>,
}

/// The `build` of an architecture that is read from the values themselves.
fn build<T: Architecture + DeserializeOwned + 'static>(
    choice: &Choice,
) -> serde_json::Result<Arc<dyn Architecture>> {
    Ok(Arc::new(choice.typed::<T>()?))
}

/// What a model is and does. An architecture that names classes gives `logits`, a task with a closed form that; another one its
/// own `loss` and `evaluate`.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// Its parameters, in an order that never changes.
    fn shapes(&self, sizes: Sizes) -> Vec<Shape>;

    /// Scores of the classes, (examples, classes); of text (characters, alphabet).
    fn logits(&self, _: &Input<'_>) -> Result<Tensor> {
        candle_core::bail!("this model names no classes")
    }

    /// The task with a closed form that it is.
    fn closed_form(&self) -> Option<Synthetic> {
        None
    }

    /// Mean loss of a batch, a scalar, tracked for a backward pass.
    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        match self.closed_form() {
            Some(task) => task.0.loss(input.only()?, input.batch, input.device),
            None => cross_entropy(&self.logits(input)?, &Tensor::new(&input.batch.labels[..], input.device)?),
        }
    }

    /// Loss summed over the examples of a batch (of text: over its characters), and how many were named rightly.
    fn evaluate(&self, input: &Input<'_>) -> Result<(f64, Option<usize>)> {
        if let Some(task) = self.closed_form() {
            return Ok((task.excess(&on_cpu(input.only()?)?), None));
        }
        let (sum, right) = cross_entropy::evaluate(&self.logits(input)?, &input.batch.labels)?;
        Ok((sum, Some(right)))
    }

    /// Its layers, where it is a chain of them: these are trained on the CPU without a graph.
    fn layers(&self, _: Sizes) -> Option<Vec<Layer>> {
        None
    }

    /// What the moments of its weights are before the first step, where they are known at every step.
    fn expected(&self) -> Option<Problem> {
        None
    }

    /// Examples that are evaluated at once. Part of what fixes the order in which losses are added.
    fn chunk(&self) -> usize {
        1
    }

    /// In which form it takes numbers.
    fn form(&self) -> Form {
        Form::Dense
    }

    /// Random numbers that it asks for, for each example.
    fn draws(&self) -> usize {
        0
    }

    /// Numbers of one example in a batch, for the need of memory.
    fn numbers_in_batch(&self, sizes: Sizes) -> usize {
        sizes.inputs
    }

    /// Numbers that candle's graph holds for one example, for the need of memory.
    fn numbers_in_graph(&self, _: Sizes) -> usize {
        0
    }
}

/// What its data give a model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    /// Numbers of an example; of text the alphabet.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
}

/// What a pass gets.
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
        self.tensor(&self.batch.pixels, self.sizes.inputs)
    }

    /// As many numbers for each example.
    pub(crate) fn tensor(&self, numbers: &[f32], columns: usize) -> Result<Tensor> {
        let dtype = self.parameters.first().map_or(DType::F32, Tensor::dtype);
        let shape = (self.batch.labels.len(), columns);
        Tensor::from_slice(numbers, shape, self.device)?.to_dtype(dtype)
    }

    /// The value of the one parameter that there is.
    fn only(&self) -> Result<&Tensor> {
        self.parameters.first().ok_or_else(|| Error::Msg("no weights".to_owned()))
    }
}

/// The numbers of a tensor, wherever it is.
fn on_cpu(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()
}

/// An architecture with the sizes that its data give it.
#[derive(Debug, Clone)]
pub struct Arch {
    pub(crate) architecture: Arc<dyn Architecture>,
    pub(crate) sizes: Sizes,
}

impl Arch {
    /// Of a network.
    ///
    /// # Errors
    /// There is no such model, as in a database that another version has written.
    pub fn of(network: &Network) -> Result<Self> {
        let (inputs, classes) = network.data.as_ref().map_or((0, 0), |data| data.dataset.shape());
        let architecture: Arc<dyn Architecture> = match &network.model {
            Chosen::Custom(task) => Arc::new(OwnModel::planned(task)),
            Chosen::BuiltIn(choice) => {
                let entry = TABLE.iter().find(|entry| entry.kind.name == choice.kind);
                let entry =
                    entry.ok_or_else(|| Error::Msg(format!("there is no model `{}`", choice.kind)))?;
                (entry.build)(choice)
                    .map_err(|error| Error::Msg(format!("model {}: {error}", choice.kind)))?
            }
        };
        Ok(Self { architecture, sizes: Sizes { inputs, classes } })
    }

    /// The same with the task that it is of, where a program of the user's own brought it along.
    pub(crate) fn with_task(self, own: Option<OwnTask>) -> Self {
        match own {
            Some(own) => Self { architecture: Arc::new(OwnModel::of(own)), ..self },
            None => self,
        }
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.architecture.shapes(self.sizes)
    }

    pub(crate) fn layers(&self) -> Option<Vec<Layer>> {
        self.architecture.layers(self.sizes)
    }

    /// Numbers in all parameters.
    pub(crate) fn size(&self) -> u64 {
        self.shapes().iter().map(|shape| shape.dims.iter().product::<usize>() as u64).sum()
    }
}

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, as in `fc1.weight`.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Whether PyTorch has the two dimensions of its value the other way round.
    pub transposed: bool,
}

/// A variable of its own with the same numbers.
pub(crate) fn copy_of(var: &Var) -> Result<Var> {
    Var::from_tensor(&var.as_detached_tensor().copy()?)
}

/// Parameters of their own with the same numbers.
pub(crate) fn copies(parameters: &[Parameter]) -> Result<Vec<Parameter>> {
    let copy = |p: &Parameter| Ok(Parameter { var: copy_of(&p.var)?, ..p.clone() });
    parameters.iter().map(copy).collect()
}

/// A model of one run.
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

    /// The parameters, in an order that never changes.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub(crate) fn arch(&self) -> &Arch {
        &self.arch
    }

    /// The same with numbers of its own.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(self.with(copies(&self.parameters)?))
    }

    /// The same model with other values of its parameters, in their order; nothing is copied.
    pub(crate) fn with(&self, parameters: Vec<Parameter>) -> Self {
        Self { arch: Arc::clone(&self.arch), parameters }
    }

    /// Mean loss of a batch, a scalar, tracked for a backward pass.
    ///
    /// # Errors
    /// The device fails, or a task of the user's own does.
    pub(crate) fn loss(&self, batch: &Batch, device: &Device) -> Result<Tensor> {
        let parameters: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_tensor().clone()).collect();
        let sizes = self.arch.sizes;
        self.arch.architecture.loss(&Input { sizes, parameters: &parameters, batch, device })
    }

    /// Loss summed over the examples of a batch (of text: over its characters), and how many were named rightly. No record
    /// for a backward pass.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn evaluate(&self, batch: &Batch, device: &Device) -> Result<(f64, Option<usize>)> {
        let (sizes, parameters) = (self.arch.sizes, self.values());
        self.arch.architecture.evaluate(&Input { sizes, parameters: &parameters, batch, device })
    }

    /// By what divergence is judged, where `loss` is that of the first batch: of a task with a closed form the expected one, since
    /// a batch of few examples may have a loss near 0 by chance.
    pub(crate) fn first_loss(&self, loss: f32) -> Result<f32> {
        match self.arch.architecture.closed_form().zip(self.parameters.first()) {
            Some((task, weight)) => Ok(task.expected(&on_cpu(&weight.var)?) as f32),
            None => Ok(loss),
        }
    }

    /// The values of its parameters, without a record for a backward pass.
    pub(crate) fn values(&self) -> Vec<Tensor> {
        self.parameters.iter().map(|p| p.var.as_detached_tensor()).collect()
    }
}

#[cfg(test)]
mod tests;
