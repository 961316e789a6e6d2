//! From results to a ranking: each schedule at its best config, by mean, with its range of ranks. `family` tests the pairs,
//! `warnings` lists what limits the ranking; docs/explanation/methods.md describes the methods.

use std::cmp::Ordering;
use std::collections::HashMap;

use spec::looks::Looks;
use stats::{Choice, cross_fit, summary};

pub use crate::edges::{AxisEdge, Edge};
use crate::edges::{axis_edges, edge};
pub use crate::family::Verdict;
use crate::family::{Family, Member};
use crate::pair::{ALPHA, Pair};
use crate::results::{Grid, Purpose, RunResult, RunState, budgets, grids, matched, seeds};
use crate::score::Direction;

/// The metric that schedules are ranked by.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The value of `--metric`.
    pub name: String,
    /// Its name in tables and sentences, as in `valid loss`.
    pub title: String,
    /// Which numbers are better.
    pub direction: Direction,
    /// Whether it counts the steps to a target, which a run may not reach.
    pub has_target: bool,
}

impl Default for Metric {
    fn default() -> Self {
        let (name, title) = ("final".to_owned(), "valid loss".to_owned());
        Self { name, title, direction: Direction::LowerIsBetter, has_target: false }
    }
}

/// Options of a ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The metric that schedules are ranked by.
    pub metric: Metric,
    /// Length of the ranked runs in steps; `None`: the longest.
    pub budget: Option<i64>,
    /// Differences within ±rope count as equivalent: the region of practical equivalence. `None`: that of `looks`, if any.
    pub rope: Option<f64>,
    /// The looks at the deciding seeds.
    pub looks: Option<Looks>,
}

/// How configs were chosen and judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The same seeds choose and judge; each seed judges the config that the other seeds choose.
    CrossFitted,
    /// Chosen on tuning seeds, judged on deciding seeds.
    Decided,
    /// Chosen, but no deciding run has ended yet: the ranking shows the tuning runs.
    Tuning,
}

impl Protocol {
    /// The purpose of the runs that choose each schedule's config, and of the runs that judge it.
    pub fn purposes(self) -> (Purpose, Purpose) {
        match self {
            Self::CrossFitted => (Purpose::All, Purpose::All),
            Self::Decided => (Purpose::Tune, Purpose::Decide),
            Self::Tuning => (Purpose::Tune, Purpose::Tune),
        }
    }
}

/// The schedules of a sweep, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// One line for each schedule.
    pub lines: Vec<Line>,
    /// The metric that they are ranked by.
    pub metric: Metric,
    /// Length of the ranked runs, in steps.
    pub budget: i64,
    /// All run lengths of the sweep, in steps.
    pub budgets: Vec<i64>,
    /// How configs were chosen and judged.
    pub protocol: Protocol,
    /// The looks at the judging seeds. With them, lines are in the order of their difference to the first.
    pub looks: Option<Looks>,
    /// Whether schedules share seeds, so that differences are between runs of the same seed.
    pub is_paired: bool,
    /// All pairs of the lines with results, tested together, with the indices of `lines`.
    pub family: Family,
    /// The lowest p-value that the number of seeds can give; `None` if no test was possible.
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
    /// Set if the best base lr is the lowest or highest value that was tried.
    pub edge: Option<Edge>,
    /// The other axes of that config whose value is the lowest or highest that was tried.
    pub axis_edges: Vec<AxisEdge>,
    /// Length of its runs in steps.
    pub steps: i64,
    /// Number of finished runs of that config that judge it.
    pub n: usize,
    /// Mean of these runs.
    pub mean: Option<f64>,
    /// Standard deviation of these runs.
    pub sd: Option<f64>,
    /// Number of diverged runs of that config.
    pub diverged: usize,
    /// Number of finished runs of that config without the metric.
    pub unreported: usize,
    /// Number of finished runs of that config that did not reach the target.
    pub unreached: usize,
    /// Number of runs of that config that are not trained yet.
    pub missing: usize,
    /// Number of diverged runs of the schedule over its complete grid.
    pub diverged_in_grid: usize,
    /// Mean seconds to the target, if the metric has one: of the runs that reached it.
    pub seconds: Option<f64>,
    /// Mean test loss.
    pub test_loss: Option<f64>,
    /// Mean test accuracy.
    pub test_accuracy: Option<f64>,
    /// Its difference to the first line, and the tests of the difference.
    pub versus: Pair,
    /// The verdict on it against the first line.
    pub verdict: Verdict,
    /// Its range of ranks, from 1. `None` without results.
    pub ranks: Option<(usize, usize)>,
    /// Its group of tied schedules, from 1: no line of a group is significantly worse than the first of the group. `None`
    /// without results.
    pub tie_group: Option<usize>,
    /// Seed and value of the config's runs that judge it; the worst possible value if the run diverged.
    pub runs: Vec<(i64, Option<f64>)>,
    /// The compared values, seed by seed, each at the config that other seeds chose.
    pub judged: Vec<Option<f64>>,
}

/// A line that is not ranked yet.
struct Candidate {
    line: Line,
    /// Values of all configs, and the choice among them, if the same seeds choose and judge.
    chosen: Option<(Vec<Vec<Option<f64>>>, Choice)>,
}

impl Candidate {
    fn member(&self) -> Member<'_> {
        let chosen = self.chosen.as_ref().map(|(values, choice)| (values.as_slice(), choice));
        Member { judged: &self.line.judged, chosen }
    }

    /// The sort key before the mean, as in the view `ranking` of the database: whether it has no results, and the
    /// fraction of runs that count as infinitely bad.
    fn key(&self) -> (bool, f64) {
        let ended = self.line.ended();
        (ended == 0, (ended - self.line.n) as f64 / ended.max(1) as f64)
    }
}

fn in_order(a: &Candidate, b: &Candidate, direction: Direction) -> Ordering {
    let mean = |candidate: &Candidate| candidate.line.mean.unwrap_or(direction.worst());
    let ((a_empty, a_share), (b_empty, b_share)) = (a.key(), b.key());
    let by_mean = || direction.compare(mean(a), mean(b));
    // Seeds differ only after looks: the first schedule is one that no look stopped as worse.
    let by_seeds = b.line.requested().cmp(&a.line.requested());
    a_empty.cmp(&b_empty).then(by_seeds).then(a_share.total_cmp(&b_share)).then_with(by_mean)
}

/// Sorts all after the first by their mean difference to it on the seeds that both have: means over other seeds can't be compared.
fn by_difference(all: &mut [Candidate], direction: Direction) {
    let Some((first, rest)) = all.split_first_mut() else { return };
    let known: HashMap<i64, f64> =
        first.line.runs.iter().filter_map(|(seed, x)| Some((*seed, (*x)?))).collect();
    let difference = |candidate: &Candidate| {
        let both = candidate.line.runs.iter().filter_map(|(seed, x)| Some((*x)? - known.get(seed)?));
        let finite: Vec<f64> = both.filter(|difference| difference.is_finite()).collect();
        summary(&finite).map_or(direction.worst(), |summary| summary.mean)
    };
    rest.sort_by(|a, b| {
        let ((a_empty, a_share), (b_empty, b_share)) = (a.key(), b.key());
        let by_difference = || direction.compare(difference(a), difference(b));
        a_empty.cmp(&b_empty).then(a_share.total_cmp(&b_share)).then_with(by_difference)
    });
}

/// How the runs of a sweep were chosen and judged.
fn protocol(results: &[RunResult]) -> Protocol {
    let judges = |run: &&RunResult| run.trial.purpose == Purpose::Decide;
    if results.iter().all(|run| run.trial.purpose == Purpose::All) {
        Protocol::CrossFitted
    } else if results.iter().filter(judges).any(|run| run.loss().is_some()) {
        Protocol::Decided
    } else {
        Protocol::Tuning
    }
}

/// Ranks the schedules of one sweep. `results` are in the order of the sweep file, which orders equal schedules.
pub fn rank(results: &[RunResult], options: &Options) -> Ranking {
    let mut ranking = decided(results, options);
    if ranking.looks.as_ref().is_some_and(Looks::is_any_time) {
        ranking.add_intervals();
    }
    ranking
}

/// The same with everything that decisions need: e-values have no intervals.
pub(crate) fn decided(results: &[RunResult], options: &Options) -> Ranking {
    let matched = matched(results);
    let is_paired = matched.is_none();
    let results = matched.as_deref().unwrap_or(results);
    let budgets = budgets(results);
    let budget = options.budget.or(budgets.last().copied()).unwrap_or(0);
    let protocol = protocol(results);
    let looks = options.looks.clone().filter(|_| protocol != Protocol::Tuning);
    let grids = grids(results, budget);
    let has_target = options.metric.has_target;
    let candidate = |grid| candidate(grid, results, protocol, (looks.is_some(), has_target));
    let mut all: Vec<Candidate> = grids.iter().filter_map(candidate).collect();
    all.sort_by(|a, b| in_order(a, b, options.metric.direction));
    if looks.is_some() {
        by_difference(&mut all, options.metric.direction);
    }
    let family = judge(&mut all, protocol, looks.as_ref(), options);
    let lines: Vec<Line> = all.into_iter().map(|candidate| candidate.line).collect();
    let p_floor = p_floor(&lines);
    Ranking {
        lines,
        metric: options.metric.clone(),
        budget,
        budgets,
        protocol,
        looks,
        is_paired,
        family,
        p_floor,
    }
}

/// The highest of the lowest possible p-values against the first line. If it is not below alpha, no line can be decided.
fn p_floor(lines: &[Line]) -> Option<f64> {
    lines.iter().filter_map(|line| line.versus.p_floor).reduce(f64::max)
}

/// A schedule at its chosen config. `stops`: a look may have stopped it before the last seed. `has_target`: its values are steps
/// to a target.
fn candidate(
    grid: &Grid<'_>,
    results: &[RunResult],
    protocol: Protocol,
    (stops, has_target): (bool, bool),
) -> Option<Candidate> {
    let (choosing, judging) = protocol.purposes();
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
    let runs: Vec<&&RunResult> = config.runs.iter().filter(|run| run.trial.purpose == judging).collect();
    let requested = if stops && !runs.is_empty() { runs.len() } else { judging_seeds.len() };
    let mean = |pick: fn(&RunResult) -> Option<f64>| {
        summary(&runs.iter().filter_map(|run| pick(run)).collect::<Vec<_>>()).map(|s| s.mean)
    };
    let count = |is: fn(RunState) -> bool| runs.iter().filter(|run| is(run.state)).count();
    let finite: Vec<f64> = own.iter().copied().flatten().filter(|x| x.is_finite()).collect();
    let summary = summary(&finite);
    let all = grid.configs.iter().flat_map(|config| &config.runs);
    let line = Line {
        schedule: grid.schedule.to_owned(),
        config_id: config.id.to_owned(),
        base_lr: config.base_lr,
        edge: edge(config.base_lr, &grid.lrs()).filter(|_| choice.is_some()),
        axis_edges: if choice.is_some() { axis_edges(grid, config) } else { Vec::new() },
        steps: config.steps,
        n: finite.len(),
        mean: summary.map(|s| s.mean),
        sd: summary.and_then(|s| s.sd),
        diverged: count(|state| state == RunState::Diverged),
        unreported: count(|state| matches!(state, RunState::Unreported(_))),
        unreached: count(|state| matches!(state, RunState::Unreached(_))),
        missing: requested.saturating_sub(own.iter().flatten().count()),
        diverged_in_grid: all.filter(|run| run.state == RunState::Diverged).count(),
        seconds: mean(seconds).filter(|_| has_target),
        test_loss: mean(|run| run.trial.test_loss),
        test_accuracy: mean(|run| run.trial.test_accuracy),
        versus: Pair::default(),
        verdict: Verdict::Undecided,
        ranks: None,
        tie_group: None,
        runs: judging_seeds.into_iter().zip(own.iter().copied()).take(requested).collect(),
        judged,
    };
    let chosen = choice.filter(|_| protocol == Protocol::CrossFitted).map(|choice| (values, choice));
    Some(Candidate { line, chosen })
}

/// Seconds until a run reached its target: its wall time, by the part of its steps. `None` if it did not, or was interrupted.
fn seconds(run: &RunResult) -> Option<f64> {
    let (RunState::Done(_), 1) = (run.state, run.trial.attempts) else { return None };
    let (started, finished) = run.trial.started_at.zip(run.trial.finished_at)?;
    let share = run.value()? / run.trial.steps.max(1) as f64;
    Some((finished - started).max(0) as f64 / 1000.0 * share)
}

/// Tests all pairs of the schedules with results, and fills in the verdicts.
fn judge(all: &mut [Candidate], protocol: Protocol, looks: Option<&Looks>, options: &Options) -> Family {
    let with_results = all.iter().take_while(|candidate| !candidate.key().0);
    let members: Vec<Member<'_>> = with_results.map(Candidate::member).collect();
    let (direction, decides) = (options.metric.direction, protocol != Protocol::Tuning);
    let family = match looks {
        Some(looks) => Family::at_looks(&members, direction, looks, options.rope.or(looks.rope)),
        None => Family::new(&members, direction, decides, options.rope),
    };
    let seeds: Vec<usize> =
        all.iter().take(members.len()).map(|candidate| candidate.line.requested()).collect();
    let groups = tie_groups(&family, &seeds);
    for (i, (candidate, group)) in all.iter_mut().zip(groups).enumerate() {
        candidate.line.versus = family.pair(i, 0);
        candidate.line.verdict = if i == 0 { Verdict::First } else { family.verdict(i, 0) };
        candidate.line.ranks = Some(family.ranks(i));
        candidate.line.tie_group = Some(group);
    }
    family
}

/// The first schedule and all that are not significantly worse form group 1; the best of the rest starts group 2, and so on. `seeds`
/// is each schedule's number of seeds: a schedule that a look stopped because it was significantly worse than another one is not in
/// group 1, also if a third one is first now.
fn tie_groups(family: &Family, seeds: &[usize]) -> Vec<usize> {
    let seeds_of = |i: usize| seeds.get(i).copied().unwrap_or(0);
    let is_worse = |i: usize, than: usize| family.verdict(i, than) == Verdict::Worse;
    let was_stopped = |i: usize| (0..seeds.len()).any(|j| seeds_of(j) > seeds_of(i) && is_worse(i, j));
    let mut groups = vec![0; seeds.len()];
    let mut left: Vec<usize> = (0..seeds.len()).collect();
    for group in 1.. {
        let Some(&first) = left.first() else { break };
        left.retain(|&i| {
            let is_out = group == 1 && seeds_of(first) > seeds_of(i) && was_stopped(i);
            let is_behind = is_out || is_worse(i, first);
            if let Some(own) = groups.get_mut(i).filter(|_| !is_behind) {
                *own = group;
            }
            is_behind
        });
    }
    groups
}

impl Line {
    /// Whether any of its runs has ended. Otherwise its config is just the first of the grid.
    pub fn has_results(&self) -> bool {
        self.ended() > 0
    }

    /// Number of ended runs of its config that judge it.
    pub fn ended(&self) -> usize {
        self.n + self.diverged + self.unreported
    }

    /// Number of runs that judge it, including missing ones.
    pub fn requested(&self) -> usize {
        self.runs.len()
    }
}

impl Ranking {
    /// Adds the intervals of a ranking by e-values.
    fn add_intervals(&mut self) {
        let with_results = self.lines.iter().take_while(|line| line.has_results());
        let rows: Vec<&[Option<f64>]> = with_results.map(|line| line.judged.as_slice()).collect();
        self.family.add_intervals(&rows);
        for (i, line) in self.lines.iter_mut().enumerate() {
            line.versus = self.family.pair(i, 0);
        }
    }

    /// Whether a difference to the first line can be significant with this number of seeds.
    pub fn can_decide(&self) -> bool {
        self.p_floor.is_some_and(|floor| floor < ALPHA)
    }

    /// The runs of a line's config that judge it, by seed. A trial that several cells of the grid share is contained once.
    pub fn judging<'a>(&self, results: &'a [RunResult], line: &Line) -> Vec<&'a RunResult> {
        let (_, purpose) = self.protocol.purposes();
        let judges = |run: &&RunResult| {
            let trial = &run.trial;
            trial.purpose == purpose
                && trial.schedule == line.schedule
                && trial.config_id == line.config_id
                && trial.steps == self.budget
        };
        let mut runs: Vec<&RunResult> = results.iter().filter(judges).collect();
        runs.sort_by_key(|run| run.trial.seed);
        runs.dedup_by_key(|run| run.trial.seed);
        runs
    }

    /// Index of a schedule among the lines.
    pub fn position(&self, schedule: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.schedule == schedule)
    }

    /// The ranking with only these lines, in the same order; p-values, intervals and ranks remain adjusted for all lines.
    pub fn select(&self, at: &[usize]) -> Self {
        let mut at: Vec<usize> = at.to_vec();
        at.sort_unstable();
        let family = self.family.select(&at);
        let mut lines: Vec<Line> = at.iter().filter_map(|i| self.lines.get(*i)).cloned().collect();
        for (i, line) in lines.iter_mut().enumerate() {
            line.versus = family.pair(i, 0);
            line.verdict = if i == 0 { Verdict::First } else { family.verdict(i, 0) };
        }
        let p_floor = p_floor(&lines);
        Self { lines, family, p_floor, ..self.clone() }
    }

    /// The first line and all lines that are tied with it.
    pub fn leaders(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.tie_group == Some(1))
    }
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
pub(crate) mod tests;
