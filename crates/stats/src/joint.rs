//! All pairs of several schedules at once: who is told from whom when any of them may turn out to be the best.
//! Westfall and Young 1993, "Resampling-based multiple testing", step-down maxT, with the signs of each seed flipped
//! jointly.

use crate::random::SplitMix;

/// Up to so many seeds every assignment of signs is tried.
const MOST_EXACT: usize = 14;

/// Beyond, so many random assignments.
const SAMPLES: u32 = 19_999;

/// p-values of all pairs of rows of `losses` (schedule, seed), all finite and equally long, such that comparing each
/// with alpha keeps the chance of any false alarm among all pairs below alpha: `p[i][j]` for `i > j`. The
/// statistic of a pair is the sum of its differences over the root of the sum of their squares. `weight(i, j)` (0 to 1)
/// shrinks the one that was seen, as in [`sign_flip`](crate::sign_flip).
pub fn joint_flips(losses: &[Vec<f64>], weight: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let n = losses.first().map_or(0, Vec::len);
    let pairs: Vec<(usize, usize)> = (0..losses.len()).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
    let scale: Vec<f64> = pairs
        .iter()
        .map(|&(i, j)| {
            let squares: f64 = losses[i].iter().zip(&losses[j]).map(|(a, b)| (a - b) * (a - b)).sum();
            if squares > 0.0 { 1.0 / squares.sqrt() } else { 0.0 }
        })
        .collect();
    let mut sums = vec![0.0; losses.len()];
    let mut statistics = |signs: u64, found: &mut Vec<f64>| {
        for (sum, losses) in sums.iter_mut().zip(losses) {
            *sum = losses
                .iter()
                .enumerate()
                .map(|(s, x)| if signs >> (s % 64) & 1 == 1 { -x } else { *x })
                .sum();
        }
        found.clear();
        found.extend(pairs.iter().zip(&scale).map(|(&(i, j), scale)| (sums[i] - sums[j]).abs() * scale));
    };
    let mut seen = Vec::new();
    statistics(0, &mut seen);
    seen.iter_mut().zip(&pairs).for_each(|(seen, &(i, j))| *seen *= weight(i, j));
    // The least first: a step down leaves out the pairs above.
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by(|&a, &b| seen[a].total_cmp(&seen[b]));
    let mut counts = vec![0u64; pairs.len()];
    let mut found = Vec::new();
    let mut see = |signs: u64| {
        statistics(signs, &mut found);
        let mut highest: f64 = 0.0;
        for &pair in &order {
            highest = highest.max(found[pair]);
            // Sums of the same numbers in another sign order may differ in their last bits.
            counts[pair] += u64::from(highest >= seen[pair] * (1.0 - 1e-12));
        }
    };
    let all = if n <= MOST_EXACT {
        (0..1u64 << n).for_each(&mut see);
        (1u64 << n) as f64
    } else {
        let mut random = SplitMix::new(0x101);
        see(0);
        // More than 64 seeds share their signs in turn: a coarser set of flips, and still a valid one.
        (0..SAMPLES).for_each(|_| see(random.next()));
        f64::from(SAMPLES) + 1.0
    };
    let mut p: Vec<Vec<f64>> = (0..losses.len()).map(|i| vec![1.0; i]).collect();
    let mut highest: f64 = 0.0;
    for &pair in order.iter().rev() {
        highest = highest.max(counts[pair] as f64 / all);
        let (i, j) = pairs[pair];
        p[i][j] = highest;
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_flip;

    #[test]
    fn two_schedules_are_one_sign_flip_test() {
        let a = vec![0.3, -0.1, 0.5, 0.2, 0.4, 0.05, 0.1];
        let p = joint_flips(&[vec![0.0; 7], a.clone()], |_, _| 1.0)[1][0];
        assert_eq!(Some(p), sign_flip(&a, 1.0).map(|test| test.p));
        assert_eq!(joint_flips(&[vec![1.0; 3], vec![1.0; 3]], |_, _| 1.0)[1][0], 1.0);
    }

    #[test]
    fn a_clear_difference_reaches_the_floor_among_many() {
        // Six schedules, one far off: with 8 seeds each pair with it reaches 2 / 2^8, others don't.
        let mut random = SplitMix::new(4);
        let mut losses: Vec<Vec<f64>> =
            (0..6).map(|_| (0..8).map(|_| random.below(1000) as f64 / 1e4).collect()).collect();
        losses[3].iter_mut().for_each(|x| *x += 5.0);
        let p = joint_flips(&losses, |_, _| 1.0);
        assert!([p[3][0], p[3][1], p[3][2], p[4][3], p[5][3]].iter().all(|p| *p == 2.0 / 256.0), "{p:?}");
        assert!(p[1][0] > 0.05 && p[2][1] > 0.05, "{p:?}");
    }

    #[test]
    fn a_pair_is_never_surer_among_others_than_alone() {
        let mut random = SplitMix::new(9);
        for _ in 0..20 {
            let losses: Vec<Vec<f64>> =
                (0..4).map(|_| (0..7).map(|_| random.below(1000) as f64 / 1e3).collect()).collect();
            let p = joint_flips(&losses, |_, _| 1.0);
            for (i, j) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
                let alone: Vec<f64> = losses[i].iter().zip(&losses[j]).map(|(a, b)| a - b).collect();
                assert!(p[i][j] >= sign_flip(&alone, 1.0).expect("a test").p);
            }
        }
    }
}
