//! Looks at the deciding seeds in words: in sentences of the screen, of the ranking and of the report.

use schedule::problem::counted;
use verdict::cost::Expected;
use verdict::looks::{Looks, continues};
use verdict::ranking::Ranking;

use crate::rows::Rows;

/// The looks, as in `with looks at 8, 12 and 20 seeds`.
pub fn with(looks: &Looks) -> String {
    match (looks.is_any_time(), looks.seeds.first(), looks.seeds.last()) {
        (true, Some(first), Some(last)) if first < last => {
            format!("with seeds added from {first} to {last} until all is decided")
        }
        _ => format!(
            "with {} at {}",
            if looks.seeds.len() == 1 { "one look" } else { "looks" },
            numbers(looks)
        ),
    }
}

/// The numbers of seeds, as in `8, 12 and 20 seeds`.
fn numbers(looks: &Looks) -> String {
    let numbers: Vec<String> = looks.seeds.iter().map(u64::to_string).collect();
    match numbers.split_last() {
        Some((last, [])) => format!("{last} seeds"),
        Some((last, rest)) => format!("{} and {last} seeds", rest.join(", ")),
        None => "no seeds".to_owned(),
    }
}

/// As in `1 schedule continues`.
pub fn continued(schedules: usize) -> String {
    format!("{} {}", counted(schedules, "schedule"), if schedules == 1 { "continues" } else { "continue" })
}

/// The decisions of the looks of a ranking, and how many runs they saved. `None` without looks.
pub(crate) fn note(ranking: &Ranking) -> Option<String> {
    let looks = ranking.looks.as_ref()?;
    if looks.is_any_time() {
        return Some(until_note(ranking, looks));
    }
    let lines = || ranking.lines.iter().filter(|line| line.has_results());
    let stopped_at = |seeds: u64| lines().filter(|line| line.requested() as u64 == seeds).count();
    let before_last = looks.seeds.iter().filter(|seeds| **seeds < looks.most());
    let stops: Vec<String> = before_last
        .map(|seeds| (stopped_at(*seeds), seeds))
        .filter(|(schedules, _)| *schedules > 0)
        .map(|(schedules, seeds)| format!("{} ended with {seeds} seeds", counted(schedules, "schedule")))
        .collect();
    let most = looks.most() * lines().count() as u64;
    let runs: u64 = lines().map(|line| line.requested() as u64).sum();
    let stops = if is_open(ranking) {
        "deciding runs are still missing".to_owned()
    } else if stops.is_empty() {
        "no schedule ended before the last look".to_owned()
    } else {
        format!("{}; {} of {most} deciding runs saved", stops.join(", "), most.saturating_sub(runs))
    };
    Some(format!(
        "planned looks at {}: {stops}; p adj. and intervals include the correction for the looks, p raw does not; schedules are in the \
         order of their difference to the first",
        numbers(looks)
    ))
}

/// Whether deciding runs are missing: of the last look, or of the next one.
fn is_open(ranking: &Ranking) -> bool {
    let is_missing = ranking.lines.iter().any(|line| line.has_results() && line.missing > 0);
    is_missing || continues(ranking)
}

/// The same for e-values.
fn until_note(ranking: &Ranking, looks: &Looks) -> String {
    let lines = || ranking.lines.iter().filter(|line| line.has_results());
    let runs: u64 = lines().map(|line| line.requested() as u64).sum();
    let most = looks.most() * lines().count() as u64;
    let last = lines().filter(|line| line.requested() as u64 == looks.most()).count();
    let state = if is_open(ranking) {
        "deciding runs are still missing".to_owned()
    } else {
        let saved = format!("{} of {most} deciding runs saved", most.saturating_sub(runs));
        match last {
            0 => format!("all is decided; {saved}"),
            n => format!(
                "{} got all {} seeds (raise `at_most` and run again to add more); {saved}",
                counted(n, "schedule"),
                looks.most()
            ),
        }
    };
    format!(
        "seeds are added until all is decided: {state}; e, p and intervals hold at any number of seeds, however often you look and add \
         seeds; schedules are in the order of their difference to the first"
    )
}

/// The expected number of deciding runs, one row for each difference. `most`: number of runs that are needed at most.
pub fn expected(most: u64, expected: &[Expected]) -> Rows {
    let mut rows = Rows::new(["difference", "runs", "share"]);
    let row = |at: &Expected| {
        let share = format!("{:.0} %", 100.0 * at.runs / most.max(1) as f64);
        vec![at.difference.into(), format!("{:.0}", at.runs).into(), share.into()]
    };
    rows.rows = expected.iter().map(row).collect();
    rows
}
