//! The decision of a screening among the promotions of a sweep.

use spec::protocol::{AtScreen, Chosen, Predicted, Screened};

use crate::backend::Conn;
use crate::error::Fault;
use crate::sweep_rows::Promotion;

/// A schedule that was learned from.
const LEARNED: &str = "learned";
/// A schedule that is trained.
const KEPT: &str = "kept";
/// A schedule that is not trained.
const LEFT_OUT: &str = "left_out";

/// A row about a schedule.
fn promotion(kind: &str, config: &Chosen) -> Result<Promotion, Fault> {
    Ok(Promotion {
        kind: kind.to_owned(),
        schedule: config.schedule.clone(),
        steps: i64::try_from(config.steps).map_err(|_| Fault::TooLarge(config.steps))?,
        base_lr: config.base_lr,
        config_id: Some(config.config_id.clone()),
        ..Promotion::default()
    })
}

/// The rows of a decision.
pub(crate) fn promotions(screened: &Screened) -> impl Iterator<Item = Result<Promotion, Fault>> {
    let learned = screened.learned.iter().map(|config| promotion(LEARNED, config));
    let outcomes = screened.outcomes.iter().map(|at| {
        let interval = at.predicted.and_then(|predicted| predicted.interval);
        Ok(Promotion {
            predicted: at.predicted.map(|predicted| predicted.loss),
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            ..promotion(if at.is_kept { KEPT } else { LEFT_OUT }, &at.chosen)?
        })
    });
    learned.chain(outcomes)
}

/// The decision of a sweep; `None` if there is none.
pub(crate) async fn read(conn: Conn<'_>, sweep: &str) -> Result<Option<Screened>, sqlx::Error> {
    let mut screened = Screened::default();
    for row in Promotion::read(conn, sweep).await? {
        let chosen = Chosen {
            schedule: row.schedule,
            steps: row.steps.unsigned_abs(),
            config_id: row.config_id.unwrap_or_default(),
            base_lr: row.base_lr,
        };
        match row.kind.as_str() {
            LEARNED => screened.learned.push(chosen),
            kind @ (KEPT | LEFT_OUT) => screened.outcomes.push(AtScreen {
                chosen,
                is_kept: kind == KEPT,
                predicted: row.predicted.map(|loss| Predicted { loss, interval: row.low.zip(row.high) }),
            }),
            _ => {}
        }
    }
    Ok((!screened.outcomes.is_empty()).then_some(screened))
}
