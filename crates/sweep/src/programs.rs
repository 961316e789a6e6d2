//! The programs that train a plan's trials: whether they exist on this machine, and how many may run at a time.

use std::collections::BTreeSet;
use std::path::Path;

use spec::Plan;
use spec::trial::Trial;

use crate::Error;

/// An error message for each program of a plan that can't be found on this machine.
pub fn missing(plan: &Plan) -> Vec<String> {
    names(plan.trials.iter()).into_iter().filter_map(|name| find(name).err()).collect()
}

/// # Errors
/// A program of these trials can't be found on this machine.
pub(crate) fn check<'a>(trials: impl Iterator<Item = &'a Trial>) -> Result<(), Error> {
    names(trials).into_iter().try_for_each(|name| find(name).map_err(Error::Usage))
}

fn names<'a>(trials: impl Iterator<Item = &'a Trial>) -> BTreeSet<&'a String> {
    trials.filter_map(|trial| trial.config.task.program()?.command.first()).collect()
}

/// Checks that a program can be found. The error suggests a similar name.
fn find(name: &str) -> Result<(), String> {
    if which::which(name).is_ok() {
        return Ok(());
    }
    let path = Path::new(name);
    if name.contains('/') && path.exists() {
        let what = if path.is_dir() { "is a folder" } else { "is not executable (`chmod +x`?)" };
        return Err(format!("`{name}` of `trainer.command` {what}"));
    }
    let similar = [format!("{name}3"), name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()];
    let similar = similar.iter().find(|other| *other != name && which::which(other).is_ok());
    let hint = similar.map_or(String::new(), |other| format!("; did you mean `{other}`?"));
    Err(format!("program `{name}` of `trainer.command` not found on PATH{hint}"))
}

/// Number of worker threads for a plan: one for each slot of its programs, or one for each core.
pub fn workers(plan: &Plan) -> usize {
    let programs = plan.trials.iter().filter_map(|trial| trial.config.task.program());
    let slots = programs.flat_map(|program| program.options.slots.values().map(Vec::len));
    slots.min().unwrap_or_else(cores)
}

/// Number of cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
