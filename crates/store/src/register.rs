//! What is to be trained: sweeps, their cells, trials before they start, environments.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use spec::Plan;
use spec::trial::Trial;
use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::rows::{Environment, Unfinished};
use crate::statement::insert;

/// Rows of one INSERT.
const ROWS: usize = 50;

const TRIALS: &str =
    "INSERT INTO trials (trial_id, sweep, schedule, config_id, base_lr, seed, steps, axes, config)";
const KEEP: &str = "ON CONFLICT (trial_id) DO NOTHING";
const CELLS: &str = "INSERT INTO cells (sweep, position, schedule, base_lr, trial_id, repeats, purpose)";

static MANY_TRIALS: LazyLock<String> = LazyLock::new(|| insert(TRIALS, 9, ROWS, KEEP));
static ONE_TRIAL: LazyLock<String> = LazyLock::new(|| insert(TRIALS, 9, 1, KEEP));
static MANY_CELLS: LazyLock<String> = LazyLock::new(|| insert(CELLS, 7, ROWS, ""));
static ONE_CELL: LazyLock<String> = LazyLock::new(|| insert(CELLS, 7, 1, ""));

/// Writes a plan.
pub(crate) async fn write(connection: &mut SqliteConnection, plan: &Plan) -> Result<(), Fault> {
    sweep(connection, plan).await?;
    let mut chunks = plan.trials.chunks_exact(ROWS);
    for chunk in &mut chunks {
        trials(connection, &MANY_TRIALS, &plan.name, chunk).await?;
    }
    for trial in chunks.remainder() {
        trials(connection, &ONE_TRIAL, &plan.name, std::slice::from_ref(trial)).await?;
    }

    sqlx::query("DELETE FROM cells WHERE sweep = ?").bind(&plan.name).execute(&mut *connection).await?;
    let wanted = wanted(plan);
    let mut chunks = wanted.chunks_exact(ROWS);
    for chunk in &mut chunks {
        cells(connection, &MANY_CELLS, &plan.name, chunk).await?;
    }
    for cell in chunks.remainder() {
        cells(connection, &ONE_CELL, &plan.name, std::slice::from_ref(cell)).await?;
    }
    promotions(connection, plan).await
}

/// What was decided before this plan.
async fn promotions(connection: &mut SqliteConnection, plan: &Plan) -> Result<(), Fault> {
    sqlx::query("DELETE FROM promotions WHERE sweep = ?").bind(&plan.name).execute(&mut *connection).await?;
    let sql = "
        INSERT INTO promotions (sweep, position, kind, schedule, steps, base_lr, config_id)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let added = plan.decisions.added.iter().map(|lr| ("extended", &lr.schedule, lr.steps, lr.base_lr, None));
    let chosen =
        plan.decisions.chosen.iter().map(|config| {
            ("chosen", &config.schedule, config.steps, config.base_lr, Some(&config.config_id))
        });
    for (position, (kind, schedule, steps, base_lr, config_id)) in (0_i64..).zip(added.chain(chosen)) {
        sqlx::query(sql)
            .bind(&plan.name)
            .bind(position)
            .bind(kind)
            .bind(schedule)
            .bind(integer(steps)?)
            .bind(base_lr)
            .bind(config_id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn sweep(connection: &mut SqliteConnection, plan: &Plan) -> Result<(), Fault> {
    // Later than every other sweep, whatever the clock says: the order of `updated_at` is relied on.
    let sql = "
        INSERT INTO sweeps (sweep, file_text, created_at, updated_at)
        SELECT ?1, ?2, ?3, max(?3, 1 + coalesce((SELECT max(updated_at) FROM sweeps), 0)) WHERE true
        ON CONFLICT (sweep) DO UPDATE SET file_text = excluded.file_text, updated_at = excluded.updated_at";
    sqlx::query(sql).bind(&plan.name).bind(&plan.text).bind(now()).execute(connection).await?;
    Ok(())
}

async fn trials(
    connection: &mut SqliteConnection,
    sql: &'static str,
    sweep: &str,
    chunk: &[Trial],
) -> Result<(), Fault> {
    let mut query = sqlx::query(sql);
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
    query.execute(connection).await?;
    Ok(())
}

/// A row of `cells`.
struct Wanted<'a> {
    position: i64,
    schedule: &'a str,
    trial: &'a Trial,
    repeats: bool,
    purpose: &'static str,
}

fn wanted(plan: &Plan) -> Vec<Wanted<'_>> {
    let mut seen = HashSet::new();
    let cells = plan.cells.iter().zip(0..);
    let wanted = cells.filter_map(|(cell, position)| {
        // The plan made the index; a cell without its trial can't be.
        let trial = plan.trials.get(cell.trial)?;
        let repeats = !seen.insert((cell.schedule.as_str(), cell.trial));
        let purpose = cell.purpose.name();
        Some(Wanted { position, schedule: &cell.schedule, trial, repeats, purpose })
    });
    wanted.collect()
}

async fn cells(
    connection: &mut SqliteConnection,
    sql: &'static str,
    sweep: &str,
    chunk: &[Wanted<'_>],
) -> Result<(), Fault> {
    let mut query = sqlx::query(sql);
    for cell in chunk {
        query = query
            .bind(sweep)
            .bind(cell.position)
            .bind(cell.schedule)
            .bind(cell.trial.config.base_lr)
            .bind(&cell.trial.id)
            .bind(cell.repeats)
            .bind(cell.purpose);
    }
    query.execute(connection).await?;
    Ok(())
}

/// Trials that a sweep asks for and that are not over.
pub(crate) async fn unfinished(
    connection: &mut SqliteConnection,
    sweep: &str,
) -> Result<Vec<Unfinished>, Fault> {
    // A checkpoint ahead of the stored steps belongs to an attempt whose rows are void: going on from it
    // would leave a gap.
    let sql = "
        SELECT c.trial_id, k.file, k.step
        FROM cells AS c
        JOIN trials AS t ON t.trial_id = c.trial_id
        LEFT JOIN checkpoints AS k ON k.trial_id = t.trial_id AND k.step <= t.steps_done
        WHERE c.sweep = ? AND t.status NOT IN ('done', 'diverged')
        GROUP BY c.trial_id
        ORDER BY min(c.position)";
    let rows: Vec<(String, Option<String>, Option<u64>)> =
        sqlx::query_as(sql).bind(sweep).fetch_all(connection).await?;
    let unfinished =
        rows.into_iter().map(|(trial_id, file, step)| Unfinished { trial_id, checkpoint: file.zip(step) });
    Ok(unfinished.collect())
}

/// How many trials of a sweep are over.
pub(crate) async fn ended(connection: &mut SqliteConnection, sweep: &str) -> Result<usize, Fault> {
    let sql = "
        SELECT count(DISTINCT c.trial_id) FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
        WHERE c.sweep = ? AND t.status IN ('done', 'diverged')";
    let count: i64 = sqlx::query_scalar(sql).bind(sweep).fetch_one(connection).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Finds or writes an environment.
pub(crate) async fn environment(
    connection: &mut SqliteConnection,
    environment: &Environment,
) -> Result<i64, Fault> {
    // An update that changes nothing, so that the row is returned in both cases.
    let sql = "
        INSERT INTO environments (version, git_commit, cpu, cpu_features, threads, device, os)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET version = excluded.version
        RETURNING environment_id";
    let query = sqlx::query_scalar(sql)
        .bind(&environment.version)
        .bind(&environment.git_commit)
        .bind(&environment.cpu)
        .bind(&environment.cpu_features)
        .bind(environment.threads)
        .bind(&environment.device)
        .bind(&environment.os);
    Ok(query.fetch_one(connection).await?)
}

/// A number as SQLite holds it.
pub(crate) fn integer(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::TooLarge(number))
}

/// UTC, milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
