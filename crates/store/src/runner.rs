//! Runners: the processes that train for a store. Who is at work, who has which trial, and who has died.
//!
//! A runner lives as long as its beat grows, which every transaction of it does. Who sees that one was silent for longer
//! than that one's lease ends it and frees its trials, all in one transaction; every transaction of a runner begins by seeing
//! whether it was ended.

use spec::Plan;

use crate::backend::{Backend, Conn, Wanted, json, on, server_now};
use crate::error::Fault;
use crate::register::now;
use crate::rows::Joining;

/// Stages of a runner that is not alone are numbered from its own number times this.
const STAGES: i64 = 1 << 24;

/// This process, as the store knows it.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) id: i64,
    pub(crate) host: String,
}

impl Runner {
    /// Enters this process, within a transaction of the caller's.
    pub(crate) async fn join(conn: Conn<'_>, joining: &Joining) -> Result<Self, Fault> {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let (pid, lease) = (i64::from(std::process::id()), i64::try_from(joining.lease.as_millis()));
        let workers = i64::try_from(joining.workers).unwrap_or(i64::MAX);
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
            .bind(joining.job.as_deref())
            .fetch_one(c)
            .await)?;
        Ok(Self { id, host })
    }

    /// The first statement of each transaction: lives on, unless it was ended. Times are those of the database, where it
    /// has a clock of its own. Gives the beat that it has when the transaction ends well.
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

    /// Ends itself and frees its trials.
    pub(crate) async fn leave(&self, conn: Conn<'_>) -> Result<(), Fault> {
        end(conn, self.id, None).await
    }

    /// Ends the others that have died. Gives how many those were.
    pub(crate) async fn end_the_dead(&self, backend: &mut dyn Backend) -> Result<usize, Fault> {
        let dead = backend.dead(self.id, &self.host).await?;
        for id in &dead {
            end(backend.conn(), *id, Some(self.id)).await?;
            backend.forget(*id);
        }
        Ok(dead.len())
    }

    /// The other runners that may write.
    pub(crate) async fn others(&self, conn: Conn<'_>) -> Result<Vec<i64>, Fault> {
        let sql =
            "SELECT runner_id FROM runners WHERE ended_at IS NULL AND runner_id != $1 ORDER BY runner_id";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).fetch_all(c).await)?)
    }

    /// How many other runners may write, as far as `most`.
    pub(crate) async fn count_others(&self, conn: Conn<'_>, most: i64) -> Result<i64, Fault> {
        let sql = "
            SELECT count(*) FROM (
                SELECT 1 FROM runners WHERE ended_at IS NULL AND runner_id != $1 LIMIT $2
            ) AS o";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(most).fetch_one(c).await)?)
    }

    /// Whether no other runner may write.
    pub(crate) async fn is_alone(&self, conn: Conn<'_>) -> Result<bool, Fault> {
        Ok(self.count_others(conn, 1).await? == 0)
    }

    /// Whether another one waits for trials of this sweep.
    pub(crate) async fn others_wait(&self, conn: Conn<'_>, sweep: &str) -> Result<bool, Fault> {
        let sql = "
            SELECT EXISTS (
                SELECT 1 FROM runners WHERE ended_at IS NULL AND idle = 1 AND runner_id != $1 AND sweep = $2
            )";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(c).await)?)
    }

    /// Says what it trains, and, if that has changed, whether it waits for trials.
    pub(crate) async fn tell(&self, conn: Conn<'_>, sweep: &str, idle: Option<bool>) -> Result<(), Fault> {
        let sql = "
            UPDATE runners SET sweep = $2, idle = coalesce($3, idle)
            WHERE runner_id = $1 AND (sweep IS NULL OR sweep != $2 OR idle != coalesce($3, idle))";
        let idle = idle.map(i64::from);
        on!(conn, c => sqlx::query(sql).bind(self.id).bind(sweep).bind(idle).execute(c).await.map(|_| ()))?;
        Ok(())
    }

    /// Whether another runner at work has the same sweep file and has decided more of it than this plan.
    pub(crate) async fn is_behind(&self, conn: Conn<'_>, plan: &Plan) -> Result<bool, Fault> {
        let sql = "
            SELECT
                EXISTS (SELECT 1 FROM runners WHERE sweep = $1 AND runner_id != $2 AND ended_at IS NULL)
                AND EXISTS (SELECT 1 FROM sweeps WHERE sweep = $1 AND file_text = $3)
                AND (SELECT count(*) FROM promotions WHERE sweep = $1) > $4";
        let decided = plan.decisions.added.len() + plan.decisions.chosen.len();
        let decided = i64::try_from(decided).unwrap_or(i64::MAX);
        Ok(on!(conn, c => sqlx::query_scalar(sql)
            .bind(&plan.name)
            .bind(self.id)
            .bind(&plan.text)
            .bind(decided)
            .fetch_one(c)
            .await)?)
    }

    /// Leases trials of a sweep that are not over and that nobody has, those that failed only `with_failed`: whole stage
    /// groups, all there are for one that is alone and else so many. Gives their ids, in no order.
    pub(crate) async fn claim(
        &self,
        backend: &mut dyn Backend,
        sweep: &str,
        with_failed: bool,
        groups: usize,
    ) -> Result<Vec<String>, Fault> {
        let alone = self.is_alone(backend.conn()).await?;
        let groups = i64::try_from(groups).unwrap_or(i64::MAX);
        let most = if alone { None } else { Some(self.portion(backend.conn(), sweep, groups).await?) };
        let groups = backend.free_groups(Wanted { sweep, runner: self.id, with_failed, most }).await?;
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
        on!(conn.again(), c => sqlx::query(sql).bind(sweep).bind(self.id).bind(&*groups).execute(c).await.map(|_| ()))?;
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

    /// How many stage groups to take at a time, at most `most`: half of this runner's part of what is free, so that all come
    /// to their end at about the same time, however many they are.
    async fn portion(&self, mut conn: Conn<'_>, sweep: &str, most: i64) -> Result<i64, Fault> {
        let sql = "SELECT count(*) FROM runners WHERE ended_at IS NULL AND workers > 0";
        let runners: i64 = on!(conn.again(), c => sqlx::query_scalar(sql).fetch_one(c).await)?;
        // No more than would make a difference are counted.
        let sql = "
            SELECT count(*) FROM (
                SELECT 1 FROM stage_groups WHERE sweep = $1 AND runner_id IS NULL LIMIT $2
            ) AS f";
        let enough = most.saturating_mul(2).saturating_mul(runners.max(1));
        let free: i64 = on!(conn, c => sqlx::query_scalar(sql).bind(sweep).bind(enough).fetch_one(c).await)?;
        Ok((free / (2 * runners.max(1))).clamp(1, most.max(1)))
    }

    /// Gives leases back.
    pub(crate) async fn release(&self, mut conn: Conn<'_>, trial_ids: &[String]) -> Result<(), Fault> {
        let ids = json(trial_ids);
        let sql = conn.pick(
            "DELETE FROM leases WHERE runner_id = $1 AND trial_id IN (SELECT value FROM json_each($2))",
            "DELETE FROM leases WHERE runner_id = $1 AND trial_id IN (SELECT json_array_elements_text($2::json))",
        );
        on!(conn.again(), c => sqlx::query(sql).bind(self.id).bind(&*ids).execute(c).await.map(|_| ()))?;
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

    /// Whether a sweep has trials that this one does not have and that are neither over nor failed.
    pub(crate) async fn is_left(&self, conn: Conn<'_>, sweep: &str) -> Result<bool, Fault> {
        // Asked for each trial by itself: a server would else go through the leases of all.
        let sql = "
            SELECT EXISTS (
                SELECT 1 FROM trials AS t JOIN cells AS c ON c.trial_id = t.trial_id
                WHERE c.sweep = $2 AND t.status NOT IN ('done', 'diverged', 'failed')
                    AND coalesce((SELECT l.runner_id FROM leases AS l WHERE l.trial_id = t.trial_id), 0) != $1
            )";
        Ok(on!(conn, c => sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(c).await)?)
    }

    /// A number from which on no stage is numbered yet, nor will be by another runner.
    pub(crate) async fn next_stage(&self, mut conn: Conn<'_>) -> Result<u64, Fault> {
        // Alone it takes small numbers, which take less room. A runner that joins has a higher number than all before it.
        // On a server two that join at the same time might not see each other.
        let alone = matches!(conn, Conn::Sqlite(_)) && self.is_alone(conn.again()).await?;
        let from = if alone { 1 } else { self.id.saturating_mul(STAGES) };
        let to = if alone { i64::MAX } else { from.saturating_add(STAGES) };
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
    on!(conn.again(), c => sqlx::query(sql).bind(id).bind(now()).bind(by).execute(c).await.map(|_| ()))?;
    for sql in [
        "DELETE FROM leases WHERE runner_id = $1",
        "UPDATE stage_groups SET runner_id = NULL WHERE runner_id = $1",
        "DELETE FROM verifications WHERE runner_id = $1 AND same IS NULL",
    ] {
        on!(conn.again(), c => sqlx::query(sql).bind(id).execute(c).await.map(|_| ()))?;
    }
    Ok(())
}
