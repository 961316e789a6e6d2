//! Removes results from a store: those that only one sweep uses, or single trials.

use std::collections::{BTreeMap, BTreeSet};

use spec::record::Status;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, from_row, json, listed, on};
use crate::error::{Fault, StoreError};
use crate::reader::Reader;
use crate::records::reset_columns;
use crate::store::{LONG_TIMEOUT, Store, Writer};

/// The target of a removal.
#[derive(Debug, Clone, Copy)]
pub enum RemovalTarget<'a> {
    /// A sweep, with the trials that no other sweep uses.
    Sweep(&'a str),
    /// The results of trials, by their full ids. Sweeps that use one of them train it again.
    Trials(&'a [String]),
}

/// A trial that a removal affects.
#[derive(Debug, Clone, PartialEq)]
pub struct AffectedTrial {
    /// The trial's id.
    pub trial_id: String,
    /// The schedule for which it was first registered.
    pub schedule: String,
    /// Its base lr.
    pub base_lr: f64,
    /// Its seed.
    pub seed: i64,
    /// Its status before the removal.
    pub status: Status,
    /// Number of its stored steps.
    pub steps_done: i64,
    /// The effect of the removal.
    pub effect: RemovalEffect,
}

/// The effect of a removal on a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalEffect {
    /// The trial is removed with all its results.
    Removed,
    /// Its results are removed, and it is queued again because these sweeps use it.
    Requeued(Vec<String>),
    /// It is kept because these other sweeps use it.
    UsedBySweeps(Vec<String>),
    /// It is kept because these trials start from its weights.
    UsedByTrials(Vec<String>),
}

impl RemovalEffect {
    /// Whether its results are removed.
    pub fn loses_results(&self) -> bool {
        matches!(self, Self::Removed | Self::Requeued(_))
    }
}

impl Reader {
    /// A preview of [`Store::remove`], sorted by trial id.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn removal(&mut self, target: RemovalTarget<'_>) -> Result<Vec<AffectedTrial>, StoreError> {
        let found = affected(self.conn(), target).await;
        found.map_err(|fault| StoreError::at(self.name(), fault))
    }
}

impl Store {
    /// Removes a sweep or trials, all of it or nothing. Steps that other trials share are kept. The caller removes
    /// the files of the removed trials. Returns the same as [`Reader::removal`].
    ///
    /// # Errors
    /// Another process trains trials that are to be removed, or the database can't be written.
    pub async fn remove(&mut self, target: RemovalTarget<'_>) -> Result<Vec<AffectedTrial>, StoreError> {
        self.transact_within(LONG_TIMEOUT, async |writer| remove(writer, target).await).await
    }

    /// The ids among these that do not belong to any trial.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn unknown_trials(&mut self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let known = self.read(async |Writer { backend, .. }| {
            let conn = backend.conn();
            let sql = format!("SELECT trial_id FROM trials WHERE trial_id IN {}", listed(&conn));
            let ids = json(ids);
            Ok(on!(conn, c => sqlx::query_scalar(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await)?)
        });
        let known: BTreeSet<String> = known.await?.into_iter().collect();
        Ok(ids.iter().filter(|id| !known.contains(*id)).cloned().collect())
    }
}

async fn remove(writer: &mut Writer, target: RemovalTarget<'_>) -> Result<Vec<AffectedTrial>, Fault> {
    writer.backend.lock_register().await?;
    writer.backend.lock_claims().await?;
    let mut conn = writer.backend.conn();
    let affected = affected(conn.reborrow(), target).await?;
    let with = |wanted: fn(&RemovalEffect) -> bool| -> Vec<String> {
        affected.iter().filter(|trial| wanted(&trial.effect)).map(|trial| trial.trial_id.clone()).collect()
    };
    let lost = with(RemovalEffect::loses_results);
    refuse_if_in_training(conn.reborrow(), target, &affected, &lost, writer.runner.id).await?;
    delete_results(conn.reborrow(), &lost).await?;
    if let RemovalTarget::Sweep(sweep) = target {
        // Its cells and promotions are deleted with it, by foreign keys.
        let sql = "DELETE FROM sweeps WHERE sweep = $1";
        on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
        reassign_first_sweep(conn.reborrow(), sweep, &affected).await?;
    }
    execute_for(
        conn.reborrow(),
        "DELETE FROM trials WHERE trial_id IN",
        &with(|effect| *effect == RemovalEffect::Removed),
        "",
    )
    .await?;
    requeue(conn, &with(|effect| matches!(effect, RemovalEffect::Requeued(_)))).await?;
    Ok(affected)
}

/// Runs the statement `HEAD (ids of the trials) TAIL`.
async fn execute_for(conn: Conn<'_>, head: &str, trials: &[String], tail: &str) -> Result<(), Fault> {
    let sql = format!("{head} {} {tail}", listed(&conn));
    let trials = json(trials);
    on!(conn, c => sqlx::query(AssertSqlSafe(sql)).bind(&*trials).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Deletes the rows of these trials in all tables except `trials`.
async fn delete_results(mut conn: Conn<'_>, trials: &[String]) -> Result<(), Fault> {
    // Triggers of `trial_stages` delete the steps that no longer belong to a trial.
    for table in ["trial_stages", "evaluations", "metric_values", "checkpoints", "verifications", "leases"] {
        execute_for(conn.reborrow(), &format!("DELETE FROM {table} WHERE trial_id IN"), trials, "").await?;
    }
    Ok(())
}

/// Resets trials to the state before training and queues them for the sweeps that use them.
async fn requeue(mut conn: Conn<'_>, trials: &[String]) -> Result<(), Fault> {
    let head = format!("UPDATE trials SET {} WHERE trial_id IN", reset_columns());
    execute_for(conn.reborrow(), &head, trials, "").await?;
    let head = "
        INSERT INTO stage_groups (sweep, stage_group)
        SELECT DISTINCT sweep, stage_group FROM cells WHERE trial_id IN";
    execute_for(conn, head, trials, "ON CONFLICT DO NOTHING").await
}

/// Assigns trials that are kept, and whose first sweep is removed, to another sweep that uses them.
async fn reassign_first_sweep(
    mut conn: Conn<'_>,
    sweep: &str,
    affected: &[AffectedTrial],
) -> Result<(), Fault> {
    let sql = "
        UPDATE trials SET (sweep, schedule, base_lr) = (
            SELECT c.sweep, c.schedule, c.base_lr FROM cells AS c JOIN sweeps AS s ON s.sweep = c.sweep
            WHERE c.trial_id = trials.trial_id ORDER BY s.created_at, s.sweep, c.position LIMIT 1
        )
        WHERE sweep = $1 AND EXISTS (SELECT 1 FROM cells AS c WHERE c.trial_id = trials.trial_id)";
    on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
    // A trial that is kept for its weights goes to the sweep of the trial that uses them.
    let sql = "UPDATE trials SET sweep = (SELECT o.sweep FROM trials AS o WHERE o.trial_id = $2) WHERE trial_id = $1 AND sweep = $3";
    for trial in affected {
        let RemovalEffect::UsedByTrials(others) = &trial.effect else { continue };
        on!(conn.reborrow(), c => sqlx::query(sql)
            .bind(&trial.trial_id)
            .bind(others.first())
            .bind(sweep)
            .execute(c)
            .await
            .map(|_| ()))?;
    }
    Ok(())
}

/// Fails if another process trains one of the trials, or a sweep that loses results.
async fn refuse_if_in_training(
    mut conn: Conn<'_>,
    target: RemovalTarget<'_>,
    affected: &[AffectedTrial],
    lost: &[String],
    me: i64,
) -> Result<(), Fault> {
    let mut sweeps: BTreeSet<&str> = BTreeSet::new();
    if let RemovalTarget::Sweep(sweep) = target {
        sweeps.insert(sweep);
    }
    for trial in affected {
        if let RemovalEffect::Requeued(users) = &trial.effect {
            sweeps.extend(users.iter().map(String::as_str));
        }
    }
    let sweeps: Vec<String> = sweeps.into_iter().map(str::to_owned).collect();
    let by_name = "SELECT runner_id, host, pid FROM runners WHERE ended_at IS NULL AND sweep IN";
    let by_lease = "
        SELECT r.runner_id, r.host, r.pid FROM runners AS r JOIN leases AS l ON l.runner_id = r.runner_id
        WHERE r.ended_at IS NULL AND l.trial_id IN";
    for (head, texts) in [(by_name, sweeps.as_slice()), (by_lease, lost)] {
        let sql = format!("{head} {} ORDER BY 1", listed(&conn));
        let texts = json(texts);
        let found: Vec<(i64, String, i64)> =
            on!(conn.reborrow(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*texts).fetch_all(c).await)?;
        if let Some((_, host, pid)) = found.into_iter().find(|(id, ..)| *id != me) {
            return Err(Fault::InTraining { host, pid });
        }
    }
    Ok(())
}

/// The row of a trial that [`affected`] reads.
struct Candidate {
    trial_id: String,
    schedule: String,
    base_lr: f64,
    seed: i64,
    status: String,
    steps_done: i64,
}

from_row!(Candidate { trial_id, schedule, base_lr, seed, status, steps_done });

/// The trials that a removal affects, and what it does to each.
async fn affected(mut conn: Conn<'_>, target: RemovalTarget<'_>) -> Result<Vec<AffectedTrial>, Fault> {
    let columns =
        "SELECT t.trial_id, t.schedule, t.base_lr, t.seed, t.status, t.steps_done FROM trials AS t WHERE";
    let (which, bound) = match target {
        // Includes trials of an earlier version of the sweep file that no sweep uses now.
        RemovalTarget::Sweep(sweep) => (
            "(t.trial_id IN (SELECT c.trial_id FROM cells AS c WHERE c.sweep = $1) OR (
                t.sweep = $1 AND NOT EXISTS (SELECT 1 FROM cells AS c WHERE c.trial_id = t.trial_id)
            ))"
            .to_owned(),
            sweep.into(),
        ),
        RemovalTarget::Trials(ids) => (format!("t.trial_id IN {}", listed(&conn)), json(ids)),
    };
    let sql = format!("{columns} {which} ORDER BY t.trial_id");
    let candidates: Vec<Candidate> =
        on!(conn.reborrow(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*bound).fetch_all(c).await)?;
    let ids: Vec<String> = candidates.iter().map(|trial| trial.trial_id.clone()).collect();
    let mut effects =
        effects(target, &ids, &sweeps_of_trials(conn.reborrow(), &ids).await?, &weight_users(conn).await?);
    let with_effect = |trial: Candidate| {
        let effect = effects.remove(&trial.trial_id)?;
        let Candidate { trial_id, schedule, base_lr, seed, status, steps_done } = trial;
        let affected =
            |status| AffectedTrial { trial_id, schedule, base_lr, seed, status, steps_done, effect };
        Some(Status::try_from(status).map(affected).map_err(|error| sqlx::Error::Decode(error.into()).into()))
    };
    candidates.into_iter().filter_map(with_effect).collect()
}

/// The sweeps that use each of these trials.
async fn sweeps_of_trials(conn: Conn<'_>, trials: &[String]) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let sql = format!(
        "SELECT DISTINCT trial_id, sweep FROM cells WHERE trial_id IN {} ORDER BY 1, 2",
        listed(&conn)
    );
    let trials = json(trials);
    let rows: Vec<(String, String)> =
        on!(conn, c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*trials).fetch_all(c).await)?;
    let mut sweeps_of_trials: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (trial, sweep) in rows {
        sweeps_of_trials.entry(trial).or_default().push(sweep);
    }
    Ok(sweeps_of_trials)
}

/// The trials that start from the weights of another trial, as pairs (source of the weights, trial).
async fn weight_users(conn: Conn<'_>) -> Result<Vec<(String, String)>, Fault> {
    let sql = "SELECT trial_id, config FROM trials WHERE config LIKE '%\"init_from\"%' ORDER BY trial_id";
    let rows: Vec<(String, String)> = on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)?;
    let source = |config: &str| -> Option<String> {
        let config: serde_json::Value = serde_json::from_str(config).ok()?;
        Some(config.pointer("/task/init_from/trial")?.as_str()?.to_owned())
    };
    Ok(rows.into_iter().filter_map(|(trial, config)| Some((source(&config)?, trial))).collect())
}

/// The effect of the removal on each of these trials.
fn effects(
    target: RemovalTarget<'_>,
    trials: &[String],
    sweeps_of_trials: &BTreeMap<String, Vec<String>>,
    weight_users: &[(String, String)],
) -> BTreeMap<String, RemovalEffect> {
    let mut effects: BTreeMap<String, RemovalEffect> = BTreeMap::new();
    for trial in trials {
        let users = sweeps_of_trials.get(trial).cloned().unwrap_or_default();
        let effect = match target {
            RemovalTarget::Sweep(sweep) => {
                let others: Vec<String> = users.into_iter().filter(|other| other != sweep).collect();
                if others.is_empty() { RemovalEffect::Removed } else { RemovalEffect::UsedBySweeps(others) }
            }
            RemovalTarget::Trials(_) if users.is_empty() => RemovalEffect::Removed,
            RemovalTarget::Trials(_) => RemovalEffect::Requeued(users),
        };
        effects.insert(trial.clone(), effect);
    }
    // A trial that is kept may itself start from the weights of another one.
    loop {
        let is_lost = |trial: &str| effects.get(trial).is_some_and(RemovalEffect::loses_results);
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (source, user) in weight_users {
            if is_lost(source) && !is_lost(user) {
                kept.entry(source.clone()).or_default().push(user.clone());
            }
        }
        if kept.is_empty() {
            return effects;
        }
        effects.extend(kept.into_iter().map(|(source, users)| (source, RemovalEffect::UsedByTrials(users))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn trials_that_others_need_are_kept() {
        let trials = texts(&["a", "b", "c", "d"]);
        let used = |trial: &str, sweeps: &[&str]| (trial.to_owned(), texts(sweeps));
        let sweeps_of_trials =
            BTreeMap::from([used("a", &["s"]), used("b", &["r", "s"]), used("c", &["s"]), used("d", &["s"])]);
        // b starts from the weights of a, a from those of c.
        let weight_users = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "a".to_owned())];
        let effects = effects(RemovalTarget::Sweep("s"), &trials, &sweeps_of_trials, &weight_users);
        assert_eq!(effects["a"], RemovalEffect::UsedByTrials(texts(&["b"])));
        assert_eq!(effects["b"], RemovalEffect::UsedBySweeps(texts(&["r"])));
        assert_eq!(effects["c"], RemovalEffect::UsedByTrials(texts(&["a"])));
        assert_eq!(effects["d"], RemovalEffect::Removed);
        let effects =
            super::effects(RemovalTarget::Trials(&trials), &trials, &sweeps_of_trials, &weight_users);
        assert!(effects.values().all(RemovalEffect::loses_results), "{effects:?}");
    }
}
