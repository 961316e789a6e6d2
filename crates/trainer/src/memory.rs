//! Estimates the memory that training needs, from shapes only. The memory of external programs is unknown and counts as 0.

use spec::trial::{Dataset, Network, Task, Trial};

use crate::data::{Form, Labelled};
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
    4 * (arch.size() + numbers + numbers_in_batches(&arch, batch))
}

/// Numbers in the batches of a thread: those of the next steps, and one for evaluations.
fn numbers_in_batches(arch: &Arch, batch: u64) -> u64 {
    let (model, sizes) = (&arch.architecture, arch.sizes);
    // The label is one number more.
    let example = model.numbers_in_batch(sizes) as u64 + 1;
    // Batches of steps have the pixels of `vae` without zeros twice, by image and by pixel; evaluations need only the first copy.
    let (copy, starts) = match model.form() {
        Form::Unit => (Labelled::numbers_in_copy(sizes.inputs) as u64, sizes.inputs as u64 + 1),
        _ => (0, 0),
    };
    BLOCK as u64 * (batch * (example + 2 * copy) + starts) + model.chunk() as u64 * (example + copy)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Batch, Part, Split};

    /// As many non-zero pixels as images without their zeros can have.
    #[test]
    fn the_estimate_covers_the_batches_of_an_autoencoder() {
        const PIXELS: usize = 784;
        let bytes = || (0..40 * PIXELS).map(|at| if at % 10 < 3 { 200 } else { 0 }).collect();
        let split = || Split::bytes(bytes(), vec![0; 40]);
        let images = Labelled::new(split(), split(), split(), PIXELS);
        assert!(images.is_sparse());
        let text = "data: {dataset: digits, batch_size: 16}\nmodel: {kind: vae}\noptimizer: {kind: sgd}\n\
                    budget: {steps: 1}\nlr: 1\nschedules: {a: {kind: constant}}\n";
        let plan = crate::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        let (network, arch) = of(&plan.trials[0].config.task).expect("a network");
        let numbers = |transposed: bool, examples: usize| {
            let mut batch = Batch::new(Form::UnitAndSparse { transposed });
            images.gather(Part::Train, (0..examples).map(|i| i % 40), &mut batch);
            let noise = examples * arch.architecture.draws();
            let copies = batch.by_image.numbers() + if transposed { batch.by_pixel.numbers() } else { 0 };
            (batch.labels.len() + batch.pixels.len() + noise + copies) as u64
        };
        let size = network.batch_size();
        let all = BLOCK as u64 * numbers(true, size) + numbers(false, arch.architecture.chunk());
        let estimate = numbers_in_batches(&arch, size as u64);
        assert!(all <= estimate && estimate <= all + all / 4, "{all} and {estimate}");
    }
}
