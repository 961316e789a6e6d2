//! Estimates the memory that training needs, from shapes only. The memory of external programs is unknown and counts as 0.

use spec::trial::{Dataset, Network, Task, Trial};

use crate::model::Arch;
use crate::model::direct::Layer;
use crate::optimizer::state_names;
use crate::plan::{Graph, Plan, Use};
use crate::shared::BLOCK;

/// Bytes of the state of one lane that trains this trial: weights, optimizer state, averages and tensors of rules.
pub fn state_bytes(trial: &Trial) -> u64 {
    let Some((network, arch)) = of(&trial.config.task) else { return 0 };
    let schedule = &trial.config.schedule;
    let state = state_names(&network.optimizer, schedule.momentum(0).is_some()).len() as u64;
    let averages = if schedule.averages() { 2 } else { 0 };
    let copies = 1 + state + averages + schedule.kept_vectors().len() as u64;
    4 * arch.size() * copies
}

/// Bytes that each thread needs in addition to the states, for batches, activations and gradients. For a custom task only the
/// parameters are known, so its activations are not counted.
pub fn work_bytes(task: &Task) -> u64 {
    let Some((network, arch)) = of(task) else { return 0 };
    let (model, sizes) = (&arch.architecture, arch.sizes);
    let (chunk, batch) = (model.chunk() as u64, network.batch_size() as u64);
    let numbers = match (arch.layers(), Graph::of(network, &arch)) {
        (Some(layers), _) => {
            let outputs: usize = layers.iter().map(Layer::outputs).sum();
            3 * chunk.max(batch) * (outputs + sizes.inputs) as u64
        }
        (None, Some(graph)) => {
            let plan = |for_what, examples| Plan::numbers(&graph, for_what) as u64 * examples;
            plan(Use::Train, batch) + plan(Use::Evaluate, chunk)
        }
        (None, None) => 3 * chunk.max(batch) * (model.numbers_in_graph(sizes) + sizes.inputs) as u64,
    };
    // The label is one number more.
    let example = model.numbers_in_batch(sizes) as u64 + 1;
    let batches = BLOCK as u64 * batch + chunk;
    4 * (arch.size() + numbers + batches * example)
}

/// The network of a task and its architecture, if the model is known.
fn of(task: &Task) -> Option<(&Network, Arch)> {
    let network = task.network()?;
    Some((network, Arch::of(network).ok()?))
}

/// Bytes of the data set in memory. Images with many zero pixels take less, because zeros are not stored.
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
