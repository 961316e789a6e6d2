//! The riders of one lane: trials whose updates were all the same so far. Decides which of them go on together; computes
//! no tensors.

use spec::share::{Kin, families, is_open, sorted};
use spec::trial::{Config, Trial};

use crate::rider::{Rates, Rider};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Riders {
    /// Open-loop ones, sorted so that neighbours have many steps in common.
    pub(crate) open: Vec<Rider>,
    /// The others: their rates show only in training.
    pub(crate) closed: Vec<Rider>,
}

impl Riders {
    /// Trials that can start together, each group for itself, in the order of the trials. All trials of a
    /// group have the same seed and task, but for the length.
    pub(crate) fn groups(trials: Vec<Trial>) -> Vec<Self> {
        let families = families(trials.iter());
        let mut trials: Vec<Option<Trial>> = trials.into_iter().map(Some).collect();
        let mut take = |i: usize| trials.get_mut(i).and_then(Option::take);
        let group = |family: Vec<usize>| {
            let all: Vec<Trial> = family.into_iter().filter_map(&mut take).collect();
            let (open, closed): (Vec<Trial>, Vec<Trial>) = all.into_iter().partition(|t| is_open(&t.config));
            let configs: Vec<&Config> = open.iter().map(|trial| &*trial.config).collect();
            let order = sorted(&configs);
            let mut open: Vec<Option<Trial>> = open.into_iter().map(Some).collect();
            let open = order
                .into_iter()
                .filter_map(|entry| Some(Rider::new(open.get_mut(entry.index)?.take()?, entry.with_next)));
            Self { open: open.collect(), closed: closed.into_iter().map(|t| Rider::new(t, 0)).collect() }
        };
        families.into_iter().map(group).collect()
    }

    /// One trial alone.
    pub(crate) fn one(trial: Trial) -> Self {
        let rider = Rider::new(trial, 0);
        if is_open(&rider.trial.config) {
            Self { open: vec![rider], closed: Vec::new() }
        } else {
            Self { open: Vec::new(), closed: vec![rider] }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rider> {
        self.open.iter().chain(&self.closed)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Rider> {
        self.open.iter_mut().chain(&mut self.closed)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    /// The rider whose rates hold for all, as long as none has split off.
    pub(crate) fn leader(&self) -> Option<&Rider> {
        self.open.first().or(self.closed.first())
    }

    /// Ids of the trials.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.iter().map(|rider| rider.trial.id.clone()).collect()
    }

    /// Their seed, and what else they have in common.
    pub(crate) fn kin(&self) -> Option<(u64, Kin)> {
        self.leader().map(|rider| (rider.trial.seed, Kin::of(&rider.trial.config)))
    }

    /// Steps that are left to train from `step` on, if nothing is shared.
    pub(crate) fn steps_left(&self, step: u64) -> u64 {
        self.iter().map(|rider| rider.steps().saturating_sub(step)).sum()
    }

    /// First step at which the rates of the open-loop riders may differ.
    pub(crate) fn common_until(&self) -> u64 {
        let all_but_last = self.open.len().saturating_sub(1);
        self.open.iter().take(all_but_last).map(|rider| rider.common_with_next).min().unwrap_or(u64::MAX)
    }

    /// Takes out the riders that `leaves` names. The steps that new neighbours have in common are those of all riders
    /// between them.
    pub(crate) fn take(&mut self, leaves: impl Fn(&Rider) -> bool) -> Self {
        let (mut stay, mut go) = (Side::default(), Side::default());
        for rider in std::mem::take(&mut self.open) {
            let common_with_next = rider.common_with_next;
            let (own, other) = if leaves(&rider) { (&mut go, &mut stay) } else { (&mut stay, &mut go) };
            own.push(rider);
            other.common = other.common.min(common_with_next);
        }
        let (gone, left) = std::mem::take(&mut self.closed).into_iter().partition(leaves);
        (self.open, self.closed) = (stay.open, left);
        Self { open: go.open, closed: gone }
    }

    /// Splits the open-loop riders where their common steps end at `step`: the riders of each group have more in common.
    pub(crate) fn split_open(&mut self, step: u64) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut new_group = true;
        for rider in std::mem::take(&mut self.open) {
            let ends = rider.common_with_next <= step;
            match groups.last_mut() {
                Some(group) if !new_group => group.open.push(rider),
                _ => groups.push(Self { open: vec![rider], closed: Vec::new() }),
            }
            new_group = ends;
        }
        groups
    }

    /// Splits all riders by their rates of update `t`.
    pub(crate) fn split_by_rates(&mut self, t: u64) -> Vec<Self> {
        let mut groups: Vec<(Rates, Self)> = Vec::new();
        for group in self.split_open(t) {
            if let Some(rates) = group.leader().map(|leader| leader.rates(t)) {
                groups.push((rates, group));
            }
        }
        for rider in std::mem::take(&mut self.closed) {
            let rates = rider.rates(t);
            match groups.iter_mut().find(|(known, _)| known.same(&rates)) {
                Some((_, group)) => group.closed.push(rider),
                None => groups.push((rates, Self { open: Vec::new(), closed: vec![rider] })),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

/// Open-loop riders that stay, or that go.
#[derive(Default)]
struct Side {
    open: Vec<Rider>,
    /// Steps that the next rider has in common with the last.
    common: u64,
}

impl Side {
    fn push(&mut self, rider: Rider) {
        if let Some(last) = self.open.last_mut() {
            last.common_with_next = self.common;
        }
        self.common = rider.common_with_next;
        self.open.push(rider);
    }
}
