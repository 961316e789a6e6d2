//! The data of a report: the ranking of a stored sweep, and everything its page and figures show.

use std::collections::BTreeMap;

use report::compose::{Material, Step, compose};
use report::document::Document;
use schedule::problem::counted;
use store::Reader;
use sweep::lookup::{Found, found};
use sweep::ranked::{RankBy, Ranked, ranked};
use sweep::stored::open;
use sweep::wait_for;
use verdict::ranking::{Options, Protocol};
use verdict::results::{Purpose, budgets};

use crate::exit::Failure;
use crate::global::Global;
use crate::input::show_note;
use crate::shell::{quoted, store_option};

/// Curves are drawn from at most this many runs of a schedule: the band of more looks the same.
const MOST_RUNS: usize = 32;

/// The report of a sweep, which is named by `word` (default: the most recent sweep).
pub(crate) fn document(global: &Global, word: Option<&str>, how: &RankBy) -> Result<Document, Failure> {
    let (ranked, material) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let Found { name, note } = found(&mut reader, word, &global.context).await?;
        show_note(note.as_deref(), global);
        let ranked = ranked(&mut reader, &name, how).await?;
        let material = material(&mut reader, &name, &ranked, global).await?;
        Ok::<_, Failure>((ranked, material))
    })?;
    let metric = ranked.ranking.metric.clone();
    let budget = how.budget.or(budgets(&ranked.results).last().copied());
    let options = Options { metric, budget, rope: how.rope };
    let mut document = compose(&ranked.ranking, &ranked.results, &options, &ranked.warnings, material);
    document.method.extend(ranked.over_budgets);
    Ok(document)
}

/// The content of a page other than the ranking.
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
        let judging = ranked.results.iter().map(|run| &run.trial).filter(|trial| {
            trial.purpose == purpose && trial.schedule == line.schedule && trial.config_id == line.config_id
        });
        let mut ids: Vec<&str> = judging.map(|trial| trial.trial_id.as_str()).collect();
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
            axes.insert(line.config_id.clone(), trial.axes.0);
        }
        runs.push((line.schedule.clone(), steps));
    }
    let store = store_option(global);
    let quoted = quoted(sweep);
    let reproduce = [
        (format!("sweep{store} rank {quoted}"), "The ranking in the terminal; --format json for programs:"),
        (
            format!("sweep{store} reproduce best --sweep {quoted}"),
            "Train the best run again and compare every bit:",
        ),
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

/// The rows that describe an environment.
fn environment((environment, trials): &(store::Environment, i64)) -> Vec<(String, String)> {
    let commit = if environment.git_commit.is_empty() {
        String::new()
    } else {
        format!(" ({})", environment.git_commit)
    };
    [
        ("trained here", counted(trials, "trial")),
        ("sweep", format!("{}{commit}", environment.version)),
        ("device", environment.device.clone()),
        ("processor", format!("{}, {} threads", environment.cpu, environment.threads)),
        ("instructions", environment.cpu_features.clone()),
        ("system", environment.os.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
