//! `sweep audit`: what early stopping, screening and halving of lrs would have saved, and which schedules they would have dropped.

use std::collections::HashMap;

use report::{Format, audit_rows};
use spec::metric::{Metric, Requested};
use sweep::lookup::sweep;
use sweep::ranked::{RankBy, Ranked, ranked_rows};
use sweep::replay::{Replayed, replay};
use sweep::stored::open;
use sweep::wait_for;
use verdict::audit::{Audit, Trace, audit, screening};
use verdict::halving::{self, LR_HALVING};
use verdict::results::Purpose;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep [default: the most recent sweep]
    pub sweep: Option<String>,
    /// Use the runs with this many steps [default: the longest runs]
    #[arg(long, value_name = "STEPS")]
    pub budget: Option<i64>,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (name, rows, ranked, curves, replayed) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let name = sweep(&mut reader, args.sweep.as_deref(), &global.context).await?;
        let metric = Some(Requested::Metric(Metric::Final));
        let how = RankBy { metric, budget: args.budget, ..RankBy::default() };
        let rows = reader.results(&name).await?;
        let ranked = ranked_rows(&mut reader, &name, rows.clone(), &how).await?;
        let curves = reader.validation_losses(&name).await?;
        let replayed = replay(&mut reader, &rows, ranked.ranking.budget).await?;
        Ok::<_, Failure>((name, rows, ranked, curves, replayed))
    })?;
    let traces = traces(&ranked, &curves);
    let best: Vec<(String, String)> =
        ranked.ranking.lines.iter().map(|line| (line.schedule.clone(), line.config_id.clone())).collect();
    let early = audit(&traces, &best);
    let why_not = early.is_none().then(|| {
        format!(
            "the runs of `{name}` were evaluated only at their end, so there are no losses for a stopping rule to compare; write \
             `evaluate: {{every: \"10%\"}}` and train again"
        )
    });
    let mut audits = early.unwrap_or_default();
    // If the sweep has dropped lrs, its grid is incomplete.
    let is_halved = rows.iter().any(|row| row.purpose == Purpose::Dropped);
    if !is_halved {
        audits.extend(halving::replay(&ranked.results, &traces, ranked.ranking.budget));
    }
    match why_not {
        Some(why) if audits.is_empty() => return Err(Failure::usage(why)),
        Some(why) if !global.quiet => say(format_args!("note: {why}")),
        _ => {}
    }
    if is_halved && !global.quiet {
        say(
            "note: halving of lrs is not replayed: this sweep has dropped lrs; remove `halving` and train it again",
        );
    }
    match &replayed {
        Ok(Replayed { first, ordered }) => audits.extend(screening(&traces, &best, first, ordered)),
        Err(why) if !global.quiet => say(format_args!("note: screening is not replayed: {why}")),
        Err(_) => {}
    }
    let format = Format::from(&args.format);
    if format == Format::Table {
        print(&format!(
            "{name}: what early stopping and screening would have saved, replayed on {} runs of {} steps\n\n",
            traces.len(),
            ranked.ranking.budget
        ))?;
    }
    print(&audit_rows(&audits).render(format))?;
    if format == Format::Table {
        print(&legend(&audits, replayed.as_ref().ok()))?;
    }
    Ok(())
}

/// The meaning of the columns and of the rules.
fn legend(audits: &[Audit], replayed: Option<&Replayed>) -> String {
    let mut text = "\n  keeps_winner: whether the best config is trained to its end; regret: how much worse the best remaining run is, mean \
                    over seeds\n  dropped_schedules: schedules whose best config is stopped on most seeds, so that their rank is wrong\n"
        .to_owned();
    if audits.iter().any(|audit| audit.rule.starts_with(LR_HALVING)) {
        text.push_str(
            "  lr halving: only the better half of each schedule's lrs gets more seeds; its dropped schedules would get another lr. By seeds: \
             `halving` in a sweep file; at a third: by the losses after a third of the first seed's runs\n",
        );
    }
    if let Some(Replayed { first, ordered }) = replayed {
        text.push_str(&format!(
            "  screening, keep N: trains {}, and of the others the N with the lowest predicted losses: {}; its dropped schedules are not \
             trained at all\n",
            first.join(", "),
            ordered.join(", ")
        ));
    }
    text
}

/// The runs of the ranked length that choose configs, with their `curves`: trial, step and validation loss.
fn traces(ranked: &Ranked, curves: &[(String, i64, f64)]) -> Vec<Trace> {
    let mut by_trial: HashMap<&str, Vec<(u64, f64)>> = HashMap::new();
    for (trial, step, loss) in curves {
        by_trial.entry(trial.as_str()).or_default().push((step.unsigned_abs() + 1, *loss));
    }
    let of_budget = ranked.results.iter().filter(|run| run.trial.steps == ranked.ranking.budget);
    let mut seen = std::collections::HashSet::new();
    of_budget
        .filter_map(|run| {
            // Deciding runs are those of chosen configs only, without a grid to stop in.
            let row = &run.trial;
            let last = run.value().filter(|_| row.purpose != Purpose::Decide)?;
            // A run that belongs to several cells of a schedule counts once.
            seen.insert((row.schedule.as_str(), row.trial_id.as_str())).then(|| Trace {
                schedule: row.schedule.clone(),
                config_id: row.config_id.clone(),
                seed: row.seed,
                losses: by_trial.get(row.trial_id.as_str()).cloned().unwrap_or_default(),
                steps: row.steps.unsigned_abs(),
                last,
            })
        })
        .collect()
}
