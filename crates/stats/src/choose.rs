//! Choosing one of several configs by the numbers that also judge it, without flattering the choice.
//! Cross-fitting: each seed is judged at the config that the other seeds choose (Stone 1974; Varma and Simon 2006, "Bias
//! in error estimation when using cross-validation for model selection"). How far the choice itself varies is seen by
//! making it again on resampled seeds (Efron 1979).

use crate::random::SplitMix;
use crate::summary;

/// Losses of one schedule: `losses[config][seed]`, infinite where the run diverged, `None` where there is none.
pub type Losses = [Vec<Option<f64>>];

/// Which config is best, on all seeds and on all but each one.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// On all seeds.
    pub config: usize,
    /// The loss of each seed at the config that the others choose; with one seed only, at `config`.
    pub by_seed: Vec<Option<f64>>,
}

/// What a config is ordered by: share of runs that diverged, mean of the others. Without any run it is `None`.
fn key(losses: &[Option<f64>], weight: impl Fn(usize) -> f64) -> Option<(f64, f64)> {
    let (mut ended, mut finite, mut sum) = (0.0, 0.0, 0.0);
    for (seed, loss) in losses.iter().enumerate() {
        let Some(loss) = loss else { continue };
        let weight = weight(seed);
        ended += weight;
        if loss.is_finite() && weight > 0.0 {
            finite += weight;
            sum += weight * loss;
        }
    }
    let mean = if finite > 0.0 { sum / finite } else { f64::INFINITY };
    (ended > 0.0).then(|| ((ended - finite) / ended, mean))
}

/// The config with the fewest diverged runs, of these the one with the lowest mean; the first of equals.
fn best(losses: &Losses, weight: impl Fn(usize) -> f64 + Copy) -> Option<(usize, (f64, f64))> {
    let keys = losses.iter().enumerate().filter_map(|(i, losses)| Some((i, key(losses, weight)?)));
    keys.min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)))
}

/// The best config by cross-fitting; `None` where no run has ended.
pub fn cross_fit(losses: &Losses) -> Option<Choice> {
    let (config, _) = best(losses, |_| 1.0)?;
    let seeds = losses.iter().map(Vec::len).max().unwrap_or(0);
    let by_seed = (0..seeds).map(|seed| {
        let without = best(losses, |other| f64::from(u8::from(other != seed)));
        let at = without.map_or(config, |(config, _)| config);
        losses.get(at)?.get(seed).copied().flatten()
    });
    Some(Choice { config, by_seed: by_seed.collect() })
}

/// Resamples for [`retuned_error`].
const RESAMPLES: usize = 1000;

/// Standard error of the difference between two schedules, each at the config that is best on the seeds at hand: seeds
/// are drawn with replacement, the same ones for both, and each draw chooses again. The factor n / (n - 1) makes it that
/// of the usual standard error where there is nothing to choose. `None` for fewer than two seeds, or where draws leave
/// nothing finite to compare.
pub fn retuned_error(a: &Losses, b: &Losses) -> Option<f64> {
    let seeds = a.iter().chain(b).map(Vec::len).max().filter(|seeds| *seeds > 1)?;
    let mut random = SplitMix::new(0x7e7e);
    let mut counts = vec![0.0; seeds];
    let mut differences = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        counts.fill(0.0);
        for _ in 0..seeds {
            if let Some(count) = counts.get_mut(random.below(seeds)) {
                *count += 1.0;
            }
        }
        let mean = |losses| Some(best(losses, |seed| counts.get(seed).copied().unwrap_or(0.0))?.1.1);
        let difference = mean(a).zip(mean(b)).map(|(a, b)| a - b).filter(|difference| difference.is_finite());
        differences.extend(difference);
    }
    // A few draws without a finite loss on one side say nothing; many say that there is nothing to say.
    if differences.len() < RESAMPLES * 9 / 10 {
        return None;
    }
    let n = seeds as f64;
    Some(summary(&differences)?.sd? * (n / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(losses: &[f64]) -> Vec<Option<f64>> {
        losses.iter().map(|x| Some(*x)).collect()
    }

    #[test]
    fn each_seed_is_judged_where_the_others_point() {
        // The first config is best in the mean only because of seed 2.
        let losses = [some(&[2.0, 2.0, 0.0]), some(&[1.5, 1.5, 1.5])];
        let choice = cross_fit(&losses).expect("a choice");
        assert_eq!(choice.config, 0);
        assert_eq!(choice.by_seed, some(&[2.0, 2.0, 1.5]));
        let one = cross_fit(&[some(&[3.0]), some(&[2.0])]).expect("a choice");
        assert_eq!((one.config, one.by_seed), (1, some(&[2.0])));
    }

    #[test]
    fn what_diverges_is_chosen_last_and_what_is_missing_never() {
        let losses = [some(&[0.1, f64::INFINITY]), some(&[5.0, 6.0]), vec![None, None]];
        assert_eq!(cross_fit(&losses).expect("a choice").config, 1);
        assert_eq!(cross_fit(&[vec![None], vec![None]]), None);
        assert_eq!(cross_fit(&[]), None);
    }

    #[test]
    fn without_a_choice_the_error_is_the_usual_one() {
        let (a, b) = ([0.3, -0.1, 0.5, 0.2, 0.4, 0.35, 0.1, 0.05], [0.0; 8]);
        let usual = crate::paired(&a).expect("eight").error;
        let found = retuned_error(&[some(&a)], &[some(&b)]).expect("an error");
        assert!((found / usual - 1.0).abs() < 0.06, "{found} and {usual}");
        // Two configs that are best on other seeds each: the choice varies, and so does the difference.
        let swings = [some(&[0.0, 1.0, 0.0, 1.1]), some(&[1.0, 0.0, 1.1, 0.0])];
        assert!(retuned_error(&swings, &[some(&[0.0; 4])]).expect("an error") > 0.05);
        assert_eq!(retuned_error(&[some(&[1.0])], &[some(&[1.0])]), None);
        let lost = [some(&[f64::INFINITY; 3])];
        assert_eq!(retuned_error(&lost, &[some(&[1.0; 3])]), None);
    }
}
