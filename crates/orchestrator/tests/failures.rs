//! A failed trial is stored with its reason, does not affect others, and is retried by the next run.

#![expect(clippy::expect_used, clippy::panic, reason = "a failed expectation fails the test")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use orchestrator::{Loaded, Missing, Observation, Options, Stop, Summary, Work};
use spec::event::{Event, Outcome};
use store::{Reader, Status, Store};
use trainer::device::Device;

/// Four trials: two data sets, two seeds.
const FILE: &str = "
name: two
data: {dataset: digits, batch_size: 10, limit: {values: [100, 200]}}
model: {kind: mlp, hidden: []}
optimizer: {kind: sgd}
budget: {steps: 10}
seeds: 2
lr: 0.1
schedules: {constant: {kind: constant}}
";

fn options(workers: usize, dir: &Path) -> Options {
    Options {
        workers,
        lanes: NonZeroUsize::MIN,
        share: true,
        memory: None,
        device: Device::Cpu,
        checkpoint_every: Duration::from_secs(60),
        checkpoints: dir.join("checkpoints"),
        trials: dir.join("trials"),
        lease: Duration::from_secs(30),
        retries: 0,
        time_limit: None,
        with_failed: true,
        verify_fraction: 0.0,
    }
}

async fn train(store: &mut Store, dir: &Path, images: Loaded) -> (Summary, Vec<Event>) {
    let plan = trainer::read(FILE, "two").and_then(|spec| spec::plan(&spec)).expect("a good file");
    let missing = orchestrator::register(&plan, store, false).await.expect("the store takes it");
    let options = options(2, dir);
    let mut events = Vec::new();
    let observe = |seen: Observation<'_>| match seen {
        Observation::Event(event) => events.push(event.clone()),
        Observation::EndedElsewhere(trials) => assert_eq!(trials, 0),
        Observation::SharingChecked(_) => panic!("no program shares steps"),
    };
    let trained =
        orchestrator::train("two", work(missing, images), store, &options, &Stop::default(), observe).await;
    (trained.expect("trained"), events)
}

fn work(missing: Vec<Missing>, loaded: Loaded) -> Work {
    Work { missing, loaded, check: None }
}

/// Loads the data of the trials with this limit, or of all.
fn load(all: &[Missing], limit: Option<usize>) -> Loaded {
    let trials = all.iter().map(|missing| &missing.trial);
    let some = trials.filter(|trial| {
        limit.is_none()
            || trial
                .config
                .task
                .network()
                .is_some_and(|network| network.data.as_ref().is_some_and(|data| data.limit == limit))
    });
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let sources = orchestrator::DataSources { data_dir: Some(&data), tasks: &trainer::custom::Tasks::new() };
    orchestrator::load(some, sources).expect("the data is in the repository")
}

#[tokio::test]
async fn a_failed_trial_does_not_affect_others_and_is_retried() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).await.expect("a store");
    let plan = trainer::read(FILE, "two").and_then(|spec| spec::plan(&spec)).expect("a good file");
    let all = orchestrator::register(&plan, &mut store, false).await.expect("the store takes it");
    assert_eq!(all.len(), 4);

    let (summary, events) = train(&mut store, dir.path(), load(&all, Some(100))).await;
    assert_eq!(summary, Summary { done: 2, failed: 2, ..Summary::default() });
    let failed = events.iter().filter(|event| {
        matches!(event, Event::Ended { outcome: Outcome::Failed { reason }, .. } if reason.contains("not loaded"))
    });
    assert_eq!(failed.count(), 2);
    let mut reader = Reader::open(dir.path()).await.expect("a store to read");
    let states =
        |rows: Vec<store::TrialRecord>| rows.iter().filter(|row| row.status == Status::Failed).count();
    assert_eq!(states(reader.results("two").await.expect("rows")), 2);

    let (summary, _) = train(&mut store, dir.path(), load(&all, None)).await;
    assert_eq!((summary.done, summary.failed), (2, 0));
    assert_eq!(states(reader.results("two").await.expect("rows")), 0);
}

#[tokio::test]
async fn a_stop_before_the_start_leaves_all_trials_for_the_next_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).await.expect("a store");
    let plan = trainer::read(FILE, "two").and_then(|spec| spec::plan(&spec)).expect("a good file");
    let all = orchestrator::register(&plan, &mut store, false).await.expect("the store takes it");
    let images = load(&all, None);
    let stop = Stop::default();
    stop.request();
    let options = options(1, dir.path());
    let summary = orchestrator::train("two", work(all, images), &mut store, &options, &stop, |_| {})
        .await
        .expect("it ends");
    assert_eq!(summary, Summary { stopped: 4, ..Summary::default() });
    assert_eq!(orchestrator::register(&plan, &mut store, false).await.expect("rows").len(), 4);
}
