//! The end of training, for the verbs that train.

use schedule::problem::counted;
use sweep::Summary;

use crate::exit::{Failure, say};
use crate::global::Global;

/// The outcome of training. Says what to do if trials are left or failed.
pub(crate) fn ended(summary: &Summary, global: &Global) -> Result<(), Failure> {
    if summary.stopped > 0 {
        if !global.quiet {
            let left = counted(summary.stopped, "trial");
            say(format_args!("{left} left; run the same command again to continue"));
        }
        return Err(Failure::Interrupted);
    }
    let failed = counted(summary.failed, "trial");
    if summary.not_started > 0 {
        let were = if summary.not_started == 1 { "was" } else { "were" };
        return Err(Failure::failed(format_args!(
            "{failed} failed, and {} more {were} not started: the first starts of the program failed with the same error, before it \
             reported a step. Fix the cause and run the same command again: it trains all of them",
            summary.not_started
        )));
    }
    match summary.failed {
        0 => Ok(()),
        _ => Err(Failure::failed(format_args!(
            "{failed} failed; the same command trains them again. To see why: `sweep query \"select trial_id, error from trials where \
             status = 'failed'\"`, and `sweep logs TRIAL` for the output of a program"
        ))),
    }
}
