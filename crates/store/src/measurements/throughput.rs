//! CPU time of the store for large amounts of data (Linux; user and system time of the whole process).

use spec::event::{Evaluated, Event};

use super::{begin, end, registered, steps};
use crate::{Reader, Store};

#[tokio::test]
#[ignore = "a measurement that takes minutes"]
async fn throughput() {
    for rows in [1, 16, 100] {
        a_million_rows(rows).await;
    }
    one_stage_of_many(1_000).await;
    thousands_of_trials().await;
}

/// Eight lanes, 256 events in a batch.
async fn a_million_rows(rows_of_event: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut store, trials, environment) = store(dir.path(), 8).await;
    let events = trials.iter().zip(1..).map(|(trial, stage)| begin(stage, std::slice::from_ref(trial)));
    store.write(&events.flatten().collect::<Vec<_>>(), environment).await.expect("written");
    let reported: Vec<Event> = (0..1_000_000 / 8 / rows_of_event)
        .flat_map(|i| (1..=8).map(move |stage| steps(stage, i * rows_of_event, rows_of_event)))
        .collect();
    let before = cpu_seconds();
    for batch in reported.chunks(256) {
        store.write(batch, environment).await.expect("written");
    }
    store.close().await.expect("closed");
    let rows = (reported.len() as u64 * rows_of_event) as f64;
    let each = (cpu_seconds() - before) / rows * 1e6;
    println!("{rows} rows, {rows_of_event} in an event: {each:.2} us a row");
    let before = cpu_seconds();
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let rows = reader.steps(&trials[0]).await.expect("rows").len();
    println!("  reading back: {:.2} us a row", (cpu_seconds() - before) / rows as f64 * 1e6);
}

/// One stage that very many trials share, reported in small batches.
async fn one_stage_of_many(sharing: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut store, trials, environment) = store(dir.path(), sharing).await;
    let before = cpu_seconds();
    store.write(&begin(1, &trials), environment).await.expect("written");
    println!("a stage of {sharing} trials: {:.1} ms to begin", (cpu_seconds() - before) * 1e3);
    let before = cpu_seconds();
    for i in 0..100 {
        store.write(&[steps(1, i * 100, 100)], environment).await.expect("written");
    }
    println!("  {:.2} ms a batch of 100 rows", (cpu_seconds() - before) / 100.0 * 1e3);
    let before = cpu_seconds();
    for step in 0..100 {
        let evaluation = |trial: &String| Evaluated { trial_id: trial.clone(), step, valid_loss: 1.0 };
        let evaluated = trials.iter().map(evaluation).collect();
        let event = Event::Steps { stage: 1, rows: Vec::new(), evaluated };
        store.write(&[event], environment).await.expect("written");
    }
    println!("  {:.2} ms where each was evaluated", (cpu_seconds() - before) / 100.0 * 1e3);
}

/// Two thousand trials of fifty steps, without sharing.
async fn thousands_of_trials() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut store, trials, environment) = store(dir.path(), 2_000).await;
    let events: Vec<Event> = trials
        .iter()
        .zip(1..)
        .flat_map(|(trial, stage)| {
            let steps = steps(stage, 0, 50);
            begin(stage, std::slice::from_ref(trial)).into_iter().chain([steps, end(trial)])
        })
        .collect();
    let before = cpu_seconds();
    for batch in events.chunks(256) {
        store.write(batch, environment).await.expect("written");
    }
    store.close().await.expect("closed");
    println!("2000 trials of 50 steps: {:.2} s", cpu_seconds() - before);
}

async fn store(dir: &std::path::Path, trials: usize) -> (Store, Vec<String>, i64) {
    let text =
        format!("budget: {{steps: 1000000}}, seeds: {trials}, lr: 0.1, schedules: {{a: {{kind: constant}}}}");
    let (store, plan, environment) = registered(dir, &text).await;
    (store, plan.trials.into_iter().map(|trial| trial.id).collect(), environment)
}

/// User and system time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(')').expect("a name in parentheses").1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
