//! Verification: finished trials are trained again on another machine, which must produce the same bits.

use crate::backend::{Conn, from_row, on};
use crate::error::{Fault, StoreError};
use crate::register::now;
use crate::runner::Runner;
use crate::store::{Store, Writer};

/// An upper bound for trial ids: those below it are a random sample of this share of all, 0 to 1, because ids are
/// hashes.
pub fn sample_bound(share: f64) -> String {
    // The first 16 hex digits of an id. `g` sorts after every hex digit.
    if share >= 1.0 { "g".to_owned() } else { format!("{:016x}", (share * 2f64.powi(64)) as u64) }
}

/// A finished trial that this process should train again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationTask {
    /// The trial's id.
    pub trial_id: String,
    /// Stored fingerprint of its steps.
    pub digest: Option<String>,
    /// Stored fingerprint of its final weights; `None` if it diverged.
    pub weights_hash: Option<String>,
}

from_row!(VerificationTask { trial_id, digest, weights_hash });

impl Store {
    /// Claims a finished trial of a sweep that another machine trained and that has not been verified, from a sample
    /// of this share of all trials. Skips results of another version of the arithmetic than `bits`, which have other
    /// bits. `None` if no trial is left.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn claim_verification(
        &mut self,
        sweep: &str,
        share: f64,
        environment: i64,
        bits: u32,
    ) -> Result<Option<VerificationTask>, StoreError> {
        self.transact(async |Writer { backend, runner }| {
            claim(backend.conn(), runner, sweep, share, (environment, bits)).await
        })
        .await
    }

    /// Trials of a sweep whose bits differed in any verification so far.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn differing_trials(&mut self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let sql = "
            SELECT trial_id FROM verifications
            WHERE same = 0 AND trial_id IN (SELECT c.trial_id FROM cells AS c WHERE c.sweep = $1) ORDER BY trial_id";
        self.read(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_all(c).await)?)
        })
        .await
    }

    /// Stores the result of a verification.
    ///
    /// # Errors
    /// The database can't be written.
    pub async fn record_verification(
        &mut self,
        trial_id: &str,
        same: bool,
        digest: &str,
        weights_hash: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "
            UPDATE verifications SET same = $3, digest = $4, weights_hash = $5, checked_at = $6
            WHERE trial_id = $1 AND runner_id = $2";
        self.transact(async |Writer { backend, runner }| {
            on!(backend.conn(), c => sqlx::query(sql)
                .bind(trial_id)
                .bind(runner.id)
                .bind(i64::from(same))
                .bind(digest)
                .bind(weights_hash)
                .bind(now())
                .execute(c)
                .await
                .map(|_| ()))?;
            Ok(())
        })
        .await
    }
}

async fn claim(
    mut conn: Conn<'_>,
    runner: &Runner,
    sweep: &str,
    share: f64,
    (environment, bits): (i64, u32),
) -> Result<Option<VerificationTask>, Fault> {
    let below = sample_bound(share);
    let sql = "
        INSERT INTO verifications (trial_id, runner_id, host, environment_id)
        SELECT t.trial_id, $1, $2, $3 FROM trials AS t
        WHERE t.trial_id < $4 AND t.status IN ('done', 'diverged') AND t.host != $2
            AND t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $5) AND (t.bits IS NULL OR t.bits = $6)
            AND NOT EXISTS (SELECT 1 FROM verifications AS v WHERE v.trial_id = t.trial_id)
        ORDER BY t.trial_id LIMIT 1
        ON CONFLICT DO NOTHING RETURNING trial_id";
    let taken: Option<String> = on!(conn.reborrow(), c => sqlx::query_scalar(sql)
        .bind(runner.id)
        .bind(&runner.host)
        .bind(environment)
        .bind(&below)
        .bind(sweep)
        .bind(i64::from(bits))
        .fetch_optional(c)
        .await)?;
    let Some(trial_id) = taken else { return Ok(None) };
    let sql = "SELECT trial_id, digest, weights_hash FROM trials WHERE trial_id = $1";
    Ok(on!(conn, c => sqlx::query_as(sql).bind(&trial_id).fetch_optional(c).await)?)
}
