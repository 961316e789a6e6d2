//! Ten thousand simulated workers against one server: the statements that they would send in N seconds are sent as fast as the
//! server answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{begin, end, registered, steps};
use crate::runner::Runner;
use crate::{Attention, Location, Store};

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

impl Seen {
    fn print(&self, took: f64) {
        let seconds = self.clock as f64 / 1e3;
        println!(
            "{WORKERS} workers, {seconds:.0} s of theirs, took the server {took:.0} s with {CONNECTIONS} connections"
        );
        for (name, (calls, time)) in &self.calls {
            println!(
                "  {name:<6} {calls:>7} calls, {:>5.0} a second of theirs, {:.2} ms each",
                *calls as f64 / seconds,
                time.as_secs_f64() * 1e3 / *calls as f64
            );
        }
        println!("  claims that found nothing while others were left: {}", self.claims_in_vain);
        println!("  trials trained: {}, twice: {}", self.trained.len(), self.twice);
    }
}

/// What all connections share.
struct Shared {
    location: Location,
    workers: Vec<Mutex<Option<Worker>>>,
    /// When each worker has something to say next.
    clock: Mutex<BinaryHeap<Reverse<(u64, usize)>>>,
    seen: Mutex<Seen>,
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
#[ignore = "takes minutes, and is a measurement"]
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
    // They come within the first interval.
    let clock = (0..WORKERS).map(|i| Reverse((i as u64 * EVERY / WORKERS as u64, i)));
    let shared = Shared {
        location,
        workers: (0..WORKERS).map(|i| Mutex::new(Some(worker(i)))).collect(),
        clock: Mutex::new(clock.collect()),
        seen: Mutex::default(),
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| wait(run(&shared)));
        }
    });
    let seen = shared.seen.into_inner().expect("no panic");
    seen.print(begun.elapsed().as_secs_f64());
    assert_eq!((seen.trained.len(), seen.twice), (trials, 0));
}

/// One connection, which speaks for whoever is next.
async fn run(shared: &Shared) {
    let mut store = Store::open(&shared.location).await.expect("a store");
    let own = store.writer.runner.clone();
    loop {
        let Some(Reverse((now, i))) = shared.clock.lock().expect("no panic").pop() else { break };
        let mut worker = shared.workers[i].lock().expect("no panic").take().expect("nobody else has it");
        store.writer.runner = worker.runner.clone();
        if worker.speak(&mut store, now, &shared.seen).await {
            *shared.workers[i].lock().expect("no panic") = Some(worker);
            shared.clock.lock().expect("no panic").push(Reverse((now + EVERY, i)));
        }
    }
    store.writer.runner = own;
    store.close().await.expect("closed");
}

impl Worker {
    /// What it asks of the server now. Gives whether it will have anything more to say.
    async fn speak(&mut self, store: &mut Store, now: u64, seen: &Mutex<Seen>) -> bool {
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
        if self.trials.is_empty() {
            let tended = store.tend("x", Attention::Waiting).await.expect("tended");
            called("tend", begun, false, Vec::new());
            if !tended.left {
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
            store.tend("x", Attention::Busy).await.expect("tended");
            called("tend", begun, false, trained);
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
