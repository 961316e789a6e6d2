//! E-values of all pairs of schedules together: evidence that two schedules differ, valid at any number of seeds and after any rule that
//! stops seeds. `stats` has the e-process of one pair; `family` makes verdicts of the e-values. docs/explanation/methods.md proves that the
//! adjustment holds.

use stats::e_process;

/// E-values by pair: `e[i][j]` for i > j.
pub(crate) type ByPair = Vec<Vec<f64>>;

/// The e-processes of all pairs.
pub(crate) struct Processes {
    /// `pairs[i][j]` for i > j: the e-value after each seed that both have, up to the first seed that one of them lacks.
    pairs: Vec<Vec<Vec<f64>>>,
    /// The largest number of seeds of a pair.
    seeds: usize,
}

impl Processes {
    /// The processes of these schedules, by their value at each seed.
    pub(crate) fn new(rows: &[&[Option<f64>]]) -> Self {
        let of = |i: usize, j: usize| {
            let (ours, theirs) = (rows.get(i).copied(), rows.get(j).copied());
            e_process(&differences(ours.unwrap_or_default(), theirs.unwrap_or_default()))
        };
        let pairs: Vec<Vec<Vec<f64>>> = (0..rows.len()).map(|i| (0..i).map(|j| of(i, j)).collect()).collect();
        let seeds = pairs.iter().flatten().map(Vec::len).max().unwrap_or(0);
        Self { pairs, seeds }
    }

    /// The e-values after `seeds` seeds. A pair with fewer keeps its last value, as one that gets no more seeds.
    pub(crate) fn at(&self, seeds: usize, own: impl Fn(usize) -> usize) -> ByPair {
        let value = |i: usize, j: usize, pair: &Vec<f64>| {
            let reached = seeds.min(own(i)).min(own(j)).min(pair.len());
            reached.checked_sub(1).and_then(|at| pair.get(at)).copied().unwrap_or(1.0)
        };
        let row = |(i, row): (usize, &Vec<Vec<f64>>)| {
            row.iter().enumerate().map(|(j, pair)| value(i, j, pair)).collect()
        };
        self.pairs.iter().enumerate().map(row).collect()
    }

    /// The highest adjusted e-value of each pair after any number of seeds, and the highest of the single pair.
    pub(crate) fn highest(&self) -> (ByPair, ByPair) {
        let none: ByPair = self.pairs.iter().map(|row| vec![1.0; row.len()]).collect();
        let (mut all, mut single) = (none.clone(), none);
        for seeds in 1..=self.seeds {
            let now = self.at(seeds, |_| usize::MAX);
            raise(&mut all, &adjusted(&now));
            raise(&mut single, &now);
        }
        (all, single)
    }
}

/// Replaces e-values by higher ones.
pub(crate) fn raise(highest: &mut [Vec<f64>], now: &[Vec<f64>]) {
    for (highest, now) in highest.iter_mut().flatten().zip(now.iter().flatten()) {
        *highest = highest.max(*now);
    }
}

/// Differences at the seeds that both have, up to the first that one of them lacks. A diverged run is worse than any other by an infinite
/// difference, and equal to another diverged one.
pub(crate) fn differences(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<f64> {
    let both = ours.iter().zip(theirs).map_while(|(a, b)| (*a).zip(*b));
    both.map(|(a, b)| if a == b { 0.0 } else { a - b }).collect()
}

/// The e-values adjusted for all pairs. Comparing each with 1 / alpha keeps the chance of any false positive among all pairs below alpha.
///
/// Equality is transitive: whichever schedules are equal, they form groups. For every way of grouping the schedules, the mean over the
/// grouped schedules i of the mean of e(i, j) over the others of i's group is an e-value of "exactly these are equal". A pair's adjusted
/// e-value is a lower bound of the lowest of these means among all groupings that put the two together (closed testing with means of
/// e-values, Vovk and Wang 2021, "E-values: calibration, combination and applications", with logically possible hypotheses only, Shaffer
/// 1986). Two schedules keep their e-value; equal evidence e of one schedule against all m - 1 others becomes about 2 e / m at worst.
pub(crate) fn adjusted(e: &[Vec<f64>]) -> ByPair {
    let all = e.len();
    let value =
        |i: usize, j: usize| e.get(i.max(j)).and_then(|row| row.get(i.min(j))).copied().unwrap_or(1.0);
    // The other schedules by their evidence against i, lowest first.
    let others: Vec<Vec<(f64, usize)>> = (0..all)
        .map(|i| {
            let mut row: Vec<(f64, usize)> = (0..all).filter(|j| *j != i).map(|j| (value(i, j), j)).collect();
            row.sort_by(|a, b| a.0.total_cmp(&b.0));
            row
        })
        .collect();
    // The lowest mean of e(i, .) over any group with j.
    let with = |i: usize, j: usize| {
        let rest = others.get(i).into_iter().flatten().filter(|(_, other)| *other != j);
        lowest_mean(value(i, j), 1, rest.map(|(e, _)| *e))
    };
    // The lowest that a further schedule adds: its group is at least one other.
    let mut least: Vec<(f64, usize)> =
        others.iter().enumerate().filter_map(|(i, row)| Some((row.first()?.0, i))).collect();
    least.sort_by(|a, b| a.0.total_cmp(&b.0));
    let pair = |i: usize, j: usize| {
        let rest = least.iter().filter(|(_, other)| *other != i && *other != j).map(|(e, _)| *e);
        lowest_mean(with(i, j) + with(j, i), 2, rest)
    };
    (0..all).map(|i| (0..i).map(|j| pair(i, j)).collect()).collect()
}

/// The lowest mean of `count` numbers with this sum and any of the others, which are in ascending order.
fn lowest_mean(sum: f64, count: usize, others: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (sum, count as f64);
    for other in others {
        if other * count >= sum {
            break;
        }
        sum += other;
        count += 1.0;
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to group this many schedules, as the group of each.
    fn groupings(schedules: usize) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for _ in 0..schedules {
            let longer = |groups: &Vec<usize>| {
                let new = groups.iter().max().map_or(0, |most| most + 1);
                (0..=new).map(|group| [groups.as_slice(), &[group]].concat()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }

    /// The e-value of "exactly the schedules of a group are equal"; `None` if no two are.
    fn of_grouping(groups: &[usize], e: &[Vec<f64>]) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for i in 0..groups.len() {
            let others: Vec<f64> = (0..groups.len())
                .filter(|j| *j != i && groups[*j] == groups[i])
                .map(|j| e[i.max(j)][i.min(j)])
                .collect();
            if !others.is_empty() {
                sum += others.iter().sum::<f64>() / others.len() as f64;
                count += 1;
            }
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    #[test]
    fn an_adjusted_e_value_is_below_those_of_all_groupings() {
        let mut random = stats::random::SplitMix::new(3);
        let mut tight = 0;
        for schedules in [2, 3, 5] {
            for _ in 0..40 {
                let mut draw = |_| [0.1, 0.5, 1.0, 30.0, 900.0][random.below(5)];
                let e: ByPair = (0..schedules).map(|i| (0..i).map(&mut draw).collect()).collect();
                let found = adjusted(&e);
                for (i, j) in (0..schedules).flat_map(|i| (0..i).map(move |j| (i, j))) {
                    let together = groupings(schedules).into_iter().filter(|groups| groups[i] == groups[j]);
                    let lowest = together
                        .filter_map(|groups| of_grouping(&groups, &e))
                        .reduce(f64::min)
                        .expect("some");
                    assert!(found[i][j] <= lowest * (1.0 + 1e-12), "{e:?}: {} {lowest}", found[i][j]);
                    tight += usize::from(found[i][j] > 0.999 * lowest);
                }
            }
        }
        assert!(tight > 200, "{tight}");
    }

    #[test]
    fn two_schedules_keep_their_e_value_and_evidence_against_all_others_is_shared() {
        assert_eq!(adjusted(&[vec![], vec![50.0]]), [vec![], vec![50.0]]);
        // The last of 8 differs from all others.
        let mut e: ByPair = (0..8).map(|i| vec![0.0; i]).collect();
        e[7] = vec![400.0; 7];
        let found = adjusted(&e);
        assert!(found[7].iter().all(|e| (e - 400.0 * (1.0 + 1.0 / 7.0) / 8.0).abs() < 1e-9), "{found:?}");
        assert_eq!(found[3][1], 0.0);
    }

    #[test]
    fn a_seed_that_one_lacks_ends_the_evidence() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let ours = [some(&[1.0, 2.0]), vec![None], some(&[9.0])].concat();
        assert_eq!(differences(&ours, &some(&[0.5; 4])), [0.5, 1.5]);
        let lost = [Some(f64::INFINITY); 3];
        assert_eq!(differences(&lost, &some(&[0.5; 2])), [f64::INFINITY; 2]);
        assert_eq!(differences(&lost, &lost), [0.0; 3]);
    }
}
