//! How a ranking looks: rows for programs, a table for people. Nothing is concluded here.

use std::collections::HashMap;

use crate::format::{accuracy, decimals, lr, number};
use crate::ranking::{Edge, Line, Ranking, Verdict};
use crate::results::{Grid, Purpose, RunResult, RunState, grids};
use crate::rows::{Cell, Rows};

/// The column that a ranking without accuracies leaves out.
pub(crate) const ACCURACY: &str = "test acc.";

/// The p-value of a pair alone, and that of all pairs at once.
pub(crate) const P_RAW: &str = "p raw";
pub(crate) const P_ADJUSTED: &str = "p adj.";

/// In the place of a p-value that no result could make significant.
pub(crate) const TOO_FEW: &str = "too few seeds";

impl Ranking {
    /// The ranking for programs: full precision, names that SQL and JSON users expect.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::new([
            "rank",
            "rank_low",
            "rank_high",
            "tie_group",
            "schedule",
            "config_id",
            "base_lr",
            "edge",
            "axis_edges",
            "n",
            "mean",
            "sd",
            "diff",
            "diff_low",
            "diff_high",
            "p_raw",
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
                line.ranks.map(|(low, _)| low).into(),
                line.ranks.map(|(_, high)| high).into(),
                line.tie_group.into(),
                line.schedule.as_str().into(),
                line.config_id.as_str().into(),
                line.has_results().then_some(line.base_lr).into(),
                line.edge.map(Edge::name).into(),
                axis_edges(line).into(),
                line.n.into(),
                line.mean.map(shown).into(),
                line.sd.into(),
                line.versus.diff.map(shown).into(),
                low.into(),
                high.into(),
                line.versus.p_raw.into(),
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
        let is_family = self.family.comparisons() > 1;
        let p = if is_family { &[P_RAW, P_ADJUSTED][..] } else { &["p"] };
        let columns = ["#", "schedule", "best lr", &self.metric.title, "vs first", "95 % interval"];
        let rest = ["wins", "seeds", "diverged", ACCURACY, "steps"];
        let mut rows = Rows::new(columns.into_iter().chain(p.iter().copied()).chain(rest));
        rows.rows = self.lines.iter().map(|line| self.row(line, is_family)).collect();
        if self.lines.iter().all(|line| line.test_accuracy.is_none()) {
            rows.remove(ACCURACY);
        }
        rows
    }

    fn row(&self, line: &Line, is_family: bool) -> Vec<Cell> {
        let digits = decimals(line.sd);
        let shown = |x: f64| number(self.metric.shown(x), digits);
        let signed = |x: f64| format!("{}{}", if x.is_sign_negative() { "" } else { "+" }, number(x, digits));
        let mean = match (line.mean, line.sd) {
            (Some(mean), Some(sd)) => format!("{} ± {}", shown(mean), number(sd, digits)),
            (Some(mean), None) => shown(mean),
            (None, _) if line.diverged > 0 => "diverged".to_owned(),
            (None, _) => "—".to_owned(),
        };
        let interval = self.interval(line);
        let mut cells = vec![
            place(line.ranks, line.verdict),
            line.schedule.clone(),
            if line.has_results() { best_lr(line) } else { "—".to_owned() },
            mean,
            line.versus.diff.map(|diff| signed(self.metric.shown(diff))).unwrap_or_default(),
            interval.map(|(low, high)| format!("{} to {}", signed(low), signed(high))).unwrap_or_default(),
        ];
        if is_family {
            cells.push(p_value(line.versus.p_raw));
        }
        cells.push(match line.versus.p {
            Some(_) if !self.can_decide() => TOO_FEW.to_owned(),
            p => p_value(p),
        });
        cells.extend([
            if line.versus.n > 0 { wins(line.versus.wins, line.versus.n) } else { String::new() },
            counted(line),
            diverged(line),
            line.test_accuracy.map(accuracy).unwrap_or_default(),
            line.steps.to_string(),
        ]);
        cells.into_iter().map(Cell::Text).collect()
    }
}

/// Each axis at an edge and which it is, as in `schedule.cooldown.over: high`.
fn axis_edges(line: &Line) -> Option<String> {
    let each: Vec<String> =
        line.axis_edges.iter().map(|axis| format!("{}: {}", axis.path, axis.edge.name())).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// The ranks that the data allow, as in `1` or `2-4`.
pub(crate) fn place(ranks: Option<(usize, usize)>, verdict: Verdict) -> String {
    let sign = if verdict == Verdict::Equivalent { "~" } else { "" };
    match ranks {
        None => "—".to_owned(),
        Some((low, high)) if low == high => format!("{sign}{low}"),
        Some((low, high)) => format!("{sign}{low}-{high}"),
    }
}

/// A p-value for people.
pub(crate) fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.0001 => "<0.0001".to_owned(),
        Some(p) if p < 0.001 => format!("{p:.4}"),
        Some(p) => format!("{p:.3}"),
        None => String::new(),
    }
}

/// With the flag of an edge.
fn best_lr(line: &Line) -> String {
    let edge = line.edge.map(|edge| format!(" {}", edge.flag())).unwrap_or_default();
    format!("{}{edge}", lr(line.base_lr))
}

impl Line {
    /// The flag of an axis whose chosen value is an end of those that were tried.
    pub fn axis_flag(&self, path: &str) -> Option<&'static str> {
        self.axis_edges.iter().find(|axis| axis.path == path).map(|axis| axis.edge.flag())
    }
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
        "failed",
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
            count(RunState::Failed).into(),
            tuning.into(),
        ];
        all.push(((diverged, mean.unwrap_or(f64::INFINITY)), row));
    }
    all.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    rows.rows = all.into_iter().map(|(_, row)| row).collect();
    rows
}
