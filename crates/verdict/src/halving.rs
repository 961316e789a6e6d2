//! Successive halving of base lrs, with tuning seeds as the resource (Jamieson and Talwalkar 2016): which lrs of a schedule get more
//! seeds, and which dropped ones are needed after all. The same rule decides in a sweep and is replayed on complete sweeps. It drops lrs,
//! never schedules. Pure functions of results.

use std::cmp::Ordering;

use spec::halving::rungs;
pub use spec::halving::{AtHalving, Fate, Halving};

use crate::audit::{Audit, Trace, evaluation_at};
use crate::promote::choosing;
use crate::results::{Config, Grid, Purpose, RunResult, budgets, grids, seeds};

/// The result of a config or an lr: fewer diverged runs are better, then a lower mean of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score {
    /// Share of the runs that diverged.
    diverged: f64,
    mean: f64,
}

impl Score {
    fn of(losses: impl Iterator<Item = f64>) -> Self {
        let all: Vec<f64> = losses.collect();
        let finite: Vec<f64> = all.iter().copied().filter(|loss| loss.is_finite()).collect();
        let mean =
            if finite.is_empty() { f64::INFINITY } else { finite.iter().sum::<f64>() / finite.len() as f64 };
        let diverged = if all.is_empty() { 1.0 } else { 1.0 - finite.len() as f64 / all.len() as f64 };
        Self { diverged, mean }
    }

    fn compared(&self, other: &Self) -> Ordering {
        self.diverged.total_cmp(&other.diverged).then(self.mean.total_cmp(&other.mean))
    }
}

/// The final losses of a config on these seeds.
fn last(config: &Config<'_>, seeds: &[i64]) -> Score {
    let own = config.runs.iter().filter(|run| seeds.contains(&run.trial.seed));
    Score::of(own.filter_map(|run| run.loss()))
}

/// Index of the best config among those with these lrs, the first one in a tie, and its result.
fn best(grid: &Grid<'_>, lrs: &[f64], score: impl Fn(&Config<'_>) -> Score) -> Option<(usize, Score)> {
    let own = grid.configs.iter().enumerate().filter(|(_, config)| lrs.contains(&config.base_lr));
    own.map(|(i, config)| (i, score(config))).min_by(|(_, a), (_, b)| a.compared(b))
}

/// Which of these lrs, lowest first, get more seeds: the better half, rounded up, and both neighbours of the best one, which show whether it is at an
/// edge and where a parabola is lowest.
fn survive(grid: &Grid<'_>, lrs: &[f64], score: impl Fn(&Config<'_>) -> Score) -> Vec<bool> {
    let scores: Vec<Option<Score>> =
        lrs.iter().map(|lr| best(grid, &[*lr], &score).map(|(_, score)| score)).collect();
    let mut order: Vec<usize> = (0..lrs.len()).collect();
    let of =
        |i: &usize| scores.get(*i).copied().flatten().unwrap_or(Score { diverged: 1.0, mean: f64::INFINITY });
    // The sort is stable: of equal lrs the lowest comes first.
    order.sort_by(|a, b| of(a).compared(&of(b)));
    let better = order.len().div_ceil(2);
    let first = order.first().copied().unwrap_or(0);
    let stays = |i: usize| order.iter().take(better).any(|kept| *kept == i) || i.abs_diff(first) == 1;
    (0..lrs.len()).map(stays).collect()
}

/// The decisions after the first tuning seeds, which all lrs of these results have.
pub fn halve(results: &[RunResult]) -> Halving {
    let seeds = choosing(results);
    let mut outcomes = Vec::new();
    for steps in budgets(results) {
        for grid in grids(results, steps) {
            let lrs = grid.lrs();
            let stays = survive(&grid, &lrs, |config| last(config, &seeds));
            outcomes.extend(lrs.iter().zip(stays).map(|(lr, stays)| AtHalving {
                schedule: grid.schedule.to_owned(),
                steps: steps.unsigned_abs(),
                base_lr: *lr,
                fate: if stays { Fate::Survives } else { Fate::Dropped },
            }));
        }
    }
    Halving { seeds: seeds.len() as u64, outcomes }
}

/// The dropped lrs next to the best one by all tuning seeds. Without them the best lr would seem to be at an edge, or a better one would be missed.
pub fn restore(results: &[RunResult], halvings: &[Halving]) -> Halving {
    let seeds = choosing(results);
    let mut outcomes = Vec::new();
    for steps in budgets(results) {
        for grid in grids(results, steps) {
            let (schedule, steps) = (grid.schedule, steps.unsigned_abs());
            let dropped = dropped(halvings, schedule, steps);
            let missing = missing_neighbours(&grid, &grid.lrs(), &dropped, &seeds);
            outcomes.extend(missing.into_iter().map(|base_lr| AtHalving {
                schedule: schedule.to_owned(),
                steps,
                base_lr,
                fate: Fate::Restored,
            }));
        }
    }
    Halving { seeds: seeds.len() as u64, outcomes }
}

/// The lrs of a schedule that were dropped and not restored.
fn dropped(halvings: &[Halving], schedule: &str, steps: u64) -> Vec<f64> {
    let mut lrs: Vec<f64> = Vec::new();
    let all = halvings.iter().flat_map(|halving| &halving.outcomes);
    for at in all.filter(|at| at.schedule == schedule && at.steps == steps) {
        match at.fate {
            Fate::Dropped => lrs.push(at.base_lr),
            Fate::Restored => lrs.retain(|lr| *lr != at.base_lr),
            Fate::Survives => {}
        }
    }
    lrs
}

/// The dropped lrs that are next to the best of the others.
fn missing_neighbours(grid: &Grid<'_>, trained: &[f64], dropped: &[f64], seeds: &[i64]) -> Vec<f64> {
    let best = best(grid, trained, |config| last(config, seeds)).and_then(|(i, _)| grid.configs.get(i));
    let Some(lr) = best.map(|config| config.base_lr) else { return Vec::new() };
    let all = || trained.iter().chain(dropped).copied();
    let below = all().filter(|other| *other < lr).max_by(f64::total_cmp);
    let above = all().filter(|other| *other > lr).min_by(f64::total_cmp);
    below.into_iter().chain(above).filter(|other| dropped.contains(other)).collect()
}

/// A way to drop lrs.
struct Rule<'a> {
    /// Numbers of seeds after which lrs are dropped.
    rungs: &'a dyn Fn(usize) -> Vec<usize>,
    /// The result of a config on the first seeds, which decides.
    score: &'a dyn Fn(&Config<'_>, &[i64]) -> Score,
    /// Steps that a run of an lr has when the lr is dropped after this number of seeds.
    spent: &'a dyn Fn(usize) -> u64,
}

/// The course of a grid under a rule.
struct Course {
    /// Runs that are not trained to their end.
    stopped: usize,
    runs: usize,
    saved: u64,
    all: u64,
    /// The config that would be chosen, and the one that all seeds choose.
    chosen: (usize, Score),
    full: (usize, Score),
}

fn course(grid: &Grid<'_>, seeds: &[i64], steps: u64, rule: &Rule<'_>) -> Option<Course> {
    let lrs = grid.lrs();
    let mut alive = lrs.clone();
    let mut dropped: Vec<(f64, usize)> = Vec::new();
    for rung in (rule.rungs)(seeds.len()) {
        let first = seeds.get(..rung)?;
        let stays = survive(grid, &alive, |config| (rule.score)(config, first));
        let (kept, gone): (Vec<_>, Vec<_>) = alive.into_iter().zip(stays).partition(|(_, stays)| *stays);
        alive = kept.into_iter().map(|(lr, _)| lr).collect();
        dropped.extend(gone.into_iter().map(|(lr, _)| (lr, rung)));
    }
    loop {
        let others: Vec<f64> = dropped.iter().map(|(lr, _)| *lr).collect();
        let restored = missing_neighbours(grid, &alive, &others, seeds);
        if restored.is_empty() {
            break;
        }
        dropped.retain(|(lr, _)| !restored.contains(lr));
        alive.extend(restored);
    }
    let (mut stopped, mut saved) = (0, 0);
    let all = seeds.len() as u64 * steps;
    for (lr, rung) in &dropped {
        let configs = grid.configs.iter().filter(|config| config.base_lr == *lr).count();
        let spent = (rule.spent)(*rung).min(all);
        saved += configs as u64 * (all - spent);
        stopped += configs * (seeds.len() - usize::try_from(spent / steps.max(1)).unwrap_or(0));
    }
    let score = |config: &Config<'_>| last(config, seeds);
    let configs = grid.configs.len();
    Some(Course {
        stopped,
        runs: configs * seeds.len(),
        saved,
        all: configs as u64 * all,
        chosen: best(grid, &alive, score)?,
        full: best(grid, &lrs, score)?,
    })
}

/// The beginning of the names of these rules.
pub const LR_HALVING: &str = "lr halving";

/// The smallest grid of which an lr can be dropped.
const FEWEST_LRS: usize = 3;

/// Replays successive halving of lrs on complete runs of one length: by seeds, as a sweep does it, and by the losses after the first third of the
/// first seed's runs, which no sweep does. Empty if nothing could be dropped, or if results are missing.
pub fn replay(results: &[RunResult], traces: &[Trace], steps: i64) -> Vec<Audit> {
    let length = steps.unsigned_abs();
    let by_seeds = Rule { rungs: &rungs, score: &last, spent: &|rung| rung as u64 * length };
    let mut all: Vec<Audit> = audit("by seeds", results, steps, &by_seeds).into_iter().collect();
    if let Some(at) = evaluation_at(traces, length / 3) {
        let early = |config: &Config<'_>, seeds: &[i64]| {
            let own =
                traces.iter().filter(|trace| trace.config_id == config.id && seeds.contains(&trace.seed));
            Score::of(own.take(seeds.len()).map(|trace| trace.at(at)))
        };
        let midway = Rule { rungs: &|seeds| vec![1_usize.min(seeds)], score: &early, spent: &|_| at };
        all.extend(audit("at a third", results, steps, &midway));
    }
    all
}

/// Whether every config has a result on each seed.
fn is_complete(grid: &Grid<'_>, seeds: &[i64]) -> bool {
    let has = |config: &Config<'_>, seed: &i64| {
        config.runs.iter().any(|run| run.trial.seed == *seed && run.loss().is_some())
    };
    grid.configs.iter().all(|config| seeds.iter().all(|seed| has(config, seed)))
}

fn audit(name: &str, results: &[RunResult], steps: i64, rule: &Rule<'_>) -> Option<Audit> {
    let grids = grids(results, steps);
    if grids.iter().all(|grid| grid.lrs().len() < FEWEST_LRS) {
        return None;
    }
    let mut courses = Vec::new();
    for grid in &grids {
        let runs: Vec<RunResult> =
            grid.configs.iter().flat_map(|config| &config.runs).map(|run| (*run).clone()).collect();
        let seeds = seeds(&runs, &[Purpose::All, Purpose::Tune]);
        if seeds.len() < 2 || !is_complete(grid, &seeds) {
            return None;
        }
        courses.push((grid.schedule, course(grid, &seeds, steps.unsigned_abs(), rule)?));
    }
    let is_wrong = |course: &Course| course.chosen.0 != course.full.0;
    let first =
        courses.iter().min_by(|(_, a), (_, b)| a.full.1.compared(&b.full.1)).map(|(_, course)| course)?;
    let lowest =
        |of: fn(&Course) -> f64| courses.iter().map(|(_, course)| of(course)).fold(f64::INFINITY, f64::min);
    let sum = |of: fn(&Course) -> u64| courses.iter().map(|(_, course)| of(course)).sum::<u64>();
    let count = |of: fn(&Course) -> usize| courses.iter().map(|(_, course)| of(course)).sum::<usize>();
    Some(Audit {
        rule: format!("{LR_HALVING} {name}"),
        stopped: (count(|course| course.stopped), count(|course| course.runs)),
        saved: (sum(|course| course.saved), sum(|course| course.all)),
        dropped: courses
            .iter()
            .filter(|(_, course)| is_wrong(course))
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        keeps_winner: !is_wrong(first),
        regret: lowest(|course| course.chosen.1.mean) - lowest(|course| course.full.1.mean),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{RunState, TrialRecord};

    const LRS: [f64; 7] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4];

    /// Runs of the schedule `a`, 10 steps each: the losses of each lr by seed.
    fn runs(losses: &[(f64, &[f64])]) -> Vec<RunResult> {
        let run = |lr: f64, seed: usize, loss: f64| {
            let trial = TrialRecord {
                schedule: "a".to_owned(),
                config_id: format!("{lr}"),
                base_lr: lr,
                seed: seed as i64,
                steps: 10,
                purpose: Purpose::Tune,
                ..TrialRecord::default()
            };
            let state = if loss.is_finite() { RunState::Done(loss) } else { RunState::Diverged };
            RunResult { trial, state, score: None }
        };
        losses
            .iter()
            .flat_map(|(lr, of)| of.iter().enumerate().map(move |(seed, loss)| run(*lr, seed, *loss)))
            .collect()
    }

    fn fates(halving: &Halving, fate: Fate) -> Vec<f64> {
        halving.outcomes.iter().filter(|at| at.fate == fate).map(|at| at.base_lr).collect()
    }

    #[test]
    fn the_better_half_and_the_neighbours_of_the_best_lr_survive() {
        // The order is 0.8, 0.4, 3.2, 0.2, 1.6, 0.1, 6.4: four survive as the better half, and 1.6 as a neighbour of 0.8.
        let losses = [6.0, 4.0, 2.0, 1.0, 5.0, 3.0, f64::INFINITY];
        let seeds: Vec<[f64; 1]> = losses.iter().map(|loss| [*loss]).collect();
        let all: Vec<(f64, &[f64])> = LRS.into_iter().zip(seeds.iter().map(|seed| &seed[..])).collect();
        let halving = halve(&runs(&all));
        assert_eq!((halving.seeds, fates(&halving, Fate::Dropped)), (1, vec![0.1, 6.4]));
        assert_eq!(fates(&halving, Fate::Survives), [0.2, 0.4, 0.8, 1.6, 3.2]);
        // At an edge one neighbour is left. A schedule with one lr, or whose runs all diverge, keeps lrs.
        let edge = halve(&runs(&[(0.1, &[1.0]), (0.2, &[2.0]), (0.4, &[3.0])]));
        assert_eq!(fates(&edge, Fate::Survives), [0.1, 0.2]);
        assert_eq!(fates(&halve(&runs(&[(0.1, &[1.0])])), Fate::Survives), [0.1]);
        let lost = halve(&runs(&[(0.1, &[f64::INFINITY]), (0.2, &[f64::INFINITY]), (0.4, &[f64::INFINITY])]));
        assert_eq!(fates(&lost, Fate::Survives), [0.1, 0.2]);
    }

    #[test]
    fn a_dropped_lr_next_to_the_best_one_is_restored() {
        let at = |base_lr: f64, fate: Fate| AtHalving { schedule: "a".to_owned(), steps: 10, base_lr, fate };
        let halvings = [Halving { seeds: 1, outcomes: vec![at(0.1, Fate::Dropped), at(0.8, Fate::Dropped)] }];
        // On both seeds 0.4 is the best: 0.8 is next to it, 0.1 is not.
        let results = runs(&[(0.2, &[1.0, 3.0]), (0.4, &[1.5, 1.0])]);
        let restored = restore(&results, &halvings);
        assert_eq!((restored.seeds, fates(&restored, Fate::Restored)), (2, vec![0.8]));
        let both = [halvings[0].clone(), restored];
        assert!(restore(&results, &both).outcomes.is_empty());
        // Dropped runs are not part of any grid.
        let mut with_dropped = runs(&[(0.2, &[1.0, 3.0]), (0.4, &[1.5, 1.0]), (0.8, &[0.0])]);
        with_dropped
            .iter_mut()
            .filter(|run| run.trial.base_lr == 0.8)
            .for_each(|run| run.trial.purpose = Purpose::Dropped);
        assert_eq!(restore(&with_dropped, &both).outcomes, Vec::new());
    }

    #[test]
    fn the_replay_counts_what_would_not_be_trained_and_which_config_would_differ() {
        // After one of three seeds 0.1, 0.2 and 0.4 survive, after two of them 0.1 and 0.2.
        let falling: [(f64, &[f64]); 5] = [
            (0.1, &[1.0, 1.0, 1.0]),
            (0.2, &[2.0, 2.0, 2.0]),
            (0.4, &[3.0, 3.0, 3.0]),
            (0.8, &[4.0, 4.0, 4.0]),
            (1.6, &[5.0, 5.0, 5.0]),
        ];
        let found = replay(&runs(&falling), &[], 10);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].stopped, found[0].saved), ((2 + 2 + 1, 15), (50, 150)));
        assert!(found[0].keeps_winner && found[0].dropped.is_empty() && found[0].regret == 0.0);
        // The last lr is the best on all seeds but the first, and has no neighbour that survives.
        let mut late = falling;
        late[4].1 = &[5.0, 0.0, -3.0];
        let found = replay(&runs(&late), &[], 10);
        assert_eq!((found[0].dropped.as_slice(), found[0].keeps_winner), (&["a".to_owned()][..], false));
        assert!((found[0].regret - (1.0 - 2.0 / 3.0)).abs() < 1e-12);
        // Nothing can be dropped of two lrs, or after the only seed. An incomplete grid is not replayed.
        let mut open = runs(&falling);
        open[4].state = RunState::Missing;
        assert!(replay(&open, &[], 10).is_empty());
        assert!(replay(&runs(&falling[..2]), &[], 10).is_empty());
        let single: Vec<(f64, &[f64])> = falling.iter().map(|(lr, losses)| (*lr, &losses[..1])).collect();
        assert!(replay(&runs(&single), &[], 10).is_empty());
    }

    #[test]
    fn the_replay_at_a_third_compares_the_losses_there() {
        // After a third of the first run, the lrs are in the reverse order of the end.
        let lrs = [0.1, 0.2, 0.4, 0.8, 1.6];
        let results = runs(&lrs.map(|lr| (lr, if lr < 0.15 { &[1.0, 1.0][..] } else { &[2.0, 2.0][..] })));
        let trace = |lr: f64, seed: i64| Trace {
            schedule: "a".to_owned(),
            config_id: format!("{lr}"),
            seed,
            losses: vec![(3, -lr), (10, 0.0)],
            steps: 10,
            last: 0.0,
        };
        let traces: Vec<Trace> = lrs.into_iter().flat_map(|lr| [trace(lr, 0), trace(lr, 1)]).collect();
        let found = replay(&results, &traces, 10);
        let early = &found[1];
        assert_eq!((early.rule.as_str(), found[0].keeps_winner), ("lr halving at a third", true));
        // 0.1 and 0.2 are dropped after 3 of 20 steps; 0.4, the best of the others by order, restores 0.2, which restores 0.1.
        assert_eq!((early.stopped, early.saved, early.keeps_winner), ((0, 10), (0, 100), true));
    }
}
