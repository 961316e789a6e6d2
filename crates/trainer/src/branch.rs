//! A branch: trials that continue together from one state and wait to be trained. A sweep starts with branches, a fork creates
//! one, and a checkpoint holds one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use spec::event::{Event, Outcome};
use spec::share::ShareKey;
use spec::trial::{Network, Trial};

use crate::TrainError;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Content, Folder};
use crate::data::Examples;
use crate::emitter::{Emit, emit_ended};
use crate::lane::Lane;
use crate::members::Members;
use crate::state::{RunState, StateCounter};
use crate::transfer;
use crate::work::network;

/// Trials that continue together from one state.
#[derive(Debug)]
pub struct Branch {
    pub(crate) members: Members,
    pub(crate) step: u64,
    pub(crate) origin: Origin,
    /// The stage that its steps belong to, if the start of its trials was emitted.
    pub(crate) stage: Option<u64>,
    /// Training time of its trials so far.
    pub(crate) spent: Duration,
    seed: u64,
    share_key: Option<ShareKey>,
    is_check: bool,
}

/// Where the state is.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Not created yet: it follows from the seed.
    Start,
    /// In memory, shared with other branches of the same fork.
    Memory(Arc<RunState>),
    /// On disk: the folder and the file name of the side-car. The members hold the state of their rules in memory.
    Parked(PathBuf, String),
    /// On disk, together with the state of the members' rules.
    Stored(PathBuf, String),
}

impl Branch {
    pub(crate) fn new(members: Members, step: u64, origin: Origin, stage: Option<u64>) -> Self {
        let (seed, share_key) =
            members.seed_and_key().map_or((0, None), |(seed, share_key)| (seed, Some(share_key)));
        Self { members, step, origin, stage, spent: Duration::ZERO, seed, share_key, is_check: false }
    }

    /// Branches of trials before their first step. Trials that share steps are in one branch; without `share` each trial has its own.
    pub fn initial(trials: Vec<Trial>, share: bool) -> Vec<Self> {
        groups(trials, share).into_iter().map(|members| Self::new(members, 0, Origin::Start, None)).collect()
    }

    /// Branches of trials that continue from a checkpoint; without `share` each trial has its own.
    pub fn resumed(trials: Vec<Trial>, share: bool, step: u64, dir: PathBuf, file: String) -> Vec<Self> {
        let origin = |members| Self::new(members, step, Origin::Stored(dir.clone(), file.clone()), None);
        groups(trials, share).into_iter().map(origin).collect()
    }

    /// Its next step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Ids of its trials.
    pub fn trial_ids(&self) -> Vec<String> {
        self.members.ids()
    }

    /// The network that it trains; `None` for an external program.
    pub fn network(&self) -> Option<&Network> {
        self.members.leader().and_then(|member| member.trial.config.task.network())
    }

    /// A branch that trains a trial separately, to check the results of sharing. Its events are not those of the trial.
    pub fn check(trial: Trial) -> Self {
        Self { is_check: true, ..Self::new(Members::one(trial), 0, Origin::Start, None) }
    }

    /// Whether it was made by [`Branch::check`].
    pub fn is_check(&self) -> bool {
        self.is_check
    }

    /// Whether an external program trains it.
    pub fn is_program(&self) -> bool {
        self.members.leader().is_some_and(|member| member.trial.config.task.program().is_some())
    }

    /// Emits that its trials are trained as one from here on, and returns it.
    pub fn with_stage(mut self, stage: u64, emit: &mut Emit<'_>) -> Self {
        self.stage = Some(stage);
        emit(Event::Stage { stage, first: self.step, trial_ids: self.members.ids() });
        self
    }

    /// The seed of its trials.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether this process has emitted any event of it.
    pub fn is_started(&self) -> bool {
        self.stage.is_some()
    }

    /// Remaining steps of all its trials, as if none were shared: an upper bound of the work.
    pub fn steps_left(&self) -> u64 {
        self.members.steps_left(self.step)
    }

    /// Whether its state is in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.origin, Origin::Memory(_))
    }

    /// Whether it can be trained in lock-step with lanes that are before `step` and have this seed and key.
    pub(crate) fn is_compatible(&self, step: u64, seed: u64, share_key: Option<&ShareKey>) -> bool {
        (self.step, self.seed) == (step, seed) && self.share_key.as_ref() == share_key
    }

    /// The key that its trials have in common.
    pub(crate) fn share_key(&self) -> Option<&ShareKey> {
        self.share_key.as_ref()
    }

    /// Emits that its trials failed, with this reason.
    pub fn fail(self, reason: &str, emit: &mut Emit<'_>) {
        emit_ended(self.members.ids(), &Outcome::Failed { reason: reason.to_owned() }, emit);
    }

    /// Emits that its trials stopped, if any event of theirs was emitted.
    pub fn stop(self, emit: &mut Emit<'_>) {
        if self.stage.is_some() {
            emit_ended(self.members.ids(), &Outcome::Stopped { steps: self.step }, emit);
        }
    }

    /// Writes its state to disk if it is only in memory. Returns the file name, if one was written.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save(&mut self, folder: &Folder) -> Result<Option<String>, CheckpointError> {
        let Origin::Memory(state) = &self.origin else { return Ok(None) };
        let file = checkpoint::save(folder, &Content { state, members: &self.members })?;
        self.origin = Origin::Parked(folder.dir.clone(), file.clone());
        Ok(Some(file))
    }

    /// Turns it into a lane. A checkpoint that is damaged or belongs to another run is set aside, and its trials start over.
    pub(crate) fn start(
        mut self,
        examples: &Examples,
        device: &Device,
        state_counter: &StateCounter,
    ) -> Result<Started, TrainError> {
        let averages = self.members.iter().any(|member| member.schedule().averages());
        let Some(trial) = self.members.leader().map(|member| member.trial.clone()) else {
            return Err(TrainError::Empty);
        };
        let new = || -> Result<RunState, TrainError> {
            let mut state = RunState::new(&trial, averages, examples, device, state_counter)?;
            state.optimizer =
                state.optimizer.resuming_after(transfer::updates_before(network(&trial.config.task)?)?);
            Ok(state)
        };
        let (dir, file, with_members) = match self.origin {
            Origin::Start => {
                let state = new()?;
                transfer::initialise(
                    state.model.parameters(),
                    &state.optimizer,
                    network(&trial.config.task)?,
                )?;
                return Lane::new(state, self.members).map(Started::Lane);
            }
            Origin::Memory(state) => {
                let state = match Arc::try_unwrap(state) {
                    Ok(state) => state,
                    Err(shared) => shared.copy()?,
                };
                return Lane::new(state, self.members).map(Started::Lane);
            }
            Origin::Parked(dir, file) => (dir, file, false),
            Origin::Stored(dir, file) => (dir, file, true),
        };
        let mut state = new()?;
        let members = &mut self.members;
        let restored = checkpoint::load(&dir, &file).map_err(TrainError::from).and_then(|found| {
            found.restore(&mut state)?;
            if with_members { restore_members(members, &found, &state) } else { Ok(()) }
        });
        match restored {
            Ok(()) => Lane::new(state, self.members).map(Started::Lane),
            Err(error) => {
                tracing::warn!("{error}; starting over: {}", trials(members));
                checkpoint::set_aside(&dir, &file);
                for member in members.iter_mut() {
                    (member.state, member.kept) = (member.trial.config.start(), None);
                }
                Ok(Started::Restart(Self::new(self.members, 0, Origin::Start, None)))
            }
        }
    }
}

/// The result of [`Branch::start`].
#[derive(Debug)]
pub(crate) enum Started {
    Lane(Lane),
    /// The checkpoint is unusable: this branch starts from the first step.
    Restart(Branch),
}

fn groups(trials: Vec<Trial>, share: bool) -> Vec<Members> {
    if share { Members::groups(trials) } else { trials.into_iter().map(Members::one).collect() }
}

fn trials(members: &Members) -> String {
    match members.ids().as_slice() {
        [one] => format!("trial {one}"),
        many => format!("{} trials", many.len()),
    }
}

/// Restores the state of the members' rules from the checkpoint.
fn restore_members(
    members: &mut Members,
    checkpoint: &Checkpoint,
    state: &RunState,
) -> Result<(), TrainError> {
    for member in members.iter_mut() {
        member.state.clone_from(checkpoint.schedule_state(&member.trial)?);
        member.prepare(state.model.parameters())?;
        checkpoint.restore_kept(member, state.model.parameters())?;
    }
    Ok(())
}
