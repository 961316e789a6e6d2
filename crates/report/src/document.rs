//! All that a report shows, as plain data: what `html` and `markdown` render. Nothing is computed here.

use verdict::ranking::Edge;

/// A sweep's report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The sweep's name.
    pub sweep: String,
    /// The first comment of the sweep file; may be empty.
    pub question: String,
    /// The answer in a sentence.
    pub verdict: String,
    /// Program and version.
    pub generated_by: String,
    /// The sweep file.
    pub file_text: String,
    /// Commands, and what they do.
    pub reproduce: Vec<(String, String)>,
    /// Where it was trained.
    pub environment: Vec<(String, String)>,
    /// How it was computed, in sentences.
    pub method: Vec<String>,
    /// What to know before believing it.
    pub warnings: Vec<DocumentWarning>,
    /// Best first.
    pub ranking: Vec<RankedSchedule>,
    /// In the order of the ranking.
    pub curves: Vec<Curve>,
    /// In the order of the ranking.
    pub sensitivity: Vec<Sensitivity>,
    /// In the order of the ranking; empty where there is one budget.
    pub budgets: Vec<BudgetLine>,
    /// As in `valid loss`.
    pub metric: String,
    /// What the curves show, as in `validation loss`.
    pub curve_metric: String,
    /// Whether less of the metric is better.
    pub lower_is_better: bool,
    /// Pairs of schedules that were tested together.
    pub comparisons: usize,
}

/// See [`verdict::warnings::Warning`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DocumentWarning {
    /// What it is about.
    pub kind: String,
    /// What is the case.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// The schedules that it concerns; none means all.
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
    /// Where that is an end of its grid.
    pub edge: Option<Edge>,
    /// Finished runs that judge it.
    pub n: usize,
    /// Runs that are to judge it.
    pub asked: usize,
    /// Mean over seeds.
    pub mean: Option<f64>,
    /// Standard deviation over seeds.
    pub sd: Option<f64>,
    /// Difference to the first line.
    pub diff: Option<f64>,
    /// 95 % interval of it, for all pairs at once.
    pub interval: Option<(f64, f64)>,
    /// p-value of its difference to the first line, of this pair alone.
    pub p_raw: Option<f64>,
    /// The same for all pairs at once; `None` where the seeds are too few for any to be significant.
    pub p: Option<f64>,
    /// The ranks that the data allow, as in `2-4`.
    pub place: String,
    /// first, better, worse, equivalent, same or undecided.
    pub verdict: String,
    /// Seeds won against the first, of how many.
    pub wins: Option<(f64, usize)>,
    /// Runs that diverged.
    pub diverged: usize,
    /// Mean test accuracy, 0 to 1.
    pub accuracy: Option<f64>,
    /// Length of a run in steps.
    pub steps: i64,
    /// Its tie group, from 1; 0 without results.
    pub tie_group: usize,
    /// Seed and value; `None` where it diverged or is missing.
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
    /// Learning rates, of the first seed.
    pub lr: Vec<f64>,
    /// Runs that the mean is over, of how many that judge the schedule.
    pub runs: (usize, usize),
}

/// A schedule's means over its lr grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sensitivity {
    /// Its name.
    pub schedule: String,
    /// Base lr, mean at its best variant there, and runs that diverged.
    pub points: Vec<(f64, Option<f64>, usize)>,
    /// The base lr that was chosen.
    pub chosen: f64,
    /// Where that is an end of the grid.
    pub edge: Option<Edge>,
}

/// A schedule's means over budgets, each at its best lr.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BudgetLine {
    /// Its name.
    pub schedule: String,
    /// Steps, mean.
    pub points: Vec<(i64, f64)>,
}
