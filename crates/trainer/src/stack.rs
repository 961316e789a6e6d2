//! A stack: lanes of one seed and task that one thread trains in lock-step. Each batch and each example for evaluation is prepared
//! once for all lanes. The bits of a lane do not depend on the other lanes.

use std::cmp::Reverse;

use candle_core::Device;
use spec::event::Outcome;
use spec::share::ShareKey;
use spec::trial::Task;

use crate::TrainError;
use crate::batches::Batches;
use crate::branch::Branch;
use crate::cache::l2_bytes;
use crate::checkpoint::Folder;
use crate::contained::contained;
use crate::data::{Examples, Part};
use crate::emitter::Emit;
use crate::evaluate::Evaluation;
use crate::lane_runner::{Context, LaneRunner, Start};
use crate::model::Model;
use crate::run::Trained;
use crate::shared::Shared;
use crate::state::RunState;
use crate::work::{Work, network};

/// Lanes that one thread trains in lock-step.
pub struct Stack<'a> {
    shared: &'a Shared,
    examples: &'a Examples,
    step: u64,
    seed: u64,
    share_key: Option<ShareKey>,
    batches: Batches,
    task: Task,
    work: Work,
    lanes: Vec<LaneRunner>,
    /// The result of the run that ended last.
    trained: Option<Trained>,
}

impl<'a> Stack<'a> {
    /// Starts a stack with one branch. `None` if its trials can't be trained; their failure is emitted.
    pub fn new(
        branch: Branch,
        examples: &'a Examples,
        shared: &'a Shared,
        emit: &mut Emit<'_>,
    ) -> Option<Self> {
        let leader = branch.members.leader()?;
        let (seed, task) = (leader.trial.seed, leader.trial.config.task.clone());
        let share_key = branch.share_key().cloned();
        let (device, batches) = match prepare(&task, seed, examples, shared) {
            Ok(prepared) => prepared,
            Err(error) => {
                branch.fail(&error.to_string(), emit);
                return None;
            }
        };
        let start = match LaneRunner::start(branch, examples, &device, shared, emit) {
            // The first step needs no checkpoint, so there is no second restart.
            Start::Restart(branch) => LaneRunner::start(*branch, examples, &device, shared, emit),
            start => start,
        };
        let Start::Runs(mut first) = start else { return None };
        let block = block(&first.lane.state, shared.block);
        let work = match Work::new(&task, examples, &first.lane.state.model, device, block) {
            Ok(work) => work,
            Err(error) => {
                first.fail(&error.to_string(), emit);
                return None;
            }
        };
        let (step, lanes) = (first.lane.state.step, vec![*first]);
        Some(Self { shared, examples, step, seed, share_key, batches, task, work, lanes, trained: None })
    }

    /// Number of lanes in training.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether no lane is left.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The next step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The seed of all its trials.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The result of the run that ended last, for stacks that train one run at a time.
    pub(crate) fn into_trained(self) -> Option<Trained> {
        self.trained
    }

    /// Whether a branch can be added: there is room, and the branch uses the same batches and the same kind of model.
    pub fn accepts(&self, branch: &Branch) -> bool {
        self.has_room() && branch.is_compatible(self.step, self.seed, self.share_key.as_ref())
    }

    fn has_room(&self) -> bool {
        self.lanes.len() < self.shared.width && self.shared.has_room()
    }

    /// Adds a branch that it [`accepts`](Stack::accepts). Returns the branch if it has to start over.
    pub fn add(&mut self, branch: Branch, emit: &mut Emit<'_>) -> Option<Branch> {
        match LaneRunner::start(branch, self.examples, &self.work.device, self.shared, emit) {
            Start::Runs(runner) => self.lanes.push(*runner),
            Start::Restart(branch) => return Some(*branch),
            Start::Failed => {}
        }
        None
    }

    /// Keeps this number of lanes, and returns the others as branches. Both parts get lanes with much and with little work left.
    pub fn shrink(&mut self, keep: usize, emit: &mut Emit<'_>) -> Vec<Branch> {
        let all = self.lanes.len();
        if keep >= all {
            return Vec::new();
        }
        self.lanes.sort_by_key(|runner| Reverse(runner.lane.members.steps_left(self.step)));
        let lanes = std::mem::take(&mut self.lanes).into_iter().enumerate();
        // Every (all / keep)-th lane stays.
        let (kept, given): (Vec<_>, Vec<_>) = lanes.partition(|(i, _)| i * keep % all < keep);
        self.lanes = kept.into_iter().map(|(_, runner)| runner).collect();
        given.into_iter().map(|(_, runner)| runner.into_branch(emit)).collect()
    }

    /// Forks the lanes whose members' rates differ from the next step on, and returns forks that found no room.
    pub fn split(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let mut waiting = Vec::new();
        self.each_lane(&mut waiting, emit, LaneRunner::split_diverging);
        self.lanes.retain(|runner| !runner.is_over());
        waiting
    }

    /// Trains the same number of steps in every lane, at most until one of them evaluates. Emits trials that end, and returns
    /// forks that found no room. A lane that fails or panics ends only its own trials.
    pub fn advance(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let mut waiting = self.split(emit);
        let block = self.prepare_batches();
        let failed = self.each_lane(&mut waiting, emit, |runner, context| runner.train(block, context));
        self.step += block as u64;
        self.validate(emit);
        for runner in &mut self.lanes {
            runner.finish_step(emit);
        }
        self.end_finished(emit);
        self.lanes.retain(|runner| !runner.is_over());
        if failed {
            self.renew_work(emit);
        }
        waiting
    }

    /// Calls `each` on every lane, including forks that find room meanwhile; other forks go to `waiting`. Returns whether a call
    /// failed.
    fn each_lane(
        &mut self,
        waiting: &mut Vec<Branch>,
        emit: &mut Emit<'_>,
        each: impl Fn(&mut LaneRunner, &mut Context<'_, '_>) -> Result<(), TrainError>,
    ) -> bool {
        let mut failed = false;
        let mut i = 0;
        while let Some(runner) = self.lanes.get_mut(i) {
            let (work, shared) = (&mut self.work, self.shared);
            let mut context = Context { work, shared, emit, forks: Vec::new() };
            failed |= runner.run(&mut context, &each);
            for fork in context.forks {
                if self.has_room() && fork.step == self.step {
                    waiting.extend(self.add(fork, emit));
                } else {
                    waiting.push(fork);
                }
            }
            i += 1;
        }
        failed
    }

    /// Prepares the batches of the next steps, and returns their number.
    fn prepare_batches(&mut self) -> usize {
        let most = self.work.batches.len();
        let block = self.lanes.iter().map(|runner| runner.lane.block(most)).min().unwrap_or(1).max(1);
        for (t, batch) in (self.step..).zip(&mut self.work.batches).take(block) {
            self.batches.gather(t, self.examples, batch);
        }
        block
    }

    /// Creates new buffers: a panic may have left the old ones in an invalid state.
    fn renew_work(&mut self, emit: &mut Emit<'_>) {
        let Some(runner) = self.lanes.first() else { return };
        let (model, device) = (&runner.lane.state.model, self.work.device.clone());
        match Work::new(&self.task, self.examples, model, device, self.work.batches.len()) {
            Ok(work) => self.work = work,
            Err(error) => {
                let reason = error.to_string();
                self.lanes.drain(..).for_each(|mut runner| runner.fail(&reason, emit));
            }
        }
    }

    /// Evaluates all lanes that have a member whose evaluation is due after the last step.
    fn validate(&mut self, emit: &mut Emit<'_>) {
        let t = self.step - 1;
        let due = |runner: &LaneRunner| runner.evaluates_after(t);
        self.evaluate(due, Part::Valid, emit, |runner, valid, emit| runner.take_validation(t, valid, emit));
    }

    /// Emits the results of the members whose run has ended.
    fn end_finished(&mut self, emit: &mut Emit<'_>) {
        let step = self.step;
        let ends = |runner: &LaneRunner| runner.lane.members.iter().any(|member| member.steps() <= step);
        // A stack of one run has no other state in memory. In larger stacks this copy would exceed the limit of states.
        if self.shared.width == 1 {
            self.trained = self.lanes.iter().find(|runner| ends(runner)).map(|runner| runner.lane.trained());
        }
        self.evaluate(ends, Part::Test, emit, |runner, test, emit| runner.emit_results(step, test, emit));
    }

    /// Evaluates the lanes that `which` selects on a part, and calls `hand` with each evaluation; with `None` if the part is empty.
    /// Lanes that can't be evaluated fail.
    fn evaluate(
        &mut self,
        which: impl Fn(&LaneRunner) -> bool,
        part: Part,
        emit: &mut Emit<'_>,
        mut hand: impl FnMut(&mut LaneRunner, Option<Evaluation>, &mut Emit<'_>),
    ) {
        let models: Vec<Model> =
            self.lanes.iter().filter(|runner| which(runner)).map(|runner| runner.lane.eval_view()).collect();
        let (work, examples) = (&mut self.work, self.examples);
        let wanted = self.lanes.iter_mut().filter(|runner| which(runner));
        if models.is_empty() || examples.is_empty(part) {
            return wanted.for_each(|runner| hand(runner, None, emit));
        }
        match contained(|| work.evaluate(&models, examples, part)) {
            Ok(evaluations) => {
                wanted.zip(evaluations).for_each(|(runner, one)| hand(runner, Some(one), emit));
            }
            Err(reason) => wanted.for_each(|runner| runner.fail(&reason, emit)),
        }
    }

    /// Writes a checkpoint of every lane.
    pub fn checkpoint(&mut self, folder: &Folder, emit: &mut Emit<'_>) {
        self.lanes.iter_mut().for_each(|runner| runner.checkpoint(folder, emit));
    }

    /// Stops all its trials at the current step.
    pub fn stop(self, emit: &mut Emit<'_>) {
        let outcome = Outcome::Stopped { steps: self.step };
        self.lanes.into_iter().for_each(|mut runner| runner.end(&outcome, emit));
    }
}

/// Number of steps that a lane trains in a row: several only if its state stays in the L2 cache meanwhile. Large steps in a row
/// would also keep lanes from idle workers.
fn block(state: &RunState, most: usize) -> usize {
    let numbers: usize = state.tensors().iter().map(|(_, var)| var.elem_count()).sum();
    if size_of::<f32>() * numbers <= l2_bytes() { most } else { 1 }
}

/// The device and the batches for the first lane of a stack.
fn prepare(
    task: &Task,
    seed: u64,
    examples: &Examples,
    shared: &Shared,
) -> Result<(Device, Batches), TrainError> {
    let device = shared.device.open()?;
    Ok((device, Batches::of(seed, network(task)?, examples)))
}
