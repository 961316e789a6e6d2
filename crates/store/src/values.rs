//! Values of metrics, on any connection: those of one trial, and those that are made of several steps of a run, for the runs of one sweep.

use std::collections::HashMap;

use spec::metric::{Direction, Target, VALID_LOSS};
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, on};

/// The metrics of a trial other than losses: name, step and value (NaN if the program reported NaN), by step and name.
pub(crate) async fn measured(conn: Conn<'_>, trial_id: &str) -> Result<Vec<(String, i64, f64)>, sqlx::Error> {
    let sql = "SELECT name, step, value FROM metric_values WHERE trial_id = $1 ORDER BY step, name";
    let rows: Vec<(String, i64, Option<f64>)> =
        on!(conn, c => sqlx::query_as(sql).bind(trial_id).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(name, step, value)| (name, step, value.unwrap_or(f64::NAN))).collect())
}

/// A value that is read for each run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted<'a> {
    /// The best value of all evaluations: of the validation loss, or of another metric.
    Best(&'a str, Direction),
    /// The number of steps until the first evaluation that reaches the target. Runs that do not reach it are left out.
    StepsTo(&'a Target),
    /// The mean training loss over this many last steps.
    Tail(u32),
}

/// The value of each run of a sweep that has one, by trial id.
pub(crate) async fn read(
    conn: Conn<'_>,
    sweep: &str,
    wanted: &Wanted<'_>,
) -> Result<HashMap<String, f64>, sqlx::Error> {
    let rows: Vec<(String, f64)> = match wanted {
        Wanted::Tail(steps) => tail(conn, sweep, i64::from(*steps)).await?,
        Wanted::Best(name, direction) => {
            let best = match direction {
                Direction::LowerIsBetter => "min(v.value)",
                Direction::HigherIsBetter => "max(v.value)",
            };
            let sql = format!("SELECT v.trial_id, {best} {} GROUP BY v.trial_id", values(name));
            on!(conn, c => sqlx::query_as(AssertSqlSafe(sql)).bind(sweep).bind(*name).fetch_all(c).await)?
        }
        Wanted::StepsTo(Target { name, direction, value }) => {
            let reached = match direction {
                Direction::LowerIsBetter => "v.value <= $3",
                Direction::HigherIsBetter => "v.value >= $3",
            };
            let sql = format!(
                "SELECT v.trial_id, CAST(min(v.step) + 1 AS DOUBLE PRECISION) {} AND {reached} GROUP BY v.trial_id",
                values(name)
            );
            on!(conn, c => {
                sqlx::query_as(AssertSqlSafe(sql)).bind(sweep).bind(name).bind(*value).fetch_all(c).await
            })?
        }
    };
    Ok(rows.into_iter().collect())
}

/// `FROM … WHERE …`: the values of metric `$2` of the runs of sweep `$1`, as `v`.
fn values(name: &str) -> &'static str {
    if name == VALID_LOSS {
        "FROM (SELECT trial_id, step, valid_loss AS value FROM evaluations) AS v
        WHERE v.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1) AND v.value IS NOT NULL AND $2 = $2"
    } else {
        "FROM metric_values AS v
        WHERE v.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1) AND v.value IS NOT NULL AND v.name = $2"
    }
}

async fn tail(conn: Conn<'_>, sweep: &str, steps: i64) -> Result<Vec<(String, f64)>, sqlx::Error> {
    let sql = "
        SELECT t.trial_id, avg(s.train_loss)
        FROM trials AS t
        JOIN trial_stages AS g ON g.trial_id = t.trial_id AND g.end_step > t.steps_done - $2
        JOIN steps AS s
            ON s.stage_id = g.stage_id AND s.step >= g.first_step AND s.step >= t.steps_done - $2
            AND s.step < g.end_step
        WHERE t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1)
        GROUP BY t.trial_id HAVING count(s.train_loss) > 0";
    on!(conn, c => sqlx::query_as(sql).bind(sweep).bind(steps).fetch_all(c).await)
}
