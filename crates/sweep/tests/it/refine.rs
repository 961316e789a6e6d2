//! Lrs between those of a grid, on losses without noise: the expected losses of a task with a closed form.

use std::collections::{BTreeMap, HashMap};

use spec::Plan;
use spec::protocol::AddedBy;
use spec::trial::Trial;
use store::{Status, TrialRecord};
use sweep::plan::{self, Aim};
use sweep::results::Values;
use sweep::{Context, rounds};
use trainer::custom::Tasks;

fn context() -> Context {
    Context { store: store::Location::parse("none".into()), data_dir: None, tasks: Tasks::new(), job: None }
}

/// The expected final loss of a trial.
fn expected(trial: &Trial) -> f64 {
    trainer::expected::losses(trial)
        .ok()
        .and_then(|losses| losses.last().map(|(_, loss)| *loss))
        .expect("a closed form")
}

/// The plan with all decisions of a sweep in which each run ends with its expected loss.
fn decided(text: &str) -> Plan {
    let (spec, first) = plan::of_text(text, "exact", Aim::Train, &context()).expect("no mistake in the file");
    let mut rows: Vec<TrialRecord> = Vec::new();
    let mut losses: HashMap<String, f64> = HashMap::new();
    loop {
        let plan = rounds::decided(&spec, &first, &rows, &Values::default()).expect("decisions");
        let before = rows.len();
        for trial in &plan.trials {
            if rows.iter().any(|row| row.trial_id == trial.id) {
                continue;
            }
            let loss = *losses.entry(trial.config.id.clone()).or_insert_with(|| expected(trial));
            rows.push(TrialRecord {
                trial_id: trial.id.clone(),
                schedule: trial.config.schedule_name.clone(),
                config_id: trial.config.id.clone(),
                base_lr: trial.config.base_lr,
                seed: i64::try_from(trial.seed).expect("a small number"),
                steps: i64::try_from(trial.config.task.steps).expect("a small number"),
                status: if loss.is_finite() { Status::Done } else { Status::Diverged },
                final_valid_loss: Some(loss),
                ..TrialRecord::default()
            });
        }
        if rows.len() == before {
            return plan;
        }
    }
}

/// The lr with the lowest expected loss of each schedule, by golden-section search between half and twice `near`.
fn optimum(text: &str, schedule: &str, near: f64) -> f64 {
    let loss = |log: f64| {
        let lr = format!("lr: {:e}", log.exp());
        let lines = text.lines().map(|line| if line.starts_with("lr:") { lr.as_str() } else { line });
        let text = lines.filter(|line| !line.starts_with("refine")).collect::<Vec<_>>().join("\n");
        let (_, plan) =
            plan::of_text(&text, "exact", Aim::Train, &context()).expect("no mistake in the file");
        expected(
            plan.trials.iter().find(|trial| trial.config.schedule_name == schedule).expect("the schedule"),
        )
    };
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = ((near / 2.0).ln(), (near * 2.0).ln());
    for _ in 0..16 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    f64::midpoint(low, high).exp()
}

#[test]
fn the_lrs_of_the_quadratic_are_within_5_percent_of_the_optimum() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/quadratic.yaml");
    let file = std::fs::read_to_string(path).expect("the experiment");
    assert!(file.contains("\nseeds: 64\n"), "{file}");
    let text = file.replace("\nseeds: 64\n", "\nseeds: {tune: 1, decide: 1}\nrefine: true\n");
    let plan = decided(&text);
    let decisions = plan.decisions;
    assert_eq!(decisions.chosen.len(), 11);
    let mut added: BTreeMap<&str, usize> = BTreeMap::new();
    for lr in &decisions.added {
        assert_eq!(lr.by, AddedBy::Refine, "{lr:?}");
        *added.entry(&lr.schedule).or_default() += 1;
    }
    assert!(added.values().all(|lrs| *lrs <= 2), "{added:?}");
    let mut worst = (0.0_f64, 0.0_f64);
    for chosen in &decisions.chosen {
        let best = optimum(&text, &chosen.schedule, chosen.base_lr);
        let distance = (chosen.base_lr / best - 1.0).abs();
        println!("{}: lr {}, optimum {best:.5}, {:.2} %", chosen.schedule, chosen.base_lr, 100.0 * distance);
        assert!(distance <= 0.05, "{}: {} and {best}", chosen.schedule, chosen.base_lr);
        // The nearest lr of the grid, which has powers of 2.
        let grid = 2_f64.powf(best.log2().round());
        worst = (worst.0.max(distance), worst.1.max((grid / best - 1.0).abs()));
    }
    println!(
        "at most {:.1} % with refined lrs, {:.0} % with those of the grid",
        100.0 * worst.0,
        100.0 * worst.1
    );
}
