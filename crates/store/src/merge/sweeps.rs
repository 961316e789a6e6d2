//! Copies the merged sweeps, with their cells and promotions.

use super::shard_fault;
use crate::backend::{Conn, from_row, on};
use crate::error::Fault;
use crate::reader::Reader;
use crate::register;
use crate::store::Writer;
use crate::sweep_rows::{Cell, Promotion};

struct Sweep {
    sweep: String,
    file_text: String,
    created_at: i64,
    updated_at: i64,
    /// Number of its promotions.
    decided: i64,
}

from_row!(Sweep { sweep, file_text, created_at, updated_at, decided });

/// Copies the sweeps that are missing here, or for which the shard has more decisions. Returns the sweeps whose file
/// differs here.
pub(super) async fn copy(writer: &mut Writer, shard: &mut Reader) -> Result<Vec<String>, Fault> {
    let there = all(shard.conn()).await.map_err(|error| shard_fault(shard, error))?;
    let here = all(writer.backend.conn()).await?;
    let mut other_files = Vec::new();
    for sweep in there {
        match here.iter().find(|known| known.sweep == sweep.sweep) {
            Some(known) if known.file_text != sweep.file_text => other_files.push(sweep.sweep),
            Some(known) if known.decided >= sweep.decided => {}
            _ => copy_sweep(writer.backend.conn(), shard, &sweep).await?,
        }
    }
    Ok(other_files)
}

async fn all(conn: Conn<'_>) -> Result<Vec<Sweep>, sqlx::Error> {
    let sql = "
        SELECT s.sweep, s.file_text, s.created_at, s.updated_at,
            (SELECT count(*) FROM promotions AS p WHERE p.sweep = s.sweep) AS decided
        FROM sweeps AS s ORDER BY s.updated_at, s.sweep";
    on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)
}

async fn copy_sweep(mut conn: Conn<'_>, shard: &mut Reader, sweep: &Sweep) -> Result<(), Fault> {
    let sql = "
        INSERT INTO sweeps (sweep, file_text, created_at, updated_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (sweep) DO NOTHING";
    on!(conn.reborrow(), c => sqlx::query(sql)
        .bind(&sweep.sweep)
        .bind(&sweep.file_text)
        .bind(sweep.created_at)
        .bind(sweep.updated_at)
        .execute(c)
        .await
        .map(|_| ()))?;
    let name = &sweep.sweep;
    let cells = Cell::read(shard.conn(), name).await.map_err(|error| shard_fault(shard, error))?;
    Cell::replace(conn.reborrow(), name, cells).await?;
    register::stage_groups(conn.reborrow(), name).await?;
    let promotions = Promotion::read(shard.conn(), name).await.map_err(|error| shard_fault(shard, error))?;
    Promotion::replace(conn, name, promotions).await
}
