//! Texts and numbers that several verbs print.

use std::time::{Duration, UNIX_EPOCH};

use store::TrialRecord;

/// Describes a trial in a few words.
pub(crate) fn title(row: &TrialRecord) -> String {
    let lr = report::short(row.base_lr);
    format!("trial {}, {} at lr {lr}, seed {}, {} steps", row.trial_id, row.schedule, row.seed, row.steps)
}

/// Milliseconds since 1970 as UTC, as in `2026-01-31T12:00:00.000Z` (RFC 3339).
pub(crate) fn utc(milliseconds: i64) -> String {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// `1h02m`, `3m20s`, `12s` or `under 1 s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => "under 1 s".to_owned(),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
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
