//! The end of training, for the verbs that train.

use sweep::Summary;

use crate::exit::{Failure, say};
use crate::global::Global;

/// The outcome of training. Says what to do if trials are left or failed.
pub(crate) fn ended(summary: &Summary, global: &Global) -> Result<(), Failure> {
    if summary.stopped > 0 {
        if !global.quiet {
            say(format_args!("{} trials are left; run the same command again to continue", summary.stopped));
        }
        return Err(Failure::Interrupted);
    }
    match summary.failed {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!(
            "{n} trials failed: for the reasons, run `sweep query \"select trial_id, error from trials where status = 'failed'\"` (and \
             `sweep logs TRIAL` for the output of a program); the same command trains them again"
        ))),
    }
}
