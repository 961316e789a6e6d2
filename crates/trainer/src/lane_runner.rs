//! Runs a lane: trains its steps, emits its events, and turns members that leave it into branches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use spec::event::{Event, Final, Measured, Outcome};
use spec::metric::VALID_ACCURACY;
use spec::record::Metrics;

use crate::branch::{Branch, Origin, Started};
use crate::checkpoint::{self, Content, Folder};
use crate::contained::contained;
use crate::data::Examples;
use crate::emitter::{Emit, Emitter, emit_ended};
use crate::evaluate::Evaluation;
use crate::lane::{Lane, Leave, Stepped};
use crate::members::Members;
use crate::run::now;
use crate::shared::Shared;
use crate::state::RunState;
use crate::work::Work;
use crate::{BITS, TrainError};

/// A lane with the events and evaluations of its last step.
pub(crate) struct LaneRunner {
    pub(crate) lane: Lane,
    emitter: Emitter,
    /// The last step, until it is finished.
    stepped: Option<Stepped>,
    /// The evaluation after the last step.
    valid: Option<Evaluation>,
    last_train_loss: f64,
    /// Training time of its trials so far.
    spent: Duration,
}

/// The parts of a stack that a lane uses.
pub(crate) struct Context<'a, 'e> {
    pub(crate) work: &'a mut Work,
    pub(crate) shared: &'a Shared,
    pub(crate) emit: &'a mut Emit<'e>,
    /// Branches of members that left the lane.
    pub(crate) forks: Vec<Branch>,
}

/// The result of [`LaneRunner::start`].
pub(crate) enum Start {
    Runs(Box<LaneRunner>),
    /// The checkpoint is unusable: this branch starts from the first step.
    Restart(Box<Branch>),
    /// It failed, and the failure was emitted.
    Failed,
}

impl LaneRunner {
    /// Starts a branch as a lane.
    pub(crate) fn start(
        branch: Branch,
        examples: &Examples,
        device: &Device,
        shared: &Shared,
        emit: &mut Emit<'_>,
    ) -> Start {
        let (trial_ids, stage, spent) = (branch.members.ids(), branch.stage, branch.spent);
        let lane = match contained(|| branch.start(examples, device, &shared.state_counter)) {
            Ok(Started::Lane(lane)) => lane,
            Ok(Started::Restart(branch)) => return Start::Restart(Box::new(branch)),
            Err(reason) => {
                emit_ended(trial_ids, &Outcome::Failed { reason }, emit);
                return Start::Failed;
            }
        };
        let step = lane.state.step;
        let stage = stage.unwrap_or_else(|| {
            emit(Event::Started { trial_ids: trial_ids.clone(), step, bits: Some(BITS), at: now() });
            let stage = shared.new_stage();
            emit(Event::Stage { stage, first: step, trial_ids });
            stage
        });
        let (emitter, last_train_loss) = (Emitter::new(stage), f64::NAN);
        Start::Runs(Box::new(Self { lane, emitter, stepped: None, valid: None, last_train_loss, spent }))
    }

    /// Whether the lane has no members left.
    pub(crate) fn is_over(&self) -> bool {
        self.lane.members.len() == 0
    }

    /// Turns the lane back into a branch.
    pub(crate) fn into_branch(mut self, emit: &mut Emit<'_>) -> Branch {
        self.emitter.flush(emit);
        let Lane { state, members, .. } = self.lane;
        let stage = Some(self.emitter.stage());
        let mut branch = Branch::new(members, state.step, Origin::Memory(Arc::new(state)), stage);
        branch.spent = self.spent;
        branch
    }

    /// Calls `f` on the lane and measures its time. An error, a panic or an exceeded time limit ends the lane's trials. Returns
    /// whether `f` failed.
    pub(crate) fn run(
        &mut self,
        context: &mut Context<'_, '_>,
        f: impl FnOnce(&mut Self, &mut Context<'_, '_>) -> Result<(), TrainError>,
    ) -> bool {
        let started_at = Instant::now();
        let done = contained(|| f(self, context));
        self.spent += started_at.elapsed();
        if let Err(reason) = &done {
            self.fail(reason, context.emit);
        }
        for fork in &mut context.forks {
            fork.spent = self.spent;
        }
        if let Some(limit) = context.shared.time_limit.filter(|limit| self.spent > *limit) {
            self.end(&Outcome::timed_out(limit), context.emit);
        }
        done.is_err()
    }

    /// Turns open-loop members whose rates differ from this step on into branches.
    pub(crate) fn split_diverging(&mut self, context: &mut Context<'_, '_>) -> Result<(), TrainError> {
        self.forking(context, |lane, _, leave| lane.split_diverging(leave))
    }

    /// Trains a block of steps. The caller finishes the last one, after evaluating it.
    pub(crate) fn train(&mut self, block: usize, context: &mut Context<'_, '_>) -> Result<(), TrainError> {
        for at in 0..block {
            context.work.at = at;
            self.step(context)?;
            if at + 1 < block {
                self.finish_step(context.emit);
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Trains one step. Members that leave before it become branches.
    fn step(&mut self, context: &mut Context<'_, '_>) -> Result<(), TrainError> {
        (self.stepped, self.valid) = (None, None);
        fault::point("train.step").map_err(TrainError::Fault)?;
        self.stepped = Some(self.forking(context, |lane, work, leave| lane.step(work, leave))?);
        Ok(())
    }

    /// Calls `f` on the lane. Members that leave it become branches.
    fn forking<T>(
        &mut self,
        context: &mut Context<'_, '_>,
        f: impl FnOnce(&mut Lane, &mut Work, &mut Leave<'_>) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let mut copied: Option<Arc<RunState>> = None;
        let Self { lane, emitter, .. } = self;
        let Context { work, shared, emit, forks } = context;
        f(lane, work, &mut |state, members| {
            let origin = match fork_origin(state, &members, shared, &mut copied) {
                Ok(origin) => origin,
                Err(error) => {
                    // The members have left the lane, so a failure of the lane does not end them.
                    emit_ended(members.ids(), &Outcome::Failed { reason: error.to_string() }, emit);
                    return Err(error);
                }
            };
            let (trial_ids, step, stage) = (members.ids(), state.step, shared.new_stage());
            // Emit the steps before the fork first. All events are emitted before anything else can fail.
            emitter.flush(emit);
            emit(Event::Stage { stage, first: step, trial_ids: trial_ids.clone() });
            if let Origin::Parked(_, file) = &origin {
                emit(Event::Checkpoint { trial_ids, step, file: file.clone(), at: now() });
            }
            forks.push(Branch::new(members, step, origin, Some(stage)));
            fault::point("fork.after").map_err(TrainError::Fault)
        })
    }

    /// Whether a member evaluates on the validation set after the last step `t`.
    pub(crate) fn evaluates_after(&self, t: u64) -> bool {
        self.stepped.as_ref().is_some_and(|stepped| stepped.diverged.is_none())
            && self.lane.evaluates_after(t)
    }

    /// Stores the evaluation after step `t`. Members whose rule needs an accuracy end if there is none: only now is it known
    /// whether a custom task has one.
    pub(crate) fn take_validation(&mut self, t: u64, valid: Option<Evaluation>, emit: &mut Emit<'_>) {
        self.valid = valid;
        if valid.is_some_and(|valid| valid.accuracy.is_some()) {
            return;
        }
        let without_accuracy = self.lane.take_members(|member| member.wants_accuracy(t));
        let reason = "the schedule watches `valid_accuracy`, but the task reports no accuracy".to_owned();
        emit_ended(without_accuracy.ids(), &Outcome::GivenUp { reason }, emit);
    }

    /// Runs the rules after the last step, and emits the step.
    pub(crate) fn finish_step(&mut self, emit: &mut Emit<'_>) {
        let Some(Stepped { row, diverged }) = self.stepped.take() else { return };
        let diverged_at = |loss, lane: &Lane| {
            let digest = lane.state.digest.hex();
            Outcome::Diverged { at: row.step, loss, digest }
        };
        if let Some(loss) = diverged {
            self.emitter.add(row, Vec::new());
            let outcome = diverged_at(loss, &self.lane);
            return self.end(&outcome, emit);
        }
        let (losses, diverged) = self.lane.finish_step(row.step, row.train_loss, self.valid);
        self.last_train_loss = row.train_loss;
        if let Some(value) = self.valid.and_then(|valid| valid.accuracy) {
            for (trial_id, _) in &losses {
                let (trial_id, name) = (trial_id.clone(), VALID_ACCURACY.to_owned());
                self.emitter.measure(Measured { trial_id, step: row.step, name, value });
            }
        }
        self.emitter.add(row, losses);
        self.emitter.flush_if_due_sampled(emit);
        if let (Some(valid), true) = (self.valid, diverged.len() > 0) {
            self.emitter.flush(emit);
            emit_ended(diverged.ids(), &diverged_at(valid.loss, &self.lane), emit);
        }
    }

    /// Removes the members whose run ends at `step`, and emits their results.
    pub(crate) fn emit_results(&mut self, step: u64, test: Option<Evaluation>, emit: &mut Emit<'_>) {
        let weights = contained(|| self.lane.weights_hash());
        let (Ok(weights_hash), Some(valid)) = (&weights, self.valid) else {
            let reason = weights.err().unwrap_or_else(|| "the final validation is missing".to_owned());
            return self.fail(&reason, emit);
        };
        let outcome = Outcome::Done(Final {
            train_loss: self.last_train_loss,
            valid_loss: valid.loss,
            valid_accuracy: valid.accuracy,
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.and_then(|test| test.accuracy),
            metrics: Metrics::default(),
            digest: self.lane.state.digest.hex(),
            weights_hash: Some(weights_hash.clone()),
        });
        self.emitter.flush(emit);
        emit_ended(self.lane.take_members(|member| member.steps() <= step).ids(), &outcome, emit);
    }

    /// Writes a checkpoint. A failure is a warning: the run continues, and a kill would only lose more steps.
    pub(crate) fn checkpoint(&mut self, folder: &Folder, emit: &mut Emit<'_>) {
        let Lane { state, members, .. } = &self.lane;
        match checkpoint::save(folder, &Content { state, members }) {
            Ok(file) => {
                // Emit the steps first: a checkpoint is valid only after every step before it.
                self.emitter.flush(emit);
                let (trial_ids, step) = (members.ids(), state.step);
                emit(Event::Checkpoint { trial_ids, step, file, at: now() });
            }
            Err(error) => {
                tracing::warn!(
                    "no checkpoint written for {} trial(s); training continues: {error}",
                    members.len()
                );
            }
        }
    }

    /// Emits that all its trials failed, with this reason.
    pub(crate) fn fail(&mut self, reason: &str, emit: &mut Emit<'_>) {
        self.end(&Outcome::Failed { reason: reason.to_owned() }, emit);
    }

    /// Emits the same outcome for all its trials, and removes them.
    pub(crate) fn end(&mut self, outcome: &Outcome, emit: &mut Emit<'_>) {
        self.emitter.flush(emit);
        self.stepped = None;
        emit_ended(std::mem::take(&mut self.lane.members).ids(), outcome, emit);
    }
}

/// Saves the state for members that leave a lane.
fn fork_origin(
    state: &RunState,
    members: &Members,
    shared: &Shared,
    copied: &mut Option<Arc<RunState>>,
) -> Result<Origin, TrainError> {
    fault::point("fork.before").map_err(TrainError::Fault)?;
    Ok(match (&copied, &shared.parking) {
        // Creating the initial state again is as cheap as copying it.
        _ if state.step == 0 => Origin::Start,
        (Some(copied), _) => Origin::Memory(Arc::clone(copied)),
        (None, Some(folder)) if !shared.has_room() => {
            let file = checkpoint::save(folder, &Content { state, members })?;
            Origin::Parked(folder.dir.clone(), file)
        }
        _ => {
            let copy = Arc::new(state.copy()?);
            *copied = Some(Arc::clone(&copy));
            Origin::Memory(copy)
        }
    })
}
