//! The plain types that the rest of the workspace speaks: what one training run is, fully decided.
//! No parsing and no defaults live here; `spec` makes these values, `trainer` and `store` read them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schedule::tree::Tree;
use schedule::{Schedule, State};

/// One training run: a point of the grid with its seed.
#[derive(Debug, Clone)]
pub struct Trial {
    /// 32 hex digits: hash of everything that determines the result.
    pub id: String,
    /// The point of the grid.
    pub config: Arc<Config>,
    /// Seed of the initial weights, the shuffles and all other random draws.
    pub seed: u64,
}

/// One point of the grid without its seed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Short hash (12 hex digits) of everything but the seed and the schedule's name.
    pub id: String,
    /// The schedule's name in the sweep file.
    pub schedule_name: String,
    /// The base lr, `1x`.
    pub base_lr: f64,
    /// The schedule, fitted to this run.
    pub schedule: Schedule,
    /// What is trained and how, apart from the schedule.
    pub task: Task,
    /// Path and value of each axis but `lr` and the seed, for people.
    pub axes: Vec<(String, String)>,
    /// The schedule as written, each axis replaced by its value.
    pub written: Arc<Tree>,
}

/// Everything that determines a run's result besides the seed and the lr sequence.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Task {
    /// What learns.
    #[serde(flatten)]
    pub learner: Learner,
    /// Length of the run in steps.
    pub steps: u64,
    /// Steps in an epoch: training images / batch size, the last short batch dropped. Of a program it may be unknown.
    pub steps_per_epoch: Option<u64>,
    /// The validation loss is taken after each `evaluate_every` steps, and after the last one.
    pub evaluate_every: u64,
    /// A run has diverged when its loss is NaN, infinite, or above this multiple of its first loss.
    pub diverge_above: f64,
}

/// What learns: a model of ours, or a program of the user's own.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Learner {
    /// A model that ships with the tool.
    Network(Box<Network>),
    /// A program that is told the lrs and reports the losses.
    Program {
        /// Which.
        trainer: Program,
    },
}

/// A model of ours, its data and its optimiser.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Network {
    /// Where the examples come from; none where the model is a task that makes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// What is trained.
    pub model: Model,
    /// How it is updated.
    pub optimizer: Optimizer,
    /// Gradients are scaled down to this global 2-norm when they exceed it.
    pub clip_norm: Option<f64>,
    /// Where the first weights come from, if not from the seed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<InitFrom>,
    /// Patterns of parameters that stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Patterns of parameters and the factor on their lr, above 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lr_multipliers: Vec<(String, f64)>,
}

/// Weights to begin with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InitFrom {
    /// A safetensors file, with weights in PyTorch's layout.
    pub file: String,
    /// Its blake3 hash in hex: what the result depends on.
    pub blake3: String,
    /// Patterns of our names, and the names in the file; `*` stands for the same text on both sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(String, String)>,
    /// Patterns of parameters that the seed initialises all the same, as for a new head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<String>,
    /// Whether the optimiser goes on with the state that the file has of it; else it has seen nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_optimizer: bool,
}

impl InitFrom {
    /// All parameters of a file under our own names, for an optimiser that has seen nothing.
    pub fn plain(file: String, blake3: String) -> Self {
        Self { file, blake3, names: Vec::new(), fresh: Vec::new(), keep_optimizer: false }
    }
}

/// A program of the user's own.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Program {
    /// The program and its arguments, one at least.
    pub command: Vec<String>,
    /// Files that decide what it does, with the blake3 hash of their bytes in hex.
    pub files: BTreeMap<String, String>,
    /// What it is told besides the trial: a JSON object.
    pub params: serde_json::Value,
    /// How it is run; no part of what the result depends on.
    #[serde(default, skip_serializing_if = "Care::is_default")]
    pub care: Care,
}

/// How a program is run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Care {
    /// A program that reports nothing for so long is killed.
    pub silence: Duration,
    /// So much time one run may take.
    pub time_limit: Option<Duration>,
    /// Between a request to stop and a kill.
    pub grace: Duration,
    /// For each environment variable the values for worker 0, 1 and so on. All lists are of the same length.
    pub slots: BTreeMap<String, Vec<String>>,
}

impl Default for Care {
    fn default() -> Self {
        let (silence, grace) = (Duration::from_secs(30 * 60), Duration::from_secs(10));
        Self { silence, time_limit: None, grace, slots: BTreeMap::new() }
    }
}

impl Care {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Data set and batches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Data {
    /// Which set.
    pub dataset: Dataset,
    /// Examples in a batch, at least 1.
    pub batch_size: usize,
    /// Only the first so many training examples (and at most as many validation and test examples).
    pub limit: Option<usize>,
}

/// The data sets that ship with the tool or are found on the machine, and those of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataset {
    /// MNIST's 28x28 digits: 50,000 training, 10,000 validation, 10,000 test images.
    Mnist,
    /// Fashion-MNIST: the same sizes.
    FashionMnist,
    /// The first 2,000 training images of MNIST, for tests and first tries.
    Digits,
    /// Jane Austen's novel Emma, as text.
    Emma,
    /// Labelled rows or images in files of the user's own.
    Table(Table),
    /// A text in a file of the user's own.
    Text(Text),
}

/// Labelled examples in files of the user's own, with the sizes that they were found to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Table {
    /// What is read.
    pub source: Source,
    /// The blake3 hash of the files' bytes in hex: what the result depends on.
    pub blake3: String,
    /// Numbers of an example.
    pub inputs: usize,
    /// Different labels, 2 at least.
    pub classes: usize,
    /// Whether the numbers are bytes, as in images: these are scaled together, columns of a table each for itself.
    pub bytes: bool,
    /// Training examples, 1 at least.
    pub train: usize,
    /// Validation examples, 1 at least.
    pub valid: usize,
    /// Test examples.
    pub test: usize,
}

/// Files of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Source {
    /// A table of numbers with a line of column names; one column is the label.
    Csv {
        /// The file.
        file: String,
        /// Name of the column.
        label: String,
    },
    /// NumPy arrays by name.
    Npz {
        /// The file.
        file: String,
        /// Name of the examples, (examples, ...).
        x: String,
        /// Name of the labels, (examples).
        y: String,
    },
    /// Two IDX files, as MNIST's.
    Idx {
        /// The examples, (examples, ...).
        file: String,
        /// The labels, (examples).
        labels: String,
    },
}

/// What was found in [`Source`] files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The blake3 hash of the files' bytes in hex.
    pub blake3: String,
    /// Examples in all.
    pub examples: usize,
    /// Numbers of an example.
    pub inputs: usize,
    /// Different labels.
    pub classes: usize,
    /// Whether the numbers are bytes.
    pub bytes: bool,
}

/// A text of the user's own, with the sizes that it was found to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// The file, UTF-8.
    pub file: String,
    /// The blake3 hash of its bytes in hex: what the result depends on.
    pub blake3: String,
    /// Different characters.
    pub alphabet: usize,
    /// Characters that are trained on.
    pub train: usize,
    /// Characters of the validation part, which follows.
    pub valid: usize,
    /// Characters of the test part, which is the end.
    pub test: usize,
}

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
    /// Convolution 5x5x16, pool, convolution 5x5x32, pool, linear 128, linear 10, ReLU between.
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
/// ½ Σ hᵢ (wᵢ + ξ'ᵢ)², of which that is the gradient; the validation loss has no noise.
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
    /// Training examples.
    pub examples: usize,
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

/// The optimisers.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Optimizer {
    /// PyTorch's SGD.
    Sgd {
        /// In [0, 1); 0 keeps no velocity.
        momentum: f64,
        /// Nesterov's form; needs momentum.
        nesterov: bool,
        /// L2 penalty added to the gradient, at least 0.
        weight_decay: f64,
    },
    /// PyTorch's AdamW.
    Adamw {
        /// Decay of the first moment, in [0, 1).
        beta1: f64,
        /// Decay of the second moment, in [0, 1).
        beta2: f64,
        /// Added to the root of the second moment, above 0.
        eps: f64,
        /// Decoupled weight decay, at least 0.
        weight_decay: f64,
    },
}

impl Dataset {
    /// Its different characters, and how many characters are for training, validation and test.
    pub const EMMA: (usize, [usize; 3]) = (75, [705_844, 88_230, 88_230]);

    /// Training, validation and test examples (of a text: characters) that there are.
    fn all(&self) -> [usize; 3] {
        match self {
            Self::Mnist | Self::FashionMnist => [50_000, 10_000, 10_000],
            Self::Digits => [2_000; 3],
            Self::Emma => Self::EMMA.1,
            Self::Table(table) => [table.train, table.valid, table.test],
            Self::Text(text) => [text.train, text.valid, text.test],
        }
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Emma | Self::Text(_))
    }

    /// Numbers of an example, and classes; of a text the different characters stand for both.
    pub fn shape(&self) -> (usize, usize) {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Digits => (784, 10),
            Self::Emma => (Self::EMMA.0, Self::EMMA.0),
            Self::Table(table) => (table.inputs, table.classes),
            Self::Text(text) => (text.alphabet, text.alphabet),
        }
    }

    /// Training, validation and test examples that a run with this `limit` sees. An example of a text is a window of
    /// `context` characters and the one that follows it.
    pub fn sizes(&self, context: usize, limit: Option<usize>) -> [usize; 3] {
        let limit = limit.unwrap_or(usize::MAX);
        let windows = |n: usize| if self.is_text() { n / context.max(1) } else { n };
        // A text's training windows begin at another place in each epoch, for which one of them is left out.
        let [train, valid, test] = self.all();
        let train = if self.is_text() { windows(train).saturating_sub(1) } else { train };
        let windows = |n: usize| if self.is_text() { windows(n.saturating_sub(1)) } else { n };
        [train, windows(valid), windows(test)].map(|n| n.min(limit))
    }
}

impl Dataset {
    /// Where files lie is no part of what a result depends on.
    fn forget_files(&mut self) {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Digits | Self::Emma => {}
            Self::Text(text) => text.file.clear(),
            Self::Table(table) => match &mut table.source {
                Source::Csv { file, .. } | Source::Npz { file, .. } => file.clear(),
                Source::Idx { file, labels } => {
                    file.clear();
                    labels.clear();
                }
            },
        }
    }
}

impl Model {
    /// Characters of a window, where the model reads text.
    pub fn context(&self) -> usize {
        if let Self::CharGpt { context, .. } = self { *context } else { 1 }
    }
}

impl Network {
    /// Examples of a step.
    pub fn batch_size(&self) -> usize {
        match (&self.data, &self.model) {
            (Some(data), _) => data.batch_size,
            (None, Model::Quadratic(task)) => task.batch_size,
            (None, Model::PowerLawRegression(task)) => task.batch_size,
            (None, Model::Own(task)) => task.batch_size,
            (None, _) => 1,
        }
    }

    /// Training examples, if there is an end of them.
    pub fn examples(&self) -> Option<usize> {
        match (&self.data, &self.model) {
            (Some(data), model) => Some(data.dataset.sizes(model.context(), data.limit)[0]),
            (None, Model::Own(task)) => Some(task.examples),
            (None, _) => None,
        }
    }
}

impl Task {
    /// The model of ours that learns, if one does.
    pub fn network(&self) -> Option<&Network> {
        match &self.learner {
            Learner::Network(network) => Some(network.as_ref()),
            Learner::Program { .. } => None,
        }
    }

    /// The program of the user's own that learns, if one does.
    pub fn program(&self) -> Option<&Program> {
        match &self.learner {
            Learner::Network(_) => None,
            Learner::Program { trainer } => Some(trainer),
        }
    }

    /// The same without what no result depends on.
    pub(crate) fn identity(&self) -> Self {
        let mut task = self.clone();
        match &mut task.learner {
            Learner::Program { trainer } => trainer.care = Care::default(),
            Learner::Network(network) => {
                if let Some(init) = &mut network.init_from {
                    init.file.clear();
                }
                if let Some(data) = &mut network.data {
                    data.dataset.forget_files();
                }
            }
        }
        task
    }

    /// Whether the run evaluates after step `t` (from 0).
    pub fn evaluates_after(&self, t: u64) -> bool {
        let done = t + 1;
        done == self.steps || done.is_multiple_of(self.evaluate_every)
    }
}

impl Config {
    /// The whole configuration as JSON, as the database stores it.
    pub fn json(&self) -> serde_json::Value {
        crate::json::config(&self.written, self.base_lr, &self.task)
    }

    /// A fresh state for the schedule's closed-loop rules.
    pub fn start(&self) -> State {
        self.schedule.start()
    }
}
