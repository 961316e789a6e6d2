//! The programs that train a plan's trials: whether they are here, and how many may run at a time.

use std::collections::BTreeSet;
use std::path::Path;

use spec::Plan;
use spec::trial::Trial;

use crate::Error;

/// The programs of a plan that can't be found here, in words.
pub fn missing(plan: &Plan) -> Vec<String> {
    names(plan.trials.iter()).into_iter().filter_map(|name| find(name).err()).collect()
}

/// # Errors
/// A program of these trials can't be found here.
pub(crate) fn check<'a>(trials: impl Iterator<Item = &'a Trial>) -> Result<(), Error> {
    names(trials).into_iter().try_for_each(|name| find(name).map_err(Error::Usage))
}

fn names<'a>(trials: impl Iterator<Item = &'a Trial>) -> BTreeSet<&'a String> {
    trials.filter_map(|trial| trial.config.task.program()?.command.first()).collect()
}

/// Says why a program can't be found, with a name that can.
fn find(name: &str) -> Result<(), String> {
    if which::which(name).is_ok() {
        return Ok(());
    }
    let path = Path::new(name);
    if name.contains('/') && path.exists() {
        let what = if path.is_dir() { "is a folder" } else { "is no program that may be run (`chmod +x`?)" };
        return Err(format!("`{name}` of `trainer.command` {what}"));
    }
    let instead = [format!("{name}3"), name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()];
    let instead = instead.iter().find(|other| *other != name && which::which(other).is_ok());
    let hint = instead.map_or(String::new(), |other| format!("; there is `{other}`"));
    Err(format!("the program `{name}` of `trainer.command` is not to be found on PATH{hint}"))
}

/// Worker threads for a plan: one for each slot of its programs, or one for each core.
pub fn workers(plan: &Plan) -> usize {
    let programs = plan.trials.iter().filter_map(|trial| trial.config.task.program());
    let slots = programs.flat_map(|program| program.care.slots.values().map(Vec::len));
    slots.min().unwrap_or_else(cores)
}

/// The cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
