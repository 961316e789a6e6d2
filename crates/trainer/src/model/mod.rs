//! Models: parameters in a fixed order with seeded initial values, and a forward pass. One file for each
//! architecture: its parameters and what it does with them.

pub(crate) mod direct;
mod lenet;
mod mlp;

use candle_core::{DType, Device, Result, Tensor, Var};
use spec::trial::{Activation as Named, Model as Kind};

use crate::kernels::activation::Activation;
use crate::random::Stream;

/// Pixels of an image, 28 x 28.
pub const PIXELS: usize = 784;
/// Classes.
pub const CLASSES: usize = 10;

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, as in `fc1.weight`.
    pub name: String,
    /// Its value.
    pub var: Var,
}

impl From<Named> for Activation {
    fn from(named: Named) -> Self {
        match named {
            Named::Relu => Self::Relu,
            Named::Gelu => Self::Gelu,
            Named::Tanh => Self::Tanh,
        }
    }
}

/// A variable of its own with the same numbers.
pub(crate) fn copy_of(var: &Var) -> Result<Var> {
    Var::from_tensor(&var.as_detached_tensor().copy()?)
}

/// Parameters of their own with the same numbers.
pub(crate) fn copies(parameters: &[Parameter]) -> Result<Vec<Parameter>> {
    let copy = |p: &Parameter| Ok(Parameter { name: p.name.clone(), var: copy_of(&p.var)? });
    parameters.iter().map(copy).collect()
}

/// What a parameter is before training.
pub(crate) struct Shape {
    pub(crate) name: String,
    dims: Vec<usize>,
    /// Numbers that flow into one output: initial values are uniform within 1 / sqrt(fan_in).
    fan_in: usize,
}

/// The two parameters of a layer.
fn layer(name: &str, weight: &[usize], outputs: usize, fan_in: usize) -> [Shape; 2] {
    [
        Shape { name: format!("{name}.weight"), dims: weight.to_vec(), fan_in },
        Shape { name: format!("{name}.bias"), dims: vec![outputs], fan_in },
    ]
}

impl Shape {
    /// Its dimensions in PyTorch's layout: there a linear layer's weight is (outputs, inputs).
    pub(crate) fn as_pytorch(&self) -> Vec<usize> {
        match self.dims.as_slice() {
            [inputs, outputs] => vec![*outputs, *inputs],
            other => other.to_vec(),
        }
    }
}

pub(crate) fn shapes(kind: &Kind) -> Vec<Shape> {
    match kind {
        Kind::Mlp { hidden, .. } => mlp::shapes(hidden),
        Kind::Lenet => lenet::shapes(),
    }
}

/// Numbers in all parameters.
pub(crate) fn size(kind: &Kind) -> u64 {
    shapes(kind).iter().map(|shape| shape.dims.iter().product::<usize>() as u64).sum()
}

/// A model of one run.
#[derive(Debug)]
pub struct Model {
    kind: Kind,
    parameters: Vec<Parameter>,
}

impl Model {
    /// A model with the initial values of `seed`: for each parameter uniform within 1 / sqrt(fan in), as
    /// PyTorch initialises linear and convolution layers. Each parameter has a random stream of its own.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(kind: &Kind, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        let parameters = shapes(kind).into_iter().map(|shape| {
            let mut stream = Stream::new(seed, "weights", &shape.name);
            let bound = 1.0 / (shape.fan_in.max(1) as f32).sqrt();
            let count = shape.dims.iter().product();
            let values: Vec<f32> = (0..count).map(|_| stream.uniform(bound)).collect();
            let value = Tensor::from_vec(values, shape.dims, device)?.to_dtype(dtype)?;
            Ok(Parameter { name: shape.name, var: Var::from_tensor(&value)? })
        });
        Ok(Self { kind: kind.clone(), parameters: parameters.collect::<Result<_>>()? })
    }

    /// The parameters, in an order that never changes.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The same with numbers of its own.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(self.with(copies(&self.parameters)?))
    }

    /// The same model with other values of its parameters, in their order; nothing is copied.
    pub(crate) fn with(&self, parameters: Vec<Parameter>) -> Self {
        Self { kind: self.kind.clone(), parameters }
    }

    /// Logits (batch, classes) of images (batch, pixels), tracked for a backward pass.
    ///
    /// # Errors
    /// The device fails.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let tensors: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_tensor().clone()).collect();
        self.apply(&tensors, images)
    }

    /// The same, without a record for a backward pass.
    ///
    /// # Errors
    /// The device fails.
    pub fn infer(&self, images: &Tensor) -> Result<Tensor> {
        let tensors: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_detached_tensor()).collect();
        self.apply(&tensors, images)
    }

    fn apply(&self, parameters: &[Tensor], images: &Tensor) -> Result<Tensor> {
        match &self.kind {
            Kind::Mlp { activation, .. } => mlp::forward(parameters, images, (*activation).into()),
            Kind::Lenet => lenet::forward(parameters, images),
        }
    }
}

#[cfg(test)]
mod tests;
