//! The data of the page that shows a sweep: plain structs, which become its JSON. The live page gets them from a server, the
//! offline report contains them. Everything here follows from the types of `verdict`; nothing is read or drawn.

mod curves;
mod live;
mod overview;
mod trials;

use std::collections::BTreeMap;

use serde::Serialize;

pub use curves::{Curves, GroupLrs, Sampled, ScheduleCurve, ScheduleRuns, curves};
pub use live::{
    FailedTrial, RunCurve, RunnerRow, RunningRow, SharingCounts, StageRow, Stages, SweepList, SweepSummary,
    TimelineRow,
};
pub use overview::{Facts, LineFacts, overview, withheld};
pub use trials::{TrialColumns, Trials};

/// The state of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process trains it.
    Running,
    /// Nothing is missing.
    Finished,
    /// Something is missing, and no process trains it.
    Incomplete,
    /// It has no runs.
    #[default]
    Empty,
}

/// The metric of the ranking.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MetricView {
    /// The value of `--metric`.
    pub name: String,
    /// Its name in sentences.
    pub title: String,
    /// Whether lower values are better.
    pub lower_is_better: bool,
}

/// Numbers of trials and steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Number of trials.
    pub trials: i64,
    /// Trained to the end.
    pub done: i64,
    /// Diverged.
    pub diverged: i64,
    /// In progress.
    pub running: i64,
    /// Not started.
    pub queued: i64,
    /// Stopped on request.
    pub stopped: i64,
    /// In progress when their process ended.
    pub left_over: i64,
    /// Failed.
    pub failed: i64,
    /// Stored steps.
    pub steps_done: i64,
    /// Steps of all trials; those of a diverged trial only up to its end.
    pub steps: i64,
    /// `tuning`, `deciding` or `all`.
    pub round: &'static str,
    /// Estimated time until the current round ends.
    pub round_left_ms: Option<i64>,
    /// Estimated time until the sweep ends.
    pub left_ms: Option<i64>,
    /// Steps of all trials per second.
    pub steps_per_second: Option<f64>,
}

/// The verdict, or why there is none yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VerdictView {
    /// The verdict in a sentence.
    pub sentence: String,
    /// Whether all runs that judge have ended. Only then lines have p-values, ranks and verdicts.
    pub complete: bool,
    /// `none`, `tuning`, `deciding` or `complete`.
    pub phase: &'static str,
    /// Number of judging seeds at which all runs have ended.
    pub seeds_done: usize,
    /// Number of judging seeds.
    pub seeds: usize,
    /// The missing runs in words; empty if there are none.
    pub missing: String,
    /// When the verdict is expected: UTC, milliseconds since 1970.
    pub ready_at: Option<i64>,
}

/// A run that judges a schedule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedView {
    /// Its seed.
    pub seed: i64,
    /// Its value; `None` if it diverged or has not ended.
    pub value: Option<f64>,
    /// `done`, `unreported`, `diverged`, `missing` or `failed`.
    pub state: &'static str,
    /// The trial; `None` if it is not planned yet.
    pub trial_id: Option<String>,
}

/// A difference at one seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedDifference {
    /// The seed.
    pub seed: i64,
    /// Value of the schedule minus value of the first schedule; `None` if one of the two diverged.
    pub value: Option<f64>,
}

/// A line of the ranking: a schedule at its best config.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LineView {
    /// Its name.
    pub schedule: String,
    /// The kind of schedule, as in `cosine`.
    pub kind: Option<String>,
    /// Its best config.
    pub config_id: String,
    /// Path and value of each axis of that config.
    pub config: Vec<(String, String)>,
    /// The base lr of that config.
    pub base_lr: f64,
    /// `lowest` or `highest` if that base lr is at an edge of the grid.
    pub edge: Option<&'static str>,
    /// Its range of ranks.
    pub ranks: Option<String>,
    /// Its tie group, from 1.
    pub tie_group: Option<usize>,
    /// `first`, `better`, `worse`, `equivalent`, `same` or `undecided`.
    pub verdict: Option<&'static str>,
    /// Number of finished runs that judge it.
    pub n: usize,
    /// Number of runs that judge it.
    pub requested: usize,
    /// Number of these that have not ended.
    pub missing: usize,
    /// Number of these that failed.
    pub failed: usize,
    /// Number of these that diverged.
    pub diverged: usize,
    /// Number of finished runs without the metric.
    pub unreported: usize,
    /// Number of finished runs that did not reach the target.
    pub unreached: usize,
    /// Mean over seeds.
    pub mean: Option<f64>,
    /// Standard deviation over seeds.
    pub sd: Option<f64>,
    /// Lower end of the 95 % interval of the mean.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Difference to the first line.
    pub diff: Option<f64>,
    /// Simultaneous 95 % interval of the difference.
    pub interval: Option<(f64, f64)>,
    /// p-value of the difference, not adjusted.
    pub p_raw: Option<f64>,
    /// p-value adjusted for all pairs.
    pub p: Option<f64>,
    /// e-value adjusted for all pairs, if e-values judge.
    pub e: Option<f64>,
    /// Number of seeds on which it is better than the first line, and number of seeds.
    pub wins: Option<(f64, usize)>,
    /// Mean test loss.
    pub test_loss: Option<f64>,
    /// Mean test accuracy.
    pub test_accuracy: Option<f64>,
    /// Length of its runs in steps.
    pub steps: i64,
    /// Mean wall time of its finished runs.
    pub wall_ms: Option<f64>,
    /// The runs that judge it.
    pub seeds: Vec<SeedView>,
    /// Its differences to the first line, seed by seed.
    pub differences: Vec<SeedDifference>,
    /// Its best run.
    pub trial_id: Option<String>,
    /// The schedule as an entry of a sweep file.
    pub yaml: String,
    /// The schedule as PyTorch code.
    pub pytorch: Option<String>,
    /// Why there is no such code.
    pub pytorch_reason: Option<String>,
}

/// A warning about the ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WarningView {
    /// Its kind.
    pub kind: String,
    /// The limitation of the ranking.
    pub text: String,
    /// The recommended action.
    pub advice: String,
    /// The schedules that it concerns; empty means all.
    pub schedules: Vec<String>,
}

/// The results of a schedule at one base lr.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LrView {
    /// The base lr.
    pub lr: f64,
    /// Mean of the best variant.
    pub mean: Option<f64>,
    /// Number of finished runs of that variant.
    pub n: usize,
    /// Number of diverged runs of all variants.
    pub diverged: usize,
    /// Number of runs in progress.
    pub running: usize,
    /// Number of runs that have not started.
    pub queued: usize,
    /// Seed and value of the finished runs of the best variant.
    pub seeds: Vec<(i64, f64)>,
}

/// A schedule over its lr grid.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SensitivityView {
    /// Its name.
    pub schedule: String,
    /// Its base lrs, lowest first.
    pub points: Vec<LrView>,
    /// The chosen base lr.
    pub chosen: f64,
    /// `lowest` or `highest` if the chosen base lr is at an edge of the grid.
    pub edge: Option<&'static str>,
}

/// A schedule at one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetPoint {
    /// Length of the run in steps.
    pub steps: i64,
    /// Mean at the best lr.
    pub mean: f64,
    /// That lr.
    pub lr: f64,
}

/// A schedule over several budgets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetView {
    /// Its name.
    pub schedule: String,
    /// Its means.
    pub points: Vec<BudgetPoint>,
}

/// Everything about a sweep except its single trials and its curves.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Overview {
    /// Version of this format.
    pub format: u32,
    /// The sweep's name.
    pub sweep: String,
    /// The first comment of the sweep file; may be empty.
    pub question: String,
    /// Program and version.
    pub generated_by: String,
    /// When it was made: UTC, milliseconds since 1970.
    pub now: i64,
    /// Name and value of the properties that a header shows: data, model, optimizer.
    pub about: Vec<(String, String)>,
    /// The metric of the ranking.
    pub metric: MetricView,
    /// The metric of the curves that are shown first: `valid`, `train`, or one of `curves`.
    pub curve_metric: String,
    /// The names of the metrics other than losses that have curves.
    pub curves: Vec<String>,
    /// Length of the ranked runs in steps.
    pub budget: i64,
    /// All run lengths of the sweep.
    pub budgets: Vec<i64>,
    /// The state of the sweep.
    pub state: State,
    /// Its progress.
    pub progress: Progress,
    /// The verdict.
    pub verdict: VerdictView,
    /// The schedules, best first.
    pub ranking: Vec<LineView>,
    /// Warnings about the ranking.
    pub warnings: Vec<WarningView>,
    /// Results over the lr grids, in the order of the ranking.
    pub sensitivity: Vec<SensitivityView>,
    /// Results over budgets; empty if there is only one.
    pub budget_map: Vec<BudgetView>,
    /// A sentence on all budgets together.
    pub over_budgets: Option<String>,
    /// How it was computed, as sentences.
    pub method: Vec<String>,
    /// Name and value of each property of the training environment.
    pub environment: Vec<(String, String)>,
    /// The sweep file.
    pub file_text: String,
    /// Commands, and what each does.
    pub commands: Vec<(String, String)>,
    /// The path of the sweep file, if it is known.
    pub file_name: Option<String>,
}

/// The data of an offline report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Everything except trials and curves.
    pub overview: Overview,
    /// All trials.
    pub trials: Trials,
    /// The curves by metric.
    pub curves: SnapshotCurves,
    /// Stages are only on the live page.
    pub stages: Option<Stages>,
}

/// The curves of an offline report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SnapshotCurves {
    /// Validation losses.
    pub valid: Curves,
    /// Metrics other than losses, by name.
    #[serde(flatten)]
    pub others: BTreeMap<String, Curves>,
    /// Training losses.
    pub train: Curves,
}
