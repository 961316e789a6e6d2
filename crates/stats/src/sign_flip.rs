//! The exact sign-flip (randomisation) test for paired differences (Fisher 1935, "The Design of
//! Experiments", section 21; Pitman 1937).

use crate::random::SplitMix;

/// Up to this many pairs, all sign assignments are used.
const MOST_EXACT: usize = 20;

/// The number of random sign assignments for more pairs.
const SAMPLES: u32 = 99_999;

/// Outcome of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// Two-sided p-value.
    pub p: f64,
    /// The lowest possible p-value for this number of pairs: 2 / 2^n, or 1 / (samples + 1).
    pub floor: f64,
}

/// Tests whether paired differences are centred on 0. The p-value is the fraction of all 2^n sign assignments
/// whose sum is at least as far from 0 as the observed sum. With more than 20 pairs it is the fraction among
/// 99,999 random assignments with a fixed random seed and the observed one (Phipson and Smyth 2010,
/// "Permutation p-values should never be zero"). `None` without pairs or if a difference is not finite.
/// `weight` (0 to 1) shrinks the observed sum: it is the part of the standard error that comes from the
/// differences, if the choice of configs adds to it.
pub fn sign_flip(differences: &[f64], weight: f64) -> Option<SignFlip> {
    let n = differences.len();
    if n == 0 || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let seen = weight * differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order can differ in their last bits.
    let least = seen - 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    if n > MOST_EXACT {
        let (mut random, tables) = (SplitMix::new(0x5eed), byte_sums(differences));
        let as_far = (0..SAMPLES).filter(|_| flipped(&mut random, &tables).abs() >= least).count();
        let all = f64::from(SAMPLES) + 1.0;
        return Some(SignFlip { p: (as_far as f64 + 1.0) / all, floor: 1.0 / all });
    }
    let (as_far, all) = count_as_far(differences, least);
    Some(SignFlip { p: as_far as f64 / all as f64, floor: 1.0 / all as f64 })
}

/// The number of sign assignments whose sum is at least `least` from 0, and the number of all. Flipping all signs changes no distance,
/// so the sign of the last difference is fixed. Each sum is one of the first half of the differences plus one of the second:
/// with the sums of the second half in order, the partners of a sum of the first half are at both ends (Horowitz and Sahni 1974).
fn count_as_far(differences: &[f64], least: f64) -> (usize, usize) {
    let (last, free) = differences.split_last().map_or((0.0, differences), |(last, free)| (*last, free));
    let (first, second) = free.split_at(free.len() / 2);
    let (first, mut second) = (signed_sums(0.0, first), signed_sums(last, second));
    second.sort_by(f64::total_cmp);
    let all = first.len() * second.len();
    if least <= 0.0 {
        return (all, all);
    }
    let partners = |sum: &f64| {
        let low = second.partition_point(|other| sum + other <= -least);
        let high = second.partition_point(|other| sum + other < least);
        low + second.len() - high
    };
    (first.iter().map(partners).sum(), all)
}

/// `start` plus the sum of the numbers, for all 2^n assignments of signs.
fn signed_sums(start: f64, numbers: &[f64]) -> Vec<f64> {
    numbers.iter().fold(vec![start], |sums, x| sums.iter().flat_map(|sum| [sum + x, sum - x]).collect())
}

/// Differences of two schedules per seed, `ours` minus `theirs`; `None` if one of them has no value. If any
/// value of the two schedules is infinite (a diverged run), only the order counts: 1, -1 or 0 at every seed.
pub fn differences(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<Option<f64>> {
    let both: Vec<Option<(f64, f64)>> = ours.iter().zip(theirs).map(|(a, b)| (*a).zip(*b)).collect();
    let is_finite = both.iter().flatten().all(|(a, b)| a.is_finite() && b.is_finite());
    let difference = |(a, b): (f64, f64)| {
        if is_finite { a - b } else { f64::from(i8::from(a > b) - i8::from(a < b)) }
    };
    both.into_iter().map(|pair| pair.map(difference)).collect()
}

/// For each 8 differences: their sum with each assignment of signs, bit i of the index for difference i.
fn byte_sums(differences: &[f64]) -> Vec<[f64; 256]> {
    let signed = |bits: usize, (i, d): (usize, &f64)| if bits >> i & 1 == 1 { -d } else { *d };
    let sum = |chunk: &[f64], bits| chunk.iter().enumerate().map(|pair| signed(bits, pair)).sum();
    differences.chunks(8).map(|chunk| std::array::from_fn(|bits| sum(chunk, bits))).collect()
}

/// The sum of the differences with random signs.
fn flipped(random: &mut SplitMix, tables: &[[f64; 256]]) -> f64 {
    let mut sum = 0.0;
    for word in tables.chunks(8) {
        let signs = random.next().to_le_bytes();
        sum += word.iter().zip(signs).map(|(table, byte)| table[usize::from(byte)]).sum::<f64>();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.permutation_test(([0.3, -0.1, 0.5, 0.2, 0.4],), lambda x, axis: x.mean(axis),
        //   permutation_type="samples").pvalue, which tries all 2^5 sign flips: 0.125
        let test = sign_flip(&[0.3, -0.1, 0.5, 0.2, 0.4], 1.0).expect("five pairs");
        assert_eq!(test, SignFlip { p: 0.125, floor: 0.0625 });
    }

    #[test]
    fn equal_signs_reach_the_floor_and_zeros_reach_one() {
        let test = sign_flip(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1.0).expect("six pairs");
        assert_eq!(test.p, test.floor);
        assert_eq!(test.floor, 0.03125);
        assert_eq!(sign_flip(&[0.0; 4], 1.0).map(|t| t.p), Some(1.0));
        assert_eq!(sign_flip(&[1.0], 1.0).map(|t| t.floor), Some(1.0));
    }

    #[test]
    fn counting_by_halves_agrees_with_trying_all_signs() {
        let mut random = SplitMix::new(1);
        for n in 1..14 {
            // Small whole numbers, so that many sums are equal.
            let differences: Vec<f64> = (0..n).map(|_| (random.next() % 9) as f64 - 4.0).collect();
            let sum = |signs: u32| -> f64 {
                differences.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).sum()
            };
            let (all, seen) = (1u32 << n, sum(0).abs());
            let as_far = (0..all).filter(|signs| sum(*signs).abs() >= seen).count();
            let expected = as_far as f64 / f64::from(all);
            assert_eq!(sign_flip(&differences, 1.0).map(|test| test.p), Some(expected), "{differences:?}");
        }
    }

    #[test]
    fn returns_none_without_finite_differences() {
        assert_eq!(sign_flip(&[], 1.0), None);
        assert_eq!(sign_flip(&[f64::INFINITY, 1.0], 1.0), None);
    }

    #[test]
    fn many_pairs_are_sampled_close_to_the_exact_value() {
        // Sums of 24 signs: P(|S| >= 10) = 2 sum over k >= 17 of C(24, k) / 2^24 = 0.063914...
        let mut differences = [1.0; 24];
        differences[..7].fill(-1.0);
        let test = sign_flip(&differences, 1.0).expect("24 pairs");
        assert!((test.p - 0.063_914).abs() < 0.003, "{test:?}");
        let test = sign_flip(&[1.0; 30], 1.0).expect("30 pairs");
        assert_eq!((test.p, test.floor), (1e-5, 1e-5));
    }
}
