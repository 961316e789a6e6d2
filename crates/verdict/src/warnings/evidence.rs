//! Warnings of what the seeds can't show.

use std::collections::BTreeSet;

use schedule::problem::counted;

use super::{Input, Kind, Warning, seeds_to_decide, warning};
use crate::ranking::{Line, Protocol};
use crate::results::{Purpose, RunResult};

pub(super) fn few_seeds(input: Input<'_>) -> Vec<Warning> {
    let ranking = input.ranking;
    if ranking.p_floor.is_none() || ranking.can_decide() || ranking.protocol == Protocol::Tuning {
        return Vec::new();
    }
    let seeds = input.lines().iter().map(Line::asked).max().unwrap_or(0);
    let text = format!("no difference can be significant with {}", counted(seeds, "seed"));
    let advice = format!("the exact test needs at least {} seeds", seeds_to_decide());
    warning(Kind::FewSeeds, Vec::new(), text, &advice)
}

pub(super) fn unpaired(input: Input<'_>) -> Vec<Warning> {
    if input.ranking.is_paired {
        return Vec::new();
    }
    let text = "no two schedules share a seed: the first runs of both are compared, the second, and so on";
    let advice = "with the same seeds for all, differences have less noise";
    warning(Kind::Unpaired, Vec::new(), text.to_owned(), advice)
}

/// Only where there was a choice.
pub(super) fn same_seeds(input: Input<'_>) -> Vec<Warning> {
    let has_choice = |line: &Line| line.edge.is_some() || choices(input.results, line) > 1;
    if input.ranking.protocol != Protocol::CrossFitted || !input.lines().iter().any(has_choice) {
        return Vec::new();
    }
    let text = "each lr was chosen on the seeds that judge it: differences are cross-fitted (each seed is judged at \
                the lr that the others choose), means are not and flatter a little";
    let advice = "`seeds: {tune: 2, decide: 8}` chooses on other seeds than it judges on";
    warning(Kind::SameSeeds, Vec::new(), text.to_owned(), advice)
}

/// Configs among which this line's was chosen.
fn choices(results: &[RunResult], line: &Line) -> usize {
    let own =
        results.iter().filter(|run| run.trial.schedule == line.schedule && run.trial.steps == line.steps);
    own.map(|run| run.trial.config_id.as_str()).collect::<BTreeSet<_>>().len()
}

/// Seeds were added after the ranking could be seen with fewer.
pub(super) fn added_seeds(input: Input<'_>) -> Vec<Warning> {
    let judging = input.results.iter().filter(|run| run.trial.purpose != Purpose::Tune);
    let now = judging.map(|run| run.trial.seed).collect::<BTreeSet<_>>().len() as i64;
    let looks = input.history.looks.iter();
    let before: Vec<String> = looks.filter(|seeds| **seeds < now).map(i64::to_string).collect();
    let schedules: BTreeSet<&str> = input.results.iter().map(|run| run.trial.schedule.as_str()).collect();
    if before.is_empty() || schedules.len() < 2 {
        return Vec::new();
    }
    let text = format!(
        "this ranking could be seen with {} seeds before it got {now}: its p-values hold for a number of seeds that was fixed \
         before the first look",
        before.join(" and ")
    );
    let looks = before.len() + 1;
    // Rounded down: each look has its share of 0.05.
    let share = (50.0 / looks as f64).floor() / 1000.0;
    let advice = format!(
        "judge by p below {share} instead of 0.05 (a share of it for each of {looks} looks), or by fresh seeds alone"
    );
    warning(Kind::AddedSeeds, Vec::new(), text, &advice)
}
