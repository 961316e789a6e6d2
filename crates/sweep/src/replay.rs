//! Replays a screening on a sweep that trained all schedules: which of them would have been trained, for each number of schedules to keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use spec::protocol::Purpose;
use spec::screen::{self, Candidate, LEARN, Screen, Screening};
use store::{Reader, TrialRecord};

use crate::Error;
use crate::curves::all_curves;
use crate::error::joined_messages;
use crate::screening::outcome;

/// A replayed screening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The schedules that are trained in any case: those that are learned from, and those that can't be predicted.
    pub first: Vec<String>,
    /// The others, the lowest predicted loss first.
    pub ordered: Vec<String>,
}

/// Replays a screening on the runs of `steps` steps, by default values of `learn` and `baseline`. The error in words if there is nothing to
/// replay.
///
/// # Errors
/// The store can't be read.
pub async fn replay(
    reader: &mut Reader,
    rows: &[TrialRecord],
    steps: i64,
) -> Result<Result<Replayed, String>, Error> {
    // Deciding runs are those of chosen configs only.
    let chooses = |row: &&TrialRecord| matches!(row.purpose, Purpose::All | Purpose::Tune);
    let rows: Vec<TrialRecord> =
        rows.iter().filter(|row| row.steps == steps && chooses(row)).cloned().collect();
    let screen = Screen { keep: 0, learn: LEARN, baseline: None };
    let screening = Screening::of(candidates(reader, &rows).await?, &screen);
    if screening.candidates.is_empty() {
        return Ok(Err(format!("a law is learned from {LEARN} schedules, and no other can be predicted")));
    }
    let is_learned = |row: &&TrialRecord| screening.learned.iter().any(|each| each.schedule == row.schedule);
    let learned: Vec<TrialRecord> = rows.iter().filter(is_learned).cloned().collect();
    let found = outcome(&screening, all_curves(reader, &learned).await?);
    let names = |is_predicted: bool| {
        let own = found.screened.outcomes.iter().filter(move |at| at.predicted.is_some() == is_predicted);
        own.map(|at| at.chosen.schedule.clone())
    };
    let ordered: Vec<String> = names(true).collect();
    if ordered.is_empty() {
        let reasons: Vec<String> = found.refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        return Ok(Err(format!("nothing could be predicted: {}", reasons.join("; "))));
    }
    let learned = screening.learned.iter().map(|each| each.schedule.clone());
    let always = screening.always.iter().map(|(name, _)| name.clone());
    Ok(Ok(Replayed { first: learned.chain(always).chain(names(false)).collect(), ordered }))
}

/// The schedules of these runs with their configs, in the order of the sweep.
async fn candidates(reader: &mut Reader, rows: &[TrialRecord]) -> Result<Vec<Candidate>, Error> {
    let mut all: Vec<(String, Arc<spec::trial::Config>)> = Vec::new();
    let mut known: BTreeMap<&str, Arc<spec::trial::Config>> = BTreeMap::new();
    for row in rows {
        let config = match known.get(row.config_id.as_str()) {
            Some(config) => Arc::clone(config),
            None => {
                let Some(stored) = reader.trial(&row.trial_id).await? else { continue };
                let trial = stored.trial().map_err(|problems| {
                    let problems = joined_messages(&problems);
                    Error::failed(format_args!("invalid stored configuration: {problems}"))
                })?;
                known.insert(&row.config_id, Arc::clone(&trial.config));
                trial.config
            }
        };
        all.push((row.schedule.clone(), config));
    }
    Ok(screen::candidates(all))
}
