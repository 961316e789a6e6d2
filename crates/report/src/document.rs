//! Everything that a report shows, as plain data. `html` and `markdown` render it.

use verdict::ranking::Edge;

/// A sweep's report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The sweep's name.
    pub sweep: String,
    /// The first comment of the sweep file; may be empty.
    pub question: String,
    /// The verdict in a sentence.
    pub verdict: String,
    /// Program and version.
    pub generated_by: String,
    /// The sweep file.
    pub file_text: String,
    /// Commands that reproduce it, and what they do.
    pub reproduce: Vec<(String, String)>,
    /// Name and value of each property of the training environment.
    pub environment: Vec<(String, String)>,
    /// How it was computed, as sentences.
    pub method: Vec<String>,
    /// Warnings about the ranking.
    pub warnings: Vec<DocumentWarning>,
    /// The schedules, best first.
    pub ranking: Vec<RankedSchedule>,
    /// Curves over the run, in the order of the ranking.
    pub curves: Vec<Curve>,
    /// Means over lr grids, in the order of the ranking.
    pub sensitivity: Vec<Sensitivity>,
    /// Means over budgets, in the order of the ranking; empty if there is only one budget.
    pub budgets: Vec<BudgetLine>,
    /// The name of the metric, as in `valid loss`.
    pub metric: String,
    /// The metric of the curves, as in `validation loss`.
    pub curve_metric: String,
    /// Whether lower values of the metric are better.
    pub lower_is_better: bool,
    /// Number of pairs of schedules that were tested together.
    pub pairs_tested: usize,
}

/// See [`verdict::warnings::Warning`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DocumentWarning {
    /// Its kind.
    pub kind: String,
    /// The limitation of the ranking.
    pub text: String,
    /// The recommended action.
    pub advice: String,
    /// The schedules that it concerns; empty means all.
    pub schedules: Vec<String>,
}

/// A line of the ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankedSchedule {
    /// Its name.
    pub schedule: String,
    /// Its best config.
    pub config_id: String,
    /// Path and value of each axis of that config.
    pub config: Vec<(String, String)>,
    /// The base lr of that config.
    pub base_lr: f64,
    /// Set if that base lr is at an edge of the grid.
    pub edge: Option<Edge>,
    /// Number of finished runs that judge it.
    pub n: usize,
    /// Number of runs that judge it, including missing ones.
    pub requested: usize,
    /// Mean over seeds.
    pub mean: Option<f64>,
    /// Standard deviation over seeds.
    pub sd: Option<f64>,
    /// Difference to the first line.
    pub diff: Option<f64>,
    /// Simultaneous 95 % interval of the difference.
    pub interval: Option<(f64, f64)>,
    /// p-value of its difference to the first line, not adjusted.
    pub p_raw: Option<f64>,
    /// p-value adjusted for all pairs; `None` if there are too few seeds for any to be significant.
    pub p: Option<f64>,
    /// e-value adjusted for all pairs, if e-values judge.
    pub e: Option<f64>,
    /// Its range of ranks, as in `2-4`.
    pub ranks: String,
    /// `first`, `better`, `worse`, `equivalent`, `same` or `undecided`.
    pub verdict: String,
    /// Number of seeds on which it is better than the first line, and number of seeds.
    pub wins: Option<(f64, usize)>,
    /// Number of diverged runs.
    pub diverged: usize,
    /// Number of finished runs without the metric.
    pub unreported: usize,
    /// Number of finished runs that did not reach the target.
    pub unreached: usize,
    /// Mean test accuracy, 0 to 1.
    pub accuracy: Option<f64>,
    /// Length of a run in steps.
    pub steps: i64,
    /// Its tie group, from 1; 0 without results.
    pub tie_group: usize,
    /// Seed and value; `None` if the run diverged or is missing.
    pub seeds: Vec<(i64, Option<f64>)>,
}

/// A schedule's curves over the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// Its name.
    pub schedule: String,
    /// Steps of the points.
    pub steps: Vec<u64>,
    /// Mean over seeds.
    pub mean: Vec<f64>,
    /// Lower end of the band.
    pub low: Vec<f64>,
    /// Upper end of the band.
    pub high: Vec<f64>,
    /// Steps of the learning rates.
    pub lr_steps: Vec<u64>,
    /// Learning rates of the first seed.
    pub lr: Vec<f64>,
    /// Number of runs in the mean, and number of runs that judge the schedule.
    pub runs: (usize, usize),
}

/// A schedule's means over its lr grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sensitivity {
    /// Its name.
    pub schedule: String,
    /// Base lr, mean of the best variant there, and number of diverged runs.
    pub points: Vec<(f64, Option<f64>, usize)>,
    /// The chosen base lr.
    pub chosen: f64,
    /// Set if the chosen base lr is at an edge of the grid.
    pub edge: Option<Edge>,
}

/// A schedule's means over budgets, each at its best lr.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BudgetLine {
    /// Its name.
    pub schedule: String,
    /// Length of the run in steps, and mean.
    pub points: Vec<(i64, f64)>,
}
