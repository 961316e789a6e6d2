//! The events that an observer of a running sweep receives.

use orchestrator::{Missing, Options, SharingChecked, Verified};
use spec::Plan;
use store::TrialRecord;

use crate::rounds::{Decision, Later};
use crate::shard::Shard;

/// Something that happens while a sweep is trained. Observers receive events in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// A decision about the next round follows from the results.
    Decided(&'a Decision),
    /// A round begins. Also sent if this process has nothing to train in it.
    RoundStarted(&'a Round<'a>),
    /// An event of a trial of this round in this process.
    Trial(&'a spec::event::Event),
    /// Number of trials of the sweep that other processes have ended since the round began.
    EndedElsewhere(usize),
    /// A trial that shares steps was also trained separately.
    SharingChecked(&'a SharingChecked),
    /// The round has ended, or was stopped.
    RoundEnded,
    /// A stored trial is about to be trained again for its weights.
    Retraining(&'a TrialRecord),
    /// A sample of the trials of other machines was trained again.
    Verified(&'a Verified),
}

/// A round of training.
#[derive(Debug)]
pub struct Round<'a> {
    /// The plan with all decisions so far.
    pub plan: &'a Plan,
    /// The trials without a result that this process may train.
    pub missing: &'a [Missing],
    /// Number of trials of the plan that have ended.
    pub ended: usize,
    /// The runs with deciding seeds that follow after this round.
    pub later: Later,
    /// Number of their steps; 0 for a shard, which does not train them.
    pub deciding_steps: u64,
    /// Whether the results of this round may add lrs to the grid of a schedule.
    pub may_extend: bool,
    /// The shard that is trained. `None` for the whole sweep.
    pub shard: Option<Shard>,
    /// The options of training.
    pub options: &'a Options,
}

/// A callback for each event. It must return quickly, because training waits for it.
pub type Observer<'a> = dyn FnMut(Event<'_>) + 'a;
