//! Rankings over several budgets (run lengths) together.

use crate::ranking::{Line, Options, Ranking, rank};
use crate::results::RunResult;

/// The schedules at one budget, each at its best lr for that budget.
#[derive(Debug, Clone, PartialEq)]
pub struct AtBudget {
    /// Length of the runs in steps.
    pub steps: i64,
    /// The schedules that have a mean, the best first.
    pub means: Vec<Mean>,
}

/// The mean of one schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean {
    /// The schedule.
    pub schedule: String,
    /// Mean over its seeds.
    pub mean: f64,
    /// Its best base lr at this budget.
    pub base_lr: f64,
}

impl AtBudget {
    /// The mean of a schedule.
    pub fn mean(&self, schedule: &str) -> Option<f64> {
        self.of(schedule).map(|of| of.mean)
    }

    /// The mean of a schedule and the lr that it is at.
    pub fn of(&self, schedule: &str) -> Option<&Mean> {
        self.means.iter().find(|of| of.schedule == schedule)
    }
}

/// Each schedule's mean at its best lr, budget by budget; empty if there is only one budget.
pub fn by_budget(ranking: &Ranking, results: &[RunResult], options: &Options) -> Vec<AtBudget> {
    if ranking.budgets.len() < 2 {
        return Vec::new();
    }
    let means = |steps: i64| {
        let ranking = rank(results, &Options { budget: Some(steps), ..options.clone() });
        let of =
            |line: Line| line.mean.map(|mean| Mean { mean, base_lr: line.base_lr, schedule: line.schedule });
        ranking.lines.into_iter().filter_map(of).collect()
    };
    ranking.budgets.iter().map(|&steps| AtBudget { steps, means: means(steps) }).collect()
}

/// A sentence on all budgets together: whether the schedules differ (Friedman's test), and which mean ranks differ significantly
/// (Nemenyi's critical difference).
pub fn over_budgets(ranking: &Ranking, results: &[RunResult], options: &Options) -> Option<String> {
    let blocks: Vec<Vec<f64>> = by_budget(ranking, results, options)
        .iter()
        .map(|at| {
            let direction = ranking.metric.direction;
            let cost = |line: &Line| -direction.gain(at.mean(&line.schedule).unwrap_or(direction.worst()));
            ranking.lines.iter().map(cost).collect()
        })
        .collect();
    let found = stats::friedman(&blocks)?;
    let mut ranks: Vec<(f64, &str)> = found
        .mean_ranks
        .iter()
        .copied()
        .zip(ranking.lines.iter().map(|line| line.schedule.as_str()))
        .collect();
    ranks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best: Vec<String> = ranks.iter().take(3).map(|(rank, name)| format!("{name} {rank:.1}")).collect();
    Some(format!(
        "over {} budgets: Friedman's test {}; best mean ranks: {}; mean ranks differ significantly by more than {:.1} \
         (Nemenyi, 5 %)",
        blocks.len(),
        if found.p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {:.3}", found.p) },
        best.join(", "),
        found.critical_difference
    ))
}
