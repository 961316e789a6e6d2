//! How much memory training takes, from shapes alone.

use spec::trial::{Optimizer, Task, Trial};

use crate::data::PIXEL_BYTES;
use crate::model::{self, PIXELS};

/// Bytes of the state of one lane that trains this trial: weights, moments, averages, what rules keep.
pub fn state_bytes(trial: &Trial) -> u64 {
    let schedule = &trial.config.schedule;
    let moments = match trial.config.task.optimizer {
        Optimizer::Sgd { momentum, .. } => u64::from(momentum > 0.0 || schedule.momentum(0).is_some()),
        Optimizer::Adamw { .. } => 2,
    };
    let averages = if schedule.averages() { 2 } else { 0 };
    let copies = 1 + moments + averages + schedule.keeps().len() as u64;
    4 * model::size(&trial.config.task.model) * copies
}

/// Bytes that each thread needs beside the states, for batches, activations and gradients.
pub fn work_bytes(task: &Task) -> u64 {
    let chunk = crate::work::chunk(&task.model).max(task.data.batch_size) as u64;
    let activations = model::activations(&task.model) + PIXELS as u64;
    4 * (model::size(&task.model) + 3 * chunk * activations)
}

/// Bytes of the data set in memory.
pub fn data_bytes(task: &Task) -> u64 {
    let (train, valid, test) = task.data.dataset.sizes(task.data.limit);
    ((train + valid + test) * PIXEL_BYTES) as u64
}
