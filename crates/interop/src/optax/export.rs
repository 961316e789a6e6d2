//! optax: one of its schedules or several joined ones, otherwise a function in `jax.numpy` that can be
//! traced.

use schedule::known::{Known, KnownRamp, KnownRestart, Way};

use crate::input::{ExportInput, head};
use crate::plateau;
use crate::segments::{Segment, rounds_down, segments};
use crate::writer::{Dialect, number, real};

const LIBRARY: &str = "optax";

/// The maximum number of joined schedules.
const MOST: usize = 12;

pub(crate) fn code(subject: &ExportInput<'_>) -> Result<String, String> {
    match subject.known() {
        Known::Plateau(rule) => return plateau::optax(subject, &rule),
        Known::Polyak { max, f_min, eps } => return Ok(plateau::polyak(subject, max, f_min, eps)),
        _ => {}
    }
    let head = head(subject, USAGE);
    if let Some(schedule) = native(subject) {
        return Ok(format!("{head}import optax\n\nschedule = {schedule}\n"));
    }
    let body = subject.body(Dialect::Jax, "    ").map_err(|reason| match reason.is_empty() {
        true => subject.no_counterpart(LIBRARY),
        false => reason,
    })?;
    let tables = if body.tables.is_empty() { String::new() } else { format!("{}\n\n", body.tables) };
    let (jax, guard) = if body.needs_double { ("import jax\n", GUARD) } else { ("", "") };
    Ok(format!(
        "{head}{jax}import jax.numpy as jnp\n\n{guard}{tables}{}def schedule(count):\n    \
         \"\"\"Learning rate of update count = 0, 1, ..., {}; may be traced.\"\"\"\n    \
         t = jnp.minimum(jnp.asarray(count, float), {})  # the lr stays constant after the last update\n{}",
        if tables.is_empty() { "\n" } else { "" },
        subject.last(),
        subject.last(),
        body.lines
    ))
}

/// The last digit decides at which update such a schedule jumps.
const GUARD: &str = "if not jax.config.jax_enable_x64:
    raise RuntimeError(\"this schedule gives other lrs in \
                     single precision: set jax_enable_x64\")

";

const USAGE: &str = "    optimizer = optax.sgd(learning_rate=schedule)  # or any other
    updates, state = \
                     optimizer.update(grads, state, params)  # counts the updates itself

jax uses single precision \
                     unless jax_enable_x64 is set; then the last digits differ near 0.
";

fn native(subject: &ExportInput<'_>) -> Option<String> {
    // A schedule of optax can't cycle the momentum.
    let row = unrolled(segments(&subject.known(), subject.steps() as f64)?)?;
    if let [up, body] = row.as_slice()
        && let (Known::Ramp(up), Known::Ramp(body)) = (&up.known, &body.known)
        && let Some(text) = warmup_cosine(up, body)
    {
        return Some(text);
    }
    let mut each = row.iter().map(one).collect::<Option<Vec<_>>>()?;
    match each.as_slice() {
        [_] => each.pop(),
        _ => {
            let lines: String =
                each.iter().map(|text| format!("        {},\n", text.replace('\n', "\n    "))).collect();
            let boundaries: Vec<String> = row.iter().skip(1).map(|segment| number(segment.start)).collect();
            Some(format!(
                "optax.join_schedules(\n    schedules=[\n{lines}    ],\n    boundaries=[{}],\n)",
                boundaries.join(", ")
            ))
        }
    }
}

/// Unrolls cycles, if they are few.
fn unrolled(row: Vec<Segment>) -> Option<Vec<Segment>> {
    let mut all = Vec::new();
    for segment in row {
        match &segment.known {
            Known::Restart(restart) => cycles(restart, &segment, &mut all)?,
            _ => all.push(segment),
        }
    }
    (all.len() <= MOST).then_some(all)
}

fn cycles(restart: &KnownRestart, segment: &Segment, all: &mut Vec<Segment>) -> Option<()> {
    let Known::Ramp(ramp) = &restart.of else { return None };
    if restart.decay != 1.0 && restart.decay_on != "peak" {
        return None;
    }
    let (mut start, mut length, mut from, mut i) = (segment.start, restart.every, ramp.from, 0);
    while start < segment.end {
        if length.fract() != 0.0 || all.len() > MOST || ramp.over != restart.every {
            return None;
        }
        let known = if restart.limit.is_some_and(|limit| i >= limit) {
            length = segment.end - start;
            Known::Constant(restart.then)
        } else {
            Known::Ramp(KnownRamp { from, over: length, ..ramp.clone() })
        };
        let end = (start + length).min(segment.end);
        all.push(Segment { start, end, known });
        start += length;
        length *= restart.mult;
        from *= restart.decay;
        i += 1;
    }
    Some(())
}

fn warmup_cosine(up: &KnownRamp, body: &KnownRamp) -> Option<String> {
    let Way::Cosine { cycles: 0.5, exponent } = body.way else { return None };
    let straight = up.way == Way::Linear && !up.ahead && !body.ahead && up.to == body.from && body.holds;
    (straight && body.from > 0.0).then(|| {
        let exponent = if exponent == 1.0 { String::new() } else { format!("    exponent={},\n", real(exponent)) };
        format!(
            "optax.warmup_cosine_decay_schedule(\n    init_value={},\n    peak_value={},\n    warmup_steps={},\n    \
             decay_steps={},  # including the warmup\n    end_value={},\n{exponent})",
            real(up.from),
            real(up.to),
            number(up.over),
            number(up.over + body.over),
            real(body.to)
        )
    })
}

fn whole(x: f64) -> bool {
    x.fract() == 0.0 && x >= 1.0
}

fn one(segment: &Segment) -> Option<String> {
    match &segment.known {
        Known::Constant(lr) => Some(format!("optax.constant_schedule({})", real(*lr))),
        Known::Ramp(ramp) => one_ramp(ramp, segment.steps()),
        Known::Step { lr, every, gamma } if whole(*every) && rounds_down(*every, segment.steps()) => {
            Some(format!(
                "optax.exponential_decay(\n    init_value={},\n    transition_steps={},\n    decay_rate={},\n    \
             staircase=True,\n)",
                real(*lr),
                number(*every),
                real(*gamma)
            ))
        }
        Known::Exponential { lr, gamma, every } => Some(format!(
            "optax.exponential_decay(init_value={}, transition_steps={}, decay_rate={})",
            real(*lr),
            number(*every),
            real(*gamma)
        )),
        Known::Multistep { lr, at, gammas } => multistep(*lr, at, gammas, segment.steps()),
        Known::Piecewise { points, cosine } => interpolated(points, *cosine),
        _ => None,
    }
}

fn one_ramp(ramp: &KnownRamp, active: f64) -> Option<String> {
    let held = ramp.holds || ramp.over >= active;
    if ramp.ahead || !held || !whole(ramp.over) {
        return None;
    }
    let (from, to, n) = (real(ramp.from), real(ramp.to), number(ramp.over));
    Some(match ramp.way {
        Way::Linear => {
            format!("optax.linear_schedule(init_value={from}, end_value={to}, transition_steps={n})")
        }
        // In compiled code the base can be slightly negative at the end, which is only valid for whole
        // powers.
        Way::Polynomial { power } if power.fract() == 0.0 || ramp.over >= active => format!(
            "optax.polynomial_schedule(\n    init_value={from},\n    end_value={to},\n    power={},\n    \
             transition_steps={n},\n)",
            real(power)
        ),
        Way::Cosine { cycles: 0.5, exponent } if ramp.from > 0.0 => {
            let exponent =
                if exponent == 1.0 { String::new() } else { format!(", exponent={}", real(exponent)) };
            format!(
                "optax.cosine_decay_schedule(init_value={from}, decay_steps={n}, alpha={}{exponent})",
                real(ramp.to / ramp.from)
            )
        }
        Way::Geometric => format!(
            "optax.exponential_decay(\n    init_value={from},\n    transition_steps={n},\n    \
             decay_rate={},\n    end_value={to},\n)",
            real(ramp.to / ramp.from)
        ),
        _ => return None,
    })
}

fn multistep(lr: f64, at: &[f64], gammas: &[f64], active: f64) -> Option<String> {
    let mut scales: Vec<(f64, f64)> = Vec::new();
    for (m, gamma) in at.iter().zip(gammas).filter(|(m, _)| **m < active) {
        match scales.last_mut() {
            Some((last, scale)) if last == m => *scale *= gamma,
            _ => scales.push((*m, *gamma)),
        }
    }
    let plain = scales.iter().all(|(m, _)| m.fract() == 0.0);
    plain.then(|| {
        format!(
            "optax.piecewise_constant_schedule(\n    init_value={},\n    boundaries_and_scales={},\n)",
            real(lr),
            mapping(&scales)
        )
    })
}

/// In optax each knot is a multiple of the one before, and the first is at step 0.
fn interpolated(points: &[(f64, f64)], cosine: bool) -> Option<String> {
    let (first, rest) = points.split_first()?;
    let before = points.split_last()?.1;
    if points.iter().any(|(at, _)| at.fract() != 0.0) || before.iter().any(|(_, lr)| *lr == 0.0) {
        return None;
    }
    let mut scales = Vec::new();
    if first.0 > 0.0 {
        scales.push((first.0, 1.0));
    }
    scales.extend(before.iter().zip(rest).map(|((_, from), (at, to))| (*at, to / from)));
    (!scales.is_empty()).then(|| {
        format!(
            "optax.piecewise_interpolate_schedule(\n    interpolate_type=\"{}\",\n    init_value={},\n    \
             boundaries_and_scales={},\n)",
            if cosine { "cosine" } else { "linear" },
            real(first.1),
            mapping(&scales)
        )
    })
}

fn mapping(scales: &[(f64, f64)]) -> String {
    let each: Vec<String> =
        scales.iter().map(|(at, scale)| format!("{}: {}", number(*at), real(*scale))).collect();
    format!("{{{}}}", each.join(", "))
}
