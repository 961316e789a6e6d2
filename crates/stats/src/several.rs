//! Several rankings of the same items, as over budgets or tasks: how far they agree (Kendall 1938, 1945 for
//! ties), whether the items differ at all (Friedman 1937), and the critical difference of mean ranks (Nemenyi
//! 1963; Demšar 2006, "Statistical comparisons of classifiers over multiple data sets").

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal};

use crate::paired::simpson;

/// Ranks from 1; equal values get their mean rank. Infinities are ordinary values here.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|x| {
            let below = values.iter().filter(|y| y.total_cmp(x).is_lt()).count();
            let equal = values.iter().filter(|y| y.total_cmp(x).is_eq()).count();
            below as f64 + (equal as f64 + 1.0) / 2.0
        })
        .collect()
}

/// Kendall's tau-b of two lists, from -1 (reversed) to 1 (the same order); `None` if all values of one list
/// are equal or if their lengths differ.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (mut agree, mut in_a, mut in_b) = (0i64, 0u64, 0u64);
    for i in 0..a.len() {
        for j in 0..i {
            let (x, y) = (a[i].total_cmp(&a[j]) as i64, b[i].total_cmp(&b[j]) as i64);
            agree += x * y;
            in_a += x.unsigned_abs();
            in_b += y.unsigned_abs();
        }
    }
    (in_a > 0 && in_b > 0).then(|| agree as f64 / ((in_a as f64).sqrt() * (in_b as f64).sqrt()))
}

/// Outcome of Friedman's test.
#[derive(Debug, Clone, PartialEq)]
pub struct Friedman {
    /// Mean rank of each item; 1 is the best.
    pub mean_ranks: Vec<f64>,
    /// The statistic, with a correction for ties.
    pub chi_squared: f64,
    /// p-value by the chi-squared approximation.
    pub p: f64,
    /// Items whose mean ranks differ by more are significantly different, at 5 % for all pairs together.
    pub critical_difference: f64,
}

/// Friedman's test over blocks (budgets, tasks), each with one value per item. `None` for fewer than two
/// blocks or items, for blocks of different lengths, or if all values in every block are equal.
pub fn friedman(blocks: &[Vec<f64>]) -> Option<Friedman> {
    let (n, k) = (blocks.len(), blocks.first()?.len());
    if n < 2 || k < 2 || blocks.iter().any(|block| block.len() != k) {
        return None;
    }
    let mut sums = vec![0.0; k];
    let mut ties = 0.0;
    for block in blocks {
        let ranks = ranks(block);
        // Each of t equal ranks adds t^2 - 1: together t^3 - t.
        ties += ranks
            .iter()
            .map(|r| (ranks.iter().filter(|s| *s == r).count() as f64).powi(2) - 1.0)
            .sum::<f64>();
        sums.iter_mut().zip(ranks).for_each(|(sum, rank)| *sum += rank);
    }
    let (blocks, things) = (n as f64, k as f64);
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    let plain = 12.0 / (blocks * things * (things + 1.0)) * squares - 3.0 * blocks * (things + 1.0);
    let correction = 1.0 - ties / (blocks * things * (things * things - 1.0));
    if correction <= 0.0 {
        return None;
    }
    let chi_squared = plain / correction;
    let p = ChiSquared::new(things - 1.0).ok()?.sf(chi_squared);
    let critical_difference =
        range_quantile(k, 0.95) / 2f64.sqrt() * (things * (things + 1.0) / (6.0 * blocks)).sqrt();
    let mean_ranks = sums.iter().map(|sum| sum / blocks).collect();
    Some(Friedman { mean_ranks, chi_squared, p, critical_difference })
}

/// Quantile of the range of `k` standard normal numbers (the studentised range with infinite degrees of freedom).
fn range_quantile(k: usize, share: f64) -> f64 {
    let Ok(normal) = Normal::new(0.0, 1.0) else { return f64::NAN };
    let below = |q: f64| {
        let rest = (k - 1) as i32;
        k as f64 * simpson(-8.0, 8.0 + q, |z| normal.pdf(z) * (normal.cdf(z) - normal.cdf(z - q)).powi(rest))
    };
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) < share { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17.1: kendalltau(x, y).statistic.
    #[test]
    fn tau_agrees_with_scipy() {
        let tau =
            kendall_tau(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2.0, 1.0, 4.0, 3.0, 6.0, 5.0]).expect("an order");
        assert!((tau - 0.6).abs() < 1e-12);
        let tau = kendall_tau(&[1.0, 2.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 2.0, 4.0]).expect("an order");
        assert!((tau - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    /// SciPy 1.17.1: friedmanchisquare(*numpy.array(blocks).T), studentized_range.ppf(0.95, k, inf) / sqrt(2).
    #[test]
    fn friedman_agrees_with_scipy() {
        let blocks =
            [[0.1, 0.3, 0.2], [0.2, 0.5, 0.3], [0.15, 0.4, 0.41], [0.11, 0.2, 0.19]].map(|b| b.to_vec());
        let test = friedman(&blocks).expect("a test");
        assert!((test.chi_squared - 6.5).abs() < 1e-12 && (test.p - 0.038_774_207_831_722_02).abs() < 1e-12);
        let blocks = [[1.0, 2.0, 2.0, 3.0], [2.0, 1.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0]].map(|b| b.to_vec());
        let test = friedman(&blocks).expect("a test");
        assert!((test.chi_squared - 7.821_428_571_428_576).abs() < 1e-12, "{test:?}");
        assert!((test.p - 0.049_850_064_589_569_976).abs() < 1e-12);
        for (k, q) in [(2, 1.959_963_984_540_053_4), (3, 2.343_700_586_378_409), (10, 3.163_683_577_053_373)]
        {
            let found = range_quantile(k, 0.95) / 2f64.sqrt();
            assert!((found - q).abs() < 1e-6, "{k}: {found} and {q}");
        }
        assert_eq!(friedman(&[vec![1.0, 2.0]]), None);
        assert_eq!(friedman(&[vec![1.0, 1.0], vec![2.0, 2.0]]), None);
    }

    #[test]
    fn an_infinite_loss_ranks_last() {
        assert_eq!(ranks(&[0.3, f64::INFINITY, 0.1, 0.3]), [2.5, 4.0, 1.0, 2.5]);
    }
}
