//! Decides what a sweep trains next, as a pure function of its results: grids whose best lr is at the edge are extended, and
//! the config that the tuning seeds choose for each schedule is trained on the deciding seeds.

use spec::protocol::{AddedBy, AddedLr, Chosen};
use stats::cross_fit;

use crate::edges::{Edge, edge};
use crate::results::{Grid, Purpose, RunResult, budgets, grids, seeds};

/// A base lr to add to the grid of a schedule whose best lr is at the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// The lr beyond that edge, by the ratio of the two lrs next to it.
    pub added: AddedLr,
    /// The best lr so far.
    pub from: f64,
    /// The edge.
    pub edge: Edge,
}

/// The seeds that choose configs.
pub(crate) fn choosing(results: &[RunResult]) -> Vec<i64> {
    seeds(results, &[Purpose::All, Purpose::Tune])
}

/// Index of the config that these seeds choose, by the rule of the ranking.
pub(crate) fn best(grid: &Grid<'_>, seeds: &[i64]) -> Option<usize> {
    let losses = grid.losses(seeds);
    cross_fit(&losses, &losses).map(|choice| choice.config)
}

/// The extensions of the next round: for each schedule and budget whose best lr is at the edge of its grid, one lr beyond.
pub fn extensions(results: &[RunResult]) -> Vec<Extension> {
    let seeds = choosing(results);
    let all = budgets(results);
    let grids =
        all.iter().flat_map(|steps| grids(results, *steps).into_iter().map(move |grid| (*steps, grid)));
    grids.filter_map(|(steps, grid)| extension(&grid, steps, &seeds)).collect()
}

fn extension(grid: &Grid<'_>, steps: i64, seeds: &[i64]) -> Option<Extension> {
    let lrs = grid.lrs();
    let best = grid.configs.get(best(grid, seeds)?)?.base_lr;
    let edge = edge(best, &lrs)?;
    let to = match (edge, lrs.as_slice()) {
        (Edge::Low, [lowest, next, ..]) => lowest / (next / lowest),
        (Edge::High, [.., next, highest]) => highest * (highest / next),
        _ => return None,
    };
    // Rounds 0.3 * (0.3 / 0.1) = 0.8999999999999999 to 0.9.
    let to: f64 = format!("{to:.11e}").parse().ok()?;
    // An update uses single precision: two lrs that are equal as f32 are one trial.
    let exists = lrs.iter().any(|lr| *lr as f32 == to as f32);
    let fits = to.is_finite() && to > 0.0 && !exists;
    let (schedule, steps) = (grid.schedule.to_owned(), steps.unsigned_abs());
    let added = AddedLr { by: AddedBy::Extend, schedule, steps, base_lr: to };
    fits.then_some(Extension { added, from: best, edge })
}

/// The best config of each schedule and budget, by the tuning seeds.
pub fn promotions(results: &[RunResult]) -> Vec<Chosen> {
    let seeds = choosing(results);
    let mut all = Vec::new();
    for steps in budgets(results) {
        for grid in grids(results, steps) {
            let best = best(&grid, &seeds).and_then(|config| grid.configs.get(config));
            all.extend(best.map(|best| Chosen {
                schedule: grid.schedule.to_owned(),
                steps: steps.unsigned_abs(),
                config_id: best.id.to_owned(),
                base_lr: best.base_lr,
            }));
        }
    }
    all
}

/// Configs that were chosen, the best first by the choosing seeds: fewer diverged runs, then a lower mean.
pub fn best_first(results: &[RunResult], mut chosen: Vec<Chosen>) -> Vec<Chosen> {
    let seeds = choosing(results);
    let key = |chosen: &Chosen| {
        let own = |run: &&RunResult| {
            run.trial.schedule == chosen.schedule
                && run.trial.config_id == chosen.config_id
                && seeds.contains(&run.trial.seed)
        };
        let losses: Vec<f64> = results.iter().filter(own).filter_map(RunResult::loss).collect();
        let finite: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        (losses.len() - finite.len(), if mean.is_nan() { f64::INFINITY } else { mean })
    };
    chosen.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    chosen
}
