//! Ramps, warmups and cooldowns begin and end exactly at their documented lrs.

use proptest::prelude::*;
use schedule::catalogue::{ENTRIES, Entry};
use schedule::tree::Tree;

use crate::generate::{self, bare, check, fit, float, int, map, text, with};

/// Shapes whose formula slightly misses its ends, as documented in their table entries.
const INEXACT_ENDS: [&str; 1] = ["tanh"];

fn ramps() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().copied().filter(|entry| entry.is_ramp())
}

/// A ramp of one kind with its required parameters: `(node, from, to, length)`.
fn ramp(entry: &'static Entry) -> impl Strategy<Value = (Tree, f64, f64, u64)> {
    // Random ends are overwritten below.
    (bare(entry.all_params()), 1e-6..1.0, 1e-6..1.0, 2_u64..50).prop_map(move |(own, from, to, n)| {
        let node = map([("kind", text(entry.kind))].into_iter().chain(own));
        let ends = [("from", float(from)), ("to", float(to)), ("over", int(n as i64))];
        (ends.into_iter().fold(node, |node, (name, value)| with(&node, name, value)), from, to, n)
    })
}

#[test]
fn ramps_begin_and_end_exactly() {
    for entry in ramps().filter(|entry| !INEXACT_ENDS.contains(&entry.kind)) {
        check(200, &(ramp(entry), 0_u64..5), |((node, from, to, n), more)| {
            let lr = |sample: &str, t: u64| {
                let schedule = fit(&with(&node, "sample", text(sample)), n + more);
                schedule.lr(t, &schedule.start())
            };
            prop_assert_eq!(lr("left", 0), from);
            prop_assert_eq!(lr("closed", 0), from);
            prop_assert_eq!(lr("closed", n - 1), to);
            prop_assert_eq!(lr("right", n - 1), to);
            for sample in ["left", "right", "closed", "open"] {
                for t in [n, n + 1, 3 * n, 1_000_000_000, u64::MAX] {
                    prop_assert_eq!(lr(sample, t), to, "{} at {}", sample, t);
                }
            }
            // `left` is one step short of its end, `open` of both ends.
            let inside = [lr("left", n - 1), lr("open", 0), lr("open", n - 1)];
            prop_assert!(inside.iter().all(|lr| *lr != to), "{inside:?}");
            prop_assert!(lr("open", 0) != from);
            Ok(())
        });
    }
}

#[test]
fn shapes_that_miss_their_ends_document_it() {
    for kind in INEXACT_ENDS {
        let entry = schedule::catalogue::find(kind).expect("a kind");
        assert!([entry.ends.before, entry.ends.at].iter().all(|end| end.contains("slightly")), "{kind}");
        check(100, &ramp(entry), |(node, from, to, n)| {
            let schedule = fit(&node, n);
            let lr = |t| schedule.lr(t, &schedule.start());
            let way = (from - to).abs();
            prop_assert!((lr(0) - from).abs() <= 1e-6 * way && (lr(n) - to).abs() <= 0.003 * way);
            prop_assert_eq!(lr(n), lr(u64::MAX));
            Ok(())
        });
    }
}

#[test]
fn ramps_are_monotone_and_within_their_range() {
    for entry in ramps() {
        let sample = prop::sample::select(vec!["left", "right", "closed", "open"]);
        check(200, &(ramp(entry), 0.3..3.0, sample), |((node, from, to, n), k, sample)| {
            let node = with(&with(&node, "k", float(k)), "sample", text(sample));
            let lrs_of = |node: &Tree, steps| {
                let schedule = fit(node, n);
                (0..steps).map(|t| schedule.lr(t, &schedule.start())).collect::<Vec<f64>>()
            };
            let lrs = lrs_of(&node, n + 3);
            let hair = 1e-12 * from.max(to);
            for (t, pair) in lrs.windows(2).enumerate() {
                let step = if from > to { pair[0] - pair[1] } else { pair[1] - pair[0] };
                prop_assert!(step >= -hair, "turns back at {}: {:?}", t, pair);
            }
            let (low, high) = (from.min(to) - hair, from.max(to) + hair);
            for lrs in [lrs, lrs_of(&with(&node, "after", text("stretch")), 3 * n)] {
                prop_assert!(lrs.iter().all(|lr| (low..=high).contains(lr)), "{lrs:?} leave {low}..{high}");
            }
            Ok(())
        });
    }
}

#[test]
fn a_stretched_ramp_reaches_its_end_at_each_multiple() {
    for entry in ramps().filter(|entry| !INEXACT_ENDS.contains(&entry.kind)) {
        check(50, &ramp(entry), |(node, from, to, n)| {
            let schedule = fit(&with(&node, "after", text("stretch")), n);
            let lr = |t| schedule.lr(t, &schedule.start());
            prop_assert_eq!(lr(0), from);
            for cycle in 1..5 {
                prop_assert_eq!(lr(cycle * n), to);
                prop_assert!(lr(cycle * n + 1) != to);
            }
            Ok(())
        });
    }
}

/// Lengths of a run, its warmup and its cooldown, each at least 2.
fn spans() -> impl Strategy<Value = (u64, u64, u64)> {
    (2_u64..20, 2_u64..20, 2_u64..40).prop_map(|(warm, stay, cool)| (warm + stay + cool, warm, cool))
}

#[test]
fn warmups_begin_and_end_exactly() {
    // `constant` and `log` are tested separately.
    let shapes = prop::sample::select(vec!["linear", "cosine", "one_minus_sqrt", "exponential", "power"]);
    check(400, &(shapes, spans(), 1e-6..0.5, 1e-6..0.5), |(shape, (total, warm, _), from, to)| {
        let lr = |sample: &str, t: u64| {
            let over = ("over", int(warm as i64));
            let own = [over, ("from", float(from)), ("shape", text(shape)), ("sample", text(sample))];
            let body = map([("kind", text("linear")), ("from", float(to)), ("to", float(to / 2.0))]);
            let warmup = with(&map(own), "target", float(to));
            let schedule = fit(&map([("warmup", warmup), ("body", body)]), total);
            schedule.lr(t, &schedule.start())
        };
        prop_assert_eq!(lr("left", 0), from);
        prop_assert_eq!(lr("right", warm - 1), to);
        prop_assert_eq!(lr("closed", 0), from);
        prop_assert_eq!(lr("closed", warm - 1), to);
        prop_assert_eq!(lr("left", warm), to);
        prop_assert!(lr("left", warm + 1) < to);
        Ok(())
    });
}

#[test]
fn a_logarithmic_warmup_ends_on_its_last_step() {
    check(50, &(2_u64..40, 0.0..0.01), |(warm, from)| {
        let warmup = map([("over", int(warm as i64)), ("from", float(from)), ("shape", text("log"))]);
        let schedule = fit(&map([("warmup", warmup), ("body", text("1x"))]), warm + 5);
        prop_assert_eq!(schedule.lr(0, &schedule.start()), from);
        prop_assert_eq!(schedule.lr(warm - 1, &schedule.start()), 0.1);
        Ok(())
    });
}

#[test]
fn cooldowns_begin_and_end_exactly() {
    for entry in ramps().filter(|entry| !INEXACT_ENDS.contains(&entry.kind)) {
        check(100, &(bare(entry.params.iter()), spans(), 1e-6..0.5), |(own, (total, warm, cool), to)| {
            let lr = |sample: &str, t: u64| {
                let own = own.iter().filter(|(name, _)| *name != "to").cloned();
                let mut cooldown = map([("shape", text(entry.kind))].into_iter().chain(own));
                for (name, value) in [("over", int(cool as i64)), ("to", float(to)), ("sample", text(sample))]
                {
                    cooldown = with(&cooldown, name, value);
                }
                let body = map([("kind", text("constant")), ("value", text("0.7x"))]);
                let warmup = map([("over", int(warm as i64))]);
                let schedule = fit(&map([("warmup", warmup), ("body", body), ("cooldown", cooldown)]), total);
                schedule.lr(t, &schedule.start())
            };
            let plateau = 0.7 * 0.1;
            prop_assert_eq!(lr("left", total - cool - 1), plateau);
            prop_assert_eq!(lr("left", total - cool), plateau);
            prop_assert!(lr("left", total - cool + 1) != plateau);
            prop_assert_eq!(lr("right", total - 1), to);
            prop_assert_eq!(lr("closed", total - 1), to);
            for t in [total, total + 1, 1_000_000_000] {
                prop_assert_eq!(lr("left", t), to);
            }
            Ok(())
        });
    }
}

#[test]
fn knots_are_reached_exactly() {
    // `log` needs lrs above 0.
    let knots = proptest::collection::vec((1_u64..9, 0.001..1.0), 1..6);
    let interp = prop::sample::select(vec!["linear", "cosine", "constant", "log"]);
    check(300, &(knots, interp), |(gaps, interp)| {
        let mut at = 0;
        let knots: Vec<(u64, f64)> = gaps
            .into_iter()
            .map(|(gap, lr)| {
                at += gap;
                (at, lr)
            })
            .collect();
        let points = knots.iter().map(|(at, lr)| generate::list(vec![int(*at as i64), float(*lr)])).collect();
        let node = map([("kind", text("piecewise")), ("points", generate::list(points))]);
        let schedule = fit(&with(&node, "interp", text(interp)), 60);
        let lr = |t| schedule.lr(t, &schedule.start());
        for (at, value) in &knots {
            prop_assert_eq!(lr(*at), *value);
        }
        let (first, last) = (knots[0], knots[knots.len() - 1]);
        prop_assert_eq!(lr(0), first.1);
        prop_assert_eq!(lr(last.0 + 7), last.1);
        prop_assert_eq!(lr(u64::MAX), last.1);
        Ok(())
    });
}

/// Powers of a number close to 1 lose their last digits; the starts of the cycles must not.
#[test]
fn slowly_growing_cycles_begin_at_the_right_step() {
    let cosine = map([("kind", text("cosine")), ("to", int(0))]);
    let node = map([("restart", cosine), ("every", int(10)), ("mult", float(1.0 + 1e-12))]);
    let schedule = fit(&node, 200);
    for cycle in 0..15 {
        let lr = schedule.lr(10 * cycle, &schedule.start());
        assert!((lr - 0.1).abs() < 1e-9, "cycle {cycle} begins at {lr}");
    }
}

#[test]
fn each_cycle_of_a_restart_begins_at_its_peak() {
    let mult = prop::sample::select(vec![1.0, 1.2, 1.25, 1.5, 2.0, 3.0]);
    check(300, &(5_u64..20, mult, 0.3..1.0), |(every, mult, decay)| {
        let cosine = map([("kind", text("cosine")), ("to", int(0))]);
        let node = map([("restart", cosine), ("every", int(every as i64)), ("mult", float(mult))]);
        let schedule = fit(&with(&node, "decay", float(decay)), 400);
        // Exact in decimal: hundredths of a power of a hundred.
        let (hundredths, mut begin, mut length, mut unit) =
            ((mult * 100.0).round() as u128, 0, u128::from(every), 1);
        for cycle in 0..6 {
            if begin % unit == 0 {
                let t = u64::try_from(begin / unit).expect("a step");
                let (lr, peak) = (schedule.lr(t, &schedule.start()), 0.1 * decay.powi(cycle));
                prop_assert!((lr - peak).abs() <= 1e-12 * peak, "cycle {cycle} at {t}: {lr}, not {peak}");
            }
            (begin, length, unit) = ((begin + length) * 100, length * hundredths, unit * 100);
        }
        Ok(())
    });
}
