//! PyTorch: classes of `torch.optim.lr_scheduler`, otherwise a `LambdaLR` of the closed form.

use schedule::known::{Known, KnownRamp, Way};

use crate::input::{ExportInput, head};
use crate::plateau;
use crate::segments::{Segment, covers_all_steps, half_wave, same, segments};
use crate::writer::{list, number, real};

const LIBRARY: &str = "PyTorch";

pub(crate) fn code(subject: &ExportInput<'_>) -> Result<String, String> {
    if let Known::Plateau(rule) = subject.known() {
        return Ok(plateau::pytorch(subject, &rule));
    }
    if let Some((classes, expression, lr)) = native(subject) {
        return Ok(format!(
            "{}import torch\nfrom torch.optim.lr_scheduler import {}\n\nBASE_LR = {lr}\n\n\n{}",
            head(subject, &usage(momentum(subject))),
            classes.join(", "),
            make(&expression)
        ));
    }
    let (function, imports) = subject.plain_function().map_err(|reason| why(subject, reason))?;
    let imports: String = imports.iter().map(|import| format!("{import}\n")).collect();
    Ok(format!(
        "{}{imports}{}import torch\nfrom torch.optim.lr_scheduler import LambdaLR\n\n{function}\n\n{}",
        head(subject, &usage("")),
        if imports.is_empty() { "" } else { "\n" },
        make("LambdaLR(optimizer, lambda t: lr(t) / BASE_LR)")
    ))
}

fn why(subject: &ExportInput<'_>, reason: String) -> String {
    if reason.is_empty() { subject.no_counterpart(LIBRARY) } else { reason }
}

/// An optimizer needs momentum if it is cycled.
fn momentum(subject: &ExportInput<'_>) -> &'static str {
    if subject.schedule.momentum(0).is_some() { ", momentum=0.9" } else { "" }
}

fn usage(more: &str) -> String {
    format!(
        "    optimizer = torch.optim.SGD(model.parameters(), lr=BASE_LR{more})  # or any other, with this lr\n    \
             scheduler = make_scheduler(optimizer)\n    \
             for batch in batches:\n        \
                 ...\n        \
                 optimizer.step()\n        \
                 scheduler.step()  # after each update, not after each epoch\n"
    )
}

fn make(expression: &str) -> String {
    format!("def make_scheduler(optimizer: torch.optim.Optimizer):\n    return {expression}\n")
}

/// The classes, the expression of the scheduler, and the lr of the optimizer.
fn native(subject: &ExportInput<'_>) -> Option<(Vec<&'static str>, String, String)> {
    let known = subject.known();
    let steps = subject.steps() as f64;
    if let Some((class, expression)) = cycling(&known, steps) {
        return Some((vec![class], expression, real(subject.base_lr())));
    }
    // Only those classes cycle the momentum.
    if subject.schedule.momentum(0).is_some() {
        return None;
    }
    let row = segments(&known, steps)?;
    // A class scales the optimizer's lr, which must be the base lr or the highest lr.
    let top = row.iter().map(|segment| peak(&segment.known)).fold(0.0, f64::max);
    [subject.base_lr(), top].into_iter().filter(|lr| *lr > 0.0).find_map(|lr| {
        let each: Option<Vec<_>> = row.iter().map(|segment| class(segment, lr, row.len() > 1)).collect();
        let mut each = each?;
        let mut classes: Vec<&'static str> = each.iter().map(|(class, _)| *class).collect();
        let expression = match each.as_slice() {
            [_] => each.pop()?.1,
            _ => {
                classes.push("SequentialLR");
                let lines: String = each.iter().map(|(_, text)| format!("            {text},\n")).collect();
                let milestones: Vec<f64> = row.iter().skip(1).map(|segment| segment.start).collect();
                format!(
                    "SequentialLR(\n        optimizer,\n        schedulers=[\n{lines}        ],\n        milestones={},\n    )",
                    list(&milestones)
                )
            }
        };
        classes.sort_unstable();
        classes.dedup();
        Some((classes, expression, real(lr)))
    })
}

/// The lr that the class of a simple schedule scales.
fn peak(known: &Known) -> f64 {
    match known {
        Known::Constant(lr)
        | Known::Step { lr, .. }
        | Known::Multistep { lr, .. }
        | Known::Exponential { lr, .. } => *lr,
        Known::Ramp(ramp) => ramp.from.max(ramp.to),
        Known::Restart(restart) => peak(&restart.of),
        _ => 0.0,
    }
}

/// The classes that set the lr themselves and can cycle the momentum.
fn cycling(known: &Known, steps: f64) -> Option<(&'static str, String)> {
    let cycled = |momentum: &Option<(f64, f64)>| match momentum {
        None => "cycle_momentum=False".to_owned(),
        Some((min, max)) => {
            format!("cycle_momentum=True, base_momentum={}, max_momentum={}", real(*min), real(*max))
        }
    };
    match known {
        Known::Cyclic { min, max, up, down, mode, gamma, momentum } if up.fract() + down.fract() == 0.0 => {
            // 0 to a negative power is an error.
            let gamma =
                if *mode == "exp_range" { format!(", gamma={}", real(*gamma)) } else { String::new() };
            Some((
                "CyclicLR",
                format!(
                    "CyclicLR(\n        optimizer,\n        base_lr={},\n        max_lr={},\n        step_size_up={},\n        \
                     step_size_down={},\n        mode=\"{mode}\"{gamma},\n        {},\n    )",
                    real(*min),
                    real(*max),
                    number(*up),
                    number(*down),
                    cycled(momentum)
                ),
            ))
        }
        Known::OneCycle { max, over, pct_start, div, final_div, linear, three_phase, momentum }
            if *over >= steps && over.fract() == 0.0 =>
        {
            Some((
                "OneCycleLR",
                format!(
                    "OneCycleLR(\n        optimizer,\n        max_lr={},\n        total_steps={},\n        pct_start={},\n        \
                     anneal_strategy=\"{}\",\n        div_factor={},\n        final_div_factor={},\n        \
                     three_phase={},\n        {},\n    )",
                    real(*max),
                    number(*over),
                    number(*pct_start),
                    if *linear { "linear" } else { "cos" },
                    real(*div),
                    real(*final_div),
                    if *three_phase { "True" } else { "False" },
                    cycled(momentum)
                ),
            ))
        }
        _ => None,
    }
}

/// The class of a simple schedule, for an optimizer with this lr.
fn class(segment: &Segment, lr: f64, joined: bool) -> Option<(&'static str, String)> {
    let whole = |x: f64| x.fract() == 0.0 && x >= 1.0;
    match &segment.known {
        Known::Constant(value) if same(*value, lr) => {
            Some(("ConstantLR", "ConstantLR(optimizer, factor=1.0)".to_owned()))
        }
        Known::Constant(value) if *value > 0.0 && *value < lr && joined => Some((
            "ConstantLR",
            // One step longer than needed, because after its end the lr would return to the optimizer's lr.
            format!(
                "ConstantLR(optimizer, factor={}, total_iters={})",
                real(value / lr),
                number(segment.steps() + 1.0)
            ),
        )),
        Known::Ramp(ramp) => ramp_class(ramp, segment.steps(), lr),
        Known::Step { lr: from, every, gamma } if same(*from, lr) && whole(*every) => Some((
            "StepLR",
            format!("StepLR(optimizer, step_size={}, gamma={})", number(*every), real(*gamma)),
        )),
        Known::Multistep { lr: from, at, gammas } if same(*from, lr) => {
            let gamma = gammas.first()?;
            let reached: Vec<f64> = at.iter().copied().filter(|m| *m < segment.steps()).collect();
            let sound = gammas.iter().all(|g| g == gamma) && reached.iter().all(|m| m.fract() == 0.0);
            sound.then(|| {
                (
                    "MultiStepLR",
                    format!("MultiStepLR(optimizer, milestones={}, gamma={})", list(&reached), real(*gamma)),
                )
            })
        }
        Known::Exponential { lr: from, gamma, every } if same(*from, lr) => {
            // Very small factors would underflow slightly earlier in torch.
            let rate = gamma.powf(1.0 / every);
            let text = if *every == 1.0 {
                real(*gamma)
            } else {
                format!("{} ** (1 / {})", real(*gamma), number(*every))
            };
            (rate.powf(segment.steps()) > 1e-290)
                .then(|| ("ExponentialLR", format!("ExponentialLR(optimizer, gamma={text})")))
        }
        Known::Restart(restart) => {
            let Known::Ramp(ramp) = &restart.of else { return None };
            let plain = restart.decay == 1.0 && restart.mult.fract() == 0.0 && whole(restart.every);
            let endless = restart.limit.is_none_or(|limit| {
                // All cycles are at least as long as the first one.
                limit as f64 * restart.every >= segment.steps()
            });
            let cosine = half_wave(ramp) && same(ramp.from, lr) && ramp.over == restart.every;
            (plain && endless && cosine).then(|| {
                (
                    "CosineAnnealingWarmRestarts",
                    format!(
                        "CosineAnnealingWarmRestarts(optimizer, T_0={}, T_mult={}, eta_min={})",
                        number(restart.every),
                        number(restart.mult),
                        real(ramp.to)
                    ),
                )
            })
        }
        _ => None,
    }
}

fn ramp_class(ramp: &KnownRamp, active: f64, lr: f64) -> Option<(&'static str, String)> {
    let n = ramp.over;
    if ramp.ahead || n.fract() != 0.0 || n < 1.0 {
        return None;
    }
    let held = ramp.holds || covers_all_steps(ramp, active);
    match ramp.way {
        Way::Linear if held => {
            let (from, to) = (ramp.from / lr, ramp.to / lr);
            // The class multiplies the previous lr, so rounding errors are visible at very small lrs.
            let sound = from > 0.0 && from <= 1.0 && to <= 1.0 && (to == 0.0 || to >= 1e-5 * from);
            sound.then(|| {
                (
                    "LinearLR",
                    format!(
                        "LinearLR(optimizer, start_factor={}, end_factor={}, total_iters={})",
                        real(from),
                        real(to),
                        number(n)
                    ),
                )
            })
        }
        Way::Polynomial { power } if held && same(ramp.from, lr) && ramp.to == 0.0 => Some((
            "PolynomialLR",
            format!("PolynomialLR(optimizer, total_iters={}, power={})", number(n), real(power)),
        )),
        Way::Cosine { cycles, exponent: 1.0 } if same(ramp.from, lr) && ramp.to < ramp.from => {
            let half = n / (2.0 * cycles);
            // The class continues the wave after its end.
            let same = covers_all_steps(ramp, active) || !ramp.holds;
            (same && half.fract() == 0.0 && half >= 1.0).then(|| {
                (
                    "CosineAnnealingLR",
                    format!(
                        "CosineAnnealingLR(optimizer, T_max={}, eta_min={})",
                        number(half),
                        real(ramp.to)
                    ),
                )
            })
        }
        _ => None,
    }
}
