//! Renders an audit of early-stopping rules and screening.

use verdict::audit::Audit;

use crate::rows::Rows;

/// One row per rule.
pub fn audit_rows(audits: &[Audit]) -> Rows {
    let mut rows = Rows::new([
        "rule",
        "runs",
        "stopped",
        "steps",
        "steps_saved",
        "share_saved",
        "keeps_winner",
        "regret",
        "dropped",
        "dropped_schedules",
    ]);
    for audit in audits {
        let share = audit.saved.0 as f64 / audit.saved.1.max(1) as f64;
        rows.rows.push(vec![
            audit.rule.as_str().into(),
            audit.stopped.1.into(),
            audit.stopped.0.into(),
            i64::try_from(audit.saved.1).unwrap_or(i64::MAX).into(),
            i64::try_from(audit.saved.0).unwrap_or(i64::MAX).into(),
            ((1e4 * share).round() / 1e4).into(),
            audit.keeps_winner.into(),
            audit.regret.into(),
            audit.dropped.len().into(),
            audit.dropped.join(", ").into(),
        ]);
    }
    rows
}
