//! Texts and numbers that several verbs print.

use std::time::Duration;

use store::TrialRecord;
pub(crate) use sweep::processes::span;

/// Describes a trial in a few words.
pub(crate) fn title(row: &TrialRecord) -> String {
    let lr = report::short(row.base_lr);
    format!("trial {}, {} at lr {lr}, seed {}, {} steps", row.trial_id, row.schedule, row.seed, row.steps)
}

/// The same for an estimate: `about 12s` or `under 1 s`.
pub(crate) fn about(time: Duration) -> String {
    let about = if time.as_secs() == 0 { "" } else { "about " };
    format!("{about}{}", span(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_are_not_zero() {
        for (milliseconds, estimate) in [
            (0, "under 1 s"),
            (999, "under 1 s"),
            (1000, "about 1s"),
            (83_000, "about 1m23s"),
            (3_720_000, "about 1h02m"),
        ] {
            assert_eq!(about(Duration::from_millis(milliseconds)), estimate);
        }
    }
}
