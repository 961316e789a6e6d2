//! Lengths: percent of the segment, rounded half up; epochs; steps.

use schedule::{Horizon, Schedule};

use crate::generate::{fit, int, list, map, parse, text, with};

/// A schedule that falls to 0 after a length.
fn drop_after(length: &str, total: u64, steps_per_epoch: u64) -> Schedule {
    let values = list(vec![text("1x"), int(0)]);
    let node = map([("kind", text("multistep")), ("at", list(vec![text(length)])), ("values", values)]);
    let horizon = Horizon { base_lr: 1.0, total, steps_per_epoch: Some(steps_per_epoch) };
    parse(&node).resolve(&horizon).expect("a milestone")
}

fn drops_at(schedule: &Schedule, t: u64) -> bool {
    let lr = |t| schedule.lr(t, &schedule.start());
    lr(t) == 0.0 && (t == 0 || lr(t - 1) == 1.0)
}

#[test]
fn percentages_are_rounded_half_up() {
    for total in [1, 2, 3, 7, 10, 25, 50, 99, 100, 250, 781, 1500, 2750, 3850, 46_900, 1_000_000] {
        for tenths in 0..=1000_u64 {
            // In integers: tenths * total / 1000, rounded half up.
            let wanted = (2 * tenths * total + 1000) / 2000;
            let percent = format!("{}.{}%", tenths / 10, tenths % 10);
            let schedule = drop_after(&percent, total, 1);
            assert!(drops_at(&schedule, wanted), "{percent} of {total} is not {wanted}");
        }
    }
}

#[test]
fn epochs_and_steps_convert_to_steps() {
    for (length, wanted) in
        [("3 epochs", 21), ("1 epoch", 7), ("0.5 epochs", 4), ("13 steps", 13), ("1 step", 1)]
    {
        assert!(drops_at(&drop_after(length, 100, 7), wanted), "{length}");
    }
}

#[test]
fn percentages_refer_to_the_segment() {
    // The second phase has 60 of 100 steps, and half of them is 30.
    let step = map([("kind", text("step")), ("every", text("50%")), ("gamma", text("nothing"))]);
    let step = with(&step, "gamma", crate::generate::float(0.5));
    let first = map([("for", text("40%")), ("value", text("1x"))]);
    let schedule = fit(&map([("phases", list(vec![first, step]))]), 100);
    let lr = |t| schedule.lr(t, &schedule.start());
    assert_eq!([lr(69), lr(70), lr(99), lr(100)], [0.1, 0.05, 0.05, 0.025]);
}

#[test]
fn a_clock_in_epochs_counts_lengths_in_epochs() {
    let step = map([("kind", text("step")), ("every", int(2)), ("gamma", crate::generate::float(0.5))]);
    let schedule = fit(&with(&step, "clock", text("epoch")), 70);
    let lr = |t| schedule.lr(t, &schedule.start());
    assert_eq!([lr(0), lr(13), lr(14), lr(27), lr(28)], [0.1, 0.1, 0.05, 0.05, 0.025]);
}

/// 0.3 epochs over 0.1 epochs is a little less than 3 in floating point.
#[test]
fn fractions_of_an_epoch_keep_every_drop() {
    let step =
        map([("kind", text("step")), ("every", text("0.1 epochs")), ("gamma", crate::generate::float(0.5))]);
    let node = with(&step, "clock", text("epoch_fraction"));
    let schedule = parse(&node)
        .resolve(&Horizon { base_lr: 1.0, total: 40, steps_per_epoch: Some(10) })
        .expect("a schedule");
    for t in 0..40_u64 {
        assert_eq!(schedule.lr(t, &schedule.start()), 0.5_f64.powi(t as i32), "step {t}");
    }
}
