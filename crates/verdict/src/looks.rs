//! The decision of a look at the deciding seeds, planned or after each further seed: which schedules get the next seeds. A pure function
//! of the results, made from the verdicts of the ranking; docs/explanation/methods.md describes the methods.

pub use spec::looks::Looks;
use spec::protocol::{AtLook, Chosen, Outcome};
use stats::conditional_power;

use crate::family::{Family, Verdict};
use crate::pair::{ALPHA, Pair};
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
        let active = active(&ranking, seeds);
        let outcomes = outcomes(&ranking.family, &active, looks);
        all.extend(active.iter().zip(outcomes).filter_map(|(i, outcome)| {
            let line = ranking.lines.get(*i)?;
            let own =
                |chosen: &&Chosen| chosen.schedule == line.schedule && chosen.config_id == line.config_id;
            Some(AtLook { chosen: chosen.iter().find(own)?.clone(), outcome })
        }));
    }
    all
}

/// The lines of a ranking that take part in the look at `seeds` seeds: none if the leader has other seeds. The order is that of the
/// differences to the leader, so a schedule that an earlier look stopped may be ranked between them.
fn active(ranking: &Ranking, seeds: u64) -> Vec<usize> {
    let takes_part = |line: &Line| line.has_results() && line.requested() as u64 == seeds;
    if !ranking.lines.first().is_some_and(takes_part) {
        return Vec::new();
    }
    let lines = ranking.lines.iter().enumerate();
    lines.filter(|(_, line)| takes_part(line)).map(|(i, _)| i).collect()
}

/// The outcomes of the schedules of a family that take part in a look, given by their indices; the first is the leader.
pub(crate) fn outcomes(family: &Family, active: &[usize], looks: &Looks) -> Vec<Outcome> {
    let Some((leader, others)) = active.split_first() else { return Vec::new() };
    let others: Vec<Outcome> = others.iter().map(|i| outcome(family, (*i, *leader), looks)).collect();
    let continues = others.contains(&Outcome::Continued);
    let of_leader = if continues { Outcome::Continued } else { Outcome::First };
    std::iter::once(of_leader).chain(others).collect()
}

/// Whether schedules of a ranking get more seeds after their last look: then runs are missing although all planned ones have ended.
pub fn continues(ranking: &Ranking) -> bool {
    let Some(looks) = &ranking.looks else { return false };
    let reached = ranking.lines.first().map_or(0, |line| line.requested() as u64);
    let active = active(ranking, reached);
    reached < looks.most() && outcomes(&ranking.family, &active, looks).contains(&Outcome::Continued)
}

/// The outcome of schedule `i` against the leader.
fn outcome(family: &Family, (i, leader): (usize, usize), looks: &Looks) -> Outcome {
    match (family.verdict(i, leader), looks.rope) {
        (Verdict::Worse, _) => Outcome::Worse,
        (Verdict::Equivalent | Verdict::Same, Some(_)) => Outcome::Equivalent,
        (_, Some(rope)) if !looks.is_any_time() && is_futile(family.pair(i, leader), looks, rope) => {
            Outcome::Futile
        }
        _ => Outcome::Continued,
    }
}

/// Whether a test of only this pair at the last look will hardly find a difference: neither if the true difference is the one so
/// far, nor if it is the smallest one that matters.
fn is_futile(pair: Pair, looks: &Looks, rope: f64) -> bool {
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

    /// The `decide` seeds of a schedule, each with its loss.
    fn judged(schedule: &'static str, losses: &[f64]) -> Vec<RunResult> {
        let run = |(seed, loss): (i64, &f64)| {
            let mut one = run(schedule, 0.1, seed, RunState::Done(*loss));
            one.trial.purpose = Purpose::Decide;
            one
        };
        (0..).zip(losses).map(run).collect()
    }

    fn chosen(schedules: &[&str]) -> Vec<Chosen> {
        let chosen = |schedule: &&str| Chosen {
            schedule: (*schedule).to_owned(),
            steps: 100,
            config_id: format!("{schedule}-0.1"),
            base_lr: 0.1,
        };
        schedules.iter().map(chosen).collect()
    }

    /// `stopped` is nearer to the leader than two that still take part, which no look may forget.
    #[test]
    fn schedules_behind_a_stopped_one_take_part_too() {
        let noisy = |mean: f64| -> Vec<f64> {
            (0..12).map(|seed| mean + if seed % 2 == 0 { 3.0 } else { -3.0 }).collect()
        };
        let leader: Vec<f64> = (0..12).map(|seed| 1.0 + 0.01 * f64::from(seed)).collect();
        let results: Vec<RunResult> = [
            judged("leader", &leader),
            judged("stopped", &leader.iter().take(8).map(|loss| loss + 0.2).collect::<Vec<_>>()),
            judged("open", &noisy(1.5)),
            judged("last", &noisy(1.7)),
        ]
        .concat();
        let chosen = chosen(&["leader", "stopped", "open", "last"]);
        for rule in [spec::looks::Rule::Planned, spec::looks::Rule::AnyTime] {
            let looks = Looks { seeds: vec![8, 12, 20], rope: None, rule };
            let options = Options { looks: Some(looks.clone()), ..Options::default() };
            let ranking = decided(&results, &options);
            let order: Vec<&str> = ranking.lines.iter().map(|line| line.schedule.as_str()).collect();
            assert_eq!(order, ["leader", "stopped", "open", "last"]);
            assert!(continues(&ranking), "{rule:?}");
            let found = at_look(&results, &Metric::default(), &looks, 12, &chosen);
            let found: Vec<_> = found.iter().map(|at| (at.chosen.schedule.as_str(), at.outcome)).collect();
            let expected = ["leader", "open", "last"].map(|schedule| (schedule, Outcome::Continued));
            assert_eq!(found, expected, "{rule:?}");
            assert!(at_look(&results, &Metric::default(), &looks, 8, &chosen).is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn the_metric_says_which_schedule_leads() {
        let values =
            |value: f64| -> Vec<f64> { (0..8).map(|seed| value + 0.001 * f64::from(seed)).collect() };
        let mut results = [judged("low", &values(0.5)), judged("high", &values(0.9))].concat();
        let chosen = chosen(&["low", "high"]);
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
