//! The formula of a schedule gives its lr.

use proptest::prelude::*;
use schedule::tree::Tree;
use schedule::{Horizon, Schedule};

use crate::generate::{check, horizon, node};

/// Compares the formula with lr(t) at every step of the run.
fn same(
    tree: &Tree,
    schedule: &Schedule,
    Horizon { base_lr, total, .. }: Horizon,
) -> Result<(), TestCaseError> {
    let Some(formula) = schedule.formula() else {
        prop_assert_eq!(schedule.feedback(), schedule::Feedback::ClosedLoop, "{}", tree);
        return Ok(());
    };
    let state = schedule.start();
    let lrs: Vec<f64> = (0..total).map(|t| schedule.lr(t, &state)).collect();
    let top = lrs.iter().copied().fold(base_lr, f64::max);
    // Skips overflowing lrs, as of a `rex` that is continued to its pole.
    let written = tree.to_string();
    if top > f64::from(f32::MAX) || (written.contains("rex") && written.contains("continue")) {
        return Ok(());
    }
    let split = written.contains("epoch_fraction");
    for (t, lr) in lrs.iter().enumerate() {
        let found = formula.value(t as f64);
        // If ticks are split, a jump can be off by the last digit, and a root or power of nearly 0 differs
        // from that of 0.
        let (share, least) = if split { (1e-6, 1e-8) } else { (1e-9, 1e-13) };
        let close = |found: f64| (found - lr).abs() <= share * lr.abs() + least * top;
        let nearby = || [t as f64 - 1e-9, t as f64 + 1e-9].iter().any(|t| close(formula.value(*t)));
        let close = close(found) || (split && nearby());
        prop_assert!(close, "{written}\n  at {t} of {total}: {found} instead of {lr}");
    }
    Ok(())
}

#[test]
fn the_formula_gives_every_lr_of_the_run() {
    check(20_000, &(node(3), horizon()), |(tree, horizon)| {
        let Some(node) = schedule::parse(&tree, "", &mut Vec::new()) else { return Ok(()) };
        let Ok(schedule) = node.resolve(&horizon) else { return Ok(()) };
        same(&tree, &schedule, horizon)
    });
}
