//! The parameter groups of a schedule in the protocol: what a program receives about them, and the check of the lrs that it used.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schedule::groups::name_hint;
use schedule::{Schedule, State};
use serde::Serialize;
use serde::ser::SerializeMap;

/// A group in the file that describes the trial.
#[derive(Serialize)]
pub(crate) struct GroupFile {
    pub(crate) name: String,
    pub(crate) base_lr: f64,
    pub(crate) keeps_ratio: bool,
    pub(crate) lr: Option<PathBuf>,
    pub(crate) momentum: Option<PathBuf>,
}

/// The lr and momentum of each group at one step, in order; serialized as an object by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupAnswers(Vec<(String, GroupAnswer)>);

/// The lr and momentum of one group at one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct GroupAnswer {
    pub(crate) lr: f64,
    pub(crate) momentum: Option<f64>,
}

impl Serialize for GroupAnswers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, answer) in &self.0 {
            map.serialize_entry(name, answer)?;
        }
        map.end()
    }
}

impl GroupAnswers {
    /// The answers for step `t`; `None` if the schedule has no groups.
    pub(crate) fn of(schedule: &Schedule, t: u64, state: &State) -> Option<Self> {
        let rates = schedule.group_lrs(t, state).zip(schedule.group_momenta(t));
        let answer = rates.map(|(lr, momentum)| GroupAnswer { lr, momentum });
        let all: Vec<_> = schedule.groups().map(|group| group.name.to_owned()).zip(answer).collect();
        (!all.is_empty()).then_some(Self(all))
    }

    /// Compares the lrs that a program used at a step.
    ///
    /// # Errors
    /// The first difference, or a name that is not one of the groups.
    pub(crate) fn compare(&self, step: u64, used: &BTreeMap<String, f64>) -> Result<(), String> {
        for (name, used) in used {
            let Some((_, planned)) = self.0.iter().find(|(known, _)| known == name) else {
                let hint = name_hint(name, self.0.iter().map(|(name, _)| name.as_str()));
                return Err(format!("`lr`: the schedule has no parameter group `{name}` ({hint})"));
            };
            compare(step, &format!(" of the group `{name}`"), *used, planned.lr)?;
        }
        Ok(())
    }
}

/// Compares an lr that a program used with the schedule's.
///
/// # Errors
/// They differ by more than the rounding of single precision.
pub(crate) fn compare(step: u64, of: &str, used: f64, planned: f64) -> Result<(), String> {
    // An optimizer may keep its lr in single precision.
    const ROUNDING: f64 = 1e-6;
    if (used - planned).abs() <= ROUNDING * planned.abs() + f64::from(f32::MIN_POSITIVE) {
        return Ok(());
    }
    Err(format!(
        "step {step} used lr {used:?}{of}, but the schedule has {planned:?} at this step; use each step's lr for exactly one update, \
         and let nothing else set the lr"
    ))
}
