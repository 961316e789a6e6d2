//! Shared steps: stored once, and shown for each trial as if it had been trained separately.

use spec::Plan;
use spec::event::{Event, Outcome};
use store::{Location, Reader, Sharing, Status, Store, Value};

use crate::support::*;

/// Four trials that differ only in length and seed: two of ten steps, two of twenty.
fn lengths() -> Plan {
    let text = sweep_file("lengths", "2", "[0.1]", &["constant: {kind: constant}"]);
    plan(&text.replace("{steps: 20}", "{steps: {values: [10, 20]}}"))
}

/// Ids of the trials: the short and the long one of seed 0, then those of seed 1.
fn ids(plan: &Plan) -> [&str; 4] {
    let id = |steps, seed| {
        let mut trials = plan.trials.iter();
        let found = trials.find(|trial| trial.config.task.steps == steps && trial.seed == seed);
        found.expect("in the plan").id.as_str()
    };
    [id(10, 0), id(20, 0), id(10, 1), id(20, 1)]
}

/// Steps with a loss that shows in which stage they were trained.
fn trained(stage: u64, steps: std::ops::Range<u64>, loss: f64) -> Event {
    rows(stage, steps.map(|step| step_row(step, loss)).collect())
}

/// Everything that users see of the trials.
async fn visible_rows(dir: &Location) -> Vec<Vec<Vec<Value>>> {
    let mut tables = Vec::new();
    for sql in [
        "SELECT * FROM metrics ORDER BY trial_id, step",
        "SELECT * FROM curves ORDER BY trial_id, schedule, step",
        "SELECT * FROM trials ORDER BY trial_id",
        "SELECT * FROM checkpoints ORDER BY trial_id",
    ] {
        tables.push(query(dir, sql).await);
    }
    tables
}

/// Writes events one batch each, or all in one.
async fn write(store: &mut Store, events: &[Event], environment: i64, at_once: bool) {
    let size = if at_once { events.len() } else { 1 };
    for batch in events.chunks(size) {
        store.write(batch, environment).await.expect("written");
    }
}

async fn numbers(dir: &Location, sweep: &str) -> [i64; 3] {
    let mut reader = Reader::open(dir).await.expect("a store");
    let sharing = reader.sharing(sweep).await.expect("readable").expect("a sweep");
    let Sharing { trials, steps_asked, steps_trained } = sharing;
    // No row belongs to no trial.
    assert_eq!(count(dir, "SELECT count(*) FROM metrics").await, steps_asked);
    assert_eq!(count(dir, "SELECT count(*) FROM steps").await, steps_trained);
    [trials, steps_asked, steps_trained]
}

/// One trial ends early because it is shorter, one diverges while the stage continues, one forks and fails, one forks
/// and is done.
#[tokio::test]
async fn trials_with_shared_steps_look_as_if_trained_separately() {
    let plan = lengths();
    let [short, long, other_short, other_long] = ids(&plan);
    let all = [short, long, other_short, other_long];
    let separate = TestStore::folder();
    let (mut store, environment) = store_with(separate.path(), &plan).await;
    let begin = |number, id: &str| [started(&[id], 0), stage(number, 0, &[id])];
    let events = [
        begin(1, short).to_vec(),
        vec![trained(1, 0..10, 1.0), evaluated(1, short, 4, 0.5), ended(short, done(1.0))],
        begin(2, long).to_vec(),
        vec![trained(2, 0..12, 1.0), trained(2, 12..20, 2.0)],
        vec![evaluated(2, long, 4, 0.25), evaluated(2, long, 14, f64::INFINITY), ended(long, done(2.0))],
        begin(3, other_short).to_vec(),
        vec![trained(3, 0..6, 1.0), ended(other_short, diverged(5, f64::NAN))],
        begin(4, other_long).to_vec(),
        vec![trained(4, 0..12, 1.0), trained(4, 12..15, 3.0), ended(other_long, failed())],
    ];
    write(&mut store, &events.concat(), environment, false).await;
    let expected = visible_rows(separate.path()).await;
    assert_eq!(numbers(separate.path(), "lengths").await, [4, 10 + 20 + 6 + 15, 10 + 20 + 6 + 15]);

    for at_once in [false, true] {
        let shared = TestStore::folder();
        let (mut store, environment) = store_with(shared.path(), &plan).await;
        let events = [
            started(&all, 0),
            stage(1, 0, &all),
            trained(1, 0..8, 1.0),
            evaluated(1, short, 4, 0.5),
            evaluated(1, long, 4, 0.25),
            ended(other_short, diverged(5, f64::NAN)),
            trained(1, 8..12, 1.0),
            ended(short, done(1.0)),
            stage(2, 12, &[long]),
            stage(3, 12, &[other_long]),
            trained(3, 12..15, 3.0),
            trained(2, 12..20, 2.0),
            ended(other_long, failed()),
            evaluated(2, long, 14, f64::INFINITY),
            ended(long, done(2.0)),
            // Late steps that no trial has any more, or that are already stored.
            trained(1, 3..30, 9.0),
            trained(2, 3..30, 9.0),
            trained(3, 3..30, 9.0),
            evaluated(1, long, 15, 9.0),
        ];
        write(&mut store, &events, environment, at_once).await;
        assert_eq!(visible_rows(shared.path()).await, expected, "at once: {at_once}");
        assert_eq!(numbers(shared.path(), "lengths").await, [4, 10 + 20 + 6 + 15, 12 + 8 + 3]);
        assert_eq!(store.next_stage().await.expect("a number"), 4);
        check_integrity(shared.path()).await;
    }
}

async fn steps_of_a_stage_count_for_all_its_trials_up_to_their_length(dir: &TestStore) {
    let plan = lengths();
    let [short, long, ..] = ids(&plan);
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    store
        .write(&[started(&[short, long], 0), stage(1, 0, &[short, long])], environment)
        .await
        .expect("written");
    for (range, steps_done) in [(0..7, [7, 7]), (7..12, [10, 12]), (12..15, [10, 15])] {
        store.write(&[trained(1, range, 1.0)], environment).await.expect("written");
        for (id, steps_done) in [short, long].into_iter().zip(steps_done) {
            let row = reader.trial(id).await.expect("readable").expect("known");
            assert_eq!((row.status, row.steps_done, row.attempts), (Status::Running, steps_done, 1));
            assert_eq!(reader.steps(id).await.expect("rows").len() as i64, steps_done);
        }
    }
    // A fork that is reported late: later steps of the old stage never belonged to it.
    let row = |trial: store::TrialRecord| (trial.steps_done, trial.status);
    store.write(&[stage(2, 9, &[long])], environment).await.expect("written");
    assert_eq!(row(reader.trial(long).await.expect("readable").expect("known")), (9, Status::Running));
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 19, 10]);
    store.write(&[trained(2, 9..11, 2.0)], environment).await.expect("written");
    // These belong to no trial: one is after the end of its trial, one is of a stage that its trial has left.
    let late = [evaluated(1, short, 12, 9.0), evaluated(1, long, 10, 9.0)];
    store.write(&late, environment).await.expect("written");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM evaluations").await, 0);
    let losses: Vec<_> = reader.steps(long).await.expect("rows").iter().map(|row| row.train_loss).collect();
    assert_eq!(losses, [[1.0; 9].as_slice(), &[2.0; 2]].concat());
}

/// A kill loses the steps after the last checkpoint. Training them again gives the same result as without the kill.
#[tokio::test]
async fn trials_resume_together_from_a_checkpoint_within_their_stage() {
    let plan = lengths();
    let [short, long, ..] = ids(&plan);
    let both = [short, long];
    let uninterrupted = TestStore::folder();
    let (mut store, environment) = store_with(uninterrupted.path(), &plan).await;
    let end = [trained(1, 9..20, 1.0), ended(short, done(1.0)), ended(long, done(2.0))];
    let begin = [started(&both, 0), stage(1, 0, &both), trained(1, 0..9, 1.0)];
    write(&mut store, &[&begin[..], &end].concat(), environment, true).await;

    let dir = TestStore::folder();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let begin = [
        started(&both, 0),
        stage(1, 0, &both),
        trained(1, 0..5, 1.0),
        evaluated(1, long, 3, 0.5),
        checkpoint(&both, 5, "five"),
        trained(1, 5..9, 9.0),
        evaluated(1, long, 5, 9.0),
        evaluated(1, short, 8, 9.0),
    ];
    write(&mut store, &begin, environment, true).await;
    drop(store);
    let mut store = Store::open(dir.path()).await.expect("a store");
    let unfinished = store.unfinished("lengths").await.expect("rows");
    let checkpoints = unfinished.iter().filter(|trial| both.contains(&trial.trial_id.as_str()));
    let checkpoints: Vec<_> = checkpoints.map(|trial| trial.checkpoint.clone()).collect();
    assert_eq!(checkpoints, [Some(("five".into(), 5)), Some(("five".into(), 5))]);

    let next = store.next_stage().await.expect("a number");
    store.write(&[started(&both, 5)], environment).await.expect("written");
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 10, 5]);
    let evaluations = query(dir.path(), "SELECT step, valid_loss FROM evaluations").await;
    assert_eq!(evaluations, [[Value::Integer(3), Value::Real(0.5)]]);
    let again =
        [stage(next, 5, &both), trained(next, 5..20, 1.0), ended(short, done(1.0)), ended(long, done(2.0))];
    write(&mut store, &again, environment, true).await;
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 30, 20]);
    let metrics = "SELECT trial_id, step, train_loss FROM metrics ORDER BY 1, 2";
    assert_eq!(query(dir.path(), metrics).await, query(uninterrupted.path(), metrics).await);
    check_integrity(dir.path()).await;
}

async fn a_trial_that_starts_over_keeps_the_steps_it_shared(dir: &TestStore) {
    let plan = lengths();
    let [short, long, ..] = ids(&plan);
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let events = [
        started(&[short, long], 0),
        stage(1, 0, &[short, long]),
        trained(1, 0..14, 1.0),
        evaluated(1, short, 3, 0.5),
        evaluated(1, long, 3, 0.5),
        ended(short, done(1.0)),
        ended(long, Outcome::Stopped { steps: 14 }),
        started(&[long], 0),
    ];
    write(&mut store, &events, environment, true).await;
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 10, 10]);
    write(&mut store, &[stage(2, 0, &[long]), trained(2, 0..3, 2.0)], environment, true).await;
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 13, 13]);
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let mut expected: Vec<_> = (0..10).map(|step| metric_row(step, 1.0, None)).collect();
    expected[3].valid_loss = Some(0.5);
    assert_eq!(reader.steps(short).await.expect("rows"), expected);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM evaluations").await, 1);
    // Unshared steps are deleted.
    write(&mut store, &[started(&[long], 0)], environment, true).await;
    assert_eq!(query(dir.path(), "SELECT stage_id FROM stages").await, [[Value::Integer(1)]]);
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 10, 10]);
    check_integrity(dir.path()).await;
}

async fn a_shared_checkpoint_is_kept_until_no_trial_needs_it(dir: &TestStore) {
    let plan = lengths();
    let [a, b, c, d] = ids(&plan);
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let none = Vec::<String>::new();
    for (event, superseded, kept) in [
        (checkpoint(&[a, b, c, d], 3, "all-3"), vec![], vec!["all-3"]),
        (checkpoint(&[a, b], 5, "ab-5"), vec![], vec!["ab-5", "all-3"]),
        (ended(c, diverged(4, 1.0)), vec![], vec!["ab-5", "all-3"]),
        (ended(d, failed()), vec![], vec!["ab-5", "all-3"]),
        (checkpoint(&[c, d], 6, "cd-6"), vec!["all-3"], vec!["ab-5", "cd-6"]),
        (checkpoint(&[c], 7, "c-7"), vec!["c-7"], vec!["ab-5", "cd-6"]),
        (ended(d, done(1.0)), vec!["cd-6"], vec!["ab-5"]),
        (ended(a, done(1.0)), vec![], vec!["ab-5"]),
        (checkpoint(&[a, b], 5, "ab-5"), vec![], vec!["ab-5"]),
        (ended(b, done(1.0)), vec!["ab-5"], vec![]),
    ] {
        assert_eq!(
            store.write(std::slice::from_ref(&event), environment).await.expect("written"),
            superseded,
            "{event:?}"
        );
        assert_eq!(store.checkpoint_files().await.expect("names"), kept, "{event:?}");
    }
    assert_eq!(store.write(&[], environment).await.expect("written"), none);
}

/// A step that two sweeps share was trained once and counts in both.
async fn sharing_is_counted_within_each_sweep(dir: &TestStore) {
    let plan = lengths();
    let [short, long, ..] = ids(&plan);
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 0, 0]);
    let events = [
        started(&[short, long], 0),
        stage(1, 0, &[short, long]),
        trained(1, 0..20, 1.0),
        ended(short, done(1.0)),
    ];
    write(&mut store, &events, environment, true).await;
    assert_eq!(numbers(dir.path(), "lengths").await, [4, 30, 20]);
    // Two names of the shorter run, and a run that is not trained yet.
    let text = sweep_file("other", "1", "[0.1, 0.2]", &["a: {kind: constant}", "b: {kind: constant}"]);
    store
        .register(&crate::support::plan(&text.replace("steps: 20", "steps: 10")), false)
        .await
        .expect("registered");
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let other = reader.sharing("other").await.expect("readable");
    assert_eq!(other, Some(Sharing { trials: 2, steps_asked: 10, steps_trained: 10 }));
    assert_eq!(reader.sharing("unknown").await.expect("readable"), None);
}

contract! {
    steps_of_a_stage_count_for_all_its_trials_up_to_their_length,
    a_trial_that_starts_over_keeps_the_steps_it_shared,
    a_shared_checkpoint_is_kept_until_no_trial_needs_it,
    sharing_is_counted_within_each_sweep,
}
