//! Tests all pairs of several schedules together, with a bounded chance of any false positive among them.
//! Westfall and Young 1993, "Resampling-based multiple testing", step-down maxT: the sign of a seed is
//! flipped for all schedules at the same time.

use crate::Paired;
use crate::random::SplitMix;
use crate::sign_flip::differences;

/// Up to this many seeds, all sign assignments are used.
const MOST_EXACT: usize = 14;

/// The number of random sign assignments for more seeds.
const SAMPLES: u32 = 19_999;

/// With fewer seeds there are too few sign flips to estimate the distribution of the largest difference.
const LEAST_RESAMPLED: usize = 7;

/// p-values of all pairs of `rows`: `p[i][j]` for `i > j`. There is one row per schedule, all of equal
/// length, with a value per seed (infinite if the run diverged) or `None`. Comparing each p-value with alpha
/// keeps the chance of any false positive among all pairs below alpha. The statistic of a pair is the sum of
/// its [`differences`] divided by the root of the sum of their squares, which is a monotone function of
/// Student's t. `weight(i, j)` (0 to 1) shrinks the observed statistic, as in
/// [`sign_flip`](crate::sign_flip). A pair without a common seed has p = 1.
pub fn joint_flips(rows: &[Vec<Option<f64>>], weight: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let mut family = Family::new(rows);
    let mut seen = Vec::new();
    family.statistics(0, &mut seen);
    let weights = family.pairs.iter().map(|pair| weight(pair.i, pair.j));
    seen.iter_mut().zip(weights).for_each(|(seen, weight)| *seen *= weight);
    // In ascending order: each step down excludes the pairs above.
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|&a, &b| seen[a].total_cmp(&seen[b]));
    let mut counts = vec![0u64; seen.len()];
    let all = family.each_flip(|found| {
        let mut highest: f64 = 0.0;
        for &pair in &order {
            highest = highest.max(found[pair]);
            // Sums of the same numbers in another order can differ in their last bits.
            counts[pair] += u64::from(highest >= seen[pair] * (1.0 - 1e-12));
        }
    });
    let mut p: Vec<Vec<f64>> = (0..rows.len()).map(|i| vec![1.0; i]).collect();
    let mut highest: f64 = 0.0;
    for &at in order.iter().rev() {
        highest = highest.max(counts[at] as f64 / all);
        p[family.pairs[at].i][family.pairs[at].j] = highest;
    }
    p
}

/// The number of standard errors for simultaneous confidence intervals: with a probability of 1 - `alpha` the
/// intervals contain the true differences of all pairs of `rows`. Each row has the values of one schedule at
/// the same seeds, all finite. The result is the 1 - alpha quantile of the largest |t| among all pairs, with
/// the signs of the residuals of each seed flipped for all schedules at the same time. It is at least
/// Student's quantile, which is correct for one pair, and at most Bonferroni's, which is correct for any
/// dependence of the pairs and is used for fewer than 7 seeds. `None` for fewer than two rows or two seeds.
pub fn simultaneous(rows: &[Vec<f64>], alpha: f64) -> Option<f64> {
    let n = rows.first().map_or(0, Vec::len);
    let pairs = rows.len() * rows.len().saturating_sub(1) / 2;
    if n < 2 || pairs == 0 {
        return None;
    }
    let (student, bonferroni) = (Paired::critical(n, alpha), bonferroni(n, pairs, alpha));
    if pairs == 1 || n < LEAST_RESAMPLED {
        return Some(bonferroni);
    }
    let residuals: Vec<Vec<Option<f64>>> = rows
        .iter()
        .map(|row| {
            let mean = row.iter().sum::<f64>() / n as f64;
            row.iter().map(|x| Some(x - mean)).collect()
        })
        .collect();
    let mut largest = Vec::new();
    Family::new(&residuals).each_flip(|found| largest.push(found.iter().copied().fold(0.0, f64::max)));
    largest.sort_by(f64::total_cmp);
    let at = ((1.0 - alpha) * largest.len() as f64).ceil() as usize;
    let quantile = largest.get(at.clamp(1, largest.len()) - 1).copied()?;
    // Converts the statistic to Student's t: `share` is its square relative to the maximum, which n equal
    // differences have.
    let share = (quantile * quantile / n as f64).min(1.0);
    let t = (share * (n as f64 - 1.0) / (1.0 - share)).sqrt();
    Some(t.clamp(student, bonferroni))
}

/// The number of standard errors for `pairs` pairs of `n` seeds with any dependence.
pub fn bonferroni(n: usize, pairs: usize, alpha: f64) -> f64 {
    Paired::critical(n, alpha / pairs.max(1) as f64)
}

/// All pairs of several rows, prepared for sign flips.
struct Family<'a> {
    rows: &'a [Vec<Option<f64>>],
    /// The sum of each row with the current signs.
    sums: Vec<f64>,
    pairs: Vec<Pair>,
    seeds: usize,
}

struct Pair {
    i: usize,
    j: usize,
    /// The inverse root of the sum of squared differences; 0 if all are 0.
    scale: f64,
    /// The differences per seed, if one of the rows has missing or infinite values.
    own: Option<Vec<f64>>,
}

impl<'a> Family<'a> {
    fn new(rows: &'a [Vec<Option<f64>>]) -> Self {
        let is_finite: Vec<bool> =
            rows.iter().map(|row| row.iter().all(|x| x.is_some_and(f64::is_finite))).collect();
        let pair = |i: usize, j: usize| {
            let own: Vec<f64> =
                differences(&rows[i], &rows[j]).into_iter().map(|d| d.unwrap_or(0.0)).collect();
            let squares: f64 = own.iter().map(|d| d * d).sum();
            let scale = if squares > 0.0 { 1.0 / squares.sqrt() } else { 0.0 };
            Pair { i, j, scale, own: (!(is_finite[i] && is_finite[j])).then_some(own) }
        };
        let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        Self {
            rows,
            sums: vec![0.0; rows.len()],
            pairs: pairs.map(|(i, j)| pair(i, j)).collect(),
            seeds: rows.iter().map(Vec::len).max().unwrap_or(0),
        }
    }

    /// The statistic of each pair, with the sign of seed s flipped if bit s of `signs` is set. With more than
    /// 64 seeds the bits repeat, which is a coarser but valid set of flips.
    fn statistics(&mut self, signs: u64, found: &mut Vec<f64>) {
        let flipped = |(s, x): (usize, f64)| if signs >> (s % 64) & 1 == 1 { -x } else { x };
        for (sum, row) in self.sums.iter_mut().zip(self.rows) {
            *sum = row.iter().map(|x| x.unwrap_or(0.0)).enumerate().map(flipped).sum();
        }
        found.clear();
        found.extend(self.pairs.iter().map(|pair| {
            let sum = match &pair.own {
                Some(own) => own.iter().copied().enumerate().map(flipped).sum(),
                None => self.sums[pair.i] - self.sums[pair.j],
            };
            sum.abs() * pair.scale
        }));
    }

    /// Calls `see` with the statistics of every sign assignment, or of a sample with a fixed random seed that
    /// includes the observed one. Returns their number.
    fn each_flip(&mut self, mut see: impl FnMut(&[f64])) -> f64 {
        let mut found = Vec::new();
        if self.seeds <= MOST_EXACT {
            // Flipping all signs changes no statistic, so the sign of the last seed is fixed.
            let all = 1u64 << self.seeds.saturating_sub(1);
            for signs in 0..all {
                self.statistics(signs, &mut found);
                see(&found);
            }
            return all as f64;
        }
        let mut random = SplitMix::new(0x101);
        for draw in 0..=SAMPLES {
            self.statistics(if draw == 0 { 0 } else { random.next() }, &mut found);
            see(&found);
        }
        f64::from(SAMPLES) + 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_flip;

    fn some(rows: &[Vec<f64>]) -> Vec<Vec<Option<f64>>> {
        rows.iter().map(|row| row.iter().copied().map(Some).collect()).collect()
    }

    fn random_rows(random: &mut SplitMix, rows: usize, seeds: usize, unit: f64) -> Vec<Vec<f64>> {
        (0..rows).map(|_| (0..seeds).map(|_| random.below(1000) as f64 * unit).collect()).collect()
    }

    #[test]
    fn two_schedules_are_one_sign_flip_test() {
        let a = vec![0.3, -0.1, 0.5, 0.2, 0.4, 0.05, 0.1];
        let p = joint_flips(&some(&[vec![0.0; 7], a.clone()]), |_, _| 1.0)[1][0];
        assert_eq!(Some(p), sign_flip(&a, 1.0).map(|test| test.p));
        assert_eq!(joint_flips(&some(&[vec![1.0; 3], vec![1.0; 3]]), |_, _| 1.0)[1][0], 1.0);
    }

    #[test]
    fn a_clear_difference_reaches_the_floor_among_many() {
        // Six schedules, one very different: with 8 seeds each pair with it reaches 2 / 2^8, others don't.
        let mut losses = random_rows(&mut SplitMix::new(4), 6, 8, 1e-4);
        losses[3].iter_mut().for_each(|x| *x += 5.0);
        let p = joint_flips(&some(&losses), |_, _| 1.0);
        assert!([p[3][0], p[3][1], p[3][2], p[4][3], p[5][3]].iter().all(|p| *p == 2.0 / 256.0), "{p:?}");
        assert!(p[1][0] > 0.05 && p[2][1] > 0.05, "{p:?}");
    }

    #[test]
    fn a_joint_p_value_is_at_least_the_single_one() {
        let mut random = SplitMix::new(9);
        for _ in 0..20 {
            let losses = random_rows(&mut random, 4, 7, 1e-3);
            let p = joint_flips(&some(&losses), |_, _| 1.0);
            for (i, j) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
                let difference: Vec<f64> = losses[i].iter().zip(&losses[j]).map(|(a, b)| a - b).collect();
                assert!(p[i][j] >= sign_flip(&difference, 1.0).expect("a test").p);
            }
        }
    }

    #[test]
    fn diverged_and_missing_runs_take_part() {
        // A schedule that diverged on all 8 seeds is worse than every other one, with the lowest possible
        // p-value.
        let mut rows = some(&random_rows(&mut SplitMix::new(5), 3, 8, 1e-4));
        rows.push(vec![Some(f64::INFINITY); 8]);
        let p = joint_flips(&rows, |_, _| 1.0);
        assert_eq!(p[3], [2.0 / 256.0; 3]);
        // A seed that one of two schedules lacks is ignored.
        let all = joint_flips(&rows[..2], |_, _| 1.0)[1][0];
        rows[1][0] = None;
        let fewer: Vec<f64> = differences(&rows[1], &rows[0]).into_iter().flatten().collect();
        assert_eq!(fewer.len(), 7);
        let p = joint_flips(&rows[..2], |_, _| 1.0)[1][0];
        assert_eq!(Some(p), sign_flip(&fewer, 1.0).map(|test| test.p));
        assert_ne!(p, all);
    }

    #[test]
    fn simultaneous_intervals_are_wider_than_one_and_narrower_than_bonferroni() {
        // Sums of uniform numbers are approximately normal.
        let mut random = SplitMix::new(6);
        let parts: Vec<_> = (0..6).map(|_| random_rows(&mut random, 6, 10, 1e-3)).collect();
        let rows: Vec<Vec<f64>> = (0..6)
            .map(|row| (0..10).map(|seed| parts.iter().map(|part| part[row][seed]).sum()).collect())
            .collect();
        let (one, all) = (Paired::critical(10, 0.05), bonferroni(10, 15, 0.05));
        let found = simultaneous(&rows, 0.05).expect("six rows");
        assert!(one < found && found < all, "{one} {found} {all}");
        // R: qt(1 - 0.05 / 2 / 15, 9) gives 3.954219; Student's qt(0.975, 9) gives 2.262157.
        assert!((one - 2.262_157).abs() < 1e-6 && (all - 3.954_219).abs() < 1e-6, "{one} {all}");
        assert_eq!(simultaneous(&rows[..2], 0.05), Some(one));
        assert_eq!(simultaneous(&rows[..1], 0.05), None);
    }
}
