//! Puts the results of one store into another. A result that is there already must be the same; one that differs is reported and
//! skipped. Merging twice, or in another order, gives the same results.

mod steps;
mod sweeps;

use std::collections::{HashMap, HashSet};

use spec::record::{Environment, Status, TrialRecord};

use crate::backend::{Conn, json, listed, on};
use crate::error::{Fault, StoreError};
use crate::reader::Reader;
use crate::records::{self, Which};
use crate::register;
use crate::store::{LONG_ANSWER, Store, Writer};

/// Trials that are entered at a time: their configs are long.
const CHUNK: usize = 200;

/// What goes wrong in a shard is no fault of the store that is written, and won't pass by itself.
fn of_shard(shard: &Reader, fault: impl Into<Fault>) -> Fault {
    Fault::Shard(Box::new(StoreError::at(shard.name(), fault)))
}

/// What came of a merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// Results that were not there before.
    pub new: usize,
    /// Results that were there, and are the same or of another spelling.
    pub known: usize,
    /// Of these, results of programs that were given other lrs, which are the same in single precision. A trial is one for
    /// all spellings of its lrs, and keeps the result that it has.
    pub respelled: usize,
    /// Results of trials that another process trains just now: left to that.
    pub in_training: usize,
    /// Trials of the shard that have no result yet.
    pub unfinished: usize,
    /// Results that differ from those that were there.
    pub conflicts: Vec<Conflict>,
    /// Sweeps whose file differs from the one that was there, which stays.
    pub other_files: Vec<String>,
}

/// Two results of one trial that are not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The trial.
    pub trial_id: String,
    /// What stays.
    pub here: Origin,
    /// What was not taken.
    pub there: Origin,
}

/// A result, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// How the trial ended.
    pub status: Status,
    /// Fingerprint of lr and loss of every step.
    pub digest: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// What trained there.
    pub environment: Option<Environment>,
}

impl Origin {
    fn of(record: &TrialRecord) -> Self {
        Self {
            status: record.status,
            digest: record.digest.clone(),
            host: record.host.clone(),
            environment: record.environment.as_deref().cloned(),
        }
    }
}

impl Store {
    /// Takes over what another store has: sweeps that are not here, and results that are not here, with all their steps.
    /// All of it or nothing.
    ///
    /// # Errors
    /// One of both can't be read or written, or the shard is damaged.
    pub async fn merge(&mut self, shard: &mut Reader) -> Result<Merged, StoreError> {
        if !shard.is_whole().await? {
            let message = "its pages don't fit together".to_owned();
            return Err(StoreError::Corrupt { path: shard.name().to_owned(), message });
        }
        self.transact_within(LONG_ANSWER, async |writer| {
            writer.backend.lock_register().await?;
            merge(writer, shard).await
        })
        .await
    }
}

async fn merge(writer: &mut Writer, shard: &mut Reader) -> Result<Merged, Fault> {
    let mut merged = Merged::default();
    let trials = records::read(shard.conn(), Which::All).await.map_err(|error| of_shard(shard, error))?;
    let known = Known::read(writer.backend.conn()).await?;
    let unknown: Vec<&TrialRecord> =
        trials.iter().filter(|trial| !known.records.contains_key(&trial.trial_id)).collect();
    for chunk in unknown.chunks(CHUNK) {
        queue(writer.backend.conn(), shard, chunk).await?;
    }
    let mut new = Vec::new();
    for there in trials {
        match known.compare(&there) {
            Found::Unfinished => merged.unfinished += 1,
            Found::InTraining => merged.in_training += 1,
            Found::Same => merged.known += 1,
            Found::New => new.push(there),
            Found::Differs(_) if is_respelled(writer.backend.conn(), shard, &there).await? => {
                merged.known += 1;
                merged.respelled += 1;
            }
            Found::Differs(here) => merged.conflicts.push(Conflict {
                here: Origin::of(here),
                there: Origin::of(&there),
                trial_id: there.trial_id,
            }),
        }
    }
    merged.new = new.len();
    let ids: Vec<String> = new.iter().map(|trial| trial.trial_id.clone()).collect();
    let mut numbers = HashMap::new();
    for mut trial in new {
        trial.environment_id = environment(writer.backend.conn(), &trial, &mut numbers).await?;
        finish(writer.backend.conn(), &trial).await?;
    }
    steps::copy(writer, shard, &ids).await?;
    merged.other_files = sweeps::copy(writer, shard).await?;
    Ok(merged)
}

/// The trials that are here.
struct Known {
    records: HashMap<String, TrialRecord>,
    /// Those that a process trains.
    leased: HashSet<String>,
}

/// What is here of a trial of the shard.
enum Found<'a> {
    /// The shard has no result itself.
    Unfinished,
    /// No result, but another process trains it.
    InTraining,
    /// The same result.
    Same,
    /// Another result.
    Differs(&'a TrialRecord),
    /// No result.
    New,
}

impl Known {
    async fn read(mut conn: Conn<'_>) -> Result<Self, Fault> {
        let records = records::read(conn.again(), Which::All).await?;
        let records = records.into_iter().map(|record| (record.trial_id.clone(), record)).collect();
        let sql = "SELECT trial_id FROM leases";
        let leased: Vec<String> = on!(conn, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
        Ok(Self { records, leased: leased.into_iter().collect() })
    }

    fn compare(&self, there: &TrialRecord) -> Found<'_> {
        match self.records.get(&there.trial_id) {
            _ if !there.is_over() => Found::Unfinished,
            Some(here) if here.is_over() && is_same(here, there) => Found::Same,
            Some(here) if here.is_over() => Found::Differs(here),
            Some(here) if self.leased.contains(&here.trial_id) => Found::InTraining,
            _ => Found::New,
        }
    }
}

fn is_same(here: &TrialRecord, there: &TrialRecord) -> bool {
    let bits = |x: Option<f64>| x.map(f64::to_bits);
    here.status == there.status
        && here.digest == there.digest
        && here.weights_hash == there.weights_hash
        && bits(here.final_valid_loss) == bits(there.final_valid_loss)
        && here.diverged_at == there.diverged_at
}

/// Whether a trial of a program has other lrs there: equal in single precision, which its id is made of, and not in double
/// precision, which the program computes with, as 0.9 and 0.8999999999999999.
async fn is_respelled(conn: Conn<'_>, shard: &mut Reader, there: &TrialRecord) -> Result<bool, Fault> {
    let ids = std::slice::from_ref(&there.trial_id);
    let mut ours = configs(conn, ids).await?;
    let mut theirs = configs(shard.conn(), ids).await.map_err(|error| of_shard(shard, error))?;
    let lrs = |config: Option<String>| {
        let trial = TrialRecord { config: config?, ..there.clone() }.trial().ok()?;
        trial.config.task.program()?;
        let state = trial.config.start();
        let lr = |t| trial.config.schedule.lr(t, &state).to_bits();
        Some((0..trial.config.task.steps).map(lr).collect::<Vec<u64>>())
    };
    let (ours, theirs) = (lrs(ours.remove(&there.trial_id)), lrs(theirs.remove(&there.trial_id)));
    Ok(ours.zip(theirs).is_some_and(|(ours, theirs)| ours != theirs))
}

/// The configs of trials, by id.
async fn configs(conn: Conn<'_>, ids: &[String]) -> Result<HashMap<String, String>, sqlx::Error> {
    let sql = format!("SELECT trial_id, config FROM trials WHERE trial_id IN {}", listed(&conn));
    let ids = json(ids);
    let rows: Vec<(String, String)> =
        on!(conn, c => sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await)?;
    Ok(rows.into_iter().collect())
}

/// Enters trials as ones that are still to be trained.
async fn queue(conn: Conn<'_>, shard: &mut Reader, trials: &[&TrialRecord]) -> Result<(), Fault> {
    let ids: Vec<String> = trials.iter().map(|trial| trial.trial_id.clone()).collect();
    let mut configs = configs(shard.conn(), &ids).await.map_err(|error| of_shard(shard, error))?;
    let with_config = trials.iter().map(|trial| TrialRecord {
        config: configs.remove(&trial.trial_id).unwrap_or_default(),
        ..(*trial).clone()
    });
    records::queue(conn, with_config).await
}

/// The number here of what trained a trial.
async fn environment(
    conn: Conn<'_>,
    trial: &TrialRecord,
    numbers: &mut HashMap<i64, i64>,
) -> Result<Option<i64>, Fault> {
    let (Some(there), Some(environment)) = (trial.environment_id, &trial.environment) else {
        return Ok(None);
    };
    if let Some(here) = numbers.get(&there) {
        return Ok(Some(*here));
    }
    let here = register::environment(conn, environment).await?;
    numbers.insert(there, here);
    Ok(Some(here))
}

/// Writes the result of a trial, and takes away what an attempt here had of it.
async fn finish(mut conn: Conn<'_>, trial: &TrialRecord) -> Result<(), Fault> {
    for sql in [
        "DELETE FROM trial_stages WHERE trial_id = $1",
        "DELETE FROM evaluations WHERE trial_id = $1",
        "DELETE FROM checkpoints WHERE trial_id = $1",
    ] {
        on!(conn.again(), c => sqlx::query(sql).bind(&trial.trial_id).execute(c).await.map(|_| ()))?;
    }
    records::write_merged(conn, trial).await
}
