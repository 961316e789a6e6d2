//! Replays early-stopping rules and screening on complete runs: what each would have saved, and which good configs it would have
//! stopped or never trained. Nothing here stops a run.

use std::collections::BTreeMap;

/// A run's validation losses.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The schedule's name.
    pub schedule: String,
    /// The config.
    pub config_id: String,
    /// The seed. A rule compares the runs of one seed.
    pub seed: i64,
    /// Steps done and the loss then, in order.
    pub losses: Vec<(u64, f64)>,
    /// Length of the run in steps.
    pub steps: u64,
    /// The loss after the last step; infinite if the run diverged.
    pub last: f64,
}

impl Trace {
    /// Its latest loss after `steps` steps; infinite before the first evaluation and after the run diverged.
    pub(crate) fn at(&self, steps: u64) -> f64 {
        if steps >= self.steps {
            return self.last;
        }
        let seen =
            self.losses.iter().rev().find(|(at, _)| *at <= steps).map_or(f64::INFINITY, |(_, loss)| *loss);
        if seen.is_nan() { f64::INFINITY } else { seen }
    }
}

/// The effect that a rule would have had.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// The rule.
    pub rule: String,
    /// Number of runs that it would have stopped, and number of all runs.
    pub stopped: (usize, usize),
    /// Number of steps that it would have saved, and number of all steps.
    pub saved: (u64, u64),
    /// Schedules whose best config it would have stopped on more than half of the seeds.
    pub dropped: Vec<String>,
    /// Whether it would have trained the best config to the end on at least half of the seeds.
    pub keeps_winner: bool,
    /// Mean over seeds of (loss of the best run that it would have trained to the end) - (loss of the best run).
    pub regret: f64,
}

/// The reduction factor from rung to rung.
const ETA: u64 = 3;

/// The number of steps after which each run of one seed would have been stopped; `None` if it would have run to the end.
type Stops = Vec<Option<u64>>;

/// A rule, applied to the runs of one seed, which were evaluated after `evaluations` steps.
type Rule = fn(&[&Trace], evaluations: &[u64]) -> Stops;

/// The rules by name.
const RULES: [(&str, Rule); 3] = [
    ("median stopping", median_stopping),
    ("successive halving", successive_halving),
    ("hyperband", hyperband),
];

/// Replays all rules. `best` has the best config of each schedule, the best schedule first. `None` if the runs have no
/// evaluations before their end.
pub fn audit(traces: &[Trace], best: &[(String, String)]) -> Option<Vec<Audit>> {
    let mut seeds: BTreeMap<i64, Vec<&Trace>> = BTreeMap::new();
    for trace in traces {
        seeds.entry(trace.seed).or_default().push(trace);
    }
    let evaluations = evaluations(traces);
    let last = traces.iter().map(|trace| trace.steps).max()?;
    evaluations
        .iter()
        .any(|at| *at < last)
        .then(|| RULES.iter().map(|(rule, stops)| replay(rule, stops, &seeds, &evaluations, best)).collect())
}

/// Replays screening for each number of schedules to keep, from 1 to all. `first`: the schedules that are trained in any case; `ordered`: the
/// others, the lowest predicted loss first. A schedule that is not kept counts as stopped before its first step.
pub fn screening(
    traces: &[Trace],
    best: &[(String, String)],
    first: &[String],
    ordered: &[String],
) -> Vec<Audit> {
    let mut seeds: BTreeMap<i64, Vec<&Trace>> = BTreeMap::new();
    for trace in traces {
        seeds.entry(trace.seed).or_default().push(trace);
    }
    let audit = |keep: usize| {
        let is_trained =
            |name: &String| first.contains(name) || ordered.iter().take(keep).any(|kept| kept == name);
        let stops = |traces: &[&Trace], _: &[u64]| -> Stops {
            traces.iter().map(|trace| (!is_trained(&trace.schedule)).then_some(0)).collect()
        };
        replay(&format!("screening, keep {keep}"), &stops, &seeds, &[], best)
    };
    (1..=ordered.len()).map(audit).collect()
}

/// The last evaluation at or before `wanted` steps.
pub(crate) fn evaluation_at(traces: &[Trace], wanted: u64) -> Option<u64> {
    evaluations(traces).into_iter().rev().find(|at| *at <= wanted)
}

/// All numbers of steps after which some run was evaluated.
fn evaluations(traces: &[Trace]) -> Vec<u64> {
    let mut all: Vec<u64> = traces.iter().flat_map(|trace| trace.losses.iter().map(|(at, _)| *at)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn replay(
    rule: &str,
    stops: &dyn Fn(&[&Trace], &[u64]) -> Stops,
    seeds: &BTreeMap<i64, Vec<&Trace>>,
    evaluations: &[u64],
    best: &[(String, String)],
) -> Audit {
    let (mut stopped, mut runs, mut saved, mut all) = (0, 0, 0, 0);
    let mut lost: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut regrets = Vec::new();
    for traces in seeds.values() {
        let stops = stops(traces, evaluations);
        let mut left = f64::INFINITY;
        for (trace, stop) in traces.iter().zip(&stops) {
            let count = lost.entry((&trace.schedule, &trace.config_id)).or_default();
            count.1 += 1;
            runs += 1;
            all += trace.steps;
            match stop {
                Some(at) => {
                    stopped += 1;
                    saved += trace.steps - at.min(&trace.steps);
                    count.0 += 1;
                }
                None => left = left.min(trace.last),
            }
        }
        let lowest = traces.iter().map(|trace| trace.last).fold(f64::INFINITY, f64::min);
        if lowest.is_finite() {
            regrets.push(left - lowest);
        }
    }
    let is_lost = |(schedule, config): &&(String, String)| {
        lost.get(&(schedule.as_str(), config.as_str())).is_some_and(|(lost, all)| 2 * lost > *all)
    };
    Audit {
        rule: rule.to_owned(),
        stopped: (stopped, runs),
        saved: (saved, all),
        dropped: best.iter().filter(is_lost).map(|(schedule, _)| schedule.clone()).collect(),
        keeps_winner: best.first().is_none_or(|first| !is_lost(&first)),
        regret: stats::summary(&regrets).map_or(f64::NAN, |s| s.mean),
    }
}

/// Stops a run if its best loss so far is above the median of the running means of the remaining runs
/// (Golovin et al. 2017, "Google Vizier", section 3.2.2).
fn median_stopping(traces: &[&Trace], evaluations: &[u64]) -> Stops {
    let mut stops: Stops = vec![None; traces.len()];
    let mut best = vec![f64::INFINITY; traces.len()];
    let mut sums = vec![0.0; traces.len()];
    for (count, at) in (1u32..).zip(evaluations) {
        for ((trace, best), sum) in traces.iter().zip(&mut best).zip(&mut sums) {
            let loss = trace.at(*at);
            *best = best.min(loss);
            *sum += loss;
        }
        let running = stops.iter().zip(&sums).filter(|(stop, _)| stop.is_none());
        let mut means: Vec<f64> = running.map(|(_, sum)| sum / f64::from(count)).collect();
        means.sort_by(f64::total_cmp);
        let Some(median) = means.get(means.len().saturating_sub(1) / 2) else { break };
        for ((trace, stop), best) in traces.iter().zip(&mut stops).zip(&best) {
            if stop.is_none() && *at < trace.steps && best > median {
                *stop = Some(*at);
            }
        }
    }
    stops
}

/// The evaluations nearest below a third, a ninth, ... of the run, the earliest first.
fn rungs(traces: &[&Trace], evaluations: &[u64]) -> Vec<u64> {
    let steps = traces.iter().map(|trace| trace.steps).max().unwrap_or(0);
    let mut rungs = Vec::new();
    let mut wanted = steps / ETA;
    while wanted > 0 && (traces.len() as u64) > ETA.pow(rungs.len() as u32) {
        match evaluations.iter().rev().find(|at| **at <= wanted) {
            Some(at) if rungs.last() != Some(at) => rungs.push(*at),
            _ => break,
        }
        wanted /= ETA;
    }
    rungs.reverse();
    rungs
}

/// At each rung, the best third continues (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and
/// hyperparameter optimization").
fn successive_halving(traces: &[&Trace], evaluations: &[u64]) -> Stops {
    let mut stops: Stops = vec![None; traces.len()];
    halve(traces, &(0..traces.len()).collect::<Vec<_>>(), &rungs(traces, evaluations), &mut stops);
    stops
}

fn halve(traces: &[&Trace], members: &[usize], rungs: &[u64], stops: &mut Stops) {
    let mut left = members.to_vec();
    for rung in rungs {
        let loss = |i: &usize| traces.get(*i).map_or(f64::INFINITY, |trace| trace.at(*rung));
        // The sort is stable: equal runs keep the order of the sweep.
        left.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
        let keep = left.len().div_ceil(ETA as usize);
        for i in left.split_off(keep) {
            if let Some(stop) = stops.get_mut(i) {
                *stop = Some(*rung);
            }
        }
    }
}

/// Brackets of successive halving, one from each rung on and one that stops nothing. Runs are assigned to brackets in turn (Li et
/// al. 2018, "Hyperband").
fn hyperband(traces: &[&Trace], evaluations: &[u64]) -> Stops {
    let mut stops: Stops = vec![None; traces.len()];
    let rungs = rungs(traces, evaluations);
    let brackets = rungs.len() + 1;
    for bracket in 0..brackets {
        let members: Vec<usize> = (bracket..traces.len()).step_by(brackets).collect();
        halve(traces, &members, rungs.get(bracket..).unwrap_or_default(), &mut stops);
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evaluated after each tenth of 90 steps.
    fn trace(name: &str, losses: [f64; 9]) -> Trace {
        Trace {
            schedule: name.to_owned(),
            config_id: name.to_owned(),
            seed: 0,
            losses: (1..).map(|i| 10 * i).zip(losses).collect(),
            steps: 90,
            last: losses[8],
        }
    }

    fn best(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect()
    }

    /// `late` improves late and is the best in the end.
    fn four() -> Vec<Trace> {
        vec![
            trace("late", [9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.1]),
            trace("good", [1.0; 9]),
            trace("fair", [2.0; 9]),
            trace("poor", [3.0; 9]),
        ]
    }

    #[test]
    fn successive_halving_stops_the_runs_computed_by_hand() {
        // Four runs: rungs at 10 (a ninth) and 30 (a third) of 90 steps; two of four continue, then one of two.
        let found = audit(&four(), &best(&["late", "good", "fair", "poor"])).expect("evaluations");
        let halving = &found[1];
        assert_eq!(halving.rule, "successive halving");
        assert_eq!(halving.stopped, (3, 4));
        assert_eq!(halving.saved, (80 + 80 + 60, 360));
        assert_eq!(halving.dropped, ["late", "fair", "poor"]);
        assert!(!halving.keeps_winner);
        assert!((halving.regret - 0.9).abs() < 1e-12);
    }

    #[test]
    fn median_stopping_stops_the_runs_computed_by_hand() {
        // After 10 steps the means are 1, 2, 3, 9: the lower median is 2, so `poor` and `late` stop there. Then 1 and 2
        // remain, the lower median is 1, and `fair` stops after 20.
        let found = audit(&four(), &best(&["late"])).expect("evaluations");
        assert_eq!((found[0].stopped, found[0].saved), ((3, 4), (80 + 80 + 70, 360)));
    }

    #[test]
    fn hyperband_stops_the_runs_computed_by_hand() {
        // Three brackets: `late` and `poor` begin at 10 steps (one of two continues, then one of one), `good` begins at 30,
        // `fair` is never stopped.
        let found = audit(&four(), &best(&["late"])).expect("evaluations");
        assert_eq!((found[2].stopped, found[2].saved), ((1, 4), (80, 360)));
    }

    #[test]
    fn screening_leaves_out_the_schedules_computed_by_hand() {
        let [late, good, fair, poor] = ["late", "good", "fair", "poor"].map(str::to_owned);
        let found = screening(
            &four(),
            &best(&["late", "good", "fair", "poor"]),
            std::slice::from_ref(&poor),
            &[good, late.clone(), fair.clone()],
        );
        let rules: Vec<&str> = found.iter().map(|audit| audit.rule.as_str()).collect();
        assert_eq!(rules, ["screening, keep 1", "screening, keep 2", "screening, keep 3"]);
        // `poor` and `good` are trained; `late`, the best with 0.1, and `fair` are not.
        assert_eq!((found[0].stopped, found[0].saved), ((2, 4), (180, 360)));
        assert_eq!(found[0].dropped, [late, fair.clone()]);
        assert!(!found[0].keeps_winner && (found[0].regret - 0.9).abs() < 1e-12);
        assert!(found[1].keeps_winner && found[1].regret == 0.0 && found[1].dropped == [fair]);
        assert_eq!((found[2].stopped, found[2].saved), ((0, 4), (0, 360)));
    }

    #[test]
    fn without_evaluations_before_the_end_there_is_no_audit() {
        let mut one = trace("a", [1.0; 9]);
        one.losses = vec![(90, 1.0)];
        assert_eq!(audit(&[one], &best(&["a"])), None);
        assert_eq!(audit(&[], &[]), None);
        let mut lost = trace("b", [1.0; 9]);
        (lost.losses, lost.last) = (vec![(10, 1.0)], f64::INFINITY);
        let found = audit(&[lost], &best(&["b"])).expect("evaluations");
        assert!(found.iter().all(|audit| audit.regret.is_nan()));
    }
}
