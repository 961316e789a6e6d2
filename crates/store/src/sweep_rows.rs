//! The rows of a sweep: its cells, which are its runs, and its promotions, which are its decisions.

use crate::backend::{Conn, from_row, on};
use crate::error::Fault;
use crate::records::insert;

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) position: i64,
    pub(crate) schedule: String,
    pub(crate) base_lr: f64,
    pub(crate) trial_id: String,
    /// 1 if an earlier cell of this schedule is the same trial, else 0.
    pub(crate) repeats: i64,
    pub(crate) purpose: String,
    /// 1 if successive halving dropped its lr, else 0.
    pub(crate) dropped: i64,
    pub(crate) stage_group: i64,
}

from_row!(Cell { position, schedule, base_lr, trial_id, repeats, purpose, dropped, stage_group });

impl Cell {
    /// The cells of a sweep, in its order.
    pub(crate) async fn read(conn: Conn<'_>, sweep: &str) -> Result<Vec<Self>, sqlx::Error> {
        let sql = "
            SELECT position, schedule, base_lr, trial_id, repeats, purpose, dropped, stage_group FROM cells
            WHERE sweep = $1 ORDER BY position";
        on!(conn, c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await)
    }

    /// Makes the `stored` cells of a sweep the `wanted` ones. Cells that only follow after the stored ones are added, because a round of a
    /// search adds few to many.
    pub(crate) async fn update(
        mut conn: Conn<'_>,
        sweep: &str,
        stored: &[Self],
        mut wanted: Vec<Self>,
    ) -> Result<(), Fault> {
        if !wanted.starts_with(stored) {
            return Self::replace(conn, sweep, wanted).await;
        }
        let sql = "DELETE FROM stage_groups WHERE sweep = $1";
        on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
        Self::insert(conn, sweep, wanted.split_off(stored.len())).await
    }

    /// Replaces the cells of a sweep.
    pub(crate) async fn replace(mut conn: Conn<'_>, sweep: &str, cells: Vec<Self>) -> Result<(), Fault> {
        for sql in ["DELETE FROM cells WHERE sweep = $1", "DELETE FROM stage_groups WHERE sweep = $1"] {
            on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
        }
        Self::insert(conn, sweep, cells).await
    }

    async fn insert(conn: Conn<'_>, sweep: &str, cells: Vec<Self>) -> Result<(), Fault> {
        let head = "
            INSERT INTO cells (sweep, position, schedule, base_lr, trial_id, repeats, purpose, dropped, stage_group)";
        let rows = cells.into_iter().map(|cell| {
            vec![
                sweep.into(),
                cell.position.into(),
                cell.schedule.into(),
                cell.base_lr.into(),
                cell.trial_id.into(),
                cell.repeats.into(),
                cell.purpose.into(),
                cell.dropped.into(),
                cell.stage_group.into(),
            ]
        });
        insert(conn, head, rows, "").await
    }
}

/// One decision of a sweep.
#[derive(Debug, Default)]
pub(crate) struct Promotion {
    pub(crate) position: i64,
    pub(crate) kind: String,
    pub(crate) schedule: String,
    pub(crate) steps: i64,
    pub(crate) base_lr: f64,
    pub(crate) config_id: Option<String>,
    /// Number of deciding seeds at a planned look, or of tuning seeds at a halving.
    pub(crate) seeds: Option<i64>,
    /// The predicted final loss, and a 95 % interval of it, at a screening.
    pub(crate) predicted: Option<f64>,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
}

from_row!(Promotion { position, kind, schedule, steps, base_lr, config_id, seeds, predicted, low, high });

impl Promotion {
    /// The promotions of a sweep, in its order.
    pub(crate) async fn read(conn: Conn<'_>, sweep: &str) -> Result<Vec<Self>, sqlx::Error> {
        let sql = "
            SELECT position, kind, schedule, steps, base_lr, config_id, seeds, predicted, low, high FROM promotions
            WHERE sweep = $1 ORDER BY position";
        on!(conn, c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await)
    }

    /// Replaces the promotions of a sweep.
    pub(crate) async fn replace(mut conn: Conn<'_>, sweep: &str, promotions: Vec<Self>) -> Result<(), Fault> {
        let sql = "DELETE FROM promotions WHERE sweep = $1";
        on!(conn.reborrow(), c => sqlx::query(sql).bind(sweep).execute(c).await.map(|_| ()))?;
        let head = "
            INSERT INTO promotions (sweep, position, kind, schedule, steps, base_lr, config_id, seeds, predicted, low, high)";
        let rows = promotions.into_iter().map(|promotion| {
            vec![
                sweep.into(),
                promotion.position.into(),
                promotion.kind.into(),
                promotion.schedule.into(),
                promotion.steps.into(),
                promotion.base_lr.into(),
                promotion.config_id.into(),
                promotion.seeds.into(),
                promotion.predicted.into(),
                promotion.low.into(),
                promotion.high.into(),
            ]
        });
        insert(conn, head, rows, "").await
    }
}
