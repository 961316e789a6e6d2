//! All workers train as long as there are lanes for them. The steps of the test's task wait for each other instead of taking long:
//! the n-th step of a worker ends only once every worker has begun its n-th.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};
use store::Location;
use sweep::plan::{self, Aim};
use sweep::{Context, Options, Stop, Training, train, wait_for};
use trainer::custom::{Evaluation, Part, Picked, Task, Tasks};

/// How long a step waits before it fails: only reached if a worker gets no lane.
const PATIENCE: Duration = Duration::from_secs(20);

/// Number of steps that each worker has begun together with the others.
#[derive(Default)]
struct Meeting {
    /// Steps before a second lane exists, which need not wait.
    before: usize,
    begun: BTreeMap<String, usize>,
}

#[derive(Clone)]
struct Slow {
    workers: usize,
    meeting: Arc<(Mutex<Meeting>, Condvar)>,
}

impl Slow {
    fn new(workers: usize, before: usize) -> Self {
        let meeting = Meeting { before, begun: BTreeMap::new() };
        Self { workers, meeting: Arc::new((Mutex::new(meeting), Condvar::new())) }
    }

    /// Waits until every worker has begun as many steps as this one.
    fn step(&self) -> Result<()> {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let (meeting, changed) = &*self.meeting;
        let mut now = meeting.lock().expect("no panic");
        if !thread.starts_with("worker-") {
            // The trial step before a sweep.
            return Ok(());
        }
        if now.before > 0 {
            now.before -= 1;
            return Ok(());
        }
        let own = now.begun.entry(thread).or_default();
        *own += 1;
        let own = *own;
        changed.notify_all();
        let behind = |now: &mut Meeting| {
            now.begun.len() < self.workers || now.begun.values().any(|steps| *steps < own)
        };
        let waited = changed.wait_timeout_while(now, PATIENCE, behind).expect("no panic").1.timed_out();
        if waited { candle_core::bail!("a worker has nothing to do") } else { Ok(()) }
    }
}

impl Task for Slow {
    type Model = Linear;

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn model(&self, vb: VarBuilder<'static>) -> Result<Linear> {
        linear(3, 1, vb.pp("fc"))
    }

    fn len(&self, part: Part) -> usize {
        if part == Part::Test { 0 } else { 4 }
    }

    fn batch_size(&self) -> usize {
        2
    }

    fn loss(&self, fc: &Linear, batch: &Picked) -> Result<Tensor> {
        self.step()?;
        fc.forward(&Tensor::ones((batch.examples.len(), 3), DType::F32, &Device::Cpu)?)?.sqr()?.mean_all()
    }

    fn evaluate(&self, _: &Linear, _: Part) -> Result<Evaluation> {
        Ok(Evaluation { loss: 0.0, accuracy: None })
    }
}

/// Trains these schedules for 12 steps with one seed. Returns the number of steps that each worker trained together with the others.
fn train(schedules: &str, share: bool, task: Slow) -> Vec<usize> {
    let folder = tempfile::tempdir().expect("a folder");
    let (workers, meeting) = (task.workers, Arc::clone(&task.meeting));
    let tasks = Tasks::new().with("slow", move |_| Ok::<_, String>(task.clone()));
    let store = Location::parse(folder.path().join("runs").into_os_string());
    let context = Context { store, data_dir: None, tasks, job: None };
    let text = format!(
        "task: {{kind: slow}}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 12}}\nseeds: 1\nlr: 0.01\nschedules: {{{schedules}}}\n"
    );
    let (spec, plan) = plan::of_text(&text, "slow", Aim::Train, &context).expect("no mistake in the file");
    let options = Options {
        workers,
        lanes: NonZeroUsize::new(8).expect("above 0"),
        share,
        memory: None,
        device: trainer::device::Device::Cpu,
        checkpoint_every: Duration::from_secs(30),
        checkpoints: context.store.checkpoints(None),
        trials: context.store.trials(None),
        lease: Duration::from_secs(300),
        retries: 0,
        time_limit: None,
        with_failed: true,
        verify_fraction: 0.0,
    };
    let stop = Stop::default();
    let training = Training { context: &context, options: &options, stop: &stop };
    let trained = wait_for(train::run(&training, (&spec, plan), None, &mut |_| {})).expect("it is trained");
    assert_eq!((trained.failed, trained.diverged), (0, 0));
    meeting.0.lock().expect("no panic").begun.values().copied().collect()
}

/// Four schedules with different lrs from the first step on.
const FOUR: &str = "a: {kind: constant}, b: {kind: linear, from: 0.2x, to: 1x}, c: {kind: linear, from: 0.3x, to: 1x}, \
                    d: {kind: linear, from: 0.4x, to: 1x}";

#[test]
fn the_first_worker_leaves_lanes_for_the_others() {
    assert_eq!(train(FOUR, false, Slow::new(2, 0)), [24, 24]);
    assert_eq!(train(FOUR, false, Slow::new(4, 0)), [12; 4]);
}

/// The trials share 4 steps, then one lane becomes several.
#[test]
fn lanes_for_waiting_workers_reach_them() {
    let at_4 = |gammas: &[f64]| -> String {
        let step = |(i, gamma): (usize, &f64)| format!("s{i}: {{kind: step, every: 4, gamma: {gamma}}}");
        gammas.iter().enumerate().map(step).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(train(&at_4(&[1.0, 0.5]), true, Slow::new(2, 4)), [8, 8]);
    assert_eq!(train(&at_4(&[1.0, 0.5, 0.25, 0.125]), true, Slow::new(2, 4)), [16, 16]);
    assert_eq!(train(&at_4(&[1.0, 0.5, 0.25, 0.125]), true, Slow::new(4, 4)), [8; 4]);
}
