//! `sweep compare A B`: a verdict on two schedules, then the numbers behind it.

use report::comparison_text::{by_seed, details, lrs, sentence};
use report::ranking_rows::rows;
use report::{Format, Rows};
use serde_json::{Value, json};
use sweep::ranked::{Ranked, ranked_sweep};
use sweep::wait_for;
use verdict::comparison::{Comparison, compare};
use verdict::cost::Expected;
use verdict::ranking::Options;
use verdict::warnings::{History, Warning, warnings};

use crate::args::{FormatArg, RankArgs};
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::input::{show_note, unknown_schedule};
use crate::verb::rank;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// First schedule
    pub a: String,
    /// Second schedule
    pub b: String,
    /// Name or file of the sweep [default: the most recent sweep]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    #[command(flatten)]
    pub how: RankArgs,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (name, ranked) = wait_for(ranked_sweep(args.sweep.as_deref(), &(&args.how).into(), &global.context))?;
    show_note(ranked.note.as_deref(), global);
    let (a, b) = (find_schedule(&args.a, &name, &ranked)?, find_schedule(&args.b, &name, &ranked)?);
    if a == b {
        return Err(Failure::usage(format_args!("can't compare `{a}` with itself")));
    }
    let Some(found) = compare(&ranked.ranking, &ranked.results, a, b) else {
        return Err(Failure::usage(format_args!(
            "`{a}` and `{b}` have no runs of {} steps in common",
            ranked.ranking.budget
        )));
    };
    let (metric, budget) = (ranked.ranking.metric.clone(), Some(ranked.ranking.budget));
    let both: Vec<_> =
        ranked.results.iter().filter(|run| [a, b].contains(&run.trial.schedule.as_str())).cloned().collect();
    let options = Options { metric, budget, rope: args.how.rope, looks: ranked.ranking.looks.clone() };
    let mut warnings = warnings(&found.ranking, &both, &options, &History::default());
    warnings.extend(ranked.warnings.iter().filter(|warning| warning.kind.is_of_store()).cloned());
    match Format::from(&args.format) {
        Format::Table => {
            let details: String = details(&found).iter().map(|detail| format!("  {detail}\n")).collect();
            let warned: String =
                warnings.iter().map(|warning| format!("  {}\n", rank::one_line(warning))).collect();
            let gap = if warned.is_empty() { "" } else { "\n" };
            let seeds = by_seed(&found).render(Format::Table);
            let at_lrs = if found.by_lr.len() < 2 {
                String::new()
            } else {
                format!("\n{}", lrs(&found).render(Format::Table))
            };
            print(&format!("{}\n\n{details}\n{seeds}{at_lrs}{gap}{warned}", sentence(&found)))
        }
        Format::Csv => print(&by_seed(&found).render(Format::Csv)),
        Format::Json => print(&format!("{:#}\n", data(&found, &warnings))),
    }
}

/// The comparison as JSON.
fn data(found: &Comparison, warnings: &[Warning]) -> Value {
    let json = |rows: Rows| serde_json::from_str(&rows.render(Format::Json)).unwrap_or(Value::Null);
    let versus = &found.versus;
    let [a, b] = &found.names;
    json!({
        "a": a,
        "b": b,
        "verdict": found.verdict.name(),
        "sentence": sentence(found),
        "metric": found.ranking.metric.name,
        "n": versus.n,
        "diff": versus.diff,
        "diff_low": versus.interval.map(|(low, _)| low),
        "diff_high": versus.interval.map(|(_, high)| high),
        "p_raw": versus.p_raw,
        "p": versus.p,
        "e": versus.e,
        "p_floor": versus.p_floor,
        "comparisons": found.pairs_tested,
        "wins": versus.wins,
        "win_share_low": found.win_share.map(|(low, _)| low),
        "win_share_high": found.win_share.map(|(_, high)| high),
        "correlation": found.correlation,
        "variance_ratio": found.variance_ratio,
        "retuned_ahead": found.retuned.map(|retuned| retuned.ahead),
        "retuned_keeps_lr_a": found.retuned.map(|retuned| retuned.keeps_a),
        "retuned_keeps_lr_b": found.retuned.map(|retuned| retuned.keeps_b),
        "detectable": found.detectable,
        "seeds_needed": found.seeds_needed,
        "expected_runs": found.expected.iter().map(expected).collect::<Vec<_>>(),
        "ranking": json(rows(&found.ranking)),
        "seeds": json(by_seed(found)),
        "lrs": json(lrs(found)),
        "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

/// The expected number of runs for a true difference, as JSON.
pub(super) fn expected(at: &Expected) -> Value {
    json!({ "difference_sd": at.difference, "runs": at.runs })
}

/// A warning as JSON.
pub(crate) fn warning(warning: &Warning) -> Value {
    json!({
        "kind": warning.kind.name(),
        "schedules": warning.schedules,
        "text": warning.text,
        "advice": warning.advice,
    })
}

/// Finds a schedule of the sweep by its name.
fn find_schedule<'a>(word: &str, sweep: &str, ranked: &'a Ranked) -> Result<&'a str, Failure> {
    let names = || ranked.ranking.lines.iter().map(|line| line.schedule.as_str());
    names().find(|name| *name == word).ok_or_else(|| unknown_schedule(word, sweep, names()))
}
