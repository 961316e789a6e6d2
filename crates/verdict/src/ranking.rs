//! From results to a ranking: each schedule at its best config, by mean, with the ranks that the data allow. What is
//! concluded of each pair is in `family`, what to know before believing it in `warnings`; docs/explanation/methods.md says what is computed
//! and why.

use std::cmp::Ordering;

use stats::{Choice, cross_fit, summary};

use crate::compare::{ALPHA, Pair};
pub use crate::edges::{AxisEdge, Edge};
use crate::edges::{axis_edges, edge};
pub use crate::family::Verdict;
use crate::family::{Family, Member};
use crate::results::{Grid, Purpose, RunResult, RunState, budgets, grids, matched, seeds};
use crate::score::Direction;

/// What schedules are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// As `--metric` has it.
    pub name: String,
    /// For people, as in `valid loss`.
    pub title: String,
    /// Which numbers are better.
    pub direction: Direction,
}

impl Default for Metric {
    fn default() -> Self {
        Self { name: "final".to_owned(), title: "valid loss".to_owned(), direction: Direction::LowerIsBetter }
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
    /// All pairs of the lines with results, tested together; numbered as `lines`.
    pub family: Family,
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
    /// The other axes of that config whose value is the lowest or highest that was tried.
    pub axis_edges: Vec<AxisEdge>,
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
    /// Its difference to the first line, and the tests of it.
    pub versus: Pair,
    /// What that says of it beside the first line.
    pub verdict: Verdict,
    /// The lowest and the highest rank that the data allow, from 1. `None` without results.
    pub ranks: Option<(usize, usize)>,
    /// No line of a group is significantly worse than the first of the group; groups count from 1. `None` without results.
    pub tie_group: Option<usize>,
    /// Seed and result of the config's runs that judge it; the worst there is if it diverged.
    pub runs: Vec<(i64, Option<f64>)>,
    /// What the comparison is made of: seed by seed, at the config that other seeds chose.
    pub judged: Vec<Option<f64>>,
}

/// A line on its way into the ranking.
struct Contender {
    line: Line,
    /// Where the seeds that judge have chosen too: values of all configs, and the choice.
    chosen: Option<(Vec<Vec<Option<f64>>>, Choice)>,
}

impl Contender {
    fn member(&self) -> Member<'_> {
        let chosen = self.chosen.as_ref().map(|(values, choice)| (values.as_slice(), choice));
        Member { judged: &self.line.judged, chosen }
    }

    /// What it is ordered by before its mean, as in the database's view: no results yet, share of runs that diverged.
    fn key(&self) -> (bool, f64) {
        let ended = self.line.n + self.line.diverged;
        (ended == 0, self.line.diverged as f64 / ended.max(1) as f64)
    }
}

fn in_order(a: &Contender, b: &Contender, direction: Direction) -> Ordering {
    let mean = |contender: &Contender| contender.line.mean.unwrap_or(direction.worst());
    let ((a_empty, a_share), (b_empty, b_share)) = (a.key(), b.key());
    let by_mean = || direction.compare(mean(a), mean(b));
    a_empty.cmp(&b_empty).then(a_share.total_cmp(&b_share)).then_with(by_mean)
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
    all.sort_by(|a, b| in_order(a, b, options.metric.direction));
    let family = judge(&mut all, protocol, options);
    let lines: Vec<Line> = all.into_iter().map(|contender| contender.line).collect();
    let p_floor = p_floor(&lines);
    Ranking { lines, metric: options.metric.clone(), budget, budgets, protocol, is_paired, family, p_floor }
}

/// The highest floor of the p-values against the first line: where it is not below alpha, no line can be decided.
fn p_floor(lines: &[Line]) -> Option<f64> {
    lines.iter().filter_map(|line| line.versus.p_floor).reduce(f64::max)
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
    let runs: Vec<&&RunResult> = config.runs.iter().filter(|run| run.trial.purpose == judging).collect();
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
        axis_edges: if choice.is_some() { axis_edges(grid, config) } else { Vec::new() },
        steps: config.steps,
        n: finite.len(),
        mean: summary.map(|s| s.mean),
        sd: summary.and_then(|s| s.sd),
        diverged: count(RunState::Diverged),
        missing: judging_seeds.len().saturating_sub(own.iter().flatten().count()),
        diverged_in_grid: all.filter(|run| run.state == RunState::Diverged).count(),
        test_loss: mean(|run| run.trial.test_loss),
        test_accuracy: mean(|run| run.trial.test_accuracy),
        versus: Pair::default(),
        verdict: Verdict::Undecided,
        ranks: None,
        tie_group: None,
        runs: judging_seeds.into_iter().zip(own.iter().copied()).collect(),
        judged,
    };
    let chosen = choice.filter(|_| protocol == Protocol::CrossFitted).map(|choice| (values, choice));
    Some(Contender { line, chosen })
}

/// Tests all pairs of the schedules with results, and fills in what that says of each.
fn judge(all: &mut [Contender], protocol: Protocol, options: &Options) -> Family {
    let with_results = all.iter().take_while(|contender| !contender.key().0);
    let members: Vec<Member<'_>> = with_results.map(Contender::member).collect();
    let family = Family::new(&members, options.metric.direction, protocol != Protocol::Tuning, options.rope);
    let groups = tie_groups(&family, members.len());
    for (i, (contender, group)) in all.iter_mut().zip(groups).enumerate() {
        contender.line.versus = family.pair(i, 0);
        contender.line.verdict = if i == 0 { Verdict::First } else { family.verdict(i, 0) };
        contender.line.ranks = Some(family.ranks(i));
        contender.line.tie_group = Some(group);
    }
    family
}

/// The first schedule and all that are not significantly worse are group 1; the best of the rest opens group 2, and so on.
fn tie_groups(family: &Family, schedules: usize) -> Vec<usize> {
    let mut groups = vec![0; schedules];
    let mut left: Vec<usize> = (0..schedules).collect();
    for group in 1.. {
        let Some(&first) = left.first() else { break };
        left.retain(|&i| {
            let is_worse = family.verdict(i, first) == Verdict::Worse;
            if let Some(own) = groups.get_mut(i).filter(|_| !is_worse) {
                *own = group;
            }
            is_worse
        });
    }
    groups
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
        self.p_floor.is_some_and(|floor| floor < ALPHA)
    }

    /// Where a schedule is among the lines.
    pub fn position(&self, schedule: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.schedule == schedule)
    }

    /// Only these of its lines, in their order; p-values, intervals and ranks stay those among all lines.
    pub fn only(&self, at: &[usize]) -> Self {
        let mut at: Vec<usize> = at.to_vec();
        at.sort_unstable();
        let family = self.family.only(&at);
        let mut lines: Vec<Line> = at.iter().filter_map(|i| self.lines.get(*i)).cloned().collect();
        for (i, line) in lines.iter_mut().enumerate() {
            line.versus = family.pair(i, 0);
            line.verdict = if i == 0 { Verdict::First } else { family.verdict(i, 0) };
        }
        let p_floor = p_floor(&lines);
        Self { lines, family, p_floor, ..self.clone() }
    }

    /// The lines that are not significantly worse than the first, and the first.
    pub fn leaders(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.tie_group == Some(1))
    }
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
pub(crate) mod tests;
