//! The plain types of a fully configured training run, which the whole workspace uses. No parsing and no defaults live here:
//! the readers of this crate make these values, `trainer` and `store` read them.

mod data;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schedule::tree::Tree;
use schedule::{Schedule, State};

pub use data::{Data, DataInfo, Dataset, Source, Table, Text};
pub use model::{Choice, CustomParameter, CustomTaskSpec, Model};

/// One training run: a point of the grid with its seed.
#[derive(Debug, Clone)]
pub struct Trial {
    /// 32 hex digits: hash of everything that determines the result.
    pub id: String,
    /// The point of the grid.
    pub config: Arc<Config>,
    /// Seed of the initial weights, the shuffles and all other random numbers.
    pub seed: u64,
}

/// One point of the grid without its seed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Short hash (12 hex digits) of everything except the seed and the schedule's name.
    pub id: String,
    /// The schedule's name in the sweep file.
    pub schedule_name: String,
    /// The base lr, `1x`.
    pub base_lr: f64,
    /// The schedule, resolved for this run.
    pub schedule: Schedule,
    /// Model, data, optimizer and length of the run: everything except the schedule.
    pub task: Task,
    /// Path and value of each axis except `lr` and the seed, as shown to users.
    pub axes: Vec<(String, String)>,
    /// The schedule as written, each axis replaced by its value.
    pub written: Arc<Tree>,
}

/// Everything that determines a run's result, except the seed and the lr sequence.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Task {
    /// The network or the program to train.
    #[serde(flatten)]
    pub workload: Workload,
    /// Length of the run in steps.
    pub steps: u64,
    /// Steps in an epoch: training examples / batch size, the last short batch dropped. `None` if unknown, which a custom
    /// program may leave open.
    pub steps_per_epoch: Option<u64>,
    /// The validation loss is measured every `evaluate_every` steps, and after the last one.
    pub evaluate_every: u64,
    /// A run has diverged when its loss is NaN, infinite, or more than this multiple of its initial loss.
    pub diverge_above: f64,
}

/// The object of the training: a network that this workspace trains, or a program that trains by itself.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Workload {
    /// A network: a built-in model or a custom task.
    Network(Box<Network>),
    /// A custom program that receives the lrs and reports the losses.
    Program {
        /// The program.
        trainer: Program,
    },
}

/// A network, its data and its optimizer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Network {
    /// Where the examples come from; `None` if the model is a task with its own examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The model.
    pub model: Model,
    /// How it is updated.
    pub optimizer: Choice,
    /// Gradients with a larger global 2-norm are scaled down to this norm.
    pub clip_norm: Option<f64>,
    /// Where the initial weights come from; `None` if only the seed determines them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<InitFrom>,
    /// Patterns of parameters that are not trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Patterns of parameters and the factor on their lr, above 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lr_multipliers: Vec<(String, f64)>,
    /// Parameter groups of schedules with groups, in order: the name of each, and the patterns of its parameters. The first match counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub param_groups: Vec<(String, Vec<String>)>,
}

/// Initial weights from a file.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InitFrom {
    /// A safetensors file with weights in PyTorch's layout. For a stored trial: the file that the store keeps for it.
    pub file: String,
    /// Identifies the weights: the file's blake3 hash in hex; for a stored trial the hash of its final weights.
    pub blake3: String,
    /// The stored trial whose weights these are, if the sweep file names a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// Patterns of this model's parameter names, and the names in the file; `*` matches the same text on both sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(String, String)>,
    /// Patterns of parameters that are initialized from the seed and not from the file, as for a new head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<String>,
    /// Whether the optimizer continues with its state in the file; otherwise its state is reset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_optimizer: bool,
}

impl InitFrom {
    /// All parameters of a file under this model's names, with a reset optimizer.
    pub fn plain(file: String, blake3: String) -> Self {
        Self { file, blake3, trial: None, names: Vec::new(), fresh: Vec::new(), keep_optimizer: false }
    }

    /// The source as in the sweep file: the file, or `trial:ID`.
    pub fn source(&self) -> String {
        self.trial.as_ref().map_or_else(|| self.file.clone(), |id| format!("trial:{id}"))
    }
}

/// A custom program that trains.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Program {
    /// The program and its arguments; not empty.
    pub command: Vec<String>,
    /// Files that determine what it does, with the blake3 hash of their bytes in hex.
    pub files: BTreeMap<String, String>,
    /// Parameters that it receives in addition to the trial: a JSON object.
    pub params: serde_json::Value,
    /// How it is run. The result does not depend on it.
    #[serde(rename = "care", default, skip_serializing_if = "ProgramOptions::is_default")]
    pub options: ProgramOptions,
}

/// How a program is run. Results do not depend on these options.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProgramOptions {
    /// A program that reports nothing for this long is killed.
    pub silence: Duration,
    /// The longest that one run may take.
    pub time_limit: Option<Duration>,
    /// Time between a request to stop and a kill.
    pub grace: Duration,
    /// For each environment variable, the values for worker 0, 1 and so on. All lists have the same length.
    pub slots: BTreeMap<String, Vec<String>>,
    /// Whether trials share the steps in which they are the same run, by copies of checkpoints.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share: bool,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        let (silence, grace) = (Duration::from_secs(30 * 60), Duration::from_secs(10));
        Self { silence, time_limit: None, grace, slots: BTreeMap::new(), share: false }
    }
}

impl ProgramOptions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Network {
    /// Examples per step.
    pub fn batch_size(&self) -> usize {
        self.data.as_ref().map_or_else(|| self.model.batch_size(), |data| data.batch_size)
    }
}

impl Task {
    /// Where the initial weights of a network come from; `None` if only the seed determines them.
    pub fn init_from(&self) -> Option<&InitFrom> {
        self.network()?.init_from.as_ref()
    }

    /// The same, mutable: for setting where the file is.
    pub fn init_from_mut(&mut self) -> Option<&mut InitFrom> {
        match &mut self.workload {
            Workload::Network(network) => network.init_from.as_mut(),
            Workload::Program { .. } => None,
        }
    }

    /// The network, if a network is trained.
    pub fn network(&self) -> Option<&Network> {
        match &self.workload {
            Workload::Network(network) => Some(network.as_ref()),
            Workload::Program { .. } => None,
        }
    }

    /// The custom program, if a program trains.
    pub fn program(&self) -> Option<&Program> {
        match &self.workload {
            Workload::Network(_) => None,
            Workload::Program { trainer } => Some(trainer),
        }
    }

    /// The task without the values that no result depends on: what ids are hashed from.
    pub(crate) fn identity(&self) -> Self {
        let mut task = self.clone();
        match &mut task.workload {
            Workload::Program { trainer } => {
                trainer.options = ProgramOptions::default();
                trainer.params.sort_all_objects();
            }
            Workload::Network(network) => {
                if let Some(init) = &mut network.init_from {
                    init.file.clear();
                    // The hash does not cover the optimizer's state, which the trial determines.
                    init.trial = init.trial.take().filter(|_| init.keep_optimizer);
                }
                if let Some(data) = &mut network.data {
                    data.dataset.forget_files();
                }
                if let Model::Custom(own) = &mut network.model {
                    own.params.sort_all_objects();
                }
            }
        }
        task
    }

    /// The same under a schedule: parameter groups matter only under one that has groups.
    pub(crate) fn identity_under(&self, schedule: &Schedule) -> Self {
        let mut task = self.identity();
        if let (Workload::Network(network), false) = (&mut task.workload, schedule.is_grouped()) {
            network.param_groups.clear();
        }
        task
    }

    /// Whether the run evaluates after step `t`, counted from 0.
    pub fn evaluates_after(&self, t: u64) -> bool {
        let done = t + 1;
        done == self.steps || done.is_multiple_of(self.evaluate_every)
    }
}

impl Config {
    /// The complete configuration as JSON, as the database stores it.
    pub fn json(&self) -> serde_json::Value {
        crate::json::config(&self.written, self.base_lr, &self.task)
    }

    /// A fresh state for the schedule's closed-loop rules.
    pub fn start(&self) -> State {
        self.schedule.start()
    }
}
