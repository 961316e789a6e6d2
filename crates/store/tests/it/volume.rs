//! Large amounts of data, with time limits that hold on a busy machine too:
//! `cargo test --release -p sweep-store -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use spec::event::Event;
use store::Reader;

use crate::support::*;

fn within(what: &str, since: Instant, limit: Duration) {
    let took = since.elapsed();
    println!("{what}: {took:.2?}");
    assert!(took < limit, "{what} took {took:.2?}, more than {limit:?}");
}

#[tokio::test]
#[ignore = "takes a while"]
async fn a_million_steps_in_batches_of_a_few_hundred() {
    let dir = tempfile::tempdir().expect("a folder");
    let lasting = sweep_file("small", "4", "[0.1]", &["constant: {kind: constant}"]);
    let plan = plan(&lasting.replace("steps: 20", "steps: 250000"));
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let ids: Vec<_> = plan.trials.iter().map(|trial| trial.id.clone()).collect();
    for (rows_of_event, attempt) in [(100, 0), (1, 1)] {
        let begin = ids
            .iter()
            .zip(1..)
            .flat_map(|(id, number)| [started(&[id], 0), stage(number + 10 * attempt, 0, &[id])]);
        store.write(&begin.collect::<Vec<_>>(), environment).await.expect("written");
        let start = Instant::now();
        for batch in 0..2_500_u64 {
            // Four workers alternate; 400 rows in a batch.
            let events: Vec<Event> = (0..400 / rows_of_event)
                .map(|event| {
                    let worker = event % 4;
                    let first = batch * 100 + (event / 4) * rows_of_event;
                    steps(1 + worker + 10 * attempt, first..first + rows_of_event)
                })
                .collect();
            store.write(&events, environment).await.expect("written");
        }
        within(&format!("a million steps, {rows_of_event} in an event"), start, Duration::from_secs(30));
        assert_eq!(count(dir.path(), "SELECT count(*) FROM metrics").await, 1_000_000);
    }
    let start = Instant::now();
    store.close().await.expect("closed");
    within("closing", start, Duration::from_secs(5));
    let start = Instant::now();
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    assert_eq!(reader.steps(&ids[0]).await.expect("rows").len(), 250_000);
    within("reading 250,000 steps", start, Duration::from_secs(5));
}

#[tokio::test]
#[ignore = "takes a while"]
async fn a_hundred_thousand_trials() {
    let dir = tempfile::tempdir().expect("a folder");
    let schedules =
        ["a: {kind: constant}", "b: {kind: cosine, to: 0}", "c: {kind: linear, to: 0}", "d: 0.05"];
    let lrs = format!(
        "[{}]",
        (1..=250).map(|i| format!("{}", f64::from(i) / 1000.0)).collect::<Vec<_>>().join(", ")
    );
    let text = sweep_file("large", "100", &lrs, &schedules);
    let start = Instant::now();
    let plan = plan(&text);
    println!("planning: {:.2?}", start.elapsed());
    let start = Instant::now();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    within("registering", start, Duration::from_secs(10));
    let start = Instant::now();
    store.register(&plan, false).await.expect("registered");
    within("registering again", start, Duration::from_secs(10));
    let start = Instant::now();
    for chunk in plan.trials.chunks(200) {
        let events: Vec<Event> =
            chunk.iter().flat_map(|trial| [started(&[&trial.id], 0), ended(&trial.id, done(1.0))]).collect();
        store.write(&events, environment).await.expect("written");
    }
    within("starting and ending all", start, Duration::from_secs(60));
    let start = Instant::now();
    assert_eq!(store.unfinished("large").await.expect("rows").len(), 0);
    within("unfinished", start, Duration::from_secs(2));
    store.close().await.expect("closed");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let start = Instant::now();
    assert_eq!(reader.results("large").await.expect("rows").len(), 100_000);
    within("results", start, Duration::from_secs(5));
    for view in ["ranking", "best_per_schedule", "pairs", "runs"] {
        let start = Instant::now();
        reader.query(&format!("SELECT count(*) FROM {view} WHERE sweep = 'large'")).await.expect("good SQL");
        within(view, start, Duration::from_secs(5));
    }
}
