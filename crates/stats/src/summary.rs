//! Mean and standard deviation.

/// Mean and spread of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The number of values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation with n - 1 in the denominator; `None` for a single number.
    pub sd: Option<f64>,
}

/// Summarises a sample; `None` for an empty one. Two passes, so that a small spread around a large mean
/// keeps its digits (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance").
pub fn summary(sample: &[f64]) -> Option<Summary> {
    let n = sample.len();
    if n == 0 {
        return None;
    }
    let mean = sample.iter().sum::<f64>() / n as f64;
    let squares: f64 = sample.iter().map(|x| (x - mean).powi(2)).sum();
    let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    Some(Summary { n, mean, sd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_numpy() {
        // numpy.mean([1, 2, 4, 8.5]), numpy.std([1, 2, 4, 8.5], ddof=1)
        let summary = summary(&[1.0, 2.0, 4.0, 8.5]).expect("four numbers");
        assert_eq!(summary.mean, 3.875);
        assert!((summary.sd.expect("more than one") - 3.326_033_673_912_517_4).abs() < 1e-15);
    }

    #[test]
    fn keeps_a_small_spread_around_a_large_mean() {
        let sd = summary(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]).and_then(|s| s.sd);
        assert_eq!(sd, Some(1.0));
    }

    #[test]
    fn one_number_has_no_spread_and_none_has_no_mean() {
        assert_eq!(summary(&[2.0]), Some(Summary { n: 1, mean: 2.0, sd: None }));
        assert_eq!(summary(&[]), None);
    }
}
