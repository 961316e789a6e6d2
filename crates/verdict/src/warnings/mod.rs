//! What to know before believing a ranking: warnings as data, each with what to do about it. A warning is a function in one of the
//! files here and a line of the `TABLE`.

mod compared;
mod evidence;
mod origins;
mod outcomes;
mod trained;

use spec::origin::Origins;

use crate::compare::ALPHA;
use crate::ranking::{Line, Options, Ranking};
use crate::results::RunResult;

/// Something that limits what a ranking says.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub kind: Kind,
    /// The schedules that it concerns; none means all.
    pub schedules: Vec<String>,
    /// What is the case.
    pub text: String,
    /// What to do.
    pub advice: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs are not trained yet.
    Missing,
    /// Runs could not be trained.
    Failed,
    /// The deciding runs have not begun.
    OnlyTuned,
    /// The seeds are too few to decide anything.
    FewSeeds,
    /// A best lr, or the best value of another axis, is the lowest or highest that was tried.
    Edge,
    /// Runs of the best configs have other lengths.
    UnequalBudget,
    /// Runs diverged.
    Diverged,
    /// The order by accuracy is another one.
    MetricsDisagree,
    /// The order over budgets is another one.
    UnstableOverBudgets,
    /// Configs were chosen on the seeds that judge them.
    SameSeeds,
    /// Each schedule has seeds of its own.
    Unpaired,
    /// Schedules ran on different hardware.
    Hardware,
    /// Schedules came to the same losses.
    SameRuns,
    /// Runs were trained with several versions of the arithmetic.
    MixedBits,
    /// Runs of a program loaded different contents of a file.
    MixedFiles,
    /// Seeds were added after the ranking could be seen.
    AddedSeeds,
}

impl Kind {
    /// Whether it is about what is stored of all runs, not about how some of them compare.
    pub fn is_of_store(self) -> bool {
        matches!(self, Kind::MixedBits | Kind::MixedFiles | Kind::AddedSeeds)
    }

    /// As in rows.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Failed => "failed",
            Kind::OnlyTuned => "only_tuned",
            Kind::FewSeeds => "few_seeds",
            Kind::Edge => "edge",
            Kind::UnequalBudget => "unequal_budget",
            Kind::Diverged => "diverged",
            Kind::MetricsDisagree => "metrics_disagree",
            Kind::UnstableOverBudgets => "unstable_over_budgets",
            Kind::SameSeeds => "same_seeds",
            Kind::Unpaired => "unpaired",
            Kind::Hardware => "hardware",
            Kind::SameRuns => "same_runs",
            Kind::MixedBits => "mixed_bits",
            Kind::MixedFiles => "mixed_files",
            Kind::AddedSeeds => "added_seeds",
        }
    }
}

/// What the store knows of a sweep beside its results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Which arithmetic and files its results owe to.
    pub origins: Vec<Origins>,
    /// With how many seeds its ranking could be seen before it got more.
    pub looks: Vec<i64>,
}

/// What warnings are made from.
#[derive(Clone, Copy)]
struct Input<'a> {
    ranking: &'a Ranking,
    results: &'a [RunResult],
    options: &'a Options,
    history: &'a History,
}

impl<'a> Input<'a> {
    fn lines(&self) -> &'a [Line] {
        &self.ranking.lines
    }
}

/// All warnings, in the order in which they are shown.
const TABLE: [fn(Input<'_>) -> Vec<Warning>; 17] = [
    trained::failed,
    trained::missing,
    trained::only_tuned,
    evidence::few_seeds,
    compared::hardware,
    outcomes::same_runs,
    outcomes::edge,
    compared::lengths,
    compared::budgets,
    outcomes::diverged,
    outcomes::metrics_disagree,
    outcomes::unstable_over_budgets,
    evidence::unpaired,
    evidence::same_seeds,
    origins::mixed_bits,
    origins::mixed_files,
    evidence::added_seeds,
];

/// All warnings of a ranking of these results.
pub fn warnings(
    ranking: &Ranking,
    results: &[RunResult],
    options: &Options,
    history: &History,
) -> Vec<Warning> {
    let input = Input { ranking, results, options, history };
    TABLE.iter().flat_map(|warn| warn(input)).collect()
}

/// The fewest seeds with which a difference can be significant: the exact test's lowest p-value, 2 / 2^n, is below alpha.
pub fn seeds_to_decide() -> usize {
    (1..64).find(|n| 2.0 / 2f64.powi(*n) < ALPHA).and_then(|n| usize::try_from(n).ok()).unwrap_or(64)
}

fn warning(kind: Kind, schedules: Vec<String>, text: String, advice: &str) -> Vec<Warning> {
    vec![Warning { kind, schedules, text, advice: advice.to_owned() }]
}

fn names<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<String> {
    lines.map(|line| line.schedule.clone()).collect()
}

/// As in `a, b and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "all".to_owned(),
        [.., _] if names.len() <= 4 => names.join(", "),
        _ => format!("{} and {} more", names.get(..3).unwrap_or_default().join(", "), names.len() - 3),
    }
}
