//! Which trials share their first steps: trials that differ only in schedule and length train the same steps as
//! long as their lr sequences agree bit for bit, as f32. Pure functions.
//!
//! Sequences with common beginnings form a tree. The tree is stored as a sorted list in which each entry holds the
//! number of steps that it has in common with the next entry. Two entries have the minimum of the numbers between
//! them in common, so a fork splits the list where that number is reached.

use std::collections::HashMap;

use schedule::{Feedback, State};

use crate::trial::{Config, Task, Trial};

/// Trials of one seed share steps only if they agree in this.
#[derive(Debug, Clone, PartialEq)]
pub struct Kin {
    /// The task without its length and without when it evaluates.
    task: Task,
    /// Whether the schedule cycles the momentum: then the optimiser has a momentum buffer.
    cycled: bool,
}

impl Kin {
    /// The value for a config.
    pub fn of(config: &Config) -> Self {
        let task = Task { steps: 0, evaluate_every: 0, ..config.task.identity() };
        Self { task, cycled: config.schedule.momentum(0).is_some() }
    }
}

/// An open-loop run in a sorted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index into the list that was passed in.
    pub index: usize,
    /// Steps in common with the next entry; 0 for the last.
    pub with_next: u64,
}

/// Whether a run's lrs are known before it is trained.
pub fn is_open(config: &Config) -> bool {
    config.schedule.feedback() == Feedback::OpenLoop
}

/// Sorts open-loop runs so that runs with common beginnings are neighbours. All must be of the same [`Kin`].
pub fn sorted(configs: &[&Config]) -> Vec<Entry> {
    let states: Vec<State> = configs.iter().map(|config| config.start()).collect();
    // A stack of (`step`, members that agree in all steps before it, steps that the first member has in
    // common with the entry before it).
    let mut open = vec![(0u64, (0..configs.len()).collect::<Vec<_>>(), 0u64)];
    let mut sorted: Vec<Entry> = Vec::with_capacity(configs.len());
    while let Some((mut step, mut members, with_previous)) = open.pop() {
        let first = sorted.len();
        loop {
            if let [index] = members[..] {
                sorted.push(Entry { index, with_next: 0 });
                break;
            }
            // Runs that end here come first.
            let (over, going): (Vec<usize>, Vec<usize>) =
                members.into_iter().partition(|i| configs.get(*i).is_none_or(|c| c.task.steps <= step));
            sorted.extend(over.into_iter().map(|index| Entry { index, with_next: step }));
            // In order of first appearance.
            let mut classes: Vec<Vec<usize>> = Vec::new();
            let mut known: HashMap<Rates, usize> = HashMap::new();
            for i in going {
                let (Some(config), Some(state)) = (configs.get(i), states.get(i)) else { continue };
                let class = *known.entry(Rates::of(config, state, step)).or_insert(classes.len());
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
                    // The first class comes next, so it is pushed last.
                    let over = sorted.get(first..).and_then(|new| new.last());
                    let before = over.map_or(with_previous, |last| last.with_next);
                    let all = classes.into_iter().enumerate().rev();
                    open.extend(all.map(|(i, class)| (step, class, if i == 0 { before } else { step })));
                    break;
                }
            }
        }
        if let Some(before) = first.checked_sub(1).and_then(|before| sorted.get_mut(before)) {
            before.with_next = with_previous;
        }
    }
    if let Some(last) = sorted.last_mut() {
        last.with_next = 0;
    }
    sorted
}

/// The values that an update gets from the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Rates {
    lr: u32,
    momentum: Option<u64>,
}

impl Rates {
    fn of(config: &Config, state: &State, t: u64) -> Self {
        let lr = config.schedule.lr(t, state) as f32;
        Self { lr: lr.to_bits(), momentum: config.schedule.momentum(t).map(f64::to_bits) }
    }
}

/// Trials of the same [`Kin`] and seed, by index, in order of first appearance.
pub fn families<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<Vec<usize>> {
    let mut families: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<(usize, u64), usize> = HashMap::new();
    let mut kinds: Vec<Kin> = Vec::new();
    // One config has a trial for each seed.
    let mut kind_of: HashMap<&str, usize> = HashMap::new();
    for (i, trial) in trials.enumerate() {
        // A program can't be forked.
        if trial.config.task.program().is_some() {
            families.push(vec![i]);
            continue;
        }
        let kind = *kind_of.entry(&trial.config.id).or_insert_with(|| {
            let kin = Kin::of(&trial.config);
            kinds.iter().position(|known| *known == kin).unwrap_or_else(|| {
                kinds.push(kin);
                kinds.len() - 1
            })
        });
        let family = *known.entry((kind, trial.seed)).or_insert(families.len());
        match families.get_mut(family) {
            Some(list) => list.push(i),
            None => families.push(vec![i]),
        }
    }
    families
}

/// Trials of a family whose first update is the same, by index, in order of first appearance. Trials of different groups share
/// no step.
pub fn stage_groups<'a>(trials: &[&'a Trial]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Most configs have several seeds: each config's first update is computed once.
    let mut rates: HashMap<&'a str, Rates> = HashMap::new();
    for family in families(trials.iter().copied()) {
        let mut known: HashMap<Rates, usize> = HashMap::new();
        for i in family {
            let Some(config) = trials.get(i).map(|trial| &trial.config) else { continue };
            let first = *rates.entry(&config.id).or_insert_with(|| Rates::of(config, &config.start(), 0));
            let group = *known.entry(first).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(members) => members.push(i),
                None => groups.push(vec![i]),
            }
        }
    }
    groups
}

/// Steps that are trained for these trials, none of them yet begun, when shared steps are trained once.
/// Closed-loop trials count in full: what they share shows only in training.
pub fn steps(trials: &[&Trial]) -> u64 {
    // Seeds have the same configs as a rule: then the tree is grown once.
    let mut grown: HashMap<Vec<&str>, u64> = HashMap::new();
    let mut sum = 0;
    for family in families(trials.iter().copied()) {
        let configs: Vec<&Config> =
            family.iter().filter_map(|i| trials.get(*i)).map(|trial| &*trial.config).collect();
        let ids = configs.iter().map(|config| config.id.as_str()).collect();
        sum += *grown.entry(ids).or_insert_with(|| {
            let all: u64 = configs.iter().map(|config| config.task.steps).sum();
            let open: Vec<&Config> = configs.into_iter().filter(|config| is_open(config)).collect();
            all - sorted(&open).iter().map(|entry| entry.with_next).sum::<u64>()
        });
    }
    sum
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

    /// By definition: the different beginnings.
    fn beginnings(trials: &[Trial]) -> u64 {
        let mut all = BTreeSet::new();
        let mut closed = 0;
        for trial in trials {
            let (config, state) = (&trial.config, trial.config.start());
            if !is_open(config) {
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
    fn the_tree_has_as_many_steps_as_there_are_different_beginnings() {
        for budget in ["{steps: 40}", "{steps: {values: [20, 40, 41]}}"] {
            let plan = plan(SCHEDULES, budget);
            assert_eq!(plan.steps_trained(), beginnings(&plan.trials), "{budget}");
            assert!(plan.steps_trained() < plan.trials.iter().map(|t| t.config.task.steps).sum());
        }
    }

    #[test]
    fn neighbours_have_in_common_what_is_said() {
        let plan = plan(SCHEDULES, "{steps: {values: [20, 40]}}");
        let family = &families(plan.trials.iter())[0];
        let configs: Vec<&Config> =
            family.iter().map(|i| &*plan.trials[*i].config).filter(|c| is_open(c)).collect();
        let list = sorted(&configs);
        assert_eq!(list.len(), configs.len());
        for pair in list.windows(2) {
            let lrs = |entry: &Entry| {
                let config = configs[entry.index];
                let state = config.start();
                (0..config.task.steps)
                    .map(|t| (config.schedule.lr(t, &state) as f32).to_bits())
                    .collect::<Vec<_>>()
            };
            let (a, b) = (lrs(&pair[0]), lrs(&pair[1]));
            let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            assert_eq!(common as u64, pair[0].with_next);
        }
    }

    #[test]
    fn other_seeds_models_and_momenta_share_nothing() {
        let plan = plan(
            "  a: {kind: constant}\n  b: {kind: one_cycle, momentum: {min: 0.8, max: 0.9}}\n",
            "{steps: 9}",
        );
        assert_eq!(families(plan.trials.iter()).len(), 4, "two seeds, with and without a cycled momentum");
    }
}
