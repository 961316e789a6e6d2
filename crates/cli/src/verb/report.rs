//! `sweep report`: a sweep's verdict, ranking, curves and warnings as one page.

use std::collections::BTreeMap;
use std::path::Path;

use report::compose::{Material, Step, compose};
use report::ranking::{Options, Protocol};
use report::results::{Purpose, budgets};
use store::{Reader, RunRow};

use crate::args::{Global, Page, Report};
use crate::exit::{Failure, Outcome, print, say};
use crate::output::Output;
use crate::stored::{Ranked, open, ranked, sweep, wait_for};

/// The most seeds of a schedule whose steps are drawn: the band of more looks the same.
const MOST_RUNS: usize = 32;

pub(crate) fn run(args: &Report, global: &Global) -> Outcome {
    let page = page(args)?;
    let (ranked, material) = wait_for(async {
        let mut reader = open(global).await?;
        let name = sweep(&mut reader, args.sweep.as_deref()).await?;
        let ranked = ranked(&mut reader, &name, &args.how).await?;
        let material = material(&mut reader, &name, &ranked, global).await?;
        Ok((ranked, material))
    })?;
    let metric = ranked.ranking.metric.clone();
    let budget = args.how.budget.or(budgets(&ranked.results).last().copied());
    let options = Options { metric, budget, rope: args.how.rope };
    let mut document = compose(&ranked.ranking, &ranked.results, &options, &ranked.warnings, material);
    document.method.extend(ranked.over_budgets);
    let text = match page {
        Page::Html => report::html(&document),
        Page::Md => report::markdown(&document),
    };
    let Some(path) = &args.output else { return print(&text) };
    Output::file(path)?.write_whole(text.as_bytes())?;
    if !global.quiet {
        say(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

/// The form that is asked for, or that the file's name says.
fn page(args: &Report) -> Result<Page, Failure> {
    let named = args.output.as_deref().and_then(Path::extension).and_then(|end| end.to_str());
    match (args.format, named) {
        (Some(page), _) => Ok(page),
        (None, Some("md" | "markdown")) => Ok(Page::Md),
        (None, Some("html" | "htm") | None) => Ok(Page::Html),
        (None, Some(other)) => Err(Failure::usage(format_args!(
            "a report ends in .html or .md, not .{other}; --format says which one is meant"
        ))),
    }
}

/// What a page shows besides the ranking.
async fn material(
    reader: &mut Reader,
    sweep: &str,
    ranked: &Ranked,
    global: &Global,
) -> Result<Material, Failure> {
    let purpose = match ranked.ranking.protocol {
        Protocol::CrossFitted => Purpose::All,
        Protocol::Decided => Purpose::Decide,
        Protocol::Tuning => Purpose::Tune,
    };
    let mut runs = Vec::new();
    let mut axes = BTreeMap::new();
    for line in &ranked.ranking.lines {
        let of_line = |row: &&RunRow| row.schedule == line.schedule && row.config_id == line.config_id;
        let judging = ranked.rows.iter().zip(&ranked.results).filter(|(_, result)| result.purpose == purpose);
        let mut ids: Vec<&str> =
            judging.map(|(row, _)| row).filter(of_line).map(|row| row.trial_id.as_str()).collect();
        ids.dedup();
        let mut steps = Vec::new();
        for id in ids.iter().take(MOST_RUNS) {
            let rows = reader.steps(id).await?;
            if rows.is_empty() {
                continue;
            }
            steps.push(
                rows.iter()
                    .map(|row| Step {
                        step: row.step,
                        lr: row.lr,
                        train_loss: row.train_loss,
                        valid_loss: row.valid_loss,
                    })
                    .collect(),
            );
        }
        if let Some(id) = ids.first()
            && let Some(trial) = reader.trial(id).await?
        {
            axes.insert(line.config_id.clone(), trial.axes);
        }
        runs.push((line.schedule.clone(), steps));
    }
    let store = if global.store == Path::new("runs") {
        String::new()
    } else {
        format!(" --store {}", crate::verb::run::quoted(&global.store.display().to_string()))
    };
    let quoted = crate::verb::run::quoted(sweep);
    let reproduce = [
        (format!("sweep{store} rank {quoted}"), "The ranking in the terminal; --format json for programs:"),
        (format!("sweep{store} reproduce best --sweep {quoted}"), "The best run again, every bit compared:"),
    ];
    Ok(Material {
        sweep: sweep.to_owned(),
        file_text: reader.file_text(sweep).await?,
        generated_by: format!("sweep {}", env!("CARGO_PKG_VERSION")),
        reproduce: reproduce.map(|(command, what)| (command, what.to_owned())).to_vec(),
        environment: reader.environments(sweep).await?.iter().flat_map(environment).collect(),
        axes,
        runs,
    })
}

/// An environment in words.
fn environment((environment, trials): &(store::Environment, i64)) -> Vec<(String, String)> {
    let plural = if *trials == 1 { "" } else { "s" };
    let commit = if environment.git_commit.is_empty() {
        String::new()
    } else {
        format!(" ({})", environment.git_commit)
    };
    [
        ("trained here", format!("{trials} trial{plural}")),
        ("sweep", format!("{}{commit}", environment.version)),
        ("device", environment.device.clone()),
        ("processor", format!("{}, {} threads", environment.cpu, environment.threads)),
        ("instructions", environment.cpu_features.clone()),
        ("system", environment.os.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
