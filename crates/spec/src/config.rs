//! Makes a config: a schedule resolved for the runs of a task, and its id.

use std::sync::Arc;

use schedule::Horizon;
use schedule::problem::Problem;
use schedule::tree::{Place, Tree};

use crate::id;
use crate::trial::Config;

/// A config from its parts, and the hash that identifies it.
///
/// # Errors
/// The schedule does not fit the run: its lengths, or what it needs from the trainer.
pub(crate) fn fit(
    name: &str,
    node: &schedule::Node,
    written: &Arc<Tree>,
    base_lr: f64,
    task: &crate::trial::Task,
) -> Result<(Config, blake3::Hash), Vec<Problem>> {
    let horizon = Horizon { base_lr, total: task.steps, steps_per_epoch: task.steps_per_epoch };
    let schedule = node.resolve(&horizon)?;
    if task.program().is_some() && schedule.uses_vectors() {
        let message =
            "this schedule needs access to the model's weights, which a `trainer` program does not provide";
        return Err(vec![Problem::new(Place::default(), "", message)]);
    }
    let tuned = task.network().is_some_and(|net| !net.freeze.is_empty() || !net.lr_multipliers.is_empty());
    if tuned && schedule.averages() {
        let message =
            "this schedule averages all weights, so it can't be combined with `freeze` or `lr_multipliers`";
        return Err(vec![Problem::new(Place::default(), "", message)]);
    }
    if task.network().is_some() && schedule.is_grouped() {
        let message = "only a `trainer` program can have a schedule by parameter group";
        return Err(vec![Problem::new(Place::default(), "", message)]);
    }
    let hash = id::config(task, base_lr, &schedule, node.expanded());
    let config = Config {
        id: id::short(&hash, 12),
        schedule_name: name.to_owned(),
        base_lr,
        schedule,
        task: task.clone(),
        axes: Vec::new(),
        written: Arc::clone(written),
    };
    Ok((config, hash))
}
