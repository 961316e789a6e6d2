//! Registering plans: sweeps, their cells, trials before they start, and environments.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use spec::Plan;
use spec::halving::Halving;
use spec::protocol::{Chosen, Purpose, Seeds, seeds_of};
use spec::record::{Axes, ENVIRONMENT_COLUMNS, Environment, TrialRecord};
use spec::trial::Trial;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, json, listed, on};
use crate::error::Fault;
use crate::records::{self, bind, names, placeholders};
use crate::rows::Unfinished;
use crate::screening;
use crate::sweep_rows::{Cell, Promotion};

/// Number of trials in memory at a time, because their configs are long.
const CHUNK: usize = 200;

/// Writes a plan. Returns whether the cells of the sweep changed. `keep_recency`: not a user's request, so the sweep
/// does not become the one that was run last.
pub(crate) async fn write(mut conn: Conn<'_>, plan: &Plan, keep_recency: bool) -> Result<bool, Fault> {
    let planned = planned_seeds(conn.reborrow(), &plan.name).await?;
    sweep(conn.reborrow(), plan, keep_recency).await?;
    let (stored, wanted) = (Cell::read(conn.reborrow(), &plan.name).await?, cells(plan));
    let is_new = stored != wanted;
    if is_new {
        // The trials of a stored cell exist.
        let known: HashSet<&str> = stored.iter().map(|cell| cell.trial_id.as_str()).collect();
        let new: Vec<&Trial> =
            plan.trials.iter().filter(|trial| !known.contains(trial.id.as_str())).collect();
        for chunk in new.chunks(CHUNK) {
            let records = chunk.iter().map(|trial| record(&plan.name, trial));
            records::queue(conn.reborrow(), records.collect::<Result<Vec<_>, Fault>>()?).await?;
        }
        record_look(conn.reborrow(), plan, planned.as_ref()).await?;
        Cell::update(conn.reborrow(), &plan.name, &stored, wanted).await?;
        stage_groups(conn.reborrow(), &plan.name).await?;
    }
    Promotion::replace(conn, &plan.name, promotions(plan)?).await?;
    Ok(is_new)
}

/// The seeds in the stored text of a sweep's file.
async fn planned_seeds(conn: Conn<'_>, sweep: &str) -> Result<Option<Seeds>, Fault> {
    let sql = "SELECT file_text FROM sweeps WHERE sweep = $1";
    let text: Option<String> = on!(conn, c => sqlx::query_scalar(sql).bind(sweep).fetch_optional(c).await)?;
    Ok(text.and_then(|text| seeds_of(&text)))
}

/// Records the number of seeds at which the ranking could be looked at, if all judging runs have ended and the plan
/// adds seeds to them. `planned`: the seeds of the file so far. If they are the same now, a planned look has added seeds, not a user who saw
/// the ranking; and e-values hold whenever seeds are added.
async fn record_look(mut conn: Conn<'_>, plan: &Plan, planned: Option<&Seeds>) -> Result<(), Fault> {
    let judges = |purpose| matches!(purpose, Purpose::All | Purpose::Decide);
    let judging = plan.cells.iter().filter(|cell| judges(cell.purpose));
    let judging: HashMap<&str, u64> = judging
        .filter_map(|cell| plan.trials.get(cell.trial))
        .map(|trial| (trial.id.as_str(), trial.seed))
        .collect();
    let sql = "
        SELECT DISTINCT t.trial_id, t.seed, t.status FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND c.purpose != 'tune'";
    let before: Vec<(String, i64, String)> =
        on!(conn.reborrow(), c => sqlx::query_as(sql).bind(&plan.name).fetch_all(c).await)?;
    if before.is_empty() || judging.is_empty() {
        return Ok(());
    }
    if !before.iter().all(|(id, ..)| judging.contains_key(id.as_str())) {
        // Other runs are a different experiment.
        let sql = "DELETE FROM looks WHERE sweep = $1";
        on!(conn, c => sqlx::query(sql).bind(&plan.name).execute(c).await.map(|_| ()))?;
        return Ok(());
    }
    let seen = before.iter().map(|(_, seed, _)| *seed).collect::<HashSet<_>>().len();
    let ended = before.iter().all(|(.., status)| status == "done" || status == "diverged");
    let now_planned = seeds_of(&plan.text);
    let is_planned = planned
        .zip(now_planned.as_ref())
        .is_some_and(|(before, after)| before == after || before.may_become(after));
    if is_planned || !ended || seen >= judging.values().collect::<HashSet<_>>().len() {
        return Ok(());
    }
    let sql = "INSERT INTO looks (sweep, seeds, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let seen = integer(seen as u64)?;
    on!(conn, c => sqlx::query(sql).bind(&plan.name).bind(seen).bind(now()).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Inserts the stage groups of a sweep that have unfinished trials, so that they can be claimed.
pub(crate) async fn stage_groups(conn: Conn<'_>, sweep: &str) -> Result<(), Fault> {
    let sql = "
        INSERT INTO stage_groups (sweep, stage_group)
        SELECT DISTINCT c.sweep, c.stage_group FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND t.status NOT IN ('done', 'diverged')";
    on!(conn, c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// The decisions that led to this plan.
fn promotions(plan: &Plan) -> Result<Vec<Promotion>, Fault> {
    let decisions = &plan.decisions;
    let added = decisions.added.iter().map(|lr| {
        Ok(Promotion {
            kind: lr.by.name().to_owned(),
            schedule: lr.schedule.clone(),
            steps: integer(lr.steps)?,
            base_lr: lr.base_lr,
            ..Promotion::default()
        })
    });
    let halved = decisions.halvings.iter().flat_map(halved);
    let chosen = decisions.chosen.iter().map(|config| promotion("chosen", config, None));
    let looks = decisions.looks.iter().flat_map(|look| {
        look.outcomes.iter().map(|at| promotion(at.outcome.name(), &at.chosen, Some(look.seeds)))
    });
    let screened = decisions.screened.iter().flat_map(screening::promotions);
    let all = (0..).zip(screened.chain(halved).chain(added).chain(chosen).chain(looks));
    all.map(|(position, promotion)| Ok(Promotion { position, ..promotion? })).collect()
}

/// The decisions of a halving.
fn halved(halving: &Halving) -> impl Iterator<Item = Result<Promotion, Fault>> {
    halving.outcomes.iter().map(|at| {
        Ok(Promotion {
            kind: at.fate.name().to_owned(),
            schedule: at.schedule.clone(),
            steps: integer(at.steps)?,
            base_lr: at.base_lr,
            seeds: Some(integer(halving.seeds)?),
            ..Promotion::default()
        })
    })
}

/// A decision about a chosen config.
fn promotion(kind: &str, config: &Chosen, seeds: Option<u64>) -> Result<Promotion, Fault> {
    Ok(Promotion {
        kind: kind.to_owned(),
        schedule: config.schedule.clone(),
        steps: integer(config.steps)?,
        base_lr: config.base_lr,
        config_id: Some(config.config_id.clone()),
        seeds: seeds.map(integer).transpose()?,
        ..Promotion::default()
    })
}

async fn sweep(conn: Conn<'_>, plan: &Plan, keep_recency: bool) -> Result<(), Fault> {
    // `updated_at` must be later than that of every other sweep, even if the clock was set back: it orders the
    // sweeps.
    let sql = "
        INSERT INTO sweeps (sweep, file_text, created_at, updated_at)
        SELECT $1, $2, n.now, CASE WHEN n.last > n.now THEN n.last ELSE n.now END
        FROM (
            SELECT CAST($3 AS BIGINT) AS now, 1 + coalesce((SELECT max(updated_at) FROM sweeps), 0) AS last
        ) AS n
        WHERE true
        ON CONFLICT (sweep) DO UPDATE SET
            file_text = excluded.file_text,
            updated_at = CASE WHEN $4 THEN sweeps.updated_at ELSE excluded.updated_at END";
    on!(conn, c => sqlx::query(sql)
        .bind(&plan.name)
        .bind(&plan.text)
        .bind(now())
        .bind(keep_recency)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// The row of a trial at registration.
fn record(sweep: &str, trial: &Trial) -> Result<TrialRecord, Fault> {
    let config = &trial.config;
    let axes = config.axes.iter().map(|(path, value)| (path.clone(), value.as_str().to_owned()));
    Ok(TrialRecord {
        trial_id: trial.id.clone(),
        sweep: sweep.to_owned(),
        schedule: config.schedule_name.clone(),
        config_id: config.id.clone(),
        base_lr: config.base_lr,
        seed: integer(trial.seed)?,
        steps: integer(config.task.steps)?,
        axes: Axes(axes.collect()),
        config: config.json().to_string(),
        ..TrialRecord::default()
    })
}

fn cells(plan: &Plan) -> Vec<Cell> {
    let mut groups = vec![0_i64; plan.trials.len()];
    let members = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
    for (number, members) in (0..).zip(members) {
        for i in members {
            if let Some(group) = groups.get_mut(i) {
                *group = number;
            }
        }
    }
    let mut seen = HashSet::new();
    let cells = plan.cells.iter().zip(0..);
    let wanted = cells.filter_map(|(cell, position)| {
        // The index is valid in every plan.
        let (trial, stage_group) = (plan.trials.get(cell.trial)?, *groups.get(cell.trial)?);
        let is_dropped = cell.purpose == Purpose::Dropped;
        // Before its lr was dropped, the run chose.
        let purpose = if is_dropped { Purpose::Tune } else { cell.purpose };
        Some(Cell {
            position,
            schedule: cell.schedule.clone(),
            base_lr: trial.config.base_lr,
            trial_id: trial.id.clone(),
            repeats: i64::from(!seen.insert((cell.schedule.as_str(), cell.trial))),
            purpose: purpose.name().to_owned(),
            dropped: i64::from(is_dropped),
            stage_group,
        })
    });
    wanted.collect()
}

/// Trials of a sweep that are neither done nor diverged.
pub(crate) async fn unfinished(conn: Conn<'_>, sweep: &str) -> Result<Vec<Unfinished>, Fault> {
    // A checkpoint ahead of the stored steps belongs to an attempt whose steps were deleted. Resuming from it would
    // leave a gap.
    let sql = "
        SELECT t.trial_id, k.file, k.step
        FROM (
            SELECT trial_id, min(position) AS position FROM cells WHERE sweep = $1 GROUP BY trial_id
        ) AS c
        JOIN trials AS t ON t.trial_id = c.trial_id
        LEFT JOIN checkpoints AS k ON k.trial_id = t.trial_id AND k.step <= t.steps_done
        WHERE t.status NOT IN ('done', 'diverged')
        ORDER BY c.position";
    let rows = on!(conn, c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await)?;
    Ok(rows.into_iter().map(to_unfinished).collect())
}

/// The checkpoint of each of these trials, unordered.
pub(crate) async fn with_checkpoints(conn: Conn<'_>, trial_ids: &[String]) -> Result<Vec<Unfinished>, Fault> {
    let sql = format!(
        "SELECT t.trial_id, k.file, k.step
        FROM trials AS t LEFT JOIN checkpoints AS k ON k.trial_id = t.trial_id AND k.step <= t.steps_done
        WHERE t.trial_id IN {}",
        listed(&conn)
    );
    let ids = json(trial_ids);
    let rows = on!(conn, c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await)?;
    Ok(rows.into_iter().map(to_unfinished).collect())
}

fn to_unfinished((trial_id, file, step): (String, Option<String>, Option<i64>)) -> Unfinished {
    Unfinished { trial_id, checkpoint: file.zip(step.map(i64::unsigned_abs)) }
}

/// Number of trials of a sweep that are done or have diverged.
pub(crate) async fn count_ended(conn: Conn<'_>, sweep: &str) -> Result<usize, Fault> {
    let sql = "
        SELECT count(DISTINCT c.trial_id) FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND t.status IN ('done', 'diverged')";
    let count: i64 = on!(conn, c => sqlx::query_scalar(sql).bind(sweep).fetch_one(c).await)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Finds or writes an environment.
pub(crate) async fn environment(conn: Conn<'_>, environment: &Environment) -> Result<i64, Fault> {
    let columns = names(ENVIRONMENT_COLUMNS);
    let row = placeholders(ENVIRONMENT_COLUMNS.len(), 1);
    // The update changes nothing. It makes the statement return the row in both cases.
    let sql = format!(
        "INSERT INTO environments ({columns}) VALUES {row}
        ON CONFLICT ({columns}) DO UPDATE SET version = excluded.version RETURNING environment_id"
    );
    let values = ENVIRONMENT_COLUMNS.iter().map(|column| (column.get)(environment));
    Ok(on!(conn, c => bind!(sqlx::query_scalar(AssertSqlSafe(sql)), values).fetch_one(c).await)?)
}

/// The number as the signed integer that the databases store.
pub(crate) fn integer(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::TooLarge(number))
}

/// UTC, milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
