//! Stores whose trials were written without training, servers on free ports, and a small HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use dashboard::{Options, Server};
use serde_json::Value as Json;
use spec::Plan;
use spec::event::{Evaluated, Event, Final, Outcome, StepRow};
use store::{Environment, Location, Store};
use sweep::Context;
use trainer::custom::Tasks;

/// Steps of a trial.
pub(crate) const STEPS: u64 = 40;

/// A sweep file without its seeds.
const FILE: &str = "\
# Which one?
name: made
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd}
budget: {steps: 40}
evaluate: {every: 10}
extend: false
lr: {values: [0.1, 0.3]}
schedules:
  constant: {kind: constant}
  \"<b>cosine\": {kind: cosine, to: 0}
";

/// A store that is written.
pub(crate) struct Made {
    store: Store,
    pub(crate) plan: Plan,
    environment: i64,
    stage: u64,
}

impl Made {
    /// A store with one sweep of 8 seeds, of which nothing is trained.
    pub(crate) async fn new(dir: &Path) -> Self {
        let text = format!("{FILE}seeds: 8\n");
        let plan = spec::plan(&trainer::read(&text, "made").expect("a good sweep file")).expect("a plan");
        let mut store = Store::open(dir).await.expect("a store");
        store.set_sweep("made").await.expect("set");
        store.register(&plan, false).await.expect("registered");
        let environment = store.environment(&Environment::default()).await.expect("a number");
        store.claim("made", true, usize::MAX).await.expect("claimed");
        Self { store, plan, environment, stage: 0 }
    }

    /// Trains the trials with these seeds. The loss depends on schedule, lr and seed.
    pub(crate) async fn train(&mut self, seeds: std::ops::Range<u64>) {
        let trials: Vec<_> =
            self.plan.trials.iter().filter(|trial| seeds.contains(&trial.seed)).cloned().collect();
        for trial in trials {
            self.stage += 1;
            let id = trial.id.clone();
            let (base, spread) =
                if trial.config.schedule_name == "constant" { (0.5, 0.002) } else { (0.4, 0.001) };
            let loss = base + trial.config.base_lr + spread * trial.seed as f64;
            let rows = (0..STEPS).map(|step| StepRow {
                step,
                lr: trial.config.base_lr,
                train_loss: loss + 1.0 / (step + 1) as f64,
                grad_norm: 1.0,
            });
            let evaluated = (9..STEPS).step_by(10).map(|step| Evaluated {
                trial_id: id.clone(),
                step,
                valid_loss: loss + (STEPS - 1 - step) as f64,
            });
            let done = Final {
                train_loss: loss,
                valid_loss: loss,
                valid_accuracy: Some(0.9),
                test_loss: Some(loss),
                test_accuracy: Some(0.9),
                metrics: Default::default(),
                digest: "d".repeat(64),
                weights_hash: None,
            };
            let at = store_time();
            let events = [
                Event::Started { trial_ids: vec![id.clone()], step: 0, bits: Some(2), at },
                Event::Stage { stage: self.stage, first: 0, trial_ids: vec![id.clone()] },
                Event::Steps { stage: self.stage, rows: rows.collect(), evaluated: evaluated.collect() },
                Event::Ended { trial_id: id, outcome: Outcome::Done(done), at: at + 1000 },
            ];
            self.store.write(&events, self.environment).await.expect("written");
        }
    }

    pub(crate) async fn close(self) {
        self.store.close().await.expect("closed");
    }
}

fn store_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// A server that ends when it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// Starts a server for a store.
pub(crate) fn serve(dir: &Path, options: Options) -> Running {
    let server = Server::listen(&Options { port: 0, ..options }).expect("a free port");
    let address = server.address();
    let context =
        Context { store: Location::Folder(dir.to_owned()), data_dir: None, tasks: Tasks::new(), job: None };
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let served = sweep::wait_for(async {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve(context, stopped).await.map_err(sweep::Error::failed)
        });
        served.expect("served");
    });
    Running { address, _stop: stop }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Running {
    /// Sends `METHOD PATH` with these headers in addition to `Host`.
    pub(crate) fn send(&self, request: &str, headers: &[(&str, &str)]) -> Answer {
        let (mut reader, status, headers) = self.open(request, headers);
        let mut body = String::new();
        reader.read_to_string(&mut body).expect("a body");
        Answer { status, headers, body }
    }

    fn open(
        &self,
        request: &str,
        headers: &[(&str, &str)],
    ) -> (BufReader<TcpStream>, u16, Vec<(String, String)>) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let host = self.address.to_string();
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "Host") {
            text.push_str(&format!("Host: {host}\r\n"));
        }
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{text}\r\n").as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
        (reader, status, headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[])
    }

    /// The JSON at an address.
    pub(crate) fn json(&self, path: &str) -> Json {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// The stream of events of the sweep.
    pub(crate) fn events(&self, last: Option<&str>) -> Stream {
        let headers: Vec<(&str, &str)> = last.map(|last| ("Last-Event-ID", last)).into_iter().collect();
        let (reader, status, _) = self.open("GET /api/events?sweep=made", &headers);
        assert_eq!(status, 200);
        Stream(reader)
    }
}

/// Server-sent events.
pub(crate) struct Stream(BufReader<TcpStream>);

/// Name, id and data of an event.
pub(crate) type Sent = (String, String, Json);

impl Stream {
    /// The next event.
    pub(crate) fn next(&mut self) -> Sent {
        let (mut name, mut id, mut data) = (String::new(), String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a line in time") > 0, "the stream has ended");
            let line = line.trim_end();
            // Lengths of chunks and comments are skipped.
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = text.to_owned();
            } else if line.is_empty() && !data.is_empty() {
                return (name, id, serde_json::from_str(&data).expect("JSON"));
            }
        }
    }

    /// The next event with this name.
    pub(crate) fn next_named(&mut self, name: &str) -> Sent {
        loop {
            let event = self.next();
            if event.0 == name {
                return event;
            }
        }
    }
}
