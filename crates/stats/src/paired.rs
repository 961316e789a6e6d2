//! Student's t for paired differences: interval, test, equivalence test and power (Student 1908; Schuirmann
//! 1987 for two one-sided tests; Cohen 1988 for power).

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal, StudentsT};

use crate::summary;

/// Mean and standard error of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Number of differences, at least 2.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// Mean and standard error of paired differences; `None` for fewer than two or if one is not finite.
pub fn paired(differences: &[f64]) -> Option<Paired> {
    let summary = summary(differences)?;
    let error = summary.sd? / (summary.n as f64).sqrt();
    (summary.mean.is_finite() && error.is_finite()).then_some(Paired {
        n: summary.n,
        mean: summary.mean,
        error,
    })
}

impl Paired {
    /// The number of standard errors of a confidence interval of level 1 - `alpha` around the mean of `n`
    /// differences, by Student's t.
    pub fn critical(n: usize, alpha: f64) -> f64 {
        quantile(n, 1.0 - alpha / 2.0)
    }

    /// The two-sided alpha of an interval of this many standard errors around the mean of `n` differences.
    pub fn level(n: usize, critical: f64) -> f64 {
        student(n).map_or(f64::NAN, |t| 2.0 * t.sf(critical))
    }

    /// The mean minus and plus this many standard errors.
    pub fn interval(self, critical: f64) -> (f64, f64) {
        let half = critical * self.error;
        (self.mean - half, self.mean + half)
    }

    /// Two-sided p-value for a true mean of 0.
    pub fn p(self) -> f64 {
        2.0 * self.tail(self.mean.abs())
    }

    /// Two one-sided tests: the p-value of "the true mean is outside ±rope", the larger of both sides.
    pub fn equivalence_p(self, rope: f64) -> f64 {
        self.tail(rope - self.mean).max(self.tail(rope + self.mean))
    }

    /// Probability of a mean above this if the true mean is 0.
    fn tail(self, mean: f64) -> f64 {
        if self.error == 0.0 {
            return if mean > 0.0 {
                0.0
            } else if mean < 0.0 {
                1.0
            } else {
                0.5
            };
        }
        student(self.n).map_or(f64::NAN, |t| t.sf(mean / self.error))
    }
}

fn student(n: usize) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, n.checked_sub(1)? as f64).ok()
}

fn quantile(n: usize, share: f64) -> f64 {
    student(n).map_or(f64::NAN, |t| t.inverse_cdf(share))
}

/// Power of a two-sided paired t-test at `alpha` with `n` pairs, for a true mean difference of `effect`
/// standard deviations: the noncentral t distribution, integrated over its chi-squared part.
pub fn power(n: usize, effect: f64, alpha: f64) -> f64 {
    let (df, root) = (n.saturating_sub(1) as f64, (n as f64).sqrt());
    let (Ok(chi), Ok(normal)) = (ChiSquared::new(df), Normal::new(0.0, 1.0)) else { return f64::NAN };
    let critical = quantile(n, 1.0 - alpha / 2.0);
    let shift = effect.abs() * root;
    let found = |u: f64| {
        let bound = critical * (u / df).sqrt();
        normal.sf(bound - shift) + normal.cdf(-bound - shift)
    };
    // With u = v^2 the density has no pole at 0 for any df.
    let (low, high) = (chi.inverse_cdf(1e-12).sqrt(), chi.inverse_cdf(1.0 - 1e-12).sqrt());
    simpson(low, high, |v| found(v * v) * chi.ln_pdf(v * v).exp() * 2.0 * v)
}

/// The smallest true mean difference, in standard deviations of the differences, that `n` pairs detect with
/// power `wanted` at `alpha`; `None` for fewer than two pairs.
pub fn detectable(n: usize, alpha: f64, wanted: f64) -> Option<f64> {
    if n < 2 {
        return None;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while power(n, high, alpha) < wanted {
        high *= 2.0;
        if high > 1e6 {
            return None;
        }
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if power(n, middle, alpha) < wanted { low = middle } else { high = middle }
    }
    Some(high)
}

/// The minimum number of pairs that detect a true mean difference of `effect` standard deviations with power
/// `wanted` at `alpha`; `None` if more than `most` are needed.
pub fn pairs_needed(effect: f64, alpha: f64, wanted: f64, most: usize) -> Option<usize> {
    let enough = |n: usize| power(n, effect, alpha) >= wanted;
    if most < 2 || !enough(most) {
        return None;
    }
    // Power grows with n.
    let (mut few, mut many) = (1, most);
    while many - few > 1 {
        let middle = few.midpoint(many);
        if enough(middle) { many = middle } else { few = middle }
    }
    Some(many)
}

/// Simpson's rule on 2000 intervals.
pub(crate) fn simpson(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const N: usize = 2000;
    let width = (high - low) / N as f64;
    let weight = |i: usize| match i {
        0 | N => 1.0,
        _ if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    (0..=N).map(|i| weight(i) * f(low + width * i as f64)).sum::<f64>() * width / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found} and {expected}");
    }

    /// SciPy 1.17.1, d = [0.3, -0.1, 0.5, 0.2, 0.4]: r = ttest_1samp(d, 0), r.confidence_interval(0.95 or 0.9),
    /// r.pvalue; max(ttest_1samp(d, -rope, alternative="greater").pvalue, ttest_1samp(d, rope,
    /// alternative="less").pvalue).
    #[test]
    fn agrees_with_scipy() {
        let test = paired(&[0.3, -0.1, 0.5, 0.2, 0.4]).expect("five numbers");
        let (low, high) = test.interval(Paired::critical(5, 0.05));
        close(low, -0.025_852_519_098_702);
        close(high, 0.545_852_519_098_702);
        let (low, high) = test.interval(Paired::critical(5, 0.1));
        close(low, 0.040_512_939_707_29);
        close(high, 0.479_487_060_292_709);
        close(test.p(), 0.064_985_910_342_120_67);
        close(test.equivalence_p(0.5), 0.040_078_337_105_110_88);
        close(test.equivalence_p(0.3), 0.358_714_179_957_244);
    }

    /// SciPy: nct.sf(c, n - 1, d sqrt(n)) + nct.cdf(-c, n - 1, d sqrt(n)) with c = t.ppf(1 - alpha / 2, n - 1);
    /// brentq for the difference, counting up for n.
    #[test]
    fn power_matches_the_noncentral_t() {
        let near =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
        near(power(8, 1.5, 0.05), 0.950_951_816_150_224_8);
        near(power(5, 0.8, 0.05), 0.280_992_062_517_373_9);
        near(power(20, 0.5, 0.01), 0.297_346_077_675_117_3);
        near(power(3, 0.0, 0.05), 0.05);
        near(detectable(8, 0.05, 0.8).expect("found"), 1.156_034_677_994_733);
        near(detectable(4, 0.05, 0.9).expect("found"), 5.013_790_630_846_837 / 2.0);
        // With many pairs: (quantile(0.975) + quantile(0.8)) / sqrt(n) of the normal distribution, nearly.
        let many = detectable(256, 0.05, 0.8).expect("found");
        assert!((many - 0.1757).abs() < 5e-4, "{many}");
        assert_eq!(pairs_needed(0.5, 0.05, 0.8, 1000), Some(34));
        assert_eq!(pairs_needed(0.0, 0.05, 0.8, 1000), None);
    }

    #[test]
    fn constant_differences_have_an_interval_of_width_0() {
        let test = paired(&[0.5; 4]).expect("four numbers");
        assert_eq!((test.interval(Paired::critical(4, 0.05)), test.p()), ((0.5, 0.5), 0.0));
        assert!((Paired::level(10, Paired::critical(10, 0.01)) - 0.01).abs() < 1e-9);
        assert_eq!(paired(&[0.0; 4]).map(Paired::p), Some(1.0));
        assert_eq!(paired(&[1.0]), None);
        assert_eq!(paired(&[1.0, f64::INFINITY]), None);
    }
}
