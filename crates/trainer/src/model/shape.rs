//! What a parameter is before training: name, dimensions, and what numbers it begins with.

use crate::random::Stream;

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

    pub(super) fn values(self, count: usize, mut stream: Stream) -> Vec<f32> {
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
    pub(crate) transposed: bool,
}

impl Shape {
    /// A parameter with a name, dimensions and what it begins with.
    pub fn new(name: &str, dims: &[usize], init: Init) -> Self {
        Self { name: name.to_owned(), dims: dims.to_vec(), init, transposed: false }
    }

    /// The parameters `NAME.weight`, (outputs, inputs), and `NAME.bias`, (outputs), of a linear layer as PyTorch and candle-nn
    /// have it, with PyTorch's initial values.
    pub fn linear(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        Self::weight_and_bias(name, &[outputs, inputs], outputs, inputs)
    }

    /// The same parameters in the layout of [`linear`](crate::kernels::linear::linear), whose weight is (inputs, outputs). Files
    /// of weights have PyTorch's layout all the same.
    pub fn layer(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        let [weight, bias] = Self::weight_and_bias(name, &[inputs, outputs], outputs, inputs);
        [Self { transposed: true, ..weight }, bias]
    }

    /// The parameters of a convolution whose weight is (outputs, channels, height, width).
    pub(super) fn conv(name: &str, weight: [usize; 4]) -> [Self; 2] {
        let [outputs, window @ ..] = weight;
        Self::weight_and_bias(name, &weight, outputs, window.iter().product())
    }

    /// The two parameters of a layer whose outputs each take in `fan_in` numbers.
    fn weight_and_bias(name: &str, weight: &[usize], outputs: usize, fan_in: usize) -> [Self; 2] {
        let init = Init::fan_in(fan_in);
        [
            Self::new(&format!("{name}.weight"), weight, init),
            Self::new(&format!("{name}.bias"), &[outputs], init),
        ]
    }

    /// Its dimensions in PyTorch's layout: there a linear layer's weight is (outputs, inputs).
    pub(crate) fn as_pytorch(&self) -> Vec<usize> {
        match self.dims.as_slice() {
            [inputs, outputs] if self.transposed => vec![*outputs, *inputs],
            other => other.to_vec(),
        }
    }
}

/// Inputs and outputs of each of a chain of fully connected layers.
pub(super) fn widths(
    inputs: usize,
    hidden: &[usize],
    outputs: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let inputs = std::iter::once(inputs).chain(hidden.iter().copied());
    inputs.zip(hidden.iter().copied().chain([outputs]))
}
