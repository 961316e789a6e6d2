//! What code is printed for: a schedule with its title, and the parts that programs of all libraries share. What is
//! particular about a library is in its own `export`.

use schedule::formula::Term;
use schedule::known::Known;
use schedule::{Feedback, Schedule};

use crate::writer::{self, Body, Dialect, number};

/// The most steps at which a formula is tried.
const MAX_TRIED: u64 = 1_000_000;

/// How far a formula may be from the lr: a share of it, and one of the highest lr of the run.
const SHARE: f64 = 1e-6;
const LEAST: f64 = 1e-12;

/// The same for single precision.
const SINGLE_SHARE: f64 = 1e-2;
const SINGLE_LEAST: f64 = 1e-4;

/// What is printed.
#[derive(Debug, Clone, Copy)]
pub struct ExportInput<'a> {
    /// What it is, in a few words: one line.
    pub title: &'a str,
    /// The schedule.
    pub schedule: &'a Schedule,
}

impl ExportInput<'_> {
    /// The base lr that it is fitted to.
    pub(crate) fn base_lr(&self) -> f64 {
        self.schedule.horizon().base_lr
    }

    /// Updates of the run.
    pub(crate) fn steps(&self) -> u64 {
        self.schedule.horizon().total
    }

    /// The last update of the run.
    pub(crate) fn last(&self) -> u64 {
        self.steps().saturating_sub(1)
    }

    /// The closed form as a function's body.
    pub(crate) fn body(&self, dialect: Dialect, indent: &str) -> Result<Body, String> {
        let Some(formula) = self.schedule.formula() else {
            return Err(match self.schedule.feedback() {
                Feedback::ClosedLoop => String::new(),
                Feedback::OpenLoop => {
                    "this schedule can't be written out as a formula: its cycles grow too slowly, or \
                                       its expression has no closed form"
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

    /// The steps at which a formula is tried.
    fn checked_steps(&self) -> std::ops::Range<u64> {
        0..self.steps().min(MAX_TRIED)
    }

    /// A formula is worked out in floats: where that is not what the schedule does, as with whole numbers beyond
    /// 2^53, it is not printed.
    fn check_matches_schedule(&self, formula: &Term) -> Result<(), String> {
        let state = self.schedule.start();
        let lrs: Vec<f64> = self.checked_steps().map(|t| self.schedule.lr(t, &state)).collect();
        let top = lrs.iter().copied().fold(0.0, f64::max);
        let close = |lr: f64, found: f64| (found - lr).abs() <= SHARE * lr.abs() + LEAST * top;
        match lrs.iter().enumerate().find(|(t, lr)| !close(**lr, formula.value(*t as f64))) {
            None => Ok(()),
            Some((t, lr)) => Err(format!(
                "written out as a formula this schedule would give {} at t = {t}, where its lr is {lr}: the formula is \
                 worked out in floats, to whose last digit it is sensitive",
                formula.value(t as f64)
            )),
        }
    }

    /// Compilers of array code multiply by the inverse of a number instead of dividing by it.
    fn check_compiled(&self, formula: &Term) -> Result<(), String> {
        let top = self.checked_steps().map(|t| formula.value(t as f64)).fold(0.0, f64::max);
        let differs = |t: &u64| {
            let (lr, found) = (formula.value(*t as f64), formula.compiled(*t as f64));
            (found - lr).abs() > SHARE * lr.abs() + LEAST * top
        };
        match self.checked_steps().find(differs) {
            None => Ok(()),
            Some(t) => Err(format!(
                "compiled, a division by a number becomes a multiplication, whose last digit makes another lr at t = {t}: \
                 write it with whole numbers, as in t // 10"
            )),
        }
    }

    /// Whether another lr comes out in single precision: a last digit may decide what a division is rounded to.
    fn needs_double(&self, formula: &Term) -> bool {
        let top = self.checked_steps().map(|t| formula.value(t as f64)).fold(0.0, f64::max);
        let far = |wide: f64, narrow: f64| {
            let difference = (wide - narrow).abs();
            difference.is_nan() || difference > SINGLE_SHARE * wide.abs() + SINGLE_LEAST * top
        };
        self.checked_steps().any(|t| far(formula.value(t as f64), formula.single(t as f64)))
    }

    /// A formula may pass over infinities that are an error in Python, as in exp(-1 / t) at t = 0.
    fn check_python(&self, formula: &Term) -> Result<(), String> {
        match self.checked_steps().find(|t| formula.python_value(*t as f64).is_none()) {
            None => Ok(()),
            Some(t) => Err(format!(
                "at t = {t} the formula divides by 0, or grows beyond all numbers on the way, which is an error in \
                 Python: write it so that it does not, as in 0 if t == 0 else ..."
            )),
        }
    }

    /// What the schedule is, in words that libraries share.
    pub(crate) fn known(&self) -> Known {
        self.schedule.known()
    }

    /// `lr(t)` with what it needs, for libraries that run on Python's own numbers.
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
            "{tables}BASE_LR = {}\n\n\ndef lr(t):\n    \"\"\"Learning rate of update t = 0, 1, ..., {}.\"\"\"\n    t = min(t, {})  # after the last update its lr holds\n{}",
            number(self.base_lr()),
            self.last(),
            self.last(),
            body.lines
        );
        Ok((text, imports))
    }

    /// The note of a schedule that cycles the momentum too, where the code does not.
    fn momentum_note(&self) -> &'static str {
        match self.schedule.momentum(0) {
            Some(_) => {
                "\nThe schedule cycles the momentum as well, which is not part of this code: export it as csv to have it.\n"
            }
            None => "",
        }
    }

    /// What is said of rules that the library does not have.
    pub(crate) fn no_counterpart(&self, library: &str) -> String {
        let kinds = self.schedule.rule_kinds();
        let named = schedule::problem::listed(kinds.iter().copied());
        let instead: Vec<&str> = kinds.iter().filter_map(|kind| alternative(kind)).collect();
        let mut text = format!("{library} has no counterpart of {named}, which watches training");
        for hint in instead {
            text.push_str("; ");
            text.push_str(hint);
        }
        text.push_str(
            "; the lrs that a trained trial used can be had: sweep export schedule TRIAL --to csv (or json)",
        );
        text
    }
}

/// Who has a rule, by its kind.
fn alternative(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "plateau" => {
            "alone it is ReduceLROnPlateau in PyTorch and Keras, and reduce_on_plateau in optax.contrib; after a linear \
             warmup to 1x timm has it: PlateauLRScheduler"
        }
        "greedy" => "transformers has it alone, without a schedule around it: get_scheduler(\"greedy\")",
        "polyak" => "optax has it alone, without a schedule around it: optax.polyak_sgd",
        "adaptive" => "scikit-learn has it inside MLPClassifier(learning_rate=\"adaptive\")",
        "adagrad_norm" => "PyTorch's Adagrad is this rule for a single parameter only",
        "dog" => "as an optimiser optax has it: optax.contrib.dog",
        "d_adaptation" => "as an optimiser the package dadaptation has it: DAdaptSGD",
        "prodigy" => "as an optimiser the package prodigyopt and optax.contrib.prodigy have it",
        "schedule_free" => "as an optimiser the package schedulefree and optax.contrib.schedule_free have it",
        "hypergradient" | "bold_driver" => "no library in wide use has it",
        _ => return None,
    })
}

/// The text at the head of a program: what it is, and how it is used.
pub(crate) fn head(subject: &ExportInput<'_>, usage: &str) -> String {
    format!(
        "\"\"\"Learning rates of {} updates:\n\n    {}\n\nUsage:\n\n{usage}{}\"\"\"\n\n",
        subject.steps(),
        subject.title.replace(['"', '\\', '\n'], "'"),
        subject.momentum_note()
    )
}
