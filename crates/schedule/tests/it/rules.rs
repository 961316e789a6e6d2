//! Closed-loop rules inside combinators: their inputs and their resets.

use std::collections::BTreeMap;

use schedule::AfterUpdate;
use schedule::tree::Tree;

use crate::generate::{Seen, fit, float, int, list, map, text, trajectory, with};

/// Halves the lr at each check without improvement.
fn halving() -> Tree {
    let plateau = map([("kind", text("plateau")), ("factor", float(0.5)), ("patience", int(0))]);
    with(&plateau, "threshold", int(0))
}

/// Losses that never fall after the first.
fn flat(steps: usize) -> Seen {
    vec![(1.0, 1.0); steps]
}

fn lrs(tree: &Tree, steps: usize) -> Vec<f64> {
    trajectory(&fit(tree, steps as u64), &flat(steps))
}

#[test]
fn a_rule_acts_on_the_next_step() {
    assert_eq!(lrs(&halving(), 5), [0.1, 0.1, 0.05, 0.025, 0.0125]);
}

#[test]
fn each_cycle_of_a_restart_begins_with_a_fresh_rule() {
    let restart = map([("restart", halving()), ("every", int(3))]);
    assert_eq!(lrs(&restart, 7), [0.1, 0.1, 0.05, 0.1, 0.1, 0.05, 0.1]);
    // The decayed peak is `1x` inside.
    let decayed = with(&restart, "decay", float(0.5));
    assert_eq!(lrs(&decayed, 7), [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]);
}

#[test]
fn cycles_of_one_step_work() {
    let restart = map([("restart", halving()), ("every", int(1))]);
    assert_eq!(lrs(&restart, 4), [0.1; 4]);
}

#[test]
fn a_rule_has_no_inputs_from_other_phases() {
    let first = map([("for", int(3)), ("value", text("2x"))]);
    let phases = map([("phases", list(vec![first, halving()]))]);
    assert_eq!(lrs(&phases, 7), [0.2, 0.2, 0.2, 0.1, 0.1, 0.05, 0.025]);
}

#[test]
fn two_rules_have_separate_memories() {
    let first = with(&halving(), "for", int(3));
    let second = with(&halving(), "factor", float(0.1));
    let phases = map([("phases", list(vec![first, second]))]);
    let found = lrs(&phases, 6);
    let wanted = [0.1, 0.1, 0.05, 0.1, 0.1, 0.01];
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
}

#[test]
fn a_rule_has_no_inputs_during_a_warmup() {
    let warmup = map([("over", int(2)), ("from", float(0.02))]);
    let found = lrs(&map([("warmup", warmup), ("body", halving())]), 6);
    let wanted = [0.02, 0.06, 0.1, 0.1, 0.05, 0.025];
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
}

#[test]
fn a_rule_has_inputs_during_a_multiplying_warmup() {
    let warmup = map([("over", int(2)), ("from", text("1x")), ("mode", text("multiply"))]);
    assert_eq!(lrs(&map([("warmup", warmup), ("body", halving())]), 4), [0.1, 0.1, 0.05, 0.025]);
}

#[test]
fn a_cooldown_starts_at_the_lr_of_the_rule() {
    let cooldown = map([("over", int(2)), ("to", int(0))]);
    assert_eq!(lrs(&map([("body", halving()), ("cooldown", cooldown)]), 5), [0.1, 0.1, 0.05, 0.025, 0.0125]);
}

fn greedy() -> Tree {
    let ends = [("min", float(0.05)), ("max", float(0.4)), ("factor", float(0.5)), ("patience", int(0))];
    map([("kind", text("greedy"))].into_iter().chain(ends))
}

/// Only the first check is an improvement; the second reduction at the lower bound resets the rule.
#[test]
fn greedy_resets_after_reductions_at_its_lower_bound() {
    assert_eq!(lrs(&with(&greedy(), "reset_after", int(2)), 8), [0.1, 0.2, 0.1, 0.05, 0.1, 0.2, 0.1, 0.05]);
}

#[test]
fn greedy_waits_after_each_change() {
    let waiting = with(&with(&greedy(), "warmup", int(2)), "cooldown", int(1));
    // Up, two checks of waiting, down, one of waiting, down.
    assert_eq!(lrs(&waiting, 8), [0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05]);
}

/// The running mean falls although single losses rise.
#[test]
fn greedy_smooths_its_metric() {
    let schedule = fit(&with(&greedy(), "smooth", int(2)), 10);
    let seen: Seen = [4.0, 2.0, 3.0, 1.0].map(|loss| (loss, 1.0)).to_vec();
    // The means 4, 3, 2.5 and 2 are improvements up to the upper bound.
    assert_eq!(trajectory(&schedule, &seen), [0.1, 0.2, 0.4, 0.4]);
    let plain = fit(&greedy(), 10);
    assert_eq!(trajectory(&plain, &seen), [0.1, 0.2, 0.4, 0.2]);
}

#[test]
fn adaptive_divides_and_stops() {
    let ends = [("divide", int(10)), ("patience", int(0)), ("stop_below", float(0.01))];
    let node = map([("kind", text("adaptive"))].into_iter().chain(ends));
    let found = lrs(&node, 5);
    // At an lr of `stop_below` it stops.
    assert_eq!(found, [0.1, 0.1, 0.01, 0.0, 0.0]);
}

#[test]
fn bold_driver_follows_each_rise_and_fall() {
    let node = map([("kind", text("bold_driver")), ("up", int(2)), ("down", float(0.5))]);
    let seen: Seen = [3.0, 2.0, 2.0, 1.0, f64::NAN].map(|loss| (loss, 1.0)).to_vec();
    let schedule = fit(&node, 10);
    assert_eq!(trajectory(&schedule, &seen), [0.1, 0.1, 0.2, 0.1, 0.2]);
}

#[test]
fn adagrad_norm_counts_the_gradient_of_the_current_step() {
    let node = map([("kind", text("adagrad_norm")), ("b0", int(7))]);
    let found = trajectory(&fit(&node, 2), &vec![(1.0, 9.0), (1.0, 9.0)]);
    assert!((found[0] - 0.1 / 4.0).abs() < 1e-9 && (found[1] - 0.1 / 5.0).abs() < 1e-9, "{found:?}");
}

/// A cooldown of length 0 has no effect, also after the end.
#[test]
fn a_rule_has_inputs_during_a_cooldown_of_length_0() {
    let cooldown = map([("over", int(0)), ("to", int(0))]);
    let schedule = fit(&map([("body", halving()), ("cooldown", cooldown)]), 3);
    assert_eq!(trajectory(&schedule, &flat(5)), lrs(&halving(), 5));
}

/// A rule has no inputs during a warmup at the start of a cycle. Its state from the cycle before must not be
/// used.
#[test]
fn a_warmup_in_a_new_cycle_uses_the_reset_rule() {
    let warmup = map([("over", int(2)), ("from", int(0)), ("target", text("body"))]);
    let cycle = map([("warmup", warmup), ("body", halving())]);
    let found = lrs(&map([("restart", cycle), ("every", int(5))]), 10);
    assert_eq!(found[..5], found[5..], "{found:?}");
    assert_eq!(found[1], 0.05);
}

#[test]
fn a_rule_checks_at_the_end_of_each_interval() {
    let every = with(&halving(), "every", int(2));
    assert_eq!(lrs(&every, 8), [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
    let schedule = fit(&every, 8);
    let wants: Vec<bool> = (0..4).map(|t| schedule.wants_validation(t)).collect();
    assert_eq!(wants, [false, true, false, true]);
    let train = fit(&with(&every, "watch", text("train_loss")), 8);
    assert!((0..8).all(|t| !train.wants_validation(t)));
}

/// Cycles of 5, 7.5, 11.25 steps: the second begins at step 5, the third between 12 and 13.
#[test]
fn a_rule_checks_in_cycles_that_begin_between_steps() {
    let cycle = with(&halving(), "every", int(2));
    let restart = map([("restart", cycle), ("every", int(5)), ("mult", float(1.5))]);
    let found = lrs(&restart, 20);
    assert_eq!(found[12..17], [0.025, 0.1, 0.1, 0.1, 0.1], "{found:?}");
    assert_eq!(found[17..], [0.05, 0.05, 0.025], "{found:?}");
}

#[test]
fn a_rule_that_acts_on_the_same_step_uses_the_batch_loss() {
    assert_eq!(lrs(&with(&halving(), "apply", text("same")), 4), [0.1, 0.05, 0.025, 0.0125]);
}

/// Expected lrs: those of torch 2.15's `ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=0)` for these accuracies at lr 0.1.
#[test]
fn a_rule_that_watches_the_accuracy_waits_for_it_to_rise() {
    let accuracies = [0.5, 0.6, 0.6, 0.59, 0.7, 0.7, 0.7, 0.65];
    let lrs = |node: &Tree| -> Vec<f64> {
        let schedule = fit(node, 8);
        let mut state = schedule.start();
        let shown = |(t, accuracy): (u64, f64)| {
            let lr = schedule.lr(t, &state);
            // The loss always falls. If the rule watched it, the lr would never change.
            let valid_loss = Some(1.0 / (1.0 + t as f64));
            // An accuracy that a program reports by another name.
            let (valid_accuracy, own) =
                (Some(accuracy), &BTreeMap::from([("eval/top5".to_owned(), accuracy)]));
            let after = AfterUpdate { train_loss: 1.0, valid_loss, valid_accuracy, own, evaluated: true };
            schedule.after_update(&mut state, t, &after);
            lr
        };
        (0..).zip(accuracies).map(shown).collect()
    };
    let watching_metric = |metric: &str, mode: Option<&str>| {
        let ends = [("kind", text("plateau")), ("factor", float(0.5)), ("patience", int(0))];
        let node = with(&map(ends), "watch", text(metric));
        mode.map_or(node.clone(), |mode| with(&node, "mode", text(mode)))
    };
    let watching = |mode: Option<&str>| watching_metric("valid_accuracy", mode);
    let max = [0.1, 0.1, 0.1, 0.05, 0.025, 0.025, 0.0125, 0.00625];
    let min = [0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625];
    for (mode, wanted) in [(None, max), (Some("max"), max), (Some("min"), min)] {
        assert_eq!(lrs(&watching(mode)), wanted, "{mode:?}");
        if mode.is_some() {
            assert_eq!(lrs(&watching_metric("eval/top5", mode)), wanted, "{mode:?}");
        }
    }
    let needs = fit(&watching(None), 8).needs();
    assert!(needs.accuracy && !needs.loss);
    let every = with(&watching(None), "every", int(4));
    let wants: Vec<bool> = (0..8).map(|t| fit(&every, 8).wants_validation(t)).collect();
    assert_eq!(wants, [false, false, false, true, false, false, false, true]);
}

/// The distance from the minimum divided by the squared norm, from 0 to `max`.
#[test]
fn polyak_follows_its_formula() {
    let node = map([("kind", text("polyak")), ("f_min", float(0.5)), ("max", text("2x"))]);
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let seen: Seen =
        vec![(1.0, 4.0), (1.0, 1.0), (0.25, 1.0), (0.5, 1.0), (1.0, 0.0), (nan, 1.0), (1.0, nan), (inf, 1.0)];
    let found = trajectory(&fit(&node, 8), &seen);
    assert_eq!(found, [0.125, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let eps = with(&with(&node, "eps", float(1.0)), "max", int(3));
    assert_eq!(trajectory(&fit(&eps, 3), &vec![(1.5, 4.0), (1.5, 0.0), (9.0, 0.0)]), [0.2, 1.0, 3.0]);
}

#[test]
fn a_schedule_reports_its_needs() {
    let needs = |node: &Tree| {
        let needs = fit(node, 10).needs();
        (needs.loss, needs.gradient)
    };
    let (polyak, adagrad) = (map([("kind", text("polyak"))]), map([("kind", text("adagrad_norm"))]));
    assert_eq!(needs(&text("1x")), (false, false));
    assert_eq!(needs(&halving()), (true, false));
    assert_eq!(needs(&adagrad), (false, true));
    assert_eq!(needs(&polyak), (true, true));
    // Includes phases that have not begun.
    let later = list(vec![with(&halving(), "for", int(3)), adagrad]);
    assert_eq!(needs(&map([("phases", later)])), (true, true));
}
