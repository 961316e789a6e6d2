//! How much memory training takes, from shapes alone.

use spec::trial::{Task, Trial};

use crate::data::PIXEL_BYTES;
use crate::model::direct::activations;
use crate::model::{self, PIXELS};
use crate::optimizer::moments;

/// Bytes of the state of one lane that trains this trial: weights, moments, averages, what rules keep.
pub fn state_bytes(trial: &Trial) -> u64 {
    let schedule = &trial.config.schedule;
    let moments = moments(&trial.config.task.optimizer, schedule.momentum(0).is_some()).len() as u64;
    let averages = if schedule.averages() { 2 } else { 0 };
    let copies = 1 + moments + averages + schedule.keeps().len() as u64;
    4 * model::size(&trial.config.task.model) * copies
}

/// Bytes that each thread needs beside the states, for batches, activations and gradients.
pub fn work_bytes(task: &Task) -> u64 {
    let chunk = crate::work::chunk(&task.model).max(task.data.batch_size) as u64;
    let numbers = activations(&task.model) + PIXELS as u64;
    4 * (model::size(&task.model) + 3 * chunk * numbers)
}

/// Bytes of the data set in memory.
pub fn data_bytes(task: &Task) -> u64 {
    let (train, valid, test) = task.data.dataset.sizes(task.data.limit);
    ((train + valid + test) * PIXEL_BYTES) as u64
}
