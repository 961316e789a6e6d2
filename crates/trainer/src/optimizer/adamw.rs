//! PyTorch's AdamW (Loshchilov and Hutter, arXiv 1711.05101): p = p (1 - lr weight_decay), then
//! p = p - lr / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + eps) with n = t + 1.

use candle_core::{Result, Tensor, Var};

use crate::kernels::simd::leveled;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Adamw {
    pub(super) lr: f64,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    pub(super) weight_decay: f64,
    pub(super) clip: f64,
    /// lr / (1 - beta1^n).
    step: f64,
    /// sqrt(1 - beta2^n).
    correction: f64,
}

impl Adamw {
    /// The rule of update `t`, from 0. The rest as in the sweep file.
    pub(super) fn new(
        t: u64,
        lr: f64,
        (beta1, beta2): (f64, f64),
        eps: f64,
        weight_decay: f64,
        clip: f64,
    ) -> Self {
        let n = (t + 1) as f64;
        let step = lr / (1.0 - libm::pow(beta1, n));
        let correction = (1.0 - libm::pow(beta2, n)).sqrt();
        Self { lr, beta1, beta2, eps, weight_decay, clip, step, correction }
    }

    /// On the CPU, element by element; all slices are as long as `p`.
    pub(super) fn here(&self, p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        let numbers = Numbers {
            beta1: self.beta1 as f32,
            rest1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            rest2: (1.0 - self.beta2) as f32,
            clip: self.clip as f32,
            keep: (1.0 - self.lr * self.weight_decay) as f32,
            step: self.step as f32,
            // A product is cheaper than a division.
            correction: (1.0 / self.correction) as f32,
            eps: self.eps as f32,
        };
        apply(p, m, v, g, numbers);
    }

    pub(super) fn anywhere(&self, p: &Var, g: &Tensor, first: &Var, second: &Var) -> Result<()> {
        let g = (g * self.clip)?;
        let m = ((first.as_detached_tensor() * self.beta1)? + (&g * (1.0 - self.beta1))?)?;
        let v = ((second.as_detached_tensor() * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
        first.set(&m)?;
        second.set(&v)?;
        let denominator = ((v.sqrt()? / self.correction)? + self.eps)?;
        let kept = (p.as_detached_tensor() * (1.0 - self.lr * self.weight_decay))?;
        p.set(&(kept - ((m * self.step)? / denominator)?)?)
    }
}

#[derive(Clone, Copy)]
struct Numbers {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    clip: f32,
    keep: f32,
    step: f32,
    correction: f32,
    eps: f32,
}

leveled! {
fn apply(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], by: Numbers) {
    for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
        let g = by.clip * g;
        *m = by.beta1 * *m + by.rest1 * g;
        *v = by.beta2 * *v + by.rest2 * g * g;
        *p = *p * by.keep - by.step * *m / (v.sqrt() * by.correction + by.eps);
    }
}
}
