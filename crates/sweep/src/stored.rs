//! Finds stored trials by their ids, and prepares them to be trained again.

use std::sync::Arc;

use schedule::problem::listed;
use spec::metric::Metric;
use spec::trial::Trial;
use store::{Reader, StoreError, TrialRecord};

use crate::error::joined_messages;
use crate::results::Values;
use crate::{Context, Error};

/// Opens the store for reading.
///
/// # Errors
/// The store does not exist or can't be read.
pub async fn open(context: &Context) -> Result<Reader, Error> {
    Ok(Reader::open(&context.store).await?)
}

/// The results of a sweep and the values of its metric; empty if the store does not exist yet.
///
/// # Errors
/// The store can't be read.
pub async fn results_so_far(
    sweep: &str,
    metric: &Metric,
    context: &Context,
) -> Result<(Vec<TrialRecord>, Values), Error> {
    match Reader::open(&context.store).await {
        Err(StoreError::Missing { .. }) => Ok(<(Vec<TrialRecord>, Values)>::default()),
        Err(error) => Err(error.into()),
        Ok(mut reader) => {
            let values = values(&mut reader, sweep, metric).await?;
            Ok((reader.results(sweep).await?, values))
        }
    }
}

/// The values of a metric of a sweep's runs.
///
/// # Errors
/// The store can't be read.
pub async fn values(reader: &mut Reader, sweep: &str, metric: &Metric) -> Result<Values, Error> {
    Ok(Values::read(metric.clone(), async |wanted| reader.values(sweep, wanted).await).await?)
}

/// The trial whose id begins with `start`.
///
/// # Errors
/// There is no such trial, or several match.
pub async fn by_id(reader: &mut Reader, start: &str) -> Result<TrialRecord, Error> {
    let id = match reader.find(&start.to_lowercase()).await?.as_slice() {
        [id] => id.clone(),
        [] => {
            return Err(Error::usage(format_args!(
                "no trial id starts with `{start}` (ids are in the table `trials`; `best` names the best trial)"
            )));
        }
        several => {
            let ids = listed(several.iter().map(String::as_str));
            return Err(Error::usage(format_args!("several trial ids start with `{start}`: {ids}")));
        }
    };
    let row = reader.trial(&id).await?;
    row.ok_or_else(|| Error::failed(format_args!("trial {id} was removed in the meantime")))
}

/// The trial of a stored record, to be trained again.
///
/// # Errors
/// The stored configuration is invalid.
pub fn retrained(row: &TrialRecord, context: &Context) -> Result<Trial, Error> {
    let mut again = row.trial().map_err(|problems| {
        Error::failed(format_args!("invalid stored configuration: {}", joined_messages(&problems)))
    })?;
    // Weights are kept next to the store, which may have been moved.
    if let Some(init) = Arc::make_mut(&mut again.config).task.init_from_mut()
        && let Some(id) = &init.trial
    {
        init.file = context.kept_weights(id).display().to_string();
    }
    Ok(again)
}
