//! Two schedules over paired seeds: what their differences support. The only place where a pair is judged.

use stats::{paired, sign_flip};

/// Two schedules are told apart when the corrected p-value is below this; intervals hold the rest.
pub const ALPHA: f64 = 0.05;

/// What paired values of two schedules say of their difference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pair {
    /// Seeds that both have an ended run for.
    pub n: usize,
    /// Mean of the differences, theirs minus the other's; `None` where a run diverged or there is no pair.
    pub diff: Option<f64>,
    /// 95 % interval of it.
    pub interval: Option<(f64, f64)>,
    /// Exact sign-flip p-value, not yet corrected for several comparisons.
    pub p: Option<f64>,
    /// The lowest p-value that so many pairs can give.
    pub p_floor: Option<f64>,
    /// Seeds on which the first is better than the other; equal ones count half.
    pub wins: f64,
    /// The standard error that the interval is made of.
    pub error: Option<f64>,
    /// Standard deviation of the differences.
    pub sd: Option<f64>,
    /// Which share of `error` the differences themselves show; the choice of configs adds the rest.
    pub weight: f64,
}

/// Compares `ours` with `theirs`, seed by seed, lower is better. Where a run diverged, which is no number, only who is
/// better counts. `choice_error` is the standard error with the choice of configs in it, where there was one: interval
/// and test go by it if it is the larger one.
pub fn pair(ours: &[Option<f64>], theirs: &[Option<f64>], choice_error: Option<f64>) -> Pair {
    let both: Vec<(f64, f64)> = ours.iter().zip(theirs).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let wins = both
        .iter()
        .map(|(a, b)| {
            if a < b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            }
        })
        .sum();
    let finite = both.iter().all(|(a, b)| a.is_finite() && b.is_finite());
    let differences: Vec<f64> = both
        .iter()
        .map(|(a, b)| if finite { a - b } else { f64::from(i8::from(a > b) - i8::from(a < b)) })
        .collect();
    let summary = stats::summary(&differences).filter(|_| finite);
    let plain = paired(&differences).filter(|_| finite);
    let with_choice =
        plain.map(|plain| stats::Paired { error: plain.error.max(choice_error.unwrap_or(0.0)), ..plain });
    let weight = plain.zip(with_choice).map_or(1.0, |(plain, all)| share(plain.error, all.error));
    let test = sign_flip(&differences, weight);
    Pair {
        n: both.len(),
        diff: summary.map(|s| s.mean),
        interval: with_choice.map(|paired| paired.interval(1.0 - ALPHA)),
        p: test.map(|test| test.p),
        p_floor: test.map(|test| test.floor),
        wins,
        error: with_choice.map(|paired| paired.error),
        sd: summary.and_then(|s| s.sd),
        weight,
    }
}

/// Which share of an error is another one.
fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { (part / all).min(1.0) } else { 1.0 }
}

impl Pair {
    /// Whether two one-sided tests place the difference within ±`rope`.
    pub fn is_equivalent(&self, rope: f64) -> bool {
        let paired = self.diff.zip(self.error).map(|(mean, error)| stats::Paired { n: self.n, mean, error });
        paired.is_some_and(|paired| paired.equivalence_p(rope) < ALPHA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_an_interval_and_a_floor() {
        let ours: Vec<Option<f64>> = [1.3, 0.9, 1.5, 1.2, 1.4].map(Some).to_vec();
        let found = pair(&ours, &[Some(1.0); 5], None);
        // As in the tests of stats, which hold SciPy's numbers.
        assert_eq!((found.n, found.wins, found.p, found.p_floor), (5, 1.0, Some(0.125), Some(0.0625)));
        let (low, high) = found.interval.expect("five pairs");
        assert!((low + 0.025_852_519).abs() < 1e-8 && (high - 0.545_852_519).abs() < 1e-8);
        assert!(found.is_equivalent(0.6) && !found.is_equivalent(0.3));
        let wider = pair(&ours, &[Some(1.0); 5], Some(1.0)).interval.expect("five pairs");
        assert!(wider.0 < low && wider.1 > high);
    }

    #[test]
    fn a_run_that_diverged_is_worse_by_no_number() {
        let found = pair(&[Some(f64::INFINITY); 6], &[Some(1.0); 6], None);
        assert_eq!((found.diff, found.interval, found.p), (None, None, Some(0.03125)));
        let both = pair(&[Some(f64::INFINITY); 6], &[Some(f64::INFINITY); 6], None);
        assert_eq!((both.p, both.wins), (Some(1.0), 3.0));
    }

    #[test]
    fn only_seeds_of_both_count() {
        let found = pair(&[Some(1.0), None, Some(3.0)], &[Some(0.0), Some(1.0), None], None);
        assert_eq!((found.n, found.diff, found.interval), (1, Some(1.0), None));
        assert_eq!(pair(&[], &[], None).p, None);
    }
}
