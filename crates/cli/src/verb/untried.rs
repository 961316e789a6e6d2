//! `sweep plan --screen`: the schedules of a file that were not trained, by predicted loss.

use std::path::Path;

use report::{Cell, Format, Rows, short};
use serde_json::{Value, json};
use sweep::stored::open;
use sweep::untried::{Entry, Untried, untried};
use sweep::wait_for;

use crate::args::Warnings;
use crate::exit::{Failure, Outcome, after_output, print, say};
use crate::global::Global;
use crate::input::sweep_file;

/// `sweep`: the stored sweep to learn from, if the user names one.
pub(super) fn run(
    file: &Path,
    sweep: Option<&str>,
    warnings: Warnings,
    format: Format,
    global: &Global,
) -> Outcome {
    let (spec, _) = sweep_file(file, warnings, global)?;
    let found = wait_for(async {
        let mut reader = open(&global.context).await?;
        untried(&mut reader, &spec, sweep, &global.context).await
    })?;
    if format == Format::Json {
        let all: Vec<Value> = found.schedules.iter().map(json).collect();
        print(&format!("{:#}\n", Value::Array(all)))?;
    } else {
        if !global.quiet {
            refusals(&found).for_each(say);
        }
        print(&rows(&found).render(format))?;
    }
    if !found.schedules.is_empty() && found.schedules.iter().all(|entry| entry.found.is_err()) {
        return Err(after_output(Failure::usage("no schedule could be predicted")));
    }
    if format == Format::Table { print(&format!("\n{}", summary(&found))) } else { Ok(()) }
}

/// Why schedules have no prediction.
fn refusals(found: &Untried) -> impl Iterator<Item = String> {
    found.schedules.iter().filter_map(|Entry { schedule, found, .. }| {
        let why = found.as_ref().err()?;
        Some(format!("note: {schedule}: not predicted: {why}; a sweep with `screen` always trains it"))
    })
}

fn rows(found: &Untried) -> Rows {
    let mut rows = Rows::new(["schedule", "base_lr", "steps", "predicted", "low", "high"]);
    for Entry { schedule, config, found } in &found.schedules {
        let Ok(found) = found else { continue };
        let interval = found.predicted.interval;
        let row: Vec<Cell> = vec![
            schedule.as_str().into(),
            config.base_lr.into(),
            config.task.steps.into(),
            found.predicted.loss.into(),
            interval.map(|(low, _)| low).into(),
            interval.map(|(_, high)| high).into(),
        ];
        rows.rows.push(row);
    }
    rows
}

fn json(Entry { schedule, config, found }: &Entry) -> Value {
    let known = found.as_ref().ok();
    let interval = known.and_then(|found| found.predicted.interval);
    json!({
        "schedule": schedule,
        "base_lr": config.base_lr,
        "steps": config.task.steps,
        "predicted": known.map(|found| found.predicted.loss),
        "low": interval.map(|(low, _)| low),
        "high": interval.map(|(_, high)| high),
        "law": known.map(|found| found.law.name()),
        "held_out_error": known.and_then(|found| found.held_out_error),
        "refused": found.as_ref().err(),
    })
}

/// The sweep that was learned from, its laws, and the schedules that are trained already.
fn summary(found: &Untried) -> String {
    let mut text = format!("learned from the sweep `{}`\n", found.source);
    found.laws.iter().for_each(|law| text.push_str(&format!("  {law}\n")));
    if !found.tried.is_empty() {
        text.push_str(&format!("already trained: {}\n", found.tried.join(", ")));
    }
    let best = found.schedules.iter().find_map(|entry| entry.found.as_ref().ok());
    let lowest = best.map_or_else(String::new, |best| {
        let low = |entry: &&Entry| {
            let found = entry.found.as_ref().ok();
            let interval = found.and_then(|found| found.predicted.interval);
            interval.is_some_and(|(low, _)| low < best.predicted.loss)
        };
        let open = found.schedules.iter().filter(low).count();
        format!("; the intervals of {open} reach below {}", short(best.predicted.loss))
    });
    format!(
        "{text}each schedule at its base lr with the lowest predicted loss{lowest}\nlow and high: 95 % interval; a prediction is not a verdict: train the best ones\n"
    )
}
