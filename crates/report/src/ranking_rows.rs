//! How a ranking looks: rows for programs, a table for people. Nothing is concluded here.

use std::collections::HashMap;

use crate::format::{accuracy, decimals, lr, number};
use crate::ranking::{Edge, Line, Ranking, Verdict};
use crate::results::{Grid, Purpose, RunResult, RunState, grids};
use crate::rows::{Cell, Rows};

/// The column that a ranking without accuracies leaves out.
const ACCURACY: &str = "test acc.";

impl Ranking {
    /// The ranking for programs: full precision, names that SQL and JSON users expect.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::new([
            "rank",
            "tie_group",
            "schedule",
            "config_id",
            "base_lr",
            "edge",
            "n",
            "mean",
            "sd",
            "diff",
            "diff_low",
            "diff_high",
            "p",
            "p_floor",
            "wins",
            "verdict",
            "diverged",
            "missing",
            "diverged_in_grid",
            "test_loss",
            "test_accuracy",
            "steps",
        ]);
        let shown = |x: f64| self.metric.shown(x);
        for (i, line) in self.lines.iter().enumerate() {
            let (low, high) = self.interval(line).unzip();
            rows.rows.push(vec![
                line.has_results().then_some(i + 1).into(),
                line.tie_group.into(),
                line.schedule.as_str().into(),
                line.config_id.as_str().into(),
                line.has_results().then_some(line.base_lr).into(),
                line.edge.map(Edge::name).into(),
                line.n.into(),
                line.mean.map(shown).into(),
                line.sd.into(),
                line.versus.diff.map(shown).into(),
                low.into(),
                high.into(),
                line.versus.p.into(),
                line.versus.p_floor.into(),
                (line.versus.n > 0).then_some(line.versus.wins).into(),
                line.has_results().then(|| line.verdict.name()).into(),
                line.diverged.into(),
                line.missing.into(),
                line.diverged_in_grid.into(),
                line.test_loss.into(),
                line.test_accuracy.into(),
                line.steps.into(),
            ]);
        }
        rows
    }

    /// The interval of a line's difference as people know it, its lower end first.
    pub fn interval(&self, line: &Line) -> Option<(f64, f64)> {
        let (low, high) = line.versus.interval?;
        let (low, high) = (self.metric.shown(low), self.metric.shown(high));
        Some((low.min(high), low.max(high)))
    }

    /// The ranking for people: rounded to what the spread over seeds supports.
    pub fn table(&self) -> Rows {
        let mut rows = Rows::new([
            "#",
            "schedule",
            "best lr",
            &self.metric.title,
            "vs first",
            "95 % interval",
            "p",
            "wins",
            "seeds",
            "diverged",
            ACCURACY,
            "steps",
        ]);
        for line in &self.lines {
            let digits = decimals(line.sd);
            let shown = |x: f64| number(self.metric.shown(x), digits);
            let signed =
                |x: f64| format!("{}{}", if x.is_sign_negative() { "" } else { "+" }, number(x, digits));
            let mean = match (line.mean, line.sd) {
                (Some(mean), Some(sd)) => format!("{} ± {}", shown(mean), number(sd, digits)),
                (Some(mean), None) => shown(mean),
                (None, _) if line.diverged > 0 => "diverged".to_owned(),
                (None, _) => "—".to_owned(),
            };
            let interval = self.interval(line);
            let cells = [
                self.place(line),
                line.schedule.clone(),
                if line.has_results() { best_lr(line) } else { "—".to_owned() },
                mean,
                line.versus.diff.map(|diff| signed(self.metric.shown(diff))).unwrap_or_default(),
                interval
                    .map(|(low, high)| format!("{} to {}", signed(low), signed(high)))
                    .unwrap_or_default(),
                self.p(line),
                if line.versus.n > 0 { wins(line.versus.wins, line.versus.n) } else { String::new() },
                counted(line),
                diverged(line),
                line.test_accuracy.map(accuracy).unwrap_or_default(),
                line.steps.to_string(),
            ];
            rows.rows.push(cells.into_iter().map(Cell::Text).collect());
        }
        if self.lines.iter().all(|line| line.test_accuracy.is_none()) {
            rows.remove(ACCURACY);
        }
        rows
    }

    /// The lines of one group share a place: that of the first of them.
    fn place(&self, line: &Line) -> String {
        let Some(group) = line.tie_group else { return "—".to_owned() };
        let before = self.lines.iter().filter(|other| other.tie_group.is_some_and(|other| other < group));
        let alone = self.lines.iter().filter(|other| other.tie_group == Some(group)).count() == 1;
        let sign = match line.verdict {
            Verdict::Equivalent => "~",
            _ if alone => "",
            _ => "=",
        };
        format!("{sign}{}", before.count() + 1)
    }

    fn p(&self, line: &Line) -> String {
        match line.versus.p {
            Some(_) if !self.can_decide() => "cannot".to_owned(),
            Some(p) if p < 0.0001 => "<0.0001".to_owned(),
            Some(p) if p < 0.001 => format!("{p:.4}"),
            Some(p) => format!("{p:.3}"),
            None => String::new(),
        }
    }
}

/// With the flag of an edge.
fn best_lr(line: &Line) -> String {
    let edge = match line.edge {
        Some(Edge::Low) => " ↓EDGE",
        Some(Edge::High) => " ↑EDGE",
        None => "",
    };
    format!("{}{edge}", lr(line.base_lr))
}

/// As in `2/8`; an equal value is half a win.
pub(crate) fn wins(wins: f64, n: usize) -> String {
    if wins.fract() == 0.0 { format!("{wins:.0}/{n}") } else { format!("{wins:.1}/{n}") }
}

fn counted(line: &Line) -> String {
    match line.missing {
        0 => format!("{}", line.n + line.diverged),
        _ => format!("{} of {}", line.n + line.diverged, line.asked()),
    }
}

fn diverged(line: &Line) -> String {
    match (line.diverged, line.diverged_in_grid) {
        (_, 0) => "0".to_owned(),
        (here, grid) => format!("{here}/{} ({grid} in grid)", line.asked()),
    }
}

/// Every config with its results, best mean first. `axes`: the values of a config's axes in words, by its id.
pub fn by_config(results: &[RunResult], ranking: &Ranking, axes: &HashMap<&str, String>) -> Rows {
    let mut rows = Rows::new([
        "schedule",
        "config_id",
        "base_lr",
        "axes",
        "steps",
        "n",
        "mean",
        "sd",
        "diverged",
        "missing",
        "tuning_runs",
    ]);
    let grids: Vec<Grid<'_>> = grids(results, ranking.budget);
    let mut all = Vec::new();
    for (grid, config) in grids.iter().flat_map(|grid| grid.configs.iter().map(move |config| (grid, config)))
    {
        let values: Vec<f64> =
            config.runs.iter().filter_map(|run| run.value()).filter(|x| x.is_finite()).collect();
        let count = |state| config.runs.iter().filter(|run| run.state == state).count();
        let (summary, diverged) = (stats::summary(&values), count(RunState::Diverged));
        let mean = summary.map(|s| s.mean);
        let tuning = config.runs.iter().filter(|run| run.purpose == Purpose::Tune).count();
        let row: Vec<Cell> = vec![
            grid.schedule.into(),
            config.id.into(),
            config.base_lr.into(),
            axes.get(config.id).map(String::as_str).into(),
            config.steps.into(),
            values.len().into(),
            mean.map(|mean| ranking.metric.shown(mean)).into(),
            summary.and_then(|s| s.sd).into(),
            diverged.into(),
            count(RunState::Missing).into(),
            tuning.into(),
        ];
        all.push(((diverged, mean.unwrap_or(f64::INFINITY)), row));
    }
    all.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    rows.rows = all.into_iter().map(|(_, row)| row).collect();
    rows
}
