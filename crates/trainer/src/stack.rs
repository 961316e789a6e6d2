//! A stack: lanes of one seed and task that one thread trains in lock-step. A batch is prepared once for
//! all of them, and so is each image that they are evaluated on. The bits of a lane do not depend on the
//! lanes beside it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spec::event::{Event, Final, Outcome};
use spec::share::Kin;
use spec::trial::Task;

use crate::batches::Batches;
use crate::branch::{Branch, Origin, Started};
use crate::checkpoint::{self, Content, Folder};
use crate::data::{Examples, Part};
use crate::device::Device;
use crate::evaluate::Evaluation;
use crate::lane::{Lane, Leave, Stepped};
use crate::model::Model;
use crate::rider::Riders;
use crate::run::{Trained, now};
use crate::state::{Census, RunState};
use crate::tell::{Emit, Teller};
use crate::work::{Work, network};
use crate::{BITS, TrainError};

/// Steps that pay for the way of a state to the cache and back.
pub const BLOCK: usize = 8;

/// What the stacks of a sweep share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where to train.
    pub device: Device,
    /// The most lanes of a stack, at least 1.
    pub width: usize,
    /// The most steps that a lane trains before the next lane's turn: its state stays in the cache meanwhile.
    pub block: usize,
    /// States in memory.
    pub census: Census,
    /// So many states may be in memory: forks beyond them go to `parking`.
    pub most_states: usize,
    /// For states that memory does not hold.
    pub parking: Option<Folder>,
    /// A trial that takes more time than this for its own training fails.
    pub time_limit: Option<Duration>,
    /// Number of the next stage.
    pub next_stage: Arc<AtomicU64>,
}

impl Shared {
    /// For one run alone: nothing forks.
    pub(crate) fn alone(device: Device) -> Self {
        let next_stage = Arc::new(AtomicU64::new(1));
        Self {
            device,
            width: 1,
            block: BLOCK,
            census: Census::default(),
            most_states: usize::MAX,
            parking: None,
            time_limit: None,
            next_stage,
        }
    }

    fn new_stage(&self) -> u64 {
        self.next_stage.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether memory holds another state.
    pub fn has_room(&self) -> bool {
        self.census.count() < self.most_states
    }
}

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
    lanes: Vec<Told>,
    /// What the run that ended last left.
    last: Option<Trained>,
}

/// A lane, and what its last step came to as far as that is not told yet.
struct Told {
    lane: Lane,
    teller: Teller,
    stepped: Option<Stepped>,
    valid: Option<Evaluation>,
    last_train_loss: f64,
    /// Time that its trials have taken for their training, as far as this process had them.
    spent: Duration,
}

impl<'a> Stack<'a> {
    /// Begins with one branch. `None` if its trials can't be trained, which is told then.
    pub fn new(
        branch: Branch,
        examples: &'a Examples,
        shared: &'a Shared,
        emit: &mut Emit<'_>,
    ) -> Option<Self> {
        let leader = branch.riders.leader()?;
        let (seed, task) = (leader.trial.seed, leader.trial.config.task.clone());
        let kin = branch.kin().cloned();
        let device = match shared.device.open() {
            Ok(device) => device,
            Err(error) => {
                branch.fail(&error.to_string(), emit);
                return None;
            }
        };
        let batches = match network(&task) {
            Ok(network) => Batches::of(seed, network, examples),
            Err(error) => {
                branch.fail(&error.to_string(), emit);
                return None;
            }
        };
        let mut first = match begin(branch, examples, &device, shared, emit) {
            Begun::Lane(told) => *told,
            // From the first step on there is no checkpoint to fail.
            Begun::Over(again) => match begin(*again, examples, &device, shared, emit) {
                Begun::Lane(told) => *told,
                Begun::Over(_) | Begun::Failed => return None,
            },
            Begun::Failed => return None,
        };
        match Work::new(&task, examples, &first.lane.state.model, device, shared.block) {
            Ok(work) => {
                let step = first.lane.state.step;
                Some(Self {
                    shared,
                    examples,
                    step,
                    seed,
                    kin,
                    batches,
                    task,
                    work,
                    lanes: vec![first],
                    last: None,
                })
            }
            Err(error) => {
                first.fail(&error.to_string(), emit);
                None
            }
        }
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

    /// Whether a branch can be added: there is room, and it sees the same batches with the same kind of model.
    pub fn takes(&self, branch: &Branch) -> bool {
        self.has_room() && branch.goes_with(self.step, self.seed, self.kin.as_ref())
    }

    /// Whether another lane finds room.
    fn has_room(&self) -> bool {
        self.lanes.len() < self.shared.width && self.shared.has_room()
    }

    /// Takes in a branch that it [`takes`](Stack::takes). Gives one back that has to start over.
    pub fn add(&mut self, branch: Branch, emit: &mut Emit<'_>) -> Option<Branch> {
        match begin(branch, self.examples, &self.work.device, self.shared, emit) {
            Begun::Lane(told) => self.lanes.push(*told),
            Begun::Over(again) => return Some(*again),
            Begun::Failed => {}
        }
        None
    }

    /// Gives about half of the lanes away, if there are two at least.
    pub fn halve(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let half = self.lanes.split_off(self.lanes.len().div_ceil(2));
        let give = |mut told: Told| {
            told.teller.flush(emit);
            let (Lane { state, riders, .. }, stage) = (told.lane, told.teller.stage());
            let mut branch = Branch::new(riders, state.step, Origin::Memory(Arc::new(state)), Some(stage));
            branch.spent = told.spent;
            branch
        };
        half.into_iter().map(give).collect()
    }

    /// Some steps of every lane, the same for all: up to where one of them is evaluated. Gives what has forked
    /// off and found no room; ended trials are told. A lane that fails or panics fails its own trials and
    /// harms no other.
    pub fn advance(&mut self, emit: &mut Emit<'_>) -> Vec<Branch> {
        let mut waiting = Vec::new();
        let mut failed =
            self.each_lane(&mut waiting, emit, |told, _, shared, forks, emit| told.part(shared, forks, emit));
        let block = self.prepare();
        let first = self.step;
        failed |= self.each_lane(&mut waiting, emit, |told, work, shared, forks, emit| {
            for at in 0..block {
                work.at = at;
                told.advance(work, shared, forks, emit)?;
                if at + 1 < block {
                    told.finish(first + at as u64, emit);
                }
                if told.lane.riders.len() == 0 {
                    break;
                }
            }
            Ok(())
        });
        self.step += block as u64;
        let t = self.step - 1;
        self.validate(t, emit);
        for told in &mut self.lanes {
            told.finish(t, emit);
        }
        self.end(emit);
        self.lanes.retain(|told| told.lane.riders.len() > 0);
        if failed {
            self.renew(emit);
        }
        waiting
    }

    /// Does something with every lane, and with those that fork off meanwhile and find room. Whether one
    /// failed, which is told.
    fn each_lane(
        &mut self,
        waiting: &mut Vec<Branch>,
        emit: &mut Emit<'_>,
        each: impl Fn(&mut Told, &mut Work, &Shared, &mut Vec<Branch>, &mut Emit<'_>) -> Result<(), TrainError>,
    ) -> bool {
        let mut failed = false;
        let mut forks = Vec::new();
        let mut i = 0;
        while let Some(told) = self.lanes.get_mut(i) {
            let (work, shared) = (&mut self.work, self.shared);
            let begun = Instant::now();
            let done = contained(|| each(told, work, shared, &mut forks, emit));
            told.spent += begun.elapsed();
            if let Err(reason) = done {
                failed = true;
                told.fail(&reason, emit);
            }
            for fork in &mut forks {
                fork.spent = told.spent;
            }
            if let Some(limit) = shared.time_limit.filter(|limit| told.spent > *limit) {
                told.teller.flush(emit);
                told.end_all(&Outcome::timed_out(limit), emit);
            }
            i += 1;
            for fork in forks.drain(..) {
                if self.has_room() && fork.step == self.step {
                    waiting.extend(self.add(fork, emit));
                } else {
                    waiting.push(fork);
                }
            }
        }
        failed
    }

    /// Prepares the batches of the next steps, and says how many.
    fn prepare(&mut self) -> usize {
        let most = self.work.batches.len();
        let block = self.lanes.iter().map(|told| told.lane.undisturbed(most)).min().unwrap_or(1).max(1);
        for (t, batch) in (self.step..).zip(&mut self.work.batches).take(block) {
            self.batches.gather(t, self.examples, batch);
        }
        block
    }

    /// A panic may have left the buffers in disorder.
    fn renew(&mut self, emit: &mut Emit<'_>) {
        let Some(told) = self.lanes.first() else { return };
        let (model, device) = (&told.lane.state.model, self.work.device.clone());
        match Work::new(&self.task, self.examples, model, device, self.shared.block) {
            Ok(work) => self.work = work,
            Err(error) => {
                let reason = error.to_string();
                self.lanes.drain(..).for_each(|mut told| told.fail(&reason, emit));
            }
        }
    }

    /// Evaluates the lanes of which a rider looks after step `t`, all at once.
    fn validate(&mut self, t: u64, emit: &mut Emit<'_>) {
        let looks = |told: &Told| told.looks(t);
        self.evaluate(looks, Part::Valid, emit, |told, valid, emit| told.validated(t, valid, emit));
    }

    /// Tells the results of the riders whose run is over.
    fn end(&mut self, emit: &mut Emit<'_>) {
        let step = self.step;
        let ends = |told: &Told| told.lane.riders.iter().any(|rider| rider.steps() <= step);
        // A stack of one run holds no other state any more; in others this would be one too many.
        if self.shared.width == 1 {
            self.last = self.lanes.iter().find(|told| ends(told)).map(|told| told.lane.trained());
        }
        self.evaluate(ends, Part::Test, emit, |told, test, emit| told.results(step, test, emit));
    }

    /// Evaluates some lanes on a part, if it has examples. Lanes that can't be evaluated fail.
    fn evaluate(
        &mut self,
        which: impl Fn(&Told) -> bool,
        part: Part,
        emit: &mut Emit<'_>,
        mut found: impl FnMut(&mut Told, Option<Evaluation>, &mut Emit<'_>),
    ) {
        if !self.lanes.iter().any(&which) {
            return;
        }
        if self.examples.is_empty(part) {
            return self.lanes.iter_mut().filter(|told| which(told)).for_each(|told| found(told, None, emit));
        }
        let models: Vec<Model> =
            self.lanes.iter().filter(|told| which(told)).map(|told| told.lane.eval_view()).collect();
        let (work, examples) = (&mut self.work, self.examples);
        let evaluations = contained(|| work.evaluate(&models, examples, part));
        let wanted = self.lanes.iter_mut().filter(|told| which(told));
        match evaluations {
            Ok(evaluations) => wanted.zip(evaluations).for_each(|(told, one)| found(told, Some(one), emit)),
            Err(reason) => wanted.for_each(|told| told.fail(&reason, emit)),
        }
    }

    /// Writes a checkpoint of every lane and tells of it. One that can't be written is a warning: the run
    /// itself is well, without it a kill would only cost more steps.
    pub fn checkpoint(&mut self, folder: &Folder, emit: &mut Emit<'_>) {
        for told in &mut self.lanes {
            let Lane { state, riders, .. } = &told.lane;
            match checkpoint::save(folder, &Content { state, riders }) {
                Ok(file) => {
                    // The rows first: a checkpoint counts only with every step before it.
                    told.teller.flush(emit);
                    let (trial_ids, step) = (riders.ids(), state.step);
                    emit(Event::Checkpoint { trial_ids, step, file, at: now() });
                }
                Err(error) => tracing::warn!("{} trials go on without a checkpoint: {error}", riders.len()),
            }
        }
    }

    /// Tells that all its trials are stopped here.
    pub fn stop(self, emit: &mut Emit<'_>) {
        let outcome = Outcome::Stopped { steps: self.step };
        for mut told in self.lanes {
            told.teller.flush(emit);
            told.end_all(&outcome, emit);
        }
    }
}

impl Branch {
    /// Tells that its trials can't be trained, and why.
    pub fn fail(self, reason: &str, emit: &mut Emit<'_>) {
        ended(self.riders.ids(), &Outcome::Failed { reason: reason.to_owned() }, emit);
    }

    /// Tells that its trials are stopped before they go on.
    pub fn stop(self, emit: &mut Emit<'_>) {
        if self.stage.is_some() {
            ended(self.riders.ids(), &Outcome::Stopped { steps: self.step }, emit);
        }
    }
}

/// What came of [`begin`].
enum Begun {
    Lane(Box<Told>),
    /// It goes on from the first step.
    Over(Box<Branch>),
    /// Which is told.
    Failed,
}

/// Starts a branch as a lane.
fn begin(
    branch: Branch,
    examples: &Examples,
    device: &candle_core::Device,
    shared: &Shared,
    emit: &mut Emit<'_>,
) -> Begun {
    let (trial_ids, stage, spent) = (branch.riders.ids(), branch.stage, branch.spent);
    match contained(|| branch.start(examples, device, &shared.census)) {
        Ok(Started::Lane(lane)) => {
            let step = lane.state.step;
            let stage = stage.unwrap_or_else(|| {
                emit(Event::Started { trial_ids: trial_ids.clone(), step, bits: Some(BITS), at: now() });
                let stage = shared.new_stage();
                emit(Event::Stage { stage, first: step, trial_ids });
                stage
            });
            Begun::Lane(Box::new(Told {
                lane,
                teller: Teller::new(stage),
                stepped: None,
                valid: None,
                last_train_loss: f64::NAN,
                spent,
            }))
        }
        Ok(Started::Over(again)) => Begun::Over(Box::new(again)),
        Err(reason) => {
            ended(trial_ids, &Outcome::Failed { reason }, emit);
            Begun::Failed
        }
    }
}

impl Told {
    /// Riders that go another way from this step on become branches.
    fn part(
        &mut self,
        shared: &Shared,
        forks: &mut Vec<Branch>,
        emit: &mut Emit<'_>,
    ) -> Result<(), TrainError> {
        self.forking(shared, forks, emit, |lane, leave| lane.part(leave))
    }

    /// One update; riders that leave before it become branches.
    fn advance(
        &mut self,
        work: &mut Work,
        shared: &Shared,
        forks: &mut Vec<Branch>,
        emit: &mut Emit<'_>,
    ) -> Result<(), TrainError> {
        (self.stepped, self.valid) = (None, None);
        fault::point("train.step").map_err(TrainError::Fault)?;
        let stepped = self.forking(shared, forks, emit, |lane, leave| lane.advance(work, leave))?;
        self.stepped = Some(stepped);
        Ok(())
    }

    /// Does something with the lane; riders that leave it become branches.
    fn forking<T>(
        &mut self,
        shared: &Shared,
        forks: &mut Vec<Branch>,
        emit: &mut Emit<'_>,
        f: impl FnOnce(&mut Lane, &mut Leave<'_>) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let mut copied: Option<Arc<RunState>> = None;
        let Self { lane, teller, .. } = self;
        f(lane, &mut |state, riders| {
            let origin = match origin(state, &riders, shared, &mut copied) {
                Ok(origin) => origin,
                Err(error) => {
                    // The riders have left the lane: where they can't go on, that is theirs to be told.
                    ended(riders.ids(), &Outcome::Failed { reason: error.to_string() }, emit);
                    return Err(error);
                }
            };
            let (trial_ids, step, stage) = (riders.ids(), state.step, shared.new_stage());
            // What the fork builds on comes first. All of it is told before anything else can fail.
            teller.flush(emit);
            emit(Event::Stage { stage, first: step, trial_ids: trial_ids.clone() });
            if let Origin::Parked(_, file) = &origin {
                emit(Event::Checkpoint { trial_ids, step, file: file.clone(), at: now() });
            }
            forks.push(Branch::new(riders, step, origin, Some(stage)));
            fault::point("fork.after").map_err(TrainError::Fault)
        })
    }

    /// Whether a rider looks at the validation set after step `t`.
    fn looks(&self, t: u64) -> bool {
        self.stepped.as_ref().is_some_and(|stepped| stepped.diverged.is_none())
            && self.lane.evaluates_after(t)
    }

    /// Takes in the evaluation after step `t`. A rule that needs an accuracy can't go on without one, which only a task of
    /// the user's own can turn out not to have.
    fn validated(&mut self, t: u64, valid: Option<Evaluation>, emit: &mut Emit<'_>) {
        self.valid = valid;
        if valid.is_some_and(|valid| valid.accuracy.is_some()) {
            return;
        }
        let blind = self.lane.take(|rider| rider.wants_accuracy(t));
        let reason = "the schedule watches `valid_accuracy`, and the task has evaluated without an accuracy"
            .to_owned();
        ended(blind.ids(), &Outcome::GivenUp { reason }, emit);
    }

    /// Ends step `t` for rules and events.
    fn finish(&mut self, t: u64, emit: &mut Emit<'_>) {
        let Some(Stepped { row, diverged }) = self.stepped.take() else { return };
        let digest = |lane: &Lane| lane.state.digest.hex();
        if let Some(loss) = diverged {
            self.teller.step(row, Vec::new());
            self.teller.flush(emit);
            let outcome = Outcome::Diverged { at: t, loss, digest: digest(&self.lane) };
            return self.end_all(&outcome, emit);
        }
        let (seen, out) = self.lane.finish(t, row.train_loss, self.valid);
        self.last_train_loss = row.train_loss;
        self.teller.step(row, seen);
        self.teller.tell(emit);
        if let (Some(valid), true) = (self.valid, out.len() > 0) {
            self.teller.flush(emit);
            let outcome = Outcome::Diverged { at: t, loss: valid.loss, digest: digest(&self.lane) };
            ended(out.ids(), &outcome, emit);
        }
    }

    /// Takes out the riders whose run is over, and tells what came of it.
    fn results(&mut self, step: u64, test: Option<Evaluation>, emit: &mut Emit<'_>) {
        let weights = contained(|| self.lane.weights_hash());
        let (Ok(weights_hash), Some(valid)) = (&weights, self.valid) else {
            let reason = weights.err().unwrap_or_else(|| "its validation is missing".to_owned());
            return self.fail(&reason, emit);
        };
        let outcome = Outcome::Done(Final {
            train_loss: self.last_train_loss,
            valid_loss: valid.loss,
            valid_accuracy: valid.accuracy,
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.and_then(|test| test.accuracy),
            digest: self.lane.state.digest.hex(),
            weights_hash: Some(weights_hash.clone()),
        });
        self.teller.flush(emit);
        ended(self.lane.take(|rider| rider.steps() <= step).ids(), &outcome, emit);
    }

    /// All riders failed, for this reason.
    fn fail(&mut self, reason: &str, emit: &mut Emit<'_>) {
        self.teller.flush(emit);
        self.end_all(&Outcome::Failed { reason: reason.to_owned() }, emit);
    }

    /// Tells an outcome of all riders; none is left.
    fn end_all(&mut self, outcome: &Outcome, emit: &mut Emit<'_>) {
        self.stepped = None;
        ended(std::mem::take(&mut self.lane.riders).ids(), outcome, emit);
    }
}

/// Where riders that leave a lane find its state.
fn origin(
    state: &RunState,
    riders: &Riders,
    shared: &Shared,
    copied: &mut Option<Arc<RunState>>,
) -> Result<Origin, TrainError> {
    fault::point("fork.before").map_err(TrainError::Fault)?;
    Ok(match (&copied, &shared.parking) {
        // The initial state is made anew as cheaply as it is copied.
        _ if state.step == 0 => Origin::Start,
        (Some(copied), _) => Origin::Memory(Arc::clone(copied)),
        (None, Some(folder)) if !shared.has_room() => {
            let file = checkpoint::save(folder, &Content { state, riders })?;
            Origin::Parked(folder.dir.clone(), file)
        }
        _ => {
            let copy = Arc::new(state.copy()?);
            *copied = Some(Arc::clone(&copy));
            Origin::Memory(copy)
        }
    })
}

fn ended(trial_ids: Vec<String>, outcome: &Outcome, emit: &mut Emit<'_>) {
    for trial_id in trial_ids {
        emit(Event::Ended { trial_id, outcome: outcome.clone(), at: now() });
    }
}

/// Runs `f`; an error or a panic is a reason.
fn contained<T>(f: impl FnOnce() -> Result<T, TrainError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("panic: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
