//! Planned looks in words: in sentences of the screen, of the ranking and of the report.

use schedule::problem::counted;
use verdict::cost::Expected;
use verdict::looks::Looks;
use verdict::ranking::Ranking;

use crate::rows::Rows;

/// The numbers of seeds, as in `8, 12 and 20 seeds`.
pub fn numbers(looks: &Looks) -> String {
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

/// The decisions of the looks of a ranking, and how many runs they saved. `None` without planned looks.
pub(crate) fn note(ranking: &Ranking) -> Option<String> {
    let looks = ranking.looks.as_ref()?;
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
    let stops = if lines().any(|line| line.missing > 0) {
        // A schedule whose runs are complete may continue once the others have reached the look.
        "deciding runs are still missing".to_owned()
    } else if stops.is_empty() {
        "no schedule ended before the last look".to_owned()
    } else {
        format!("{}; {} of {most} deciding runs saved", stops.join(", "), most.saturating_sub(runs))
    };
    Some(format!(
        "planned looks at {}: {stops}; p adj. and intervals include the correction for the looks, p raw does not; schedules with more seeds \
         come first",
        numbers(looks)
    ))
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
