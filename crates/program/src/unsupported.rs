//! Where there are no named pipes and process groups no program can be run, and that is said.

use std::path::PathBuf;

use spec::event::{Event, Outcome};
use spec::trial::Trial;
use trainer::{Emit, Stop, now};

use crate::place::Place;

/// Tells that the trial can't be trained here.
pub fn train(trial: &Trial, _: Option<(PathBuf, String)>, _: &Place, _: &Stop, emit: &mut Emit<'_>) {
    let reason = "programs of one's own need Unix: named pipes and process groups".to_owned();
    emit(Event::Ended { trial_id: trial.id.clone(), outcome: Outcome::Failed { reason }, at: now() });
}
