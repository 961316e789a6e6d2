//! What learns: models and tasks, as plain values.

/// The models.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Model {
    /// Fully connected layers with an activation between them.
    Mlp {
        /// Widths of the hidden layers; empty is logistic regression.
        hidden: Vec<usize>,
        /// What follows each hidden layer.
        #[serde(default, skip_serializing_if = "Activation::is_relu")]
        activation: Activation,
    },
    /// Convolution 5x5x16, pool, convolution 5x5x32, pool, linear 128, linear to the classes, ReLU between.
    Lenet,
    /// A variational autoencoder (Kingma and Welling, arXiv 1312.6114) of fully connected layers with ReLU between; the decoder
    /// mirrors the encoder. Its loss is binary cross-entropy plus Kullback-Leibler divergence, in nats an image.
    Vae {
        /// Widths of the encoder's hidden layers.
        hidden: Vec<usize>,
        /// Latent numbers.
        latent: usize,
    },
    /// A causal transformer over characters, as GPT-2 (layer norms before attention and perceptron, learned positions, GELU).
    /// Its loss is in nats a character.
    CharGpt {
        /// Blocks.
        layers: usize,
        /// Heads of the attention; divides the width.
        heads: usize,
        /// Numbers that stand for a character.
        width: usize,
        /// Characters that it sees.
        context: usize,
    },
    /// A task with a closed form: see [`Quadratic`].
    Quadratic(Quadratic),
    /// A task with a closed form: see [`Regression`].
    PowerLawRegression(Regression),
    /// A task that a program of the user's own brings along, with its data.
    Own(Own),
}

/// The noisy quadratic (Zhang et al. 2019, arXiv 1907.04164): loss ½ Σ hᵢ wᵢ² with curvature hᵢ = i^-exponent, gradients
/// hᵢ wᵢ + √(noise hᵢ / batch size) ξᵢ with standard normal ξ, weights that begin standard normal. The loss of a batch is
/// ½ Σ (√hᵢ wᵢ + √(noise / batch size) ξᵢ)², of which that is the gradient; the validation loss has no noise.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quadratic {
    /// Weights.
    pub dimensions: usize,
    /// How fast the curvature falls, at least 0.
    pub exponent: f64,
    /// Variance of the gradients' noise in units of the curvature, at least 0.
    pub noise: f64,
    /// What divides it.
    pub batch_size: usize,
}

/// Linear regression on fresh examples: x normal with variances λᵢ = i^-capacity, y = x·w* + √noise ε with w*ᵢ² = i^-source,
/// squared error by half, weights that begin at 0. The validation loss is what is above the least there is: ½ Σ λᵢ (wᵢ - w*ᵢ)².
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Regression {
    /// Weights.
    pub dimensions: usize,
    /// How fast the variances of x fall, at least 0.
    pub capacity: f64,
    /// How fast the squares of the true weights fall, at least 0.
    pub source: f64,
    /// Variance of what no weights explain, at least 0.
    pub noise: f64,
    /// Examples of a step.
    pub batch_size: usize,
}

/// A parameter of a task that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnParameter {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Whether PyTorch has the two of them the other way round.
    pub turned: bool,
}

/// A task that is not known here: what its program has said of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Own {
    /// Its name.
    pub task: String,
    /// What the sweep file says of it: a JSON object.
    pub params: serde_json::Value,
    /// Its version, for all that the rest does not tell.
    pub version: String,
    /// Its parameters, in their order.
    pub parameters: Vec<OwnParameter>,
    /// What its parameters begin with.
    pub init: Vec<String>,
    /// Training examples.
    pub examples: usize,
    /// Validation and test examples.
    pub held_out: [usize; 2],
    /// Examples of a step.
    pub batch_size: usize,
}

/// What follows a fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(z, 0).
    #[default]
    Relu,
    /// PyTorch's default GELU, by the error function.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The default is not written: a model without the key is the same model.
    fn is_relu(&self) -> bool {
        *self == Self::Relu
    }
}

impl Model {
    /// Whether nothing of what it does counts as right or wrong, so that it has no accuracy. A task of the user's own says
    /// with each evaluation whether it has one.
    pub fn lacks_accuracy(&self) -> bool {
        match self {
            Self::Vae { .. } | Self::Quadratic(_) | Self::PowerLawRegression(_) => true,
            Self::Mlp { .. } | Self::Lenet | Self::CharGpt { .. } | Self::Own(_) => false,
        }
    }

    /// Characters of a window, where the model reads text.
    pub fn context(&self) -> usize {
        if let Self::CharGpt { context, .. } = self { *context } else { 1 }
    }
}
