//! What is to be trained: sweeps, their cells, trials before they start, environments.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use spec::Plan;
use spec::protocol::Purpose;
use spec::trial::Trial;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, on};
use crate::error::Fault;
use crate::rows::{Environment, Unfinished};

/// Rows of one INSERT.
const ROWS: usize = 50;

/// Writes a plan, and says whether that changed what is asked for. `again`: not because a person asked for it, so that the
/// sweep does not count as run last.
pub(crate) async fn write(mut conn: Conn<'_>, plan: &Plan, again: bool) -> Result<bool, Fault> {
    sweep(conn.again(), plan, again).await?;
    let wanted = wanted(plan);
    if is_written(conn.again(), &plan.name, &wanted).await? {
        promotions(conn, plan).await?;
        return Ok(false);
    }
    for chunk in plan.trials.chunks(ROWS) {
        trials(conn.again(), &plan.name, chunk).await?;
    }
    look(conn.again(), plan).await?;
    for sql in ["DELETE FROM cells WHERE sweep = $1", "DELETE FROM stage_groups WHERE sweep = $1"] {
        on!(conn.again(), c => sqlx::query(sql).bind(&plan.name).execute(c).await.map(|_| ()))?;
    }
    for chunk in wanted.chunks(ROWS) {
        cells(conn.again(), &plan.name, chunk).await?;
    }
    stage_groups(conn.again(), &plan.name).await?;
    promotions(conn, plan).await?;
    Ok(true)
}

/// Records with how many seeds the ranking could be seen, where all runs that judged have ended, and the plan asks for these and
/// for more seeds.
async fn look(mut conn: Conn<'_>, plan: &Plan) -> Result<(), Fault> {
    let judging = plan.cells.iter().filter(|cell| cell.purpose != Purpose::Tune);
    let judging: HashMap<&str, u64> = judging
        .filter_map(|cell| plan.trials.get(cell.trial))
        .map(|trial| (trial.id.as_str(), trial.seed))
        .collect();
    let sql = "
        SELECT DISTINCT t.trial_id, t.seed, t.status FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND c.purpose != 'tune'";
    let before: Vec<(String, i64, String)> =
        on!(conn.again(), c => sqlx::query_as(sql).bind(&plan.name).fetch_all(c).await)?;
    if before.is_empty() || judging.is_empty() {
        return Ok(());
    }
    if !before.iter().all(|(id, ..)| judging.contains_key(id.as_str())) {
        // Other runs answer another question.
        let sql = "DELETE FROM looks WHERE sweep = $1";
        on!(conn, c => sqlx::query(sql).bind(&plan.name).execute(c).await.map(|_| ()))?;
        return Ok(());
    }
    let seen = before.iter().map(|(_, seed, _)| *seed).collect::<HashSet<_>>().len();
    let ended = before.iter().all(|(.., status)| status == "done" || status == "diverged");
    if !ended || seen >= judging.values().collect::<HashSet<_>>().len() {
        return Ok(());
    }
    let sql = "INSERT INTO looks (sweep, seeds, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let seen = integer(seen as u64)?;
    on!(conn, c => sqlx::query(sql).bind(&plan.name).bind(seen).bind(now()).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Enters the stage groups of a sweep that have something to train, for those that claim.
pub(crate) async fn stage_groups(conn: Conn<'_>, sweep: &str) -> Result<(), Fault> {
    let sql = "
        INSERT INTO stage_groups (sweep, stage_group)
        SELECT DISTINCT c.sweep, c.stage_group FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND t.status NOT IN ('done', 'diverged')";
    on!(conn, c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Whether exactly these cells stand there already.
async fn is_written(conn: Conn<'_>, sweep: &str, wanted: &[Wanted<'_>]) -> Result<bool, Fault> {
    let sql = "
        SELECT position, schedule, base_lr, trial_id, purpose, stage_group FROM cells WHERE sweep = $1 ORDER BY position";
    let rows: Vec<(i64, String, f64, String, String, i64)> =
        on!(conn, c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await)?;
    let same = |row: &(i64, String, f64, String, String, i64), cell: &Wanted<'_>| {
        row.0 == cell.position
            && row.1 == cell.schedule
            && row.2.to_bits() == cell.trial.config.base_lr.to_bits()
            && row.3 == cell.trial.id
            && row.4 == cell.purpose
            && row.5 == cell.group
    };
    Ok(rows.len() == wanted.len() && rows.iter().zip(wanted).all(|(row, cell)| same(row, cell)))
}

/// What was decided before this plan.
async fn promotions(mut conn: Conn<'_>, plan: &Plan) -> Result<(), Fault> {
    let sql = "DELETE FROM promotions WHERE sweep = $1";
    on!(conn.again(), c => sqlx::query(sql).bind(&plan.name).execute(c).await.map(|_| ()))?;
    let sql = "
        INSERT INTO promotions (sweep, position, kind, schedule, steps, base_lr, config_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let added = plan.decisions.added.iter().map(|lr| ("extended", &lr.schedule, lr.steps, lr.base_lr, None));
    let chosen =
        plan.decisions.chosen.iter().map(|config| {
            ("chosen", &config.schedule, config.steps, config.base_lr, Some(&config.config_id))
        });
    for (position, (kind, schedule, steps, base_lr, config_id)) in (0_i64..).zip(added.chain(chosen)) {
        let steps = integer(steps)?;
        on!(conn.again(), c => sqlx::query(sql)
            .bind(&plan.name)
            .bind(position)
            .bind(kind)
            .bind(schedule)
            .bind(steps)
            .bind(base_lr)
            .bind(config_id)
            .execute(c)
            .await
            .map(|_| ()))?;
    }
    Ok(())
}

async fn sweep(conn: Conn<'_>, plan: &Plan, again: bool) -> Result<(), Fault> {
    // Later than every other sweep, whatever the clock says: the order of `updated_at` is relied on.
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
        .bind(again)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// `HEAD VALUES ($1, …), ($5, …) … TAIL`.
pub(crate) fn insert(head: &str, columns: usize, rows: usize, tail: &str) -> String {
    let mut sql = format!("{head} VALUES ");
    for row in 0..rows {
        let numbers: Vec<String> =
            (row * columns + 1..=(row + 1) * columns).map(|i| format!("${i}")).collect();
        // Writing to a String does not fail.
        let _ = write!(sql, "{}({})", if row == 0 { "" } else { ", " }, numbers.join(", "));
    }
    format!("{sql} {tail}")
}

async fn trials(conn: Conn<'_>, sweep: &str, chunk: &[Trial]) -> Result<(), Fault> {
    let head =
        "INSERT INTO trials (trial_id, sweep, schedule, config_id, base_lr, seed, steps, axes, config)";
    let sql = insert(head, 9, chunk.len(), "ON CONFLICT (trial_id) DO NOTHING");
    on!(conn, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for trial in chunk {
            let config = &trial.config;
            let axes: serde_json::Map<String, serde_json::Value> =
                config.axes.iter().map(|(path, value)| (path.clone(), value.as_str().into())).collect();
            query = query
                .bind(&trial.id)
                .bind(sweep)
                .bind(&config.schedule_name)
                .bind(&config.id)
                .bind(config.base_lr)
                .bind(integer(trial.seed)?)
                .bind(integer(config.task.steps)?)
                .bind(serde_json::Value::Object(axes).to_string())
                .bind(config.json().to_string());
        }
        query.execute(c).await.map(|_| ())
    })?;
    Ok(())
}

/// A row of `cells`.
struct Wanted<'a> {
    position: i64,
    schedule: &'a str,
    trial: &'a Trial,
    repeats: bool,
    purpose: &'static str,
    group: i64,
}

fn wanted(plan: &Plan) -> Vec<Wanted<'_>> {
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
        // The plan made the index; a cell without its trial can't be.
        let (trial, group) = (plan.trials.get(cell.trial)?, *groups.get(cell.trial)?);
        let repeats = !seen.insert((cell.schedule.as_str(), cell.trial));
        let purpose = cell.purpose.name();
        Some(Wanted { position, schedule: &cell.schedule, trial, repeats, purpose, group })
    });
    wanted.collect()
}

async fn cells(conn: Conn<'_>, sweep: &str, chunk: &[Wanted<'_>]) -> Result<(), Fault> {
    let head =
        "INSERT INTO cells (sweep, position, schedule, base_lr, trial_id, repeats, purpose, stage_group)";
    let sql = insert(head, 8, chunk.len(), "");
    on!(conn, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for cell in chunk {
            query = query
                .bind(sweep)
                .bind(cell.position)
                .bind(cell.schedule)
                .bind(cell.trial.config.base_lr)
                .bind(&cell.trial.id)
                .bind(i64::from(cell.repeats))
                .bind(cell.purpose)
                .bind(cell.group);
        }
        query.execute(c).await.map(|_| ())
    })?;
    Ok(())
}

/// Trials that a sweep asks for and that are not over.
pub(crate) async fn unfinished(conn: Conn<'_>, sweep: &str) -> Result<Vec<Unfinished>, Fault> {
    // A checkpoint ahead of the stored steps belongs to an attempt whose rows are void: going on from it
    // would leave a gap.
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
    Ok(rows.into_iter().map(as_unfinished).collect())
}

/// Where each of these trials goes on, in no order.
pub(crate) async fn begun(conn: Conn<'_>, trial_ids: &[String]) -> Result<Vec<Unfinished>, Fault> {
    let sql = conn.pick(
        "SELECT t.trial_id, k.file, k.step
        FROM trials AS t LEFT JOIN checkpoints AS k ON k.trial_id = t.trial_id AND k.step <= t.steps_done
        WHERE t.trial_id IN (SELECT value FROM json_each($1))",
        "SELECT t.trial_id, k.file, k.step
        FROM trials AS t LEFT JOIN checkpoints AS k ON k.trial_id = t.trial_id AND k.step <= t.steps_done
        WHERE t.trial_id IN (SELECT json_array_elements_text($1::json))",
    );
    let rows = on!(conn, c => sqlx::query_as(sql).bind(&*json(trial_ids)).fetch_all(c).await)?;
    Ok(rows.into_iter().map(as_unfinished).collect())
}

fn as_unfinished((trial_id, file, step): (String, Option<String>, Option<i64>)) -> Unfinished {
    Unfinished { trial_id, checkpoint: file.zip(step.map(i64::unsigned_abs)) }
}

/// How many trials of a sweep are over.
pub(crate) async fn ended(conn: Conn<'_>, sweep: &str) -> Result<usize, Fault> {
    let sql = "
        SELECT count(DISTINCT c.trial_id) FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = $1 AND t.status IN ('done', 'diverged')";
    let count: i64 = on!(conn, c => sqlx::query_scalar(sql).bind(sweep).fetch_one(c).await)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Finds or writes an environment.
pub(crate) async fn environment(conn: Conn<'_>, environment: &Environment) -> Result<i64, Fault> {
    // An update that changes nothing, so that the row is returned in both cases.
    let sql = "
        INSERT INTO environments (version, git_commit, cpu, cpu_features, threads, device, os)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (version, git_commit, cpu, cpu_features, threads, device, os)
            DO UPDATE SET version = excluded.version
        RETURNING environment_id";
    Ok(on!(conn, c => sqlx::query_scalar(sql)
        .bind(&environment.version)
        .bind(&environment.git_commit)
        .bind(&environment.cpu)
        .bind(&environment.cpu_features)
        .bind(environment.threads)
        .bind(&environment.device)
        .bind(&environment.os)
        .fetch_one(c)
        .await)?)
}

/// A number as the databases hold it.
pub(crate) fn integer(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::TooLarge(number))
}

/// Values as one that SQL can take apart: one statement for all of them.
pub(crate) fn json<T: Clone + Into<serde_json::Value>>(values: &[T]) -> Arc<str> {
    serde_json::Value::from(values).to_string().into()
}

/// UTC, milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::insert;

    #[test]
    fn many_rows_make_one_statement() {
        assert_eq!(
            insert("INSERT INTO t (a, b)", 2, 2, "RETURNING a"),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) RETURNING a"
        );
    }
}
