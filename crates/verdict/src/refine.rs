//! Finds the best lr between those of a grid, where a parabola in log lr is lowest, and how much the grid without it had cost. Pure
//! functions of results; which of these lrs are trained is decided elsewhere.

use spec::protocol::{AddedBy, AddedLr};
use stats::{cross_fit, vertex};

use crate::edges::Edge;
use crate::promote::{best, choosing};
use crate::results::{Grid, RunResult, budgets, grids};

/// The estimate of the best lr of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The lr at which the parabola is lowest.
    pub lr: f64,
    /// How much lower the parabola is there than the mean at the best trained lr, in the metric's unit.
    pub gain: f64,
    /// The best trained lr and its neighbours, lowest first: the parabola goes through their means.
    pub through: [f64; 3],
}

/// Why the best lr can't be estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoMinimum {
    /// No lr has a finite result on every seed.
    NoResults,
    /// There are fewer than three lrs.
    FewLrs(usize),
    /// This best lr is at the edge of the grid.
    Edge(f64, Edge),
    /// Runs at this lr, next to the best one, have no finite result.
    Diverged(f64),
    /// The best lr and its neighbours have the same mean.
    Flat,
}

/// The costs of configs that differ in nothing but their base lr, at one length of the runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// The base lrs, lowest first.
    lrs: Vec<f64>,
    /// `[lr][seed]`; infinite for a run that diverged.
    costs: Vec<Vec<f64>>,
    /// The seeds, which have a result at every lr.
    pub(crate) seeds: Vec<i64>,
    /// Path and value of each other axis.
    pub(crate) axes: Vec<(String, String)>,
}

impl Curve {
    /// The configs with the axes of the best one, on those of these seeds that all of them have. `None` without any result.
    pub(crate) fn of(grid: &Grid<'_>, seeds: &[i64]) -> Option<Self> {
        let axes = &grid.configs.get(best(grid, seeds)?)?.axes;
        let all = grid.losses(seeds);
        let mut own: Vec<(f64, &Vec<Option<f64>>)> = grid
            .configs
            .iter()
            .zip(&all)
            .filter(|(config, _)| config.axes == *axes)
            .map(|(config, costs)| (config.base_lr, costs))
            .collect();
        own.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        own.dedup_by_key(|(lr, _)| *lr);
        let has_all = |seed: usize| own.iter().all(|(_, costs)| costs.get(seed).is_some_and(Option::is_some));
        let complete: Vec<usize> = (0..seeds.len()).filter(|seed| has_all(*seed)).collect();
        let costs = own.iter().map(|(_, costs)| {
            complete.iter().filter_map(|seed| costs.get(*seed).copied().flatten()).collect()
        });
        Some(Self {
            costs: costs.collect(),
            lrs: own.iter().map(|(lr, _)| *lr).collect(),
            seeds: complete.iter().filter_map(|seed| seeds.get(*seed).copied()).collect(),
            axes: axes.clone(),
        })
    }

    /// Mean cost of each lr, in which each seed counts this often.
    fn means(&self, counts: &[u32]) -> Vec<f64> {
        let total: u32 = counts.iter().sum();
        let mean = |costs: &Vec<f64>| {
            let counted = costs.iter().zip(counts).filter(|(_, count)| **count > 0);
            counted.map(|(cost, count)| cost * f64::from(*count)).sum::<f64>() / f64::from(total)
        };
        self.costs.iter().map(mean).collect()
    }

    /// The estimate of the best lr, in which each seed counts this often.
    pub(crate) fn minimum(&self, counts: &[u32]) -> Result<Minimum, NoMinimum> {
        let means = self.means(counts);
        let at = lowest(&means).ok_or(NoMinimum::NoResults)?;
        let lr = self.lrs.get(at).copied().ok_or(NoMinimum::NoResults)?;
        if self.lrs.len() < 3 {
            return Err(NoMinimum::FewLrs(self.lrs.len()));
        }
        let point = |at: usize| Some((*self.lrs.get(at)?, *means.get(at)?));
        let Some(left) = at.checked_sub(1).and_then(point) else {
            return Err(NoMinimum::Edge(lr, Edge::Low));
        };
        let (Some(here), Some(right)) = (point(at), point(at + 1)) else {
            return Err(NoMinimum::Edge(lr, Edge::High));
        };
        let through = [left, here, right];
        if let Some((lr, _)) = through.iter().find(|(_, mean)| !mean.is_finite()) {
            return Err(NoMinimum::Diverged(*lr));
        }
        let found = vertex(through.map(|(lr, mean)| (libm::log(lr), mean))).ok_or(NoMinimum::Flat)?;
        Ok(Minimum { lr: libm::exp(found.x), gain: here.1 - found.y, through: through.map(|(lr, _)| lr) })
    }

    /// Logarithm of the estimate, or of the best trained lr if there is no estimate. `None` without any finite mean.
    pub(crate) fn best_log_lr(&self, counts: &[u32]) -> Option<f64> {
        let lr = match self.minimum(counts) {
            Ok(minimum) => minimum.lr,
            Err(_) => *self.lrs.get(lowest(&self.means(counts))?)?,
        };
        Some(libm::log(lr))
    }

    /// Every seed once.
    pub(crate) fn once(&self) -> Vec<u32> {
        vec![1; self.seeds.len()]
    }

    /// Standard error of the logarithm of the estimate, by leaving out one seed at a time: the jackknife (Efron and Tibshirani 1993,
    /// "An Introduction to the Bootstrap", chapter 11). `None` for a single seed.
    fn error(&self) -> Option<f64> {
        let n = self.seeds.len();
        if n < 2 {
            return None;
        }
        let without = |left_out: usize| {
            let counts: Vec<u32> = (0..n).map(|seed| u32::from(seed != left_out)).collect();
            self.best_log_lr(&counts)
        };
        let all: Vec<f64> = (0..n).map(without).collect::<Option<_>>()?;
        let mean = all.iter().sum::<f64>() / n as f64;
        let squares: f64 = all.iter().map(|x| (x - mean).powi(2)).sum();
        Some((squares * (n - 1) as f64 / n as f64).sqrt())
    }
}

/// Index of the lowest finite mean, the first one of equal ones.
fn lowest(means: &[f64]) -> Option<usize> {
    let finite = means.iter().enumerate().filter(|(_, mean)| mean.is_finite());
    finite.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at)
}

/// A base lr between those of a grid, to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    /// The lr, rounded to four significant digits.
    pub added: AddedLr,
    /// The estimate that it is rounded from.
    pub minimum: Minimum,
}

/// Why no lr is added between those of a grid.
#[derive(Debug, Clone, PartialEq)]
pub enum Unrefined {
    /// There is no estimate of the best lr.
    NoMinimum(NoMinimum),
    /// The estimate is too near to a trained lr to be another one.
    Near {
        /// The estimate.
        lr: f64,
        /// The trained lr.
        to: f64,
        /// Standard error of the estimate's logarithm, if it is larger than [`NEAREST`].
        error: Option<f64>,
    },
    /// This many lrs were added already, and no more are allowed.
    Limit(u64),
}

/// The search of one schedule at one length of its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// The schedule.
    pub schedule: String,
    /// Length of its runs in steps.
    pub steps: u64,
    /// How many lrs this search has added before.
    pub times: u64,
    /// The lr to train next, or why the search has ended.
    pub found: Result<Refinement, Unrefined>,
}

/// Lrs whose logarithms differ by less than this are the same for the search.
pub const NEAREST: f64 = 0.02;

/// The next lr between those of each grid, by the choosing seeds. `added` are the lrs that were added so far, of which `limit` for each
/// grid may be refinements.
pub fn refinements(results: &[RunResult], added: &[AddedLr], limit: u64) -> Vec<Searched> {
    let seeds = choosing(results);
    let mut all = Vec::new();
    for steps in budgets(results) {
        for grid in grids(results, steps) {
            let (schedule, steps) = (grid.schedule.to_owned(), steps.unsigned_abs());
            let own = |lr: &&AddedLr| is_refined(lr, &schedule, steps);
            let times = added.iter().filter(own).count() as u64;
            let found = refinement(&grid, steps, &seeds);
            let found = if times < limit || found.is_err() { found } else { Err(Unrefined::Limit(limit)) };
            all.push(Searched { schedule, steps, times, found });
        }
    }
    all
}

fn is_refined(added: &AddedLr, schedule: &str, steps: u64) -> bool {
    added.by == AddedBy::Refine && added.schedule == schedule && added.steps == steps
}

fn refinement(grid: &Grid<'_>, steps: u64, seeds: &[i64]) -> Result<Refinement, Unrefined> {
    let curve = Curve::of(grid, seeds).ok_or(Unrefined::NoMinimum(NoMinimum::NoResults))?;
    let minimum = curve.minimum(&curve.once()).map_err(Unrefined::NoMinimum)?;
    let lr = minimum.lr;
    let distance = |trained: &f64| (libm::log(*trained) - libm::log(lr)).abs();
    let nearest = curve.lrs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let error = curve.error().filter(|error| *error > NEAREST);
    if let Some(to) = nearest.filter(|to| distance(to) < error.unwrap_or(NEAREST)) {
        return Err(Unrefined::Near { lr, to: *to, error });
    }
    // The id of a trial depends on every digit of its lr; these digits are the same on every machine.
    let base_lr: f64 = format!("{lr:.3e}").parse().unwrap_or(lr);
    let added = AddedLr { by: AddedBy::Refine, schedule: grid.schedule.to_owned(), steps, base_lr };
    Ok(Refinement { added, minimum })
}

/// The cost of a grid for a schedule that also got lrs between those of the grid, on the choosing seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct GridCost {
    /// The schedule.
    pub schedule: String,
    /// Length of its runs in steps.
    pub steps: u64,
    /// Number of lrs that were added between those of its grid.
    pub refined: usize,
    /// The best lr without them, and the mean of its runs in the metric's unit.
    pub grid: (f64, f64),
    /// The same with them.
    pub best: (f64, f64),
}

/// The cost of each grid that has refined lrs. `added` are all lrs that were added.
pub fn grid_costs(results: &[RunResult], added: &[AddedLr]) -> Vec<GridCost> {
    let seeds = choosing(results);
    let mut all = Vec::new();
    for steps in budgets(results) {
        for grid in grids(results, steps) {
            all.extend(grid_cost(&grid, steps.unsigned_abs(), &seeds, added));
        }
    }
    all
}

fn grid_cost(grid: &Grid<'_>, steps: u64, seeds: &[i64], added: &[AddedLr]) -> Option<GridCost> {
    let own: Vec<f64> =
        added.iter().filter(|lr| is_refined(lr, grid.schedule, steps)).map(|lr| lr.base_lr).collect();
    let (losses, values) = (grid.losses(seeds), grid.values(seeds));
    let best_of = |is_candidate: &dyn Fn(f64) -> bool| {
        let candidates: Vec<usize> = (0..grid.configs.len())
            .filter(|at| grid.configs.get(*at).is_some_and(|config| is_candidate(config.base_lr)))
            .collect();
        let of: Vec<Vec<Option<f64>>> = candidates.iter().filter_map(|at| losses.get(*at).cloned()).collect();
        let at = *candidates.get(cross_fit(&of, &of)?.config)?;
        let values: Vec<f64> = values.get(at)?.iter().copied().collect::<Option<_>>()?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        mean.is_finite().then_some((grid.configs.get(at)?.base_lr, mean))
    };
    let schedule = grid.schedule.to_owned();
    let is_in_grid = |lr: f64| !own.contains(&lr);
    let costs = (!own.is_empty()).then(|| Some((best_of(&is_in_grid)?, best_of(&|_| true)?)))??;
    Some(GridCost { schedule, steps, refined: own.len(), grid: costs.0, best: costs.1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::tests::run;
    use crate::results::{Purpose, RunState};

    /// Costs with their minimum at lr `best`, and a seed effect that all lrs share.
    fn results(lrs: &[f64], best: f64, seeds: i64) -> Vec<RunResult> {
        let mut all = Vec::new();
        for seed in 0..seeds {
            for lr in lrs {
                let cost = 1.0 + (lr / best).ln().powi(2) + 0.1 * seed as f64;
                let mut result = run("a", *lr, seed, RunState::Done(cost));
                result.trial.purpose = Purpose::Tune;
                all.push(result);
            }
        }
        all
    }

    fn search(results: &[RunResult], added: &[AddedLr]) -> Result<Refinement, Unrefined> {
        refinements(results, added, 2).remove(0).found
    }

    fn added(base_lr: f64) -> AddedLr {
        AddedLr { by: AddedBy::Refine, schedule: "a".to_owned(), steps: 100, base_lr }
    }

    #[test]
    fn the_minimum_of_a_parabola_is_found_in_four_digits() {
        let found = search(&results(&[0.01, 0.1, 0.3, 1.0], 0.123_456, 3), &[]).expect("a minimum");
        assert_eq!(found.added, added(0.1235));
        assert_eq!(found.minimum.through, [0.01, 0.1, 0.3]);
        let expected = (0.1_f64 / 0.123_456).ln().powi(2);
        assert!((found.minimum.gain - expected).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn nothing_is_added_without_a_minimum_inside_the_grid() {
        let refused = |results: &[RunResult]| match search(results, &[]) {
            Err(Unrefined::NoMinimum(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&results(&[0.1, 0.2], 0.15, 2)), NoMinimum::FewLrs(2));
        assert_eq!(refused(&results(&[0.1, 0.2, 0.4], 9.0, 2)), NoMinimum::Edge(0.4, Edge::High));
        assert_eq!(refused(&results(&[0.1, 0.2, 0.4], 0.01, 2)), NoMinimum::Edge(0.1, Edge::Low));
        let mut diverged = results(&[0.1, 0.2, 0.4], 0.2, 2);
        for run in diverged.iter_mut().filter(|run| run.trial.base_lr == 0.4) {
            run.state = RunState::Diverged;
        }
        assert_eq!(refused(&diverged), NoMinimum::Diverged(0.4));
        let mut flat = results(&[0.1, 0.2, 0.4], 0.2, 2);
        flat.iter_mut().for_each(|run| run.state = RunState::Done(1.0));
        // The first one of equal means is the best, which is at the edge.
        assert_eq!(refused(&flat), NoMinimum::Edge(0.1, Edge::Low));
        diverged.iter_mut().for_each(|run| run.state = RunState::Diverged);
        assert_eq!(refused(&diverged), NoMinimum::NoResults);
    }

    #[test]
    fn the_search_ends_at_its_limit_and_at_a_trained_lr() {
        let all = results(&[0.01, 0.1, 0.3, 1.0], 0.123_456, 3);
        let ended = search(&all, &[added(0.5), added(0.6)]);
        assert_eq!(ended, Err(Unrefined::Limit(2)));
        let near = search(&results(&[0.01, 0.1235, 0.3], 0.123_456, 3), &[]);
        assert!(matches!(near, Err(Unrefined::Near { to: 0.1235, error: None, .. })), "{near:?}");
        // Each seed has another best lr: the mean can't place it between 0.1 and 0.2.
        let mut noisy = results(&[0.05, 0.1, 0.2], 0.11, 2);
        for run in &mut noisy {
            let best = if run.trial.seed == 0 { 0.07 } else { 0.17 };
            run.state = RunState::Done((run.trial.base_lr / best).ln().powi(2));
        }
        let near = search(&noisy, &[]);
        assert!(matches!(near, Err(Unrefined::Near { to: 0.1, error: Some(_), .. })), "{near:?}");
    }

    #[test]
    fn the_cost_of_the_grid_compares_its_best_lr_with_the_best_of_all() {
        let all = results(&[0.01, 0.1, 0.1235, 0.3], 0.123_456, 2);
        let costs = grid_costs(&all, &[added(0.1235)]);
        let [cost] = costs.as_slice() else { panic!("{costs:?}") };
        assert_eq!((cost.refined, cost.grid.0, cost.best.0), (1, 0.1, 0.1235));
        let lost = (0.1_f64 / 0.123_456).ln().powi(2);
        assert!((cost.grid.1 - cost.best.1 - lost).abs() < 1e-6, "{cost:?}");
        assert_eq!(grid_costs(&all, &[]), []);
        let extended = AddedLr { by: AddedBy::Extend, ..added(0.1235) };
        assert_eq!(grid_costs(&all, &[extended]), []);
    }

    #[test]
    fn only_configs_with_the_axes_of_the_best_one_are_fitted() {
        let mut all = results(&[0.05, 0.1, 0.2], 0.12, 2);
        let mut other = results(&[0.05, 0.1, 0.2], 0.06, 2);
        for run in &mut other {
            run.trial.config_id.push('o');
            run.trial.axes.0 = vec![("schedule.to".to_owned(), "0".to_owned())];
            run.state = RunState::Done(run.loss().expect("a loss") + 5.0);
        }
        let before = search(&all, &[]);
        all.extend(other);
        assert_eq!(search(&all, &[]), before);
    }
}
