//! What a removal takes, what it leaves, and when it is refused.

use spec::Plan;
use store::{Fate, Location, Reader, Status, Store, StoreError, Target};

use crate::support::*;

contract! {
    a_sweep_goes_with_what_it_alone_asks_for,
    shared_steps_stay_for_those_that_are_left,
    a_removed_trial_is_trained_again,
    what_is_being_trained_is_not_removed,
    what_a_file_asked_for_before_goes_too,
}

/// One of the schedules of [`small`] and another one.
fn other() -> Plan {
    plan(&sweep_file(
        "other",
        "2",
        "[0.1, 0.2]",
        &["still: {kind: constant}", "linear: {kind: linear, to: 0}"],
    ))
}

/// Trains every trial of a plan by itself.
async fn trained(store: &mut Store, environment: i64, plan: &Plan) {
    store.register(plan, false).await.expect("registered");
    let missing = store.unfinished(&plan.name).await.expect("readable");
    for missing in missing {
        let id = missing.trial_id.as_str();
        let number = store.next_stage().await.expect("a number");
        let events = [
            started(&[id], 0),
            stage(number, 0, &[id]),
            steps(number, 0..20),
            evaluated(number, id, 19, 0.5),
            ended(id, done(0.5)),
        ];
        store.write(&events, environment).await.expect("written");
    }
}

async fn removed(store: &mut Store, target: Target<'_>) -> Vec<(String, Fate)> {
    let affected = store.remove(target).await.expect("removed");
    affected.into_iter().map(|trial| (trial.trial_id, trial.fate)).collect()
}

async fn a_sweep_goes_with_what_it_alone_asks_for(dir: &Place) {
    let (small, other) = (small(), other());
    let (mut store, environment) = store_with(dir.path(), &small).await;
    trained(&mut store, environment, &small).await;
    trained(&mut store, environment, &other).await;
    let planned = Reader::open(dir.path()).await.expect("a store").removal(Target::Sweep("small")).await;
    let planned: Vec<(String, Fate)> =
        planned.expect("readable").into_iter().map(|trial| (trial.trial_id, trial.fate)).collect();
    let fates = removed(&mut store, Target::Sweep("small")).await;
    assert_eq!(planned, fates, "what is printed first is what is done");
    assert_eq!(fates.len(), 8);
    let shared = fates.iter().filter(|(_, fate)| *fate == Fate::AskedFor(vec!["other".into()]));
    assert_eq!(shared.count(), 4, "{fates:?}");
    store.close().await.expect("closed");

    let mut reader = Reader::open(dir.path()).await.expect("a store");
    assert_eq!(reader.sweeps().await.expect("readable"), ["other"]);
    assert!(reader.results("other").await.expect("readable").iter().all(|row| row.status == Status::Done));
    drop(reader);
    for (sql, left) in [
        ("SELECT count(*) FROM trials", 8),
        ("SELECT count(*) FROM trials WHERE sweep = 'other'", 8),
        ("SELECT count(*) FROM trials WHERE sweep = 'other' AND schedule = 'still'", 4),
        ("SELECT count(*) FROM metrics", 8 * 20),
        ("SELECT count(*) FROM steps", 8 * 20),
        ("SELECT count(*) FROM evaluations", 8),
        ("SELECT count(*) FROM stages", 8),
    ] {
        assert_eq!(count(dir.path(), sql).await, left, "{sql}");
    }
    is_whole(dir.path()).await;

    // It comes back as if it had never been there.
    let mut store = Store::open(dir.path()).await.expect("a store");
    trained(&mut store, environment, &small).await;
    assert_eq!(store.ended("small").await.expect("readable"), 8);
    store.close().await.expect("closed");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 12 * 20);
}

async fn shared_steps_stay_for_those_that_are_left(dir: &Place) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let ids: Vec<&str> = plan.trials.iter().map(|trial| trial.id.as_str()).collect();
    let (a, b) = (ids[0], ids[1]);
    let events = [
        started(&[a, b], 0),
        stage(1, 0, &[a, b]),
        steps(1, 0..12),
        stage(2, 12, &[b]),
        steps(1, 12..20),
        steps(2, 12..20),
        ended(a, done(0.5)),
        ended(b, done(0.25)),
    ];
    store.write(&events, environment).await.expect("written");
    removed(&mut store, Target::Trials(&[a.to_owned()])).await;
    store.close().await.expect("closed");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let left: Vec<u64> = reader.steps(b).await.expect("readable").iter().map(|row| row.step).collect();
    assert_eq!(left, (0..20).collect::<Vec<_>>());
    assert!(reader.steps(a).await.expect("readable").is_empty());
    // The twelve that were shared, and eight of its own.
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 20);
    is_whole(dir.path()).await;
}

async fn a_removed_trial_is_trained_again(dir: &Place) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    trained(&mut store, environment, &plan).await;
    // As after a later run, which found nothing to train.
    store.close().await.expect("closed");
    let mut store = Store::open(dir.path()).await.expect("a store");
    store.register(&plan, false).await.expect("registered");
    let id = plan.trials[3].id.clone();
    let fates = removed(&mut store, Target::Trials(std::slice::from_ref(&id))).await;
    assert_eq!(fates, [(id.clone(), Fate::Queued(vec!["small".into()]))]);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let row = reader.trial(&id).await.expect("readable").expect("still asked for");
    assert_eq!((row.status, row.digest, row.attempts, row.started_at), (Status::Queued, None, 0, None));
    let claimed = store.claim("small", false, 100).await.expect("claimed");
    assert_eq!(claimed.into_iter().map(|trial| trial.trial_id).collect::<Vec<_>>(), [id]);
    store.close().await.expect("closed");
    is_whole(dir.path()).await;
}

async fn what_is_being_trained_is_not_removed(dir: &Place) {
    let (small, other) = (small(), other());
    let (mut store, _) = store_with(dir.path(), &small).await;
    store.register(&other, false).await.expect("registered");
    store.claim("small", false, 100).await.expect("claimed");
    let mut remover = Store::open(dir.path()).await.expect("a second one");
    let claimed = vec![small.trials[0].id.clone()];
    for target in [Target::Sweep("small"), Target::Trials(&claimed)] {
        let error = remover.remove(target).await.expect_err("it is being trained");
        assert!(matches!(error, StoreError::InTraining { .. }), "{error}");
        assert!(!error.is_users_mistake());
    }
    // What the other one alone asks for nobody trains.
    let fates = removed(&mut remover, Target::Sweep("other")).await;
    assert_eq!(fates.iter().filter(|(_, fate)| *fate == Fate::Removed).count(), 4);
    store.close().await.expect("closed");
    let fates = removed(&mut remover, Target::Sweep("small")).await;
    assert!(fates.iter().all(|(_, fate)| *fate == Fate::Removed), "{fates:?}");
    remover.close().await.expect("closed");
    is_whole(dir.path()).await;
}

async fn what_a_file_asked_for_before_goes_too(dir: &Place) {
    let location: &Location = dir.path();
    let (mut store, environment) = store_with(location, &small()).await;
    trained(&mut store, environment, &small()).await;
    let shorter = plan(&sweep_file("small", "1", "[0.1]", &["constant: {kind: constant}"]));
    trained(&mut store, environment, &shorter).await;
    removed(&mut store, Target::Sweep("small")).await;
    store.close().await.expect("closed");
    assert_eq!(count(location, "SELECT count(*) FROM trials").await, 0);
    assert_eq!(count(location, "SELECT count(*) FROM stages").await, 0);
}
