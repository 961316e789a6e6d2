//! Ten thousand simulated workers on one server: sends the statements of N seconds of their work as fast as the
//! server answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{begin, end, registered, steps};
use crate::runner::Runner;
use crate::{Activity, Location, Store};

const WORKERS: usize = 10_000;
/// Number of simultaneous connections.
const CONNECTIONS: usize = 32;
/// Milliseconds between two batches of a worker: a fraction of its lease of 300 s.
const EVERY: u64 = 10_000;
/// Milliseconds that a trial takes.
const TRIAL: u64 = 20_000;
/// Stage groups per claim: those of a worker with one thread and eight lanes.
const GROUPS: usize = 16;

/// A worker. Its times are milliseconds of the simulated clock.
struct Worker {
    runner: Runner,
    trials: VecDeque<String>,
    /// When its current trial ends.
    ends: u64,
    stage: u64,
}

#[derive(Default)]
struct Statistics {
    calls: BTreeMap<&'static str, (u64, Duration)>,
    empty_claims: u64,
    trained: HashSet<String>,
    twice: u64,
    clock: u64,
}

impl Statistics {
    fn print(&self, took: f64) {
        let seconds = self.clock as f64 / 1e3;
        println!(
            "{seconds:.0} s of {WORKERS} workers took the server {took:.0} s with {CONNECTIONS} connections"
        );
        for (name, (calls, time)) in &self.calls {
            println!(
                "  {name:<6} {calls:>7} calls, {:>5.0} per simulated second, {:.2} ms each",
                *calls as f64 / seconds,
                time.as_secs_f64() * 1e3 / *calls as f64
            );
        }
        println!("  claims without a result while trials were left: {}", self.empty_claims);
        println!("  trials trained: {}, twice: {}", self.trained.len(), self.twice);
    }
}

/// The state that all connections share.
struct Shared {
    location: Location,
    workers: Vec<Mutex<Option<Worker>>>,
    /// When each worker sends its next statements.
    clock: Mutex<BinaryHeap<Reverse<(u64, usize)>>>,
    statistics: Mutex<Statistics>,
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
#[ignore = "a measurement that takes minutes"]
fn ten_thousand_workers() {
    let server = pgtest::shared();
    let url = server.database();
    let location = Location::parse(url.clone().into());
    let text = "budget: {steps: 5}, seeds: 8, lr: {logspace: [1e-4, 1, 2500]}, extend: false, schedules: \
         {a: {kind: constant}, b: {kind: linear, to: 0}, c: {kind: cosine, to: 0}, d: {kind: step, every: 2, gamma: 0.5}, \
         e: {kind: linear, to: 0.5x}}";
    let begun = Instant::now();
    let trials = wait(async {
        let (store, plan, _) = registered(&location, text).await;
        store.close().await.expect("closed");
        plan.trials.len()
    });
    println!("{trials} trials registered in {:.1} s", begun.elapsed().as_secs_f64());
    server.sql(
        pgtest::Server::database_name(&url),
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
    // All workers start within the first interval.
    let clock = (0..WORKERS).map(|i| Reverse((i as u64 * EVERY / WORKERS as u64, i)));
    let shared = Shared {
        location,
        workers: (0..WORKERS).map(|i| Mutex::new(Some(worker(i)))).collect(),
        clock: Mutex::new(clock.collect()),
        statistics: Mutex::default(),
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| wait(run(&shared)));
        }
    });
    let statistics = shared.statistics.into_inner().expect("no panic");
    statistics.print(begun.elapsed().as_secs_f64());
    assert_eq!((statistics.trained.len(), statistics.twice), (trials, 0));
}

/// One connection, which sends the statements of the worker that is next.
async fn run(shared: &Shared) {
    let mut store = Store::open(&shared.location).await.expect("a store");
    let own = store.writer.runner.clone();
    loop {
        let Some(Reverse((now, i))) = shared.clock.lock().expect("no panic").pop() else { break };
        let mut worker = shared.workers[i].lock().expect("no panic").take().expect("nobody else has it");
        store.writer.runner = worker.runner.clone();
        if worker.advance(&mut store, now, &shared.statistics).await {
            *shared.workers[i].lock().expect("no panic") = Some(worker);
            shared.clock.lock().expect("no panic").push(Reverse((now + EVERY, i)));
        }
    }
    store.writer.runner = own;
    store.close().await.expect("closed");
}

impl Worker {
    /// Sends the statements that are due. Returns whether the worker continues.
    async fn advance(&mut self, store: &mut Store, now: u64, statistics: &Mutex<Statistics>) -> bool {
        let begun = Instant::now();
        let called = |name, begun: Instant, is_empty: bool, trained: Vec<String>| {
            let mut statistics = statistics.lock().expect("no panic");
            let call = statistics.calls.entry(name).or_default();
            *call = (call.0 + 1, call.1 + begun.elapsed());
            statistics.empty_claims += u64::from(is_empty);
            statistics.clock = statistics.clock.max(now);
            for trial in trained {
                let new = statistics.trained.insert(trial);
                statistics.twice += u64::from(!new);
            }
        };
        if self.trials.is_empty() {
            let others = store.heartbeat("x", Activity::Waiting).await.expect("a heartbeat");
            called("heartbeat", begun, false, Vec::new());
            if !others.trials_left {
                return false;
            }
            let begun = Instant::now();
            let claimed = store.claim("x", false, GROUPS).await.expect("claimed");
            called("claim", begun, claimed.is_empty(), Vec::new());
            self.trials = claimed.into_iter().map(|trial| trial.trial_id).collect();
            self.ends = now + TRIAL;
            return true;
        }
        let trained: Vec<String> = std::iter::from_fn(|| {
            let trial = if self.ends <= now { self.trials.pop_front() } else { None };
            self.ends += if trial.is_some() { TRIAL } else { 0 };
            trial
        })
        .collect();
        if trained.is_empty() {
            store.heartbeat("x", Activity::Training).await.expect("a heartbeat");
            called("heartbeat", begun, false, trained);
            return true;
        }
        let mut batch = Vec::new();
        for (trial, stage) in trained.iter().zip(self.stage..) {
            batch.extend(begin(stage, std::slice::from_ref(trial)));
            batch.extend([steps(stage, 0, 5), end(trial)]);
        }
        self.stage += trained.len() as u64;
        store.write(&batch, 1).await.expect("written");
        called("write", begun, false, trained);
        true
    }
}
