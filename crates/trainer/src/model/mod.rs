//! Models: parameters in a fixed order with seeded initial values, and a loss. One file for each architecture: its parameters
//! and what it does with them.

mod char_gpt;
pub(crate) mod direct;
mod lenet;
mod mlp;
pub(crate) mod synthetic;
mod vae;

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use spec::trial::{Activation as Named, Model as Kind, Network, OwnParameter};

use self::synthetic::Synthetic;
use crate::data::Batch;
use crate::kernels::activation::Activation;
use crate::kernels::cross_entropy::{self, cross_entropy};
use crate::own::{OwnTask, Tensors};
use crate::random::Stream;

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, as in `fc1.weight`.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Whether PyTorch has the two dimensions of its value the other way round.
    pub turned: bool,
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
    let copy = |p: &Parameter| Ok(Parameter { var: copy_of(&p.var)?, ..p.clone() });
    parameters.iter().map(copy).collect()
}

/// What numbers a parameter begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform within plus and minus this number.
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// All the same.
    Constant(f32),
}

impl Init {
    /// As PyTorch's linear and convolution layers begin: uniform within 1 / √fan_in, the numbers that flow into one output.
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform(1.0 / (fan_in.max(1) as f32).sqrt())
    }

    fn values(self, count: usize, mut stream: Stream) -> Vec<f32> {
        match self {
            Self::Uniform(bound) => (0..count).map(|_| stream.uniform(bound)).collect(),
            Self::Normal(deviation) => {
                let mut values = vec![0.0; count];
                stream.normals(&mut values);
                values.iter_mut().for_each(|x| *x *= deviation);
                values
            }
            Self::Constant(x) => vec![x; count],
        }
    }
}

/// What a parameter is before training.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Its name: dots part layers, as in `encoder.fc1.weight`.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// What it begins with.
    pub init: Init,
    /// Whether PyTorch has its two dimensions the other way round, as the weight of a linear layer here.
    pub(crate) turned: bool,
}

impl Shape {
    /// A parameter with a name, dimensions and what it begins with.
    pub fn new(name: &str, dims: &[usize], init: Init) -> Self {
        Self { name: name.to_owned(), dims: dims.to_vec(), init, turned: false }
    }

    /// The parameters `NAME.weight`, (outputs, inputs), and `NAME.bias`, (outputs), of a linear layer as PyTorch and candle-nn
    /// have it, with PyTorch's initial values.
    pub fn linear(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        let init = Init::fan_in(inputs);
        [
            Self::new(&format!("{name}.weight"), &[outputs, inputs], init),
            Self::new(&format!("{name}.bias"), &[outputs], init),
        ]
    }

    /// The same parameters in the layout of [`linear`](crate::kernels::linear::linear), whose weight is (inputs, outputs). Files
    /// of weights have PyTorch's layout all the same.
    pub fn layer(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        layer(name, &[inputs, outputs], outputs, inputs)
    }

    /// Its dimensions in PyTorch's layout: there a linear layer's weight is (outputs, inputs).
    pub(crate) fn as_pytorch(&self) -> Vec<usize> {
        match self.dims.as_slice() {
            [inputs, outputs] if self.turned => vec![*outputs, *inputs],
            other => other.to_vec(),
        }
    }
}

/// The two parameters of a layer whose outputs each take in `fan_in` numbers.
fn layer(name: &str, weight: &[usize], outputs: usize, fan_in: usize) -> [Shape; 2] {
    let init = Init::fan_in(fan_in);
    let weight = Shape::new(&format!("{name}.weight"), weight, init);
    let turned = weight.dims.len() == 2;
    [Shape { turned, ..weight }, Shape::new(&format!("{name}.bias"), &[outputs], init)]
}

/// The parameters of a network's model.
pub(crate) fn shapes(network: &Network) -> Vec<Shape> {
    Arch::of(network).shapes()
}

/// Numbers in all parameters.
pub(crate) fn size(network: &Network) -> u64 {
    shapes(network).iter().map(|shape| shape.dims.iter().product::<usize>() as u64).sum()
}

/// A kind of model with the sizes that its data give it.
#[derive(Debug, Clone)]
pub struct Arch {
    pub(crate) kind: Kind,
    /// Numbers of an example; of text the alphabet.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
    /// The task itself, where a program of the user's own brought it along.
    own: Option<OwnTask>,
}

impl Arch {
    /// Of a network.
    pub fn of(network: &Network) -> Self {
        let (inputs, classes) = network.data.as_ref().map_or((0, 0), |data| data.dataset.shape());
        Self { kind: network.model.clone(), inputs, classes, own: None }
    }

    /// The same with the task that it is of.
    pub(crate) fn with_task(mut self, own: Option<OwnTask>) -> Self {
        self.own = own;
        self
    }

    fn shapes(&self) -> Vec<Shape> {
        match &self.kind {
            Kind::Mlp { hidden, .. } => mlp::shapes(self.inputs, hidden, self.classes),
            Kind::Lenet => lenet::shapes(self.classes),
            Kind::Vae { hidden, latent } => vae::shapes(self.inputs, hidden, *latent),
            Kind::CharGpt { layers, width, context, .. } => {
                char_gpt::shapes(self.classes, *layers, *width, *context)
            }
            Kind::Quadratic(task) => {
                vec![Shape::new("weight", &[task.dimensions], Init::Normal(1.0))]
            }
            Kind::PowerLawRegression(task) => {
                vec![Shape::new("weight", &[task.dimensions], Init::Constant(0.0))]
            }
            Kind::Own(task) => match &self.own {
                Some(own) => own.shapes(),
                // Where only sizes count the task itself is not at hand.
                None => {
                    let plain = |OwnParameter { name, dims, turned }: &OwnParameter| Shape {
                        turned: *turned,
                        ..Shape::new(name, dims, Init::Constant(0.0))
                    };
                    task.parameters.iter().map(plain).collect()
                }
            },
        }
    }
}

/// A model of one run.
#[derive(Debug)]
pub struct Model {
    arch: Arc<Arch>,
    parameters: Vec<Parameter>,
}

impl Model {
    /// A model with the initial values of `seed`. Each parameter has a random stream of its own.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(arch: &Arch, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        let parameters = arch.shapes().into_iter().map(|shape| {
            let stream = Stream::new(seed, "weights", &shape.name);
            let values = shape.init.values(shape.dims.iter().product(), stream);
            let value = Tensor::from_vec(values, shape.dims, device)?.to_dtype(dtype)?;
            Ok(Parameter { name: shape.name, var: Var::from_tensor(&value)?, turned: shape.turned })
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
        let tensors: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_tensor().clone()).collect();
        match (&self.arch.kind, &self.arch.own) {
            (Kind::Vae { .. }, _) => {
                let examples = batch.labels.len().max(1) as f64;
                self.vae(&tensors, batch, device)? / examples
            }
            (Kind::Quadratic(_) | Kind::PowerLawRegression(_), _) => {
                synthetic::loss(&self.arch.kind, &tensors, batch, device)
            }
            (Kind::Own(_), Some(own)) => own.task().loss(&self.named(&tensors), &batch.own),
            (Kind::Own(_), None) => candle_core::bail!("this program does not know the task"),
            (Kind::Mlp { .. } | Kind::Lenet | Kind::CharGpt { .. }, _) => {
                let labels = Tensor::new(&batch.labels[..], device)?;
                cross_entropy(&self.logits(&tensors, batch, device)?, &labels)
            }
        }
    }

    /// Loss summed over the examples of a batch (of text: over its characters), and how many were named rightly. No record
    /// for a backward pass.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn evaluate(&self, batch: &Batch, device: &Device) -> Result<(f64, Option<usize>)> {
        let tensors: Vec<Tensor> = self.parameters.iter().map(|p| p.var.as_detached_tensor()).collect();
        match &self.arch.kind {
            Kind::Vae { .. } => {
                let sum = self.vae(&tensors, batch, device)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                Ok((sum, None))
            }
            Kind::Mlp { .. } | Kind::Lenet | Kind::CharGpt { .. } => {
                let logits = self.logits(&tensors, batch, device)?;
                let (sum, right) = cross_entropy::evaluate(&logits, &batch.labels)?;
                Ok((sum, Some(right)))
            }
            Kind::Quadratic(_) | Kind::PowerLawRegression(_) => match self.synthetic()? {
                Some((task, weights)) => Ok((task.excess(&weights), None)),
                None => candle_core::bail!("no weights"),
            },
            Kind::Own(_) => candle_core::bail!("a task of one's own evaluates itself"),
        }
    }

    /// Of a task with a closed form: the task and the weights, on the CPU.
    fn synthetic(&self) -> Result<Option<(Synthetic, Vec<f32>)>> {
        let Some((task, weight)) = Synthetic::of(&self.arch.kind).zip(self.parameters.first()) else {
            return Ok(None);
        };
        let weights = weight.var.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
        Ok(Some((task, weights)))
    }

    /// By what divergence is judged, where `loss` is that of the first batch: of a task with a closed form the expected one, since
    /// a batch of few examples may have a loss near 0 by chance.
    pub(crate) fn first_loss(&self, loss: f32) -> Result<f32> {
        Ok(self.synthetic()?.map_or(loss, |(task, weights)| task.expected(&weights) as f32))
    }

    /// The values of its parameters by name.
    pub(crate) fn named(&self, tensors: &[Tensor]) -> Tensors {
        Tensors::new(self.parameters.iter().map(|p| p.name.clone()).zip(tensors.iter().cloned()))
    }

    /// Binary cross-entropy and divergence, summed over the images of a batch.
    fn vae(&self, tensors: &[Tensor], batch: &Batch, device: &Device) -> Result<Tensor> {
        let (n, dtype) = (batch.labels.len(), self.dtype());
        let images = Tensor::from_slice(&batch.pixels, (n, self.arch.inputs), device)?.to_dtype(dtype)?;
        let latent = batch.noise.len() / n.max(1);
        let noise = Tensor::from_slice(&batch.noise, (n, latent), device)?.to_dtype(dtype)?;
        vae::loss(tensors, &images, &noise)
    }

    /// Scores of the classes, (examples, classes); of text (characters, alphabet).
    fn logits(&self, tensors: &[Tensor], batch: &Batch, device: &Device) -> Result<Tensor> {
        let images = || {
            let shape = (batch.labels.len(), self.arch.inputs);
            Tensor::from_slice(&batch.pixels, shape, device)?.to_dtype(self.dtype())
        };
        match &self.arch.kind {
            Kind::Mlp { activation, .. } => mlp::forward(tensors, &images()?, (*activation).into()),
            Kind::Lenet => lenet::forward(tensors, &images()?),
            Kind::CharGpt { heads, context, .. } => {
                char_gpt::forward(tensors, &batch.tokens, *heads, *context)
            }
            _ => candle_core::bail!("this model names no classes"),
        }
    }

    fn dtype(&self) -> DType {
        self.parameters.first().map_or(DType::F32, |p| p.var.dtype())
    }
}

#[cfg(test)]
mod tests;
