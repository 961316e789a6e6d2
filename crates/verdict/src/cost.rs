//! The cost of looks at the deciding seeds before anything is trained: the expected number of deciding runs, by simulation.

use spec::looks::Looks;
use spec::protocol::Outcome;
use stats::Normal;

use crate::anytime::{Processes, adjusted, raise};
use crate::family::{Family, Member};
use crate::looks::outcomes;
use crate::pair::ALPHA;
use crate::score::Direction;

/// How much worse all schedules but the best are, in standard deviations of the paired difference.
pub const DIFFERENCES: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

/// Simulated sweeps for each difference.
const SWEEPS: usize = 100;

/// The expected number of deciding runs of one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// How much worse all schedules but the best are, in standard deviations of the paired difference.
    pub difference: f64,
    /// Mean number of runs.
    pub runs: f64,
}

/// The expected number of deciding runs of `schedules` schedules with these looks, for each of [`DIFFERENCES`]: the mean of 100
/// simulated sweeps with normal losses from a fixed seed.
pub fn expected_runs(schedules: usize, looks: &Looks) -> Vec<Expected> {
    let mut random = Normal::new(24);
    let looks = &Looks { rope: None, ..looks.clone() };
    let mean = |difference: f64| {
        let mut means = vec![difference; schedules];
        means.iter_mut().take(1).for_each(|best| *best = 0.0);
        let runs = |_| played(&simulated(&mut random, &means, looks), looks).iter().sum::<usize>();
        let runs = (0..SWEEPS).map(runs).sum::<usize>() as f64 / SWEEPS as f64;
        Expected { difference, runs }
    };
    DIFFERENCES.map(mean).to_vec()
}

/// Losses by schedule and seed, with these true means. The difference of two schedules at a seed has a standard deviation of 1.
pub(crate) fn simulated(random: &mut Normal, means: &[f64], looks: &Looks) -> Vec<Vec<f64>> {
    let loss = |mean: &f64| (0..looks.most()).map(|_| mean + random.draw() / 2f64.sqrt()).collect();
    means.iter().map(loss).collect()
}

/// The number of seeds that each schedule gets if it has these losses, given for the seeds of all looks.
pub(crate) fn played(losses: &[Vec<f64>], looks: &Looks) -> Vec<usize> {
    match looks.is_any_time() && looks.rope.is_none() {
        true => played_by_e_values(losses, looks),
        false => played_by_verdicts(losses, looks),
    }
}

/// By the verdicts of the ranking, as a sweep decides.
fn played_by_verdicts(losses: &[Vec<f64>], looks: &Looks) -> Vec<usize> {
    let first = looks.seeds.first().copied().unwrap_or(0) as usize;
    let mut seeds = vec![first; losses.len()];
    for (at, next) in looks.seeds.iter().zip(looks.seeds.iter().skip(1)) {
        let order = order(losses, &seeds);
        // Those with the most seeds come first in `order`.
        let active = seeds.iter().filter(|seeds| **seeds as u64 == *at).count();
        let active: Vec<usize> = (0..active).collect();
        let outcomes = outcomes(&family(losses, &seeds, &order, looks), &active, looks);
        for (i, outcome) in order.iter().zip(&outcomes) {
            if let Some(seeds) = seeds.get_mut(*i).filter(|_| *outcome == Outcome::Continued) {
                *seeds = *next as usize;
            }
        }
        if !outcomes.contains(&Outcome::Continued) {
            break;
        }
    }
    seeds
}

/// The same for e-values without `rope`, whose many looks would take long if each computed all e-values again.
fn played_by_e_values(losses: &[Vec<f64>], looks: &Looks) -> Vec<usize> {
    let rows: Vec<Vec<Option<f64>>> =
        losses.iter().map(|row| row.iter().copied().map(Some).collect()).collect();
    let processes = Processes::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let most = usize::try_from(looks.most()).unwrap_or(usize::MAX);
    let mut seeds = vec![most; losses.len()];
    let mut highest = processes.at(0, |_| 0);
    for n in 1..most {
        raise(&mut highest, &adjusted(&processes.at(n, |i| seeds.get(i).copied().unwrap_or(0))));
        if !looks.seeds.contains(&(n as u64)) {
            continue;
        }
        // Schedules that continue come first.
        let order: Vec<usize> = order(losses, &seeds.iter().map(|own| n.min(*own)).collect::<Vec<_>>());
        let is_active = |i: &&usize| seeds.get(**i) == Some(&most);
        let active: Vec<usize> = order.iter().filter(is_active).copied().collect();
        let Some((leader, others)) = active.split_first() else { break };
        let e = |i: usize, j: usize| highest.get(i.max(j)).and_then(|row| row.get(i.min(j))).copied();
        let is_worse = |i: &&usize| e(**i, *leader).is_some_and(|e| 1.0 / e < ALPHA);
        let stopped: Vec<usize> = others.iter().filter(is_worse).copied().collect();
        let all = if stopped.len() == others.len() { &active } else { &stopped };
        for i in all {
            seeds.get_mut(*i).into_iter().for_each(|own| *own = n);
        }
    }
    seeds
}

/// The schedules, those with more seeds first, then by mean. The first is the leader, as in a ranking.
pub(crate) fn order(losses: &[Vec<f64>], seeds: &[usize]) -> Vec<usize> {
    let key = |i: usize| {
        let seeds = seeds.get(i).copied().unwrap_or(0);
        let sum: f64 = losses.get(i).map_or(0.0, |losses| losses.iter().take(seeds).sum());
        (seeds, sum / seeds.max(1) as f64)
    };
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|a, b| {
        let ((a_seeds, a), (b_seeds, b)) = (key(*a), key(*b));
        b_seeds.cmp(&a_seeds).then(a.total_cmp(&b))
    });
    order
}

/// The tests of these schedules, each with its number of seeds, in this order.
pub(crate) fn family(losses: &[Vec<f64>], seeds: &[usize], order: &[usize], looks: &Looks) -> Family {
    let row = |i: &usize| -> Option<Vec<Option<f64>>> {
        let (losses, own) = (losses.get(*i)?, *seeds.get(*i)?);
        Some(losses.iter().enumerate().map(|(seed, loss)| (seed < own).then_some(*loss)).collect())
    };
    let rows: Vec<Vec<Option<f64>>> = order.iter().filter_map(row).collect();
    let members: Vec<Member<'_>> = rows.iter().map(|judged| Member { judged, chosen: None }).collect();
    Family::at_looks(&members, Direction::LowerIsBetter, looks, looks.rope)
}

#[cfg(test)]
#[path = "looks_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "until_tests.rs"]
mod until_tests;
