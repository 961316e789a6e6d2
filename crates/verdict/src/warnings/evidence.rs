//! Warnings about the evidence that the seeds give.

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
    let seeds = input.lines().iter().map(Line::requested).max().unwrap_or(0);
    let text = format!("no difference can be significant with {}", counted(seeds, "seed"));
    let advice = format!("the exact test needs at least {} seeds", seeds_to_decide());
    warning(Kind::FewSeeds, Vec::new(), text, &advice)
}

pub(super) fn unpaired(input: Input<'_>) -> Vec<Warning> {
    if input.ranking.is_paired {
        return Vec::new();
    }
    let text =
        "schedules share no seeds, so runs are paired by their position in the list of seeds, not by seed";
    let advice = "use the same seeds for all schedules: their differences have less noise";
    warning(Kind::Unpaired, Vec::new(), text.to_owned(), advice)
}

/// The seeds that chose each config also judge it. No warning if there was nothing to choose.
pub(super) fn same_seeds(input: Input<'_>) -> Vec<Warning> {
    let has_choice = |line: &Line| line.edge.is_some() || choices(input.results, line) > 1;
    if input.ranking.protocol != Protocol::CrossFitted || !input.lines().iter().any(has_choice) {
        return Vec::new();
    }
    let text = "each lr was chosen on the seeds that judge it: differences are corrected by cross-fitting (each seed is judged at \
                the lr that the other seeds choose), but means are slightly too good";
    let advice = "use `seeds: {tune: 2, decide: 8}` to choose and judge on different seeds";
    warning(Kind::SameSeeds, Vec::new(), text.to_owned(), advice)
}

/// Number of configs from which this line's config was chosen.
fn choices(results: &[RunResult], line: &Line) -> usize {
    let own =
        results.iter().filter(|run| run.trial.schedule == line.schedule && run.trial.steps == line.steps);
    own.map(|run| run.trial.config_id.as_str()).collect::<BTreeSet<_>>().len()
}

/// Seeds were added after the ranking was available with fewer.
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
        "seeds were added after the ranking was available (earlier {}, now {now} seeds): p-values are valid only if the number of \
         seeds was fixed beforehand",
        before.join(" and ")
    );
    let looks = before.len() + 1;
    // Bonferroni over the looks: each has an equal share of 0.05, rounded down.
    let share = (50.0 / looks as f64).floor() / 1000.0;
    let advice = format!(
        "require p < {share} instead of 0.05 (a correction for {looks} looks at the ranking), or judge only by new seeds; with \
         `decide: {{until: decided, at_most: 40}}` in a new sweep, seeds may be added at any time"
    );
    warning(Kind::AddedSeeds, Vec::new(), text, &advice)
}
