//! Trials that a custom program trains as one. The program is started for one of them, the leader; the others leave it and continue
//! from one of its checkpoints. `spec::program_lane` decides who leaves where; the crate `program` runs the program.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use spec::program_lane::{Prefix, program_lane};
use spec::trial::Trial;

use crate::branch::{Branch, Origin};
use crate::member::Member;
use crate::members::Members;

/// The trials that one start of a program trains.
#[derive(Debug)]
pub struct ProgramLane {
    members: Members,
    leader: Trial,
    /// The step before which each of the other trials leaves, by its id.
    leaves: BTreeMap<String, u64>,
    stored: Option<(PathBuf, String)>,
    stage: Option<u64>,
    spent: Duration,
}

impl ProgramLane {
    /// The lane of a branch, and branches of its trials that share no steps with the leader from here on. `None` if the branch has no
    /// trials.
    pub fn new(branch: Branch) -> Option<(Self, Vec<Branch>)> {
        let prefixes: Vec<Prefix> = branch.members.open.iter().map(prefix).collect();
        let all: Vec<usize> = (0..prefixes.len()).collect();
        let lane = program_lane(&prefixes, &all, branch.step);
        let open = &branch.members.open;
        let leader = match &lane {
            Some(lane) => open.get(lane.leader)?,
            None => branch.members.leader()?,
        };
        let leader = leader.trial.clone();
        let leaves = lane.into_iter().flat_map(|lane| lane.leaves);
        let leaves = leaves.filter_map(|(i, step)| Some((open.get(i)?.trial.id.clone(), step))).collect();
        let stored = match branch.origin {
            Origin::Stored(dir, file) | Origin::Parked(dir, file) => Some((dir, file)),
            Origin::Start | Origin::Memory(_) => None,
        };
        let Branch { members, step, stage, spent, .. } = branch;
        let mut lane = Self { members, leader, leaves, stored, stage, spent };
        let origin = lane.stored.clone();
        let leaving = lane.leave(step, origin, spent);
        Some((lane, leaving))
    }

    /// The trial that the program is started for.
    pub fn leader(&self) -> &Trial {
        &self.leader
    }

    /// Ids of all its trials, the leader's first.
    pub fn trial_ids(&self) -> Vec<String> {
        let others = self.members.iter().map(|member| &member.trial.id).filter(|id| **id != self.leader.id);
        std::iter::once(&self.leader.id).chain(others).cloned().collect()
    }

    /// Whether it has other trials than the leader.
    pub fn is_shared(&self) -> bool {
        self.members.len() > 1
    }

    /// Folder and side-car of the checkpoint that it starts from; `None` for the first step.
    pub fn stored(&self) -> Option<(PathBuf, String)> {
        self.stored.clone()
    }

    /// Training time of its trials before it.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The stage that was begun for its trials, at its first step. Returned once: a second start needs another stage.
    pub fn take_stage(&mut self) -> Option<u64> {
        self.stage.take()
    }

    /// Whether a stage was begun for its trials.
    pub fn is_started(&self) -> bool {
        self.stage.is_some()
    }

    /// The steps after which trials leave, ascending, for a program that starts with step `next`.
    pub fn forks_from(&self, next: u64) -> Vec<u64> {
        let ids = self.members.iter().map(|member| &member.trial.id);
        let mut steps: Vec<u64> = ids.filter_map(|id| self.leaves.get(id)).copied().collect();
        steps.retain(|step| *step > next);
        steps.sort_unstable();
        steps.dedup();
        steps.into_iter().map(|step| step - 1).collect()
    }

    /// The trials that leave before step `step`, in groups that continue together from this checkpoint.
    pub fn leave(&mut self, step: u64, stored: Option<(PathBuf, String)>, spent: Duration) -> Vec<Branch> {
        let leaves = &self.leaves;
        let mut leaving = self.members.take(|member| leaves.get(&member.trial.id) == Some(&step));
        let groups = leaving.split_open(step).into_iter();
        groups.map(|members| branch(members, step, stored.clone(), spent)).collect()
    }

    /// The other trials, to continue without the leader from this checkpoint and its step, or from their first step. `None` if all have
    /// left.
    pub fn without_leader(self, stored: Option<(u64, PathBuf, String)>) -> Option<Branch> {
        let Self { mut members, leader, spent, .. } = self;
        let others = members.take(|member| member.trial.id != leader.id);
        let (step, stored) = stored.map_or((0, None), |(step, dir, file)| (step, Some((dir, file))));
        (others.len() > 0).then(|| branch(others, step, stored, spent))
    }
}

fn branch(members: Members, step: u64, stored: Option<(PathBuf, String)>, spent: Duration) -> Branch {
    let origin = stored.map_or(Origin::Start, |(dir, file)| Origin::Stored(dir, file));
    let mut branch = Branch::new(members, step, origin, None);
    branch.spent = spent;
    branch
}

fn prefix(member: &Member) -> Prefix {
    Prefix { steps: member.steps(), common_with_next: member.common_with_next }
}
