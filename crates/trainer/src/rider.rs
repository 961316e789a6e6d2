//! Riders: the trials that a lane trains at the same time, because all their updates were the same so far.
//! Who goes on with whom is decided here; no tensors are computed.

use candle_core::Result;
use schedule::{Average, Schedule, State};
use spec::share::{Kin, families, is_open, sorted};
use spec::trial::{Config, Trial};

use crate::model::Parameter;
use crate::vectors::KeptTensors;

/// A trial in flight: what is its own while it shares a lane's weights.
#[derive(Debug)]
pub(crate) struct Rider {
    pub(crate) trial: Trial,
    /// What the schedule's rules remember.
    pub(crate) state: State,
    /// What they keep beside numbers; made when the first lane starts.
    pub(crate) kept: Option<KeptTensors>,
    /// Of an open-loop rider: steps that it has in common with the next one.
    with_next: u64,
}

impl Rider {
    /// Whether a rule needs the validation accuracy after step `t`.
    pub(crate) fn wants_accuracy(&self, t: u64) -> bool {
        self.schedule().wants(t, self.trial.config.task.evaluates_after(t)).valid_accuracy
    }

    fn new(trial: Trial, with_next: u64) -> Self {
        Self { state: trial.config.start(), trial, kept: None, with_next }
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.trial.config.schedule
    }

    /// Length of its run.
    pub(crate) fn steps(&self) -> u64 {
        self.trial.config.task.steps
    }

    /// What update `t` is told, after the rules have seen what there is to see.
    pub(crate) fn rates(&self, t: u64) -> Rates {
        let schedule = self.schedule();
        Rates {
            lr: schedule.lr(t, &self.state),
            momentum: schedule.momentum(t),
            average: schedule.average(t, &self.state),
        }
    }

    /// The tensors that its rules keep.
    pub(crate) fn prepare(&mut self, parameters: &[Parameter]) -> Result<()> {
        if self.kept.is_none() {
            self.kept = Some(KeptTensors::new(&self.schedule().keeps(), parameters)?);
        }
        Ok(())
    }

    /// What its rules remember, to come back to.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let kept = self.kept.as_ref().filter(|kept| !kept.is_empty());
        Ok(Memory { state: self.state.clone(), kept: kept.map(KeptTensors::copy).transpose()? })
    }

    /// Comes back to it.
    pub(crate) fn recall(&mut self, memory: Memory) {
        self.state = memory.state;
        if memory.kept.is_some() {
            self.kept = memory.kept;
        }
    }
}

/// See [`Rider::memory`].
pub(crate) struct Memory {
    state: State,
    kept: Option<KeptTensors>,
}

/// All that an update is told by a schedule; of the lr it uses the `f32`. Riders whose rates differ by a bit
/// part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) lr: f64,
    pub(crate) momentum: Option<f64>,
    pub(crate) average: Option<Average>,
}

impl Rates {
    /// Whether all bits are equal.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let bits = |rates: &Self| {
            let average = rates.average.map(|a| (a.first, a.momentum.to_bits(), a.weight.to_bits()));
            ((rates.lr as f32).to_bits(), rates.momentum.map(f64::to_bits), average)
        };
        bits(self) == bits(other)
    }
}

/// The riders of one lane. There is always one at least.
#[derive(Debug, Default)]
pub(crate) struct Riders {
    /// Open-loop ones, sorted so that those that go together for long stand together.
    pub(crate) open: Vec<Rider>,
    /// The others: where they go shows only in training.
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

    /// The one that speaks for all, as long as all go together.
    pub(crate) fn leader(&self) -> Option<&Rider> {
        self.open.first().or(self.closed.first())
    }

    /// Ids of the trials.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.iter().map(|rider| rider.trial.id.clone()).collect()
    }

    /// What they have in common.
    pub(crate) fn kin(&self) -> Option<(u64, Kin)> {
        self.leader().map(|rider| (rider.trial.seed, Kin::of(&rider.trial.config)))
    }

    /// Steps that are left to train from `step` on, if nothing is shared.
    pub(crate) fn steps_left(&self, step: u64) -> u64 {
        self.iter().map(|rider| rider.steps().saturating_sub(step)).sum()
    }

    /// Up to which step the open-loop riders go together.
    pub(crate) fn together_until(&self) -> u64 {
        let all_but_last = self.open.len().saturating_sub(1);
        self.open.iter().take(all_but_last).map(|rider| rider.with_next).min().unwrap_or(u64::MAX)
    }

    /// Takes out the riders that `leaves` names; neighbours on either side have in common what all between
    /// them have.
    pub(crate) fn take(&mut self, leaves: impl Fn(&Rider) -> bool) -> Self {
        let (mut stay, mut go) = (Side::default(), Side::default());
        for rider in std::mem::take(&mut self.open) {
            let with_next = rider.with_next;
            let (own, other) = if leaves(&rider) { (&mut go, &mut stay) } else { (&mut stay, &mut go) };
            own.push(rider);
            other.common = other.common.min(with_next);
        }
        let (gone, left) = std::mem::take(&mut self.closed).into_iter().partition(leaves);
        (self.open, self.closed) = (stay.open, left);
        Self { open: go.open, closed: gone }
    }

    /// Cuts open-loop riders where their common steps end at `step`: each part goes together for longer.
    pub(crate) fn cut(&mut self, step: u64) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        let mut begin = true;
        for rider in std::mem::take(&mut self.open) {
            let end = rider.with_next <= step;
            match parts.last_mut() {
                Some(part) if !begin => part.open.push(rider),
                _ => parts.push(Self { open: vec![rider], closed: Vec::new() }),
            }
            begin = end;
        }
        parts
    }

    /// Parts them by what they are told of update `t`.
    pub(crate) fn by_rates(&mut self, t: u64) -> Vec<Self> {
        let mut parts: Vec<(Rates, Self)> = Vec::new();
        for part in self.cut(t) {
            if let Some(rates) = part.leader().map(|leader| leader.rates(t)) {
                parts.push((rates, part));
            }
        }
        for rider in std::mem::take(&mut self.closed) {
            let rates = rider.rates(t);
            match parts.iter_mut().find(|(known, _)| known.same(&rates)) {
                Some((_, part)) => part.closed.push(rider),
                None => parts.push((rates, Self { open: Vec::new(), closed: vec![rider] })),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }
}

/// Open-loop riders of one side, as they are parted.
#[derive(Default)]
struct Side {
    open: Vec<Rider>,
    /// What the next one has in common with the last.
    common: u64,
}

impl Side {
    fn push(&mut self, rider: Rider) {
        if let Some(last) = self.open.last_mut() {
            last.with_next = self.common;
        }
        self.common = rider.with_next;
        self.open.push(rider);
    }
}
