//! Removals: which rows they delete and keep, and when they fail.

use spec::Plan;
use store::{Location, Reader, RemovalEffect, RemovalTarget, Status, Store, StoreError};

use crate::support::*;

contract! {
    removing_a_sweep_removes_trials_no_other_sweep_uses,
    shared_steps_are_kept_for_the_remaining_trials,
    a_removed_trial_is_trained_again,
    trials_in_training_are_not_removed,
    removing_a_sweep_removes_trials_of_earlier_versions_of_its_file,
}

/// A plan with one of the schedules of [`small`] and another one.
fn other() -> Plan {
    plan(&sweep_file(
        "other",
        "2",
        "[0.1, 0.2]",
        &["still: {kind: constant}", "linear: {kind: linear, to: 0}"],
    ))
}

/// Trains every trial of a plan separately.
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

async fn removed(store: &mut Store, target: RemovalTarget<'_>) -> Vec<(String, RemovalEffect)> {
    let affected = store.remove(target).await.expect("removed");
    affected.into_iter().map(|trial| (trial.trial_id, trial.effect)).collect()
}

async fn removing_a_sweep_removes_trials_no_other_sweep_uses(dir: &TestStore) {
    let (small, other) = (small(), other());
    let (mut store, environment) = store_with(dir.path(), &small).await;
    trained(&mut store, environment, &small).await;
    trained(&mut store, environment, &other).await;
    let planned =
        Reader::open(dir.path()).await.expect("a store").removal(RemovalTarget::Sweep("small")).await;
    let planned: Vec<(String, RemovalEffect)> =
        planned.expect("readable").into_iter().map(|trial| (trial.trial_id, trial.effect)).collect();
    let effects = removed(&mut store, RemovalTarget::Sweep("small")).await;
    assert_eq!(planned, effects, "the preview equals the removal");
    assert_eq!(effects.len(), 8);
    let shared =
        effects.iter().filter(|(_, effect)| *effect == RemovalEffect::UsedBySweeps(vec!["other".into()]));
    assert_eq!(shared.count(), 4, "{effects:?}");
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
    check_integrity(dir.path()).await;

    // It can be trained again as if it had never existed.
    let mut store = Store::open(dir.path()).await.expect("a store");
    trained(&mut store, environment, &small).await;
    assert_eq!(store.count_ended("small").await.expect("readable"), 8);
    store.close().await.expect("closed");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 12 * 20);
}

async fn shared_steps_are_kept_for_the_remaining_trials(dir: &TestStore) {
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
    removed(&mut store, RemovalTarget::Trials(&[a.to_owned()])).await;
    store.close().await.expect("closed");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let left: Vec<u64> = reader.steps(b).await.expect("readable").iter().map(|row| row.step).collect();
    assert_eq!(left, (0..20).collect::<Vec<_>>());
    assert!(reader.steps(a).await.expect("readable").is_empty());
    // Twelve shared steps and eight of this trial.
    assert_eq!(count(dir.path(), "SELECT count(*) FROM steps").await, 20);
    check_integrity(dir.path()).await;
}

async fn a_removed_trial_is_trained_again(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    trained(&mut store, environment, &plan).await;
    // A later run has registered the plan and found nothing to train.
    store.close().await.expect("closed");
    let mut store = Store::open(dir.path()).await.expect("a store");
    store.register(&plan, false).await.expect("registered");
    let id = plan.trials[3].id.clone();
    let effects = removed(&mut store, RemovalTarget::Trials(std::slice::from_ref(&id))).await;
    assert_eq!(effects, [(id.clone(), RemovalEffect::Requeued(vec!["small".into()]))]);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let row = reader.trial(&id).await.expect("readable").expect("still in the sweep");
    assert_eq!((row.status, row.digest, row.attempts, row.started_at), (Status::Queued, None, 0, None));
    let claimed = store.claim("small", false, 100).await.expect("claimed");
    assert_eq!(claimed.into_iter().map(|trial| trial.trial_id).collect::<Vec<_>>(), [id]);
    store.close().await.expect("closed");
    check_integrity(dir.path()).await;
}

async fn trials_in_training_are_not_removed(dir: &TestStore) {
    let (small, other) = (small(), other());
    let (mut store, _) = store_with(dir.path(), &small).await;
    store.register(&other, false).await.expect("registered");
    store.claim("small", false, 100).await.expect("claimed");
    let mut remover = Store::open(dir.path()).await.expect("a second store");
    let claimed = vec![small.trials[0].id.clone()];
    for target in [RemovalTarget::Sweep("small"), RemovalTarget::Trials(&claimed)] {
        let error = remover.remove(target).await.expect_err("it is being trained");
        assert!(matches!(error, StoreError::InTraining { .. }), "{error}");
        assert!(!error.is_users_mistake());
    }
    // No process trains the trials that only the other sweep uses.
    let effects = removed(&mut remover, RemovalTarget::Sweep("other")).await;
    assert_eq!(effects.iter().filter(|(_, effect)| *effect == RemovalEffect::Removed).count(), 4);
    store.close().await.expect("closed");
    let effects = removed(&mut remover, RemovalTarget::Sweep("small")).await;
    assert!(effects.iter().all(|(_, effect)| *effect == RemovalEffect::Removed), "{effects:?}");
    remover.close().await.expect("closed");
    check_integrity(dir.path()).await;
}

async fn removing_a_sweep_removes_trials_of_earlier_versions_of_its_file(dir: &TestStore) {
    let location: &Location = dir.path();
    let (mut store, environment) = store_with(location, &small()).await;
    trained(&mut store, environment, &small()).await;
    let shorter = plan(&sweep_file("small", "1", "[0.1]", &["constant: {kind: constant}"]));
    trained(&mut store, environment, &shorter).await;
    removed(&mut store, RemovalTarget::Sweep("small")).await;
    store.close().await.expect("closed");
    assert_eq!(count(location, "SELECT count(*) FROM trials").await, 0);
    assert_eq!(count(location, "SELECT count(*) FROM stages").await, 0);
}
