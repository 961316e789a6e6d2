//! The schedule of a stored trial as text: YAML for a sweep file, and code for another library.

use interop::{ExportInput, Library};
use schedule::tree::{Key, Place, Tree, Value};
use spec::trial::Trial;
use store::TrialRecord;

/// A PyTorch program that gives the lrs of a trial.
///
/// # Errors
/// PyTorch has no counterpart of the schedule. The message has the reason.
pub fn pytorch(row: &TrialRecord, trial: &Trial) -> Result<String, String> {
    let title = title(row);
    interop::code(Library::Pytorch, &ExportInput { title: &title, schedule: &trial.config.schedule })
}

/// A line about the schedule of a trial.
pub fn title(row: &TrialRecord) -> String {
    format!("Schedule `{}` of trial {} at base lr {}", row.schedule, row.trial_id, row.base_lr)
}

/// An entry of `schedules` in a sweep file, with each axis replaced by the value of this trial.
pub fn yaml(name: &str, trial: &Trial) -> String {
    let mut text = format!("{}:", Tree::new(Value::Text(name.to_owned())));
    match &trial.config.written.value {
        Value::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            for (key, value) in entries {
                let value = if key.name == "lr" { &with_first_group(value, trial) } else { value };
                let key = Tree::new(Value::Text(key.name.clone()));
                text.push_str(&format!("  {key}: {value}\n"));
            }
        }
        _ => text.push_str(&format!(" {}\n", trial.config.written)),
    }
    text
}

/// The base lrs of parameter groups, with the first group, whose base lr is that of the trial.
fn with_first_group(lrs: &Tree, trial: &Trial) -> Tree {
    match (&lrs.value, trial.config.schedule.groups().next()) {
        (Value::Map(others), Some(first)) => {
            let key = Key { place: Place::default(), name: first.name.to_owned() };
            let first = (key, Tree::new(Value::Float(first.base_lr)));
            Tree::new(Value::Map([first].into_iter().chain(others.iter().cloned()).collect()))
        }
        _ => lrs.clone(),
    }
}
