//! Ten thousand workers against one server, by a clock of their own: what they would ask of it in so many seconds is asked as
//! fast as it answers. Not run by default:
//! `cargo test --release -p sweep-store --lib simulation -- --ignored --nocapture`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use spec::event::{Event, Final, Outcome, StepRow};

use crate::runner::Runner;
use crate::{Attention, Environment, Location, Store};

const WORKERS: usize = 10_000;
/// Connections that ask at the same time.
const CONNECTIONS: usize = 32;
/// Of the lease of 300 s: between two batches of a worker.
const EVERY: u64 = 10_000;
/// Milliseconds that a trial takes.
const TRIAL: u64 = 20_000;
/// Stage groups that a claim asks for: a worker of one thread and eight lanes.
const GROUPS: usize = 16;

/// A worker, in milliseconds of its own clock.
struct Worker {
    runner: Runner,
    trials: VecDeque<String>,
    /// When the trial that it trains ends.
    ends: u64,
    stage: u64,
}

#[derive(Default)]
struct Seen {
    calls: BTreeMap<&'static str, (u64, Duration)>,
    claims_in_vain: u64,
    trained: HashSet<String>,
    twice: u64,
    clock: u64,
}

fn steps(stage: u64) -> Event {
    let row = |step| StepRow { step, lr: 0.1, train_loss: 1.0, grad_norm: 1.0 };
    Event::Steps { stage, rows: (0..5).map(row).collect(), evaluated: Vec::new() }
}

fn done() -> Outcome {
    Outcome::Done(Final {
        train_loss: 1.0,
        valid_loss: 1.0,
        valid_accuracy: Some(0.5),
        test_loss: Some(1.0),
        test_accuracy: Some(0.5),
        digest: "d".repeat(64),
        weights_hash: Some("e".repeat(64)),
    })
}

#[test]
#[ignore = "takes minutes, and is a measurement"]
fn ten_thousand_workers() {
    let server = pgtest::shared();
    let url = server.database();
    let location = Location::parse(url.clone().into());
    let wait = |future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future);
    };
    let text = "{name: x, data: {dataset: digits, batch_size: 50}, model: {kind: mlp, hidden: [8]}, \
         optimizer: {kind: sgd}, budget: {steps: 5}, seeds: 8, lr: {logspace: [1e-4, 1, 2500]}, extend: false, schedules: \
         {a: {kind: constant}, b: {kind: linear, to: 0}, c: {kind: cosine, to: 0}, d: {kind: step, every: 2, gamma: 0.5}, \
         e: {kind: linear, to: 0.5x}}}";
    let spec = trainer::read(text, "x").expect("a good sweep file");
    let plan = spec::plan(&spec).expect("a plan");
    let begun = Instant::now();
    {
        let (location, plan) = (location.clone(), plan.clone());
        wait(Box::pin(async move {
            let mut store = Store::open(&location).await.expect("a store");
            store.register(&plan, false).await.expect("registered");
            store.environment(&Environment::default()).await.expect("a number");
            store.close().await.expect("closed");
        }));
    }
    println!("{} trials registered in {:.1} s", plan.trials.len(), begun.elapsed().as_secs_f64());
    server.sql(
        pgtest::Server::name(&url),
        &format!(
            "INSERT INTO runners (host, pid, started_at, seen_at, lease_ms, workers, sweep)
             SELECT 'h', g, 0, (extract(epoch FROM now()) * 1000)::bigint, 3600000, 1, 'x' FROM generate_series(1, {WORKERS}) AS g;
             ANALYZE runners"
        ),
    );
    let worker = |i: usize| Worker {
        runner: Runner { id: 2 + i as i64, host: "h".to_owned() },
        trials: VecDeque::new(),
        ends: 0,
        stage: (2 + i as u64) << 24,
    };
    let workers: Vec<Mutex<Option<Worker>>> = (0..WORKERS).map(|i| Mutex::new(Some(worker(i)))).collect();
    // They come within the first interval.
    let clock: BinaryHeap<Reverse<(u64, usize)>> =
        (0..WORKERS).map(|i| Reverse((i as u64 * EVERY / WORKERS as u64, i))).collect();
    let (clock, seen) = (Mutex::new(clock), Mutex::new(Seen::default()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(run(&location, &workers, &clock, &seen));
            });
        }
    });
    let took = begun.elapsed().as_secs_f64();
    let seen = seen.into_inner().expect("no panic");
    let virtual_seconds = seen.clock as f64 / 1e3;
    println!(
        "{WORKERS} workers, {virtual_seconds:.0} s of theirs, took the server {took:.0} s with {CONNECTIONS} connections"
    );
    for (name, (calls, time)) in &seen.calls {
        println!(
            "  {name:<6} {calls:>7} calls, {:>5.0} a second of theirs, {:.2} ms each",
            *calls as f64 / virtual_seconds,
            time.as_secs_f64() * 1e3 / *calls as f64
        );
    }
    println!("  claims that found nothing while others were left: {}", seen.claims_in_vain);
    println!("  trials trained: {}, twice: {}", seen.trained.len(), seen.twice);
    assert_eq!((seen.trained.len(), seen.twice), (plan.trials.len(), 0));
}

/// One connection, which speaks for whoever is next.
async fn run(
    location: &Location,
    workers: &[Mutex<Option<Worker>>],
    clock: &Mutex<BinaryHeap<Reverse<(u64, usize)>>>,
    seen: &Mutex<Seen>,
) {
    let mut store = Store::open(location).await.expect("a store");
    let own = store.writer.runner.clone();
    loop {
        let Some(Reverse((now, i))) = clock.lock().expect("no panic").pop() else { break };
        let mut worker = workers[i].lock().expect("no panic").take().expect("nobody else has it");
        store.writer.runner = worker.runner.clone();
        let begun = Instant::now();
        let called = |name, begun: Instant, vain: bool, trained: Vec<String>| {
            let mut seen = seen.lock().expect("no panic");
            let call = seen.calls.entry(name).or_default();
            *call = (call.0 + 1, call.1 + begun.elapsed());
            seen.claims_in_vain += u64::from(vain);
            seen.clock = seen.clock.max(now);
            for trial in trained {
                let new = seen.trained.insert(trial);
                seen.twice += u64::from(!new);
            }
        };
        if worker.trials.is_empty() {
            let tended = store.tend("x", Attention::Waiting).await.expect("tended");
            called("tend", begun, false, Vec::new());
            if !tended.left {
                continue;
            }
            let begun = Instant::now();
            let claimed = store.claim("x", false, GROUPS).await.expect("claimed");
            called("claim", begun, claimed.is_empty(), Vec::new());
            worker.trials = claimed.into_iter().map(|trial| trial.trial_id).collect();
            worker.ends = now + TRIAL;
        } else {
            let (mut batch, mut trained) = (Vec::new(), Vec::new());
            while worker.ends <= now {
                let Some(trial_id) = worker.trials.pop_front() else { break };
                let (trial_ids, stage) = (vec![trial_id.clone()], worker.stage);
                worker.stage += 1;
                worker.ends += TRIAL;
                batch.push(Event::Started { trial_ids: trial_ids.clone(), step: 0, bits: Some(1), at: 1 });
                batch.push(Event::Stage { stage, first: 0, trial_ids });
                batch.push(steps(stage));
                batch.push(Event::Ended { trial_id: trial_id.clone(), outcome: done(), at: 2 });
                trained.push(trial_id);
            }
            let name = if batch.is_empty() { "tend" } else { "write" };
            if batch.is_empty() {
                store.tend("x", Attention::Busy).await.expect("tended");
            } else {
                store.write(&batch, 1).await.expect("written");
            }
            called(name, begun, false, trained);
        }
        *workers[i].lock().expect("no panic") = Some(worker);
        clock.lock().expect("no panic").push(Reverse((now + EVERY, i)));
    }
    store.writer.runner = own;
    store.close().await.expect("closed");
}
