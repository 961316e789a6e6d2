//! Runs whole sweeps through the library.

use std::num::NonZeroUsize;
use std::time::Duration;

use sweep::plan::{self, Aim};
use sweep::ranked::{RankBy, ranked_sweep};
use sweep::rounds::Decision;
use sweep::{Context, Error, Event, Options, Stop, Summary, Training, train, wait_for};
use trainer::custom::Tasks;
use trainer::device::Device;
use verdict::results::RunResult;

/// The best lr of this grid is its highest one, so the grid is extended. Then the tuning seeds choose configs, and
/// new seeds decide.
const SWEEP: &str = "
name: valley
task: {kind: quadratic, dimensions: 4, noise: 0.1}
optimizer: {kind: sgd}
budget: {steps: 20}
seeds: {tune: 2, decide: 3}
lr: {values: [0.001, 0.003]}
schedules: {constant: {kind: constant}, cosine: {kind: cosine}}
";

fn context(folder: &std::path::Path) -> Context {
    let store = store::Location::parse(folder.join("runs").into_os_string());
    Context { store, data_dir: None, tasks: Tasks::new(), job: None }
}

fn options(context: &Context) -> Options {
    Options {
        workers: 1,
        lanes: NonZeroUsize::MIN,
        share: true,
        memory: None,
        device: Device::Cpu,
        checkpoint_every: Duration::from_secs(30),
        checkpoints: context.store.checkpoints(None),
        trials: context.store.trials(None),
        lease: Duration::from_secs(30),
        retries: 0,
        time_limit: None,
        with_failed: true,
        verify_fraction: 0.0,
    }
}

/// Runs the sweep; `each` receives every event and may stop it.
fn run(context: &Context, each: &mut dyn FnMut(&Event<'_>, &Stop)) -> Summary {
    let (spec, plan) = plan::of_text(SWEEP, "sweep", Aim::Train, context).expect("no mistake in the file");
    let options = options(context);
    let stop = Stop::default();
    let training = Training { context, options: &options, stop: &stop };
    let mut observe = |event: Event<'_>| each(&event, &stop);
    wait_for(train::run(&training, (&spec, plan), None, &mut observe)).expect("it is trained")
}

#[test]
fn decisions_and_trials_are_reported_in_order_and_ranked() {
    let folder = tempfile::tempdir().expect("a folder");
    let context = context(folder.path());
    let mut log = Vec::new();
    let summary = run(&context, &mut |event, _| match event {
        Event::Decided(Decision::Extended { extension, .. }) => {
            log.push(format!("{} extended", extension.added.schedule));
        }
        Event::Decided(Decision::Chosen { configs, deciding_seeds, .. }) => {
            log.push(format!("{} chosen for {deciding_seeds} seeds", configs.len()));
        }
        Event::RoundStarted(round) => log.push(format!("round of {}", round.missing.len())),
        Event::RoundEnded => log.push("round ended".to_owned()),
        _ => {}
    });
    assert_eq!(log.first().map(String::as_str), Some("round of 8"));
    assert!(log.iter().any(|line| line == "constant extended"), "{log:?}");
    let last: Vec<&str> = log.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(last, ["2 chosen for 3 seeds", "round of 6", "round ended"]);
    let (name, ranked) = wait_for(ranked_sweep(None, &RankBy::default(), &context)).expect("a ranking");
    assert_eq!((name.as_str(), ranked.results.len()), ("valley", summary.done));
    assert_eq!(ranked.ranking.lines.len(), 2);
    // The same call again trains nothing and reports so.
    let mut again = Vec::new();
    let summary = run(&context, &mut |event, _| {
        if let Event::RoundStarted(round) = event {
            again.push((round.missing.len(), round.ended));
        }
    });
    assert_eq!((summary, again), (Summary::default(), vec![(0, ranked.results.len())]));
}

#[test]
fn a_stopped_sweep_resumes_and_gives_the_same_results() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [full, stopped] = folders.each_ref().map(|folder| context(folder.path()));
    run(&full, &mut |_, _| {});
    let mut rounds = 0;
    let first = run(&stopped, &mut |event, stop| {
        if matches!(event, Event::RoundStarted(_)) {
            rounds += 1;
            // Before the second round has trained anything: trials are short, and a later stop may come too late.
            (rounds == 2).then(|| stop.request());
        }
    });
    assert!(first.stopped > 0 && first.done == 8, "{first:?}");
    run(&stopped, &mut |_, _| {});
    let digests = |context: &Context| {
        let (_, ranked) = wait_for(ranked_sweep(None, &RankBy::default(), context)).expect("a ranking");
        let value = |run: &RunResult| (run.trial.trial_id.clone(), run.value().map(f64::to_bits));
        let mut rows: Vec<_> = ranked.results.iter().map(value).collect();
        rows.sort();
        rows
    };
    assert_eq!(digests(&full), digests(&stopped));
}

#[test]
fn mistakes_have_positions() {
    let folder = tempfile::tempdir().expect("a folder");
    let context = context(folder.path());
    let file = folder.path().join("wrong.yaml");
    std::fs::write(&file, SWEEP.replace("kind: cosine", "kind: cosin")).expect("a file");
    let Err(Error::Problems { problems, .. }) = plan::of_file(&file, Aim::Train, &context) else {
        panic!("the file is wrong");
    };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].place.line, 8);
    let missing = plan::of_file(&folder.path().join("nope.yaml"), Aim::LookUp, &context);
    assert!(matches!(missing, Err(Error::NoFile { .. })));
    let none = wait_for(ranked_sweep(None, &RankBy::default(), &context));
    assert!(matches!(none, Err(Error::Usage(_))), "there is no store yet");
}
