//! How training ends, for the verbs that train.

use sweep::Summary;

use crate::exit::{Failure, say};
use crate::global::Global;

/// The exit code, and what to do where not all is done.
pub(crate) fn ended(summary: &Summary, global: &Global) -> Result<(), Failure> {
    if summary.stopped > 0 {
        if !global.quiet {
            say(format_args!(
                "{} trials are left; the same command goes on where this one stopped",
                summary.stopped
            ));
        }
        return Err(Failure::Interrupted);
    }
    match summary.failed {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!(
            "{n} trials failed (select trial_id, error from trials where status = 'failed'; `sweep logs TRIAL` shows what a \
             program has printed); the same command tries them again"
        ))),
    }
}
