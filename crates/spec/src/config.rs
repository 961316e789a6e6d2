//! Makes a config: a schedule resolved for the runs of a task, and its id.

use std::sync::Arc;

use schedule::groups::name_hint;
use schedule::problem::Problem;
use schedule::tree::{Place, Tree};
use schedule::{Horizon, Schedule};

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
    if let Some(network) = task.network().filter(|_| schedule.is_grouped())
        && let Some(problem) = groups_problem(&schedule, &network.param_groups)
    {
        return Err(vec![problem]);
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

/// Why the groups of a schedule do not fit those of the model's parameters.
fn groups_problem(schedule: &Schedule, of_model: &[(String, Vec<String>)]) -> Option<Problem> {
    let problem = |message: String| Problem::new(Place::default(), "", message);
    if of_model.is_empty() {
        let message = "a schedule with `groups` needs `param_groups`, the parameters of each group";
        let hint = "as in `param_groups: {matrices: [\"*.weight\"], rest: [\"*\"]}` at the top of the file";
        return Some(problem(message.to_owned()).with_hint(hint));
    }
    if schedule.group_momenta(0).any(|momentum| momentum.is_some()) {
        let message = "the momentum of a built-in model can't be cycled by parameter group";
        return Some(problem(message.to_owned()).with_hint("remove `momentum`, or use a `trainer` program"));
    }
    let own = || schedule.groups().map(|group| group.name);
    let known = || of_model.iter().map(|(name, _)| name.as_str());
    if let Some(name) = own().find(|name| !known().any(|known| known == *name)) {
        let found = problem(format!("`param_groups` has no group `{name}`"));
        return Some(found.with_hint(name_hint(name, known())));
    }
    let name = known().find(|name| !own().any(|own| own == *name))?;
    let found = problem(format!("the schedule has no group `{name}`, which is in `param_groups`"));
    Some(found.with_hint(name_hint(name, own())))
}
