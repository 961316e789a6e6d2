//! transformers: `get_scheduler` with a name, otherwise a `LambdaLR` of the closed form; both for
//! `Trainer(optimizers=...)`.

use schedule::known::{Known, KnownRamp, KnownRestart, Way};

use crate::input::{ExportInput, head};
use crate::plateau;
use crate::segments::{Segment, half_wave, same, segments};
use crate::writer::{number, real};

const LIBRARY: &str = "transformers";

pub(crate) fn code(subject: &ExportInput<'_>) -> Result<String, String> {
    match subject.known() {
        Known::Plateau(rule) => return Ok(plateau::transformers(subject, &rule)),
        Known::Greedy(rule) => return Ok(plateau::greedy(subject, &rule)),
        _ => {}
    }
    if let Some(named) = native(subject) {
        return Ok(format!(
            "{}import torch\nfrom transformers import get_scheduler\n\nBASE_LR = {}\n\n\n{}",
            head(subject, &usage(subject.steps())),
            real(subject.base_lr()),
            make(&named)
        ));
    }
    let (function, imports) = subject.plain_function().map_err(|reason| match reason.is_empty() {
        true => subject.no_counterpart(LIBRARY),
        false => reason,
    })?;
    let imports: String = imports.iter().map(|import| format!("{import}\n")).collect();
    let gap = if imports.is_empty() { "" } else { "\n" };
    Ok(format!(
        "{}{imports}{gap}import torch\nfrom torch.optim.lr_scheduler import LambdaLR\n\n{function}\n\n\
         def make_scheduler(optimizer: torch.optim.Optimizer) -> LambdaLR:\n    \
         return LambdaLR(optimizer, lambda t: lr(t) / BASE_LR)\n",
        head(subject, &usage(subject.steps()))
    ))
}

fn usage(steps: u64) -> String {
    format!(
        "    optimizer = torch.optim.AdamW(model.parameters(), lr=BASE_LR)  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             args = TrainingArguments(..., max_steps={steps})\n    \
             trainer = Trainer(model, args, optimizers=(optimizer, scheduler))\n\n\
         Trainer calls scheduler.step() after each update. In your own loop, call it there too.\n"
    )
}

type Arguments = Vec<(&'static str, String)>;

/// A call of `get_scheduler`.
struct SchedulerCall {
    name: &'static str,
    warmup: Option<f64>,
    training: Option<f64>,
    specific: Arguments,
}

fn make(named: &SchedulerCall) -> String {
    let mut text = format!(
        "def make_scheduler(optimizer: torch.optim.Optimizer):\n    return get_scheduler(\n        \"{}\",\n        optimizer,\n",
        named.name
    );
    for (name, value) in [("num_warmup_steps", named.warmup), ("num_training_steps", named.training)] {
        if let Some(value) = value {
            text.push_str(&format!("        {name}={},\n", number(value)));
        }
    }
    if !named.specific.is_empty() {
        let each: Vec<String> =
            named.specific.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        text.push_str(&format!("        scheduler_specific_kwargs={{{}}},\n", each.join(", ")));
    }
    text.push_str("    )\n");
    text
}

/// The named schedule that gives the same lrs. All except `warmup_stable_decay` have a linear warmup from 0.
fn native(subject: &ExportInput<'_>) -> Option<SchedulerCall> {
    let (steps, lr) = (subject.steps() as f64, subject.base_lr());
    let row = segments(&subject.known(), steps)?;
    let warms = |segment: &Segment| match &segment.known {
        Known::Ramp(ramp) => {
            ramp.way == Way::Linear && ramp.from == 0.0 && same(ramp.to, lr) && segment.steps() == ramp.over
        }
        _ => false,
    };
    let ahead = |segment: &Segment| matches!(&segment.known, Known::Ramp(ramp) if ramp.ahead);
    let (warmup, body) = match row.as_slice() {
        [body] if warms(body) && !ahead(body) => {
            return Some(SchedulerCall {
                name: "constant_with_warmup",
                warmup: Some(body.end),
                training: None,
                specific: Vec::new(),
            });
        }
        [body] => (0.0, body),
        [up, body] if warms(up) && ahead(up) == ahead(body) => (up.end, body),
        _ => return stable(&row, lr),
    };
    match &body.known {
        Known::Constant(value) if same(*value, lr) => Some(constant(warmup)),
        Known::InverseSqrt { lr: from, timescale } if same(*from, lr) && timescale.fract() == 0.0 => {
            let specific = vec![("timescale", number(*timescale))];
            Some(SchedulerCall { name: "inverse_sqrt", warmup: Some(warmup), training: None, specific })
        }
        Known::Ramp(ramp) if same(ramp.from, lr) && ramp.over.fract() == 0.0 && ramp.over >= 1.0 => {
            let (name, specific) = fall(ramp, body.steps(), lr)?;
            Some(SchedulerCall { name, warmup: Some(warmup), training: Some(warmup + ramp.over), specific })
        }
        Known::Restart(restart) => restarts(restart, body.steps(), warmup, subject),
        _ => stable(&row, lr),
    }
}

fn constant(warmup: f64) -> SchedulerCall {
    let (name, warmup) =
        if warmup == 0.0 { ("constant", None) } else { ("constant_with_warmup", Some(warmup)) };
    SchedulerCall { name, warmup, training: None, specific: Vec::new() }
}

/// The name and the arguments of a decay from the optimizer's lr.
fn fall(ramp: &KnownRamp, active: f64, lr: f64) -> Option<(&'static str, Arguments)> {
    let covers_all_steps = ramp.over >= active;
    let (held, on) = (ramp.holds || covers_all_steps, !ramp.holds || covers_all_steps);
    let polynomial = |power| ("polynomial", vec![("lr_end", real(ramp.to)), ("power", power)]);
    match ramp.way {
        Way::Linear if ramp.to == 0.0 && !ramp.ahead && held => Some(("linear", Vec::new())),
        Way::Linear if !ramp.ahead && held && ramp.to < lr => Some(polynomial("1.0".to_owned())),
        Way::Polynomial { power } if !ramp.ahead && held && ramp.to < lr => Some(polynomial(real(power))),
        Way::Cosine { cycles, exponent: 1.0 } if on => {
            let mut specific = Vec::new();
            if cycles != 0.5 {
                specific.push(("num_cycles", number(cycles)));
            }
            // `min_lr` is divided by the optimizer's lr, which must not be 0.
            let name = match (ramp.ahead, ramp.to) {
                (false, 0.0) => "cosine",
                (ahead, _) => {
                    specific.push(("min_lr", real(ramp.to)));
                    if ahead { "cosine_warmup_with_min_lr" } else { "cosine_with_min_lr" }
                }
            };
            Some((name, specific))
        }
        _ => None,
    }
}

/// Cosine cycles of equal length.
fn restarts(
    restart: &KnownRestart,
    active: f64,
    warmup: f64,
    subject: &ExportInput<'_>,
) -> Option<SchedulerCall> {
    let Known::Ramp(ramp) = &restart.of else { return None };
    let half = half_wave(ramp) && same(ramp.from, subject.base_lr()) && ramp.to == 0.0;
    let plain = restart.mult == 1.0 && restart.decay == 1.0 && ramp.over == restart.every;
    let cycles = restart.limit.map_or((active / restart.every).ceil(), |limit| limit as f64);
    let length = cycles * restart.every;
    // transformers computes the progress in a cycle from the total progress. Its cycles must also begin at
    // whole steps.
    let even = (0..subject.steps().min(length as u64)).all(|t| {
        let s = t as f64;
        let found = (cycles * (s / length)).rem_euclid(1.0) * restart.every;
        (found - s.rem_euclid(restart.every)).abs() < 1e-6
    });
    let ends = length >= active || restart.then == 0.0;
    (half && plain && ends && even && length.fract() == 0.0).then(|| SchedulerCall {
        name: "cosine_with_restarts",
        warmup: Some(warmup),
        training: Some(warmup + length),
        specific: vec![("num_cycles", number(cycles))],
    })
}

/// Warmup, stable part and decay, with the same lowest lr at both ends.
fn stable(row: &[Segment], lr: f64) -> Option<SchedulerCall> {
    let (up, body, down) = match row {
        [body, down] => (None, body, down),
        [up, body, down] => (Some(up), body, down),
        _ => return None,
    };
    let Known::Ramp(fall) = &down.known else { return None };
    let flat = matches!(&body.known, Known::Constant(value) if same(*value, lr));
    let decay = match fall.way {
        Way::Linear => "linear",
        Way::Cosine { cycles: 0.5, exponent: 1.0 } => "cosine",
        Way::OneMinusSqrt => "1-sqrt",
        _ => return None,
    };
    let held = fall.holds || fall.over >= down.steps();
    if !flat || !same(fall.from, lr) || fall.ahead || !held || fall.to > lr {
        return None;
    }
    let rise = match up {
        None => "linear",
        Some(up) => {
            let Known::Ramp(ramp) = &up.known else { return None };
            let sound = !ramp.ahead
                && same(ramp.to, lr)
                && (ramp.from - fall.to).abs() <= 1e-14 * lr
                && ramp.over == up.steps();
            match ramp.way {
                _ if !sound => return None,
                Way::Linear => "linear",
                Way::Cosine { cycles: 0.5, exponent: 1.0 } => "cosine",
                Way::OneMinusSqrtUp => "1-sqrt",
                _ => return None,
            }
        }
    };
    Some(SchedulerCall {
        name: "warmup_stable_decay",
        warmup: Some(body.start),
        training: None,
        specific: vec![
            ("num_stable_steps", number(body.steps())),
            ("num_decay_steps", number(fall.over)),
            ("warmup_type", format!("\"{rise}\"")),
            ("decay_type", format!("\"{decay}\"")),
            ("min_lr_ratio", real(fall.to / lr)),
        ],
    })
}
