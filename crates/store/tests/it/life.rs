//! Registering sweeps, and the states of their trials.

use spec::event::Outcome;
use store::{Reader, Status, Store};

use crate::support::*;

async fn registering_keeps_the_order_and_is_idempotent(dir: &TestStore) {
    let plan = small();
    let (mut store, _) = store_with(dir.path(), &plan).await;
    let everything = "SELECT t.*, c.* FROM trials AS t JOIN cells AS c USING (trial_id) ORDER BY position";
    let first = query(dir.path(), everything).await;
    assert_eq!(first.len(), 8);
    store.register(&plan, false).await.expect("registered again");
    assert_eq!(query(dir.path(), everything).await, first);

    let rows = Reader::open(dir.path()).await.expect("a store").results("small").await.expect("rows");
    for (row, cell) in rows.iter().zip(&plan.cells) {
        let trial = &plan.trials[cell.trial];
        assert_eq!((&row.schedule, &row.trial_id, row.status), (&cell.schedule, &trial.id, Status::Queued));
        assert_eq!(
            (row.base_lr, row.seed),
            (trial.config.base_lr, i64::try_from(trial.seed).expect("small"))
        );
        assert_eq!(row.config_id, trial.config.id);
    }
    let unfinished = store.unfinished("small").await.expect("rows");
    let ids: Vec<_> = unfinished.iter().map(|trial| &trial.trial_id).collect();
    assert_eq!(ids, plan.trials.iter().map(|trial| &trial.id).collect::<Vec<_>>());
    assert_eq!(store.unfinished("unknown").await.expect("rows"), []);
}

async fn a_changed_sweep_file_replaces_the_cells_and_keeps_the_trials(dir: &TestStore) {
    let plan_before = small();
    let (mut store, environment) = store_with(dir.path(), &plan_before).await;
    let id = &plan_before.trials[0].id;
    let events = [started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..20), ended(id, done(1.0))];
    store.write(&events, environment).await.expect("written");
    let text =
        sweep_file("small", "1", "[0.1]", &["linear: {kind: linear, to: 0}", "constant: {kind: constant}"]);
    store.register(&plan(&text), false).await.expect("registered");

    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let rows = reader.results("small").await.expect("rows");
    let found: Vec<_> = rows.iter().map(|row| (row.schedule.as_str(), row.status)).collect();
    assert_eq!(found, [("linear", Status::Queued), ("constant", Status::Done)]);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM trials").await, 9);
    assert_eq!(query(dir.path(), "SELECT file_text FROM sweeps").await, [[crate::support::text(&text)]]);
}

async fn a_trial_can_belong_to_several_sweeps_and_the_last_run_sweep_is_first(dir: &TestStore) {
    let (mut store, _) = store_with(dir.path(), &small()).await;
    // The same run under another name, with twice the base lr.
    let other = plan(&sweep_file("other", "1", "[0.4]", &["quarter: 0.25x", "half: 0.5x"]));
    store.register(&other, false).await.expect("registered");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM trials").await, 8);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let rows = reader.results("other").await.expect("rows");
    let found: Vec<_> = rows.iter().map(|row| (row.schedule.as_str(), row.base_lr)).collect();
    assert_eq!(found, [("quarter", 0.4), ("half", 0.4)]);
    for view in ["runs", "ranking"] {
        let sql = format!("SELECT base_lr FROM {view} WHERE sweep = 'other'");
        assert_eq!(
            query(dir.path(), &sql).await,
            [[store::Value::Real(0.4)], [store::Value::Real(0.4)]],
            "{view}"
        );
    }
    let trial = reader.trial(&rows[0].trial_id).await.expect("readable").expect("known");
    assert_eq!((trial.sweep.as_str(), trial.schedule.as_str(), trial.base_lr), ("small", "constant", 0.1));

    assert_eq!(reader.sweeps().await.expect("names"), ["other", "small"]);
    store.register(&small(), false).await.expect("registered");
    assert_eq!(reader.sweeps().await.expect("names"), ["small", "other"]);
}

async fn a_trial_goes_from_queued_to_done(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let trial = &plan.trials[1];
    let id = &trial.id;
    let mut reader = Reader::open(dir.path()).await.expect("a store");

    store
        .write(&[started(&[id], 0), stage(7, 0, &[id]), steps(7, 0..7)], environment)
        .await
        .expect("written");
    let row = reader.trial(id).await.expect("readable").expect("known");
    assert_eq!((row.status, row.steps_done, row.attempts), (Status::Running, 7, 1));
    assert_eq!((row.started_at, row.finished_at), (Some(1_000), None));
    assert_eq!(row.environment.as_deref(), Some(&crate::support::environment()));

    store.write(&[steps(7, 7..20), ended(id, done(1.25))], environment).await.expect("written");
    let row = reader.trial(id).await.expect("readable").expect("known");
    assert_eq!((row.status, row.steps, row.steps_done), (Status::Done, 20, 20));
    assert_eq!((row.final_train_loss, row.final_valid_loss), (Some(0.5), Some(1.25)));
    assert_eq!((row.valid_accuracy, row.test_loss, row.test_accuracy), (Some(0.75), Some(12.5), Some(0.625)));
    assert_eq!((row.digest.clone(), row.weights_hash.clone()), (Some("d".repeat(64)), Some("e".repeat(64))));
    assert_eq!((row.started_at, row.finished_at, row.error.clone()), (Some(1_000), Some(9_000), None));
    assert_eq!((row.diverged_at, row.diverged_loss), (None, None));
    assert_eq!((row.base_lr, &row.config_id), (trial.config.base_lr, &trial.config.id));

    // The stored configuration is enough to train it again.
    let again = row.trial().expect("a trial");
    assert_eq!((&again.id, again.seed), (id, trial.seed));
    let stored = reader.steps(id).await.expect("rows");
    assert_eq!(stored, (0..20).map(|step| metric_row(step, 2.0, None)).collect::<Vec<_>>());
    assert_eq!(store.unfinished("small").await.expect("rows").len(), 7);
    store.close().await.expect("closed");
    assert_eq!(reader.trial("unknown").await.expect("readable"), None);
}

async fn axes_are_kept_by_name(dir: &TestStore) {
    let text = sweep_file("small", "1", "[0.1]", &["cosine: {kind: cosine, to: {values: [0, 0.1x]}}"]);
    let plan = plan(&text.replace("momentum: 0.9", "momentum: {values: [0, 0.9]}"));
    store_with(dir.path(), &plan).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    for trial in &plan.trials {
        let row = reader.trial(&trial.id).await.expect("readable").expect("known");
        let mut axes = trial.config.axes.clone();
        axes.sort();
        assert_eq!(row.axes.0, axes);
    }
}

async fn resuming_a_trial_deletes_later_steps(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    let events =
        [started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..8), checkpoint(&[id], 8, "a-8"), steps(1, 8..13)];
    store.write(&events, environment).await.expect("written");
    let unfinished = store.unfinished("small").await.expect("rows");
    assert_eq!(unfinished[0].checkpoint, Some(("a-8".into(), 8)));

    store
        .write(&[started(&[id], 8), stage(2, 8, &[id]), steps(2, 8..10)], environment)
        .await
        .expect("written");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let stored = reader.steps(id).await.expect("rows");
    assert_eq!(stored.iter().map(|row| row.step).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    let row = reader.trial(id).await.expect("readable").expect("known");
    assert_eq!((row.steps_done, row.attempts, row.started_at), (10, 2, Some(1_000)));

    // A step that is reported twice keeps its first row: a trial that has ended may share it.
    store.write(&[rows(2, vec![step_row(9, 7.0)])], environment).await.expect("written");
    let stored = reader.steps(id).await.expect("rows");
    assert_eq!((stored.len(), stored[9].train_loss), (10, 2.0));
}

/// If a checkpoint can't be read, the trial starts over. The checkpoint is not used until the new attempt has reached
/// its step, or there would be steps without rows.
async fn a_checkpoint_ahead_of_the_steps_is_ignored(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    let events = [
        started(&[id], 0),
        stage(1, 0, &[id]),
        steps(1, 0..8),
        checkpoint(&[id], 8, "a-8"),
        started(&[id], 0),
        stage(2, 0, &[id]),
        steps(2, 0..3),
    ];
    assert_eq!(store.write(&events, environment).await.expect("written"), Vec::<String>::new());
    assert_eq!(store.unfinished("small").await.expect("rows")[0].checkpoint, None);
    // The new attempt writes a file of the same name, which must be kept.
    let superseded = store.write(&[steps(2, 3..8), checkpoint(&[id], 8, "a-8")], environment).await;
    assert_eq!(superseded.expect("written"), Vec::<String>::new());
    let unfinished = store.unfinished("small").await.expect("rows");
    assert_eq!(unfinished[0].checkpoint, Some(("a-8".into(), 8)));
    let events = [
        checkpoint(&[id], 9, "a-9"),
        started(&[id], 0),
        stage(3, 0, &[id]),
        steps(3, 0..8),
        checkpoint(&[id], 8, "a-8"),
    ];
    assert_eq!(store.write(&events, environment).await.expect("written"), ["a-9"]);
}

async fn newer_checkpoints_and_the_end_replace_a_checkpoint(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let (a, b) = (&plan.trials[0].id, &plan.trials[1].id);
    let first = [
        started(&[a], 0),
        stage(1, 0, &[a]),
        steps(1, 0..5),
        checkpoint(&[a], 5, "a-5"),
        checkpoint(&[b], 0, "b-0"),
    ];
    assert_eq!(store.write(&first, environment).await.expect("written"), Vec::<String>::new());
    assert_eq!(store.checkpoint_files().await.expect("names"), ["a-5", "b-0"]);
    let second = [steps(1, 5..9), checkpoint(&[a], 7, "a-7"), checkpoint(&[a], 9, "a-9")];
    assert_eq!(store.write(&second, environment).await.expect("written"), ["a-5", "a-7"]);
    let stopped = [ended(a, Outcome::Stopped { steps: 9 }), ended(b, failed())];
    assert_eq!(store.write(&stopped, environment).await.expect("written"), Vec::<String>::new());
    let unfinished = store.unfinished("small").await.expect("rows");
    assert_eq!(unfinished[0].checkpoint, Some(("a-9".into(), 9)));
    assert_eq!(unfinished[1].checkpoint, Some(("b-0".into(), 0)));

    let last = [
        started(&[a], 9),
        stage(2, 9, &[a]),
        steps(2, 9..20),
        ended(a, done(1.0)),
        started(&[b], 0),
        ended(b, diverged(3, 1e9)),
    ];
    assert_eq!(store.write(&last, environment).await.expect("written"), ["a-9", "b-0"]);
    assert_eq!(store.checkpoint_files().await.expect("names"), Vec::<String>::new());
    // A checkpoint after the end is not needed.
    assert_eq!(store.write(&[checkpoint(&[a], 20, "a-20")], environment).await.expect("written"), ["a-20"]);
    assert_eq!(store.checkpoint_files().await.expect("names"), Vec::<String>::new());
}

async fn failed_and_stopped_trials_can_start_again(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let (a, b) = (&plan.trials[0].id, &plan.trials[1].id);
    let events = [
        started(&[a, b], 0),
        stage(1, 0, &[a]),
        stage(2, 0, &[b]),
        steps(1, 0..4),
        ended(a, failed()),
        steps(2, 0..6),
        ended(b, Outcome::Stopped { steps: 6 }),
    ];
    store.write(&events, environment).await.expect("written");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let row = reader.trial(a).await.expect("readable").expect("known");
    assert_eq!((row.status, row.error.as_deref()), (Status::Failed, Some("the machine caught fire")));
    assert_eq!((row.steps_done, row.finished_at), (4, Some(9_000)));
    let row = reader.trial(b).await.expect("readable").expect("known");
    assert_eq!((row.status, row.steps_done, row.finished_at), (Status::Stopped, 6, None));
    assert_eq!(store.unfinished("small").await.expect("rows").len(), 8);

    store.write(&[started(&[a], 0)], environment).await.expect("written");
    let row = reader.trial(a).await.expect("readable").expect("known");
    assert_eq!((row.status, row.error, row.steps_done), (Status::Running, None, 0));
    assert_eq!((row.finished_at, row.attempts), (None, 2));
    assert_eq!(reader.steps(a).await.expect("rows"), []);
}

async fn a_finished_trial_is_never_overwritten(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let (a, b) = (&plan.trials[0].id, &plan.trials[1].id);
    let events = [
        started(&[a], 0),
        stage(1, 0, &[a]),
        steps(1, 0..20),
        ended(a, done(1.0)),
        started(&[b], 0),
        stage(2, 0, &[b]),
        steps(2, 0..4),
        ended(b, diverged(3, f64::INFINITY)),
    ];
    store.write(&events, environment).await.expect("written");
    assert_eq!(store.unfinished("small").await.expect("rows").len(), 6);
    let everything = "SELECT * FROM trials JOIN metrics USING (trial_id) ORDER BY trial_id, step";
    let before = query(dir.path(), everything).await;
    for (id, number) in [(a, 1), (b, 2)] {
        let late = [2, 4, 30].map(|step| step_row(step, 9.0));
        let outcomes = [done(7.0), diverged(1, 2.0), failed(), Outcome::Stopped { steps: 1 }];
        let mut events = vec![
            rows(number, late.to_vec()),
            evaluated(number, id, 2, 9.0),
            started(&[id], 0),
            stage(number + 10, 0, &[id]),
            rows(number + 10, late.to_vec()),
            evaluated(number + 10, id, 2, 9.0),
        ];
        events.extend(outcomes.map(|outcome| ended(id, outcome)));
        store.write(&events, environment).await.expect("written");
    }
    assert_eq!(query(dir.path(), everything).await, before);
}

async fn a_batch_is_written_completely_or_not_at_all(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    for (unknown, name) in [
        (started(&[id, "unknown"], 0), "trial unknown"),
        (stage(2, 0, &["unknown", id]), "trial unknown"),
        (evaluated(1, "unknown", 0, 1.0), "trial unknown"),
        (checkpoint(&["unknown"], 0, "file"), "trial unknown"),
        (ended("unknown", failed()), "trial unknown"),
        (steps(99, 0..1), "stage 99"),
    ] {
        let events = [started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..3), unknown];
        let error = store.write(&events, environment).await.expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
        assert!(!error.is_users_mistake());
    }
    for too_large in [stage(1 << 63, 0, &[id]), stage(1, 1 << 63, &[id])] {
        store.write(&[started(&[id], 0), too_large], environment).await.expect_err("SQLite has 63 bits");
    }
    // An unknown environment violates a foreign key.
    store.write(&[started(&[id], 0)], environment + 1).await.expect_err("a foreign key");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM trials WHERE status <> 'queued'").await, 0);
    for table in ["metrics", "steps", "stages", "trial_stages", "evaluations", "checkpoints"] {
        assert_eq!(count(dir.path(), &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    store
        .write(&[started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..3)], environment)
        .await
        .expect("written");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM metrics").await, 3);
    store.close().await.expect("closed");
    check_integrity(dir.path()).await;
}

async fn an_environment_is_written_once(dir: &TestStore) {
    let mut store = Store::open(dir.path()).await.expect("a store");
    let first = store.environment(&environment()).await.expect("a number");
    let other = store::Environment { threads: 3, ..environment() };
    let second = store.environment(&other).await.expect("a number");
    assert_ne!(first, second);
    assert_eq!(store.environment(&environment()).await.expect("a number"), first);
    assert_eq!(store.environment(&other).await.expect("a number"), second);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM environments").await, 2);
}

async fn trials_are_found_by_the_start_of_their_id(dir: &TestStore) {
    let plan = plan(&sweep_file("many", "40", "[0.1]", &["constant: {kind: constant}"]));
    store_with(dir.path(), &plan).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    for trial in &plan.trials {
        assert_eq!(reader.find(&trial.id).await.expect("ids"), [trial.id.as_str()]);
        let found = reader.find(&trial.id[..1]).await.expect("ids");
        assert!(found.iter().all(|id| id[..1] == trial.id[..1]));
        let all = plan.trials.iter().filter(|other| other.id[..1] == trial.id[..1]).count();
        assert_eq!(found.len(), all.min(10));
    }
    for nothing in
        ["", "g", "%", "_", "'", &plan.trials[0].id.to_uppercase(), &format!("{}0", plan.trials[0].id)]
    {
        assert_eq!(reader.find(nothing).await.expect("ids"), Vec::<String>::new(), "{nothing}");
    }
}

contract! {
    registering_keeps_the_order_and_is_idempotent,
    a_changed_sweep_file_replaces_the_cells_and_keeps_the_trials,
    a_trial_can_belong_to_several_sweeps_and_the_last_run_sweep_is_first,
    a_trial_goes_from_queued_to_done,
    axes_are_kept_by_name,
    resuming_a_trial_deletes_later_steps,
    a_checkpoint_ahead_of_the_steps_is_ignored,
    newer_checkpoints_and_the_end_replace_a_checkpoint,
    failed_and_stopped_trials_can_start_again,
    a_finished_trial_is_never_overwritten,
    a_batch_is_written_completely_or_not_at_all,
    an_environment_is_written_once,
    trials_are_found_by_the_start_of_their_id,
}
