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

/// `1h02m`, `3m20s` or `12s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
