//! `sweep rank`: the ranking of a sweep's schedules, each at its best lr, with warnings.

use std::collections::HashMap;

use report::ranking_rows::{axis_flag, notes, rows, table};
use report::{Cell, Format, Rows, by_config};
use spec::record::Axes;
use sweep::ranked::{RankBy, Ranked, ranked_sweep};
use sweep::wait_for;
use verdict::warnings::Warning;

use crate::args::{FormatArg, RankArgs};
use crate::exit::{Outcome, print, say};
use crate::global::Global;
use crate::input::show_note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep [default: the most recent sweep]
    pub sweep: Option<String>,
    /// Rows of the table
    #[arg(long, value_enum, default_value_t = By::Schedule)]
    pub by: By,
    #[command(flatten)]
    pub how: RankArgs,
    #[command(flatten)]
    pub format: FormatArg,
}

/// The rows of the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// One row per schedule, at its best config
    Schedule,
    /// One row per config, over its seeds
    Config,
    /// One row per trial
    Trial,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (name, ranked) = wait_for(ranked_sweep(args.sweep.as_deref(), &(&args.how).into(), &global.context))?;
    show_note(ranked.note.as_deref(), global);
    let format = Format::from(&args.format);
    match args.by {
        By::Schedule => show(&name, &ranked, format, global.quiet),
        By::Config => print(&by_config(&ranked.results, &ranked.ranking, &axes(&ranked)).render(format)),
        By::Trial => print(&by_trial(&ranked).render(format)),
    }
}

/// Prints the ranking of a sweep, like `sweep rank NAME`.
pub(crate) fn of(sweep: &str, global: &Global) -> Outcome {
    let how = RankBy::default();
    let (name, ranked) = wait_for(ranked_sweep(Some(sweep), &how, &global.context))?;
    show(&name, &ranked, Format::Table, global.quiet)
}

/// Prints a ranking. The table has a title, notes and warnings.
pub(crate) fn show(sweep: &str, ranked: &Ranked, format: Format, quiet: bool) -> Outcome {
    let Ranked { ranking, warnings, .. } = ranked;
    match format {
        Format::Table => {
            let budget = match ranking.budgets.len() {
                0 | 1 => String::new(),
                n => format!(", {} steps (one of {n} budgets)", ranking.budget),
            };
            let title = format!(
                "{sweep}: schedules by {}, each at its best lr (mean ± deviation over seeds){budget}",
                ranking.metric.title
            );
            let notes = notes(ranking)
                .into_iter()
                .chain(ranked.over_budgets.clone())
                .chain(report::refine::note(&ranked.grid_costs, ranking.budget))
                .chain(best_axes(ranked));
            let notes: String = notes.map(|note| format!("  {note}\n")).collect();
            let warnings: String =
                warnings.iter().map(|warning| format!("  {}\n", one_line(warning))).collect();
            let gap = if notes.is_empty() && warnings.is_empty() { "" } else { "\n" };
            print(&format!("{title}\n\n{}{gap}{notes}{warnings}", table(ranking).render(Format::Table)))
        }
        Format::Json | Format::Csv => {
            if !quiet {
                warnings.iter().map(one_line).for_each(say);
            }
            print(&rows(ranking).render(format))
        }
    }
}

/// A warning and its advice in one line.
pub(crate) fn one_line(warning: &Warning) -> String {
    format!("{}; {}", warning.text, warning.advice)
}

/// The axes of the best configs, other than the lr.
fn best_axes(ranked: &Ranked) -> Option<String> {
    let axes: HashMap<&str, &Axes> =
        ranked.results.iter().map(|run| (run.trial.config_id.as_str(), &run.trial.axes)).collect();
    let each: Vec<String> = ranked
        .ranking
        .lines
        .iter()
        .filter(|line| line.has_results())
        .filter_map(|line| Some((line, axes.get(line.config_id.as_str())?)))
        .filter(|(_, axes)| !axes.0.is_empty())
        .map(|(line, axes)| {
            let value = |(path, value): (&str, String)| {
                let flag = axis_flag(line, path).map(|flag| format!(" {flag}")).unwrap_or_default();
                format!("{path}: {value}{flag}")
            };
            format!("{} ({})", line.schedule, axes.plain().map(value).collect::<Vec<_>>().join(", "))
        })
        .collect();
    (!each.is_empty()).then(|| format!("axes at the best lr: {}", each.join("; ")))
}

/// The axis values of the configs with axes, by config id.
fn axes(ranked: &Ranked) -> HashMap<&str, String> {
    let rows = ranked.results.iter().map(|run| &run.trial).filter(|row| !row.axes.0.is_empty());
    rows.map(|row| (row.config_id.as_str(), row.axes.to_string())).collect()
}

/// All runs of the ranked budget, best first.
fn by_trial(ranked: &Ranked) -> Rows {
    let mut rows = Rows::new([
        "schedule",
        "trial_id",
        "config_id",
        "base_lr",
        "axes",
        "seed",
        "purpose",
        "status",
        "steps",
        "value",
        "test_loss",
        "test_accuracy",
    ]);
    let (direction, axes) = (ranked.ranking.metric.direction, axes(ranked));
    let mut all: Vec<(Option<f64>, Vec<Cell>)> = Vec::new();
    let of_budget = |steps: i64| steps == ranked.ranking.budget;
    for run in ranked.results.iter().filter(|run| of_budget(run.trial.steps)) {
        let (row, value) = (&run.trial, run.value());
        let cells = vec![
            row.schedule.as_str().into(),
            row.trial_id.as_str().into(),
            row.config_id.as_str().into(),
            row.base_lr.into(),
            axes.get(row.config_id.as_str()).map(String::as_str).into(),
            row.seed.into(),
            row.purpose.name().into(),
            row.status.name().into(),
            row.steps.into(),
            value.filter(|value| value.is_finite()).into(),
            row.test_loss.into(),
            row.test_accuracy.into(),
        ];
        all.push((value, cells));
    }
    // Diverged runs have infinite values. Runs that are not trained yet come last.
    all.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => direction.compare(*a, *b),
        _ => a.is_none().cmp(&b.is_none()),
    });
    rows.rows = all.into_iter().map(|(_, cells)| cells).collect();
    rows
}
