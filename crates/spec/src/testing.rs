//! What tests of several parts of the reader share.

use crate::World;
use crate::trial::Task;

/// The task of the first trial that a text plans, or all that is wrong with it: a line for each problem.
pub(crate) fn task(text: &str, world: &World<'_>) -> Result<Task, String> {
    let plan = crate::read_with(text, "x", world).and_then(|spec| crate::plan(&spec));
    plan.map(|plan| plan.trials[0].config.task.clone()).map_err(|found| {
        let told = found.iter().map(|p| format!("{}: {} ({:?})", p.path, p.message, p.hint));
        told.collect::<Vec<_>>().join("\n")
    })
}
