//! Merging stores: new results, existing results, and conflicts.

use spec::Plan;
use store::{Merged, Reader, Store, Value};

use crate::support::*;

/// Every result, with its numbers of steps and evaluations.
const RESULTS: &str = "
    SELECT t.trial_id, t.status, t.digest, t.weights_hash, t.final_valid_loss, t.diverged_at, t.steps_done, t.attempts,
        (SELECT count(*) FROM metrics AS m WHERE m.trial_id = t.trial_id) AS steps,
        (SELECT count(*) FROM evaluations AS e WHERE e.trial_id = t.trial_id) AS evaluations
    FROM trials AS t ORDER BY t.trial_id";

/// Trains some trials of a plan in a new store. Two trials of one seed share their first ten steps.
async fn shard(plan: &Plan, trials: std::ops::Range<usize>, loss: f64) -> TestStore {
    let dir = TestStore::folder();
    let (mut store, environment) = store_with(dir.path(), plan).await;
    let ids: Vec<&str> = plan.trials[trials].iter().map(|trial| trial.id.as_str()).collect();
    for (i, pair) in (0_u64..).zip(ids.chunks(2)) {
        let mut events = vec![started(pair, 0), stage(10 * i + 1, 0, pair), steps(10 * i + 1, 0..10)];
        for (j, id) in (0_u64..).zip(pair) {
            let own = 10 * i + 2 + j;
            events.extend([stage(own, 10, &[id]), steps(own, 10..20), evaluated(own, id, 19, loss)]);
            let outcome = if j == 0 { done(loss) } else { diverged(15, f64::NAN) };
            events.push(ended(id, outcome));
        }
        store.write(&events, environment).await.expect("written");
    }
    store.close().await.expect("closed");
    dir
}

async fn merge(store: &mut Store, shard: &TestStore) -> Merged {
    let mut reader = Reader::open(shard.path()).await.expect("a store");
    store.merge(&mut reader).await.expect("merged")
}

/// Merging in any order and repeatedly gives the same store.
async fn merged_shards_equal_the_store_of_one_process(dir: &TestStore) {
    let plan = small();
    let single = shard(&plan, 0..8, 0.5).await;
    let wanted = query(single.path(), RESULTS).await;
    let parts = [shard(&plan, 0..4, 0.5).await, shard(&plan, 4..6, 0.5).await, shard(&plan, 2..8, 0.5).await];
    let mut store = Store::open(dir.path()).await.expect("a new store");
    let counts = |merged: Merged| (merged.new, merged.known, merged.unfinished, merged.conflicts.len());
    assert_eq!(counts(merge(&mut store, &parts[1]).await), (2, 0, 6, 0));
    assert_eq!(counts(merge(&mut store, &parts[1]).await), (0, 2, 6, 0), "twice");
    assert_eq!(counts(merge(&mut store, &parts[0]).await), (4, 0, 4, 0));
    assert_eq!(counts(merge(&mut store, &parts[2]).await), (2, 4, 2, 0));
    assert_eq!(query(dir.path(), RESULTS).await, wanted);
    // Shared steps are still shared, and no row is left over.
    let shared = "SELECT trials, steps_asked, steps_trained FROM sharing";
    assert_eq!(query(dir.path(), shared).await, query(single.path(), shared).await);
    let all = count(dir.path(), "SELECT count(*) FROM steps").await;
    assert_eq!(all, count(single.path(), "SELECT count(*) FROM steps").await);
    // The sweep's cells were merged too: nothing is left to train.
    let ranking = "SELECT schedule, rank, n, diverged FROM ranking";
    assert_eq!(query(dir.path(), ranking).await, query(single.path(), ranking).await);
    assert!(store.claim("small", true, 100).await.expect("claimed").is_empty());
    store.register(&plan, false).await.expect("the same plan");
    assert_eq!(store.unfinished("small").await.expect("rows"), []);
    check_integrity(dir.path()).await;
}

/// A different result is reported with the origins of both, and the existing one is kept.
async fn a_conflicting_result_is_reported_and_skipped(dir: &TestStore) {
    let plan = small();
    let (good, other) = (shard(&plan, 0..2, 0.5).await, shard(&plan, 0..6, 0.25).await);
    let mut store = Store::open(dir.path()).await.expect("a new store");
    merge(&mut store, &good).await;
    let before = query(dir.path(), "SELECT final_valid_loss FROM trials WHERE status = 'done'").await;
    let merged = merge(&mut store, &other).await;
    assert_eq!(
        (merged.new, merged.known),
        (4, 1),
        "everything else is merged; the diverged trial is the same"
    );
    let [conflict] = <[_; 1]>::try_from(merged.conflicts).expect("one conflict");
    assert_eq!(conflict.trial_id, plan.trials[0].id);
    assert_eq!(conflict.kept.environment, Some(environment()));
    assert!(conflict.rejected.host.is_some());
    let sql = format!("SELECT final_valid_loss FROM trials WHERE trial_id = '{}'", plan.trials[0].id);
    assert_eq!(query(dir.path(), &sql).await, before);
}

/// 0.9 and 0.8999999999999999 are the same lr in single precision, on which trial ids depend. A program that computes
/// in double precision may give another result; that is not a conflict, and the existing result is kept.
async fn two_spellings_of_a_trial_do_not_conflict(dir: &TestStore) {
    let spelled = |trainer: &str, lr: &str| {
        plan(&format!(
            "{{name: x, {trainer}, budget: {{steps: 20}}, seeds: 2, lr: {lr}, schedules: {{a: {{kind: constant}}}}}}"
        ))
    };
    let program = "trainer: {command: [sh]}";
    let (here, there) = (spelled(program, "0.9"), spelled(program, "0.8999999999999999"));
    assert_eq!(here.trials[0].id, there.trials[0].id);
    let mut store = Store::open(dir.path()).await.expect("a new store");
    merge(&mut store, &shard(&here, 0..2, 0.5).await).await;
    let other = shard(&there, 0..2, 0.5000000000000001).await;
    let merged = merge(&mut store, &other).await;
    assert_eq!((merged.known, merged.respelled, merged.conflicts.len()), (2, 1, 0), "{merged:?}");
    let losses = "SELECT base_lr, final_valid_loss FROM trials WHERE status = 'done'";
    assert_eq!(query(dir.path(), losses).await, [[Value::Real(0.9), Value::Real(0.5)]]);
    // Another result with the same lr is a conflict. So is one of a network, which computes in single precision.
    let merged = merge(&mut store, &shard(&here, 0..2, 0.25).await).await;
    assert_eq!((merged.respelled, merged.conflicts.len()), (0, 1));
    let network =
        "data: {dataset: digits, batch_size: 50}, model: {kind: mlp, hidden: [8]}, optimizer: {kind: sgd}";
    let (here, there) = (spelled(network, "0.9"), spelled(network, "0.8999999999999999"));
    merge(&mut store, &shard(&here, 0..2, 0.5).await).await;
    let merged = merge(&mut store, &shard(&there, 0..2, 0.25).await).await;
    assert_eq!((merged.respelled, merged.conflicts.len()), (0, 1));
}

/// A result of the shard replaces an unfinished trial here only if no process trains it.
async fn trials_in_training_are_skipped(dir: &TestStore) {
    let plan = small();
    let finished = shard(&plan, 0..4, 0.5).await;
    let (mut trains, environment) = store_with(dir.path(), &plan).await;
    let id = plan.trials[0].id.as_str();
    let begun = [started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..5), checkpoint(&[id], 5, "file")];
    let mut merges = Store::open(dir.path()).await.expect("a second store");
    assert!(trains.claim("small", false, 1).await.expect("claimed").iter().any(|trial| trial.trial_id == id));
    trains.write(&begun, environment).await.expect("written");
    let merged = merge(&mut merges, &finished).await;
    assert!(merged.in_training >= 1, "{merged:?}");
    assert_eq!(merged.new + merged.in_training, 4);
    trains.write(&[steps(1, 5..10)], environment).await.expect("it continues");
    trains.close().await.expect("closed");
    let merged = merge(&mut merges, &finished).await;
    assert_eq!((merged.in_training, merged.conflicts.len()), (0, 0));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM checkpoints").await, 0);
    let sql = format!("SELECT count(*) FROM metrics WHERE trial_id = '{id}'");
    assert_eq!(count(dir.path(), &sql).await, 20);
    check_integrity(dir.path()).await;
}

contract! {
    merged_shards_equal_the_store_of_one_process,
    a_conflicting_result_is_reported_and_skipped,
    two_spellings_of_a_trial_do_not_conflict,
    trials_in_training_are_skipped,
}
