//! Evidence against "these differences are symmetric around a point" that may be read after every difference: an e-process, and the
//! confidence sequence that it gives.
//!
//! Testing by betting (Shafer 2021, "Testing by betting"; Ramdas, Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe
//! anytime-valid inference"; Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"). Under the null the
//! sign of a difference is a fair coin, for any size of it and any differences before. A bet of the share b of the wealth on the sign
//! multiplies the wealth by 1 + b or 1 - b, so the expected wealth stays 1, and it ever reaches 1 / alpha with a probability of at most
//! alpha (Ville 1939). The bet is b = tanh(c z): then 1 + b = 2 exp(c z) / (exp(c z) + exp(-c z)), the likelihood ratio of the sign for
//! normal differences. z is the difference divided by the root mean square of the differences up to and including it, so the unit of the
//! differences does not matter. The wealth is the mean over several c, half of it on either sign (the method of mixtures, Robbins 1970).

/// The bets: c, and the part of the wealth on it. The best c for normal differences with a mean of d standard deviations is
/// d sqrt(1 + d^2): these are the best for 0.8 and for 1.9.
const BETS: [(f64, f64); 2] = [(1.0, 0.5), (4.0, 0.5)];

/// The wealth after each of these differences, from 1: the e-values for a symmetric distribution around 0, in the order in which the
/// differences were made. Infinite differences (a diverged run) count by their sign, more than all finite ones before; a difference
/// that is not a number counts as 0.
pub fn e_process(differences: &[f64]) -> Vec<f64> {
    let mut wealth = Wealth::new();
    differences.iter().map(|difference| wealth.bet(*difference)).collect()
}

/// A wealth above this is not counted, so that sums of wealths stay finite.
const MOST: f64 = 1e300;

/// The wealth in one mixture of bets.
#[derive(Debug, Clone, Copy)]
struct Wealth {
    /// Number of differences, and number and sum of squares of the finite ones.
    seen: u32,
    finite: u32,
    squares: f64,
    /// The wealth in each bet on a positive and on a negative sign.
    positive: [f64; BETS.len()],
    negative: [f64; BETS.len()],
}

impl Wealth {
    fn new() -> Self {
        Self { seen: 0, finite: 0, squares: 0.0, positive: [1.0; BETS.len()], negative: [1.0; BETS.len()] }
    }

    /// Bets on the sign of the next difference. Returns the wealth after it.
    fn bet(&mut self, difference: f64) -> f64 {
        let z = self.scaled(difference);
        let each = BETS.iter().zip(self.positive.iter_mut().zip(&mut self.negative));
        let mut sum = 0.0;
        for ((size, part), (positive, negative)) in each {
            let share = (size * z).tanh();
            *positive = (*positive * (1.0 + share)).min(MOST);
            *negative = (*negative * (1.0 - share)).min(MOST);
            sum += 0.5 * part * (*positive + *negative);
        }
        sum
    }

    /// The difference in units of the root mean square of those up to and including it.
    fn scaled(&mut self, difference: f64) -> f64 {
        self.seen += 1;
        if difference.is_infinite() {
            return difference.signum() * f64::from(self.seen).sqrt();
        }
        let difference = if difference.is_nan() { 0.0 } else { difference };
        self.finite += 1;
        self.squares += difference * difference;
        let scale = (self.squares / f64::from(self.finite)).sqrt();
        if scale > 0.0 { difference / scale } else { 0.0 }
    }
}

/// The highest e-value so far against a distribution that is symmetric around `center`.
pub fn highest_e(differences: &[f64], center: f64) -> f64 {
    let mut wealth = Wealth::new();
    differences.iter().map(|difference| wealth.bet(difference - center)).fold(1.0, f64::max)
}

/// Steps of the search for an end of an interval, outwards: each is this much further from the middle.
const STEP: f64 = 1.1;

/// The furthest place of that search, in standard deviations.
const FURTHEST: f64 = 1000.0;

/// The interval of all points that no e-value so far reaches `threshold` against, for finite differences: with a probability of at least
/// 1 - 1 / threshold it contains the center of their symmetric distribution after every number of differences (a confidence sequence,
/// Robbins 1970; by inverting e-processes, Waudby-Smith and Ramdas 2024). `None` if it is not bounded.
pub fn confidence_sequence(differences: &[f64], threshold: f64) -> Option<(f64, f64)> {
    let summary = crate::summary(differences)?;
    let (middle, sd) = (summary.mean, summary.sd?);
    let is_out = |center: f64| highest_e(differences, center) >= threshold;
    if sd <= 0.0 {
        let other = middle + middle.abs().max(1.0);
        return is_out(other).then_some((middle, middle));
    }
    let end = |direction: f64| {
        let place = |distance: f64| middle + direction * distance * sd;
        let mut out = FURTHEST;
        if !is_out(place(out)) {
            return None;
        }
        // From outside, because the points that are not excluded need not be an interval.
        while out > 1e-3 && is_out(place(out / STEP)) {
            out /= STEP;
        }
        let mut inside = out / STEP;
        for _ in 0..24 {
            let between = 0.5 * (inside + out);
            *(if is_out(place(between)) { &mut out } else { &mut inside }) = between;
        }
        Some(place(out))
    };
    end(-1.0).zip(end(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Normal;

    const SWEEPS: usize = 4000;

    /// In how many of `SWEEPS` sequences of `n` differences the e-value reaches 20 after one of the first `n` differences.
    fn found(n: usize, mut draw: impl FnMut(usize) -> f64) -> usize {
        let mut found = 0;
        for _ in 0..SWEEPS {
            let differences: Vec<f64> = (0..n).map(&mut draw).collect();
            found += usize::from(highest_e(&differences, 0.0) >= 20.0);
        }
        found
    }

    #[test]
    fn every_bet_is_fair() {
        assert!((BETS.iter().map(|(_, part)| part).sum::<f64>() - 1.0).abs() < 1e-12);
        // The mean wealth over all signs of the same sizes is 1, after every difference.
        let sizes = [0.3, 2.0, 0.1, 0.0, 5.0, f64::INFINITY, 1.0];
        for n in 1..=sizes.len() {
            let signed = |signs: u32| -> Vec<f64> {
                (0..n).map(|i| if signs >> i & 1 == 1 { -sizes[i] } else { sizes[i] }).collect()
            };
            let last = |signs| e_process(&signed(signs)).last().copied().expect("an e-value");
            let mean = (0..1 << n).map(last).sum::<f64>() / f64::from(1u32 << n);
            assert!((mean - 1.0).abs() < 1e-12, "{n}: {mean}");
        }
    }

    /// For any distribution, if it is symmetric. The differences may also depend on those before, as long as signs are fair.
    #[test]
    fn differences_around_0_are_rarely_found_at_any_time() {
        let mut random = Normal::new(1);
        let normal = found(40, |_| random.draw());
        let mut random = Normal::new(2);
        let cauchy = found(40, |_| random.draw() / random.draw());
        let mut random = Normal::new(3);
        let signs = found(40, |_| random.draw().signum());
        let mut random = Normal::new(4);
        let growing = found(40, |i| random.draw() * 1.5f64.powi(i as i32));
        println!(
            "e-process, 40 differences, found of {SWEEPS}: normal {normal}, Cauchy {cauchy}, signs {signs}, growing {growing}"
        );
        for wrong in [normal, cauchy, signs, growing] {
            assert!(wrong <= SWEEPS / 20, "{wrong} of {SWEEPS}");
        }
    }

    /// The table of what adding seeds finds by 8 and by 20 of them.
    #[test]
    fn differences_are_found_soon() {
        for (d, by_8, by_20) in [(0.5, 0.08, 0.24), (1.0, 0.34, 0.84), (2.0, 0.90, 1.0)] {
            let share = |n| {
                let mut random = Normal::new(5);
                found(n, |_| d + random.draw()) as f64 / SWEEPS as f64
            };
            let (at_8, at_20) = (share(8), share(20));
            println!("e-process, {d} standard deviations: found in {at_8:.3} by 8, in {at_20:.3} by 20");
            assert!(at_8 >= by_8 && at_20 >= by_20 - 0.001, "{d}: {at_8} {at_20}");
        }
    }

    #[test]
    fn the_unit_does_not_matter() {
        let differences = [0.3, -0.1, 0.5, 0.2, 0.4];
        let scaled = differences.map(|d| d * 1024.0);
        assert_eq!(e_process(&differences), e_process(&scaled));
        let negative = differences.map(|d: f64| -d);
        let (ours, theirs) = (e_process(&differences), e_process(&negative));
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-12), "{ours:?} {theirs:?}");
        assert_eq!(e_process(&[0.0, 0.0]), [1.0, 1.0]);
        assert_eq!(e_process(&[]), Vec::<f64>::new());
        assert!(e_process(&[f64::NAN])[0] == 1.0 && e_process(&[f64::INFINITY; 3000])[2999].is_finite());
    }

    #[test]
    fn the_confidence_sequence_contains_the_center_at_all_times() {
        let mut random = Normal::new(6);
        let (mut held, sweeps) = (0, 300);
        for _ in 0..sweeps {
            let differences: Vec<f64> = (0..24).map(|_| 0.7 + random.draw()).collect();
            let holds = |n: usize| {
                confidence_sequence(&differences[..n], 20.0).is_none_or(|(low, high)| low < 0.7 && 0.7 < high)
            };
            held += usize::from((6..=24).step_by(3).all(holds));
        }
        assert!(held * 100 >= sweeps * 95, "{held} of {sweeps}");
        let differences = [0.3, -0.1, 0.5, 0.2, 0.4, 0.35, 0.25, 0.1];
        let (low, high) = confidence_sequence(&differences, 20.0).expect("eight differences");
        assert!(low < 0.25 && 0.25 < high, "{low} {high}");
        assert!(highest_e(&differences, low) >= 20.0 && highest_e(&differences, high) >= 20.0);
        assert_eq!(confidence_sequence(&differences[..4], 20.0), None);
        assert_eq!(confidence_sequence(&[1.0; 8], 20.0), Some((1.0, 1.0)));
        assert_eq!(confidence_sequence(&[1.0; 3], 20.0), None);
    }
}
