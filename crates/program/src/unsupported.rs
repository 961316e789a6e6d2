//! Without named pipes and process groups no program can be run: every trial fails with this reason.

use std::path::PathBuf;

use spec::event::{Event, Outcome};
use spec::trial::Trial;
use trainer::{Emit, Stop, now};

use crate::settings::RunSettings;

/// Reports that the trial can't be trained on this system.
pub fn train(trial: &Trial, _: Option<(PathBuf, String)>, _: &RunSettings, _: &Stop, emit: &mut Emit<'_>) {
    let reason = "custom programs need Unix (named pipes and process groups)".to_owned();
    emit(Event::Ended { trial_id: trial.id.clone(), outcome: Outcome::Failed { reason }, at: now() });
}
