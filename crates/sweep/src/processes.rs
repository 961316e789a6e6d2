//! The processes that train, and what to do about those that are stuck.

use std::time::Duration;

use store::{RunnerStatus, SweepStatus};

/// The state of a process: `died`, `silent`, `coordinating`, `waiting` or `training`.
pub fn state(runner: &RunnerStatus) -> &'static str {
    match runner.dead {
        Some(true) => "died",
        _ if runner.silent_ms > runner.lease_ms => "silent",
        _ if runner.workers == 0 => "coordinating",
        _ if runner.idle => "waiting",
        _ => "training",
    }
}

/// Whether a process has died or does not respond.
pub fn is_stuck(runner: &RunnerStatus) -> bool {
    matches!(state(runner), "died" | "silent")
}

/// Advice on the processes that are stuck.
pub fn advice_on_runners(runners: &[RunnerStatus]) -> Vec<String> {
    let advice = |runner: &RunnerStatus| {
        let trials = runner.trials;
        match state(runner) {
            "died" => Some(format!(
                "process {} died while it had {trials} trials: run `sweep FILE` to continue them",
                runner.pid
            )),
            "silent" => Some(format!(
                "process {} on {} has not responded for {}: is it suspended? Another `sweep FILE` takes over its {trials} trials",
                runner.pid,
                runner.host,
                span(Duration::from_millis(runner.silent_ms.unsigned_abs()))
            )),
            _ => None,
        }
    };
    runners.iter().filter_map(advice).collect()
}

/// Advice on a sweep that has failed trials, or that no process trains.
pub fn advice_on_sweep(status: &SweepStatus, runners: &[RunnerStatus]) -> Vec<String> {
    let mut all = Vec::new();
    if status.failed > 0 {
        all.push(format!(
            "{}: {} failed (reasons: sweep query \"select trial_id, error from trials where status = 'failed'\"); run the sweep \
             file again to retry them",
            status.sweep, status.failed
        ));
    }
    let waiting = status.queued + status.stopped + status.left_over;
    let is_trained = runners.iter().any(|runner| runner.sweep.as_deref() == Some(status.sweep.as_str()));
    if waiting > 0 && !is_trained {
        all.push(format!(
            "{}: {waiting} trials are waiting and no process is training: run `sweep FILE` to continue",
            status.sweep
        ));
    }
    all
}

/// `1h02m`, `3m20s`, `12s` or `under 1 s`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => "under 1 s".to_owned(),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
