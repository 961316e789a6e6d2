//! PyTorch's AdamW (Loshchilov and Hutter, arXiv 1711.05101): p = p (1 - lr weight_decay), then
//! p = p - lr / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + eps) with n = t + 1.

use candle_core::{Result, Tensor, Var};
use schedule::catalogue::{ABOVE_0, AT_LEAST_0, FROM_0_BELOW_1};
use serde::Deserialize;
use spec::catalogue::{Kind, Param, ParamType, no_check};

use super::{Algorithm, Elements, Entry, Rule, Update, build, flush};
use kernels::multiversioned;
use kernels::tiny::{TINY, TINY_ROOT, TINY_SQUARE, flushed};

pub(super) static ENTRY: Entry = Entry {
    kind: Kind {
        name: "adamw",
        doc: "PyTorch's AdamW",
        example: "{kind: adamw, weight_decay: 0.1}",
        params: &[
            Param::new(
                "betas",
                ParamType::Pair(FROM_0_BELOW_1, ["beta1", "beta2"]),
                "[0.9, 0.999]",
                "decay of the two moments",
            ),
            Param::new(
                "eps",
                ParamType::Number(ABOVE_0),
                "1e-8",
                "added to the square root of the second moment",
            ),
            Param::new("weight_decay", ParamType::Number(AT_LEAST_0), "0.01", "weight decay"),
        ],
        check: no_check,
    },
    build: build::<Adamw>,
};

#[derive(Debug, Deserialize)]
struct Adamw {
    /// Decay of the first moment, in [0, 1).
    beta1: f64,
    /// Decay of the second moment, in [0, 1).
    beta2: f64,
    /// Added to the square root of the second moment, above 0.
    eps: f64,
    /// Decoupled weight decay, at least 0.
    weight_decay: f64,
}

impl Algorithm for Adamw {
    fn state(&self, _: bool) -> &'static [&'static str] {
        &["first", "second"]
    }

    fn rule(&self, update: Update) -> Box<dyn Rule> {
        let n = (update.t + 1) as f64;
        let beta1 = update.momentum_or(self.beta1);
        Box::new(Step {
            beta1,
            beta2: self.beta2,
            eps: self.eps,
            keep: 1.0 - update.lr * update.decay_or_none(self.weight_decay),
            clip: update.clip,
            step: update.lr / (1.0 - libm::pow(beta1, n)),
            correction: (1.0 - libm::pow(self.beta2, n)).sqrt(),
        })
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn counts_updates(&self) -> Option<&'static str> {
        Some("AdamW")
    }
}

struct Step {
    beta1: f64,
    beta2: f64,
    eps: f64,
    /// 1 - lr weight_decay.
    keep: f64,
    clip: f64,
    /// lr / (1 - beta1^n).
    step: f64,
    /// sqrt(1 - beta2^n).
    correction: f64,
}

impl Rule for Step {
    fn apply(&self, to: &mut Elements<'_>, first: usize, g: &[f32]) {
        let numbers = Numbers {
            beta1: self.beta1 as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            clip: self.clip as f32,
            keep: self.keep as f32,
            step: self.step as f32,
            // Multiplying by the inverse is cheaper than dividing.
            correction: (1.0 / self.correction) as f32,
            eps: self.eps as f32,
        };
        if let Some((p, [m, v])) = to.slice(first, g.len()) {
            apply(p, m, v, g, numbers);
        }
    }

    fn apply_by_candle(&self, parameter: &Var, gradient: &Tensor, state: &[&Var]) -> Result<()> {
        let [first, second] = state else { candle_core::bail!("AdamW without its moments") };
        let g = (flush(gradient, TINY)? * self.clip)?;
        let m = flush(&((first.as_detached_tensor() * self.beta1)? + (&g * (1.0 - self.beta1))?)?, TINY)?;
        let g = flush(&g, TINY_ROOT)?;
        let v = ((second.as_detached_tensor() * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
        let v = flush(&v, TINY_SQUARE)?;
        first.set(&m)?;
        second.set(&v)?;
        let denominator = ((v.sqrt()? / self.correction)? + self.eps)?;
        let kept = (parameter.as_detached_tensor() * self.keep)?;
        parameter.set(&flush(&(kept - ((m * self.step)? / denominator)?)?, TINY)?)
    }
}

#[derive(Clone, Copy)]
struct Numbers {
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    clip: f32,
    keep: f32,
    step: f32,
    correction: f32,
    eps: f32,
}

multiversioned! {
fn apply(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], by: Numbers) {
    for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
        let g = by.clip * flushed(*g, TINY);
        *m = flushed(by.beta1 * *m + by.one_minus_beta1 * g, TINY);
        let g = flushed(g, TINY_ROOT);
        *v = flushed(by.beta2 * *v + by.one_minus_beta2 * g * g, TINY_SQUARE);
        *p = flushed(*p * by.keep - by.step * *m / (v.sqrt() * by.correction + by.eps), TINY);
    }
}
}
