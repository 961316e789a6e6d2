//! How much memory training takes, from shapes alone. What a program of the user's own takes is not known, and counts as
//! nothing.

use spec::trial::{Network, Task, Trial};

use crate::data::PIXEL_BYTES;
use crate::model::direct::activations;
use crate::model::{self, PIXELS};
use crate::optimizer::moments;

/// Bytes of the state of one lane that trains this trial: weights, moments, averages, what rules keep.
pub fn state_bytes(trial: &Trial) -> u64 {
    let Some(network) = trial.config.task.network() else { return 0 };
    let schedule = &trial.config.schedule;
    let moments = moments(&network.optimizer, schedule.momentum(0).is_some()).len() as u64;
    let averages = if schedule.averages() { 2 } else { 0 };
    let copies = 1 + moments + averages + schedule.keeps().len() as u64;
    4 * model::size(&network.model) * copies
}

/// Bytes that each thread needs beside the states, for batches, activations and gradients.
pub fn work_bytes(task: &Task) -> u64 {
    let Some(Network { data, model, .. }) = task.network() else { return 0 };
    let chunk = crate::work::chunk(model).max(data.batch_size) as u64;
    let numbers = activations(model) + PIXELS as u64;
    4 * (model::size(model) + 3 * chunk * numbers)
}

/// Bytes of the data set in memory.
pub fn data_bytes(task: &Task) -> u64 {
    let Some(Network { data, .. }) = task.network() else { return 0 };
    let (train, valid, test) = data.dataset.sizes(data.limit);
    ((train + valid + test) * PIXEL_BYTES) as u64
}
