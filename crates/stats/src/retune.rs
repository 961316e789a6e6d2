//! The retune bootstrap: how stable a comparison is when lrs are chosen again. Seeds are drawn with
//! replacement, the same ones for both schedules, and each draw chooses the config of every schedule again
//! (Efron 1979). It illustrates the stability of the choice and is not a test: with few seeds its shares are
//! overconfident.

use crate::Losses;
use crate::random::SplitMix;

/// The number of draws.
const DRAWS: u32 = 1000;

/// The result of the resampling.
#[derive(Debug, Clone, PartialEq)]
pub struct Retuned {
    /// Share of draws in which the first schedule has the lower mean; ties count half.
    pub ahead: f64,
    /// Share of draws that choose each config of the first schedule.
    pub ours: Vec<f64>,
    /// The same for the second schedule.
    pub theirs: Vec<f64>,
}

/// The best config of a draw: fewest diverged runs, then lowest mean; `None` if no drawn run has ended.
fn best(losses: &Losses, counts: &[u32]) -> Option<(usize, (f64, f64))> {
    let keys = losses.iter().enumerate().filter_map(|(i, losses)| {
        let (mut ended, mut finite, mut sum) = (0, 0, 0.0);
        for (loss, count) in losses.iter().zip(counts) {
            let Some(loss) = loss else { continue };
            ended += count;
            if loss.is_finite() {
                finite += count;
                sum += f64::from(*count) * loss;
            }
        }
        let mean = if finite > 0 { sum / f64::from(finite) } else { f64::INFINITY };
        (ended > 0).then(|| (i, (f64::from(ended - finite) / f64::from(ended), mean)))
    });
    keys.min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)))
}

/// Resamples the seeds of two schedules with losses `[config][seed]`, infinite for diverged runs. `None` for
/// fewer than two seeds or if one schedule has no ended run.
pub fn retune(a: &Losses, b: &Losses) -> Option<Retuned> {
    let seeds = a.iter().chain(b).map(Vec::len).max().filter(|seeds| *seeds > 1)?;
    let mut random = SplitMix::new(0x7e7e);
    let (mut ours, mut theirs) = (vec![0u32; a.len()], vec![0u32; b.len()]);
    let (mut ahead, mut draws) = (0.0, 0u32);
    for _ in 0..DRAWS {
        let mut counts = vec![0u32; seeds];
        for _ in 0..seeds {
            if let Some(count) = counts.get_mut(random.below(seeds)) {
                *count += 1;
            }
        }
        let (Some((i, left)), Some((j, right))) = (best(a, &counts), best(b, &counts)) else { continue };
        ahead += match left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
        draws += 1;
        ours.get_mut(i).map(|count| *count += 1)?;
        theirs.get_mut(j).map(|count| *count += 1)?;
    }
    let share =
        |counts: Vec<u32>| counts.into_iter().map(|count| f64::from(count) / f64::from(draws)).collect();
    (draws > 0).then(|| Retuned { ahead: ahead / f64::from(draws), ours: share(ours), theirs: share(theirs) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(losses: &[f64]) -> Vec<Option<f64>> {
        losses.iter().map(|x| Some(*x)).collect()
    }

    #[test]
    fn a_clear_choice_is_stable_and_a_close_one_is_not() {
        let firm = [some(&[1.0, 1.1, 0.9, 1.0]), some(&[2.0, 2.1, 2.0, 1.9])];
        let loose = [some(&[1.0, 3.0, 1.0, 3.0]), some(&[3.0, 1.0, 3.0, 1.0])];
        let found = retune(&firm, &loose).expect("four seeds");
        assert_eq!((found.ours[0], found.ours[1]), (1.0, 0.0));
        assert!(found.theirs[0] > 0.3 && found.theirs[1] > 0.2, "{found:?}");
        // If all four draws have the same parity of seeds, which happens in 2 / 16, `loose` reaches 1.
        assert!(found.ahead > 0.85 && found.ahead < 0.97, "{found:?}");
        assert_eq!(retune(&firm, &firm).expect("four seeds").ahead, 0.5);
    }

    #[test]
    fn a_diverged_schedule_loses() {
        let lost = [some(&[f64::INFINITY; 3])];
        let found = retune(&lost, &[some(&[9.0; 3])]).expect("three seeds");
        assert_eq!((found.ahead, found.ours), (0.0, vec![1.0]));
        assert_eq!(retune(&[some(&[1.0])], &[some(&[1.0])]), None);
        assert_eq!(retune(&[vec![None, None]], &[some(&[1.0, 2.0])]), None);
    }
}
