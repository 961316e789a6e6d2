//! Puts the results of one store into another. A result that is there already must be the same; one that differs is told and
//! left out. Merging twice, or in another order, gives the same results.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use crate::backend::{Conn, on};
use crate::error::{Fault, StoreError};
use crate::reader::{Reader, StoredTrial};
use crate::register::{self, insert, json};
use crate::rows::{Environment, Status};
use crate::store::{LONG_ANSWER, Store, Writer};

/// Rows of one INSERT.
const ROWS: usize = 100;

/// Reads from a shard: what goes wrong there is no fault of the store that is written, and won't pass by itself.
macro_rules! there {
    ($shard:ident, $connection:ident => $body:expr) => {{
        let read: Result<_, sqlx::Error> = on!($shard.conn(), $connection => $body);
        read.map_err(|error| of_shard($shard, error))
    }};
}

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
    let sql = format!("SELECT {} FROM trials ORDER BY trial_id", StoredTrial::COLUMNS);
    let trials: Vec<StoredTrial> = there!(shard, c => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(c).await)?;
    let known = ends(writer.backend.conn()).await?;
    let mut environments = Environments::default();
    let mut new = Vec::new();
    for trial in &trials {
        queue(writer.backend.conn(), trial).await?;
        if !is_over(trial.status) {
            merged.unfinished += 1;
            continue;
        }
        match known.get(&trial.trial_id) {
            Some(here) if here.leased && !is_over(here.status) => merged.in_training += 1,
            Some(here) if is_over(here.status) && here.is_same(trial) => merged.known += 1,
            Some(here) if is_over(here.status) => {
                if is_respelled(&config(writer.backend.conn(), &trial.trial_id).await?, trial) {
                    merged.known += 1;
                    merged.respelled += 1;
                } else {
                    merged.conflicts.push(conflict(writer, shard, here, trial).await?);
                }
            }
            _ => new.push(trial),
        }
    }
    for trial in &new {
        let environment = environments.number(writer, shard, trial.environment_id).await?;
        finish(writer.backend.conn(), trial, environment).await?;
    }
    merged.new = new.len();
    let ids: Vec<String> = new.iter().map(|trial| trial.trial_id.clone()).collect();
    steps(writer, shard, &ids).await?;
    sweeps(writer, shard, &mut merged).await?;
    Ok(merged)
}

fn is_over(status: Status) -> bool {
    matches!(status, Status::Done | Status::Diverged)
}

fn bits(x: Option<f64>) -> Option<u64> {
    x.map(f64::to_bits)
}

/// How a trial ended that is here already.
#[derive(sqlx::FromRow)]
struct End {
    trial_id: String,
    #[sqlx(try_from = "String")]
    status: Status,
    digest: Option<String>,
    weights_hash: Option<String>,
    final_valid_loss: Option<f64>,
    diverged_at: Option<i64>,
    host: Option<String>,
    environment_id: Option<i64>,
    leased: bool,
}

impl End {
    fn is_same(&self, there: &StoredTrial) -> bool {
        self.status == there.status
            && self.digest == there.digest
            && self.weights_hash == there.weights_hash
            && bits(self.final_valid_loss) == bits(there.final_valid_loss)
            && self.diverged_at == there.diverged_at
    }
}

async fn config(conn: Conn<'_>, trial_id: &str) -> Result<String, Fault> {
    let sql = "SELECT config FROM trials WHERE trial_id = $1";
    Ok(on!(conn, c => sqlx::query_scalar(sql).bind(trial_id).fetch_one(c).await)?)
}

/// Whether a trial of a program has other lrs there: equal in single precision, which its id is made of, and not in double
/// precision, which the program computes with, as 0.9 and 0.8999999999999999.
fn is_respelled(here: &str, there: &StoredTrial) -> bool {
    let lrs = |config: &str| {
        let seed = u64::try_from(there.seed).ok()?;
        let trial = spec::json::trial(&there.schedule, &serde_json::from_str(config).ok()?, seed).ok()?;
        trial.config.task.program()?;
        let state = trial.config.start();
        let lr = |t| trial.config.schedule.lr(t, &state).to_bits();
        Some((0..trial.config.task.steps).map(lr).collect::<Vec<u64>>())
    };
    lrs(here).zip(lrs(&there.config)).is_some_and(|(here, there)| here != there)
}

async fn ends(conn: Conn<'_>) -> Result<HashMap<String, End>, Fault> {
    let sql = "
        SELECT t.trial_id, t.status, t.digest, t.weights_hash, t.final_valid_loss, t.diverged_at, t.host,
            t.environment_id, EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = t.trial_id) AS leased
        FROM trials AS t";
    let rows: Vec<End> = on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|end| (end.trial_id.clone(), end)).collect())
}

async fn conflict(
    writer: &mut Writer,
    shard: &mut Reader,
    here: &End,
    there: &StoredTrial,
) -> Result<Conflict, Fault> {
    let ours = environment(writer.backend.conn(), here.environment_id).await?;
    let theirs =
        environment(shard.conn(), there.environment_id).await.map_err(|fault| of_shard(shard, fault))?;
    Ok(Conflict {
        trial_id: there.trial_id.clone(),
        here: Origin {
            status: here.status,
            digest: here.digest.clone(),
            host: here.host.clone(),
            environment: ours,
        },
        there: Origin {
            status: there.status,
            digest: there.digest.clone(),
            host: there.host.clone(),
            environment: theirs,
        },
    })
}

async fn environment(conn: Conn<'_>, number: Option<i64>) -> Result<Option<Environment>, Fault> {
    let sql = "
        SELECT version, git_commit, cpu, cpu_features, threads, device, os FROM environments WHERE environment_id = $1";
    Ok(on!(conn, c => sqlx::query_as(sql).bind(number).fetch_optional(c).await)?)
}

/// The numbers here of the shard's environments.
#[derive(Default)]
struct Environments(HashMap<i64, i64>);

impl Environments {
    async fn number(
        &mut self,
        writer: &mut Writer,
        shard: &mut Reader,
        there: Option<i64>,
    ) -> Result<Option<i64>, Fault> {
        let Some(there) = there else { return Ok(None) };
        if let Some(here) = self.0.get(&there) {
            return Ok(Some(*here));
        }
        let found = environment(shard.conn(), Some(there)).await.map_err(|fault| of_shard(shard, fault))?;
        let Some(found) = found else { return Ok(None) };
        let here = register::environment(writer.backend.conn(), &found).await?;
        self.0.insert(there, here);
        Ok(Some(here))
    }
}

/// Enters a trial as one that is still to be trained, where it is not here.
async fn queue(conn: Conn<'_>, trial: &StoredTrial) -> Result<(), Fault> {
    let sql = "
        INSERT INTO trials (trial_id, sweep, schedule, config_id, base_lr, seed, steps, axes, config)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (trial_id) DO NOTHING";
    on!(conn, c => sqlx::query(sql)
        .bind(&trial.trial_id)
        .bind(&trial.sweep)
        .bind(&trial.schedule)
        .bind(&trial.config_id)
        .bind(trial.base_lr)
        .bind(trial.seed)
        .bind(trial.steps)
        .bind(&trial.axes_text)
        .bind(&trial.config)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Writes the result of a trial, and takes away what an attempt here had of it.
async fn finish(mut conn: Conn<'_>, trial: &StoredTrial, environment: Option<i64>) -> Result<(), Fault> {
    for sql in [
        "DELETE FROM trial_stages WHERE trial_id = $1",
        "DELETE FROM evaluations WHERE trial_id = $1",
        "DELETE FROM checkpoints WHERE trial_id = $1",
    ] {
        on!(conn.again(), c => sqlx::query(sql).bind(&trial.trial_id).execute(c).await.map(|_| ()))?;
    }
    let sql = "
        UPDATE trials SET
            status = $2, steps_done = $3, final_train_loss = $4, final_valid_loss = $5, valid_accuracy = $6,
            test_loss = $7, test_accuracy = $8, diverged_at = $9, diverged_loss = $10, digest = $11, weights_hash = $12,
            error = NULL, attempts = $13, environment_id = $14, started_at = $15, finished_at = $16, host = $17, bits = $18,
            loaded = $19
        WHERE trial_id = $1";
    on!(conn, c => sqlx::query(sql)
        .bind(&trial.trial_id)
        .bind(trial.status.name())
        .bind(trial.steps_done)
        .bind(trial.final_train_loss)
        .bind(trial.final_valid_loss)
        .bind(trial.valid_accuracy)
        .bind(trial.test_loss)
        .bind(trial.test_accuracy)
        .bind(trial.diverged_at)
        .bind(trial.diverged_loss)
        .bind(&trial.digest)
        .bind(&trial.weights_hash)
        .bind(trial.attempts)
        .bind(environment)
        .bind(trial.started_at)
        .bind(trial.finished_at)
        .bind(&trial.host)
        .bind(trial.bits)
        .bind(&trial.loaded)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Copies the stages, steps and evaluations of these trials. Stages get numbers that nobody has; those that trials share
/// stay shared.
async fn steps(writer: &mut Writer, shard: &mut Reader, ids: &[String]) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = json(ids);
    let sql = shard.conn().pick(
        "SELECT trial_id, first_step, end_step, stage_id FROM trial_stages
        WHERE trial_id IN (SELECT value FROM json_each($1)) ORDER BY stage_id, trial_id, first_step",
        "SELECT trial_id, first_step, end_step, stage_id FROM trial_stages
        WHERE trial_id IN (SELECT json_array_elements_text($1::json)) ORDER BY stage_id, trial_id, first_step",
    );
    let taken: Vec<(String, i64, i64, i64)> =
        there!(shard, c => sqlx::query_as(sql).bind(&*ids).fetch_all(c).await)?;
    let mut ends: BTreeMap<i64, i64> = BTreeMap::new();
    for (_, _, end, stage) in &taken {
        ends.entry(*stage).and_modify(|known| *known = (*known).max(*end)).or_insert(*end);
    }
    let mut next = register::integer(writer.runner.next_stage(writer.backend.conn()).await?)?;
    let mut numbers = HashMap::new();
    for (stage, end) in ends {
        let sql = "SELECT first_step FROM stages WHERE stage_id = $1";
        let first: i64 = there!(shard, c => sqlx::query_scalar(sql).bind(stage).fetch_one(c).await)?;
        let sql = "INSERT INTO stages (stage_id, first_step) VALUES ($1, $2)";
        on!(writer.backend.conn(), c => sqlx::query(sql).bind(next).bind(first).execute(c).await.map(|_| ()))?;
        let sql = "
            SELECT step, lr, train_loss, grad_norm FROM steps WHERE stage_id = $1 AND step < $2 ORDER BY step";
        type Step = (i64, Option<f64>, Option<f64>, Option<f64>);
        let rows: Vec<Step> =
            there!(shard, c => sqlx::query_as(sql).bind(stage).bind(end).fetch_all(c).await)?;
        for chunk in rows.chunks(ROWS) {
            let head = "INSERT INTO steps (stage_id, step, lr, train_loss, grad_norm)";
            let sql = insert(head, 5, chunk.len(), "");
            on!(writer.backend.conn(), c => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for (step, lr, loss, norm) in chunk {
                    query = query.bind(next).bind(*step).bind(*lr).bind(*loss).bind(*norm);
                }
                query.execute(c).await.map(|_| ())
            })?;
        }
        numbers.insert(stage, next);
        next += 1;
    }
    for chunk in taken.chunks(ROWS) {
        let sql =
            insert("INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)", 4, chunk.len(), "");
        on!(writer.backend.conn(), c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (trial, first, end, stage) in chunk {
                query = query.bind(trial).bind(*first).bind(*end).bind(numbers.get(stage).copied());
            }
            query.execute(c).await.map(|_| ())
        })?;
    }
    let sql = shard.conn().pick(
        "SELECT trial_id, step, valid_loss FROM evaluations WHERE trial_id IN (SELECT value FROM json_each($1))",
        "SELECT trial_id, step, valid_loss FROM evaluations
        WHERE trial_id IN (SELECT json_array_elements_text($1::json))",
    );
    let seen: Vec<(String, i64, Option<f64>)> =
        there!(shard, c => sqlx::query_as(sql).bind(&*ids).fetch_all(c).await)?;
    for chunk in seen.chunks(ROWS) {
        let sql = insert("INSERT INTO evaluations (trial_id, step, valid_loss)", 3, chunk.len(), "");
        on!(writer.backend.conn(), c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (trial, step, loss) in chunk {
                query = query.bind(trial).bind(*step).bind(*loss);
            }
            query.execute(c).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Enters the sweeps that are not here, or that the shard has decided more of, with all that they ask for.
async fn sweeps(writer: &mut Writer, shard: &mut Reader, merged: &mut Merged) -> Result<(), Fault> {
    let sql = "
        SELECT s.sweep, s.file_text, s.created_at, s.updated_at,
            (SELECT count(*) FROM promotions AS p WHERE p.sweep = s.sweep)
        FROM sweeps AS s ORDER BY s.updated_at, s.sweep";
    type Sweep = (String, String, i64, i64, i64);
    let there: Vec<Sweep> = there!(shard, c => sqlx::query_as(sql).fetch_all(c).await)?;
    let here: Vec<Sweep> = on!(writer.backend.conn(), c => sqlx::query_as(sql).fetch_all(c).await)?;
    for (sweep, text, created_at, updated_at, decided) in there {
        if let Some((_, known, _, _, before)) = here.iter().find(|(name, ..)| *name == sweep) {
            if *known != text {
                merged.other_files.push(sweep);
                continue;
            }
            if *before >= decided {
                continue;
            }
        }
        let mut conn = writer.backend.conn();
        let sql = "
            INSERT INTO sweeps (sweep, file_text, created_at, updated_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (sweep) DO NOTHING";
        on!(conn.again(), c => sqlx::query(sql)
            .bind(&sweep)
            .bind(&text)
            .bind(created_at)
            .bind(updated_at)
            .execute(c)
            .await
            .map(|_| ()))?;
        for sql in [
            "DELETE FROM cells WHERE sweep = $1",
            "DELETE FROM stage_groups WHERE sweep = $1",
            "DELETE FROM promotions WHERE sweep = $1",
        ] {
            on!(conn.again(), c => sqlx::query(sql).bind(&sweep).execute(c).await.map(|_| ()))?;
        }
        let sql = "
            SELECT position, schedule, base_lr, trial_id, repeats, purpose, stage_group FROM cells
            WHERE sweep = $1 ORDER BY position";
        type Cell = (i64, String, f64, String, i64, String, i64);
        let cells: Vec<Cell> = there!(shard, c => sqlx::query_as(sql).bind(&sweep).fetch_all(c).await)?;
        for chunk in cells.chunks(ROWS) {
            let head = "INSERT INTO cells (sweep, position, schedule, base_lr, trial_id, repeats, purpose, stage_group)";
            let sql = insert(head, 8, chunk.len(), "");
            on!(conn.again(), c => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for (position, schedule, base_lr, trial, repeats, purpose, group) in chunk {
                    query = query
                        .bind(&sweep)
                        .bind(*position)
                        .bind(schedule)
                        .bind(*base_lr)
                        .bind(trial)
                        .bind(*repeats)
                        .bind(purpose)
                        .bind(*group);
                }
                query.execute(c).await.map(|_| ())
            })?;
        }
        register::stage_groups(conn.again(), &sweep).await?;
        let sql = "
            SELECT position, kind, schedule, steps, base_lr, config_id FROM promotions WHERE sweep = $1 ORDER BY position";
        type Promotion = (i64, String, String, i64, f64, Option<String>);
        let promotions: Vec<Promotion> =
            there!(shard, c => sqlx::query_as(sql).bind(&sweep).fetch_all(c).await)?;
        let sql = "
            INSERT INTO promotions (sweep, position, kind, schedule, steps, base_lr, config_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        for (position, kind, schedule, steps, base_lr, config) in promotions {
            on!(conn.again(), c => sqlx::query(sql)
                .bind(&sweep)
                .bind(position)
                .bind(&kind)
                .bind(&schedule)
                .bind(steps)
                .bind(base_lr)
                .bind(&config)
                .execute(c)
                .await
                .map(|_| ()))?;
        }
    }
    Ok(())
}
