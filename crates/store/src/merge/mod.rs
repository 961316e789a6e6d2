//! Merges the results of one store into another. An existing result must equal the merged one; a conflicting one is
//! reported and skipped. Merging twice, or in another order, gives the same results.

mod steps;
mod sweeps;

use std::collections::{HashMap, HashSet};

use spec::record::{Environment, Status, TrialRecord};

use crate::backend::{Conn, json, listed, on};
use crate::error::{Fault, StoreError};
use crate::reader::Reader;
use crate::records::{self, Which};
use crate::register;
use crate::store::{LONG_TIMEOUT, Store, Writer};

/// Number of trials inserted at a time, because their configs are long.
const CHUNK: usize = 200;

/// An error of the shard. It is not an error of the store that is written, and retrying does not help.
fn shard_fault(shard: &Reader, fault: impl Into<Fault>) -> Fault {
    Fault::Shard(Box::new(StoreError::at(shard.name(), fault)))
}

/// The result of a merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// Results that were added.
    pub new: usize,
    /// Results that already existed and are the same, including `respelled` ones.
    pub known: usize,
    /// Results of programs whose lrs differ from the stored ones only in double precision. Trial ids depend on the
    /// lrs in single precision, so both are the same trial, which keeps its existing result.
    pub respelled: usize,
    /// Results that were skipped because another process is training the trial.
    pub in_training: usize,
    /// Trials of the shard without a result.
    pub unfinished: usize,
    /// Results that differ from the existing ones.
    pub conflicts: Vec<Conflict>,
    /// Sweeps whose file differs from the existing one, which is kept.
    pub other_files: Vec<String>,
}

/// Two different results of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The trial.
    pub trial_id: String,
    /// The existing result, which is kept.
    pub kept: Origin,
    /// The result of the shard, which is skipped.
    pub rejected: Origin,
}

/// A result and where it was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// How the trial ended.
    pub status: Status,
    /// Fingerprint of the lr and the loss of every step.
    pub digest: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The program and the hardware that trained it.
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
    /// Merges another store into this one: sweeps and results that are missing here, with all their steps. All of it
    /// or nothing.
    ///
    /// # Errors
    /// The shard can't be read or is damaged, or this store can't be written.
    pub async fn merge(&mut self, shard: &mut Reader) -> Result<Merged, StoreError> {
        if !shard.is_intact().await? {
            let message = "SQLite's quick check failed".to_owned();
            return Err(StoreError::Corrupt { path: shard.name().to_owned(), message });
        }
        self.transact_within(LONG_TIMEOUT, async |writer| {
            writer.backend.lock_register().await?;
            merge(writer, shard).await
        })
        .await
    }
}

async fn merge(writer: &mut Writer, shard: &mut Reader) -> Result<Merged, Fault> {
    let mut merged = Merged::default();
    let trials = records::read(shard.conn(), Which::All).await.map_err(|error| shard_fault(shard, error))?;
    let known = ExistingTrials::read(writer.backend.conn()).await?;
    let unknown: Vec<&TrialRecord> =
        trials.iter().filter(|trial| !known.records.contains_key(&trial.trial_id)).collect();
    for chunk in unknown.chunks(CHUNK) {
        queue(writer.backend.conn(), shard, chunk).await?;
    }
    let mut new = Vec::new();
    for there in trials {
        match known.compare(&there) {
            Comparison::Unfinished => merged.unfinished += 1,
            Comparison::InTraining => merged.in_training += 1,
            Comparison::Same => merged.known += 1,
            Comparison::New => new.push(there),
            Comparison::Differs(_) if is_respelled(writer.backend.conn(), shard, &there).await? => {
                merged.known += 1;
                merged.respelled += 1;
            }
            Comparison::Differs(here) => merged.conflicts.push(Conflict {
                kept: Origin::of(here),
                rejected: Origin::of(&there),
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

/// The trials of this store.
struct ExistingTrials {
    records: HashMap<String, TrialRecord>,
    /// Ids of the trials that a process has leased.
    leased: HashSet<String>,
}

/// A trial of the shard compared with this store.
enum Comparison<'a> {
    /// The shard has no result.
    Unfinished,
    /// This store has no result, but a process is training the trial.
    InTraining,
    /// Both have the same result.
    Same,
    /// This store has another result.
    Differs(&'a TrialRecord),
    /// This store has no result.
    New,
}

impl ExistingTrials {
    async fn read(mut conn: Conn<'_>) -> Result<Self, Fault> {
        let records = records::read(conn.reborrow(), Which::All).await?;
        let records = records.into_iter().map(|record| (record.trial_id.clone(), record)).collect();
        let sql = "SELECT trial_id FROM leases";
        let leased: Vec<String> = on!(conn, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
        Ok(Self { records, leased: leased.into_iter().collect() })
    }

    fn compare(&self, there: &TrialRecord) -> Comparison<'_> {
        match self.records.get(&there.trial_id) {
            _ if !there.is_over() => Comparison::Unfinished,
            Some(here) if here.is_over() && is_same(here, there) => Comparison::Same,
            Some(here) if here.is_over() => Comparison::Differs(here),
            Some(here) if self.leased.contains(&here.trial_id) => Comparison::InTraining,
            _ => Comparison::New,
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

/// Whether a program's trial has lrs in the shard that are equal in single precision, on which trial ids depend, but
/// not in double precision, with which the program computes, such as 0.9 and 0.8999999999999999.
async fn is_respelled(conn: Conn<'_>, shard: &mut Reader, there: &TrialRecord) -> Result<bool, Fault> {
    let ids = std::slice::from_ref(&there.trial_id);
    let mut ours = configs(conn, ids).await?;
    let mut theirs = configs(shard.conn(), ids).await.map_err(|error| shard_fault(shard, error))?;
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

/// Inserts trials as queued.
async fn queue(conn: Conn<'_>, shard: &mut Reader, trials: &[&TrialRecord]) -> Result<(), Fault> {
    let ids: Vec<String> = trials.iter().map(|trial| trial.trial_id.clone()).collect();
    let mut configs = configs(shard.conn(), &ids).await.map_err(|error| shard_fault(shard, error))?;
    let with_config = trials.iter().map(|trial| TrialRecord {
        config: configs.remove(&trial.trial_id).unwrap_or_default(),
        ..(*trial).clone()
    });
    records::queue(conn, with_config).await
}

/// The number of a trial's environment in this store.
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

/// Writes the result of a trial, and deletes the rows of an unfinished attempt in this store.
async fn finish(mut conn: Conn<'_>, trial: &TrialRecord) -> Result<(), Fault> {
    for sql in [
        "DELETE FROM trial_stages WHERE trial_id = $1",
        "DELETE FROM evaluations WHERE trial_id = $1",
        "DELETE FROM metric_values WHERE trial_id = $1",
        "DELETE FROM checkpoints WHERE trial_id = $1",
    ] {
        on!(conn.reborrow(), c => sqlx::query(sql).bind(&trial.trial_id).execute(c).await.map(|_| ()))?;
    }
    records::write_merged(conn, trial).await
}
