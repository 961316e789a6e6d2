//! Renders a ranking: rows for programs, a table for people.

use std::collections::HashMap;

use verdict::family::Verdict;
use verdict::looks::Looks;
use verdict::numbers::{Rounding, accuracy, rounded, short};
use verdict::pair::ALPHA;
use verdict::ranking::{Edge, Line, Protocol, Ranking};
use verdict::results::{Grid, Purpose, RunResult, RunState, grids};

use crate::looks;
use crate::rows::{Cell, Rows};

/// The column that a ranking without accuracies leaves out.
pub(crate) const ACCURACY: &str = "test acc.";

/// The columns of a metric with a target.
const REACHED: &str = "reached";
const SECONDS: &str = "seconds";

/// Heading of the e-value of a pair, adjusted for all pairs.
pub(crate) const E: &str = "e";

/// Headings of the unadjusted p-value of a pair, and of its p-value adjusted for all pairs.
pub(crate) const P_RAW: &str = "p raw";
pub(crate) const P_ADJUSTED: &str = "p adj.";

/// Shown instead of a p-value if no difference can be significant with this number of seeds.
pub(crate) const TOO_FEW: &str = "too few seeds";

/// A column of the ranking for programs: its name, and its cell for a line and the line's index.
type Column = (&'static str, fn(usize, &Line) -> Cell);

/// The columns for programs, in full precision.
const COLUMNS: [Column; 30] = [
    ("rank", |i, line| line.has_results().then_some(i + 1).into()),
    ("rank_low", |_, line| line.ranks.map(|(low, _)| low).into()),
    ("rank_high", |_, line| line.ranks.map(|(_, high)| high).into()),
    ("tie_group", |_, line| line.tie_group.into()),
    ("schedule", |_, line| line.schedule.as_str().into()),
    ("config_id", |_, line| line.config_id.as_str().into()),
    ("base_lr", |_, line| line.has_results().then_some(line.base_lr).into()),
    ("edge", |_, line| line.edge.map(Edge::name).into()),
    ("axis_edges", |_, line| axis_edges(line).into()),
    ("n", |_, line| line.n.into()),
    ("mean", |_, line| line.mean.into()),
    ("sd", |_, line| line.sd.into()),
    ("diff", |_, line| line.versus.diff.into()),
    ("diff_low", |_, line| line.versus.interval.map(|(low, _)| low).into()),
    ("diff_high", |_, line| line.versus.interval.map(|(_, high)| high).into()),
    ("p_raw", |_, line| line.versus.p_raw.into()),
    ("p", |_, line| line.versus.p.into()),
    ("e", |_, line| line.versus.e.into()),
    ("p_floor", |_, line| line.versus.p_floor.into()),
    ("wins", |_, line| (line.versus.n > 0).then_some(line.versus.wins).into()),
    ("verdict", |_, line| line.has_results().then(|| line.verdict.name()).into()),
    ("diverged", |_, line| line.diverged.into()),
    ("unreported", |_, line| line.unreported.into()),
    ("unreached", |_, line| line.unreached.into()),
    ("missing", |_, line| line.missing.into()),
    ("diverged_in_grid", |_, line| line.diverged_in_grid.into()),
    ("seconds", |_, line| line.seconds.into()),
    ("test_loss", |_, line| line.test_loss.into()),
    ("test_accuracy", |_, line| line.test_accuracy.into()),
    ("steps", |_, line| line.steps.into()),
];

/// The ranking for programs.
pub fn rows(ranking: &Ranking) -> Rows {
    let mut rows = Rows::new(COLUMNS.iter().map(|(name, _)| *name).chain(["metric"]));
    let metric = || Cell::from(ranking.metric.name.as_str());
    let row =
        |(i, line): (usize, &Line)| COLUMNS.iter().map(|(_, of)| of(i, line)).chain([metric()]).collect();
    rows.rows = ranking.lines.iter().enumerate().map(row).collect();
    rows
}

/// The ranking for people: rounded to what the spread over seeds supports.
pub fn table(ranking: &Ranking) -> Rows {
    let p = evidence(ranking.family.pairs_tested() > 1, is_any_time(ranking));
    let columns = ["rank", "schedule", "best lr", &ranking.metric.title, "vs first", "95 % interval"];
    let rest = ["wins", "seeds", REACHED, SECONDS, "diverged", ACCURACY, "steps"];
    let mut rows = Rows::new(columns.into_iter().chain(p.iter().copied()).chain(rest));
    rows.rows = ranking.lines.iter().map(|line| row(ranking, line)).collect();
    if ranking.lines.iter().all(|line| line.test_accuracy.is_none()) {
        rows.remove(ACCURACY);
    }
    if !ranking.metric.has_target {
        rows.remove(REACHED);
        rows.remove(SECONDS);
    }
    rows
}

/// The headings of the evidence against the first schedule, for a family of pairs, and for e-values.
pub(crate) fn evidence(is_family: bool, is_any_time: bool) -> &'static [&'static str] {
    match (is_family, is_any_time) {
        (true, true) => &[E, P_ADJUSTED],
        (false, true) => &[E, "p"],
        (true, false) => &[P_RAW, P_ADJUSTED],
        (false, false) => &["p"],
    }
}

/// Whether e-values judge.
pub(crate) fn is_any_time(ranking: &Ranking) -> bool {
    ranking.looks.as_ref().is_some_and(Looks::is_any_time)
}

fn row(ranking: &Ranking, line: &Line) -> Vec<Cell> {
    let rounding = Rounding::of(line.mean, line.sd);
    let signed = |x: f64| rounding.signed(x);
    let mut cells = vec![
        rank_range(line.ranks, line.verdict),
        line.schedule.clone(),
        if line.has_results() { best_lr(line) } else { "—".to_owned() },
        Center::of(line).shown(rounding),
        line.versus.diff.map(signed).unwrap_or_default(),
        line.versus
            .interval
            .map(|(low, high)| format!("{} to {}", signed(low), signed(high)))
            .unwrap_or_default(),
    ];
    if is_any_time(ranking) {
        cells.push(e_value(line.versus.e));
    } else if ranking.family.pairs_tested() > 1 {
        cells.push(p_value(line.versus.p_raw));
    }
    cells.push(match line.versus.p {
        Some(_) if !ranking.can_decide() => TOO_FEW.to_owned(),
        p => p_value(p),
    });
    cells.extend([
        if line.versus.n > 0 { wins(line.versus.wins, line.versus.n) } else { String::new() },
        counted(line),
        format!("{}/{}", line.n - line.unreached, line.ended()),
        line.seconds.map(|seconds| rounded(seconds, 3)).unwrap_or_default(),
        diverged(line),
        line.test_accuracy.map(accuracy).unwrap_or_default(),
        line.steps.to_string(),
    ]);
    cells.into_iter().map(Cell::Text).collect()
}

/// Footnotes that explain the table.
pub fn notes(ranking: &Ranking) -> Vec<String> {
    let mut notes = column_notes(ranking);
    if notes.is_empty() {
        return notes;
    }
    notes.extend(looks::note(ranking));
    match ranking.protocol {
        Protocol::CrossFitted => {}
        Protocol::Decided => notes.push("each lr was chosen on separate tuning seeds".to_owned()),
        Protocol::Tuning => {
            notes.push("these are the tuning seeds, which choose lrs: nothing is decided".to_owned())
        }
    }
    notes
}

/// Footnotes that explain the columns of the table.
pub(crate) fn column_notes(ranking: &Ranking) -> Vec<String> {
    if ranking.p_floor.is_none() {
        return Vec::new();
    }
    let mut notes = test_notes(ranking);
    if ranking.metric.has_target {
        notes.push(format!(
            "{REACHED}: runs that reached the target; the others count as one step more than their length; {SECONDS}: mean wall time \
             until it was reached"
        ));
    }
    notes
}

/// Footnotes that explain the tests.
fn test_notes(ranking: &Ranking) -> Vec<String> {
    let pairs = ranking.family.pairs_tested();
    let mut notes = if is_any_time(ranking) {
        e_notes(ranking, pairs)
    } else if pairs > 1 {
        vec![
            rank_note(ranking),
            format!(
                "p raw: exact sign-flip test against the first schedule, paired by seed; p adj.: corrected for all {pairs} \
                 pairs of schedules (step-down maxT); significant: p adj. < {ALPHA}"
            ),
            format!(
                "95 % interval: of the difference to the first schedule, simultaneous for all {pairs} pairs"
            ),
        ]
    } else {
        vec![format!("p: exact sign-flip test, paired by seed; significant: p < {ALPHA}")]
    };
    let is_equivalent = |line: &Line| line.verdict == Verdict::Equivalent;
    if is_any_time(ranking) && ranking.lines.iter().any(is_equivalent) {
        notes.push("~: equivalent to the first schedule: the 95 % interval is within ± rope".to_owned());
    } else if ranking.lines.iter().any(is_equivalent) {
        notes.push(
            "~: equivalent to the first schedule: the difference is within the limits of --rope (two one-sided tests)"
                .to_owned(),
        );
    }
    notes
}

fn rank_note(ranking: &Ranking) -> String {
    format!(
        "rank: range of possible ranks, from 1 + number of significantly better schedules to {} - number of significantly worse ones",
        ranking.lines.iter().filter(|line| line.ranks.is_some()).count()
    )
}

/// Footnotes that explain e-values.
fn e_notes(ranking: &Ranking, pairs: usize) -> Vec<String> {
    let (corrected, p, all) = match pairs {
        0 | 1 => (String::new(), "p", String::new()),
        _ => (
            format!(", corrected for all {pairs} pairs of schedules"),
            P_ADJUSTED,
            format!(" for all {pairs} pairs and"),
        ),
    };
    let mut notes = if pairs > 1 { vec![rank_note(ranking)] } else { Vec::new() };
    notes.push(format!(
        "{E}: e-value, the evidence that the schedule differs from the first, paired by seed{corrected}; {p} = 1 / {E}; significant: \
         {p} < {ALPHA}"
    ));
    notes.push(format!(
        "95 % interval: of the difference to the first schedule, simultaneous{all} at all numbers of seeds; empty while it is \
         unbounded; it can contain 0 although e is significant, because the e-values of all pairs are combined"
    ));
    notes
}

/// The axes at an edge, each with the edge, as in `schedule.cooldown.over: high`.
fn axis_edges(line: &Line) -> Option<String> {
    let each: Vec<String> =
        line.axis_edges.iter().map(|axis| format!("{}: {}", axis.path, axis.edge.name())).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// A range of ranks, as in `1` or `2-4`; `~` marks a schedule that is equivalent to the first.
pub(crate) fn rank_range(ranks: Option<(usize, usize)>, verdict: Verdict) -> String {
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

/// An e-value for people.
pub(crate) fn e_value(e: Option<f64>) -> String {
    match e {
        Some(e) if e >= 10_000.0 => ">10000".to_owned(),
        Some(e) if e >= 100.0 => format!("{e:.0}"),
        Some(e) => format!("{e:.1}"),
        None => String::new(),
    }
}

/// The mean of a schedule's runs, and what it leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Center {
    pub(crate) mean: Option<f64>,
    pub(crate) sd: Option<f64>,
    pub(crate) diverged: usize,
    pub(crate) unreported: usize,
    pub(crate) unreached: usize,
}

impl Center {
    fn of(line: &Line) -> Self {
        let Line { mean, sd, diverged, unreported, unreached, .. } = *line;
        Self { mean, sd, diverged, unreported, unreached }
    }

    /// The mean with its standard deviation, or why there is none.
    pub(crate) fn shown(self, rounding: Rounding) -> String {
        // Runs that did not reach the target need more steps than they count as.
        let bound = if self.unreached > 0 { "≥ " } else { "" };
        match (self.mean, self.sd) {
            (Some(mean), Some(sd)) => format!("{bound}{} ± {}", rounding.number(mean), rounding.number(sd)),
            (Some(mean), None) => format!("{bound}{}", rounding.number(mean)),
            (None, _) if self.diverged > 0 => "diverged".to_owned(),
            (None, _) if self.unreported > 0 => "not reported".to_owned(),
            (None, _) => "—".to_owned(),
        }
    }
}

/// The best lr, with a mark if it is at the edge.
fn best_lr(line: &Line) -> String {
    let edge = line.edge.map(|edge| format!(" {}", edge.flag())).unwrap_or_default();
    format!("{}{edge}", short(line.base_lr))
}

/// The mark of an axis whose chosen value is the lowest or highest that was tried.
pub fn axis_flag(line: &Line, path: &str) -> Option<&'static str> {
    line.axis_edges.iter().find(|axis| axis.path == path).map(|axis| axis.edge.flag())
}

/// As in `2/8`; equal values count as half a win.
pub(crate) fn wins(wins: f64, n: usize) -> String {
    if wins.fract() == 0.0 { format!("{wins:.0}/{n}") } else { format!("{wins:.1}/{n}") }
}

fn counted(line: &Line) -> String {
    match line.missing {
        0 => format!("{}", line.ended()),
        _ => format!("{} of {}", line.ended(), line.requested()),
    }
}

fn diverged(line: &Line) -> String {
    match (line.diverged, line.diverged_in_grid) {
        (_, 0) => "0".to_owned(),
        (here, grid) => format!("{here}/{} ({grid} in grid)", line.requested()),
    }
}

/// All configs with their results, best mean first. `axes`: a description of a config's axes, by its id.
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
    let direction = ranking.metric.direction;
    let grids: Vec<Grid<'_>> = grids(results, ranking.budget);
    let mut all = Vec::new();
    for (grid, config) in grids.iter().flat_map(|grid| grid.configs.iter().map(move |config| (grid, config)))
    {
        let values: Vec<f64> =
            config.runs.iter().filter_map(|run| run.value()).filter(|x| x.is_finite()).collect();
        let count = |state| config.runs.iter().filter(|run| run.state == state).count();
        let (summary, diverged) = (stats::summary(&values), count(RunState::Diverged));
        let mean = summary.map(|s| s.mean);
        let tuning = config.runs.iter().filter(|run| run.trial.purpose == Purpose::Tune).count();
        let row: Vec<Cell> = vec![
            grid.schedule.into(),
            config.id.into(),
            config.base_lr.into(),
            axes.get(config.id).map(String::as_str).into(),
            config.steps.into(),
            values.len().into(),
            mean.into(),
            summary.and_then(|s| s.sd).into(),
            diverged.into(),
            count(RunState::Missing).into(),
            count(RunState::Failed).into(),
            tuning.into(),
        ];
        all.push((diverged, mean.unwrap_or(direction.worst()), row));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0).then(direction.compare(a.1, b.1)));
    rows.rows = all.into_iter().map(|(_, _, row)| row).collect();
    rows
}
