//! A branch: trials that are to go on together from one state, and are not in training now. What a sweep
//! starts with, what a fork leaves, what a checkpoint holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use spec::event::Outcome;
use spec::share::Kin;
use spec::trial::{Network, Trial};

use crate::TrainError;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Content, Folder};
use crate::data::Examples;
use crate::emitter::{Emit, emit_ended};
use crate::lane::Lane;
use crate::riders::Riders;
use crate::state::{Census, RunState};
use crate::transfer;
use crate::work::network;

/// See the module.
#[derive(Debug)]
pub struct Branch {
    pub(crate) riders: Riders,
    pub(crate) step: u64,
    pub(crate) origin: Origin,
    /// The stage that its steps belong to, where the start of its trials was told.
    pub(crate) stage: Option<u64>,
    /// Time that its trials have taken for their training.
    pub(crate) spent: Duration,
    seed: u64,
    kin: Option<Kin>,
}

/// Where the state is.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Nowhere yet: it follows from the seed.
    Start,
    /// In memory, shared with other branches of the same fork.
    Memory(Arc<RunState>),
    /// On disk: the folder and the name of the side-car. The riders have the state of their rules.
    Parked(PathBuf, String),
    /// On disk, with the state of the riders' rules.
    Stored(PathBuf, String),
}

impl Branch {
    pub(crate) fn new(riders: Riders, step: u64, origin: Origin, stage: Option<u64>) -> Self {
        let (seed, kin) = riders.kin().map_or((0, None), |(seed, kin)| (seed, Some(kin)));
        Self { riders, step, origin, stage, spent: Duration::ZERO, seed, kin }
    }

    /// Trials before their first step, those together that share steps. With `share` off each for itself.
    pub fn starts(trials: Vec<Trial>, share: bool) -> Vec<Self> {
        groups(trials, share).into_iter().map(|riders| Self::new(riders, 0, Origin::Start, None)).collect()
    }

    /// Trials that go on together from a checkpoint; with `share` off each for itself.
    pub fn resumed(trials: Vec<Trial>, share: bool, step: u64, dir: PathBuf, file: String) -> Vec<Self> {
        let origin = |riders| Self::new(riders, step, Origin::Stored(dir.clone(), file.clone()), None);
        groups(trials, share).into_iter().map(origin).collect()
    }

    /// Its next step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Ids of its trials.
    pub fn trial_ids(&self) -> Vec<String> {
        self.riders.ids()
    }

    /// The model of ours that it trains, with its data.
    pub fn network(&self) -> Option<&Network> {
        self.riders.leader().and_then(|rider| rider.trial.config.task.network())
    }

    /// The trial of a branch that a program of the user's own trains, and the checkpoint that it goes on from: folder and
    /// name of the side-car. Programs share no steps: such a branch has one trial.
    pub fn of_program(&self) -> Option<(Trial, Option<(PathBuf, String)>)> {
        let trial = self.riders.leader().map(|rider| rider.trial.clone())?;
        trial.config.task.program()?;
        let stored = match &self.origin {
            Origin::Stored(dir, file) | Origin::Parked(dir, file) => Some((dir.clone(), file.clone())),
            Origin::Start | Origin::Memory(_) => None,
        };
        Some((trial, stored))
    }

    /// The seed of its trials.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether any of it was told to the store by this process: its stage, or that it was taken up.
    pub fn is_begun(&self) -> bool {
        self.stage.is_some()
    }

    /// Steps that are left if nothing is shared: how much work it is at most.
    pub fn steps_left(&self) -> u64 {
        self.riders.steps_left(self.step)
    }

    /// Whether its state takes memory while it waits.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.origin, Origin::Memory(_))
    }

    /// Whether it can be trained in lock-step with others of this seed and kin, before this step.
    pub(crate) fn goes_with(&self, step: u64, seed: u64, kin: Option<&Kin>) -> bool {
        (self.step, self.seed) == (step, seed) && self.kin.as_ref() == kin
    }

    /// What it has in common with others.
    pub(crate) fn kin(&self) -> Option<&Kin> {
        self.kin.as_ref()
    }

    /// Fails its trials, for this reason.
    pub fn fail(self, reason: &str, emit: &mut Emit<'_>) {
        emit_ended(self.riders.ids(), &Outcome::Failed { reason: reason.to_owned() }, emit);
    }

    /// Stops its trials before they go on, if any event of theirs was emitted.
    pub fn stop(self, emit: &mut Emit<'_>) {
        if self.stage.is_some() {
            emit_ended(self.riders.ids(), &Outcome::Stopped { steps: self.step }, emit);
        }
    }

    /// Writes its state to disk, if it is in memory alone. Gives the file, if one was written.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save(&mut self, folder: &Folder) -> Result<Option<String>, CheckpointError> {
        let Origin::Memory(state) = &self.origin else { return Ok(None) };
        let file = checkpoint::save(folder, &Content { state, riders: &self.riders })?;
        self.origin = Origin::Parked(folder.dir.clone(), file.clone());
        Ok(Some(file))
    }

    /// The lane that trains it. A checkpoint that is torn or foreign is set aside: its trials start over.
    pub(crate) fn start(
        mut self,
        examples: &Examples,
        device: &Device,
        census: &Census,
    ) -> Result<Started, TrainError> {
        let averages = self.riders.iter().any(|rider| rider.schedule().averages());
        let Some(trial) = self.riders.leader().map(|rider| rider.trial.clone()) else {
            return Err(TrainError::Empty);
        };
        let new = || -> Result<RunState, TrainError> {
            let mut state = RunState::new(&trial, averages, examples, device, census)?;
            state.optimizer = state.optimizer.after(transfer::updates_before(network(&trial.config.task)?)?);
            Ok(state)
        };
        let (dir, file, with_riders) = match self.origin {
            Origin::Start => {
                let state = new()?;
                transfer::initialise(
                    state.model.parameters(),
                    &state.optimizer,
                    network(&trial.config.task)?,
                )?;
                return Lane::new(state, self.riders).map(Started::Lane);
            }
            Origin::Memory(state) => {
                let state = match Arc::try_unwrap(state) {
                    Ok(state) => state,
                    Err(shared) => shared.copy()?,
                };
                return Lane::new(state, self.riders).map(Started::Lane);
            }
            Origin::Parked(dir, file) => (dir, file, false),
            Origin::Stored(dir, file) => (dir, file, true),
        };
        let mut state = new()?;
        let riders = &mut self.riders;
        let restored = checkpoint::load(&dir, &file).map_err(TrainError::from).and_then(|found| {
            found.restore(&mut state)?;
            if with_riders { restore_riders(riders, &found, &state) } else { Ok(()) }
        });
        match restored {
            Ok(()) => Lane::new(state, self.riders).map(Started::Lane),
            Err(error) => {
                tracing::warn!("{error}; {} start over", trials(riders));
                checkpoint::set_aside(&dir, &file);
                for rider in riders.iter_mut() {
                    (rider.state, rider.kept) = (rider.trial.config.start(), None);
                }
                Ok(Started::Over(Self::new(self.riders, 0, Origin::Start, None)))
            }
        }
    }
}

/// What came of [`Branch::start`].
#[derive(Debug)]
pub(crate) enum Started {
    Lane(Lane),
    /// Its checkpoint is of no use: this goes on from the first step.
    Over(Branch),
}

fn groups(trials: Vec<Trial>, share: bool) -> Vec<Riders> {
    if share { Riders::groups(trials) } else { trials.into_iter().map(Riders::one).collect() }
}

fn trials(riders: &Riders) -> String {
    match riders.ids().as_slice() {
        [one] => format!("the trial {one}"),
        many => format!("{} trials", many.len()),
    }
}

/// Sets the state of the riders' rules to that of the checkpoint.
fn restore_riders(riders: &mut Riders, checkpoint: &Checkpoint, state: &RunState) -> Result<(), TrainError> {
    for rider in riders.iter_mut() {
        rider.state.clone_from(checkpoint.schedule_state(&rider.trial)?);
        rider.prepare(state.model.parameters())?;
        checkpoint.restore_kept(rider, state.model.parameters())?;
    }
    Ok(())
}
