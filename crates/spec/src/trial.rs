//! The plain types that the rest of the workspace speaks: what one training run is, fully decided.
//! No parsing and no defaults live here; `spec` makes these values, `trainer` and `store` read them.

mod data;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schedule::tree::Tree;
use schedule::{Schedule, State};

pub use data::{Data, Dataset, Found, Source, Table, Text};
pub use model::{Choice, Model, Own, OwnParameter};

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
    pub optimizer: Choice,
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
    /// A safetensors file, with weights in PyTorch's layout; of a trial the one that is kept for it.
    pub file: String,
    /// What the result depends on: the file's blake3 hash in hex; of a trial the hash of its final weights.
    pub blake3: String,
    /// The stored trial whose weights these are, where a trial was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
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
        Self { file, blake3, trial: None, names: Vec::new(), fresh: Vec::new(), keep_optimizer: false }
    }

    /// As the sweep file names it.
    pub fn source(&self) -> String {
        self.trial.as_ref().map_or_else(|| self.file.clone(), |id| format!("trial:{id}"))
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

impl Network {
    /// Examples of a step.
    pub fn batch_size(&self) -> usize {
        self.data.as_ref().map_or_else(|| self.model.batch_size(), |data| data.batch_size)
    }
}

impl Task {
    /// Where the first weights of a model of ours come from, if not from the seed alone.
    pub fn init_from(&self) -> Option<&InitFrom> {
        self.network()?.init_from.as_ref()
    }

    /// The same, to say where the file is.
    pub fn init_from_mut(&mut self) -> Option<&mut InitFrom> {
        match &mut self.learner {
            Learner::Network(network) => network.init_from.as_mut(),
            Learner::Program { .. } => None,
        }
    }

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
            Learner::Program { trainer } => {
                trainer.care = Care::default();
                trainer.params.sort_all_objects();
            }
            Learner::Network(network) => {
                if let Some(init) = &mut network.init_from {
                    init.file.clear();
                    // The hash says nothing of the optimiser's state, which follows from the trial.
                    init.trial = init.trial.take().filter(|_| init.keep_optimizer);
                }
                if let Some(data) = &mut network.data {
                    data.dataset.forget_files();
                }
                if let Model::Own(own) = &mut network.model {
                    own.params.sort_all_objects();
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
