//! Compares two schedules: the verdict of the ranking on this pair, and its details.

use std::collections::BTreeMap;

use spec::looks::Looks;
use stats::{detectable, pairs_needed, wilson};

use crate::cost::{Expected, expected_runs};
use crate::family::Verdict;
use crate::pair::{ALPHA, Pair};
use crate::ranking::{Line, Ranking};
use crate::results::{Grid, Purpose, RunResult, grids, seeds};
use crate::score::Direction;
use crate::warnings::seeds_to_decide;

/// Schedule `a` compared with schedule `b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The two schedules.
    pub names: [String; 2],
    /// The sweep's ranking with only their two lines.
    pub ranking: Ranking,
    /// Number of pairs that the sweep's ranking tests together.
    pub pairs_tested: usize,
    /// The ranking's verdict on `a` against `b`.
    pub verdict: Verdict,
    /// `a` against `b`: the mean of a minus the mean of b, its simultaneous 95 % interval, and its tests.
    pub versus: Pair,
    /// Both at each seed.
    pub by_seed: Vec<AtSeed>,
    /// Pearson's correlation of their values over seeds: the common noise that pairing removes.
    pub correlation: Option<f64>,
    /// Variance of the paired difference / variance of the difference of unpaired runs.
    pub variance_ratio: Option<f64>,
    /// 95 % interval of the fraction of seeds on which a wins, from 0 to 1.
    pub win_share: Option<(f64, f64)>,
    /// The smallest true difference that this number of seeds finds with a power of 80 %.
    pub detectable: Option<f64>,
    /// Number of seeds that find a difference of the observed size with a power of 80 %; at least what the exact test needs.
    pub seeds_needed: Option<usize>,
    /// Both at each base lr that both have.
    pub by_lr: Vec<AtLr>,
    /// How stable the choice of lrs is.
    pub retuned: Option<Retuned>,
    /// The expected number of runs of such a comparison of these two schedules only, if the sweep has looks at its deciding seeds.
    pub expected: Vec<Expected>,
}

/// Both schedules at one seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtSeed {
    /// The seed.
    pub seed: i64,
    /// The value of a; infinite if its run diverged.
    pub a: Option<f64>,
    /// The value of b.
    pub b: Option<f64>,
}

/// Both schedules at one base lr, over the seeds that both have there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtLr {
    /// The base lr.
    pub base_lr: f64,
    /// Mean of a.
    pub a: f64,
    /// Mean of b.
    pub b: f64,
    /// Number of seeds.
    pub seeds: usize,
}

/// Fractions of bootstrap draws: the choosing seeds are resampled, and every lr is chosen again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retuned {
    /// Draws in which a is ahead.
    pub ahead: f64,
    /// Draws in which a keeps its lr.
    pub keeps_a: f64,
    /// Draws in which b keeps its lr.
    pub keeps_b: f64,
}

/// The largest number of seeds to report as needed.
const MAX_SEEDS: usize = 10_000;

/// Compares two schedules of a ranking of `results`; `None` if one of them is missing.
pub fn compare(ranking: &Ranking, results: &[RunResult], a: &str, b: &str) -> Option<Comparison> {
    let (at_a, at_b) = (ranking.position(a)?, ranking.position(b)?);
    let (ours, theirs) = (ranking.lines.get(at_a)?, ranking.lines.get(at_b)?);
    let versus = ranking.family.pair(at_a, at_b);
    let both: Vec<RunResult> =
        results.iter().filter(|run| run.trial.schedule == a || run.trial.schedule == b).cloned().collect();
    let (correlation, variance_ratio) = pairing(ours, theirs, versus.sd).unzip();
    // The choice of configs adds to the error, and so to the number of seeds that find a difference.
    // Both are for a number of seeds that is fixed before: e-values have the expected number of runs instead.
    let is_fixed = !ranking.looks.as_ref().is_some_and(Looks::is_any_time);
    let noise = versus
        .error
        .filter(|_| is_fixed)
        .map(|error| error * (versus.n as f64).sqrt())
        .filter(|sd| *sd > 0.0);
    let level = ranking.family.level;
    let detectable = noise.and_then(|sd| Some(detectable(versus.n, level, 0.8)? * sd));
    let undecided = versus.p.is_none_or(|p| p >= ALPHA);
    let seeds_needed = noise
        .zip(versus.diff.filter(|_| undecided))
        .and_then(|(sd, diff)| pairs_needed(diff / sd, level, 0.8, MAX_SEEDS))
        .map(|seeds| seeds.max(seeds_to_decide()));
    let seeds = ours.runs.iter().zip(ours.judged.iter().zip(&theirs.judged));
    let direction = ranking.metric.direction;
    Some(Comparison {
        names: [a.to_owned(), b.to_owned()],
        ranking: ranking.select(&[at_a, at_b]),
        pairs_tested: ranking.family.pairs_tested(),
        verdict: ranking.family.verdict(at_a, at_b),
        by_seed: seeds.map(|((seed, _), (a, b))| AtSeed { seed: *seed, a: *a, b: *b }).collect(),
        correlation,
        variance_ratio,
        win_share: wilson(versus.wins, versus.n, 0.95),
        detectable,
        seeds_needed,
        by_lr: by_lr(&both, a, b, ranking.budget, direction),
        retuned: retuned(&both, ours, theirs, ranking.budget),
        expected: ranking.looks.as_ref().map(|looks| expected_runs(2, looks)).unwrap_or_default(),
        versus,
    })
}

/// Correlation of two schedules over seeds, and the variance of their paired difference / that of unpaired runs.
fn pairing(a: &Line, b: &Line, sd: Option<f64>) -> Option<(f64, f64)> {
    let both: Vec<(f64, f64)> =
        a.judged.iter().zip(&b.judged).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let (left, right): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
    let (a, b, d) = (stats::summary(&left)?.sd?, stats::summary(&right)?.sd?, sd?);
    let unpaired = a * a + b * b;
    (a > 0.0 && b > 0.0 && unpaired.is_finite())
        .then(|| (((unpaired - d * d) / (2.0 * a * b)).clamp(-1.0, 1.0), d * d / unpaired))
}

/// See [`Retuned`]; uses the runs that choose.
fn retuned(results: &[RunResult], a: &Line, b: &Line, steps: i64) -> Option<Retuned> {
    let seeds = seeds(results, &[Purpose::All, Purpose::Tune]);
    let grids = grids(results, steps);
    let grid = |line: &Line| grids.iter().find(|grid| grid.schedule == line.schedule);
    let (ours, theirs) = (grid(a)?, grid(b)?);
    let found = stats::retune(&ours.losses(&seeds), &theirs.losses(&seeds))?;
    let kept = |grid: &Grid<'_>, line: &Line, shares: &[f64]| -> f64 {
        let same = grid.configs.iter().zip(shares).filter(|(config, _)| config.base_lr == line.base_lr);
        same.map(|(_, share)| share).sum()
    };
    Some(Retuned {
        ahead: found.ahead,
        keeps_a: kept(ours, a, &found.ours),
        keeps_b: kept(theirs, b, &found.theirs),
    })
}

/// Means of both at each base lr for which both have finished runs, lowest first. Each is at its best variant there, over the
/// seeds that both have: a chosen lr has more seeds than the others.
fn by_lr(results: &[RunResult], a: &str, b: &str, steps: i64, direction: Direction) -> Vec<AtLr> {
    let grids = grids(results, steps);
    let best = |name: &str, lr: f64| -> Option<BTreeMap<i64, f64>> {
        let grid = grids.iter().find(|grid| grid.schedule == name)?;
        let at_lr = grid.configs.iter().filter(|config| config.base_lr == lr);
        let ended =
            at_lr.filter(|config| config.runs.iter().all(|run| run.value().is_some_and(f64::is_finite)));
        let by_seed = ended.map(|config| -> BTreeMap<i64, f64> {
            config.runs.iter().filter_map(|run| Some((run.trial.seed, run.value()?))).collect()
        });
        let mean = |values: &BTreeMap<i64, f64>| values.values().sum::<f64>() / values.len() as f64;
        by_seed.filter(|values| !values.is_empty()).min_by(|x, y| direction.compare(mean(x), mean(y)))
    };
    let lrs = grids.iter().find(|grid| grid.schedule == a).map(|grid| grid.lrs()).unwrap_or_default();
    let at = |lr: f64| {
        let (ours, theirs) = (best(a, lr)?, best(b, lr)?);
        let both: Vec<(f64, f64)> =
            ours.iter().filter_map(|(seed, a)| Some((*a, *theirs.get(seed)?))).collect();
        let (ours, theirs): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        let (a, b) = (stats::summary(&ours)?.mean, stats::summary(&theirs)?.mean);
        Some(AtLr { base_lr: lr, a, b, seeds: ours.len() })
    };
    lrs.into_iter().filter_map(at).collect()
}

impl Comparison {
    /// The line of `a` in the ranking.
    pub fn line_a(&self) -> Option<&Line> {
        self.line(&self.names[0])
    }

    /// The line of `b`.
    pub fn line_b(&self) -> Option<&Line> {
        self.line(&self.names[1])
    }

    fn line(&self, name: &str) -> Option<&Line> {
        self.ranking.lines.iter().find(|line| line.schedule == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::tests::run;
    use crate::ranking::{Options, rank};
    use crate::results::RunState;
    use crate::warnings::{History, warnings};

    fn compare_in(results: &[RunResult], a: &str, b: &str, options: &Options) -> Option<Comparison> {
        compare(&rank(results, options), results, a, b)
    }

    #[test]
    fn exchanging_the_schedules_reverses_the_verdict() {
        let noise = [0.01, -0.02, 0.03, 0.0, 0.02, -0.01, 0.015, -0.005];
        let mut results = Vec::new();
        for (seed, noise) in (0..8).zip(noise) {
            results.push(run("a", 0.1, seed, RunState::Done(1.0 + seed as f64)));
            results.push(run("b", 0.1, seed, RunState::Done(1.5 + seed as f64 + noise)));
        }
        let options = Options::default();
        let both = |a, b| compare_in(&results, a, b, &options).expect("both exist");
        let (ab, ba) = (both("a", "b"), both("b", "a"));
        assert_eq!((ab.verdict, ba.verdict), (Verdict::Better, Verdict::Worse));
        assert_eq!((ab.versus.wins, ba.versus.wins), (8.0, 0.0));
        let diff = |comparison: &Comparison| comparison.versus.diff.expect("eight");
        assert!((diff(&ab) + 0.505).abs() < 1e-12 && (diff(&ba) - 0.505).abs() < 1e-12);
        assert!(ab.correlation.expect("eight") > 0.99 && ab.variance_ratio.expect("eight") < 0.01);
        assert_eq!(compare_in(&results, "a", "c", &options), None);
        let rope = Options { rope: Some(0.6), ..Options::default() };
        assert_eq!(compare_in(&results, "a", "b", &rope).expect("both exist").verdict, Verdict::Equivalent);
    }

    #[test]
    fn a_comparison_has_the_p_value_interval_and_verdict_of_the_ranking() {
        let noise = [0.01, -0.02, 0.03, 0.0, 0.02, -0.01, 0.015, -0.005];
        let mut results = Vec::new();
        for (name, mean, shift) in [("a", 1.0, 0), ("b", 1.02, 3), ("c", 1.05, 5), ("d", 1.03, 1)] {
            for seed in 0..8 {
                let state = RunState::Done(mean + 2.0 * noise[(3 * seed + shift) % 8]);
                results.push(run(name, 0.1, seed as i64, state));
            }
        }
        let options = Options::default();
        let ranking = rank(&results, &options);
        for (at, line) in ranking.lines.iter().enumerate().skip(1) {
            let first = &ranking.lines[0].schedule;
            let found = compare(&ranking, &results, &line.schedule, first).expect("both exist");
            assert_eq!((&found.versus, found.verdict), (&line.versus, line.verdict));
            assert_eq!(found.versus, ranking.family.pair(at, 0));
            assert_eq!(found.pairs_tested, 6);
        }
    }

    #[test]
    fn seeds_needed_are_never_fewer_than_the_exact_test_needs() {
        let state =
            |name, seed| RunState::Done(if name == "a" { 1.0 } else { 9.0 } + 0.01 * f64::from(seed * seed));
        let seeds = (0..3).flat_map(|seed| {
            ["a", "b"]
                .map(|name| run(name, 0.1, i64::from(seed), state(name, if name == "a" { 0 } else { seed })))
        });
        let found =
            compare_in(&seeds.collect::<Vec<_>>(), "a", "b", &Options::default()).expect("both exist");
        assert_eq!(found.seeds_needed, Some(6));
    }

    #[test]
    fn equal_runs_have_the_verdict_same_and_a_warning() {
        let results: Vec<RunResult> = (0..8)
            .flat_map(|seed| ["a", "b"].map(|name| run(name, 0.1, seed, RunState::Done(1.0 + seed as f64))))
            .chain((0..8).map(|seed| run("c", 0.1, seed, RunState::Done(1.1 + seed as f64))))
            .collect();
        let options = Options::default();
        let both = compare_in(&results, "a", "b", &options).expect("both exist");
        assert_eq!(both.verdict, Verdict::Same);
        let warned = warnings(&rank(&results, &options), &results, &options, &History::default());
        let same: Vec<_> = warned.iter().filter(|warning| warning.kind.name() == "same_runs").collect();
        assert_eq!(same.len(), 1);
        assert_eq!(same[0].schedules, ["a", "b"]);
    }

    /// A chosen lr has more seeds than the others.
    #[test]
    fn lrs_are_compared_on_the_seeds_that_both_schedules_have() {
        let mut results = Vec::new();
        for seed in 0..8 {
            results.push(run("a", 0.1, seed, RunState::Done(1.0 + seed as f64)));
            results.push(run("b", 0.3, seed, RunState::Done(2.0 + seed as f64)));
        }
        for seed in 0..2 {
            results.push(run("a", 0.3, seed, RunState::Done(3.0 + seed as f64)));
            results.push(run("b", 0.1, seed, RunState::Done(4.0 + seed as f64)));
        }
        let found = compare_in(&results, "a", "b", &Options::default()).expect("both exist");
        let at = |base_lr, a, b| AtLr { base_lr, a, b, seeds: 2 };
        assert_eq!(found.by_lr, [at(0.1, 1.5, 4.5), at(0.3, 3.5, 2.5)]);
    }

    #[test]
    fn too_few_seeds_leave_a_clear_difference_undecided() {
        let state = |name| RunState::Done(if name == "a" { 1.0 } else { 2.0 });
        let seeds = (0..3).flat_map(|seed| ["a", "b"].map(|name| run(name, 0.1, seed, state(name))));
        let results: Vec<RunResult> = seeds.collect();
        let comparison = compare_in(&results, "b", "a", &Options::default()).expect("both exist");
        assert_eq!(comparison.verdict, Verdict::Undecided);
        assert!(comparison.versus.p_floor.is_some_and(|floor| floor >= ALPHA));
    }
}
