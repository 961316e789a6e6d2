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
    match summary.failed {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!(
            "{} failed; the same command trains them again. To see why: `sweep query \"select trial_id, error from trials where \
             status = 'failed'\"`, and `sweep logs TRIAL` for the output of a program",
            counted(n, "trial")
        ))),
    }
}
