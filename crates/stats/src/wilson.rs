//! Confidence interval of a proportion (Wilson 1927, "Probable inference, the law of succession, and
//! statistical inference").

use statrs::distribution::{ContinuousCDF, Normal};

/// The interval that contains the true proportion with this confidence (0 to 1), for `successes` of `n`;
/// `None` if `n` is 0.
pub fn wilson(successes: f64, n: usize, confidence: f64) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (n, z) = (n as f64, Normal::new(0.0, 1.0).ok()?.inverse_cdf(0.5 + confidence / 2.0));
    let share = successes / n;
    let middle = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Some((((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17.1: binomtest(k, n).proportion_ci(0.95, "wilson") for 7 of 8 and 0 of 5.
    #[test]
    fn agrees_with_scipy() {
        for (k, n, low, high) in [
            (7.0, 8, 0.529_111_817_787_146_4, 0.977_582_508_549_943_3),
            (0.0, 5, 0.0, 0.434_482_464_783_174_76),
        ] {
            let found = wilson(k, n, 0.95).expect("some");
            assert!((found.0 - low).abs() < 1e-12 && (found.1 - high).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(wilson(0.0, 0, 0.95), None);
    }
}
