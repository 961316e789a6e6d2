//! The events that an observer of a running sweep receives.

use orchestrator::{Missing, Options, Verified};
use spec::Plan;
use store::TrialRecord;

use crate::rounds::Decision;
use crate::shard::Shard;

/// Something that happened while a sweep is trained, in the order in which it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The results of a round decided what is trained next.
    Decided(&'a Decision),
    /// A round begins, also where this process has nothing to do in it.
    RoundStarted(&'a Round<'a>),
    /// Something happened to a trial of this round, in this process.
    Trial(&'a spec::event::Event),
    /// This many trials of the sweep were ended by other processes since the round began.
    Elsewhere(usize),
    /// The round has ended, or was stopped.
    RoundEnded,
    /// A stored trial is trained again, for its weights.
    Retraining(&'a TrialRecord),
    /// A sample of the trials of other machines was trained once more.
    Verified(&'a Verified),
}

/// What a round is about to train.
#[derive(Debug)]
pub struct Round<'a> {
    /// All that was decided so far.
    pub plan: &'a Plan,
    /// The trials that are left to this process.
    pub missing: &'a [Missing],
    /// Trials of the plan that are over.
    pub over: usize,
    /// Runs that decide after this round.
    pub deciding: u64,
    /// Their steps, as far as this process trains for them: none for a shard.
    pub deciding_steps: u64,
    /// Whether the results of this round may extend the lr grid of a schedule.
    pub may_extend: bool,
    /// The part of the sweep that is trained, if not all of it.
    pub shard: Option<Shard>,
    /// How it is trained.
    pub options: &'a Options,
}

/// Is called with each event. It must be quick: training waits for it.
pub type Observer<'a> = dyn FnMut(Event<'_>) + 'a;
