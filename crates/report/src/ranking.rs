//! From results to a ranking: each schedule at its best config, in groups that the data can't tell apart. The only
//! place where a conclusion about several schedules is drawn. How it looks is in `ranking_rows`, what to know before
//! believing it in `warnings`; docs/methods.md says what is computed and why.

use std::cmp::Ordering;

use stats::{Choice, choice_error, cross_fit, holm, joint_flips, summary};

use crate::compare::{ALPHA, Pair, pair};
use crate::results::{Grid, Purpose, RunResult, RunState, budgets, grids, matched, seeds};

/// What schedules are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// As `--metric` has it.
    pub name: String,
    /// For people, as in `valid loss`.
    pub title: String,
    /// An accuracy rather than a loss: [`RunResult::judged`] holds its negative.
    pub higher_is_better: bool,
}

impl Default for Metric {
    fn default() -> Self {
        Self { name: "final".to_owned(), title: "valid loss".to_owned(), higher_is_better: false }
    }
}

impl Metric {
    /// A judged number as people know it.
    pub fn shown(&self, judged: f64) -> f64 {
        if self.higher_is_better { -judged } else { judged }
    }
}

/// What is asked of a ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// What schedules are judged by.
    pub metric: Metric,
    /// Which length of runs, in steps; the longest if not given.
    pub budget: Option<i64>,
    /// Differences up to this count as none.
    pub rope: Option<f64>,
}

/// How configs were chosen and judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// On the same seeds, each judged at what the others choose.
    CrossFitted,
    /// Chosen on seeds that do not judge.
    Decided,
    /// Chosen, and not one deciding run has ended yet: what is shown are the tuning runs.
    Tuning,
}

/// The schedules of a sweep, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// One line for each schedule.
    pub lines: Vec<Line>,
    /// What they are judged by.
    pub metric: Metric,
    /// Length of the runs that are ranked here, in steps.
    pub budget: i64,
    /// All lengths that the sweep asks for.
    pub budgets: Vec<i64>,
    /// How configs were chosen.
    pub protocol: Protocol,
    /// Whether schedules have seeds in common, so that differences are between runs of one seed.
    pub is_paired: bool,
    /// Tests against the first line.
    pub comparisons: usize,
    /// The lowest p-value that the number of seeds can give, where a test was possible.
    pub p_floor: Option<f64>,
}

/// One schedule at its best config.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The schedule's name.
    pub schedule: String,
    /// Its best config.
    pub config_id: String,
    /// That config's base lr.
    pub base_lr: f64,
    /// Set where the best base lr is the lowest or highest that was tried.
    pub edge: Option<Edge>,
    /// Length of its runs in steps.
    pub steps: i64,
    /// Finished runs of that config that judge it.
    pub n: usize,
    /// Mean of them.
    pub mean: Option<f64>,
    /// Its standard deviation over seeds.
    pub sd: Option<f64>,
    /// Diverged runs of that config.
    pub diverged: usize,
    /// Runs of that config that are still to be trained.
    pub missing: usize,
    /// Diverged runs of the schedule over its whole grid.
    pub diverged_in_grid: usize,
    /// Mean test loss.
    pub test_loss: Option<f64>,
    /// Mean test accuracy.
    pub test_accuracy: Option<f64>,
    /// Its difference to the first line, and the tests of it; p is corrected.
    pub versus: Pair,
    /// What that says.
    pub verdict: Verdict,
    /// Lines of one group are not told from its first; the groups count from 1. `None` without results.
    pub tie_group: Option<usize>,
    /// Seed and result of the config's runs that judge it; infinite if it diverged.
    pub runs: Vec<(i64, Option<f64>)>,
    /// What the comparison is made of: seed by seed, at the config that other seeds chose.
    pub judged: Vec<Option<f64>>,
}

/// What the data say of a schedule beside the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first one.
    First,
    /// Told from the first.
    Worse,
    /// Its difference lies within the rope.
    Equivalent,
    /// Neither.
    Undecided,
}

impl Verdict {
    /// As in rows.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::First => "first",
            Verdict::Worse => "worse",
            Verdict::Equivalent => "equivalent",
            Verdict::Undecided => "undecided",
        }
    }
}

/// Which end of the lr grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The lowest base lr.
    Low,
    /// The highest base lr.
    High,
}

impl Edge {
    /// As in rows.
    pub fn name(self) -> &'static str {
        match self {
            Edge::Low => "low",
            Edge::High => "high",
        }
    }
}

/// Which end of a grid a base lr is, if it is one: a better one may lie beyond.
pub(crate) fn edge(base_lr: f64, lrs: &[f64]) -> Option<Edge> {
    match lrs {
        [] | [_] => None,
        [lowest, ..] if base_lr == *lowest => Some(Edge::Low),
        [.., highest] if base_lr == *highest => Some(Edge::High),
        _ => None,
    }
}

/// A line on its way into the ranking.
struct Contender {
    line: Line,
    /// Where the seeds that judge have chosen too: values of all configs, and the choice.
    chosen: Option<(Vec<Vec<Option<f64>>>, Choice)>,
}

impl Contender {
    /// What it is ordered by, as in the database's view: no results yet, share of runs that diverged, mean of the
    /// others.
    fn key(&self) -> (bool, f64, f64) {
        let ended = self.line.n + self.line.diverged;
        let share = self.line.diverged as f64 / ended.max(1) as f64;
        (ended == 0, share, self.line.mean.unwrap_or(f64::INFINITY))
    }
}

fn in_order(a: &Contender, b: &Contender) -> Ordering {
    let (a, b) = (a.key(), b.key());
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
}

/// How the runs of a sweep were chosen and judged.
fn protocol(results: &[RunResult]) -> Protocol {
    let judges = |run: &&RunResult| run.purpose == Purpose::Decide;
    if results.iter().all(|run| run.purpose == Purpose::All) {
        Protocol::CrossFitted
    } else if results.iter().filter(judges).any(|run| run.loss().is_some()) {
        Protocol::Decided
    } else {
        Protocol::Tuning
    }
}

/// Ranks the schedules of one sweep. `results` are in the order of the sweep file, which breaks ties.
pub fn rank(results: &[RunResult], options: &Options) -> Ranking {
    let matched = matched(results);
    let is_paired = matched.is_none();
    let results = matched.as_deref().unwrap_or(results);
    let budgets = budgets(results);
    let budget = options.budget.or(budgets.last().copied()).unwrap_or(0);
    let protocol = protocol(results);
    let grids = grids(results, budget);
    let mut all: Vec<Contender> =
        grids.iter().filter_map(|grid| contender(grid, results, protocol)).collect();
    all.sort_by(in_order);
    let comparisons = judge(&mut all, protocol, options.rope);
    all.sort_by_key(|contender| contender.line.tie_group.unwrap_or(usize::MAX));
    let lines: Vec<Line> = all.into_iter().map(|contender| contender.line).collect();
    let floors = lines.iter().filter_map(|line| line.versus.p_floor);
    let p_floor =
        floors.fold(None, |most: Option<f64>, floor| Some(most.map_or(floor, |most| most.max(floor))));
    Ranking {
        lines,
        metric: options.metric.clone(),
        budget,
        budgets,
        protocol,
        is_paired,
        comparisons,
        p_floor,
    }
}

/// A schedule at the config that is chosen for it.
fn contender(grid: &Grid<'_>, results: &[RunResult], protocol: Protocol) -> Option<Contender> {
    let (choosing, judging) = match protocol {
        Protocol::CrossFitted => (Purpose::All, Purpose::All),
        Protocol::Decided => (Purpose::Tune, Purpose::Decide),
        Protocol::Tuning => (Purpose::Tune, Purpose::Tune),
    };
    let judging_seeds = seeds(results, &[judging]);
    let (values, losses) = (grid.values(&judging_seeds), grid.losses(&seeds(results, &[choosing])));
    let choice = match protocol {
        Protocol::CrossFitted => cross_fit(&losses, &values),
        Protocol::Decided | Protocol::Tuning => cross_fit(&losses, &losses),
    };
    let at = choice.as_ref().map_or(0, |choice| choice.config);
    let config = grid.configs.get(at)?;
    let own = values.get(at)?.clone();
    let judged = match &choice {
        Some(choice) if protocol == Protocol::CrossFitted => choice.judged.clone(),
        _ => own.clone(),
    };
    let runs: Vec<&&RunResult> = config.runs.iter().filter(|run| run.purpose == judging).collect();
    let mean = |pick: fn(&RunResult) -> Option<f64>| {
        summary(&runs.iter().filter_map(|run| pick(run)).collect::<Vec<_>>()).map(|s| s.mean)
    };
    let count = |state| runs.iter().filter(|run| run.state == state).count();
    let finite: Vec<f64> = own.iter().copied().flatten().filter(|x| x.is_finite()).collect();
    let summary = summary(&finite);
    let all = grid.configs.iter().flat_map(|config| &config.runs);
    let line = Line {
        schedule: grid.schedule.to_owned(),
        config_id: config.id.to_owned(),
        base_lr: config.base_lr,
        edge: edge(config.base_lr, &grid.lrs()).filter(|_| choice.is_some()),
        steps: config.steps,
        n: finite.len(),
        mean: summary.map(|s| s.mean),
        sd: summary.and_then(|s| s.sd),
        diverged: count(RunState::Diverged),
        missing: judging_seeds.len().saturating_sub(own.iter().flatten().count()),
        diverged_in_grid: all.filter(|run| run.state == RunState::Diverged).count(),
        test_loss: mean(|run| run.test_loss),
        test_accuracy: mean(|run| run.test_accuracy),
        versus: Pair::default(),
        verdict: Verdict::Undecided,
        tie_group: None,
        runs: judging_seeds.into_iter().zip(own.iter().copied()).collect(),
        judged,
    };
    let chosen = choice.filter(|_| protocol == Protocol::CrossFitted).map(|choice| (values, choice));
    Some(Contender { line, chosen })
}

/// Fills in what can be said of each line against the first, and the tie groups; how many tests that took.
fn judge(all: &mut [Contender], protocol: Protocol, rope: Option<f64>) -> usize {
    let with_results = all.iter().take_while(|contender| !contender.key().0).count();
    let joint = joint(all.get(..with_results).unwrap_or_default());
    let mut comparisons = 0;
    let mut left: Vec<usize> = (0..with_results).collect();
    for group in 1.. {
        let Some((&first, rest)) = left.split_first() else { break };
        let pairs: Vec<Pair> = rest.iter().map(|&i| against(all, i, first)).collect();
        let tested: Vec<(usize, f64)> =
            pairs.iter().enumerate().filter_map(|(i, pair)| Some((i, pair.p?))).collect();
        let corrected = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        let mut p = vec![None; pairs.len()];
        for ((i, _), corrected) in tested.iter().zip(corrected) {
            // The first was made first by the same numbers: it may be any of them, so all pairs count.
            let among_all = rest.get(*i).and_then(|i| joint.get(&(first.max(*i), first.min(*i))));
            if let Some(p) = p.get_mut(*i) {
                *p = Some(among_all.map_or(corrected, |among_all| corrected.max(*among_all)));
            }
        }
        if group == 1 {
            comparisons = tested.len();
        }
        if let Some(first) = all.get_mut(first) {
            first.line.tie_group = Some(group);
            if group == 1 {
                first.line.verdict = Verdict::First;
            }
        }
        let mut next = Vec::new();
        for ((&i, pair), p) in rest.iter().zip(pairs).zip(p) {
            // The order is one of means, the test is cross-fitted: both must agree.
            let behind = pair.wins < 0.5 * pair.n as f64 || pair.diff.is_some_and(|diff| diff > 0.0);
            let worse = p.is_some_and(|p| p < ALPHA) && behind && protocol != Protocol::Tuning;
            let Some(contender) = all.get_mut(i) else { continue };
            if worse {
                next.push(i);
            } else {
                contender.line.tie_group = Some(group);
            }
            if group == 1 {
                let equivalent = rope.is_some_and(|rope| pair.is_equivalent(rope));
                contender.line.verdict = match (equivalent, worse) {
                    (true, _) => Verdict::Equivalent,
                    (false, true) => Verdict::Worse,
                    (false, false) => Verdict::Undecided,
                };
                contender.line.versus = Pair { p, ..pair };
            }
        }
        left = next;
    }
    comparisons
}

/// One schedule against another.
fn against(all: &[Contender], i: usize, first: usize) -> Pair {
    let (Some(ours), Some(theirs)) = (all.get(i), all.get(first)) else { return Pair::default() };
    pair(&ours.line.judged, &theirs.line.judged, error_of_choice(ours, theirs))
}

fn error_of_choice(ours: &Contender, theirs: &Contender) -> Option<f64> {
    let ((our_values, our_choice), (their_values, their_choice)) =
        (ours.chosen.as_ref()?, theirs.chosen.as_ref()?);
    choice_error((our_values, our_choice), (their_values, their_choice))
}

/// p-values of all pairs of schedules without a diverged run, on the seeds that all of these have; keys are (later,
/// earlier) places.
fn joint(all: &[Contender]) -> std::collections::BTreeMap<(usize, usize), f64> {
    let whole = |contender: &Contender| contender.line.judged.iter().flatten().all(|x| x.is_finite());
    let places: Vec<usize> = (0..all.len()).filter(|i| all.get(*i).is_some_and(whole)).collect();
    let rows: Vec<&Vec<Option<f64>>> =
        places.iter().filter_map(|i| all.get(*i)).map(|contender| &contender.line.judged).collect();
    let seeds = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let at = |row: &Vec<Option<f64>>, seed: usize| row.get(seed).copied().flatten();
    let common: Vec<usize> =
        (0..seeds).filter(|seed| rows.iter().all(|row| at(row, *seed).is_some())).collect();
    let losses: Vec<Vec<f64>> =
        rows.iter().map(|row| common.iter().filter_map(|seed| at(row, *seed)).collect()).collect();
    let mut found = std::collections::BTreeMap::new();
    let weight = |i: usize, j: usize| {
        let (i, j) = (places.get(i), places.get(j));
        i.zip(j).map_or(1.0, |(i, j)| against(all, *i, *j).weight)
    };
    for (row, i) in joint_flips(&losses, weight).into_iter().zip(&places) {
        found.extend(row.into_iter().zip(&places).map(|(p, j)| ((*i, *j), p)));
    }
    found
}

impl Line {
    /// Whether any of its runs has ended; else its config is only the first of the grid.
    pub fn has_results(&self) -> bool {
        self.n + self.diverged > 0
    }

    /// Runs that judge it or are to.
    pub fn asked(&self) -> usize {
        self.runs.len()
    }
}

impl Ranking {
    /// Whether the number of seeds lets any difference to the first be significant.
    pub fn can_decide(&self) -> bool {
        self.p_floor.is_some_and(|floor| floor * (self.comparisons.max(1) as f64) < ALPHA)
    }

    /// What the columns mean, one short sentence each.
    pub fn notes(&self) -> Vec<String> {
        if self.p_floor.is_none() {
            return Vec::new();
        }
        let correction = if self.comparisons > 1 { ", Holm's correction" } else { "" };
        let chosen = match self.protocol {
            Protocol::CrossFitted => "",
            Protocol::Decided => "; lrs were chosen on other seeds",
            Protocol::Tuning => "; so far on the seeds that choose lrs",
        };
        let groups = self.lines.iter().filter_map(|line| line.tie_group);
        let is_shared = groups.collect::<Vec<_>>().windows(2).any(|pair| pair.first() == pair.last());
        let mut notes = vec![if is_shared {
            format!(
                "= shares its place: its difference to the first of this place, paired over seeds, may be chance (exact sign-flip \
                 test{correction}, p >= {ALPHA}){chosen}"
            )
        } else {
            format!("p by the exact sign-flip test{correction}, paired over seeds{chosen}")
        }];
        let mut rope = self.lines.iter().filter(|line| line.verdict == Verdict::Equivalent);
        if rope.next().is_some() {
            notes.push(
                "~ equivalent: the difference is within the rope (two one-sided tests at 5 %)".to_owned(),
            );
        }
        notes
    }

    /// The lines that are not told from the first, the first among them.
    pub fn leaders(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.tie_group == Some(1))
    }
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
pub(crate) mod tests;
