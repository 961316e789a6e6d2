//! Keras 3: a class of `keras.optimizers.schedules`, otherwise a subclass that runs on any backend.

use schedule::known::{Known, KnownRamp, Way};

use crate::input::{ExportInput, head};
use crate::plateau;
use crate::segments::rounds_down;
use crate::writer::{Dialect, number, real};

const LIBRARY: &str = "Keras";

/// Keras computes cosines in single precision. They only have six digits if the lr stays above this fraction
/// of its peak.
const MIN_COSINE: f64 = 0.1;

pub(crate) fn code(subject: &ExportInput<'_>) -> Result<String, String> {
    if let Known::Plateau(rule) = subject.known() {
        return plateau::keras(subject, &rule);
    }
    if let Some((class, arguments)) = native(&subject.known(), subject.steps() as f64) {
        let arguments: String =
            arguments.iter().map(|(name, value)| format!("    {name}={value},\n")).collect();
        return Ok(format!(
            "{}import keras\n\nschedule = keras.optimizers.schedules.{class}(\n{arguments})\n",
            head(subject, USAGE)
        ));
    }
    let body = subject.body(Dialect::Keras, "        ").map_err(|reason| match reason.is_empty() {
        true => subject.no_counterpart(LIBRARY),
        false => reason,
    })?;
    let greatest = match body.lines.contains("greatest(") {
        true => "\ndef greatest(a, b):\n    return keras.ops.where(a > b, a, b)\n\n",
        false => "",
    };
    let floor_divide = match body.lines.contains("floor_divide(") {
        true => "\ndef floor_divide(a, b):\n    return keras.ops.round((a - a % b) / b)\n\n",
        false => "",
    };
    let guard = if body.needs_double { GUARD } else { "" };
    let math = if body.math { "import math\n\n" } else { "" };
    let tables = if body.tables.is_empty() { String::new() } else { format!("{}\n", body.tables) };
    Ok(format!(
        "{}{math}import keras\n\n{tables}
def f64(x):
    return keras.ops.convert_to_tensor(x, \"float64\")


def least(a, b):
    return keras.ops.where(a < b, a, b)

{greatest}{floor_divide}{guard}
@keras.saving.register_keras_serializable(package=\"schedules\")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        \"\"\"Learning rate of update step = 0, 1, ..., {}.\"\"\"
        # The lr stays constant after the last update.
        t = least(f64(step), f64({}))
{}
    def get_config(self):
        return {{}}  # all numbers are in the code


schedule = Schedule()
",
        head(subject, USAGE),
        subject.last(),
        subject.last(),
        body.lines
    ))
}

/// The last digit decides at which update such a schedule jumps.
const GUARD: &str = "
if keras.backend.standardize_dtype(f64(1).dtype) != \"float64\":
    raise RuntimeError(\"this \
                     schedule gives other lrs in single precision: set jax_enable_x64\")

";

const USAGE: &str = "    optimizer = keras.optimizers.SGD(learning_rate=schedule)  # or any other
    \
                     model.compile(optimizer, ...)  # counts the updates itself

Keras uses single precision unless \
                     keras.config.set_floatx(\"float64\") is called; the jax backend also needs
 jax_enable_x64.
";

type Arguments = Vec<(&'static str, String)>;

fn native(known: &Known, steps: f64) -> Option<(&'static str, Arguments)> {
    let whole = |x: f64| x.fract() == 0.0 && x >= 1.0;
    match known {
        Known::Ramp(ramp) => ramp_class(ramp, steps),
        Known::Warmup { ramp: up, body } => {
            let Known::Ramp(ramp) = body.as_ref() else { return None };
            let straight = up.way == Way::Linear && !up.ahead && up.to == ramp.from && whole(up.over);
            match ramp_class(ramp, steps - up.over)? {
                ("CosineDecay", mut arguments) if straight => {
                    arguments.retain(|(name, _)| *name != "initial_learning_rate");
                    arguments.insert(0, ("initial_learning_rate", real(up.from)));
                    arguments.push(("warmup_target", real(up.to)));
                    arguments.push(("warmup_steps", number(up.over)));
                    Some(("CosineDecay", arguments))
                }
                _ => None,
            }
        }
        Known::Step { lr, every, gamma } if whole(*every) && rounds_down(*every, steps) => {
            Some(("ExponentialDecay", exponential(*lr, *every, *gamma, true)))
        }
        Known::Exponential { lr, gamma, every } => {
            Some(("ExponentialDecay", exponential(*lr, *every, *gamma, false)))
        }
        Known::InverseTime { lr, rate, every, staircase }
            if !staircase || (whole(*every) && rounds_down(*every, steps)) =>
        {
            Some(("InverseTimeDecay", exponential(*lr, *every, *rate, *staircase)))
        }
        Known::Multistep { lr, at, gammas } => {
            let (mut boundaries, mut values) = (Vec::new(), vec![*lr]);
            for (m, gamma) in at.iter().zip(gammas).filter(|(m, _)| **m < steps) {
                let next = values.last()? * gamma;
                // In Keras the old value also applies at the boundary.
                if *m <= 0.0 || boundaries.last() == Some(&(m - 1.0)) {
                    values.pop();
                } else {
                    boundaries.push(m - 1.0);
                }
                values.push(next);
            }
            let plain = !boundaries.is_empty() && boundaries.iter().all(|b| b.fract() == 0.0);
            plain.then(|| {
                let listed = |numbers: &[f64], print: fn(f64) -> String| {
                    format!("[{}]", numbers.iter().map(|x| print(*x)).collect::<Vec<_>>().join(", "))
                };
                let arguments =
                    vec![("boundaries", listed(&boundaries, number)), ("values", listed(&values, real))];
                ("PiecewiseConstantDecay", arguments)
            })
        }
        _ => None,
    }
}

fn exponential(lr: f64, every: f64, rate: f64, staircase: bool) -> Arguments {
    let mut arguments =
        vec![("initial_learning_rate", real(lr)), ("decay_steps", number(every)), ("decay_rate", real(rate))];
    if staircase {
        arguments.push(("staircase", "True".to_owned()));
    }
    arguments
}

fn ramp_class(ramp: &KnownRamp, active: f64) -> Option<(&'static str, Arguments)> {
    let held = ramp.holds || ramp.over >= active;
    if ramp.ahead || !held || ramp.over.fract() != 0.0 || ramp.over < 1.0 {
        return None;
    }
    let start = ("initial_learning_rate", real(ramp.from));
    let steps = ("decay_steps", number(ramp.over));
    let power = match ramp.way {
        Way::Cosine { cycles: 0.5, exponent: 1.0 }
            if ramp.from > 0.0 && ramp.to >= MIN_COSINE * ramp.from =>
        {
            return Some(("CosineDecay", vec![start, steps, ("alpha", real(ramp.to / ramp.from))]));
        }
        Way::Linear => 1.0,
        Way::Polynomial { power } => power,
        _ => return None,
    };
    Some((
        "PolynomialDecay",
        vec![start, steps, ("end_learning_rate", real(ramp.to)), ("power", real(power))],
    ))
}
