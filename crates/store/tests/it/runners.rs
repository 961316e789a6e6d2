//! Several writers: who has which trial, who has died, and that the dead write nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use spec::event::{Event, Outcome};
use spec::protocol::{AddedLr, Decisions};
use store::Attention::{Busy, Waiting};
use store::{Joining, Location, Reader, Store, StoreError};

use crate::support::*;

/// More stage groups than there are.
const ALL: usize = 100;

/// All that it can have, in as many claims as that takes.
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
    let mut second = Store::open(dir).await.expect("a second one");
    second.register(&small(), false).await.expect("the same again");
    (first, second)
}

async fn joined(dir: &Place, lease: Duration) -> Store {
    Store::join(dir.path(), &Joining { lease, ..Joining::default() }).await.expect("joined")
}

/// One of several claims so many groups at a time, and gets each with all its trials.
async fn claims_take_whole_stage_groups(dir: &Place) {
    let schedules =
        ["constant: {kind: constant}", "cosine: {kind: cosine, to: 0}", "linear: {kind: linear, to: 0}"];
    let plan = plan(&sweep_file("small", "3", "[0.1, 0.2, 0.4]", &schedules));
    let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
    let groups: Vec<BTreeSet<String>> = groups
        .into_iter()
        .map(|group| group.into_iter().map(|i| plan.trials[i].id.clone()).collect())
        .collect();
    // Same seed, same first lr: all three schedules.
    assert_eq!(groups.iter().map(BTreeSet::len).collect::<Vec<_>>(), [3; 9]);
    let (mut first, _) = store_with(dir.path(), &plan).await;
    let mut second = Store::open(dir.path()).await.expect("a second one");
    let mut left = groups;
    while !left.is_empty() {
        for store in [&mut first, &mut second] {
            let claimed = store.claim("small", false, 2).await.expect("claimed");
            let claimed: BTreeSet<String> = claimed.into_iter().map(|trial| trial.trial_id).collect();
            // Two at most, and fewer when little is left: always the next ones, and whole.
            let groups = claimed.len().div_ceil(3);
            assert!(groups <= 2 && (groups > 0 || left.is_empty()), "{groups}");
            let expected: Vec<_> = left.drain(..groups).collect();
            assert_eq!(claimed, expected.into_iter().flatten().collect(), "the next ones");
        }
    }
    // Alone it takes all that is free.
    second.close().await.expect("closed");
    assert_eq!(first.claim("small", false, 2).await.expect("claimed").len(), 4 * 3);
}

fn ended_events(trial: &str) -> Vec<Event> {
    vec![started(&[trial], 0), stage(1, 0, &[trial]), steps(1, 0..20), ended(trial, done(0.5))]
}

async fn a_trial_has_one_runner(dir: &Place) {
    let (mut first, mut second) = two(dir.path()).await;
    assert!(first.runner() < second.runner());
    let mine = claimed(&mut first).await;
    assert_eq!(mine.len(), 8);
    assert!(claimed(&mut second).await.is_empty() && claimed(&mut first).await.is_empty());
    let tended = second.tend("small", Waiting).await.expect("tended");
    assert_eq!((tended.dead, tended.left, tended.ended), (0, true, Some(0)));
    assert!(claimed(&mut second).await.is_empty(), "which it is told once more, and waits on");
    assert!(first.tend("small", Busy).await.expect("tended").waiting);
    // What is given back another one can have, and only that.
    let given: Vec<String> = mine.iter().take(3).cloned().collect();
    first.release(&given).await.expect("released");
    assert_eq!(claimed(&mut second).await, given.iter().cloned().collect());
    assert!(!first.tend("small", Busy).await.expect("tended").waiting);
    // Others' leases can't be given back.
    second.release(&mine.iter().cloned().collect::<Vec<_>>()).await.expect("released");
    assert_eq!(claimed(&mut first).await, given.into_iter().collect());
    // What leaves lets go of all.
    first.close().await.expect("closed");
    assert_eq!(claimed(&mut second).await, mine);
    is_whole(dir.path()).await;
}

async fn what_is_over_is_claimed_by_nobody_and_what_failed_only_on_request(dir: &Place) {
    let (mut store, environment) = store_with(dir.path(), &small()).await;
    let mine: Vec<String> = claimed(&mut store).await.into_iter().collect();
    store.write(&ended_events(&mine[0]), environment).await.expect("written");
    let failed = vec![started(&[&mine[1]], 0), ended(&mine[1], failed())];
    store.write(&failed, environment).await.expect("written");
    assert_eq!(store.ended("small").await.expect("a number"), 1);
    store.release(&mine).await.expect("released");
    assert_eq!(claimed(&mut store).await, mine[2..].iter().cloned().collect());
    store.release(&mine).await.expect("released");
    let with_failed = store.claim("small", true, ALL).await.expect("claimed");
    assert_eq!(with_failed.len(), 7);
}

#[tokio::test]
async fn who_is_gone_from_this_host_is_seen_at_once() {
    let dir = Place::folder();
    let (mut first, mut second) = two(dir.path()).await;
    let mine = claimed(&mut first).await;
    drop(first);
    assert_eq!(second.tend("small", Waiting).await.expect("tended").dead, 1, "its lock is free");
    assert_eq!(claimed(&mut second).await, mine);
    second.close().await.expect("closed");
    let folder = dir.path().folder().expect("a folder").join("runners");
    assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 0);
}

async fn who_gives_signs_of_life_lives(dir: &Place) {
    let lease = Duration::from_millis(1500);
    let mut first = joined(dir, lease).await;
    let mut second = joined(dir, lease).await;
    for _ in 0..6 {
        assert_eq!(second.tend("small", Waiting).await.expect("tended").dead, 0);
        tokio::time::sleep(lease / 4).await;
        first.tend("small", Busy).await.expect("tended");
    }
}

async fn who_was_taken_for_dead_writes_nothing(dir: &Place) {
    let lease = Duration::from_millis(300);
    let mut first = joined(dir, lease).await;
    let mut second = joined(dir, lease).await;
    first.register(&small(), false).await.expect("registered");
    let mine: Vec<String> = claimed(&mut first).await.into_iter().collect();
    let environment = first.environment(&environment()).await.expect("a number");
    first.write(&[started(&[&mine[0]], 0), stage(1, 0, &[&mine[0]])], environment).await.expect("written");
    assert_eq!(second.tend("small", Waiting).await.expect("tended").dead, 0);
    tokio::time::sleep(2 * lease).await;
    assert_eq!(second.tend("small", Waiting).await.expect("tended").dead, 1);
    assert_eq!(claimed(&mut second).await.len(), 8);

    let before = query(dir.path(), "SELECT * FROM trials ORDER BY trial_id").await;
    let late = [steps(1, 0..20), ended(&mine[0], Outcome::Failed { reason: "late".into() })];
    let refused = [
        first.write(&late, environment).await.err(),
        first.register(&small(), false).await.err(),
        first.claim("small", true, ALL).await.err(),
        first.release(&mine).await.err(),
        first.tend("small", Waiting).await.err(),
    ];
    for error in refused {
        let error = error.expect("refused");
        assert!(matches!(error, StoreError::TakenOver { .. }) && !error.is_users_mistake(), "{error}");
    }
    assert_eq!(query(dir.path(), "SELECT * FROM trials ORDER BY trial_id").await, before);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 0);
    first.close().await.expect("closed");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM leases").await, 8, "they are the second one's");
}

async fn stages_of_two_runners_have_different_numbers(dir: &Place) {
    let (mut first, _) = store_with(dir.path(), &small()).await;
    let alone = first.next_stage().await.expect("a number");
    let mut second = Store::open(dir.path()).await.expect("a second one");
    let joined = second.next_stage().await.expect("a number");
    assert!(alone == 1 || dir.path().folder().is_none(), "{alone}");
    assert!(joined >= alone + (1 << 24), "{joined}");
    let mut third = Store::open(dir.path()).await.expect("a third one");
    assert!(third.next_stage().await.expect("a number") >= joined + (1 << 24));
}

/// A slow process does not take back what a quicker one has decided since.
async fn a_round_that_is_behind_takes_nothing_back(dir: &Place) {
    let spec = trainer::read(&small().text, "small").expect("a good file");
    let added = AddedLr { schedule: "cosine".to_owned(), steps: 20, base_lr: 0.4 };
    let later = spec::plan_on(&spec, Decisions { added: vec![added], chosen: Vec::new() }).expect("a plan");
    let (mut quick, mut slow) = two(dir.path()).await;
    quick.register(&later, false).await.expect("registered");
    assert_eq!(claimed(&mut quick).await.len(), 10);
    slow.register(&small(), false).await.expect("registered");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM cells").await, 10);
    // Alone it may: then the file was made smaller again.
    quick.close().await.expect("closed");
    slow.register(&small(), false).await.expect("registered");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM cells").await, 8);
}

async fn many_open_a_new_store_at_the_same_time(dir: &Place) {
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
async fn status_says_who_is_at_work() {
    let dir = Place::folder();
    let (mut first, second) = two(dir.path()).await;
    let mine: Vec<String> = claimed(&mut first).await.into_iter().collect();
    let environment = first.environment(&environment()).await.expect("a number");
    first.write(&[started(&[&mine[0]], 0), stage(1, 0, &[&mine[0]])], environment).await.expect("written");
    drop(second);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let [status] = <[_; 1]>::try_from(reader.status().await.expect("rows")).expect("one sweep");
    assert_eq!((status.trials, status.running, status.queued, status.left_over), (8, 1, 7, 0));
    let runners = reader.runners().await.expect("rows");
    let seen: Vec<_> = runners.iter().map(|runner| (runner.trials, runner.running, runner.dead)).collect();
    assert_eq!(seen, [(8, 1, Some(false)), (0, 0, Some(true))]);
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
    what_is_over_is_claimed_by_nobody_and_what_failed_only_on_request,
    who_gives_signs_of_life_lives,
    claims_take_whole_stage_groups,
    who_was_taken_for_dead_writes_nothing,
    stages_of_two_runners_have_different_numbers,
    a_round_that_is_behind_takes_nothing_back,
    many_open_a_new_store_at_the_same_time,
}
