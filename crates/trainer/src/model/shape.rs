//! A parameter before training: name, dimensions and initial values.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::Init;
use candle_nn::init::NormalOrUniform;

use crate::random::Stream;

/// Initial values that are uniform in [-bound, bound).
fn uniform(bound: f32) -> Init {
    Init::Uniform { lo: f64::from(-bound), up: f64::from(bound) }
}

/// PyTorch's initial values of a layer with `fan_in` inputs per output: uniform within ±1 / √fan_in.
pub(super) fn pytorch(fan_in: usize) -> Init {
    uniform(1.0 / (fan_in.max(1) as f32).sqrt())
}

/// Initial values that are normal with mean 0.
pub(super) fn normal(deviation: f32) -> Init {
    Init::Randn { mean: 0.0, stdev: f64::from(deviation) }
}

/// Initial values of a tensor of this shape.
fn values(init: Init, dims: &[usize], mut stream: Stream) -> Vec<f32> {
    let mut values = vec![0.0; dims.iter().product()];
    let (center, scale) = match init {
        Init::Const(x) => return vec![x as f32; values.len()],
        Init::Uniform { lo, up } => {
            values.iter_mut().for_each(|x| *x = stream.uniform(1.0));
            ((lo + up) / 2.0, (up - lo) / 2.0)
        }
        Init::Randn { mean, stdev } => {
            stream.normals(&mut values);
            (mean, stdev)
        }
        Init::Kaiming { dist, fan, non_linearity } => {
            let fan = fan.for_shape(&dims.into()).max(1);
            let stdev = non_linearity.gain() / (fan as f64).sqrt();
            let bound = 3f64.sqrt() * stdev;
            let init = match dist {
                NormalOrUniform::Normal => Init::Randn { mean: 0.0, stdev },
                NormalOrUniform::Uniform => Init::Uniform { lo: -bound, up: bound },
            };
            return self::values(init, dims, stream);
        }
    };
    values.iter_mut().for_each(|x| *x *= scale as f32);
    // Adding 0 would change -0 to 0.
    if center != 0.0 {
        values.iter_mut().for_each(|x| *x += center as f32);
    }
    values
}

/// A parameter before training.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Its name; dots separate layers, as in `encoder.fc1.weight`.
    pub(crate) name: String,
    /// Its dimensions.
    pub(crate) dims: Vec<usize>,
    /// Its initial values.
    pub(crate) init: Init,
    /// Whether its two dimensions are transposed relative to PyTorch's layout, as in the weight of a linear layer.
    pub(crate) transposed: bool,
}

impl Shape {
    /// A parameter with a name, dimensions and initial values.
    pub(crate) fn new(name: &str, dims: &[usize], init: Init) -> Self {
        Self { name: name.to_owned(), dims: dims.to_vec(), init, transposed: false }
    }

    /// The parameters `NAME.weight`, (inputs, outputs), and `NAME.bias`, (outputs), of
    /// [`linear`](crate::ops::linear::linear), with PyTorch's initial values. Weights files have PyTorch's layout.
    pub(super) fn layer(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        let [weight, bias] = Self::weight_and_bias(name, &[inputs, outputs], outputs, inputs);
        [Self { transposed: true, ..weight }, bias]
    }

    /// The parameters of a convolution whose weight is (outputs, channels, height, width).
    pub(super) fn conv(name: &str, weight: [usize; 4]) -> [Self; 2] {
        let [outputs, window @ ..] = weight;
        Self::weight_and_bias(name, &weight, outputs, window.iter().product())
    }

    /// The two parameters of a layer with `fan_in` inputs per output, with PyTorch's initial values.
    fn weight_and_bias(name: &str, weight: &[usize], outputs: usize, fan_in: usize) -> [Self; 2] {
        let init = pytorch(fan_in);
        [
            Self::new(&format!("{name}.weight"), weight, init),
            Self::new(&format!("{name}.bias"), &[outputs], init),
        ]
    }

    /// A variable with the initial values for a seed. Each parameter has its own random stream.
    pub(crate) fn var(&self, seed: u64, dtype: DType, device: &Device) -> Result<Var> {
        let values = values(self.init, &self.dims, Stream::new(seed, "weights", &self.name));
        Var::from_tensor(&Tensor::from_vec(values, self.dims.as_slice(), device)?.to_dtype(dtype)?)
    }

    /// Its dimensions in PyTorch's layout, where a linear layer's weight is (outputs, inputs).
    pub(crate) fn pytorch_dims(&self) -> Vec<usize> {
        match self.dims.as_slice() {
            [inputs, outputs] if self.transposed => vec![*outputs, *inputs],
            other => other.to_vec(),
        }
    }
}

/// Inputs and outputs of each layer in a chain of fully connected layers.
pub(super) fn widths(
    inputs: usize,
    hidden: &[usize],
    outputs: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let inputs = std::iter::once(inputs).chain(hidden.iter().copied());
    inputs.zip(hidden.iter().copied().chain([outputs]))
}
