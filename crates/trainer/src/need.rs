//! How much memory training takes, from shapes alone. What a program of the user's own takes is not known, and counts as
//! nothing.

use spec::trial::{Dataset, Model, Network, Task, Trial};

use crate::model::direct::activations;
use crate::model::{self, Arch};
use crate::optimizer::moments;
use crate::stack::BLOCK;

/// Bytes of the state of one lane that trains this trial: weights, moments, averages, what rules keep.
pub fn state_bytes(trial: &Trial) -> u64 {
    let Some(network) = trial.config.task.network() else { return 0 };
    let schedule = &trial.config.schedule;
    let moments = moments(&network.optimizer, schedule.momentum(0).is_some()).len() as u64;
    let averages = if schedule.averages() { 2 } else { 0 };
    let copies = 1 + moments + averages + schedule.keeps().len() as u64;
    4 * model::size(network) * copies
}

/// Bytes that each thread needs beside the states, for batches, activations and gradients. Of a task of the user's own nobody
/// knows more than what its parameters say.
pub fn work_bytes(task: &Task) -> u64 {
    let Some(network) = task.network() else { return 0 };
    let arch = Arch::of(network);
    let chunk = crate::work::chunk(&network.model).max(network.batch_size()) as u64;
    let numbers = activations(&arch).unwrap_or_else(|| graph(&arch)) + arch.inputs as u64;
    let batches = BLOCK as u64 * network.batch_size() as u64;
    4 * (model::size(network) + 3 * chunk * numbers + batches * example(&arch))
}

/// Numbers of one example in a batch.
fn example(arch: &Arch) -> u64 {
    let numbers = match &arch.kind {
        // At most: the numbers that are not zero with their places, by image and by pixel.
        Model::Mlp { .. } => 4 * arch.inputs,
        Model::Vae { latent, .. } => arch.inputs + latent,
        Model::CharGpt { context, .. } => 2 * context,
        Model::Quadratic(task) => task.dimensions,
        Model::PowerLawRegression(task) => task.dimensions + 1,
        Model::Lenet | Model::Own(_) => arch.inputs,
    };
    numbers as u64 + 1
}

/// Numbers that candle's graph holds for one example.
fn graph(arch: &Arch) -> u64 {
    let numbers = match &arch.kind {
        // A row of the attention for each head, and what a block's layers give.
        Model::CharGpt { layers, heads, width, context } => {
            context * (layers * (14 * width + heads * context) + 2 * arch.classes)
        }
        Model::Vae { hidden, latent } => 2 * hidden.iter().sum::<usize>() + 3 * latent + arch.inputs,
        Model::Quadratic(task) => task.dimensions,
        Model::PowerLawRegression(task) => task.dimensions,
        Model::Mlp { .. } | Model::Lenet | Model::Own(_) => 0,
    };
    numbers as u64
}

/// Bytes of the data set in memory.
pub fn data_bytes(task: &Task) -> u64 {
    let Some(Network { data: Some(data), model, .. }) = task.network() else { return 0 };
    let examples: usize = data.dataset.sizes(model.context(), data.limit).into_iter().sum();
    let (inputs, _) = data.dataset.shape();
    let each = match &data.dataset {
        Dataset::Table(table) if !table.bytes => 4 * inputs + 4,
        dataset if dataset.is_text() => 4 * model.context(),
        _ => inputs + 4,
    };
    (examples * each) as u64
}
