//! timm: a class of `timm.scheduler`, stepped by updates, otherwise a subclass of its `Scheduler` with the
//! closed form.

use schedule::known::{Known, KnownRamp, KnownRestart, Way};

use crate::input::{ExportInput, head};
use crate::plateau;
use crate::segments::{half_wave, same};
use crate::writer::{list, number, real};

const LIBRARY: &str = "timm";

pub(crate) fn code(subject: &ExportInput<'_>) -> Result<String, String> {
    if let Some(text) = plateau::timm(subject) {
        return Ok(text);
    }
    if let Some((class, arguments)) = native(&subject.known(), subject) {
        let arguments: String = arguments
            .iter()
            .chain([&("t_in_epochs", "False".to_owned())])
            .map(|(name, value)| format!("        {name}={value},\n"))
            .collect();
        return Ok(format!(
            "{}import torch\nfrom timm.scheduler import {class}\n\nBASE_LR = {}\n\n\n\
             def make_scheduler(optimizer: torch.optim.Optimizer) -> {class}:\n    return {class}(\n        \
             optimizer,\n{arguments}    )\n",
            head(subject, USAGE),
            real(subject.base_lr())
        ));
    }
    let (function, imports) = subject.plain_function().map_err(|reason| match reason.is_empty() {
        true => subject.no_counterpart(LIBRARY),
        false => reason,
    })?;
    let imports: String = imports.iter().map(|import| format!("{import}\n")).collect();
    let gap = if imports.is_empty() { "" } else { "\n" };
    Ok(format!(
        "{}{imports}{gap}import torch\nfrom timm.scheduler.scheduler import Scheduler\n\n{function}\n\n\
class Schedule(Scheduler):
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer, param_group_field=\"lr\", t_in_epochs=False)
        self.update_groups(self._get_lr(0))

    def _get_lr(self, t: int) -> list[float]:
        return [value * lr(t) / BASE_LR for value in self.base_values]


def make_scheduler(optimizer: torch.optim.Optimizer) -> Schedule:
    return Schedule(optimizer)
",
        head(subject, USAGE)
    ))
}

const USAGE: &str =
    "    optimizer = timm.optim.create_optimizer_v2(model, opt=\"sgd\", lr=BASE_LR)  # or any other, with this lr
    scheduler = make_scheduler(optimizer)
    for t, batch in enumerate(batches):
        ...
        optimizer.step()
        scheduler.step_update(num_updates=t + 1)  # after each update: the number of updates so far
";

type Arguments = Vec<(&'static str, String)>;

fn native(known: &Known, subject: &ExportInput<'_>) -> Option<(&'static str, Arguments)> {
    let (steps, lr) = (subject.steps() as f64, subject.base_lr());
    let (warmup, body, active) = match known {
        Known::Warmup { ramp, body } => (Some(ramp), body.as_ref(), steps - ramp.over),
        known => (None, known, steps),
    };
    let (class, mut arguments) = body_class(body, active, lr)?;
    if let Some(ramp) = warmup {
        // The warmup of timm ends at the optimizer's lr.
        let plain = ramp.way == Way::Linear && !ramp.ahead && same(ramp.to, lr) && ramp.over.fract() == 0.0;
        if !plain {
            return None;
        }
        arguments.extend([
            ("warmup_t", number(ramp.over)),
            ("warmup_lr_init", real(ramp.from)),
            ("warmup_prefix", "True".to_owned()),
        ]);
    }
    Some((class, arguments))
}

fn body_class(body: &Known, active: f64, lr: f64) -> Option<(&'static str, Arguments)> {
    match body {
        Known::Ramp(ramp) => cycles(ramp, None, active, lr),
        Known::Restart(restart) => match &restart.of {
            Known::Ramp(ramp) => cycles(ramp, Some(restart), active, lr),
            _ => None,
        },
        Known::Step { lr: from, every, gamma } if same(*from, lr) && every.fract() == 0.0 => {
            Some(("StepLRScheduler", vec![("decay_t", number(*every)), ("decay_rate", real(*gamma))]))
        }
        Known::Multistep { lr: from, at, gammas } if same(*from, lr) => {
            let gamma = gammas.first()?;
            let plain = gammas.iter().all(|g| g == gamma) && at.iter().all(|m| m.fract() == 0.0 && *m >= 1.0);
            // The optimizer's lr is used at update 0. In timm milestone m takes effect at t = m - 1.
            let milestones: Vec<f64> = at.iter().map(|m| m + 1.0).collect();
            plain.then(|| {
                ("MultiStepLRScheduler", vec![("decay_t", list(&milestones)), ("decay_rate", real(*gamma))])
            })
        }
        _ => None,
    }
}

/// A cosine or a power, once or in cycles.
fn cycles(
    ramp: &KnownRamp,
    restart: Option<&KnownRestart>,
    active: f64,
    lr: f64,
) -> Option<(&'static str, Arguments)> {
    let (class, power) = match ramp.way {
        _ if half_wave(ramp) => ("CosineLRScheduler", None),
        Way::Linear => ("PolyLRScheduler", Some(1.0)),
        Way::Polynomial { power } => ("PolyLRScheduler", Some(power)),
        _ => return None,
    };
    let held = ramp.holds || ramp.over >= active;
    if ramp.ahead || ramp.over.fract() != 0.0 || !same(ramp.from, lr) || ramp.to >= ramp.from || !held {
        return None;
    }
    let mut arguments = vec![("t_initial", number(ramp.over)), ("lr_min", real(ramp.to))];
    arguments.extend(power.map(|power| ("power", real(power))));
    let Some(restart) = restart else { return Some((class, arguments)) };
    let limit = restart.limit.map(|limit| limit as f64);
    let enough = (active / restart.every).ceil().max(1.0);
    let ends = limit.is_some_and(|limit| limit < enough);
    let sound = restart.every == ramp.over
        && (!ends || restart.then == ramp.to)
        && (restart.decay == 1.0 || restart.decay_on == "peak")
        && finds_its_cycles(restart, active)
        // With a peak below the lowest lr the cycle would be inverted.
        && lr * restart.decay.powf(enough) >= ramp.to;
    if !sound {
        return None;
    }
    arguments.extend([
        ("cycle_mul", real(restart.mult)),
        ("cycle_decay", real(restart.decay)),
        ("cycle_limit", number(limit.unwrap_or(enough).min(enough))),
    ]);
    Some((class, arguments))
}

/// timm finds the index of a cycle with a logarithm, which can be rounded wrongly at the start of a cycle.
fn finds_its_cycles(restart: &KnownRestart, active: f64) -> bool {
    if restart.mult == 1.0 {
        return true;
    }
    let (every, mult) = (restart.every, restart.mult);
    let mut begin = 0.0;
    for i in 0..64 {
        if begin >= active {
            return true;
        }
        let found = ((1.0 - begin / every * (1.0 - mult)).ln() / mult.ln()).floor();
        if begin.fract() == 0.0 && found != f64::from(i) {
            return false;
        }
        begin += every * mult.powi(i);
    }
    false
}
