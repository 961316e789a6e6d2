//! Several writers: claims, dead runners, and that dead runners can't write.

use std::collections::BTreeSet;
use std::time::Duration;

use spec::event::{Event, Outcome};
use spec::protocol::{AddedBy, AddedLr, Decisions};
use store::Activity::{Training, Waiting};
use store::{JoinOptions, Location, Reader, Store, StoreError};

use crate::support::*;

/// More stage groups than exist.
const ALL: usize = 100;

/// Claims all free trials, in as many claims as needed.
async fn claimed(store: &mut Store) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    loop {
        let claimed = store.claim("small", false, ALL).await.expect("claimed");
        if claimed.is_empty() {
            return all;
        }
        all.extend(claimed.into_iter().map(|trial| trial.trial_id));
    }
}

/// Two stores with a plan of eight trials.
async fn two(dir: &Location) -> (Store, Store) {
    let (first, _) = store_with(dir, &small()).await;
    let mut second = Store::open(dir).await.expect("a second store");
    second.register(&small(), false).await.expect("the same again");
    (first, second)
}

async fn joined(dir: &TestStore, lease: Duration) -> Store {
    Store::join(dir.path(), &JoinOptions { lease, ..JoinOptions::default() }).await.expect("joined")
}

/// With several runners, a claim takes at most the given number of groups, each with all its trials.
async fn claims_take_whole_stage_groups(dir: &TestStore) {
    let schedules =
        ["constant: {kind: constant}", "cosine: {kind: cosine, to: 0}", "linear: {kind: linear, to: 0}"];
    let plan = plan(&sweep_file("small", "3", "[0.1, 0.2, 0.4]", &schedules));
    let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
    let groups: Vec<BTreeSet<String>> = groups
        .into_iter()
        .map(|group| group.into_iter().map(|i| plan.trials[i].id.clone()).collect())
        .collect();
    // All three schedules have the same first lr for one seed.
    assert_eq!(groups.iter().map(BTreeSet::len).collect::<Vec<_>>(), [3; 9]);
    let (mut first, _) = store_with(dir.path(), &plan).await;
    let mut second = Store::open(dir.path()).await.expect("a second store");
    let mut left = groups;
    while !left.is_empty() {
        for store in [&mut first, &mut second] {
            let claimed = store.claim("small", false, 2).await.expect("claimed");
            let claimed: BTreeSet<String> = claimed.into_iter().map(|trial| trial.trial_id).collect();
            // At most two, and fewer when few are left: always the next groups, and complete ones.
            let groups = claimed.len().div_ceil(3);
            assert!(groups <= 2 && (groups > 0 || left.is_empty()), "{groups}");
            let expected: Vec<_> = left.drain(..groups).collect();
            assert_eq!(claimed, expected.into_iter().flatten().collect(), "the next ones");
        }
    }
    // The only runner claims everything that is free.
    second.close().await.expect("closed");
    assert_eq!(first.claim("small", false, 2).await.expect("claimed").len(), 4 * 3);
}

fn ended_events(trial: &str) -> Vec<Event> {
    vec![started(&[trial], 0), stage(1, 0, &[trial]), steps(1, 0..20), ended(trial, done(0.5))]
}

async fn a_trial_has_one_runner(dir: &TestStore) {
    let (mut first, mut second) = two(dir.path()).await;
    assert!(first.runner() < second.runner());
    let mine = claimed(&mut first).await;
    assert_eq!(mine.len(), 8);
    assert!(claimed(&mut second).await.is_empty() && claimed(&mut first).await.is_empty());
    let others = second.heartbeat("small", Waiting).await.expect("a heartbeat");
    assert_eq!((others.dead, others.trials_left, others.trials_ended), (0, true, Some(0)));
    assert!(claimed(&mut second).await.is_empty(), "it still has to wait");
    assert!(first.heartbeat("small", Training).await.expect("a heartbeat").waiting);
    // Another runner can claim released trials, and only those.
    let given: Vec<String> = mine.iter().take(3).cloned().collect();
    first.release(&given).await.expect("released");
    assert_eq!(claimed(&mut second).await, given.iter().cloned().collect());
    assert!(!first.heartbeat("small", Training).await.expect("a heartbeat").waiting);
    // A runner can't release the leases of others.
    second.release(&mine.iter().cloned().collect::<Vec<_>>()).await.expect("released");
    assert_eq!(claimed(&mut first).await, given.into_iter().collect());
    // A runner that leaves releases everything.
    first.close().await.expect("closed");
    assert_eq!(claimed(&mut second).await, mine);
    check_integrity(dir.path()).await;
}

async fn ended_trials_are_not_claimed_and_failed_ones_only_on_request(dir: &TestStore) {
    let (mut store, environment) = store_with(dir.path(), &small()).await;
    let mine: Vec<String> = claimed(&mut store).await.into_iter().collect();
    store.write(&ended_events(&mine[0]), environment).await.expect("written");
    let failed = vec![started(&[&mine[1]], 0), ended(&mine[1], failed())];
    store.write(&failed, environment).await.expect("written");
    assert_eq!(store.count_ended("small").await.expect("a number"), 1);
    store.release(&mine).await.expect("released");
    assert_eq!(claimed(&mut store).await, mine[2..].iter().cloned().collect());
    store.release(&mine).await.expect("released");
    let with_failed = store.claim("small", true, ALL).await.expect("claimed");
    assert_eq!(with_failed.len(), 7);
}

#[tokio::test]
async fn a_runner_that_ended_on_this_host_is_detected_at_once() {
    let dir = TestStore::folder();
    let (mut first, mut second) = two(dir.path()).await;
    let mine = claimed(&mut first).await;
    drop(first);
    assert_eq!(second.heartbeat("small", Waiting).await.expect("a heartbeat").dead, 1, "its lock is free");
    assert_eq!(claimed(&mut second).await, mine);
    second.close().await.expect("closed");
    let folder = dir.path().folder().expect("a folder").join("runners");
    assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 0);
}

async fn a_runner_that_renews_its_lease_stays_alive(dir: &TestStore) {
    let lease = Duration::from_millis(1500);
    let mut first = joined(dir, lease).await;
    let mut second = joined(dir, lease).await;
    for _ in 0..6 {
        assert_eq!(second.heartbeat("small", Waiting).await.expect("a heartbeat").dead, 0);
        tokio::time::sleep(lease / 4).await;
        first.heartbeat("small", Training).await.expect("a heartbeat");
    }
}

async fn a_runner_taken_for_dead_can_not_write(dir: &TestStore) {
    let lease = Duration::from_millis(300);
    let mut first = joined(dir, lease).await;
    let mut second = joined(dir, lease).await;
    first.register(&small(), false).await.expect("registered");
    let mine: Vec<String> = claimed(&mut first).await.into_iter().collect();
    let environment = first.environment(&environment()).await.expect("a number");
    first.write(&[started(&[&mine[0]], 0), stage(1, 0, &[&mine[0]])], environment).await.expect("written");
    assert_eq!(second.heartbeat("small", Waiting).await.expect("a heartbeat").dead, 0);
    tokio::time::sleep(2 * lease).await;
    assert_eq!(second.heartbeat("small", Waiting).await.expect("a heartbeat").dead, 1);
    assert_eq!(claimed(&mut second).await.len(), 8);

    let before = query(dir.path(), "SELECT * FROM trials ORDER BY trial_id").await;
    let late = [steps(1, 0..20), ended(&mine[0], Outcome::Failed { reason: "late".into() })];
    let refused = [
        first.write(&late, environment).await.err(),
        first.register(&small(), false).await.err(),
        first.claim("small", true, ALL).await.err(),
        first.release(&mine).await.err(),
        first.heartbeat("small", Waiting).await.err(),
    ];
    for error in refused {
        let error = error.expect("refused");
        assert!(matches!(error, StoreError::TakenOver { .. }) && !error.is_users_mistake(), "{error}");
    }
    assert_eq!(query(dir.path(), "SELECT * FROM trials ORDER BY trial_id").await, before);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 0);
    first.close().await.expect("closed");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM leases").await, 8, "they belong to the second runner");
}

async fn stages_of_two_runners_have_different_numbers(dir: &TestStore) {
    let (mut first, _) = store_with(dir.path(), &small()).await;
    let only = first.next_stage().await.expect("a number");
    let mut second = Store::open(dir.path()).await.expect("a second store");
    let joined = second.next_stage().await.expect("a number");
    assert!(only == 1 || dir.path().folder().is_none(), "{only}");
    assert!(joined >= only + (1 << 24), "{joined}");
    let mut third = Store::open(dir.path()).await.expect("a third store");
    assert!(third.next_stage().await.expect("a number") >= joined + (1 << 24));
}

/// A slow process does not undo the decisions of a faster one.
async fn a_plan_with_fewer_decisions_does_not_undo_newer_ones(dir: &TestStore) {
    let spec = trainer::read(&small().text, "small").expect("a good file");
    let added = AddedLr { by: AddedBy::Extend, schedule: "cosine".to_owned(), steps: 20, base_lr: 0.4 };
    let later =
        spec::plan_on(&spec, Decisions { added: vec![added], ..Decisions::default() }).expect("a plan");
    let (mut quick, mut slow) = two(dir.path()).await;
    quick.register(&later, false).await.expect("registered");
    assert_eq!(claimed(&mut quick).await.len(), 10);
    slow.register(&small(), false).await.expect("registered");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM cells").await, 10);
    // The only runner may: the sweep file was made smaller.
    quick.close().await.expect("closed");
    slow.register(&small(), false).await.expect("registered");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM cells").await, 8);
}

async fn many_open_a_new_store_at_the_same_time(dir: &TestStore) {
    let mut numbers = BTreeSet::new();
    std::thread::scope(|scope| {
        let open = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let store = runtime.expect("a runtime").block_on(Store::open(dir.path()));
            store.map(|store| store.runner())
        };
        let opened: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
        for store in opened {
            numbers.insert(store.join().expect("no panic").expect("a store"));
        }
    });
    assert_eq!(numbers.len(), 6);
}

#[tokio::test]
async fn status_shows_the_active_runners() {
    let dir = TestStore::folder();
    let (mut first, second) = two(dir.path()).await;
    let mine: Vec<String> = claimed(&mut first).await.into_iter().collect();
    let environment = first.environment(&environment()).await.expect("a number");
    first.write(&[started(&[&mine[0]], 0), stage(1, 0, &[&mine[0]])], environment).await.expect("written");
    drop(second);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let [status] = <[_; 1]>::try_from(reader.status().await.expect("rows")).expect("one sweep");
    assert_eq!((status.trials, status.running, status.queued, status.left_over), (8, 1, 7, 0));
    let runners = reader.runners().await.expect("rows");
    let states: Vec<_> = runners.iter().map(|runner| (runner.trials, runner.running, runner.dead)).collect();
    assert_eq!(states, [(8, 1, Some(false)), (0, 0, Some(true))]);
    let running = reader.running(Some("small"), 9).await.expect("rows");
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].trial_id, mine[0]);
    drop(first);
    let third = Store::open(dir.path()).await.expect("opens");
    third.close().await.expect("closed");
    let status = reader.status().await.expect("rows");
    assert_eq!((status[0].running, status[0].left_over), (0, 1));
}

contract! {
    a_trial_has_one_runner,
    ended_trials_are_not_claimed_and_failed_ones_only_on_request,
    a_runner_that_renews_its_lease_stays_alive,
    claims_take_whole_stage_groups,
    a_runner_taken_for_dead_can_not_write,
    stages_of_two_runners_have_different_numbers,
    a_plan_with_fewer_decisions_does_not_undo_newer_ones,
    many_open_a_new_store_at_the_same_time,
}
