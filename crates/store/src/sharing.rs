//! Trials that share steps, and the losses of one of them for a check.

use crate::backend::{from_row, on};
use crate::error::StoreError;
use crate::store::{Store, Writer};
use crate::values;

/// The losses of a step, `None` where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossRow {
    /// The update, from 0.
    pub step: u64,
    /// Loss of its batch.
    pub train_loss: Option<f64>,
    /// Validation loss after it.
    pub valid_loss: Option<f64>,
}

struct Stored {
    step: i64,
    train_loss: Option<f64>,
    valid_loss: Option<f64>,
}

from_row!(Stored { step, train_loss, valid_loss });

impl Store {
    /// The values of a trial's metrics other than losses: name, step and value, NaN where the program reported NaN.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn measured(&mut self, trial_id: &str) -> Result<Vec<(String, i64, f64)>, StoreError> {
        self.read(async |Writer { backend, .. }| Ok(values::measured(backend.conn(), trial_id).await?)).await
    }

    /// The losses of a trial in the order of its steps. `None` if it has not ended.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn losses_of_ended(&mut self, trial_id: &str) -> Result<Option<Vec<LossRow>>, StoreError> {
        let ended = "SELECT count(*) FROM trials WHERE trial_id = $1 AND status IN ('done', 'diverged')";
        let losses = "SELECT step, train_loss, valid_loss FROM metrics WHERE trial_id = $1 ORDER BY step";
        let found: Option<Vec<Stored>> = self
            .read(async |Writer { backend, .. }| {
                let count: i64 =
                    on!(backend.conn(), c => sqlx::query_scalar(ended).bind(trial_id).fetch_one(c).await)?;
                if count == 0 {
                    return Ok(None);
                }
                Ok(Some(on!(backend.conn(), c => sqlx::query_as(losses).bind(trial_id).fetch_all(c).await)?))
            })
            .await?;
        let row = |Stored { step, train_loss, valid_loss }| LossRow {
            step: i64::unsigned_abs(step),
            train_loss,
            valid_loss,
        };
        Ok(found.map(|rows| rows.into_iter().map(row).collect()))
    }

    /// The trials of a sweep that share a step with another trial, as ids.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sharing_trials(&mut self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let sql = "
            SELECT DISTINCT g.trial_id FROM trial_stages AS g
            WHERE g.trial_id IN (SELECT c.trial_id FROM cells AS c WHERE c.sweep = $1) AND EXISTS (
                SELECT 1 FROM trial_stages AS o WHERE o.stage_id = g.stage_id AND o.trial_id != g.trial_id
            )
            ORDER BY g.trial_id";
        self.read(async |Writer { backend, .. }| {
            Ok(on!(backend.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_all(c).await)?)
        })
        .await
    }
}
