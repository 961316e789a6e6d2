//! Whether a sweep is complete: a verdict is a test with a number of runs that was fixed before, so there is none while runs
//! that judge are missing. This module says which runs are missing; `verdict` judges.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schedule::problem::counted;
use spec::protocol::{Purpose, Seeds};
use spec::{Plan, Spec};
use store::{Status, TrialRecord};

use crate::plan::{self, Aim};
use crate::results::Values;
use crate::{Context, rounds};

/// How far a sweep is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// No run has ended.
    #[default]
    Nothing,
    /// The tuning seeds are trained, which choose the config of each schedule.
    Tuning,
    /// The runs that judge are trained.
    Deciding,
    /// All runs that judge have ended.
    Complete,
}

/// How complete a sweep is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// How far it is.
    pub phase: Phase,
    /// Number of judging seeds at which the runs of all schedules have ended.
    pub seeds_done: usize,
    /// Number of judging seeds.
    pub seeds: usize,
    /// The missing runs in words; empty if there are none.
    pub missing: String,
    /// Steps of runs that are planned after the current round.
    pub later_steps: u64,
}

impl Completeness {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.phase == Phase::Complete
    }
}

/// The sweep file of a stored sweep and its plan.
#[derive(Debug)]
pub struct Planned {
    spec: Spec,
    first: Plan,
}

impl Planned {
    /// Reads the stored text of a sweep file. `None` if it can't be planned here, for example without its data files.
    pub fn new(sweep: &str, text: &str, context: &Context) -> Option<Self> {
        match plan::of_text(text, sweep, Aim::LookUp, context) {
            Ok((spec, first)) => Some(Self { spec, first }),
            Err(problems) => {
                tracing::debug!("can't plan the stored file of {sweep}: {} problems", problems.len());
                None
            }
        }
    }

    /// The sweep file.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Number of runs that all rounds need beyond those that are stored. 0 if the results lead to no new decision.
    fn runs_left(&self, rows: &[TrialRecord], values: &Values) -> Option<usize> {
        let decided = rounds::decided(&self.spec, &self.first, rows, values).ok()?;
        let ended: HashSet<&str> =
            rows.iter().filter(|row| row.is_over()).map(|row| row.trial_id.as_str()).collect();
        let missing = decided.trials.iter().filter(|trial| !ended.contains(trial.id.as_str())).count();
        // Predictions have not chosen the other schedules yet.
        let open = usize::try_from(rounds::open_runs(&self.spec, &decided).0).unwrap_or(usize::MAX);
        Some(missing.saturating_add(open))
    }
}

/// How complete a sweep is, by the results of its runs and its plan. `values` has the sweep's metric.
pub fn completeness(planned: Option<&Planned>, rows: &[TrialRecord], values: &Values) -> Completeness {
    let split = rows.iter().any(|row| row.purpose != Purpose::All);
    let judging = if split { Purpose::Decide } else { Purpose::All };
    let seeds = Counted::of(rows, judging);
    let wanted = planned.map_or(0, |planned| match &planned.spec.seeds {
        Seeds::Split { decide, .. } => decide.len(),
        Seeds::All(all) => all.len(),
        Seeds::Each { seeds, .. } => usize::try_from(*seeds).unwrap_or(usize::MAX),
    });
    let mut completeness = Completeness {
        seeds_done: seeds.done,
        seeds: seeds.all.max(wanted),
        later_steps: if split && seeds.all == 0 {
            planned.map_or(0, |planned| rounds::later(&planned.spec, &planned.first).steps)
        } else {
            0
        },
        ..Completeness::default()
    };
    let tuning = split && seeds.all == 0;
    completeness.missing = missing(rows, if tuning { Purpose::Tune } else { judging });
    if completeness.missing.is_empty() {
        // Everything that is stored has ended; the plan knows whether more follows.
        match planned.and_then(|planned| planned.runs_left(rows, values)) {
            Some(0) => {}
            Some(left) => completeness.missing = format!("{} of the next round", counted(left, "run")),
            None if tuning => completeness.missing = "the deciding runs".to_owned(),
            None => {}
        }
    } else if tuning {
        completeness.missing.push_str(&then(completeness.seeds));
    }
    completeness.phase = match (rows.iter().any(TrialRecord::is_over), completeness.missing.is_empty()) {
        (false, _) => Phase::Nothing,
        (true, true) => Phase::Complete,
        (true, false) if tuning => Phase::Tuning,
        (true, false) => Phase::Deciding,
    };
    if completeness.is_complete() {
        // Planned looks may have stopped all schedules before the last seed.
        let is_planned = planned.is_some_and(|planned| planned.spec.seeds.looks().is_some());
        completeness.seeds = if is_planned { seeds.all } else { completeness.seeds };
        completeness.seeds_done = completeness.seeds;
    }
    completeness
}

fn then(seeds: usize) -> String {
    if seeds == 0 {
        String::new()
    } else {
        format!("; then {} of each schedule", counted(seeds, "deciding seed"))
    }
}

/// Seeds of the runs with one purpose.
struct Counted {
    all: usize,
    /// Those at which every run has ended.
    done: usize,
}

impl Counted {
    fn of(rows: &[TrialRecord], purpose: Purpose) -> Self {
        // With separate seeds for each schedule, the first seeds of all schedules belong together.
        let mut seeds: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        let own = || rows.iter().filter(|row| row.purpose == purpose);
        own().for_each(|row| {
            seeds.entry(&row.schedule).or_default().insert(row.seed);
        });
        let number: BTreeMap<&str, BTreeMap<i64, usize>> = seeds
            .iter()
            .map(|(schedule, seeds)| (*schedule, seeds.iter().copied().zip(0..).collect()))
            .collect();
        let all = number.values().map(BTreeMap::len).max().unwrap_or(0);
        let open: BTreeSet<usize> = own()
            .filter(|row| !row.is_over())
            .filter_map(|row| number.get(row.schedule.as_str())?.get(&row.seed).copied())
            .collect();
        Self { all, done: all - open.len() }
    }
}

/// Most schedules to name.
const MOST_NAMES: usize = 3;

/// The runs with one purpose that have not ended, in words.
fn missing(rows: &[TrialRecord], purpose: Purpose) -> String {
    let kind = match purpose {
        Purpose::Tune | Purpose::Dropped => "tuning run",
        Purpose::Decide => "deciding run",
        Purpose::All => "run",
    };
    let mut of: Vec<(&str, usize, usize)> = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for row in rows.iter().filter(|row| row.purpose == purpose) {
        if !seen.insert((row.schedule.as_str(), row.trial_id.as_str())) {
            continue;
        }
        let at = of.iter().position(|(name, ..)| *name == row.schedule).unwrap_or_else(|| {
            of.push((&row.schedule, 0, 0));
            of.len() - 1
        });
        if let Some((_, open, all)) = of.get_mut(at) {
            *all += 1;
            *open += usize::from(!row.is_over());
        }
        if row.status == Status::Failed {
            failed.push(format!("{} with seed {}", row.schedule, row.seed));
        }
    }
    let open: Vec<&(&str, usize, usize)> = of.iter().filter(|(_, open, _)| *open > 0).collect();
    if open.is_empty() {
        return String::new();
    }
    let mut each: Vec<String> = open
        .iter()
        .take(MOST_NAMES)
        .map(|(name, open, all)| format!("{open} of {} of {name}", counted(all, kind)))
        .collect();
    if open.len() > MOST_NAMES {
        let left: usize = open.iter().skip(MOST_NAMES).map(|(_, open, _)| open).sum();
        let more = counted(open.len() - MOST_NAMES, "other schedule");
        each.push(format!("{left} of {more}"));
    }
    let mut text = each.join(", ");
    if !failed.is_empty() {
        let more = failed.len().saturating_sub(MOST_NAMES);
        failed.truncate(MOST_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!("; failed: {}{more}", failed.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(schedule: &str, seed: i64, purpose: Purpose, status: Status) -> TrialRecord {
        TrialRecord {
            trial_id: format!("{schedule}{seed}"),
            schedule: schedule.to_owned(),
            seed,
            purpose,
            status,
            ..TrialRecord::default()
        }
    }

    #[test]
    fn a_verdict_waits_for_every_judging_run() {
        let mut rows: Vec<TrialRecord> =
            (0..8).map(|seed| row("a", seed, Purpose::All, Status::Done)).collect();
        rows.extend(
            (0..8).map(|seed| {
                row("b", seed, Purpose::All, if seed < 5 { Status::Done } else { Status::Queued })
            }),
        );
        let found = completeness(None, &rows, &Values::default());
        assert_eq!((found.phase, found.seeds_done, found.seeds), (Phase::Deciding, 5, 8));
        assert_eq!(found.missing, "3 of 8 runs of b");
        rows.iter_mut().for_each(|row| row.status = Status::Diverged);
        assert!(completeness(None, &rows, &Values::default()).is_complete());
        rows[9].status = Status::Failed;
        let found = completeness(None, &rows, &Values::default());
        assert_eq!((found.is_complete(), found.seeds_done), (false, 7));
        assert_eq!(found.missing, "1 of 8 runs of b; failed: b with seed 1");
    }

    #[test]
    fn tuning_runs_decide_nothing() {
        let rows: Vec<TrialRecord> =
            ["a", "b"].map(|name| row(name, 0, Purpose::Tune, Status::Done)).into_iter().collect();
        let found = completeness(None, &rows, &Values::default());
        assert_eq!((found.phase, found.missing.as_str()), (Phase::Tuning, "the deciding runs"));
        let mut more = rows.clone();
        more.push(row("a", 1, Purpose::Decide, Status::Done));
        more.push(row("b", 1, Purpose::Decide, Status::Running));
        let found = completeness(None, &more, &Values::default());
        assert_eq!((found.phase, found.seeds_done, found.seeds), (Phase::Deciding, 0, 1));
        more[3].status = Status::Done;
        assert!(completeness(None, &more, &Values::default()).is_complete());
        assert_eq!(completeness(None, &[], &Values::default()).phase, Phase::Nothing);
    }
}
