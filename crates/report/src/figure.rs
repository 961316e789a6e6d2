//! Single figures of a report as pictures of their own.

use crate::chart::{Absent, figures};
use crate::document::Document;
use crate::plot::Page;

/// A figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Paired differences to the first, with their intervals.
    Forest,
    /// Losses over the run, and the learning rates below.
    Curves,
    /// The metric over each schedule's lr grid.
    Sensitivity,
    /// The metric over the lengths of the run.
    Budgets,
}

/// Draws a figure.
///
/// # Errors
///
/// Says why there is nothing to draw.
pub fn figure(document: &Document, which: Figure) -> Result<Page, &'static str> {
    let chart = match which {
        Figure::Forest => figures::forest(document),
        Figure::Curves => figures::curves(document),
        Figure::Sensitivity => figures::sensitivity(document),
        Figure::Budgets => figures::budgets(document),
    };
    let chart = chart.map_err(Absent::why)?;
    let names: Vec<&str> = document.ranking.iter().map(|line| line.schedule.as_str()).collect();
    // The rows of a forest plot have their names; what its faint ones are has to be said.
    let (names, note) = match which {
        Figure::Forest => (Vec::new(), "faint: can't be told from the first"),
        Figure::Curves => (
            names,
            "mean over seeds with a band of one standard deviation, at up to 80 points; below, the learning rates",
        ),
        Figure::Sensitivity => (
            names,
            "means over each schedule's lr grid, each lr at its best variant; large: the lr that was chosen",
        ),
        Figure::Budgets => (names, "each schedule at its best lr"),
    };
    let first = document.ranking.first().map(|line| format!("; the first is {}", line.schedule));
    let note = format!("{note}{}", first.filter(|_| which == Figure::Forest).unwrap_or_default());
    let notes: Vec<String> = std::iter::once(note).chain(chart.undrawn.iter().cloned()).collect();
    Ok(chart.page(format!("{}: {}", document.sweep, chart.title), &notes, &names))
}
