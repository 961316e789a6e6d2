//! Tests all pairs of the ranked schedules together, and gives each pair its verdict. The ranking, a comparison of two
//! schedules and the report read the verdicts from here. `pair` computes the differences of one pair;
//! docs/explanation/methods.md describes the methods.

use spec::looks::Looks;
use stats::{Choice, Losses, Paired, bonferroni, choice_error, joint_flips, simultaneous};
use stats::{confidence_sequence, highest_e};

use crate::anytime::{Processes, differences};
use crate::pair::{ALPHA, Pair, pair, untested};
use crate::score::Direction;

/// The result of comparing one schedule with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first line of a ranking, which is not compared.
    First,
    /// Significantly better.
    Better,
    /// Significantly worse.
    Worse,
    /// The difference is within ±rope, the region of practical equivalence.
    Equivalent,
    /// Both have the same value on every seed.
    Same,
    /// None of these.
    Undecided,
}

impl Verdict {
    /// The name in outputs for programs.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::First => "first",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Equivalent => "equivalent",
            Verdict::Same => "same",
            Verdict::Undecided => "undecided",
        }
    }

    /// The verdict with the two schedules exchanged.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Verdict::Better => Verdict::Worse,
            Verdict::Worse => Verdict::Better,
            other => other,
        }
    }
}

/// A schedule of the family.
pub(crate) struct Member<'a> {
    /// Its value for each seed; infinite if the run diverged.
    pub judged: &'a [Option<f64>],
    /// Values of all its configs, and the choice among them, if the same seeds choose and judge.
    pub chosen: Option<(&'a Losses, &'a Choice)>,
}

/// All pairs of a set of schedules.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    /// `pairs[i][j]` for i > j: schedule i against schedule j.
    pairs: Vec<Vec<Pair>>,
    /// `verdicts[i][j]` for i > j.
    verdicts: Vec<Vec<Verdict>>,
    /// The two-sided level at which an unadjusted interval of one pair is as wide as its simultaneous interval; 0.05 if there
    /// is only one pair.
    pub level: f64,
}

impl Family {
    /// Tests all pairs of `members`. Without `decides`, all verdicts are undecided: the seeds only chose configs. Differences
    /// within ±`rope` count as equivalent.
    pub(crate) fn new(
        members: &[Member<'_>],
        direction: Direction,
        decides: bool,
        rope: Option<f64>,
    ) -> Self {
        let mut pairs = tested(members, direction);
        let among_all = AmongAll::new(members, ALPHA);
        for pair in pairs.iter_mut().flatten() {
            let interval = pair.paired().map(|paired| paired.interval(among_all.critical(pair.n)));
            pair.interval = interval.zip(pair.p).map(|(interval, p)| compatible(interval, p));
        }
        let level = among_all.level();
        let verdict = |pair: &Pair, (i, j): (usize, usize)| match (members.get(i), members.get(j)) {
            (Some(a), Some(b)) if decides && is_same(a, b) => Verdict::Same,
            (Some(_), Some(_)) if decides => conclude(pair, direction, rope, level),
            _ => Verdict::Undecided,
        };
        let verdicts = pairs
            .iter()
            .enumerate()
            .map(|(i, row)| row.iter().enumerate().map(|(j, pair)| verdict(pair, (i, j))).collect())
            .collect();
        Self { pairs, verdicts, level }
    }

    /// Tests all pairs of `members` at each planned look. A pair takes part in a look if both have a value at each of its seeds; after
    /// that it keeps its result. Its p-value is the lowest of its looks, each divided by the look's share of alpha (a weighted
    /// Bonferroni correction over looks, valid for every rule that stops seeds). Its difference and its interval are those of its last look;
    /// the interval has the level that this look spends (a repeated confidence interval, Jennison and Turnbull 1989).
    pub(crate) fn at_looks(
        members: &[Member<'_>],
        direction: Direction,
        looks: &Looks,
        rope: Option<f64>,
    ) -> Self {
        if looks.is_any_time() {
            return Self::at_any_time(members, direction, rope);
        }
        let mut family = Self {
            pairs: (0..members.len()).map(|i| vec![Pair::default(); i]).collect(),
            verdicts: (0..members.len()).map(|i| vec![Verdict::Undecided; i]).collect(),
            level: ALPHA,
        };
        for (seeds, share) in looks.seeds.iter().zip(looks.shares()) {
            let seeds = usize::try_from(*seeds).unwrap_or(usize::MAX);
            let cut = |member: &Member<'_>| member.judged.iter().take(seeds).copied().collect();
            let rows: Vec<Vec<Option<f64>>> = members.iter().map(cut).collect();
            let is_complete = |row: &Vec<Option<f64>>| row.len() == seeds && row.iter().all(Option::is_some);
            let complete: Vec<bool> = rows.iter().map(is_complete).collect();
            if complete.iter().filter(|is_complete| **is_complete).count() < 2 {
                break;
            }
            family.look(&rows, &complete, share, (direction, rope));
        }
        family
    }

    /// Judges all pairs of `members` by e-values, which hold at any number of seeds. Intervals follow by [`Family::add_intervals`]: a
    /// decision does not need them.
    fn at_any_time(members: &[Member<'_>], direction: Direction, rope: Option<f64>) -> Self {
        let rows: Vec<&[Option<f64>]> = members.iter().map(|member| member.judged).collect();
        let (adjusted, single) = Processes::new(&rows).highest();
        let threshold = simultaneous_threshold(members.len());
        let level = 1.0 / threshold;
        let mut family = Self { pairs: Vec::new(), verdicts: Vec::new(), level };
        for (i, ours) in members.iter().enumerate() {
            let at = |of: &[Vec<f64>], j: usize| of.get(i).and_then(|row| row.get(j)).copied().unwrap_or(1.0);
            let others = || members.iter().enumerate().take(i);
            let pairs: Vec<Pair> = others()
                .map(|(j, theirs)| {
                    let differences = differences(ours.judged, theirs.judged);
                    let cut =
                        |member: &Member<'_>| member.judged.iter().take(differences.len()).copied().collect();
                    let (a, b): (Vec<Option<f64>>, Vec<Option<f64>>) = (cut(ours), cut(theirs));
                    untested(&a, &b, direction, None).with_e(at(&adjusted, j), at(&single, j))
                })
                .collect();
            let verdict = |(pair, (_, theirs)): (&Pair, (usize, &Member<'_>))| {
                if is_same(ours, theirs) {
                    return Verdict::Same;
                }
                match rope.is_some_and(|rope| pair.is_within(rope, (ours, theirs), threshold)) {
                    true => Verdict::Equivalent,
                    false => conclude(pair, direction, None, level),
                }
            };
            family.verdicts.push(pairs.iter().zip(others()).map(verdict).collect());
            family.pairs.push(pairs);
        }
        family
    }

    /// Adds the intervals to a family that was judged by e-values: of the same `rows`. They hold for all pairs and numbers of seeds.
    pub(crate) fn add_intervals(&mut self, rows: &[&[Option<f64>]]) {
        let threshold = simultaneous_threshold(rows.len());
        for (ours, pairs) in rows.iter().zip(&mut self.pairs) {
            for (theirs, pair) in rows.iter().zip(pairs) {
                let finite = pair.diff.map(|_| differences(ours, theirs));
                pair.interval = finite.and_then(|all| confidence_sequence(&all, threshold));
            }
        }
    }

    /// Adds one look, which spends this share of alpha, for the pairs of complete rows.
    fn look(
        &mut self,
        rows: &[Vec<Option<f64>>],
        complete: &[bool],
        share: f64,
        (direction, rope): (Direction, Option<f64>),
    ) {
        let members: Vec<Member<'_>> = rows.iter().map(|judged| Member { judged, chosen: None }).collect();
        self.level = AmongAll::new(&members, ALPHA * share).level();
        let is_complete = |i: usize| complete.get(i).copied().unwrap_or(false);
        let found = tested(&members, direction).into_iter().zip(&mut self.pairs).zip(&mut self.verdicts);
        for (i, ((found, pairs), verdicts)) in found.enumerate().filter(|(i, _)| is_complete(*i)) {
            let found = found.into_iter().zip(pairs).zip(verdicts);
            for (j, ((now, pair), verdict)) in found.enumerate().filter(|(j, _)| is_complete(*j)) {
                let same = members.get(i).zip(members.get(j)).is_some_and(|(a, b)| is_same(a, b));
                *pair = now.after(pair, share, self.level);
                *verdict = match same {
                    true => Verdict::Same,
                    false => conclude(pair, direction, rope, self.level),
                };
            }
        }
    }

    /// The pairs among these schedules, with their adjustment for all pairs of the family.
    pub(crate) fn select(&self, at: &[usize]) -> Self {
        let rows = || at.iter().enumerate();
        let before = |row: usize| at.iter().take(row);
        Self {
            pairs: rows().map(|(row, i)| before(row).map(|j| self.pair(*i, *j)).collect()).collect(),
            verdicts: rows().map(|(row, i)| before(row).map(|j| self.verdict(*i, *j)).collect()).collect(),
            level: self.level,
        }
    }

    /// Number of tested pairs.
    pub fn pairs_tested(&self) -> usize {
        self.pairs.iter().flatten().filter(|pair| pair.p.is_some()).count()
    }

    /// Schedule `i` against schedule `j`; an empty pair if `i` is `j` or one of them has no results.
    pub fn pair(&self, i: usize, j: usize) -> Pair {
        let stored = |i: usize, j: usize| self.pairs.get(i).and_then(|row| row.get(j));
        stored(i, j).cloned().or_else(|| stored(j, i).map(Pair::reversed)).unwrap_or_default()
    }

    /// The verdict on schedule `i` against schedule `j`.
    pub fn verdict(&self, i: usize, j: usize) -> Verdict {
        let stored = |i: usize, j: usize| self.verdicts.get(i).and_then(|row| row.get(j)).copied();
        stored(i, j).or_else(|| stored(j, i).map(Verdict::reversed)).unwrap_or(Verdict::Undecided)
    }

    /// The range of ranks of schedule `i`: from 1 + the number of significantly better schedules to the number of schedules -
    /// the number of significantly worse ones. With a probability of 95 %, the ranges contain the true ranks of all schedules
    /// (Mogstad, Romano, Shaikh and Wilhelm 2024, "Inference for Ranks").
    pub fn ranks(&self, i: usize) -> (usize, usize) {
        let all = self.pairs.len();
        let count = |wanted| (0..all).filter(|j| self.verdict(i, *j) == wanted).count();
        (1 + count(Verdict::Worse), all - count(Verdict::Better))
    }
}

/// The e-value at which a point is outside of an interval that holds for all pairs of this number of schedules: Bonferroni over pairs.
fn simultaneous_threshold(schedules: usize) -> f64 {
    let pairs = schedules * schedules.saturating_sub(1) / 2;
    pairs.max(1) as f64 / ALPHA
}

/// Tests one pair, without adjustment for the others.
fn test_pair(ours: &Member<'_>, theirs: &Member<'_>, direction: Direction) -> Pair {
    let error = ours.chosen.zip(theirs.chosen).and_then(|(ours, theirs)| choice_error(ours, theirs));
    pair(ours.judged, theirs.judged, direction, error)
}

/// Whether both have the same finite value on every seed.
fn is_same(ours: &Member<'_>, theirs: &Member<'_>) -> bool {
    let is_finite = ours.judged.iter().flatten().all(|value| value.is_finite());
    ours.judged.iter().flatten().count() > 1 && is_finite && ours.judged == theirs.judged
}

/// All pairs with their p-values, adjusted for all of them, without intervals.
fn tested(members: &[Member<'_>], direction: Direction) -> Vec<Vec<Pair>> {
    let mut pairs: Vec<Vec<Pair>> = members
        .iter()
        .enumerate()
        .map(|(i, member)| members.iter().take(i).map(|other| test_pair(member, other, direction)).collect())
        .collect();
    let rows: Vec<Vec<Option<f64>>> = members.iter().map(|member| member.judged.to_vec()).collect();
    let weights: Vec<Vec<f64>> =
        pairs.iter().map(|row| row.iter().map(|pair| pair.weight).collect()).collect();
    let weight = |i: usize, j: usize| weights.get(i).and_then(|row| row.get(j)).copied().unwrap_or(1.0);
    // The p-value of one pair is exact. The joint p-values of several pairs may be sampled.
    let joint = if members.len() > 2 { joint_flips(&rows, weight) } else { Vec::new() };
    for (i, row) in pairs.iter_mut().enumerate() {
        for (j, pair) in row.iter_mut().enumerate() {
            let joint = joint.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0.0);
            pair.p = pair.p_raw.map(|raw| raw.max(joint));
        }
    }
    pairs
}

/// The width of intervals that hold for all pairs at the same time.
struct AmongAll {
    /// Number of standard errors for the pairs of schedules without a diverged run, at the seeds that all of these have.
    critical: Option<f64>,
    /// Number of these seeds.
    common: usize,
    /// Number of all pairs.
    pairs: usize,
    alpha: f64,
}

impl AmongAll {
    fn new(members: &[Member<'_>], alpha: f64) -> Self {
        let rows: Vec<Vec<Option<f64>>> = members.iter().map(|member| member.judged.to_vec()).collect();
        let complete = complete(&rows);
        Self {
            critical: simultaneous(&complete, alpha),
            common: complete.first().map_or(0, Vec::len),
            pairs: members.len() * members.len().saturating_sub(1) / 2,
            alpha,
        }
    }

    /// The number of standard errors for a pair with `n` seeds.
    fn critical(&self, n: usize) -> f64 {
        let common = self.critical.filter(|_| n == self.common);
        common.unwrap_or_else(|| bonferroni(n, self.pairs, self.alpha))
    }

    /// The level of an interval of a single pair that is as wide.
    fn level(&self) -> f64 {
        let bonferroni = self.alpha / self.pairs.max(1) as f64;
        self.critical.map_or(bonferroni, |critical| Paired::level(self.common, critical))
    }
}

/// The values of the schedules without a diverged run, at the seeds that all of them have.
fn complete(rows: &[Vec<Option<f64>>]) -> Vec<Vec<f64>> {
    let finite: Vec<&Vec<Option<f64>>> =
        rows.iter().filter(|row| row.iter().flatten().all(|x| x.is_finite())).collect();
    let at = |row: &[Option<f64>], seed: usize| row.get(seed).copied().flatten();
    let seeds = finite.iter().map(|row| row.len()).min().unwrap_or(0);
    let common: Vec<usize> =
        (0..seeds).filter(|seed| finite.iter().all(|row| at(row, *seed).is_some())).collect();
    finite.iter().map(|row| common.iter().filter_map(|seed| at(row, *seed)).collect()).collect()
}

/// Adjusts an interval so that it contains 0 if and only if the test does not reject: the interval is Student's and the test is
/// exact, so they may disagree slightly near 0.
fn compatible((low, high): (f64, f64), p: f64) -> (f64, f64) {
    match (p < ALPHA, low > 0.0, high < 0.0) {
        (false, true, _) => (0.0, high),
        (false, _, true) => (low, 0.0),
        (true, false, false) if low + high > 0.0 => (0.0, high),
        (true, false, false) => (low, 0.0),
        _ => (low, high),
    }
}

impl Pair {
    /// The pair with its e-value adjusted for all pairs, and that of the single pair. With n seeds no e-value is above 2^(n - 1).
    fn with_e(self, adjusted: f64, single: f64) -> Pair {
        let p_floor = (self.n > 0).then(|| 2f64.powf(1.0 - self.n as f64));
        let p = |e: f64| (self.n > 0).then(|| (1.0 / e).min(1.0));
        let e = Some(adjusted).filter(|_| self.n > 0);
        Pair { p_raw: p(single), e, p: p(adjusted), p_floor, ..self }
    }

    /// Whether the interval of the difference of these two, by e-values, is within ±`rope`.
    fn is_within(&self, rope: f64, (ours, theirs): (&Member<'_>, &Member<'_>), threshold: f64) -> bool {
        let is_inside = self.diff.is_some_and(|diff| diff.abs() < rope);
        let all = || differences(ours.judged, theirs.judged);
        is_inside && [-rope, rope].iter().all(|end| highest_e(&all(), *end) >= threshold)
    }

    /// The result of this look for a pair, given that of the looks before. This look spends `share` of alpha, and its intervals have
    /// `level`.
    fn after(self, before: &Pair, share: f64, level: f64) -> Pair {
        let lowest = |now: Option<f64>, before: Option<f64>| {
            now.map(|now| (now / share).min(1.0)).into_iter().chain(before).reduce(f64::min)
        };
        let p = lowest(self.p, before.p);
        let interval = self.paired().map(|paired| paired.interval(Paired::critical(self.n, level)));
        let interval = interval.zip(p).map(|(interval, p)| compatible(interval, p));
        Pair { p, interval, p_floor: lowest(self.p_floor, before.p_floor), ..self }
    }
}

fn conclude(pair: &Pair, direction: Direction, rope: Option<f64>, level: f64) -> Verdict {
    if rope.is_some_and(|rope| pair.is_equivalent(rope, level)) {
        return Verdict::Equivalent;
    }
    let ahead = pair.diff.map_or(pair.wins - 0.5 * pair.n as f64, |diff| direction.gain(diff));
    match pair.p.is_some_and(|p| p < ALPHA) {
        true if ahead > 0.0 => Verdict::Better,
        true if ahead < 0.0 => Verdict::Worse,
        _ => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    fn family(rows: &[Vec<Option<f64>>]) -> Family {
        let members: Vec<Member<'_>> = rows.iter().map(|judged| Member { judged, chosen: None }).collect();
        Family::new(&members, Direction::LowerIsBetter, true, None)
    }

    #[test]
    fn a_single_pair_has_the_exact_test_and_students_interval() {
        let ours = some(&[1.3, 0.9, 1.5, 1.2, 1.4, 1.35, 1.25, 1.1]);
        let found = family(&[vec![Some(1.0); 8], ours]);
        let pair = found.pair(1, 0);
        assert_eq!(pair.p, pair.p_raw);
        assert!((found.level - ALPHA).abs() < 1e-12);
        // SciPy 1.17.1: ttest_1samp([.3, -.1, .5, .2, .4, .35, .25, .1], 0).confidence_interval(0.95)
        let (low, high) = pair.interval.expect("eight pairs");
        assert!((low - 0.093_594_807).abs() < 1e-6 && (high - 0.406_405_193).abs() < 1e-6, "{low} {high}");
        assert_eq!((found.verdict(1, 0), found.verdict(0, 1)), (Verdict::Worse, Verdict::Better));
        assert_eq!(found.pair(0, 1), pair.reversed());
        assert_eq!((found.ranks(0), found.ranks(1)), ((1, 1), (2, 2)));
    }

    #[test]
    fn an_interval_contains_0_if_the_test_does_not_reject() {
        // With three seeds no p is below 0.25, although Student's interval excludes 0.
        let found = family(&[vec![Some(1.0); 3], some(&[2.0, 2.01, 1.99])]);
        let pair = found.pair(1, 0);
        assert_eq!((pair.p, pair.interval.map(|(low, _)| low)), (Some(0.25), Some(0.0)));
        assert_eq!((compatible((-1.0, 3.0), 0.01), compatible((-3.0, 1.0), 0.01)), ((0.0, 3.0), (-3.0, 0.0)));
        assert_eq!((compatible((-3.0, -1.0), 0.06), compatible((1.0, 3.0), 0.01)), ((-3.0, 0.0), (1.0, 3.0)));
    }

    #[test]
    fn undecided_schedules_share_a_range_of_ranks() {
        let noise = [0.03, -0.02, 0.01, 0.0, 0.02, -0.01, 0.015, -0.005, 0.01, -0.02];
        let row = |mean: f64, shift: usize| {
            some(&(0..10).map(|i| mean + noise[(i * 3 + shift) % 10]).collect::<Vec<_>>())
        };
        let best = row(1.0, 0);
        let found = family(&[best.clone(), best, row(1.0, 1), row(2.0, 2), vec![Some(f64::INFINITY); 10]]);
        let ranks: Vec<_> = (0..5).map(|i| found.ranks(i)).collect();
        assert_eq!(ranks, [(1, 3), (1, 3), (1, 3), (4, 4), (5, 5)]);
        assert_eq!((found.verdict(1, 0), found.verdict(4, 3)), (Verdict::Same, Verdict::Worse));
        assert_eq!((found.pair(4, 3).interval, found.pairs_tested()), (None, 10));
    }
}
