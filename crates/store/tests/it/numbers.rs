//! Numbers are read as they were written, also those that SQLite can't represent.

use spec::event::{Evaluated, Event, StepRow};
use store::{Reader, Status};

use crate::support::*;

async fn steps_keep_their_bits_and_nan_and_infinity(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    let odd = [
        0.1 + 0.2,
        f64::MIN_POSITIVE / 8.0,
        f64::MAX,
        3.0,
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let rows: Vec<StepRow> = odd
        .into_iter()
        .zip(0..)
        .map(|(x, step)| StepRow { step, lr: x, train_loss: x, grad_norm: x })
        .collect();
    let evaluated: Vec<Evaluated> = odd
        .into_iter()
        .zip(0..)
        .map(|(x, step)| Evaluated { trial_id: id.clone(), step, valid_loss: x })
        .collect();
    let events = [
        started(&[id], 0),
        stage(1, 0, &[id]),
        Event::Steps { stage: 1, rows: rows.clone(), evaluated: evaluated.clone() },
    ];
    store.write(&events, environment).await.expect("written");
    let stored = Reader::open(dir.path()).await.expect("a store").steps(id).await.expect("rows");
    assert_eq!(stored.len(), rows.len());
    // Adds zero because SQLite stores minus zero as zero.
    let bits = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
    for ((stored, row), evaluated) in stored.iter().zip(&rows).zip(&evaluated) {
        assert_eq!(stored.step, row.step);
        assert_eq!(bits(stored.lr), bits(row.lr));
        assert_eq!(bits(stored.train_loss), bits(row.train_loss));
        assert_eq!(bits(stored.grad_norm), bits(row.grad_norm));
        // NULL means no validation loss, so a NaN is lost; the trial has it as `diverged_loss`.
        assert_eq!(stored.valid_loss.map(bits), Some(evaluated.valid_loss).filter(|x| !x.is_nan()).map(bits));
    }
}

/// All batch sizes work, although statements have fixed sizes.
async fn every_row_of_a_batch_is_stored(dir: &TestStore) {
    let text = sweep_file("long", "1", "[0.1]", &["constant: {kind: constant}"]);
    let plan = plan(&text.replace("steps: 20", "steps: 5000"));
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    store.write(&[started(&[id], 0), stage(1, 0, &[id])], environment).await.expect("written");
    let mut first = 0;
    for size in [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1100] {
        let steps = first..first + size;
        let evaluation = |step| Evaluated { trial_id: id.clone(), step, valid_loss: step as f64 };
        let evaluated = steps.clone().map(evaluation).collect();
        let rows = steps.map(|step| step_row(step, -(step as f64))).collect();
        store.write(&[Event::Steps { stage: 1, rows, evaluated }], environment).await.expect("written");
        first += size;
    }
    let stored = Reader::open(dir.path()).await.expect("a store").steps(id).await.expect("rows");
    let expected: Vec<_> =
        (0..first).map(|step| metric_row(step, -(step as f64), Some(step as f64))).collect();
    assert!(stored == expected, "{} rows of {first}", stored.len());
}

async fn the_loss_of_a_diverged_trial_is_kept(dir: &TestStore) {
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    for ((trial, loss), number) in plan.trials.iter().zip([f64::NAN, f64::INFINITY, 1e300]).zip(1..) {
        let id = &trial.id;
        let events =
            [started(&[id], 0), stage(number, 0, &[id]), steps(number, 0..4), ended(id, diverged(3, loss))];
        store.write(&events, environment).await.expect("written");
        let row = reader.trial(&trial.id).await.expect("readable").expect("known");
        assert_eq!((row.status, row.diverged_at, row.steps_done), (Status::Diverged, Some(3), 4));
        let stored = row.diverged_loss.expect("a loss");
        assert!(stored == loss || stored.is_nan() && loss.is_nan(), "{stored} and {loss}");
        assert_eq!((row.digest, row.finished_at), (Some("f".repeat(64)), Some(9_000)));
        assert_eq!((row.final_train_loss, row.final_valid_loss), (None, None));
    }
}

async fn the_largest_seed_of_a_sweep_file_is_kept(dir: &TestStore) {
    let largest = "[9223372036854775807]";
    let plan = plan(&sweep_file("small", largest, "[0.1]", &["constant: {kind: constant}"]));
    let (_store, _) = store_with(dir.path(), &plan).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    assert_eq!(reader.results("small").await.expect("rows")[0].seed, i64::MAX);
    let row = reader.trial(&plan.trials[0].id).await.expect("readable").expect("known");
    assert_eq!(row.seed, 9_223_372_036_854_775_807);
}

contract! {
    steps_keep_their_bits_and_nan_and_infinity,
    every_row_of_a_batch_is_stored,
    the_loss_of_a_diverged_trial_is_kept,
    the_largest_seed_of_a_sweep_file_is_kept,
}
