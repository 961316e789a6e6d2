//! Builds each chart from a report's document, independently of how it is rendered.

use super::{Axis, Chart, LEFT, NoChart, RIGHT, Rule, Shape, Text};
use crate::document::{Curve, Document, RankedSchedule, Sensitivity};
use verdict::numbers::{capital, short};

/// Index of a schedule in the ranking.
fn position(document: &Document, name: &str) -> Option<usize> {
    document.ranking.iter().position(|line| line.schedule == name)
}

/// The largest number of names in a sentence.
const MAX_NAMES: usize = 6;

/// A sentence about what a chart leaves out; `None` if it leaves out nothing.
fn undrawn(names: Vec<String>, why: &str) -> Option<String> {
    let more = names.len().saturating_sub(MAX_NAMES);
    let listed = names.get(..names.len() - more)?.join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("Not drawn: {listed}{more} ({why})."))
}

/// Paired differences to the first, with their intervals.
pub(crate) fn forest(document: &Document) -> Result<Chart, NoChart> {
    let why = "no two schedules have finished runs of the same seed";
    if document.ranking.len() < 2 {
        return Err(NoChart::NotApplicable(why));
    }
    let is_drawn = |line: &RankedSchedule| line.diff.is_some_and(f64::is_finite);
    let rows: Vec<_> = document.ranking.iter().enumerate().filter(|(_, line)| is_drawn(line)).collect();
    let ends = rows.iter().flat_map(|(_, line)| {
        let (low, high) = line.interval.or(line.diff.zip(line.diff)).unwrap_or((0.0, 0.0));
        [low, high, 0.0]
    });
    let axis = Axis::over(ends, false, (LEFT + 170.0, RIGHT)).ok_or(NoChart::Empty(why))?;
    let bottom = 14.0 + 26.0 * rows.len() as f64;
    let description =
        "Paired difference of each schedule to the first schedule; the table above has the numbers.";
    let mut chart = Chart::new(bottom + 44.0, "Paired differences to the first schedule", description);
    let title = format!("difference in {} to the first schedule, with 95 % interval", document.metric);
    chart.x(&axis, (6.0, bottom), &title);
    let zero = axis.at(0.0);
    chart.shapes.push(Shape::Rule { kind: Rule::Zero, from: (zero, 6.0), to: (zero, bottom) });
    for (at, (i, line)) in rows.into_iter().enumerate() {
        chart.shapes.push(difference(i, line, 22.0 + 26.0 * at as f64, &axis));
    }
    let others = document.ranking.iter().skip(1).filter(|line| !is_drawn(line));
    let names = others.map(|line| line.schedule.clone()).collect();
    chart.undrawn.extend(undrawn(names, "no finite difference to the first schedule"));
    Ok(chart)
}

/// A schedule's row of [`forest`].
fn difference(i: usize, line: &RankedSchedule, y: f64, axis: &Axis) -> Shape {
    let name: String = if line.schedule.chars().count() > 26 {
        line.schedule.chars().take(25).chain(['…']).collect()
    } else {
        line.schedule.clone()
    };
    let mut shapes = vec![Shape::Text { kind: Text::Name, at: (LEFT + 160.0, y + 4.0), text: name }];
    if let Some((low, high)) = line.interval {
        shapes.push(Shape::Rule { kind: Rule::Whisker, from: (axis.at(low), y), to: (axis.at(high), y) });
    }
    if let Some(diff) = line.diff {
        let label = format!("{}: {diff:+}", line.schedule);
        shapes.push(Shape::Dot { i, at: (axis.at(diff), y), chosen: false, label });
    }
    Shape::Row { i, faint: line.verdict != "worse", shapes }
}

/// Top and bottom of [`curves`].
const CURSOR: (f64, f64) = (10.0, 480.0);

/// The curves of the ranked schedules, each with the schedule's index in the ranking.
pub(crate) fn drawn_curves(document: &Document) -> Vec<(usize, &Curve)> {
    let curves = document.curves.iter();
    curves.filter_map(|curve| Some((position(document, &curve.schedule)?, curve))).collect()
}

/// The last step that [`curves`] shows.
fn last_step(document: &Document) -> Option<u64> {
    drawn_curves(document)
        .iter()
        .flat_map(|(_, curve)| curve.steps.iter().chain(&curve.lr_steps))
        .max()
        .copied()
}

/// The axis of the learning rates below the losses, and whether it is truncated: a few very high rates would flatten all other
/// curves.
fn rates(curves: &[(usize, &Curve)]) -> Option<(Axis, bool)> {
    let mut rates: Vec<f64> =
        curves.iter().flat_map(|(_, curve)| curve.lr.iter().copied()).filter(|lr| lr.is_finite()).collect();
    rates.sort_by(f64::total_cmp);
    let (usual, highest) = (rates.get(rates.len() * 97 / 100), rates.last().copied().unwrap_or(0.0));
    let lowest = rates.first().copied().unwrap_or(0.0).min(0.0);
    let is_truncated = usual.is_some_and(|usual| *usual > 0.0 && highest > 2.5 * usual);
    let top = usual.filter(|_| is_truncated).map_or(highest, |usual| 2.0 * usual);
    let axis = Axis::over([lowest, 0.0, 1.05 * top].into_iter(), false, (CURSOR.1, 362.0))?;
    Some((axis, is_truncated))
}

/// Losses over the run with their bands, and the learning rates below.
pub(crate) fn curves(document: &Document) -> Result<Chart, NoChart> {
    let empty = NoChart::Empty("no run has recorded a finite loss");
    let curves = drawn_curves(document);
    let last = last_step(document).ok_or(empty)?;
    let means = curves.iter().flat_map(|(_, curve)| curve.mean.iter().copied());
    let x = Axis::exactly(0.0, last as f64, (LEFT, RIGHT));
    let y = Axis::over(means, true, (330.0, CURSOR.0)).ok_or(empty)?;
    let (rate, is_truncated) = rates(&curves).ok_or(empty)?;
    let title = format!("{} and learning rate over the run", capital(&document.curve_metric));
    let description = "Mean over seeds with a band of one standard deviation; learning rates below. The table has the numbers.";
    let mut chart = Chart::new(528.0, title, description);
    chart.y(&y, 9, &document.curve_metric);
    chart.y(&rate, 4, if is_truncated { "lr (higher values cut off)" } else { "learning rate" });
    chart.x(&x, CURSOR, "step");
    for (i, curve) in curves.iter().rev() {
        let steps: Vec<f64> = curve.steps.iter().map(|step| *step as f64).collect();
        chart.band(*i, &steps, &curve.low, &curve.high, (&x, &y));
    }
    for (i, curve) in curves.iter().rev() {
        let steps = curve.steps.iter().map(|step| *step as f64);
        chart.line(*i, steps.zip(curve.mean.iter().copied()), (&x, &y), &curve.schedule);
        let steps = curve.lr_steps.iter().map(|step| *step as f64);
        chart.line(*i, steps.zip(curve.lr.iter().copied()), (&x, &rate), &curve.schedule);
    }
    let has_curve = |line: &&RankedSchedule| curves.iter().any(|(_, curve)| curve.schedule == line.schedule);
    let others = document.ranking.iter().filter(|line| !has_curve(line));
    let names = others.map(|line| line.schedule.clone()).collect();
    chart.undrawn.extend(undrawn(names, "no finite loss was recorded"));
    let diverged = document.ranking.iter().filter(|line| line.diverged > 0 && has_curve(line));
    let names = diverged.map(|line| format!("{} ({} of {})", line.schedule, line.diverged, line.requested));
    chart
        .undrawn
        .extend(undrawn(names.collect(), "diverged runs are drawn up to the step where they diverged"));
    let incomplete = curves.iter().filter(|(_, curve)| curve.runs.0 < curve.runs.1);
    let names = incomplete.map(|(_, curve)| {
        format!("{} of {} runs of {}", curve.runs.1 - curve.runs.0, curve.runs.1, curve.schedule)
    });
    chart.undrawn.extend(undrawn(names.collect(), "the mean is over the other runs"));
    Ok(chart)
}

/// Means over the lr grid.
pub(crate) fn sensitivity(document: &Document) -> Result<Chart, NoChart> {
    let all: Vec<(usize, &Sensitivity)> = document
        .sensitivity
        .iter()
        .filter_map(|own| Some((position(document, &own.schedule)?, own)))
        .collect();
    if all.iter().all(|(_, own)| own.points.len() < 2) {
        return Err(NoChart::NotApplicable("no schedule has finished runs at two learning rates"));
    }
    let points = || all.iter().flat_map(|(_, own)| &own.points);
    let empty = NoChart::Empty("no learning rate has finite results of all its runs");
    let x = Axis::over(points().map(|point| point.0), true, (LEFT, RIGHT)).ok_or(empty)?;
    let means = points().filter_map(|point| point.1);
    let y = Axis::over(means, document.lower_is_better, (330.0, 10.0)).ok_or(empty)?;
    let description =
        "Means over each schedule's lr grid, each lr at its best variant. The table has the numbers.";
    let mut chart = Chart::new(378.0, "Metric over the base learning rate", description);
    chart.y(&y, 9, &document.metric);
    chart.x(&x, (10.0, 330.0), "base lr");
    let mut without = Vec::new();
    for (i, own) in all.iter().rev() {
        let drawn = own.points.iter().map(|(lr, mean, _)| (*lr, mean.unwrap_or(f64::NAN)));
        chart.line(*i, drawn, (&x, &y), &own.schedule);
        for (at, mean, diverged) in &own.points {
            let label = format!("{} at lr {}, {} diverged", own.schedule, short(*at), diverged);
            match mean {
                Some(mean) => {
                    let chosen = *at == own.chosen;
                    chart.shapes.push(Shape::Dot { i: *i, at: (x.at(*at), y.at(*mean)), chosen, label });
                }
                None => without.push(label),
            }
        }
    }
    without.reverse();
    chart.undrawn.extend(undrawn(without, "runs diverged or are missing, so there is no mean"));
    Ok(chart)
}

/// Means over run lengths.
pub(crate) fn budgets(document: &Document) -> Result<Chart, NoChart> {
    let why = NoChart::NotApplicable("all runs have the same length");
    let points = || document.budgets.iter().flat_map(|own| &own.points);
    let x = Axis::over(points().map(|point| point.0 as f64), true, (LEFT, RIGHT)).ok_or(why)?;
    let y = Axis::over(points().map(|point| point.1), document.lower_is_better, (330.0, 10.0)).ok_or(why)?;
    let mut chart = Chart::new(378.0, "Metric over run length", "Each schedule at its best lr.");
    chart.y(&y, 9, &document.metric);
    chart.x(&x, (10.0, 330.0), "run length in steps");
    let mut without = Vec::new();
    for own in document.budgets.iter().rev() {
        let Some(i) = position(document, &own.schedule) else { continue };
        let drawn = own.points.iter().map(|(steps, mean)| (*steps as f64, *mean));
        chart.line(i, drawn, (&x, &y), &own.schedule);
        for (steps, mean) in &own.points {
            let label = format!("{} at {steps} steps", own.schedule);
            if mean.is_finite() {
                let at = (x.at(*steps as f64), y.at(*mean));
                chart.shapes.push(Shape::Dot { i, at, chosen: false, label });
            } else {
                without.push(label);
            }
        }
    }
    without.reverse();
    chart.undrawn.extend(undrawn(without, "runs diverged, so there is no mean"));
    Ok(chart)
}
