//! Without named pipes and process groups no program can be run: every trial fails with this reason.

use spec::event::{Event, Outcome};
use trainer::{Branch, Emit, Stop, now};

use crate::settings::RunSettings;

/// Receives the branches of trials that continue by themselves.
pub type Fork<'a> = dyn FnMut(Branch) + 'a;

/// Reports that the trials can't be trained on this system.
pub fn train(branch: Branch, _: &RunSettings, _: &Stop, emit: &mut Emit<'_>, _: &mut Fork<'_>) {
    let reason = "custom programs need Unix (named pipes and process groups)".to_owned();
    for trial_id in branch.trial_ids() {
        let outcome = Outcome::Failed { reason: reason.clone() };
        emit(Event::Ended { trial_id, outcome, at: now() });
    }
}
