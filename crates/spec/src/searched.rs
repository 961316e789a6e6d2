//! The shapes of a search as schedules, and their trials. Which shapes to try is decided from results, elsewhere.

use std::sync::Arc;

use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};
use search::{Generation, Proposal, Stage};

use crate::config::fit;
use crate::fitted::Hashed;
use crate::protocol::Decisions;
use crate::sweep_file::Spec;
use crate::trial::{Config, Task};

/// A shape as a schedule, as it can be written into a sweep file. Its highest lr is `1x`.
pub fn schedule_of(proposal: &Proposal) -> Tree {
    let text = |text: String| Tree::new(Value::Text(text));
    let point = |(at, factor): &(f64, f64)| {
        // A position has at most 4 decimals: this removes the rounding noise of the product.
        let percent = (at * 10_000.0).round() / 100.0;
        Tree::new(Value::List(vec![text(format!("{percent}%")), text(format!("{factor}x"))]))
    };
    let entry = |name: &str, value: Tree| (Key { place: Place::default(), name: name.to_owned() }, value);
    Tree::new(Value::Map(vec![
        entry("kind", text("piecewise".to_owned())),
        entry("points", Tree::new(Value::List(proposal.points.iter().map(point).collect()))),
        entry("interp", text("log".to_owned())),
    ]))
}

/// The config of a shape, without a name.
fn config(spec: &Spec, proposal: &Proposal) -> Result<Hashed, Vec<Problem>> {
    let runs = spec.runs();
    match (&spec.search, runs.first()) {
        (Some(search), Some(run)) => {
            search.fitted.config(&run.task, proposal, || fitted(search.place, &run.task, proposal))
        }
        _ => Err(Vec::new()),
    }
}

fn fitted(place: Place, task: &Task, proposal: &Proposal) -> Result<Hashed, Vec<Problem>> {
    let at_section = |mut problem: Problem| {
        (problem.place, problem.path) = (place, "search".to_owned());
        problem
    };
    let written = Arc::new(schedule_of(proposal));
    let mut problems = Vec::new();
    let node = interop::parse(&written, "search", &mut problems);
    let Some(node) = node else {
        return Err(problems.into_iter().map(at_section).collect());
    };
    let (config, hash) = fit("", &node, &written, proposal.base_lr, task)
        .map_err(|found| found.into_iter().map(at_section).collect::<Vec<_>>())?;
    Ok((Arc::new(config), hash))
}

/// Ids of the trials of a generation, by shape and seed.
///
/// # Errors
/// A shape does not fit the run.
pub fn trial_ids(spec: &Spec, generation: &Generation) -> Result<Vec<Vec<String>>, Vec<Problem>> {
    let ids = |proposal: &Proposal| -> Result<Vec<String>, Vec<Problem>> {
        let (_, hash) = config(spec, proposal)?;
        Ok(generation.seeds.iter().map(|seed| crate::id::trial(&hash, *seed)).collect())
    };
    generation.proposals.iter().map(ids).collect()
}

/// Id of the config of a shape.
///
/// # Errors
/// The shape does not fit the run.
pub fn config_of(spec: &Spec, proposal: &Proposal) -> Result<Arc<Config>, Vec<Problem>> {
    config(spec, proposal).map(|(config, _)| config)
}

/// Runs of a search, which choose a shape: a config, its seeds, and the number of rounds of the sweep before them.
pub(crate) struct Runs {
    pub(crate) config: Hashed,
    pub(crate) seeds: Vec<u64>,
    pub(crate) round: usize,
}

/// The runs of all generations so far, each after those of the earlier ones from round `first` on, and the found schedule with the seeds
/// of the last one.
///
/// # Errors
/// A shape does not fit the run.
pub(crate) fn runs(spec: &Spec, decisions: &Decisions, first: usize) -> Result<Vec<Runs>, Vec<Problem>> {
    let Some(search) = &spec.search else { return Ok(Vec::new()) };
    let (mut runs, mut round) = (Vec::new(), first);
    let tried = search.tried();
    for (number, generation) in decisions.generations.iter().enumerate() {
        for (shape, proposal) in generation.proposals.iter().enumerate() {
            let (config, hash) = config(spec, proposal)?;
            // The found schedule is one of the last generation, and has no axes.
            let axes = match generation.stage {
                Stage::Last => Vec::new(),
                _ => vec![
                    ("generation".to_owned(), number.to_string()),
                    ("shape".to_owned(), (shape + 1).to_string()),
                ],
            };
            let config = Config { axes, schedule_name: tried.clone(), ..Config::clone(&config) };
            runs.push(Runs { config: (Arc::new(config), hash), seeds: generation.seeds.clone(), round });
        }
        round += generation.seeds.len();
    }
    if let (Some(found), Some(last)) = (&decisions.found, decisions.generations.last()) {
        let (seeds, round) = (last.seeds.clone(), round - last.seeds.len());
        let (config, hash) = config(spec, found)?;
        let config = Config { schedule_name: search.name.clone(), ..Config::clone(&config) };
        runs.push(Runs { config: (Arc::new(config), hash), seeds, round });
    }
    Ok(runs)
}
