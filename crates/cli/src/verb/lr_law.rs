//! `sweep lr-law`: how the best lr of each schedule changes with the length of its runs.

use report::{Format, lr_law_refused, lr_law_rows, lr_law_table, lr_law_warnings};
use schedule::problem::counted;
use serde_json::{Value, json};
use sweep::ranked::{RankBy, Ranked, ranked_sweep};
use sweep::wait_for;
use verdict::lr_law::{FEWEST_BUDGETS, LrLaw, lr_laws};
use verdict::results::RunState;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, after_output, print, say};
use crate::global::Global;
use crate::input::show_note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep [default: the most recent sweep]
    pub sweep: Option<String>,
    /// Compute the lrs of the laws for runs of this many steps
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub at: Option<u64>,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let how = RankBy::default();
    let (name, ranked) = wait_for(ranked_sweep(args.sweep.as_deref(), &how, &global.context))?;
    show_note(ranked.note.as_deref(), global);
    let lengths = ranked.ranking.budgets.len();
    if lengths < FEWEST_BUDGETS {
        return Err(Failure::usage(format_args!(
            "the runs of `{name}` have {}, and a law needs {FEWEST_BUDGETS}: every power law goes through two points; write \
             `budget: {{steps: {{values: [...]}}}}` with at least {FEWEST_BUDGETS} values",
            counted(lengths, "length")
        )));
    }
    let laws = lr_laws(&ranked.results, args.at);
    let format = Format::from(&args.format);
    match format {
        Format::Table => print(&text(&name, &ranked, &laws))?,
        Format::Csv => print(&lr_law_rows(&laws).render(format))?,
        Format::Json => print(&format!("{:#}\n", Value::from_iter(laws.iter().map(object))))?,
    }
    if format != Format::Table && !global.quiet {
        missing(&ranked).iter().chain(notes(&laws).iter().filter(|_| format == Format::Csv)).for_each(say);
    }
    if laws.iter().all(|law| law.fit.is_none()) {
        return Err(after_output(Failure::usage(format_args!("no schedule of `{name}` has a law"))));
    }
    Ok(())
}

fn text(name: &str, ranked: &Ranked, laws: &[LrLaw]) -> String {
    let notes: String =
        missing(ranked).iter().chain(&notes(laws)).map(|note| format!("  {note}\n")).collect();
    format!(
        "{name}: the best lr by {} as a function of the number of steps T, lr = B T^-beta\n\n{}\n  best lr: the minimum of a parabola in \
         log lr through the best lr of the grid and its neighbours; law: least squares in log lr and log T\n  95 %: percentiles of 2000 \
         resamples of the seeds; they do not include the error of the law itself\n{notes}",
        ranked.ranking.metric.title,
        lr_law_table(laws).render(Format::Table)
    )
}

/// That the laws may change. `None` if all runs have ended.
fn missing(ranked: &Ranked) -> Option<String> {
    let missing = ranked.results.iter().filter(|run| matches!(run.state, RunState::Missing)).count();
    (missing > 0)
        .then(|| format!("not trained yet: {} of the sweep, so the laws may change", counted(missing, "run")))
}

/// The limits of each law.
fn notes(laws: &[LrLaw]) -> Vec<String> {
    let of = |law: &LrLaw| {
        let refused = lr_law_refused(law).map(|why| format!("no law: {why}"));
        let all: Vec<String> = refused.into_iter().chain(lr_law_warnings(law)).collect();
        (!all.is_empty()).then(|| format!("{}: {}", law.schedule, all.join("; ")))
    };
    laws.iter().filter_map(of).collect()
}

fn object(law: &LrLaw) -> Value {
    let fit = law.fit.as_ref();
    let at = fit.and_then(|fit| fit.at.as_ref());
    let low = |interval: Option<(f64, f64)>| interval.map(|(low, _)| low);
    let high = |interval: Option<(f64, f64)>| interval.map(|(_, high)| high);
    let beta = fit.and_then(|fit| fit.beta_interval);
    let lr = at.and_then(|at| at.interval);
    let budgets = law.budgets.iter().map(
        |at| json!({"steps": at.steps, "lr": at.lr.ok(), "low": low(at.interval), "high": high(at.interval)}),
    );
    json!({
        "schedule": law.schedule,
        "seeds": law.seeds,
        "budgets": budgets.collect::<Vec<_>>(),
        "b": fit.map(|fit| fit.b),
        "beta": fit.map(|fit| fit.beta),
        "beta_low": low(beta),
        "beta_high": high(beta),
        "bends": fit.map(|fit| fit.bends),
        "farthest_steps": fit.map(|fit| fit.farthest.0),
        "farthest_factor": fit.map(|fit| fit.farthest.1),
        "at": at.map(|at| at.steps),
        "lr": at.map(|at| at.lr),
        "lr_low": low(lr),
        "lr_high": high(lr),
        "refused": lr_law_refused(law),
        "warnings": lr_law_warnings(law),
    })
}
