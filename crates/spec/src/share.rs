//! Which trials share training steps: those that differ only in schedule and length, as long as their lr sequences are equal bit for
//! bit, as f32. Pure functions.
//!
//! Sequences with common prefixes form a tree. It is stored as a sorted list in which each entry has the number of steps that it
//! shares with the next. Two entries share the minimum of the numbers between them, so a fork splits the list where this number is
//! reached.

use std::collections::HashMap;

use schedule::{Feedback, State};

use crate::program_lane::{Prefix, program_starts};
use crate::trial::{Config, Task, Trial};

/// The properties that trials must have in common to share steps, in addition to the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareKey {
    /// The task without its length, and for a network without its evaluation interval.
    task: Task,
    /// Whether the schedule cycles the momentum: then the optimizer keeps a velocity.
    cycled: bool,
    /// The parameter groups of the schedule, each with whether a program keeps the ratio of its lrs.
    groups: Vec<(String, bool)>,
}

impl ShareKey {
    /// The key of a config.
    pub fn of(config: &Config) -> Self {
        // A program evaluates as its own trial does, so trials that it trains together evaluate at the same steps.
        let evaluate_every = config.task.program().map_or(0, |_| config.task.evaluate_every);
        let task = Task { steps: 0, evaluate_every, ..config.task.identity_under(&config.schedule) };
        let groups = config.schedule.groups().map(|group| (group.name.to_owned(), group.keeps_ratio));
        Self { task, cycled: config.schedule.momentum(0).is_some(), groups: groups.collect() }
    }
}

/// An open-loop run in a sorted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortedRun {
    /// Index into the unsorted list.
    pub index: usize,
    /// Number of steps that it shares with the next entry; 0 for the last.
    pub common_with_next: u64,
}

/// Whether a run's lrs are known before training.
pub fn is_open_loop(config: &Config) -> bool {
    config.schedule.feedback() == Feedback::OpenLoop
}

/// Sorts open-loop runs so that runs with common prefixes are adjacent. All must have the same [`ShareKey`].
pub fn sort_by_prefix(configs: &[&Config]) -> Vec<SortedRun> {
    let states: Vec<State> = configs.iter().map(|config| config.start()).collect();
    // A stack of (step, runs that are equal before `step`, steps that the first of them shares with the entry before it).
    let mut open = vec![(0u64, (0..configs.len()).collect::<Vec<_>>(), 0u64)];
    let mut sorted: Vec<SortedRun> = Vec::with_capacity(configs.len());
    while let Some((mut step, mut members, with_previous)) = open.pop() {
        let first = sorted.len();
        loop {
            if let [index] = members[..] {
                sorted.push(SortedRun { index, common_with_next: 0 });
                break;
            }
            // Runs that have ended come first.
            let (ended, running): (Vec<usize>, Vec<usize>) =
                members.into_iter().partition(|i| configs.get(*i).is_none_or(|c| c.task.steps <= step));
            sorted.extend(ended.into_iter().map(|index| SortedRun { index, common_with_next: step }));
            // Groups of runs with an equal update at `step`, in the order of the runs.
            let mut classes: Vec<Vec<usize>> = Vec::new();
            let mut known: HashMap<UpdateBits, usize> = HashMap::new();
            for i in running {
                let (Some(config), Some(state)) = (configs.get(i), states.get(i)) else { continue };
                let class = *known.entry(UpdateBits::of(config, state, step)).or_insert(classes.len());
                match classes.get_mut(class) {
                    Some(members) => members.push(i),
                    None => classes.push(vec![i]),
                }
            }
            match classes.len() {
                0 => break,
                1 => {
                    members = classes.into_iter().flatten().collect();
                    step += 1;
                }
                _ => {
                    // The first class is processed next, so it is on top of the stack.
                    let ended = sorted.get(first..).and_then(|new| new.last());
                    let before = ended.map_or(with_previous, |last| last.common_with_next);
                    let all = classes.into_iter().enumerate().rev();
                    open.extend(all.map(|(i, class)| (step, class, if i == 0 { before } else { step })));
                    break;
                }
            }
        }
        if let Some(before) = first.checked_sub(1).and_then(|before| sorted.get_mut(before)) {
            before.common_with_next = with_previous;
        }
    }
    if let Some(last) = sorted.last_mut() {
        last.common_with_next = 0;
    }
    sorted
}

/// The bits of the values that a schedule gives to an update: of the lr as f32, or as f64 for a program, which may use it so.
#[derive(Clone, PartialEq, Eq, Hash)]
struct UpdateBits {
    lr: u64,
    momentum: Option<u64>,
    /// Those of the parameter groups; empty without groups.
    groups: Vec<(u64, Option<u64>)>,
}

impl UpdateBits {
    fn of(config: &Config, state: &State, t: u64) -> Self {
        let schedule = &config.schedule;
        let bits = |lr: f64| match config.task.program() {
            Some(_) => lr.to_bits(),
            None => u64::from((lr as f32).to_bits()),
        };
        let momenta = schedule.group_momenta(t).map(|momentum| momentum.map(f64::to_bits));
        let groups = schedule.group_lrs(t, state).map(bits).zip(momenta).collect();
        Self { lr: bits(schedule.lr(t, state)), momentum: schedule.momentum(t).map(f64::to_bits), groups }
    }
}

/// Whether a trial may share steps. Those of a program do with `share: true` if their lrs are known before training: the program
/// receives the steps of its checkpoints when it starts.
fn may_share(trial: &Trial) -> bool {
    let program = trial.config.task.program();
    program.is_none_or(|program| program.options.share && is_open_loop(&trial.config))
}

/// Groups of trials with the same [`ShareKey`] and seed, as indices, in the order of the trials.
pub fn shareable_groups<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<(usize, u64), usize> = HashMap::new();
    let mut keys: Vec<ShareKey> = Vec::new();
    // A config occurs in one trial per seed.
    let mut key_of: HashMap<&str, usize> = HashMap::new();
    for (i, trial) in trials.enumerate() {
        if !may_share(trial) {
            groups.push(vec![i]);
            continue;
        }
        let kind = *key_of.entry(&trial.config.id).or_insert_with(|| {
            let key = ShareKey::of(&trial.config);
            keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            })
        });
        let family = *known.entry((kind, trial.seed)).or_insert(groups.len());
        match groups.get_mut(family) {
            Some(list) => list.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups
}

/// Groups of trials that share their first step, as indices, in the order of the trials. Trials of different groups share no steps.
pub fn stage_groups<'a>(trials: &[&'a Trial]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Usually all seeds have the same configs.
    let mut first_updates: HashMap<&'a str, UpdateBits> = HashMap::new();
    for family in shareable_groups(trials.iter().copied()) {
        let mut known: HashMap<UpdateBits, usize> = HashMap::new();
        for i in family {
            let Some(config) = trials.get(i).map(|trial| &trial.config) else { continue };
            let first = first_updates
                .entry(&config.id)
                .or_insert_with(|| UpdateBits::of(config, &config.start(), 0))
                .clone();
            let group = *known.entry(first).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(members) => members.push(i),
                None => groups.push(vec![i]),
            }
        }
    }
    groups
}

/// Number of steps to train these trials from the start when shared steps are trained once. Closed-loop trials count in full: the
/// steps that they share are known only in training.
pub fn trained_steps(trials: &[&Trial]) -> u64 {
    // Usually all seeds have the same configs: then the tree is counted once.
    let mut counted: HashMap<Vec<&str>, u64> = HashMap::new();
    let mut sum = 0;
    for family in shareable_groups(trials.iter().copied()) {
        let configs: Vec<&Config> =
            family.iter().filter_map(|i| trials.get(*i)).map(|trial| &*trial.config).collect();
        let ids = configs.iter().map(|config| config.id.as_str()).collect();
        sum += *counted.entry(ids).or_insert_with(|| {
            let all: u64 = configs.iter().map(|config| config.task.steps).sum();
            let open: Vec<&Config> = configs.into_iter().filter(|config| is_open_loop(config)).collect();
            all - shared_steps(&open)
        });
    }
    sum
}

/// The trial of a program that leaves another first, as an index, and the step at which it does: among the first trials that share
/// steps. `None` if none share.
pub fn first_fork(trials: &[&Trial]) -> Option<(usize, u64)> {
    let programs = |family: &Vec<usize>| {
        family.first().and_then(|i| trials.get(*i)).is_some_and(|trial| trial.config.task.program().is_some())
    };
    let families = shareable_groups(trials.iter().copied()).into_iter().filter(|family| family.len() > 1);
    families.filter(programs).find_map(|family| {
        let configs: Vec<&Config> =
            family.iter().filter_map(|i| trials.get(*i)).map(|trial| &*trial.config).collect();
        let sorted = sort_by_prefix(&configs);
        let starts = program_starts(&prefixes(&configs, &sorted));
        let forks = sorted.iter().zip(starts).filter(|(_, start)| *start > 0);
        let (first, start) = forks.min_by_key(|(_, start)| *start)?;
        Some((*family.get(first.index)?, start))
    })
}

/// The runs of a sorted list with their lengths.
fn prefixes(configs: &[&Config], sorted: &[SortedRun]) -> Vec<Prefix> {
    let prefix = |entry: &SortedRun| {
        let steps = configs.get(entry.index).map_or(0, |config| config.task.steps);
        Prefix { steps, common_with_next: entry.common_with_next }
    };
    sorted.iter().map(prefix).collect()
}

/// Number of steps of these open-loop runs that are not trained, because they share them with another.
fn shared_steps(configs: &[&Config]) -> u64 {
    let sorted = sort_by_prefix(configs);
    if configs.iter().all(|config| config.task.program().is_none()) {
        return sorted.iter().map(|entry| entry.common_with_next).sum();
    }
    program_starts(&prefixes(configs, &sorted)).into_iter().sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(schedules: &str, budget: &str) -> crate::Plan {
        let text = format!(
            "data: {{dataset: digits, batch_size: 50}}\nmodel: {{kind: rows}}\noptimizer: {{kind: plain}}\n\
             budget: {budget}\nseeds: 2\nlr: {{values: [0.1, 0.2]}}\nschedules:\n{schedules}"
        );
        crate::read_with(&text, "x", &crate::testing::Files(&[]))
            .and_then(|spec| crate::plan(&spec))
            .unwrap_or_else(|found| panic!("{found:?}"))
    }

    /// The number of different prefixes, by definition.
    fn prefixes(trials: &[Trial]) -> u64 {
        let mut all = BTreeSet::new();
        let mut closed = 0;
        for trial in trials {
            let (config, state) = (&trial.config, trial.config.start());
            if !is_open_loop(config) {
                closed += config.task.steps;
                continue;
            }
            let mut so_far = Vec::new();
            for t in 0..config.task.steps {
                so_far.push((config.schedule.lr(t, &state) as f32).to_bits());
                so_far.push(config.schedule.momentum(t).map_or(0, |m| (m as f32).to_bits()));
                all.insert((trial.seed, config.schedule.momentum(0).is_some(), so_far.clone()));
            }
        }
        all.len() as u64 + closed
    }

    const SCHEDULES: &str = "  constant: {kind: constant}\n  late: {kind: step, every: 30, gamma: 0.5}\n  \
        wsd: {body: 1x, cooldown: {over: {values: [\"10%\", 5, 7, \"50%\"]}, to: 0}}\n  \
        warm: {warmup: {over: 10, from: 0.1x}, body: 1x}\n  \
        warmer: {warmup: {over: 10, from: 0.1x}, body: {kind: cosine}}\n  plateau: {kind: plateau}\n  \
        cycle: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}\n";

    #[test]
    fn trained_steps_are_the_number_of_different_prefixes() {
        for budget in ["{steps: 40}", "{steps: {values: [20, 40, 41]}}"] {
            let plan = plan(SCHEDULES, budget);
            assert_eq!(plan.steps_trained(), prefixes(&plan.trials), "{budget}");
            assert!(plan.steps_trained() < plan.trials.iter().map(|t| t.config.task.steps).sum());
        }
    }

    #[test]
    fn entries_report_the_steps_shared_with_the_next() {
        let plan = plan(SCHEDULES, "{steps: {values: [20, 40]}}");
        let family = &shareable_groups(plan.trials.iter())[0];
        let configs: Vec<&Config> =
            family.iter().map(|i| &*plan.trials[*i].config).filter(|c| is_open_loop(c)).collect();
        let list = sort_by_prefix(&configs);
        assert_eq!(list.len(), configs.len());
        for pair in list.windows(2) {
            let lrs = |entry: &SortedRun| {
                let config = configs[entry.index];
                let state = config.start();
                (0..config.task.steps)
                    .map(|t| (config.schedule.lr(t, &state) as f32).to_bits())
                    .collect::<Vec<_>>()
            };
            let (a, b) = (lrs(&pair[0]), lrs(&pair[1]));
            let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            assert_eq!(common as u64, pair[0].common_with_next);
        }
    }

    #[test]
    fn different_seeds_and_cycled_momentum_share_nothing() {
        let plan = plan(
            "  a: {kind: constant}\n  b: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}\n",
            "{steps: 9}",
        );
        assert_eq!(
            shareable_groups(plan.trials.iter()).len(),
            4,
            "two seeds, with and without a cycled momentum"
        );
    }
}
