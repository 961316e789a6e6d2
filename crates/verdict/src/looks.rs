//! The decision of a look at the deciding seeds, planned or after each further seed: which schedules get the next seeds. A pure function
//! of the results, made from the verdicts of the ranking; docs/explanation/methods.md describes the methods.

pub use spec::looks::Looks;
use spec::protocol::{AtLook, Chosen, Outcome};
use stats::conditional_power;

use crate::family::{Family, Verdict};
use crate::pair::ALPHA;
use crate::ranking::{Line, Metric, Options, Ranking, decided};
use crate::results::{RunResult, budgets};

/// A schedule gets no more seeds if the remaining ones would find a difference to the leader with a lower probability.
const FUTILE: f64 = 0.1;

/// The outcome of the look at `seeds` deciding seeds for each schedule that has them, by budget, the best first. `chosen` are the
/// configs that are judged, by the values of `metric`. Empty if no schedule has that number of seeds.
pub fn at_look(
    results: &[RunResult],
    metric: &Metric,
    looks: &Looks,
    seeds: u64,
    chosen: &[Chosen],
) -> Vec<AtLook> {
    let options = |steps| Options {
        metric: metric.clone(),
        budget: Some(steps),
        looks: Some(looks.clone()),
        ..Options::default()
    };
    let mut all = Vec::new();
    for steps in budgets(results) {
        let ranking = decided(results, &options(steps));
        let takes_part = |line: &&Line| line.requested() as u64 == seeds;
        let active: Vec<&Line> = ranking.lines.iter().take_while(takes_part).collect();
        let outcomes = outcomes(&ranking.family, active.len(), looks);
        all.extend(active.iter().zip(outcomes).filter_map(|(line, outcome)| {
            let own =
                |chosen: &&Chosen| chosen.schedule == line.schedule && chosen.config_id == line.config_id;
            Some(AtLook { chosen: chosen.iter().find(own)?.clone(), outcome })
        }));
    }
    all
}

/// The outcomes of the first `active` schedules of a family, which are those that take part in the look; the first is the leader.
pub(crate) fn outcomes(family: &Family, active: usize, looks: &Looks) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = (1..active).map(|i| outcome(family, i, looks)).collect();
    let leader = if outcomes.contains(&Outcome::Continued) { Outcome::Continued } else { Outcome::First };
    if active > 0 {
        outcomes.insert(0, leader);
    }
    outcomes
}

/// Whether schedules of a ranking get more seeds after their last look: then runs are missing although all planned ones have ended.
pub fn continues(ranking: &Ranking) -> bool {
    let Some(looks) = &ranking.looks else { return false };
    let seeds = |line: &Line| line.requested() as u64;
    let reached = ranking.lines.first().map_or(0, seeds);
    let active = ranking.lines.iter().take_while(|line| line.has_results() && seeds(line) == reached).count();
    reached < looks.most() && outcomes(&ranking.family, active, looks).contains(&Outcome::Continued)
}

/// The outcome of schedule `i`, which is not the leader.
fn outcome(family: &Family, i: usize, looks: &Looks) -> Outcome {
    match (family.verdict(i, 0), looks.rope) {
        (Verdict::Worse, _) => Outcome::Worse,
        (Verdict::Equivalent | Verdict::Same, Some(_)) => Outcome::Equivalent,
        (_, Some(rope)) if !looks.is_any_time() && is_futile(family, i, looks, rope) => Outcome::Futile,
        _ => Outcome::Continued,
    }
}

/// Whether a test of only this pair at the last look will hardly find a difference: neither if the true difference is the one so
/// far, nor if it is the smallest one that matters.
fn is_futile(family: &Family, i: usize, looks: &Looks, rope: f64) -> bool {
    let pair = family.pair(i, 0);
    let most = usize::try_from(looks.most()).unwrap_or(usize::MAX);
    let level = ALPHA * looks.shares().last().copied().unwrap_or(1.0);
    let power =
        pair.paired().and_then(|seen| conditional_power(seen, most, seen.mean.abs().max(rope), level));
    power.is_some_and(|power| power < FUTILE)
}

#[cfg(test)]
mod tests {
    use spec::protocol::Purpose;

    use super::*;
    use crate::ranking::tests::run;
    use crate::results::RunState;
    use crate::score::{Direction, Score};

    #[test]
    fn the_metric_says_which_schedule_leads() {
        let mut results = Vec::new();
        for seed in 0..8 {
            for (schedule, value) in [("low", 0.5), ("high", 0.9)] {
                let value = value + 0.001 * seed as f64;
                let mut one = run(schedule, 0.1, seed, RunState::Done(value));
                one.trial.purpose = Purpose::Decide;
                results.push(one);
            }
        }
        let chosen: Vec<Chosen> = ["low", "high"]
            .map(|schedule| Chosen {
                schedule: schedule.to_owned(),
                steps: 100,
                config_id: format!("{schedule}-0.1"),
                base_lr: 0.1,
            })
            .to_vec();
        let looks = Looks { seeds: vec![8, 12, 20], rope: None, rule: spec::looks::Rule::Planned };
        for (direction, first) in [(Direction::LowerIsBetter, "low"), (Direction::HigherIsBetter, "high")] {
            for run in &mut results {
                let value = run.score.map_or(0.0, |score| score.value);
                run.score = Some(Score { value, direction });
            }
            let metric = Metric { direction, ..Metric::default() };
            let outcomes = at_look(&results, &metric, &looks, 8, &chosen);
            let found: Vec<_> = outcomes.iter().map(|at| (at.chosen.schedule.as_str(), at.outcome)).collect();
            let second = if first == "low" { "high" } else { "low" };
            assert_eq!(found, [(first, Outcome::First), (second, Outcome::Worse)]);
        }
    }
}
