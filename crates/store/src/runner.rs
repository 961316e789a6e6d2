//! Runners: the processes that train for a store, which trials each has leased, and which have died.
//!
//! Every transaction of a runner increases its beat. A runner whose beat has not grown for longer than its lease is
//! ended by another one, which frees its trials in the same transaction. Every transaction begins with a check that
//! the runner has not been ended.

use spec::Plan;

use crate::backend::{Backend, ClaimRequest, Conn, json, on, server_now};
use crate::error::Fault;
use crate::register::now;
use crate::rows::JoinOptions;

/// With several runners, the stage numbers of a runner begin at its own number times this.
const STAGES: i64 = 1 << 24;

/// This process in the store.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) id: i64,
    pub(crate) host: String,
}

impl Runner {
    /// Registers this process, within a transaction of the caller.
    pub(crate) async fn join(conn: Conn<'_>, options: &JoinOptions) -> Result<Self, Fault> {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let (pid, lease) = (i64::from(std::process::id()), i64::try_from(options.lease.as_millis()));
        let workers = i64::try_from(options.workers).unwrap_or(i64::MAX);
        let sql = conn.pick(
            "INSERT INTO runners (host, pid, started_at, seen_at, lease_ms, workers, job)
            VALUES ($1, $2, $3, $3, $4, $5, $6) RETURNING runner_id",
            concat!(
                "INSERT INTO runners (host, pid, started_at, seen_at, lease_ms, workers, job)
                VALUES ($1, $2, $3, ",
                server_now!(),
                ", $4, $5, $6) RETURNING runner_id",
            ),
        );
        let id = on!(conn, c => sqlx::query_scalar(sql)
            .bind(&host)
            .bind(pid)
            .bind(now())
            .bind(lease.unwrap_or(i64::MAX))
            .bind(workers)
            .bind(options.job.as_deref())
            .fetch_one(c)
            .await)?;
        Ok(Self { id, host })
    }

    /// The first statement of each transaction: increases the beat, unless the runner was ended. Times are those of
    /// the server's clock, where there is a server. Returns the beat that is stored if the transaction commits.
    pub(crate) async fn beat(&self, conn: Conn<'_>) -> Result<i64, Fault> {
        let sql = conn.pick(
            "UPDATE runners SET beat = beat + 1, seen_at = $2 WHERE runner_id = $1 AND ended_at IS NULL RETURNING beat",
            concat!(
                "UPDATE runners SET beat = beat + 1, seen_at = coalesce(",
                server_now!(),
                ", $2) WHERE runner_id = $1 AND ended_at IS NULL RETURNING beat",
            ),
        );
        let query =
            on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(now()).fetch_optional(c).await)?;
        query.ok_or(Fault::TakenOver)
    }

    /// Ends this runner and frees its trials.
    pub(crate) async fn leave(&self, conn: Conn<'_>) -> Result<(), Fault> {
        end(conn, self.id, None).await
    }

    /// Ends the other runners that have died, and returns their number.
    pub(crate) async fn end_dead_runners(&self, backend: &mut dyn Backend) -> Result<usize, Fault> {
        let dead = backend.dead_runners(self.id, &self.host).await?;
        for id in &dead {
            end(backend.conn(), *id, Some(self.id)).await?;
            backend.remove_traces(*id);
        }
        Ok(dead.len())
    }

    /// The other active runners.
    pub(crate) async fn others(&self, conn: Conn<'_>) -> Result<Vec<i64>, Fault> {
        let sql =
            "SELECT runner_id FROM runners WHERE ended_at IS NULL AND runner_id != $1 ORDER BY runner_id";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).fetch_all(c).await)?)
    }

    /// Number of the other active runners, counted up to `limit`.
    pub(crate) async fn count_others(&self, conn: Conn<'_>, limit: i64) -> Result<i64, Fault> {
        let sql = "
            SELECT count(*) FROM (
                SELECT 1 FROM runners WHERE ended_at IS NULL AND runner_id != $1 LIMIT $2
            ) AS o";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(limit).fetch_one(c).await)?)
    }

    /// Whether no other runner is active.
    pub(crate) async fn is_only_runner(&self, conn: Conn<'_>) -> Result<bool, Fault> {
        Ok(self.count_others(conn, 1).await? == 0)
    }

    /// Whether another runner waits for trials of this sweep.
    pub(crate) async fn another_waits(&self, conn: Conn<'_>, sweep: &str) -> Result<bool, Fault> {
        let sql = "
            SELECT EXISTS (
                SELECT 1 FROM runners WHERE ended_at IS NULL AND idle = 1 AND runner_id != $1 AND sweep = $2
            )";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(c).await)?)
    }

    /// Stores the sweep that this runner trains, and whether it waits for trials if `idle` is set.
    pub(crate) async fn set_activity(
        &self,
        conn: Conn<'_>,
        sweep: &str,
        idle: Option<bool>,
    ) -> Result<(), Fault> {
        let sql = "
            UPDATE runners SET sweep = $2, idle = coalesce($3, idle)
            WHERE runner_id = $1 AND (sweep IS NULL OR sweep != $2 OR idle != coalesce($3, idle))";
        let idle = idle.map(i64::from);
        on!(conn, c => sqlx::query(sql).bind(self.id).bind(sweep).bind(idle).execute(c).await.map(|_| ()))?;
        Ok(())
    }

    /// Whether another active runner has the same sweep file and has made more decisions than this plan.
    pub(crate) async fn is_behind(&self, conn: Conn<'_>, plan: &Plan) -> Result<bool, Fault> {
        let sql = "
            SELECT
                EXISTS (SELECT 1 FROM runners WHERE sweep = $1 AND runner_id != $2 AND ended_at IS NULL)
                AND EXISTS (SELECT 1 FROM sweeps WHERE sweep = $1 AND file_text = $3)
                AND (SELECT count(*) FROM promotions WHERE sweep = $1) > $4";
        let decided = i64::try_from(plan.decisions.count()).unwrap_or(i64::MAX);
        Ok(on!(conn, c => sqlx::query_scalar(sql)
            .bind(&plan.name)
            .bind(self.id)
            .bind(&plan.text)
            .bind(decided)
            .fetch_one(c)
            .await)?)
    }

    /// Leases unclaimed trials of a sweep that have not ended; failed ones only `with_failed`. Takes whole stage
    /// groups: all of them for the only runner, and else a portion of at most `groups`. Returns the ids, unordered.
    pub(crate) async fn claim(
        &self,
        backend: &mut dyn Backend,
        sweep: &str,
        with_failed: bool,
        groups: usize,
    ) -> Result<Vec<String>, Fault> {
        let only_runner = self.is_only_runner(backend.conn()).await?;
        let groups = i64::try_from(groups).unwrap_or(i64::MAX);
        let max_groups =
            if only_runner { None } else { Some(self.portion(backend.conn(), sweep, groups).await?) };
        let groups =
            backend.free_groups(ClaimRequest { sweep, runner: self.id, with_failed, max_groups }).await?;
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = backend.conn();
        let groups = json(&groups);
        let sql = conn.pick(
            "UPDATE stage_groups SET runner_id = $2 WHERE sweep = $1 AND stage_group IN (SELECT value FROM json_each($3))",
            "UPDATE stage_groups SET runner_id = $2
            WHERE sweep = $1 AND stage_group IN (SELECT value::bigint FROM json_array_elements_text($3::json))",
        );
        on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).bind(self.id).bind(&*groups).execute(c).await.map(|_| ()))?;
        let sql = conn.pick(
            "INSERT INTO leases (trial_id, runner_id)
            SELECT DISTINCT c.trial_id, $2
            FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
            WHERE c.sweep = $1 AND c.stage_group IN (SELECT value FROM json_each($3))
                AND t.status NOT IN ('done', 'diverged') AND ($4 OR t.status != 'failed')
            ON CONFLICT DO NOTHING RETURNING trial_id",
            "INSERT INTO leases (trial_id, runner_id)
            SELECT DISTINCT c.trial_id, $2::bigint
            FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
            WHERE c.sweep = $1 AND c.stage_group IN (SELECT value::bigint FROM json_array_elements_text($3::json))
                AND t.status NOT IN ('done', 'diverged') AND ($4 OR t.status != 'failed')
            ON CONFLICT DO NOTHING RETURNING trial_id",
        );
        Ok(on!(conn, c => sqlx::query_scalar(sql)
            .bind(sweep)
            .bind(self.id)
            .bind(&*groups)
            .bind(with_failed)
            .fetch_all(c)
            .await)?)
    }

    /// How many stage groups to claim at a time, at most `limit`: half of this runner's equal share of the free ones,
    /// so that all runners finish at about the same time.
    async fn portion(&self, mut conn: Conn<'_>, sweep: &str, limit: i64) -> Result<i64, Fault> {
        let sql = "SELECT count(*) FROM runners WHERE ended_at IS NULL AND workers > 0";
        let runners: i64 = on!(conn.reborrow(), c => sqlx::query_scalar(sql).fetch_one(c).await)?;
        // The count stops where more free groups would not change the result.
        let sql = "
            SELECT count(*) FROM (
                SELECT 1 FROM stage_groups WHERE sweep = $1 AND runner_id IS NULL LIMIT $2
            ) AS f";
        let enough = limit.saturating_mul(2).saturating_mul(runners.max(1));
        let free: i64 = on!(conn, c => sqlx::query_scalar(sql).bind(sweep).bind(enough).fetch_one(c).await)?;
        Ok((free / (2 * runners.max(1))).clamp(1, limit.max(1)))
    }

    /// Releases leases.
    pub(crate) async fn release(&self, mut conn: Conn<'_>, trial_ids: &[String]) -> Result<(), Fault> {
        let ids = json(trial_ids);
        let sql = conn.pick(
            "DELETE FROM leases WHERE runner_id = $1 AND trial_id IN (SELECT value FROM json_each($2))",
            "DELETE FROM leases WHERE runner_id = $1 AND trial_id IN (SELECT json_array_elements_text($2::json))",
        );
        on!(conn.reborrow(), c => sqlx::query(sql).bind(self.id).bind(&*ids).execute(c).await.map(|_| ()))?;
        let sql = conn.pick(
            "UPDATE stage_groups SET runner_id = NULL WHERE runner_id = $1 AND EXISTS (
                SELECT 1 FROM cells AS c
                WHERE c.sweep = stage_groups.sweep AND c.stage_group = stage_groups.stage_group
                    AND c.trial_id IN (SELECT value FROM json_each($2))
            )",
            "UPDATE stage_groups AS g SET runner_id = NULL FROM cells AS c
            WHERE g.runner_id = $1 AND c.sweep = g.sweep AND c.stage_group = g.stage_group
                AND c.trial_id IN (SELECT json_array_elements_text($2::json))",
        );
        on!(conn, c => sqlx::query(sql).bind(self.id).bind(&*ids).execute(c).await.map(|_| ()))?;
        Ok(())
    }

    /// Whether a sweep has unfinished trials, other than failed ones, that this runner has not leased.
    pub(crate) async fn has_trials_left(&self, conn: Conn<'_>, sweep: &str) -> Result<bool, Fault> {
        // A subquery for each trial: with a join a server would scan all leases.
        let sql = "
            SELECT EXISTS (
                SELECT 1 FROM trials AS t JOIN cells AS c ON c.trial_id = t.trial_id
                WHERE c.sweep = $2 AND t.status NOT IN ('done', 'diverged', 'failed')
                    AND coalesce((SELECT l.runner_id FROM leases AS l WHERE l.trial_id = t.trial_id), 0) != $1
            )";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(c).await)?)
    }

    /// The first stage number of this runner: it and all higher numbers up to the next runner's are unused.
    pub(crate) async fn next_stage(&self, mut conn: Conn<'_>) -> Result<u64, Fault> {
        // The only runner uses small numbers, which take less space. A runner that joins has a higher number than all
        // before it. On a server, two runners that join at the same time might not see each other.
        let small_numbers = matches!(conn, Conn::Sqlite(_)) && self.is_only_runner(conn.reborrow()).await?;
        let from = if small_numbers { 1 } else { self.id.saturating_mul(STAGES) };
        let to = if small_numbers { i64::MAX } else { from.saturating_add(STAGES) };
        let sql = "SELECT max(stage_id) FROM stages WHERE stage_id >= $1 AND stage_id < $2";
        let last: Option<i64> =
            on!(conn, c => sqlx::query_scalar(sql).bind(from).bind(to).fetch_one(c).await)?;
        Ok(last.map_or(from, |last| last + 1).unsigned_abs())
    }
}

/// Ends a runner and frees its trials.
async fn end(mut conn: Conn<'_>, id: i64, by: Option<i64>) -> Result<(), Fault> {
    let sql = "
        UPDATE runners SET ended_at = $2, idle = 0, taken_over_by = $3 WHERE runner_id = $1 AND ended_at IS NULL";
    on!(conn.reborrow(), c => sqlx::query(sql).bind(id).bind(now()).bind(by).execute(c).await.map(|_| ()))?;
    for sql in [
        "DELETE FROM leases WHERE runner_id = $1",
        "UPDATE stage_groups SET runner_id = NULL WHERE runner_id = $1",
        "DELETE FROM verifications WHERE runner_id = $1 AND same IS NULL",
    ] {
        on!(conn.reborrow(), c => sqlx::query(sql).bind(id).execute(c).await.map(|_| ()))?;
    }
    Ok(())
}
