//! Reads the steps of a trial in pages.

use store::{MetricRow, Reader};

use crate::exit::Outcome;

/// Steps in memory at the same time.
const PAGE: u64 = 4096;

/// Calls `each` with the steps of a trial, one page after the other.
pub(crate) async fn each_page(
    reader: &mut Reader,
    trial_id: &str,
    mut each: impl FnMut(&[MetricRow]) -> Outcome,
) -> Outcome {
    let mut first = 0;
    loop {
        let page = reader.steps_within(trial_id, first..first + PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        each(&page)?;
        first += PAGE;
    }
}
