//! Two schedules over paired seeds: their differences and the test of this pair. `family` adjusts for all pairs of a sweep,
//! and gives the verdicts.

use std::cmp::Ordering;

use stats::{differences, paired, sign_flip};

use crate::score::Direction;

/// Significance level: two schedules differ significantly if the adjusted p-value is below it. Intervals have the confidence
/// level 1 - `ALPHA`.
pub const ALPHA: f64 = spec::looks::ALPHA;

/// The paired differences of two schedules and their tests. A difference is the first schedule's value minus the other's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pair {
    /// Number of seeds for which both have an ended run.
    pub n: usize,
    /// Mean of the differences; `None` if a run diverged or there is no pair.
    pub diff: Option<f64>,
    /// Its simultaneous 95 % interval, for all pairs of the ranking.
    pub interval: Option<(f64, f64)>,
    /// p-value of the exact sign-flip test of this pair, not adjusted.
    pub p_raw: Option<f64>,
    /// e-value adjusted for all pairs of the ranking: the highest so far. Only if seeds are added until everything is decided: then the
    /// p-values are 1 / e, and hold at any number of seeds.
    pub e: Option<f64>,
    /// p-value adjusted for all pairs of the ranking; equal to `p_raw` if there is only one pair.
    pub p: Option<f64>,
    /// The lowest p-value that this number of pairs can give.
    pub p_floor: Option<f64>,
    /// Number of seeds on which the first is better than the other; equal values count half.
    pub wins: f64,
    /// The standard error behind the interval.
    pub error: Option<f64>,
    /// Standard deviation of the differences.
    pub sd: Option<f64>,
    /// The fraction of `error` that comes from the differences, 0 to 1. The choice of configs adds the rest.
    pub weight: f64,
}

/// Compares `ours` with `theirs`, seed by seed, with the exact sign-flip test. `interval` and `p` stay empty: they depend on all pairs of
/// the family. If a run diverged, there is no mean difference, and the test uses only which of the two is better. `choice_error` is the
/// standard error that includes the choice of configs, if there was a choice; the larger of the two errors counts.
pub fn pair(
    ours: &[Option<f64>],
    theirs: &[Option<f64>],
    direction: Direction,
    choice_error: Option<f64>,
) -> Pair {
    let differences: Vec<f64> = differences(ours, theirs).into_iter().flatten().collect();
    let untested = untested(ours, theirs, direction, choice_error);
    let test = sign_flip(&differences, untested.weight);
    Pair { p_raw: test.map(|test| test.p), p_floor: test.map(|test| test.floor), ..untested }
}

/// The same without a test.
pub(crate) fn untested(
    ours: &[Option<f64>],
    theirs: &[Option<f64>],
    direction: Direction,
    choice_error: Option<f64>,
) -> Pair {
    let both: Vec<(f64, f64)> = ours.iter().zip(theirs).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let finite = both.iter().all(|(a, b)| a.is_finite() && b.is_finite());
    let differences: Vec<f64> = differences(ours, theirs).into_iter().flatten().collect();
    let summary = stats::summary(&differences).filter(|_| finite);
    let plain = paired(&differences).filter(|_| finite);
    let error = plain.map(|plain| plain.error.max(choice_error.unwrap_or(0.0)));
    let weight = plain.zip(error).map_or(1.0, |(plain, error)| share(plain.error, error));
    let won = |(a, b): &(f64, f64)| match direction.compare(*a, *b) {
        _ if a == b => 0.5,
        Ordering::Less => 1.0,
        _ => 0.0,
    };
    Pair {
        n: both.len(),
        diff: summary.map(|s| s.mean),
        interval: None,
        p_raw: None,
        e: None,
        p: None,
        p_floor: None,
        wins: both.iter().map(won).sum(),
        error,
        sd: summary.and_then(|s| s.sd),
        weight,
    }
}

/// `part / all`, at most 1.
fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { (part / all).min(1.0) } else { 1.0 }
}

impl Pair {
    /// The pair with the two schedules exchanged.
    pub fn reversed(&self) -> Self {
        // Avoids -0.
        let negative = |x: f64| 0.0 - x;
        Self {
            diff: self.diff.map(negative),
            interval: self.interval.map(|(low, high)| (negative(high), negative(low))),
            wins: self.n as f64 - self.wins,
            ..self.clone()
        }
    }

    /// Mean and standard error of the differences, for intervals and one-sided tests.
    pub(crate) fn paired(&self) -> Option<stats::Paired> {
        self.diff.zip(self.error).map(|(mean, error)| stats::Paired { n: self.n, mean, error })
    }

    /// Whether two one-sided tests at `level` show that the difference is within ±`rope`.
    pub fn is_equivalent(&self, rope: f64, level: f64) -> bool {
        self.paired().is_some_and(|paired| paired.equivalence_p(rope) < level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOWER: Direction = Direction::LowerIsBetter;

    #[test]
    fn differences_have_an_error_and_a_floor() {
        let ours: Vec<Option<f64>> = [1.3, 0.9, 1.5, 1.2, 1.4].map(Some).to_vec();
        let found = pair(&ours, &[Some(1.0); 5], LOWER, None);
        // As in the tests of stats, which hold SciPy's numbers.
        assert_eq!((found.n, found.wins, found.p_raw, found.p_floor), (5, 1.0, Some(0.125), Some(0.0625)));
        assert!(found.is_equivalent(0.6, 0.05) && !found.is_equivalent(0.3, 0.05));
        assert!(!found.is_equivalent(0.6, 0.001));
        let wider = pair(&ours, &[Some(1.0); 5], LOWER, Some(1.0));
        assert_eq!((wider.error, found.weight), (Some(1.0), 1.0));
        assert!((wider.weight - found.error.expect("five pairs")).abs() < 1e-12);
        let back = found.reversed();
        assert_eq!((back.diff, back.wins, back.p_raw), (found.diff.map(|x| -x), 4.0, found.p_raw));
    }

    #[test]
    fn a_diverged_run_has_a_test_but_no_difference() {
        let found = pair(&[Some(f64::INFINITY); 6], &[Some(1.0); 6], LOWER, None);
        assert_eq!((found.diff, found.error, found.p_raw), (None, None, Some(0.03125)));
        let both = pair(&[Some(f64::INFINITY); 6], &[Some(f64::INFINITY); 6], LOWER, None);
        assert_eq!((both.p_raw, both.wins), (Some(1.0), 3.0));
    }

    #[test]
    fn only_seeds_that_both_have_count() {
        let found = pair(
            &[Some(1.0), None, Some(3.0)],
            &[Some(0.0), Some(1.0), None],
            Direction::LowerIsBetter,
            None,
        );
        assert_eq!((found.n, found.diff, found.error), (1, Some(1.0), None));
        assert_eq!(pair(&[], &[], LOWER, None).p_raw, None);
    }
}
