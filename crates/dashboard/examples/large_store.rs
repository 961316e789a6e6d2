//! Writes a store of 20,000 trials with 2 million steps, to measure the dashboard: `cargo run --release -p sweep-dashboard --example
//! large_store -- DIR`. Then `sweep dashboard --store DIR`.

use std::path::PathBuf;

use spec::event::{Evaluated, Event, Final, Outcome, StepRow};
use spec::trial::Trial;
use store::{Environment, Store};

const STEPS: u64 = 100;

const FILE: &str = "\
# Which of 25 schedules?
name: large
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [8]}
optimizer: {kind: sgd}
budget: {steps: 100}
evaluate: {every: 10}
extend: false
seeds: 20
lr: {logspace: [0.001, 1, 40]}
schedules:
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: large_store DIR")?);
    let mut text = FILE.to_owned();
    for i in 0..25 {
        text.push_str(&format!("  s{i}: {{kind: cosine, to: {}x}}\n", f64::from(i) / 50.0));
    }
    let problems = |found: Vec<schedule::problem::Problem>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let plan = spec::plan(&trainer::read(&text, "large").map_err(problems)?).map_err(problems)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut store = Store::open(dir.as_path()).await?;
        store.set_sweep("large").await?;
        store.register(&plan, false).await?;
        let environment = store.environment(&Environment::default()).await?;
        store.claim("large", true, usize::MAX).await?;
        for (batch, trials) in plan.trials.chunks(100).enumerate() {
            let first = batch as u64 * 100 + 1;
            let events: Vec<Event> =
                trials.iter().zip(first..).flat_map(|(trial, stage)| events(trial, stage)).collect();
            store.write(&events, environment).await?;
        }
        store.close().await?;
        Ok(())
    })
}

/// A trial from its start to its end.
fn events(trial: &Trial, stage: u64) -> [Event; 4] {
    let (id, lr) = (trial.id.clone(), trial.config.base_lr);
    let noise = (stage as f64 * 0.618).fract() * 0.01;
    let loss = 0.3 + (lr.log10() + 1.0).powi(2) * 0.1 + noise;
    let at = 1_790_000_000_000 + i64::try_from(stage).unwrap_or(0);
    let row = |step| StepRow { step, lr, train_loss: loss + 1.0 / (step + 1) as f64, grad_norm: 1.0 };
    let evaluated =
        |step: u64| Evaluated { trial_id: id.clone(), step, valid_loss: loss + 1.0 / (step + 1) as f64 };
    let rows = (0..STEPS).map(row).collect();
    let evaluations = (9..STEPS).step_by(10).map(evaluated).collect();
    let done = Final {
        train_loss: loss,
        valid_loss: loss,
        valid_accuracy: Some(0.9),
        test_loss: Some(loss),
        test_accuracy: Some(0.9),
        metrics: Default::default(),
        digest: "d".repeat(64),
        weights_hash: None,
    };
    [
        Event::Started { trial_ids: vec![id.clone()], step: 0, bits: Some(2), at },
        Event::Stage { stage, first: 0, trial_ids: vec![id.clone()] },
        Event::Steps { stage, rows, evaluated: evaluations },
        Event::Ended { trial_id: id, outcome: Outcome::Done(done), at: at + 1000 },
    ]
}
