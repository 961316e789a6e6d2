//! Formulas with many cases, compared step by step with slow definitions.

use schedule::tree::Tree;

use crate::generate::{fit, float, int, list, map, text, with};

fn lrs(node: &Tree, total: u64, steps: u64) -> Vec<f64> {
    let schedule = fit(node, total);
    (0..steps).map(|t| schedule.lr(t, &schedule.start())).collect()
}

fn close(found: &[f64], wanted: &[f64], what: &str) {
    for (t, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= 1e-12 * wanted.abs(), "{what}: lr({t}) is {found}, not {wanted}");
    }
}

/// The algorithm of the library: doubles a list of indices until it has at least n - 2, takes the nodes in
/// that order from the third step on, and stays at the last one.
#[test]
fn chebyshev_follows_the_library_for_every_number_of_epochs() {
    for epochs in 1..70_u32 {
        let nodes = if epochs > 1 { 1_usize << (32 - (epochs - 1).leading_zeros()) } else { 1 };
        let mut order = vec![0];
        while order.len() + 2 < nodes {
            let mirror = 2 * order.len() - 1;
            order = order.iter().flat_map(|i| [*i, mirror - i]).collect();
        }
        let wanted: Vec<f64> = (0..80_usize)
            .map(|t| {
                let i = order[t.saturating_sub(2).min(order.len() - 1)] as f64;
                0.1 / (0.525 - 0.475 * (std::f64::consts::PI * (i + 0.5) / nodes as f64).cos())
            })
            .collect();
        let node = map([("kind", text("chebyshev")), ("epochs", int(epochs.into()))]);
        close(&lrs(&node, 80, 80), &wanted, &format!("{epochs} epochs"));
    }
}

/// Milestones one by one: gammas multiply, values replace, `offset` moves the clock.
#[test]
fn multistep_counts_milestones_with_their_offset() {
    let at = [0_i64, 3, 3, 8];
    for offset in [-2_i64, -1, 0, 1, 4] {
        let node = map([("kind", text("multistep")), ("at", list(at.iter().map(|m| int(*m)).collect()))]);
        let node = with(&node, "offset", int(offset));
        let passed = |t: i64| at.iter().filter(|m| **m <= t + offset).count();
        let gamma: Vec<f64> = (0..12).map(|t| 0.1 * 0.5_f64.powi(passed(t) as i32)).collect();
        close(&lrs(&with(&node, "gamma", float(0.5)), 12, 12), &gamma, "gamma");
        let factors = [0.5, 0.1, 3.0, 0.2];
        let gammas: Vec<f64> = (0..12).map(|t| 0.1 * factors[..passed(t)].iter().product::<f64>()).collect();
        let written = list(factors.iter().map(|x| float(*x)).collect());
        close(&lrs(&with(&node, "gammas", written), 12, 12), &gammas, "gammas");
        let values: Vec<f64> = (0..12).map(|t| passed(t) as f64).collect();
        let written = list((0..5).map(int).collect());
        close(&lrs(&with(&node, "values", written), 12, 12), &values, "values");
    }
}

/// Cycle by cycle: lengths add up, peaks decay as `decay_on` says, then comes `then`.
#[test]
fn restart_counts_its_cycles() {
    let line = map([("kind", text("linear")), ("to", text("0.1x"))]);
    let node = map([("restart", line), ("every", int(4)), ("mult", int(2)), ("decay", float(0.5))]);
    let node = with(&with(&with(&node, "limit", int(3)), "then", float(0.007)), "floor", float(0.02));
    for decay_on in ["peak", "amplitude", "all"] {
        let mut wanted = Vec::new();
        for cycle in 0..3 {
            let (n, decay) = (4 << cycle, 0.5_f64.powi(cycle));
            for s in 0..n {
                let p = f64::from(s) / f64::from(n);
                let line = 0.01 + (0.1 - 0.01) * (1.0 - p);
                wanted.push(match decay_on {
                    // With `1x` inside, both decay all lrs of a cycle.
                    "peak" | "all" => line * decay,
                    _ => 0.02 + (line - 0.02) * decay,
                });
            }
        }
        wanted.extend([0.007; 5]);
        close(&lrs(&with(&node, "decay_on", text(decay_on)), 28, 33), &wanted, decay_on);
    }
    let absolute = map([("kind", text("linear")), ("to", float(0.01))]);
    let found = lrs(&with(&node, "restart", absolute), 28, 12);
    // Halfway through the second cycle: only its peak has decayed.
    close(&found[8..9], &[0.01 + (0.05 - 0.01) * 0.5], "an absolute end");
}

/// Compares knot by knot, with knots between steps.
#[test]
fn one_cycle_reaches_its_knots() {
    for (three_phase, pct, n) in
        [(false, 0.3, 20), (true, 0.3, 20), (true, 0.45, 37), (false, 0.0, 9), (false, 1.0, 9)]
    {
        let mut knots = vec![(0.0, 0.004), (pct * f64::from(n) - 1.0, 0.1)];
        if three_phase {
            knots.push((2.0 * pct * f64::from(n) - 2.0, 0.004));
        }
        knots.push((f64::from(n) - 1.0, 4e-5));
        let wanted: Vec<f64> = (0..n)
            .map(|t| {
                let s = f64::from(t);
                let next = (1..knots.len()).find(|i| s <= knots[*i].0).unwrap_or(knots.len() - 1);
                let ((a, from), (b, to)) = (knots[next - 1], knots[next]);
                from + (to - from) * (s - a) / (b - a)
            })
            .collect();
        let node = map([("kind", text("one_cycle")), ("pct_start", float(pct)), ("div", int(25))]);
        let node = with(&with(&node, "final_div", int(100)), "anneal", text("linear"));
        let node = with(&node, "three_phase", Tree::new(schedule::tree::Value::Bool(three_phase)));
        let found = lrs(&node, n as u64, n as u64 + 3);
        close(&found, &wanted, &format!("{three_phase} {pct} {n}"));
        // After the last step the lr does not change.
        assert_eq!(found[n as usize..], [found[n as usize - 1]; 3]);
    }
}

/// In a later, longer cycle the rise can take 0 steps. Then the cycle begins at its peak.
#[test]
fn one_cycle_without_a_rise_begins_at_its_peak() {
    let cycle = map([("kind", text("one_cycle")), ("pct_start", float(0.1))]);
    let found = lrs(&map([("restart", cycle), ("every", int(5)), ("mult", int(2))]), 15, 15);
    assert_eq!(found[5], 0.1);
    assert!(found[6] < 0.1);
}

/// `k` bends the clock of every ramp and every cooldown: the lr at progress p is that of the plain curve at p^k.
#[test]
fn k_is_the_exponent_of_progress_in_every_ramp() {
    for entry in schedule::catalogue::ENTRIES.iter().filter(|entry| entry.is_ramp()) {
        let power = entry.params.iter().any(|param| param.name == "power");
        let with_power = |node: Tree| if power { with(&node, "power", float(1.5)) } else { node };
        let node = with_power(map([("kind", text(entry.kind)), ("to", text("0.1x"))]));
        let (bent, plain) = (lrs(&with(&node, "k", int(2)), 10, 10), lrs(&node, 100, 100));
        let wanted: Vec<f64> = (0..10).map(|t| plain[t * t]).collect();
        close(&bent, &wanted, entry.kind);
        let cooldown = [("over", int(10)), ("shape", text(entry.kind)), ("to", text("0.1x")), ("k", int(2))];
        let cooldown = with_power(map(cooldown));
        close(&lrs(&map([("body", text("1x")), ("cooldown", cooldown)]), 10, 10), &bent, entry.kind);
    }
}

/// The lowest lrs do not change when the peaks overflow.
#[test]
fn the_minimum_of_growing_cycles_does_not_change() {
    let node =
        map([("kind", text("cyclic")), ("min", float(0.02)), ("up", int(5)), ("mode", text("exp_range"))]);
    let schedule = fit(&with(&node, "gamma", float(1.5)), 20);
    for t in [0, 10, 10_000_000] {
        assert_eq!(schedule.lr(t, &schedule.start()), 0.02, "step {t}");
    }
    assert!(schedule.lr(10_000_005, &schedule.start()) > 1e300);
}

/// With an overlaid warmup the lr jumps to the body after it; a prefix warmup delays the body.
#[test]
fn warmup_modes_set_the_start_of_the_body() {
    let body = map([("kind", text("linear")), ("to", int(0))]);
    let plain = lrs(&body, 10, 10);
    let warmup = map([("over", int(4)), ("from", text("0.2x"))]);
    let of_target = |mode: &str, target: &str| {
        let warmup = with(&with(&warmup, "mode", text(mode)), "target", text(target));
        lrs(&map([("warmup", warmup), ("body", body.clone())]), 10, 10)
    };
    let of = |mode: &str| of_target(mode, "1x");
    let rise: Vec<f64> = (0..4).map(|t| 0.02 + 0.08 * f64::from(t) / 4.0).collect();
    let (prefix, overlay, multiply) = (of("prefix"), of("overlay"), of("multiply"));
    close(&prefix[..4], &rise, "prefix");
    close(&prefix[4..], &lrs(&body, 6, 6), "prefix");
    close(&overlay[..4], &rise, "overlay");
    close(&overlay[4..], &plain[4..], "overlay");
    let scaled: Vec<f64> = rise.iter().zip(&plain).map(|(rise, plain)| plain * rise / 0.1).collect();
    close(&multiply[..4], &scaled, "multiply");
    close(&multiply[4..], &plain[4..], "multiply");
    close(&of_target("multiply", "body"), &multiply, "multiply up to the body");
    let aimed: Vec<f64> = (0..4).map(|t| 0.02 + (plain[4] - 0.02) * f64::from(t) / 4.0).collect();
    close(&of_target("overlay", "body")[..4], &aimed, "target: body");
}

/// A cooldown starts from the body's lr, or scales the body while it continues.
#[test]
fn cooldown_modes_end_the_body() {
    let body = map([("kind", text("inverse_sqrt")), ("timescale", int(2))]);
    let plain = lrs(&body, 10, 14);
    let cooldown = map([("over", int(4)), ("to", text("0.1x"))]);
    let of = |mode: &str| {
        lrs(&map([("body", body.clone()), ("cooldown", with(&cooldown, "mode", text(mode)))]), 10, 12)
    };
    let fall = |from: f64, s: usize| 0.01 + (from - 0.01) * (1.0 - s as f64 / 4.0);
    let (anchor, multiply) = (of("anchor"), of("multiply"));
    close(&anchor[..6], &plain[..6], "anchor");
    close(&anchor[6..], &(0..4).map(|s| fall(plain[6], s)).chain([0.01, 0.01]).collect::<Vec<_>>(), "anchor");
    let factors = (0..6).map(|s| if s < 4 { fall(0.1, s) / 0.1 } else { 0.1 });
    close(&multiply[6..], &factors.zip(&plain[6..]).map(|(f, lr)| f * lr).collect::<Vec<_>>(), "multiply");
    // A cooldown of length 0 changes nothing.
    for mode in ["anchor", "multiply"] {
        let none = with(&with(&cooldown, "over", int(0)), "mode", text(mode));
        assert_eq!(lrs(&map([("body", body.clone()), ("cooldown", none)]), 10, 14), plain);
    }
}

/// An end that is a number is an lr, not a factor on the body. The numbers are those that timm 1.0.31 prints of
/// WSDLRScheduler(optimizer, 8, 4, lr_min=0.02, stable_fn='rsqrt', stable_timescale=2.0, decay_fn='linear').
#[test]
fn a_scaling_cooldown_ends_at_the_written_lr() {
    let body = map([("kind", text("inverse_sqrt")), ("timescale", int(2))]);
    let plain = lrs(&body, 8, 10);
    let scaling = map([("over", int(4)), ("mode", text("multiply"))]);
    let cooldown = with(&scaling, "to", float(0.02));
    let timm = [
        0.1,
        0.08164965809277261,
        0.07071067811865477,
        0.0632455532033676,
        0.057735026918962574,
        0.04508918628686366,
        0.035,
        0.02678511301977579,
        0.02,
        0.02,
    ];
    close(&lrs(&map([("body", body.clone()), ("cooldown", cooldown.clone())]), 8, 10), &timm, "cooldown");
    for name in ["cosine", "geometric", "one_minus_sqrt"] {
        let shaped = with(&cooldown, "shape", text(name));
        let ended = lrs(&map([("body", body.clone()), ("cooldown", shaped)]), 8, 10);
        close(&ended[..5], &plain[..5], name);
        assert_eq!(ended[8..], [0.02, 0.02], "{name}");
    }
    // A scaling warmup begins and ends at the written lrs.
    let begins = with(&scaling, "from", float(0.02));
    let begun = lrs(&map([("warmup", begins.clone()), ("body", body.clone())]), 8, 8);
    let rise: Vec<f64> = (0..4).map(|t| 0.02 + (plain[t] - 0.02) * t as f64 / 4.0).collect();
    close(&begun[..4], &rise, "warmup");
    close(&begun[4..], &plain[4..8], "warmup");
    let aimed = lrs(&map([("warmup", with(&begins, "target", float(0.08))), ("body", body)]), 8, 8);
    close(&aimed[..4], &[0.02, 0.035, 0.05, 0.065], "target");
}

fn expression(expr: &str) -> Tree {
    map([("kind", text("lambda")), ("expr", text(expr))])
}

/// `t`, `T` and `epoch` count in the segment.
#[test]
fn an_expression_counts_from_the_start_of_its_segment() {
    close(&lrs(&expression("1 / (1 + t)"), 3, 5), &[0.1, 0.05, 0.1 / 3.0, 0.025, 0.02], "a single leaf");
    close(&lrs(&expression("epoch + base"), 15, 15)[6..8], &[0.01, 0.11], "epochs of 7 steps");
    let cycles = map([("restart", expression("t / T")), ("every", int(2)), ("mult", int(2))]);
    close(&lrs(&cycles, 6, 6), &[0.0, 0.05, 0.0, 0.025, 0.05, 0.075], "cycles of 2 and 4");
    let phase = with(&expression("2"), "for", int(2));
    close(
        &lrs(&map([("phases", list(vec![phase, expression("T")]))]), 4, 4),
        &[0.2, 0.2, 0.2, 0.2],
        "phases",
    );
    let epochs = with(&expression("t"), "clock", text("epoch"));
    close(&lrs(&epochs, 20, 20)[13..15], &[0.1, 0.2], "clock in epochs");
}

fn refused(tree: &Tree, total: u64, steps_per_epoch: Option<u64>) -> String {
    let horizon = schedule::Horizon { base_lr: 0.1, total, steps_per_epoch };
    let problems = crate::generate::parse(tree).resolve(&horizon).expect_err("to be refused");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A step without a valid lr is found before training.
#[test]
fn an_invalid_lr_of_an_expression_is_refused_with_its_step() {
    let falls = expression("1 - t / 10");
    assert_eq!(lrs(&falls, 11, 13)[10..], [0.0, 0.0, 0.0]);
    assert_eq!(
        refused(&falls, 12, None),
        "expr: expected a finite number of at least 0 at every step, found -0.10000000000000009 at t = 11 (max(0, ...) is never below 0)"
    );
    assert!(refused(&expression("1 / (t - 4)"), 9, None).contains("found -0.25 at t = 0"));
    assert!(refused(&expression("1 / t"), 9, None).contains("has no value at t = 0: division by 0"));
    assert!(
        refused(&expression("(3 - t) ** 0.5"), 5, None).contains("at t = 4: a negative number to a frac")
    );
    assert!(refused(&expression("1e308 * t * 10"), 5, None).contains("found inf at t = 1"));
    assert!(refused(&expression("epoch"), 5, None).contains("the length of an epoch is unknown"));
    assert!(
        refused(&expression("1"), 10_000_001, None)
            .contains("expected at most 10000000 steps, found 10000001")
    );
    // In a second, longer cycle; at the start of a cooldown; at the target of a warmup.
    let cycles = map([("restart", expression("1 - t / 5")), ("every", int(5)), ("mult", int(2))]);
    assert!(refused(&cycles, 15, None).contains("at t = 6"));
    let ends = map([("over", int(2)), ("to", int(0))]);
    assert!(
        refused(&map([("body", expression("4 / (4 - t)")), ("cooldown", ends)]), 6, None)
            .contains("has no value at t = 4")
    );
    let rise = map([("over", int(5)), ("target", text("body"))]);
    assert!(
        refused(&map([("warmup", rise), ("body", expression("1 / t"))]), 5, None)
            .contains("has no value at t = 0")
    );
}
