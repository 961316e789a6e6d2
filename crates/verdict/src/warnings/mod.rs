//! Warnings about what limits a ranking, each with advice, as data. A warning is a function in one of the files here and a line
//! of `TABLE`.

mod compared;
mod evidence;
mod origins;
mod outcomes;
mod trained;

use spec::origin::Origins;
use spec::protocol::Screened;

use crate::pair::ALPHA;
use crate::ranking::{Line, Options, Ranking};
use crate::results::RunResult;

/// Something that limits what a ranking says.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// Its kind.
    pub kind: Kind,
    /// The schedules that it concerns; empty means all.
    pub schedules: Vec<String>,
    /// The limitation of the ranking.
    pub text: String,
    /// The recommended action.
    pub advice: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs are not trained yet.
    Missing,
    /// Runs could not be trained.
    Failed,
    /// No deciding run has ended.
    OnlyTuned,
    /// Schedules were not trained, because their predicted losses are high.
    NotTrained,
    /// There are too few seeds for any significant difference.
    FewSeeds,
    /// The best lr, or the best value of another axis, is the lowest or highest that was tried.
    Edge,
    /// Schedules are compared at different run lengths.
    UnequalBudget,
    /// Runs diverged.
    Diverged,
    /// Finished runs have no value of the metric.
    Unreported,
    /// Finished runs did not reach the target.
    Unreached,
    /// The order by test accuracy differs from the order by the metric.
    MetricsDisagree,
    /// The order differs between budgets.
    UnstableOverBudgets,
    /// Configs were chosen on the seeds that judge them.
    SameSeeds,
    /// Schedules share no seeds.
    Unpaired,
    /// Schedules ran on different hardware.
    Hardware,
    /// Schedules have the same losses.
    SameRuns,
    /// Runs were trained with several versions of the arithmetic.
    MixedBits,
    /// Runs of a custom program loaded different versions of a file.
    MixedFiles,
    /// Seeds were added after the ranking was available.
    AddedSeeds,
}

impl Kind {
    /// Whether it concerns all stored runs of the sweep, and not the compared schedules.
    pub fn is_of_store(self) -> bool {
        matches!(self, Kind::MixedBits | Kind::MixedFiles | Kind::AddedSeeds)
    }

    /// The name in outputs for programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Failed => "failed",
            Kind::OnlyTuned => "only_tuned",
            Kind::NotTrained => "not_trained",
            Kind::FewSeeds => "few_seeds",
            Kind::Edge => "edge",
            Kind::UnequalBudget => "unequal_budget",
            Kind::Diverged => "diverged",
            Kind::Unreported => "unreported",
            Kind::Unreached => "unreached",
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

/// Facts about a sweep that the store has in addition to its results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The arithmetic and the files that trained its results.
    pub origins: Vec<Origins>,
    /// Earlier numbers of seeds with which its ranking was available, before seeds were added.
    pub looks: Vec<i64>,
    /// Which schedules predictions kept and left out.
    pub screened: Option<Screened>,
}

/// The input of warnings.
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

/// All warnings, in display order.
const TABLE: [fn(Input<'_>) -> Vec<Warning>; 20] = [
    trained::failed,
    trained::missing,
    trained::only_tuned,
    trained::not_trained,
    evidence::few_seeds,
    compared::hardware,
    outcomes::same_runs,
    outcomes::edge,
    compared::lengths,
    compared::budgets,
    outcomes::diverged,
    outcomes::unreported,
    outcomes::unreached,
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

/// The smallest number of seeds n with which a difference can be significant: the lowest p-value of the exact test, 2 / 2^n, is
/// below alpha.
pub fn seeds_to_decide() -> usize {
    (1..64).find(|n| 2.0 / 2f64.powi(*n) < ALPHA).and_then(|n| usize::try_from(n).ok()).unwrap_or(64)
}

fn warning(kind: Kind, schedules: Vec<String>, text: String, advice: &str) -> Vec<Warning> {
    vec![Warning { kind, schedules, text, advice: advice.to_owned() }]
}

fn names<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<String> {
    lines.map(|line| line.schedule.clone()).collect()
}

/// A list as in `a, b, c and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "all".to_owned(),
        [.., _] if names.len() <= 4 => names.join(", "),
        _ => format!("{} and {} more", names.get(..3).unwrap_or_default().join(", "), names.len() - 3),
    }
}
