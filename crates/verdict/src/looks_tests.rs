//! Simulations with fixed seeds of how often planned looks are wrong, how many seeds they take, and what they find.

use spec::looks::Rule;

use super::*;
use crate::family::Verdict;

/// Simulated sweeps for each line.
const SWEEPS: usize = 2000;

fn planned(rope: Option<f64>) -> Looks {
    Looks { seeds: vec![8, 12, 20], rope, rule: Rule::Planned }
}

/// The end of one simulated sweep.
struct Played {
    seeds: Vec<usize>,
    order: Vec<usize>,
    family: Family,
}

/// Plays sweeps of schedules with these true means. `work` gets each.
fn play(seed: u64, means: &[f64], looks: &Looks, mut work: impl FnMut(Played)) {
    let mut random = Normal::new(seed);
    for _ in 0..SWEEPS {
        let losses = simulated(&mut random, means, looks);
        let seeds = played(&losses, looks);
        let order = order(&losses, &seeds);
        let family = family(&losses, &seeds, &order, looks);
        work(Played { seeds, order, family });
    }
}

impl Played {
    /// Verdicts of all pairs, with the schedules as in `means`.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, Verdict)> {
        let schedules = self.order.len();
        let all = (0..schedules).flat_map(move |a| (0..a).map(move |b| (a, b)));
        all.map(|(a, b)| (self.order[a], self.order[b], self.family.verdict(a, b)))
    }

    fn mean_seeds(&self) -> f64 {
        self.seeds.iter().sum::<usize>() as f64 / self.seeds.len() as f64
    }
}

fn is_different(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Better | Verdict::Worse)
}

/// Family-wise error: in how many sweeps any pair of equal schedules is called different.
fn wrong(seed: u64, means: &[f64], looks: &Looks) -> (usize, f64) {
    let (mut wrong, mut seeds) = (0, 0.0);
    play(seed, means, looks, |played| {
        let is_wrong =
            |(a, b, verdict): (usize, usize, Verdict)| means[a] == means[b] && is_different(verdict);
        wrong += usize::from(played.pairs().any(is_wrong));
        seeds += played.mean_seeds() / SWEEPS as f64;
    });
    (wrong, seeds)
}

#[test]
fn equal_schedules_are_rarely_called_different_after_looks() {
    for (schedules, rope) in [(2, None), (2, Some(0.5))] {
        assert_rarely_wrong(schedules, rope);
    }
}

#[test]
#[ignore = "takes minutes: cargo test --release -p sweep-verdict -- --ignored after_looks"]
fn many_equal_schedules_are_rarely_called_different_after_looks() {
    for (schedules, rope) in [(8, None), (8, Some(0.5)), (15, None)] {
        assert_rarely_wrong(schedules, rope);
    }
}

// 15 schedules with `rope` are refused: 151 of 2,000 sweeps were wrong.
fn assert_rarely_wrong(schedules: usize, rope: Option<f64>) {
    // Up to 14 seeds the joint test is exact and fast.
    let looks = if schedules < 15 { vec![8, 12, 20] } else { vec![8, 10, 14] };
    let looks = Looks { seeds: looks, rope, rule: Rule::Planned };
    let (wrong, seeds) = wrong(schedules as u64, &vec![0.0; schedules], &looks);
    let how = rope.map_or(String::new(), |rope| format!(", rope {rope}"));
    let how = format!("looks {:?}{how}", looks.seeds);
    println!("{schedules} equal schedules, {how}: {wrong} of {SWEEPS} wrong, {seeds:.1} seeds");
    assert!(wrong <= 120, "{schedules} schedules, {how}: {wrong} of {SWEEPS} are called different");
    assert!(seeds < looks.most() as f64, "{seeds}");
}

/// Schedules in several groups of equal ones: a look stops some of them, and the tests of the others continue.
#[test]
#[ignore = "takes minutes: cargo test --release -p sweep-verdict -- --ignored rarely_split"]
fn groups_of_equal_schedules_are_rarely_split() {
    for means in [vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], vec![0.0, 0.7, 0.7, 0.7, 2.0, 2.0, 2.0]] {
        let (wrong, seeds) = wrong(7, &means, &planned(None));
        println!("groups {means:?}, looks: {wrong} of {SWEEPS} wrong, {seeds:.1} seeds");
        assert!(wrong <= 120, "{means:?}: {wrong} of {SWEEPS}");
    }
}

#[test]
fn looks_find_what_a_fixed_number_of_seeds_finds_with_fewer() {
    // The difference, and the number of seeds that a design with looks at 8, 12 and 20 may take.
    for (difference, most_seeds) in [(0.0, 19.85), (0.5, 18.3), (1.0, 13.6), (2.0, 8.9)] {
        let looks = planned(None);
        let fixed = 20;
        let (mut found, mut of_fixed, mut seeds) = (0, 0, 0.0);
        let mut random = Normal::new(11);
        for _ in 0..SWEEPS {
            let losses = simulated(&mut random, &[0.0, difference], &looks);
            let own = played(&losses, &looks);
            let order = order(&losses, &own);
            found += usize::from(is_different(family(&losses, &own, &order, &looks).verdict(1, 0)));
            seeds += own[0] as f64 / SWEEPS as f64;
            let differences: Vec<f64> = losses[1].iter().zip(&losses[0]).map(|(a, b)| a - b).collect();
            assert_eq!(differences.len(), fixed);
            of_fixed += usize::from(stats::sign_flip(&differences, 1.0).expect("a test").p < 0.05);
        }
        println!(
            "2 schedules, difference {difference}: looks find it in {found} of {SWEEPS} with {seeds:.1} seeds, {fixed} seeds in {of_fixed}"
        );
        assert!(seeds <= most_seeds, "{difference}: {seeds}");
        if difference >= 1.0 {
            assert!(found + SWEEPS * 3 / 100 >= of_fixed, "{difference}: {found} and {of_fixed}");
        }
    }
}

#[test]
fn intervals_after_looks_contain_the_truth() {
    for (means, rope) in [
        (vec![0.0, 0.5], None),
        (vec![0.0, 1.0], None),
        (vec![0.0, 0.0], Some(0.5)),
        (vec![0.0, 0.5, 1.0, 1.0, 2.0], None),
    ] {
        let mut held = 0;
        play(5, &means, &planned(rope), |played| {
            let all = (0..means.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
            let holds = |(a, b): (usize, usize)| {
                let truth = means[played.order[a]] - means[played.order[b]];
                let (low, high) = played.family.pair(a, b).interval.expect("an interval");
                low <= truth && truth <= high
            };
            held += usize::from(all.into_iter().all(holds));
        });
        println!("means {means:?}, rope {rope:?}, looks: all intervals hold in {held} of {SWEEPS}");
        assert!(held >= SWEEPS * 94 / 100, "{means:?}: {held}");
    }
}

#[test]
fn a_schedule_that_a_look_stopped_stays_behind() {
    let looks = planned(None);
    // The first is best by far, the second has the lowest mean of its first 8 seeds among the others.
    let noise = [
        0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.25, -0.25, 0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.25, -0.25, 0.3,
        -0.2, 0.1, -0.3,
    ];
    let row = |mean: f64, shift: usize| -> Vec<f64> {
        (0..20).map(|i| mean + 0.3 * noise[(i * 3 + shift) % 20]).collect()
    };
    let losses = [row(0.0, 0), row(5.0, 7), row(0.02, 11)];
    let seeds = played(&losses, &looks);
    assert_eq!(seeds, [20, 8, 20]);
    assert_eq!(order(&losses, &seeds)[2], 1);
    let family = family(&losses, &seeds, &order(&losses, &seeds), &looks);
    let pair = family.pair(2, 0);
    assert_eq!((pair.n, family.verdict(2, 0)), (8, Verdict::Worse));
    // 2 / 2^8, divided by the share of alpha of the first look.
    let p = 2.0 / 256.0 / looks.shares()[0];
    assert!((pair.p.expect("a test") - p).abs() < 1e-12 && p < 0.05, "{pair:?}");
    assert_eq!(family.pair(1, 0).n, 20);
}

#[test]
fn expected_runs_fall_with_the_difference() {
    let runs: Vec<f64> = expected_runs(4, &planned(None)).iter().map(|at| at.runs).collect();
    assert!(runs.windows(2).all(|pair| pair[1] <= pair[0]), "{runs:?}");
    assert!(runs[0] > 75.0 && runs[3] < 45.0, "{runs:?}");
    assert_eq!(expected_runs(4, &planned(None)), expected_runs(4, &planned(None)));
}
