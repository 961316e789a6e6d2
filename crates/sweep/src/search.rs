//! A search for a shape, as rounds of a sweep: which generation is trained next, and which two schedules the deciding seeds compare. The
//! crate `search` proposes shapes. Its state is not stored: it follows from the file and the results, so a killed search continues with
//! the same proposals.

use std::collections::{BTreeSet, HashMap};

use schedule::Feedback;
use search::{Ask, Generation, Proposal, Search, Stage};
use spec::protocol::{Chosen, Decisions, Purpose};
use spec::searched::{config_of, trial_ids};
use spec::trial::Config;
use spec::{Plan, Spec};
use store::{Status, TrialRecord};
use verdict::promote::{best_first, promotions};
use verdict::results::RunResult;

use crate::Error;
use crate::error::joined_messages;
use crate::results::{Values, outcome};

/// A generation of a search and what it led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The generation.
    pub generation: Generation,
    /// Trials of the search up to its end.
    pub spent: u64,
    /// The shape that the search would have chosen after it.
    pub center: Proposal,
}

/// How far a search is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The named schedules at their best configs, best first by the tuning seeds.
    pub named: Vec<Chosen>,
    /// The generations whose runs have all ended.
    pub ended: Vec<Ended>,
    /// The generation that is trained now, or the result.
    pub next: Ask,
}

impl Progress {
    /// All generations, with the one that is trained now.
    fn generations(&self) -> Vec<Generation> {
        let now = match &self.next {
            Ask::Losses(generation) => Some(generation),
            Ask::Found(_) => None,
        };
        self.ended.iter().map(|ended| &ended.generation).chain(now).cloned().collect()
    }

    /// The decisions that follow: the generations, and at the end the found schedule and the best named one, which the deciding seeds
    /// compare.
    pub(crate) fn decisions(&self, spec: &Spec, before: &Decisions) -> Result<Decisions, Error> {
        let mut decisions = Decisions { generations: self.generations(), ..before.clone() };
        if let (Ask::Found(found), Some(search)) = (&self.next, &spec.search) {
            let config = config_of(spec, found).map_err(|problems| unusable(&problems))?;
            let found_config = Chosen {
                schedule: search.name.clone(),
                steps: config.task.steps,
                config_id: config.id.clone(),
                base_lr: config.base_lr,
            };
            decisions.found = Some(found.clone());
            decisions.chosen = std::iter::once(found_config).chain(self.named.first().cloned()).collect();
        }
        Ok(decisions)
    }
}

fn unusable(problems: &[schedule::problem::Problem]) -> Error {
    Error::usage(format_args!("can't train the shapes of the search: {}", joined_messages(problems)))
}

/// How far the search of a file is, given the results of all runs of the named schedules on the tuning seeds. `None` if the file has no
/// search. `rows` are all stored runs of the sweep.
///
/// # Errors
/// No named schedule has an end, or a shape does not fit the run.
pub fn progress(
    spec: &Spec,
    plan: &Plan,
    results: &[RunResult],
    (rows, values): (&[TrialRecord], &Values),
) -> Result<Option<Progress>, Error> {
    let Some(wanted) = &spec.search else { return Ok(None) };
    let (name, tried) = (&wanted.name, wanted.tried());
    let own = |run: &&RunResult| run.trial.schedule == *name || run.trial.schedule == tried;
    let named_results: Vec<RunResult> = results.iter().filter(|run| !own(run)).cloned().collect();
    let named = best_first(&named_results, promotions(&named_results));
    let configs = named.iter().filter_map(|chosen| config(plan, chosen));
    let starts: Vec<Vec<f64>> = configs.filter_map(|config| start(spec, config)).collect();
    if starts.is_empty() {
        return Err(Error::usage(
            "a search starts from a schedule whose lrs are known before training, and this file has none: add one, as in `linear: {kind: \
             linear, to: 0}`",
        ));
    }
    let known: HashMap<&str, &TrialRecord> = rows
        .iter()
        .filter(|row| matches!(row.status, Status::Done | Status::Diverged))
        .map(|row| (row.trial_id.as_str(), row))
        .collect();
    let mut search = Search::new(wanted.settings.clone(), starts);
    let mut ended = Vec::new();
    loop {
        let next = search.ask();
        let Ask::Losses(generation) = &next else { return Ok(Some(Progress { named, ended, next })) };
        let ids = trial_ids(spec, generation).map_err(|problems| unusable(&problems))?;
        let Some(losses) = losses(&ids, &known, values) else {
            return Ok(Some(Progress { named, ended, next }));
        };
        search.tell(&losses);
        let generation = generation.clone();
        ended.push(Ended { generation, spent: search.spent(), center: search.center() });
    }
}

/// The costs of a generation, by shape and seed. `None` if a run has not ended.
fn losses(
    ids: &[Vec<String>],
    known: &HashMap<&str, &TrialRecord>,
    values: &Values,
) -> Option<Vec<Vec<f64>>> {
    let cost = |id: &String| {
        let row = known.get(id.as_str())?;
        outcome(row, values, values).0.loss()
    };
    ids.iter().map(|ids| ids.iter().map(cost).collect()).collect()
}

/// The config of a chosen schedule.
fn config<'a>(plan: &'a Plan, chosen: &Chosen) -> Option<&'a Config> {
    let is_chosen = |cell: &&spec::plan::Cell| {
        cell.schedule == chosen.schedule
            && plan.trials.get(cell.trial).is_some_and(|trial| trial.config.id == chosen.config_id)
    };
    let cell = plan.cells.iter().find(is_chosen)?;
    plan.trials.get(cell.trial).map(|trial| trial.config.as_ref())
}

/// The shape of a named schedule. `None` if its lrs are known only during training.
fn start(spec: &Spec, config: &Config) -> Option<Vec<f64>> {
    let search = spec.search.as_ref().filter(|_| config.schedule.feedback() == Feedback::OpenLoop)?;
    let (steps, state) = (config.task.steps, config.start());
    let lr = |at: f64| {
        let t = (at * steps as f64).round() as u64;
        config.schedule.lr(t.min(steps.saturating_sub(1)), &state)
    };
    Some(search.settings.knots.point_of(lr))
}

/// The rows that a ranking shows. Those of the search only chose a shape, on other seeds than the named schedules, so they are left out. At
/// its end only the found schedule and the one that it is compared with are judged. `text` is the sweep file's.
pub(crate) fn without_tried(text: &str, rows: Vec<TrialRecord>) -> Vec<TrialRecord> {
    let Some(search) = spec::search::in_text(text) else { return rows };
    let judges = |row: &&TrialRecord| row.purpose == Purpose::Decide;
    let judged: BTreeSet<String> = rows.iter().filter(judges).map(|row| row.schedule.clone()).collect();
    let chooses = |row: &TrialRecord| search.chooses(&row.schedule, row.purpose);
    let shown = |row: &TrialRecord| !chooses(row) && (judged.is_empty() || judged.contains(&row.schedule));
    rows.into_iter().filter(shown).collect()
}

/// Number of trials that a search still needs.
pub(crate) fn trials_left(spec: &Spec, decisions: &Decisions) -> u64 {
    let Some(search) = &spec.search else { return 0 };
    let planned: u64 = decisions.generations.iter().map(Generation::trials).sum();
    let is_last = decisions.generations.last().is_some_and(|generation| generation.stage == Stage::Last);
    if is_last { 0 } else { search.settings.trials.saturating_sub(planned) }
}
