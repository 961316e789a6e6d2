//! Simulations with fixed seeds of how often e-values are wrong if a sweep may end after every seed, how many seeds they take, and what they
//! find.

use spec::looks::Rule;

use super::*;
use crate::anytime::differences;
use crate::family::Verdict;

/// Simulated sweeps for each line.
const SWEEPS: usize = 2000;

/// Seeds are added one at a time.
fn until(at_most: u64, rope: Option<f64>) -> Looks {
    Looks { seeds: (6..=at_most).collect(), rope, rule: Rule::AnyTime }
}

/// E-values of these losses, each schedule with its number of seeds.
fn processes(losses: &[Vec<f64>], seeds: &[usize]) -> Processes {
    let cut = |(row, seeds): (&Vec<f64>, &usize)| row.iter().take(*seeds).copied().map(Some).collect();
    let rows: Vec<Vec<Option<f64>>> = losses.iter().zip(seeds).map(cut).collect();
    Processes::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Whether any pair of equal schedules was called different after any number of seeds.
fn is_wrong(means: &[f64], processes: &Processes) -> bool {
    let (highest, _) = processes.highest();
    let mut pairs =
        highest.iter().enumerate().flat_map(|(i, row)| row.iter().enumerate().map(move |(j, e)| (i, j, e)));
    pairs.any(|(i, j, e)| means[i] == means[j] && 1.0 / e < ALPHA)
}

#[derive(Default)]
struct Counted {
    /// Sweeps that are wrong after any seed if no schedule stops, and if schedules stop when they are decided.
    without_stops: usize,
    wrong: usize,
    seeds: f64,
}

fn simulate(seed: u64, means: &[f64], at_most: u64) -> Counted {
    let looks = until(at_most, None);
    let mut random = Normal::new(seed);
    let mut counted = Counted::default();
    for _ in 0..SWEEPS {
        let losses = simulated(&mut random, means, &looks);
        let seeds = played(&losses, &looks);
        let without_stops = is_wrong(means, &processes(&losses, &vec![usize::MAX; means.len()]));
        let none_stopped = seeds.iter().all(|own| *own as u64 == at_most);
        let wrong = if none_stopped { without_stops } else { is_wrong(means, &processes(&losses, &seeds)) };
        counted.without_stops += usize::from(without_stops);
        counted.wrong += usize::from(wrong);
        counted.seeds += seeds.iter().sum::<usize>() as f64 / seeds.len() as f64 / SWEEPS as f64;
    }
    counted
}

#[test]
fn equal_schedules_are_rarely_called_different_at_any_time() {
    for schedules in [2, 8, 15] {
        assert_rarely_wrong(&vec![0.0; schedules], 40);
    }
}

#[test]
fn groups_of_equal_schedules_are_rarely_split_at_any_time() {
    for means in [vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], vec![0.0, 0.7, 0.7, 0.7, 2.0, 2.0, 2.0]] {
        assert_rarely_wrong(&means, 40);
    }
}

#[test]
#[ignore = "takes minutes: cargo test --release -p sweep-verdict -- --ignored for_long"]
fn seeds_may_be_added_for_long() {
    for schedules in [2, 8, 15] {
        assert_rarely_wrong(&vec![0.0; schedules], 200);
    }
}

fn assert_rarely_wrong(means: &[f64], at_most: u64) {
    let Counted { without_stops, wrong, seeds } = simulate(means.len() as u64, means, at_most);
    println!(
        "means {means:?}, up to {at_most} seeds: equal ones called different after any seed in {without_stops} of {SWEEPS} sweeps, with \
         stops in {wrong}, {seeds:.1} seeds"
    );
    for wrong in [without_stops, wrong] {
        assert!(wrong <= SWEEPS / 20, "{means:?}: {wrong} of {SWEEPS} are called different");
    }
}

#[test]
fn differences_take_few_seeds() {
    // The true difference, and the number of seeds that two schedules may take.
    for (difference, most_seeds) in [(0.0, 40.0), (0.5, 34.0), (1.0, 18.0), (2.0, 8.9)] {
        let looks = until(40, None);
        let mut random = Normal::new(11);
        let (mut found, mut by_8, mut by_20, mut seeds) = (0, 0, 0, 0.0);
        for _ in 0..SWEEPS {
            let losses = simulated(&mut random, &[0.0, difference], &looks);
            let own = played(&losses, &looks);
            let is_found = processes(&losses, &own).highest().0[1][0] > 1.0 / ALPHA;
            found += usize::from(is_found);
            by_8 += usize::from(is_found && own[0] <= 8);
            by_20 += usize::from(is_found && own[0] <= 20);
            seeds += own[0] as f64 / SWEEPS as f64;
        }
        println!(
            "2 schedules, difference {difference}: found in {by_8} of {SWEEPS} by 8 seeds, {by_20} by 20, {found} by 40, {seeds:.1} seeds"
        );
        assert!(seeds <= most_seeds, "{difference}: {seeds}");
    }
}

#[test]
fn intervals_hold_when_a_sweep_ends() {
    let means = [0.0, 0.7, 1.5];
    let looks = until(30, None);
    let (mut random, mut held, sweeps) = (Normal::new(5), 0, 200);
    for _ in 0..sweeps {
        let losses = simulated(&mut random, &means, &looks);
        let seeds = played(&losses, &looks);
        let cut =
            |i: usize| -> Vec<Option<f64>> { losses[i].iter().take(seeds[i]).copied().map(Some).collect() };
        let mut all = (0..means.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let holds = |(a, b): (usize, usize)| {
            let interval = stats::confidence_sequence(&differences(&cut(a), &cut(b)), 3.0 / ALPHA);
            interval.is_none_or(|(low, high)| low <= means[a] - means[b] && means[a] - means[b] <= high)
        };
        held += usize::from(all.all(holds));
    }
    println!("means {means:?}, seeds added: all intervals hold in {held} of {sweeps}");
    assert!(held * 100 >= sweeps * 95, "{held}");
}

#[test]
fn the_simulation_decides_as_a_sweep() {
    let looks = until(16, None);
    let mut random = Normal::new(3);
    for means in [vec![0.0, 1.0], vec![0.0, 0.0, 2.0, 3.0]] {
        for _ in 0..20 {
            let losses = simulated(&mut random, &means, &looks);
            let seeds = played(&losses, &looks);
            assert_eq!(seeds, played_by_verdicts(&losses, &looks), "{losses:?}");
        }
    }
}

/// With a rope, schedules whose interval is within it stop as equivalent.
#[test]
fn a_rope_ends_ties() {
    let mut random = Normal::new(9);
    let (mut equivalent, mut wrong) = (0, 0);
    for _ in 0..20 {
        let looks = until(60, Some(1.0));
        let losses = simulated(&mut random, &[0.0, 0.0], &looks);
        let seeds = played(&losses, &looks);
        let order = order(&losses, &seeds);
        let verdict = family(&losses, &seeds, &order, &looks).verdict(1, 0);
        equivalent += usize::from(verdict == Verdict::Equivalent && seeds[0] < 60);
        wrong += usize::from(verdict == Verdict::Worse);
    }
    assert!(equivalent >= 12 && wrong <= 2, "{equivalent} {wrong}");
}

/// More seeds never take away a verdict, and the decisions of the seeds before stay.
#[test]
fn raising_at_most_keeps_the_decisions() {
    let mut random = Normal::new(4);
    for _ in 0..20 {
        let more = until(40, None);
        let losses = simulated(&mut random, &[0.0, 0.0, 1.0], &more);
        let (few, many) = (played(&losses, &until(12, None)), played(&losses, &more));
        for (few, many) in few.iter().zip(many) {
            assert!(*few == many || (*few == 12 && many > 12), "{few} {many}");
        }
    }
}

#[test]
fn a_verdict_by_e_values_has_its_p_and_an_interval() {
    let noise = [0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.25, -0.25, 0.15, -0.05];
    let row = |mean: f64, shift: usize| -> Vec<f64> {
        (0..10).map(|i| mean + 0.3 * noise[(i * 3 + shift) % 10]).collect()
    };
    let losses = [row(0.0, 0), row(0.01, 3), row(5.0, 7)];
    let looks = until(10, None);
    let mut found = family(&losses, &[10, 10, 10], &[0, 1, 2], &looks);
    let pair = found.pair(2, 0);
    assert_eq!((found.verdict(2, 0), found.verdict(1, 0)), (Verdict::Worse, Verdict::Undecided));
    assert_eq!((pair.p, pair.interval), (pair.e.map(|e| 1.0 / e), None));
    assert_eq!(pair.p_floor, Some(2.0 / 1024.0));
    assert!(pair.p_raw < pair.p && pair.p_raw >= pair.p_floor, "{pair:?}");
    let rows: Vec<Vec<Option<f64>>> =
        losses.iter().map(|row| row.iter().copied().map(Some).collect()).collect();
    found.add_intervals(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let (low, high) = found.pair(2, 0).interval.expect("an interval");
    assert!(0.0 < low && low < 5.0 && 5.0 < high, "{low} {high}");
    assert_eq!(found.ranks(2), (3, 3));
}

#[test]
fn expected_runs_of_seeds_until_decided_fall_with_the_difference() {
    let runs: Vec<f64> = expected_runs(4, &until(40, None)).iter().map(|at| at.runs).collect();
    assert!(runs.windows(2).all(|pair| pair[1] <= pair[0]), "{runs:?}");
    assert!(runs[0] > 150.0 && runs[3] < 60.0, "{runs:?}");
}
