//! The members of one lane: trials whose updates were all equal so far. Decides which of them continue together. Works on
//! schedules only, not on tensors.

use spec::share::{ShareKey, is_open_loop, shareable_groups, sort_by_prefix};
use spec::trial::{Config, Trial};

use crate::member::{Member, Rates};

/// The trials that share a lane.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Open-loop members, sorted so that neighbours share many steps.
    pub(crate) open: Vec<Member>,
    /// Closed-loop members: their rates are known only in training.
    pub(crate) closed: Vec<Member>,
}

impl Members {
    /// Groups of trials that can start together, in the order of the trials. All trials of a group have the same seed and the same
    /// task, except for its length.
    pub(crate) fn groups(trials: Vec<Trial>) -> Vec<Self> {
        let groups = shareable_groups(trials.iter());
        let mut trials: Vec<Option<Trial>> = trials.into_iter().map(Some).collect();
        let mut take = |i: usize| trials.get_mut(i).and_then(Option::take);
        let group = |family: Vec<usize>| {
            let all: Vec<Trial> = family.into_iter().filter_map(&mut take).collect();
            let (open, closed): (Vec<Trial>, Vec<Trial>) =
                all.into_iter().partition(|t| is_open_loop(&t.config));
            let configs: Vec<&Config> = open.iter().map(|trial| &*trial.config).collect();
            let order = sort_by_prefix(&configs);
            let mut open: Vec<Option<Trial>> = open.into_iter().map(Some).collect();
            let open = order.into_iter().filter_map(|entry| {
                Some(Member::new(open.get_mut(entry.index)?.take()?, entry.common_with_next))
            });
            Self { open: open.collect(), closed: closed.into_iter().map(|t| Member::new(t, 0)).collect() }
        };
        groups.into_iter().map(group).collect()
    }

    /// A single trial.
    pub(crate) fn one(trial: Trial) -> Self {
        let member = Member::new(trial, 0);
        if is_open_loop(&member.trial.config) {
            Self { open: vec![member], closed: Vec::new() }
        } else {
            Self { open: Vec::new(), closed: vec![member] }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.open.iter().chain(&self.closed)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.open.iter_mut().chain(&mut self.closed)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    /// A member whose rates are those of all members.
    pub(crate) fn leader(&self) -> Option<&Member> {
        self.open.first().or(self.closed.first())
    }

    /// Ids of the trials.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.iter().map(|member| member.trial.id.clone()).collect()
    }

    /// The seed and the key that all members have in common.
    pub(crate) fn seed_and_key(&self) -> Option<(u64, ShareKey)> {
        self.leader().map(|member| (member.trial.seed, ShareKey::of(&member.trial.config)))
    }

    /// Remaining steps of all members from `step` on, as if none were shared.
    pub(crate) fn steps_left(&self, step: u64) -> u64 {
        self.iter().map(|member| member.steps().saturating_sub(step)).sum()
    }

    /// First step at which the rates of the open-loop members may differ.
    pub(crate) fn common_until(&self) -> u64 {
        let all_but_last = self.open.len().saturating_sub(1);
        self.open.iter().take(all_but_last).map(|member| member.common_with_next).min().unwrap_or(u64::MAX)
    }

    /// Removes and returns the members that `leaves` selects. New neighbours share the minimum of the steps that the members between
    /// them shared.
    pub(crate) fn take(&mut self, leaves: impl Fn(&Member) -> bool) -> Self {
        let (mut stay, mut go) = (Side::default(), Side::default());
        for member in std::mem::take(&mut self.open) {
            let common_with_next = member.common_with_next;
            let (side, other) = if leaves(&member) { (&mut go, &mut stay) } else { (&mut stay, &mut go) };
            side.push(member);
            other.common = other.common.min(common_with_next);
        }
        let (leaving, staying) = std::mem::take(&mut self.closed).into_iter().partition(leaves);
        (self.open, self.closed) = (stay.open, staying);
        Self { open: go.open, closed: leaving }
    }

    /// Splits the open-loop members where their common steps end at `step`. The members of each resulting group share more steps.
    pub(crate) fn split_open(&mut self, step: u64) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut new_group = true;
        for member in std::mem::take(&mut self.open) {
            let ends = member.common_with_next <= step;
            match groups.last_mut() {
                Some(group) if !new_group => group.open.push(member),
                _ => groups.push(Self { open: vec![member], closed: Vec::new() }),
            }
            new_group = ends;
        }
        groups
    }

    /// Splits all members by their rates of update `t`.
    pub(crate) fn split_by_rates(&mut self, t: u64) -> Vec<Self> {
        let mut groups: Vec<(Rates, Self)> = Vec::new();
        for group in self.split_open(t) {
            if let Some(rates) = group.leader().map(|leader| leader.rates(t)) {
                groups.push((rates, group));
            }
        }
        for member in std::mem::take(&mut self.closed) {
            let rates = member.rates(t);
            match groups.iter_mut().find(|(known, _)| known.same(&rates)) {
                Some((_, group)) => group.closed.push(member),
                None => groups.push((rates, Self { open: Vec::new(), closed: vec![member] })),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

/// The open-loop members that stay, or those that leave.
#[derive(Default)]
struct Side {
    open: Vec<Member>,
    /// Steps that the next member will share with the last one.
    common: u64,
}

impl Side {
    fn push(&mut self, member: Member) {
        if let Some(last) = self.open.last_mut() {
            last.common_with_next = self.common;
        }
        self.common = member.common_with_next;
        self.open.push(member);
    }
}
