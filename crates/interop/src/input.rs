//! The input of the exports: a schedule with its title, and the code that all libraries share. Code for a
//! single library is in its `export`.

use schedule::formula::Term;
use schedule::known::Known;
use schedule::{Feedback, Schedule};

use crate::writer::{self, Body, Dialect, number};

/// The maximum number of steps at which a formula is checked.
const MAX_TRIED: u64 = 1_000_000;

/// Tolerances between formula and lr: relative to the lr, and relative to the highest lr of the run.
const SHARE: f64 = 1e-6;
const LEAST: f64 = 1e-12;

/// The same for single precision.
const SINGLE_SHARE: f64 = 1e-2;
const SINGLE_LEAST: f64 = 1e-4;

/// The schedule to print.
#[derive(Debug, Clone, Copy)]
pub struct ExportInput<'a> {
    /// A one-line title.
    pub title: &'a str,
    /// The schedule.
    pub schedule: &'a Schedule,
}

impl ExportInput<'_> {
    /// The base lr of the run.
    pub(crate) fn base_lr(&self) -> f64 {
        self.schedule.horizon().base_lr
    }

    /// The number of updates of the run.
    pub(crate) fn steps(&self) -> u64 {
        self.schedule.horizon().total
    }

    /// The last update of the run.
    pub(crate) fn last(&self) -> u64 {
        self.steps().saturating_sub(1)
    }

    /// The closed form as a function body.
    pub(crate) fn body(&self, dialect: Dialect, indent: &str) -> Result<Body, String> {
        let Some(formula) = self.schedule.formula() else {
            return Err(match self.schedule.feedback() {
                Feedback::ClosedLoop => String::new(),
                Feedback::OpenLoop => {
                    "this schedule can't be exported as a formula: its cycles grow too slowly, or its expression has \
                     no closed form"
                        .to_owned()
                }
            });
        };
        self.check_matches_schedule(&formula)?;
        let mut body = writer::body(&formula, dialect, indent)?;
        match dialect {
            Dialect::Math => self.check_python(&formula)?,
            Dialect::Jax | Dialect::Keras => {
                self.check_compiled(&formula)?;
                body.needs_double = self.needs_double(&formula);
            }
        }
        Ok(body)
    }

    /// The steps at which a formula is checked.
    fn checked_steps(&self) -> std::ops::Range<u64> {
        0..self.steps().min(MAX_TRIED)
    }

    /// Refuses a formula whose value in floats differs from the lr, as with whole numbers above 2^53.
    fn check_matches_schedule(&self, formula: &Term) -> Result<(), String> {
        let state = self.schedule.start();
        let lrs: Vec<f64> = self.checked_steps().map(|t| self.schedule.lr(t, &state)).collect();
        let top = lrs.iter().copied().fold(0.0, f64::max);
        let close = |lr: f64, found: f64| (found - lr).abs() <= SHARE * lr.abs() + LEAST * top;
        match lrs.iter().enumerate().find(|(t, lr)| !close(**lr, formula.value(*t as f64))) {
            None => Ok(()),
            Some((t, lr)) => Err(format!(
                "the formula of this schedule would give {} at t = {t} instead of the lr {lr}: it is sensitive to \
                 rounding of floats",
                formula.value(t as f64)
            )),
        }
    }

    /// Compilers of array code replace a division by a constant with a multiplication by its inverse.
    fn check_compiled(&self, formula: &Term) -> Result<(), String> {
        let top = self.checked_steps().map(|t| formula.value(t as f64)).fold(0.0, f64::max);
        let differs = |t: &u64| {
            let (lr, found) = (formula.value(*t as f64), formula.compiled(*t as f64));
            (found - lr).abs() > SHARE * lr.abs() + LEAST * top
        };
        match self.checked_steps().find(differs) {
            None => Ok(()),
            Some(t) => Err(format!(
                "compiled code replaces a division by a constant with a multiplication, which gives another lr at t = \
                 {t}: use whole numbers, as in t // 10"
            )),
        }
    }

    /// Whether single precision gives another lr: the last digit can decide how a division is rounded.
    fn needs_double(&self, formula: &Term) -> bool {
        let top = self.checked_steps().map(|t| formula.value(t as f64)).fold(0.0, f64::max);
        let far = |wide: f64, narrow: f64| {
            let difference = (wide - narrow).abs();
            difference.is_nan() || difference > SINGLE_SHARE * wide.abs() + SINGLE_LEAST * top
        };
        self.checked_steps().any(|t| far(formula.value(t as f64), formula.single(t as f64)))
    }

    /// Refuses formulas with intermediate results that raise an error in Python, as in exp(-1 / t) at t = 0.
    fn check_python(&self, formula: &Term) -> Result<(), String> {
        match self.checked_steps().find(|t| formula.python_value(*t as f64).is_none()) {
            None => Ok(()),
            Some(t) => Err(format!(
                "at t = {t} the formula divides by 0 or overflows, which is an error in Python: handle this case, as \
                 in 0 if t == 0 else ..."
            )),
        }
    }

    /// The form of the schedule in other libraries.
    pub(crate) fn known(&self) -> Known {
        self.schedule.known()
    }

    /// The function `lr(t)` and its imports, for libraries that use plain Python numbers.
    pub(crate) fn plain_function(&self) -> Result<(String, Vec<&'static str>), String> {
        let body = self.body(Dialect::Math, "    ")?;
        let mut imports = Vec::new();
        if body.math {
            imports.push("import math");
        }
        if body.bisect {
            imports.push("from bisect import bisect_right");
        }
        let tables = if body.tables.is_empty() { String::new() } else { format!("{}\n", body.tables) };
        let text = format!(
            "{tables}BASE_LR = {}\n\n\ndef lr(t):\n    \"\"\"Learning rate of update t = 0, 1, ..., {}.\"\"\"\n    t = min(t, {})  # the lr stays constant after the last update\n{}",
            number(self.base_lr()),
            self.last(),
            self.last(),
            body.lines
        );
        Ok((text, imports))
    }

    /// The note for a schedule that also cycles the momentum, which the code does not.
    fn momentum_note(&self) -> &'static str {
        match self.schedule.momentum(0) {
            Some(_) => {
                "\nThe schedule also cycles the momentum, which is not part of this code: export it as csv to get the momentum.\n"
            }
            None => "",
        }
    }

    /// The error for rules that the library does not have.
    pub(crate) fn no_counterpart(&self, library: &str) -> String {
        let kinds = self.schedule.rule_kinds();
        let named = schedule::problem::listed(kinds.iter().copied());
        let instead: Vec<&str> = kinds.iter().filter_map(|kind| alternative(kind)).collect();
        let mut text = format!("{library} has no counterpart of {named}, which depends on training");
        for hint in instead {
            text.push_str("; ");
            text.push_str(hint);
        }
        text.push_str("; to get the lrs of a trained trial: sweep export schedule TRIAL --to csv (or json)");
        text
    }
}

/// The libraries that have a rule, by its kind.
fn alternative(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "plateau" => {
            "on its own it is ReduceLROnPlateau in PyTorch and Keras, and reduce_on_plateau in optax.contrib; after a \
             linear warmup to 1x it is PlateauLRScheduler in timm"
        }
        "greedy" => {
            "on its own, without a schedule around it, it is get_scheduler(\"greedy\") in transformers"
        }
        "polyak" => "on its own, without a schedule around it, it is optax.polyak_sgd",
        "adaptive" => "scikit-learn has it in MLPClassifier(learning_rate=\"adaptive\")",
        "adagrad_norm" => "PyTorch's Adagrad is this rule only for a single parameter",
        "dog" => "it is an optimizer in optax: optax.contrib.dog",
        "d_adaptation" => "it is an optimizer in the package dadaptation: DAdaptSGD",
        "prodigy" => "it is an optimizer in the package prodigyopt and in optax.contrib.prodigy",
        "schedule_free" => {
            "it is an optimizer in the package schedulefree and in optax.contrib.schedule_free"
        }
        "hypergradient" | "bold_driver" => "no widely used library has it",
        _ => return None,
    })
}

/// The docstring of a program: its title and usage.
pub(crate) fn head(subject: &ExportInput<'_>, usage: &str) -> String {
    format!(
        "\"\"\"Learning rates of {} updates:\n\n    {}\n\nUsage:\n\n{usage}{}\"\"\"\n\n",
        subject.steps(),
        subject.title.replace(['"', '\\', '\n'], "'"),
        subject.momentum_note()
    )
}
