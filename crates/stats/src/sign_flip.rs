//! The exact sign-flip (randomisation) test for paired differences (Fisher 1935, "The Design of
//! Experiments", section 21; Pitman 1937).

/// Up to so many pairs every assignment of signs is tried.
const MOST_EXACT: usize = 20;

/// Outcome of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// Two-sided p-value.
    pub p: f64,
    /// The lowest p-value that so many pairs can give: 2 / 2^n.
    pub floor: f64,
}

/// Tests whether paired differences centre on 0: the share of all 2^n assignments of signs whose sum is
/// at least as far from 0 as the one seen. `None` without a pair, with a difference that is no number, or
/// with more pairs than are tried exactly (20).
pub fn sign_flip(differences: &[f64]) -> Option<SignFlip> {
    let n = differences.len();
    if n == 0 || n > MOST_EXACT || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let seen = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another sign order may differ in their last bits.
    let slack = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let assignments = 1u32 << n;
    let as_far = (0..assignments)
        .filter(|signs| {
            let flipped =
                differences.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d });
            flipped.sum::<f64>().abs() >= seen - slack
        })
        .count();
    let all = f64::from(assignments);
    Some(SignFlip { p: as_far as f64 / all, floor: (2.0 / all).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.permutation_test(([0.3, -0.1, 0.5, 0.2, 0.4],), lambda x, axis: x.mean(axis),
        //   permutation_type="samples").pvalue, which tries all 2^5 sign flips: 0.125
        let test = sign_flip(&[0.3, -0.1, 0.5, 0.2, 0.4]).expect("five pairs");
        assert_eq!(test, SignFlip { p: 0.125, floor: 0.0625 });
    }

    #[test]
    fn equal_signs_reach_the_floor_and_zeros_reach_one() {
        let test = sign_flip(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("six pairs");
        assert_eq!(test.p, test.floor);
        assert_eq!(test.floor, 0.03125);
        assert_eq!(sign_flip(&[0.0; 4]).map(|t| t.p), Some(1.0));
        assert_eq!(sign_flip(&[1.0]).map(|t| t.floor), Some(1.0));
    }

    #[test]
    fn refuses_what_it_cannot_test() {
        assert_eq!(sign_flip(&[]), None);
        assert_eq!(sign_flip(&[f64::INFINITY, 1.0]), None);
        assert_eq!(sign_flip(&[1.0; 21]), None);
    }
}
