//! How likely the data that are still missing change a result (Lan, Simon and Halperin 1982, "Stochastically curtailed tests in
//! long-term clinical trials"; Jennison and Turnbull 2000, "Group Sequential Methods with Applications to Clinical Trials",
//! chapter 10).

use statrs::distribution::{ContinuousCDF, Normal};

use crate::Paired;

/// Conditional power: the probability that a two-sided test at `alpha` with `most` differences finds the true mean `truth`, given the
/// differences so far. `seen` has fewer than `most` of them, and `truth` the sign of its mean. The remaining differences are taken as
/// normal, with the standard deviation of those so far. `None` if that is 0 or nothing remains.
pub fn conditional_power(seen: Paired, most: usize, truth: f64, alpha: f64) -> Option<f64> {
    let (n, rest) = (seen.n as f64, most.checked_sub(seen.n).filter(|rest| *rest > 0)? as f64);
    let sd = seen.error * n.sqrt();
    if sd <= 0.0 {
        return None;
    }
    let needed = Paired::critical(most, alpha) * sd * (most as f64).sqrt();
    let expected = n * seen.mean.abs() + rest * truth.abs();
    Some(Normal::new(0.0, 1.0).ok()?.cdf((expected - needed) / (sd * rest.sqrt())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, with t = 2.093024 for 20 differences at 0.05: (8 m + 12 m - 2.093024 sqrt(20)) / sqrt(12) for a standard deviation of 1.
    #[test]
    fn agrees_with_a_calculation_by_hand() {
        let seen = |mean: f64| Paired { n: 8, mean, error: 1.0 / 8f64.sqrt() };
        let power =
            |mean: f64, truth: f64| conditional_power(seen(mean), 20, truth, 0.05).expect("12 are left");
        // (0 - 9.360288) / 3.464102 = -2.702082, (10 - 9.360288) / 3.464102 = 0.184669.
        assert!((power(0.0, 0.0) - 0.003_445).abs() < 1e-5, "{}", power(0.0, 0.0));
        assert!((power(0.5, 0.5) - 0.573_256).abs() < 1e-5, "{}", power(0.5, 0.5));
        assert_eq!(power(-0.5, -0.5), power(0.5, 0.5));
        assert!(power(0.1, 1.0) > power(0.1, 0.5));
        assert_eq!(conditional_power(seen(0.5), 8, 0.5, 0.05), None);
    }
}
