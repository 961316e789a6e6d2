//! Chooses one of several configs and evaluates it on the same data without selection bias. Cross-fitting
//! over halves: one half of the seeds chooses, the other half evaluates, and all splits are averaged (Stone
//! 1974; Varma and Simon 2006, "Bias in error estimation when using cross-validation for model selection").
//! Leaving out one seed at a time instead makes nearly the same choice each time and is overconfident: in
//! simulations 18 % of its 95 % intervals missed the true value.

use crate::random::SplitMix;
use crate::{Paired, paired, summary};

/// Losses of one schedule: `losses[config][seed]`. A diverged run is infinite, a missing run is `None`.
pub type Losses = [Vec<Option<f64>>];

/// The best config by all seeds and by each half of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// By all seeds.
    pub config: usize,
    /// By each of the halves, in the order of [`cross_fit`]'s splits.
    pub by_half: Vec<usize>,
    /// The value of each seed: the mean over the choices of the halves that do not contain the seed.
    pub judged: Vec<Option<f64>>,
}

/// The sort key of a config: the fraction of its runs that diverged, and the mean of its other runs at the
/// seeds that count. `None` without any run.
fn key(losses: &[Option<f64>], counts: impl Fn(usize) -> bool) -> Option<(f64, f64)> {
    let (mut ended, mut diverged, mut finite, mut sum) = (0u32, 0u32, 0u32, 0.0);
    for (seed, loss) in losses.iter().enumerate() {
        let Some(loss) = loss else { continue };
        ended += 1;
        if !loss.is_finite() {
            diverged += 1;
        } else if counts(seed) {
            finite += 1;
            sum += loss;
        }
    }
    let mean = if finite > 0 { sum / f64::from(finite) } else { f64::INFINITY };
    (ended > 0).then(|| (f64::from(diverged) / f64::from(ended), mean))
}

/// The config with the fewest diverged runs and then the lowest mean; the first one in a tie.
fn best(losses: &Losses, counts: impl Fn(usize) -> bool + Copy) -> Option<usize> {
    let keys = losses.iter().enumerate().filter_map(|(i, losses)| Some((i, key(losses, counts)?)));
    keys.min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(i, _)| i)
}

/// The maximum number of splits; if there are more, a sample is used.
const MOST_HALVES: usize = 252;

/// The choosing halves (the larger ones if the number of seeds is odd), with `true` for each seed in them.
/// All splits for up to 10 seeds, otherwise a sample with a fixed random seed.
fn halves(seeds: usize) -> Vec<Vec<bool>> {
    if seeds < 2 {
        return Vec::new();
    }
    let choosing = seeds.div_ceil(2);
    if seeds <= 10 {
        let all = (0..1u32 << seeds).filter(|bits| bits.count_ones() as usize == choosing);
        return all.map(|bits| (0..seeds).map(|seed| bits >> seed & 1 == 1).collect()).collect();
    }
    let mut random = SplitMix::new(0x5911);
    let sample = |_| {
        let mut order: Vec<usize> = (0..seeds).collect();
        (1..seeds).rev().for_each(|i| order.swap(i, random.below(i + 1)));
        let mut half = vec![false; seeds];
        order.iter().take(choosing).filter_map(|i| half.get_mut(*i).map(|seed| *seed = true)).count();
        half
    };
    (0..MOST_HALVES).map(sample).collect()
}

/// The best config by `losses`, evaluated by `values` (the same, or another metric of the same runs). `None`
/// if no run has ended. A single seed evaluates its own choice.
pub fn cross_fit(losses: &Losses, values: &Losses) -> Option<Choice> {
    let config = best(losses, |_| true)?;
    let seeds = losses.iter().map(Vec::len).max().unwrap_or(0);
    let value = |config: usize, seed: usize| values.get(config)?.get(seed).copied().flatten();
    let halves = if losses.len() > 1 { halves(seeds) } else { Vec::new() };
    if halves.is_empty() {
        let judged = (0..seeds).map(|seed| value(config, seed)).collect();
        return Some(Choice { config, by_half: Vec::new(), judged });
    }
    let (mut sums, mut counts) = (vec![0.0; seeds], vec![0u32; seeds]);
    let mut by_half = Vec::with_capacity(halves.len());
    for half in &halves {
        let chosen = best(losses, |seed| half.get(seed) == Some(&true)).unwrap_or(config);
        by_half.push(chosen);
        for (seed, (sum, count)) in sums.iter_mut().zip(&mut counts).enumerate() {
            if half.get(seed) == Some(&false)
                && let Some(value) = value(chosen, seed)
            {
                *sum += value;
                *count += 1;
            }
        }
    }
    let judged = sums.iter().zip(counts).map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)));
    Some(Choice { config, by_half, judged: judged.collect() })
}

/// Standard error of the mean paired difference of two schedules whose configs were chosen by the same seeds,
/// by the law of total variance over the halves: the mean of the squared standard errors at the chosen
/// configs, plus the variance of the means. `None` if there was no choice, or if a run diverged or is
/// missing.
pub fn choice_error(a: (&Losses, &Choice), b: (&Losses, &Choice)) -> Option<f64> {
    let halves = a.1.by_half.len().max(b.1.by_half.len());
    let chosen = |choice: &Choice, half: usize| choice.by_half.get(half).copied().unwrap_or(choice.config);
    let mut known: Vec<((usize, usize), Paired)> = Vec::new();
    let (mut variance, mut means) = (0.0, Vec::with_capacity(halves));
    for half in 0..halves {
        let at = (chosen(a.1, half), chosen(b.1, half));
        let found = match known.iter().find(|(pair, _)| *pair == at) {
            Some((_, paired)) => *paired,
            None => {
                let both = a.0.get(at.0)?.iter().zip(b.0.get(at.1)?);
                let differences: Option<Vec<f64>> = both.map(|(a, b)| Some((*a)? - (*b)?)).collect();
                let found = paired(&differences?)?;
                known.push((at, found));
                found
            }
        };
        variance += found.error * found.error / halves as f64;
        means.push(found.mean);
    }
    let spread = summary(&means)?.sd.unwrap_or(0.0);
    Some((variance + spread * spread).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(losses: &[f64]) -> Vec<Option<f64>> {
        losses.iter().map(|x| Some(*x)).collect()
    }

    fn choose(losses: &Losses) -> Option<Choice> {
        cross_fit(losses, losses)
    }

    #[test]
    fn each_half_is_evaluated_by_the_other() {
        // Two seeds: each evaluates the choice of the other.
        let losses = [some(&[1.0, 5.0]), some(&[2.0, 3.0])];
        let choice = choose(&losses).expect("a choice");
        assert_eq!((choice.config, choice.by_half.as_slice()), (1, &[0, 1][..]));
        assert_eq!(choice.judged, some(&[2.0, 5.0]));
        let one = choose(&[some(&[3.0]), some(&[2.0])]).expect("a choice");
        assert_eq!((one.config, one.judged), (1, some(&[2.0])));
        // Four seeds have six halves; a config that is best on all seeds is always chosen.
        let clear = choose(&[some(&[1.0; 4]), some(&[2.0; 4])]).expect("a choice");
        assert_eq!((clear.by_half, clear.judged), (vec![0; 6], some(&[1.0; 4])));
    }

    #[test]
    fn diverged_configs_are_chosen_last_and_missing_ones_never() {
        let losses = [some(&[0.1, f64::INFINITY]), some(&[5.0, 6.0]), vec![None, None]];
        assert_eq!(choose(&losses).expect("a choice").config, 1);
        assert_eq!(choose(&[vec![None], vec![None]]), None);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn halves_are_sampled_evenly() {
        assert_eq!(halves(10).len(), MOST_HALVES);
        let sample = halves(13);
        assert!(sample.iter().all(|half| half.iter().filter(|chooses| **chooses).count() == 7));
        for seed in 0..13 {
            let chosen = sample.iter().filter(|half| half[seed]).count();
            assert!((105..170).contains(&chosen), "seed {seed} chooses in {chosen} of 252");
        }
    }

    #[test]
    fn the_error_grows_with_the_uncertainty_of_the_choice() {
        let zeros = [some(&[0.0; 4])];
        let none = choose(&zeros).expect("a choice");
        let steady = [some(&[0.0, 0.2, 0.1, 0.1]), some(&[9.0; 4])];
        let own = choose(&steady).expect("a choice");
        let error = choice_error((&steady, &own), (&zeros, &none)).expect("an error");
        assert!((error - paired(&[0.0, 0.2, 0.1, 0.1]).expect("four").error).abs() < 1e-12);
        // Each config is best on different seeds and the means differ, so the choice changes the mean.
        let swings = [some(&[0.0, 1.0, 0.0, 1.2]), some(&[1.4, 0.4, 1.5, 0.4])];
        let own = choose(&swings).expect("a choice");
        let error = choice_error((&swings, &own), (&zeros, &none)).expect("an error");
        assert!(error > 1.05 * paired(&[0.0, 1.0, 0.0, 1.2]).expect("four").error, "{error}");
        assert_eq!(choice_error((&zeros, &none), (&zeros, &none)), None);
    }
}
