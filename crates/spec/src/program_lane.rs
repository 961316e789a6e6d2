//! How programs train runs that share steps. A program trains one run from a checkpoint to the end, so each run has one start of the
//! program: at its first step, or where it leaves another run, from a checkpoint of that one. Decides which run the program is started
//! for and where the others leave it. Pure functions of the lengths and common steps of a list of `share`.

/// A checkpoint costs about as much as some steps: a run leaves another only after this share of the steps that it has, or else at once.
const LEAST_SHARE: u64 = 100;

/// A run in a list that `share::sort_by_prefix` has sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Its length.
    pub steps: u64,
    /// Number of steps that it shares with the next run of the list.
    pub common_with_next: u64,
}

/// Runs that are equal before a step, and trained as one from there until they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramLane {
    /// The run that the program is started for: an index into the list.
    pub leader: usize,
    /// The other runs with the step before which each leaves. At the lane's first step: it does not take part.
    pub leaves: Vec<(usize, u64)>,
}

/// The lane of some runs of a list that are equal before step `from`; `None` for no runs. The leader is the run with which the others
/// share the most steps, among these the longest, among these the first.
pub fn program_lane(list: &[Prefix], runs: &[usize], from: u64) -> Option<ProgramLane> {
    let leaves = |leader: usize| -> Vec<(usize, u64)> {
        let others = runs.iter().filter(|run| **run != leader);
        others.map(|run| (*run, leaves_at(list, leader, *run, from))).collect()
    };
    let steps = |run: usize| list.get(run).map_or(0, |run| run.steps);
    let worth = |leader: usize| (leaves(leader).iter().map(|(_, step)| step).sum::<u64>(), steps(leader));
    let leader = runs.iter().copied().rev().max_by_key(|run| worth(*run))?;
    Some(ProgramLane { leader, leaves: leaves(leader) })
}

/// The step before which a run leaves the leader of its lane. A run trains its own last step, whose report has the results.
fn leaves_at(list: &[Prefix], leader: usize, run: usize, from: u64) -> u64 {
    let steps = |run: usize| list.get(run).map_or(0, |run| run.steps);
    let most = steps(leader).min(steps(run)).saturating_sub(1);
    let step = common(list, leader, run).min(most).max(from);
    if (step - from) * LEAST_SHARE >= steps(run) { step } else { from }
}

/// Number of steps that two runs of a list share.
fn common(list: &[Prefix], a: usize, b: usize) -> u64 {
    let between = list.get(a.min(b)..a.max(b)).unwrap_or_default();
    between.iter().map(|run| run.common_with_next).min().unwrap_or(u64::MAX)
}

/// The step at which the program is started for each run of a list: 0, or where the run leaves another.
pub fn program_starts(list: &[Prefix]) -> Vec<u64> {
    let mut starts = vec![0; list.len()];
    let mut lanes = split(list, (0..list.len()).collect(), 0, 0);
    while let Some((from, runs)) = lanes.pop() {
        let Some(lane) = program_lane(list, &runs, from) else { continue };
        if let Some(start) = starts.get_mut(lane.leader) {
            *start = from;
        }
        let mut steps: Vec<u64> = lane.leaves.iter().map(|(_, step)| *step).collect();
        steps.sort_unstable();
        steps.dedup();
        for step in steps {
            let leaving = runs.iter().filter(|run| lane.leaves.contains(&(**run, step))).copied().collect();
            lanes.extend(split(list, leaving, step, step));
        }
    }
    starts
}

/// Splits runs where their common steps end at `step`, each with the first step of its lane.
fn split(list: &[Prefix], runs: Vec<usize>, step: u64, from: u64) -> Vec<(u64, Vec<usize>)> {
    let mut groups: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut last = None;
    for run in runs {
        let continues = last.is_some_and(|last| common(list, last, run) > step);
        match groups.last_mut() {
            Some((_, group)) if continues => group.push(run),
            _ => groups.push((from, vec![run])),
        }
        last = Some(run);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(runs: &[(u64, u64)]) -> Vec<Prefix> {
        runs.iter().map(|(steps, common)| Prefix { steps: *steps, common_with_next: *common }).collect()
    }

    #[test]
    fn cooldowns_leave_the_run_that_is_stable_for_longest() {
        // Cooldowns from steps 40, 60 and 80 of 100.
        let list = list(&[(100, 40), (100, 60), (100, 0)]);
        let lane = program_lane(&list, &[0, 1, 2], 0).expect("runs");
        assert_eq!(lane.leaves, [(0, 40), (2, 60)]);
        assert_eq!((lane.leader, program_starts(&list)), (1, vec![40, 0, 60]));
    }

    #[test]
    fn runs_that_leave_together_share_what_follows() {
        // 0 and 1 part at 80, and both leave 2, 3 and 4 at 50.
        let list = list(&[(100, 80), (100, 50), (100, 90), (100, 90), (100, 0)]);
        assert_eq!(program_starts(&list), [50, 80, 0, 90, 90]);
    }

    #[test]
    fn a_shorter_run_trains_its_own_last_step() {
        let list = list(&[(50, 50), (100, 0)]);
        let lane = program_lane(&list, &[0, 1], 0).expect("runs");
        assert_eq!((lane.leader, lane.leaves), (1, vec![(0, 49)]));
        assert_eq!(program_starts(&list), [49, 0]);
    }

    #[test]
    fn a_few_common_steps_are_not_worth_a_checkpoint() {
        let of = |common| program_starts(&list(&[(1000, common), (1000, 0)]));
        assert_eq!((of(9), of(10)), (vec![0, 0], vec![0, 10]));
        // The second run diverges from the first only 5 steps after both have left the third.
        let late = list(&[(1000, 505), (1000, 500), (1000, 900), (1000, 900), (1000, 0)]);
        assert_eq!(program_starts(&late), [500, 500, 0, 900, 900]);
    }

    #[test]
    fn every_run_starts_once_and_no_step_is_trained_twice_except_at_ends() {
        // A binary tree of runs: every start is where the run diverges from the rest.
        let list = list(&[(64, 48), (64, 32), (64, 48), (64, 0)]);
        let trained: u64 = program_starts(&list).iter().map(|start| 64 - start).sum();
        assert_eq!(trained, 32 + 2 * 16 + 4 * 16);
    }
}
