//! Draws single figures of a report as standalone pictures.

use crate::chart::{NoChart, report_charts};
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
    /// The metric over run lengths.
    Budgets,
}

/// Draws a figure.
///
/// # Errors
///
/// The reason why there is nothing to draw.
pub fn figure(document: &Document, which: Figure) -> Result<Page, &'static str> {
    let chart = match which {
        Figure::Forest => report_charts::forest(document),
        Figure::Curves => report_charts::curves(document),
        Figure::Sensitivity => report_charts::sensitivity(document),
        Figure::Budgets => report_charts::budgets(document),
    };
    let chart = chart.map_err(NoChart::why)?;
    let names: Vec<&str> = document.ranking.iter().map(|line| line.schedule.as_str()).collect();
    // A forest plot has names in its rows, so it needs no legend.
    let (names, note) = match which {
        Figure::Forest => (Vec::new(), "faint: not significantly different from the first schedule"),
        Figure::Curves => (
            names,
            "mean over seeds with a band of one standard deviation, at up to 80 points; learning rates below",
        ),
        Figure::Sensitivity => {
            (names, "means over each schedule's lr grid, each lr at its best variant; large: the chosen lr")
        }
        Figure::Budgets => (names, "each schedule at its best lr"),
    };
    let first = document.ranking.first().map(|line| format!(", {}", line.schedule));
    let note = format!("{note}{}", first.filter(|_| which == Figure::Forest).unwrap_or_default());
    let notes: Vec<String> = std::iter::once(note).chain(chart.undrawn.iter().cloned()).collect();
    Ok(chart.page(format!("{}: {}", document.sweep, chart.title), &notes, &names))
}
