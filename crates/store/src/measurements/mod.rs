//! Measurements of the store, which are not run by default:
//! `cargo test --release -p sweep-store --lib measurements -- --ignored --nocapture --test-threads 1`.

mod throughput;
mod workers;

use spec::Plan;
use spec::event::{Event, Final, Outcome, StepRow};

use crate::{Environment, Location, Store};

/// A store with a registered sweep. `text` is its file without data, model and optimizer.
async fn registered(location: impl Into<Location>, text: &str) -> (Store, Plan, i64) {
    let text = format!(
        "{{name: x, data: {{dataset: digits, batch_size: 50}}, model: {{kind: mlp, hidden: [8]}}, \
         optimizer: {{kind: sgd}}, {text}}}"
    );
    let plan = spec::plan(&trainer::read(&text, "x").expect("a good sweep file")).expect("a plan");
    let mut store = Store::open(location).await.expect("a store");
    store.register(&plan, false).await.expect("registered");
    let environment = store.environment(&Environment::default()).await.expect("a number");
    (store, plan, environment)
}

/// Starts trials and their first stage.
fn begin(stage: u64, trials: &[String]) -> [Event; 2] {
    let trial_ids = trials.to_vec();
    [
        Event::Started { trial_ids: trial_ids.clone(), step: 0, bits: Some(1), at: 1 },
        Event::Stage { stage, first: 0, trial_ids },
    ]
}

fn steps(stage: u64, first: u64, rows: u64) -> Event {
    let row = |step| {
        let x = 1.0 / (step + 3) as f64;
        StepRow { step, lr: 0.1 + x, train_loss: 2.3 + x, grad_norm: 1.0 - x }
    };
    Event::Steps { stage, rows: (first..first + rows).map(row).collect(), evaluated: Vec::new() }
}

fn end(trial_id: &str) -> Event {
    let outcome = Outcome::Done(Final {
        train_loss: 1.0,
        valid_loss: 1.0,
        valid_accuracy: Some(0.5),
        test_loss: Some(1.0),
        test_accuracy: Some(0.5),
        metrics: Default::default(),
        digest: "d".repeat(64),
        weights_hash: Some("e".repeat(64)),
    });
    Event::Ended { trial_id: trial_id.to_owned(), outcome, at: 2 }
}
