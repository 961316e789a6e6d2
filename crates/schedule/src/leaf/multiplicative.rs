//! The base lr times the product of an expression's values so far.

use std::sync::Mutex;

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, required};
use crate::expression::{Expression, Values};
use crate::formula::{Term, TermPosition};
use crate::number::ArithmeticError;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "multiplicative",
    aliases: &["MultiplicativeLR"],
    summary: "the previous lr times a custom expression",
    formula: "lr = base * expr(1) * ... * expr(s), with expr as in `lambda`. Its value must be at least 0 at every \
              step of the run",
    symbols: &[("expr(s)", "the expression at t = s; T = S, epoch, base and pi are known too")],
    ends: Ends {
        before: "base at s = 0, where the expression is not applied",
        at: "base times all factors up to S - 1",
        after: "continues to four times the length of the run (at least to step 10,000), then stays constant; a plain \
                number, as in \"0.95\", continues without end",
    },
    source: "torch MultiplicativeLR",
    example: "{kind: multiplicative, expr: \"0.999 if t < T / 2 else 0.99\"}",
    params: &[required("expr", ParamType::Expression, "factor per step")],
    build: Build::Leaf(|reader| {
        let (expression, problem) = reader.expression("expr")?;
        Some(Box::new(Multiplicative { expression, problem, products: Mutex::default() }))
    }),
};

/// The product is computed up to this multiple of the run's length, and at least to step `LEAST`. This bounds
/// the cost of far positions.
const RUNS: f64 = 4.0;
const LEAST: f64 = 10_000.0;

/// Every `STRIDE`th product is cached.
const STRIDE: u64 = 1024;

/// The maximum number of segments with cached products: cycles of a `restart` differ in length.
const MAX_SEGMENTS: usize = 64;

#[derive(Debug)]
struct Multiplicative {
    expression: Expression,
    /// The problem of a step at which the expression gives no factor. The message is added later.
    problem: Problem,
    /// A cache. It changes no result: products always start at step 1.
    products: Mutex<Vec<Products>>,
}

/// Products over one segment.
#[derive(Debug)]
struct Products {
    /// Bits of all inputs of the expression except s.
    of: [u64; 4],
    /// The products up to and including every `STRIDE`th step.
    kept: Vec<f64>,
    /// The last requested step and its product.
    last: (u64, f64),
}

impl Multiplicative {
    fn factor(&self, at: &Position, s: f64) -> Result<f64, ArithmeticError> {
        let epoch = at.epoch.map_or(f64::NAN, |epoch| (s * at.tick / epoch).floor());
        self.expression.value(&Values { t: s, length: at.len, epoch, base: at.base })
    }

    /// The product of the factors from step 1 to step `s`.
    fn product(&self, at: &Position, s: u64) -> f64 {
        if !self.expression.uses_variables() {
            return libm::pow(self.factor(at, 0.0).unwrap_or(f64::NAN), s as f64);
        }
        let s = s.min((at.run / at.tick * RUNS).max(LEAST) as u64);
        let of = [at.len, at.base, at.tick, at.epoch.unwrap_or(0.0)].map(f64::to_bits);
        // A poisoned lock still holds complete products.
        let mut all = self.products.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut products = match all.iter().position(|products| products.of == of) {
            Some(i) => all.swap_remove(i),
            None => Products { of, kept: vec![1.0], last: (0, 1.0) },
        };
        let (mut step, mut product) = products.last;
        let near = (s / STRIDE).min(products.kept.len() as u64 - 1) * STRIDE;
        if step > s || step < near {
            step = near;
            product = products.kept.get((near / STRIDE) as usize).copied().unwrap_or(1.0);
        }
        while step < s {
            step += 1;
            product *= self.factor(at, step as f64).unwrap_or(f64::NAN);
            if step == products.kept.len() as u64 * STRIDE {
                products.kept.push(product);
            }
        }
        products.last = (s, product);
        all.push(products);
        if all.len() > MAX_SEGMENTS {
            all.remove(0);
        }
        product
    }
}

impl Leaf for Multiplicative {
    fn lr(&self, at: &Position) -> f64 {
        at.base * self.product(at, at.s.floor() as u64)
    }

    fn has_formula(&self) -> bool {
        !self.expression.uses_variables()
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let factor = self.expression.value(&Values { t: 0.0, length: 0.0, epoch: 0.0, base: 0.0 });
        at.base.clone() * Term::from(factor.unwrap_or(f64::NAN)).power(at.s.clone().divide_down(1.0.into()))
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        super::needs_epochs(&self.expression, &self.problem, at, problems);
    }

    fn needs_step_check(&self) -> bool {
        true
    }

    fn invalid_lr(&self, at: &Position) -> Option<Problem> {
        let s = at.s.floor();
        if s < 1.0 {
            return None;
        }
        let message = match self.factor(at, s) {
            Ok(factor) if factor >= 0.0 && factor.is_finite() => None,
            Ok(factor) => Some(format!(
                "expected a finite factor of at least 0 at every step, found {factor} at t = {s}"
            )),
            Err(ArithmeticError(error)) => Some(format!("the expression has no value at t = {s}: {error}")),
        };
        if let Some(message) = message {
            return Some(Problem { message, ..self.problem.clone() });
        }
        let lr = self.lr(at);
        let message = || format!("the product of the expression's values up to t = {s} gives the lr {lr}");
        (!lr.is_finite()).then(|| Problem { message: message(), ..self.problem.clone() })
    }
}
