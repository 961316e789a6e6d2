//! Takes results out of a store: all that one sweep alone asks for, or single trials.

use std::collections::{BTreeMap, BTreeSet};

use spec::record::Status;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, from_row, json, listed, on};
use crate::error::{Fault, StoreError};
use crate::reader::Reader;
use crate::records::blank;
use crate::store::{LONG_ANSWER, Store, Writer};

/// What is to be removed.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A sweep, with the trials that no other sweep asks for.
    Sweep(&'a str),
    /// The results of trials, by their whole ids. Sweeps that ask for one train it again.
    Trials(&'a [String]),
}

/// A trial that a removal is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Affected {
    /// Which.
    pub trial_id: String,
    /// The schedule that asked first.
    pub schedule: String,
    /// Its base lr.
    pub base_lr: f64,
    /// Its seed.
    pub seed: i64,
    /// How far it is.
    pub status: Status,
    /// Steps that are stored of it.
    pub steps_done: i64,
    /// What happens to it.
    pub fate: Fate,
}

/// What a removal does to a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is removed with all that is stored of it.
    Removed,
    /// Its results are removed, and it is queued again: these sweeps ask for it.
    Queued(Vec<String>),
    /// It stays: these other sweeps ask for it.
    AskedFor(Vec<String>),
    /// It stays: these trials begin with its weights.
    BegunWith(Vec<String>),
}

impl Fate {
    /// Whether its results are removed.
    pub fn loses_results(&self) -> bool {
        matches!(self, Self::Removed | Self::Queued(_))
    }
}

impl Reader {
    /// What [`Store::remove`] would do, in the order of the trials' ids.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn removal(&mut self, target: Target<'_>) -> Result<Vec<Affected>, StoreError> {
        let found = affected(self.conn(), target).await;
        found.map_err(|fault| StoreError::at(self.name(), fault))
    }
}

impl Store {
    /// Removes a sweep or trials, all of it or nothing. Steps that other trials share stay. Files of the removed trials are
    /// the caller's to remove. Gives what [`Reader::removal`] gives.
    ///
    /// # Errors
    /// Another process trains what is to be removed, or the database can't be written.
    pub async fn remove(&mut self, target: Target<'_>) -> Result<Vec<Affected>, StoreError> {
        self.transact_within(LONG_ANSWER, async |writer| remove(writer, target).await).await
    }

    /// Those of these ids that no trial has.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn unknown(&mut self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let known = self.look(async |Writer { backend, .. }| {
            let conn = backend.conn();
            let sql = format!("SELECT trial_id FROM trials WHERE trial_id IN {}", listed(&conn));
            let ids = json(ids);
            Ok(on!(conn, c => sqlx::query_scalar(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await)?)
        });
        let known: BTreeSet<String> = known.await?.into_iter().collect();
        Ok(ids.iter().filter(|id| !known.contains(*id)).cloned().collect())
    }
}

async fn remove(writer: &mut Writer, target: Target<'_>) -> Result<Vec<Affected>, Fault> {
    writer.backend.lock_register().await?;
    writer.backend.lock_claims().await?;
    let mut conn = writer.backend.conn();
    let affected = affected(conn.again(), target).await?;
    let with = |wanted: fn(&Fate) -> bool| -> Vec<String> {
        affected.iter().filter(|trial| wanted(&trial.fate)).map(|trial| trial.trial_id.clone()).collect()
    };
    let lost = with(Fate::loses_results);
    refuse_live(conn.again(), target, &affected, &lost, writer.runner.id).await?;
    drop_results(conn.again(), &lost).await?;
    if let Target::Sweep(sweep) = target {
        // What it asks for and has decided goes with it.
        let sql = "DELETE FROM sweeps WHERE sweep = $1";
        on!(conn.again(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
        hand_on(conn.again(), sweep, &affected).await?;
    }
    over(conn.again(), "DELETE FROM trials WHERE trial_id IN", &with(|fate| *fate == Fate::Removed), "")
        .await?;
    queue(conn, &with(|fate| matches!(fate, Fate::Queued(_)))).await?;
    Ok(affected)
}

/// A statement about trials: `HEAD (their ids) TAIL`.
async fn over(conn: Conn<'_>, head: &str, trials: &[String], tail: &str) -> Result<(), Fault> {
    let sql = format!("{head} {} {tail}", listed(&conn));
    let trials = json(trials);
    on!(conn, c => sqlx::query(AssertSqlSafe(sql)).bind(&*trials).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Deletes the rows of these trials in all tables but `trials`.
async fn drop_results(mut conn: Conn<'_>, trials: &[String]) -> Result<(), Fault> {
    // Triggers of `trial_stages` delete the steps that are no trial's any more.
    for table in ["trial_stages", "evaluations", "checkpoints", "verifications", "leases"] {
        over(conn.again(), &format!("DELETE FROM {table} WHERE trial_id IN"), trials, "").await?;
    }
    Ok(())
}

/// Makes trials as they were before they were begun, to be claimed by whoever trains a sweep that asks for them.
async fn queue(mut conn: Conn<'_>, trials: &[String]) -> Result<(), Fault> {
    let head = format!("UPDATE trials SET {} WHERE trial_id IN", blank());
    over(conn.again(), &head, trials, "").await?;
    let head = "
        INSERT INTO stage_groups (sweep, stage_group)
        SELECT DISTINCT sweep, stage_group FROM cells WHERE trial_id IN";
    over(conn, head, trials, "ON CONFLICT DO NOTHING").await
}

/// Trials that stay when the sweep that asked first is removed get the name of one that stays.
async fn hand_on(mut conn: Conn<'_>, sweep: &str, affected: &[Affected]) -> Result<(), Fault> {
    let sql = "
        UPDATE trials SET (sweep, schedule, base_lr) = (
            SELECT c.sweep, c.schedule, c.base_lr FROM cells AS c JOIN sweeps AS s ON s.sweep = c.sweep
            WHERE c.trial_id = trials.trial_id ORDER BY s.created_at, s.sweep, c.position LIMIT 1
        )
        WHERE sweep = $1 AND EXISTS (SELECT 1 FROM cells AS c WHERE c.trial_id = trials.trial_id)";
    on!(conn.again(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
    // Those whose weights another one begins with go with the sweep of that.
    let sql = "UPDATE trials SET sweep = (SELECT o.sweep FROM trials AS o WHERE o.trial_id = $2) WHERE trial_id = $1 AND sweep = $3";
    for trial in affected {
        let Fate::BegunWith(others) = &trial.fate else { continue };
        on!(conn.again(), c => sqlx::query(sql)
            .bind(&trial.trial_id)
            .bind(others.first())
            .bind(sweep)
            .execute(c)
            .await
            .map(|_| ()))?;
    }
    Ok(())
}

/// Another process that trains a sweep that loses results, or one of the trials.
async fn refuse_live(
    mut conn: Conn<'_>,
    target: Target<'_>,
    affected: &[Affected],
    lost: &[String],
    me: i64,
) -> Result<(), Fault> {
    let mut sweeps: BTreeSet<&str> = BTreeSet::new();
    if let Target::Sweep(sweep) = target {
        sweeps.insert(sweep);
    }
    for trial in affected {
        if let Fate::Queued(asking) = &trial.fate {
            sweeps.extend(asking.iter().map(String::as_str));
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
            on!(conn.again(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*texts).fetch_all(c).await)?;
        if let Some((_, host, pid)) = found.into_iter().find(|(id, ..)| *id != me) {
            return Err(Fault::InTraining { host, pid });
        }
    }
    Ok(())
}

/// A trial as [`affected`] reads it.
struct Candidate {
    trial_id: String,
    schedule: String,
    base_lr: f64,
    seed: i64,
    status: String,
    steps_done: i64,
}

from_row!(Candidate { trial_id, schedule, base_lr, seed, status, steps_done });

/// The trials that a removal is about, and what it does to each.
async fn affected(mut conn: Conn<'_>, target: Target<'_>) -> Result<Vec<Affected>, Fault> {
    let columns =
        "SELECT t.trial_id, t.schedule, t.base_lr, t.seed, t.status, t.steps_done FROM trials AS t WHERE";
    let (which, bound) = match target {
        // Also what it asked for before its file was changed, and nobody asks for now.
        Target::Sweep(sweep) => (
            "(t.trial_id IN (SELECT c.trial_id FROM cells AS c WHERE c.sweep = $1) OR (
                t.sweep = $1 AND NOT EXISTS (SELECT 1 FROM cells AS c WHERE c.trial_id = t.trial_id)
            ))"
            .to_owned(),
            sweep.into(),
        ),
        Target::Trials(ids) => (format!("t.trial_id IN {}", listed(&conn)), json(ids)),
    };
    let sql = format!("{columns} {which} ORDER BY t.trial_id");
    let candidates: Vec<Candidate> =
        on!(conn.again(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*bound).fetch_all(c).await)?;
    let ids: Vec<String> = candidates.iter().map(|trial| trial.trial_id.clone()).collect();
    let mut fates = fates(target, &ids, &askers(conn.again(), &ids).await?, &begins_with(conn).await?);
    let with_fate = |trial: Candidate| {
        let fate = fates.remove(&trial.trial_id)?;
        let Candidate { trial_id, schedule, base_lr, seed, status, steps_done } = trial;
        let affected = |status| Affected { trial_id, schedule, base_lr, seed, status, steps_done, fate };
        Some(Status::try_from(status).map(affected).map_err(|error| sqlx::Error::Decode(error.into()).into()))
    };
    candidates.into_iter().filter_map(with_fate).collect()
}

/// The sweeps that ask for each of these trials.
async fn askers(conn: Conn<'_>, trials: &[String]) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let sql = format!(
        "SELECT DISTINCT trial_id, sweep FROM cells WHERE trial_id IN {} ORDER BY 1, 2",
        listed(&conn)
    );
    let trials = json(trials);
    let rows: Vec<(String, String)> =
        on!(conn, c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*trials).fetch_all(c).await)?;
    let mut askers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (trial, sweep) in rows {
        askers.entry(trial).or_default().push(sweep);
    }
    Ok(askers)
}

/// The trials that begin with the weights of another one, each after that.
async fn begins_with(conn: Conn<'_>) -> Result<Vec<(String, String)>, Fault> {
    let sql = "SELECT trial_id, config FROM trials WHERE config LIKE '%\"init_from\"%' ORDER BY trial_id";
    let rows: Vec<(String, String)> = on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)?;
    let first = |config: &str| -> Option<String> {
        let config: serde_json::Value = serde_json::from_str(config).ok()?;
        Some(config.pointer("/task/init_from/trial")?.as_str()?.to_owned())
    };
    Ok(rows.into_iter().filter_map(|(trial, config)| Some((first(&config)?, trial))).collect())
}

/// What happens to each of these trials.
fn fates(
    target: Target<'_>,
    trials: &[String],
    askers: &BTreeMap<String, Vec<String>>,
    begins_with: &[(String, String)],
) -> BTreeMap<String, Fate> {
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for trial in trials {
        let asking = askers.get(trial).cloned().unwrap_or_default();
        let fate = match target {
            Target::Sweep(sweep) => {
                let others: Vec<String> = asking.into_iter().filter(|other| other != sweep).collect();
                if others.is_empty() { Fate::Removed } else { Fate::AskedFor(others) }
            }
            Target::Trials(_) if asking.is_empty() => Fate::Removed,
            Target::Trials(_) => Fate::Queued(asking),
        };
        fates.insert(trial.clone(), fate);
    }
    // One that stays may itself begin with the weights of a third.
    loop {
        let goes = |trial: &str| fates.get(trial).is_some_and(Fate::loses_results);
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (first, then) in begins_with {
            if goes(first) && !goes(then) {
                kept.entry(first.clone()).or_default().push(then.clone());
            }
        }
        if kept.is_empty() {
            return fates;
        }
        fates.extend(kept.into_iter().map(|(first, then)| (first, Fate::BegunWith(then))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_others_need_stays() {
        let trials = texts(&["a", "b", "c", "d"]);
        let asked = |trial: &str, sweeps: &[&str]| (trial.to_owned(), texts(sweeps));
        let askers = BTreeMap::from([
            asked("a", &["s"]),
            asked("b", &["r", "s"]),
            asked("c", &["s"]),
            asked("d", &["s"]),
        ]);
        // b begins with the weights of a, a with those of c.
        let begins_with = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "a".to_owned())];
        let fates = fates(Target::Sweep("s"), &trials, &askers, &begins_with);
        assert_eq!(fates["a"], Fate::BegunWith(texts(&["b"])));
        assert_eq!(fates["b"], Fate::AskedFor(texts(&["r"])));
        assert_eq!(fates["c"], Fate::BegunWith(texts(&["a"])));
        assert_eq!(fates["d"], Fate::Removed);
        let fates = super::fates(Target::Trials(&trials), &trials, &askers, &begins_with);
        assert!(fates.values().all(Fate::loses_results), "{fates:?}");
    }
}
