//! A stack: lanes of one seed and task that one thread trains in lock-step. A batch is prepared once for all of them,
//! and so is each example that they are evaluated on. The bits of a lane do not depend on the lanes beside it.

use candle_core::Device;
use spec::event::Outcome;
use spec::share::Kin;
use spec::trial::Task;

use crate::TrainError;
use crate::batches::Batches;
use crate::branch::Branch;
use crate::checkpoint::Folder;
use crate::contain::contained;
use crate::data::{Examples, Part};
use crate::emitter::Emit;
use crate::evaluate::Evaluation;
use crate::lane_runner::{Context, LaneRunner, Start};
use crate::model::Model;
use crate::run::Trained;
use crate::shared::Shared;
use crate::work::{Work, network};

/// See the module.
pub struct Stack<'a> {
    shared: &'a Shared,
    examples: &'a Examples,
    step: u64,
    seed: u64,
    kin: Option<Kin>,
    batches: Batches,
    task: Task,
    work: Work,
    lanes: Vec<LaneRunner>,
    /// What the run that ended last left.
    last: Option<Trained>,
}

impl<'a> Stack<'a> {
    /// Starts with one branch. `None` if its trials can't be trained: their failure is emitted.
    pub fn new(
        branch: Branch,
        examples: &'a Examples,
        shared: &'a Shared,
        emit: &mut Emit<'_>,
    ) -> Option<Self> {
        let leader = branch.riders.leader()?;
        let (seed, task) = (leader.trial.seed, leader.trial.config.task.clone());
        let kin = branch.kin().cloned();
        let (device, batches) = match prepare(&task, seed, examples, shared) {
            Ok(prepared) => prepared,
            Err(error) => {
                branch.fail(&error.to_string(), emit);
                return None;
            }
        };
        let start = match LaneRunner::start(branch, examples, &device, shared, emit) {
            // From the first step there is no checkpoint to fail.
            Start::Restart(again) => LaneRunner::start(*again, examples, &device, shared, emit),
            start => start,
        };
        let Start::Runs(mut first) = start else { return None };
        let work = match Work::new(&task, examples, &first.lane.state.model, device, shared.block) {
            Ok(work) => work,
            Err(error) => {
                first.fail(&error.to_string(), emit);
                return None;
            }
        };
        let (step, lanes) = (first.lane.state.step, vec![*first]);
        Some(Self { shared, examples, step, seed, kin, batches, task, work, lanes, last: None })
    }

    /// Lanes in training.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether all lanes are over.
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

    /// What the run that ended last left, where the stack trains one run at a time.
    pub(crate) fn into_last(self) -> Option<Trained> {
        self.last
    }

    /// Whether a branch can be added: there is room, and it uses the same batches with the same kind of model.
    pub fn takes(&self, branch: &Branch) -> bool {
        self.has_room() && branch.goes_with(self.step, self.seed, self.kin.as_ref())
    }

    fn has_room(&self) -> bool {
        self.lanes.len() < self.shared.width && self.shared.has_room()
    }

    /// Adds a branch that it [`takes`](Stack::takes). Returns it if it has to start over.
    pub fn add(&mut self, branch: Branch, emit: &mut Emit<'_>) -> Option<Branch> {
        match LaneRunner::start(branch, self.examples, &self.work.device, self.shared, emit) {
            Start::Runs(runner) => self.lanes.push(*runner),
            Start::Restart(again) => return Some(*again),
            Start::Failed => {}
        }
        None
    }

    /// Gives about half of the lanes away, if there are two at least.
    pub fn halve(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let half = self.lanes.split_off(self.lanes.len().div_ceil(2));
        half.into_iter().map(|runner| runner.into_branch(emit)).collect()
    }

    /// Trains some steps of every lane, the same for all: up to where one of them is evaluated. Returns the forks that found
    /// no room; ended trials are emitted. A lane that fails or panics fails its own trials and harms no other.
    pub fn advance(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let mut waiting = Vec::new();
        let mut failed = self.each_lane(&mut waiting, emit, LaneRunner::split_diverging);
        let block = self.prepare_batches();
        failed |= self.each_lane(&mut waiting, emit, |runner, context| runner.train(block, context));
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

    /// Does something with every lane, and with those that fork off meanwhile and find room; the others go to `waiting`.
    /// Returns whether one failed.
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

    /// Makes the buffers anew: a panic may have left them in disorder.
    fn renew_work(&mut self, emit: &mut Emit<'_>) {
        let Some(runner) = self.lanes.first() else { return };
        let (model, device) = (&runner.lane.state.model, self.work.device.clone());
        match Work::new(&self.task, self.examples, model, device, self.shared.block) {
            Ok(work) => self.work = work,
            Err(error) => {
                let reason = error.to_string();
                self.lanes.drain(..).for_each(|mut runner| runner.fail(&reason, emit));
            }
        }
    }

    /// Evaluates at once all lanes with a rider whose evaluation is due after the last step.
    fn validate(&mut self, emit: &mut Emit<'_>) {
        let t = self.step - 1;
        let due = |runner: &LaneRunner| runner.evaluates_after(t);
        self.evaluate(due, Part::Valid, emit, |runner, valid, emit| runner.take_validation(t, valid, emit));
    }

    /// Emits the results of the riders whose run is over.
    fn end_finished(&mut self, emit: &mut Emit<'_>) {
        let step = self.step;
        let ends = |runner: &LaneRunner| runner.lane.riders.iter().any(|rider| rider.steps() <= step);
        // A stack of one run holds no other state any more; in others this would be one too many.
        if self.shared.width == 1 {
            self.last = self.lanes.iter().find(|runner| ends(runner)).map(|runner| runner.lane.trained());
        }
        self.evaluate(ends, Part::Test, emit, |runner, test, emit| runner.emit_results(step, test, emit));
    }

    /// Evaluates some lanes on a part, if it has examples, and hands each its evaluation. Lanes that can't be evaluated fail.
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

    /// Stops all its trials here.
    pub fn stop(self, emit: &mut Emit<'_>) {
        let outcome = Outcome::Stopped { steps: self.step };
        self.lanes.into_iter().for_each(|mut runner| runner.end(&outcome, emit));
    }
}

/// What the first lane of a stack needs before it starts.
fn prepare(
    task: &Task,
    seed: u64,
    examples: &Examples,
    shared: &Shared,
) -> Result<(Device, Batches), TrainError> {
    let device = shared.device.open()?;
    Ok((device, Batches::of(seed, network(task)?, examples)))
}
