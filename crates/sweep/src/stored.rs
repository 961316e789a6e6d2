//! Stored trials: found by their ids, and made trainable again.

use std::sync::Arc;

use schedule::problem::listed;
use spec::trial::Trial;
use store::{Reader, StoreError, TrialRecord};

use crate::error::words;
use crate::{Context, Error};

/// Opens the store for reading.
///
/// # Errors
/// There is none, or it can't be read.
pub async fn open(context: &Context) -> Result<Reader, Error> {
    Ok(Reader::open(&context.store).await?)
}

/// The results of a sweep; none where there is no store yet.
///
/// # Errors
/// The store can't be read.
pub async fn results_so_far(sweep: &str, context: &Context) -> Result<Vec<TrialRecord>, Error> {
    match Reader::open(&context.store).await {
        Err(StoreError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(mut reader) => Ok(reader.results(sweep).await?),
    }
}

/// The trial whose id starts so.
///
/// # Errors
/// There is none, or there are several.
pub async fn by_id(reader: &mut Reader, start: &str) -> Result<TrialRecord, Error> {
    let id = match reader.find(&start.to_lowercase()).await?.as_slice() {
        [id] => id.clone(),
        [] => {
            return Err(Error::usage(format_args!(
                "there is no trial whose id starts with `{start}` (ids are in the table `trials`; `best` is the best one)"
            )));
        }
        several => {
            let ids = listed(several.iter().map(String::as_str));
            return Err(Error::usage(format_args!("several trials start with `{start}`: {ids}")));
        }
    };
    let row = reader.trial(&id).await?;
    row.ok_or_else(|| Error::failed(format_args!("the trial {id} is gone")))
}

/// The run of a stored trial, to be trained again.
///
/// # Errors
/// What is stored of it is no configuration.
pub fn retrained(row: &TrialRecord, context: &Context) -> Result<Trial, Error> {
    let mut again = row.trial().map_err(|problems| {
        Error::failed(format_args!("the stored configuration can't be used: {}", words(&problems)))
    })?;
    // The weights of a trial are kept beside the store, which may stand elsewhere by now.
    if let Some(init) = Arc::make_mut(&mut again.config).task.init_from_mut()
        && let Some(id) = &init.trial
    {
        init.file = context.kept_weights(id).display().to_string();
    }
    Ok(again)
}
