//! The document of a report: the ranking of a stored sweep, and what its page and figures show.

use std::collections::BTreeMap;

use report::compose::{Material, Step, compose};
use report::document::Document;
use schedule::problem::counted;
use store::Reader;
use sweep::ranked::{RankBy, Ranked};
use sweep::shell::{quoted, store_option};
use sweep::{Context, Error};
use verdict::ranking::Options;
use verdict::results::budgets;

/// Curves are drawn from at most this many runs of a schedule: the band of more looks the same.
pub(crate) const MOST_RUNS: usize = 32;

/// The options of a ranking that was made.
pub(crate) fn options(ranked: &Ranked, how: &RankBy) -> Options {
    let budget = how.budget.or(budgets(&ranked.results).last().copied());
    let (metric, looks) = (ranked.ranking.metric.clone(), ranked.ranking.looks.clone());
    Options { metric, budget, rope: how.rope, looks }
}

/// The document of a ranking. Its curves are made of `runs`: the steps of the runs that judge, by schedule.
pub(crate) fn document(
    ranked: &Ranked,
    how: &RankBy,
    material: Material,
    runs: Vec<(String, Vec<Vec<Step>>)>,
) -> Document {
    let options = options(ranked, how);
    let material = Material { runs, ..material };
    let mut document = compose(&ranked.ranking, &ranked.results, &options, &ranked.warnings, material);
    document.method.extend(ranked.over_budgets.clone());
    document.method.extend(report::refine::note(&ranked.grid_costs, ranked.ranking.budget));
    document
}

/// The steps of the runs that judge each schedule, in the order of the ranking.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn runs(
    reader: &mut Reader,
    ranked: &Ranked,
) -> Result<Vec<(String, Vec<Vec<Step>>)>, Error> {
    let mut runs = Vec::new();
    for line in &ranked.ranking.lines {
        let mut steps = Vec::new();
        for run in ranked.ranking.judging(&ranked.results, line).into_iter().take(MOST_RUNS) {
            let rows = reader.steps(&run.trial.trial_id).await?;
            if rows.is_empty() {
                continue;
            }
            let measured: Option<BTreeMap<i64, f64>> = match ranked.metric.reported() {
                Some(name) => {
                    Some(reader.measured_of(&run.trial.trial_id, name).await?.into_iter().collect())
                }
                None => None,
            };
            let step = |row: &store::MetricRow| Step {
                step: row.step,
                lr: row.lr,
                train_loss: row.train_loss,
                measured: match &measured {
                    Some(values) => i64::try_from(row.step + 1).ok().and_then(|at| values.get(&at)).copied(),
                    None => row.valid_loss,
                },
            };
            steps.push(rows.iter().map(step).collect());
        }
        runs.push((line.schedule.clone(), steps));
    }
    Ok(runs)
}

/// The content of a page other than the ranking and the curves.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn material(
    reader: &mut Reader,
    sweep: &str,
    ranked: &Ranked,
    context: &Context,
) -> Result<Material, Error> {
    let mut axes = BTreeMap::new();
    for line in &ranked.ranking.lines {
        if let Some(run) = ranked.ranking.judging(&ranked.results, line).first() {
            let own = run.trial.axes.plain().map(|(path, value)| (path.to_owned(), value)).collect();
            axes.insert(line.config_id.clone(), own);
        }
    }
    let store = store_option(&context.store);
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
        metric: ranked.metric.reported().map(str::to_owned),
        runs: Vec::new(),
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
