//! PyTorch's AdamW (Loshchilov and Hutter, arXiv 1711.05101): p = p (1 - lr weight_decay), then
//! p = p - lr / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + eps) with n = t + 1.

use candle_core::{Result, Tensor, Var};

use super::in_place::{With1, With2};
use crate::kernels::is_ours;
use crate::kernels::simd::leveled;

pub(super) struct Adamw {
    pub(super) t: u64,
    pub(super) lr: f64,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    pub(super) weight_decay: f64,
    pub(super) clip: f64,
}

impl Adamw {
    pub(super) fn update(&self, parameter: &Var, gradient: &Tensor, first: &Var, second: &Var) -> Result<()> {
        let n = (self.t + 1) as f64;
        let step = self.lr / (1.0 - libm::pow(self.beta1, n));
        let correction = (1.0 - libm::pow(self.beta2, n)).sqrt();
        if is_ours(parameter) {
            self.here(parameter, gradient, first, second, step, correction)
        } else {
            self.anywhere(parameter, gradient, first, second, step, correction)
        }
    }

    fn here(&self, p: &Var, g: &Tensor, first: &Var, second: &Var, step: f64, correction: f64) -> Result<()> {
        let (beta1, beta2, clip) = (self.beta1 as f32, self.beta2 as f32, self.clip as f32);
        let (keep, eps) = ((1.0 - self.lr * self.weight_decay) as f32, self.eps as f32);
        let (step, correction) = (step as f32, correction as f32);
        let (rest1, rest2) = ((1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        first.inplace_op2(g, &With1(|m: &mut [f32], g: &[f32]| mean(m, g, beta1, rest1, clip)))?;
        second.inplace_op2(g, &With1(|v: &mut [f32], g: &[f32]| square(v, g, beta2, rest2, clip)))?;
        let scale = Scale { keep, step, correction, eps };
        p.inplace_op3(first, second, &With2(|p: &mut [f32], m: &[f32], v: &[f32]| apply(p, m, v, scale)))
    }

    fn anywhere(
        &self,
        p: &Var,
        g: &Tensor,
        first: &Var,
        second: &Var,
        step: f64,
        correction: f64,
    ) -> Result<()> {
        let g = (g * self.clip)?;
        let m = ((first.as_detached_tensor() * self.beta1)? + (&g * (1.0 - self.beta1))?)?;
        let v = ((second.as_detached_tensor() * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
        first.set(&m)?;
        second.set(&v)?;
        let denominator = ((v.sqrt()? / correction)? + self.eps)?;
        let kept = (p.as_detached_tensor() * (1.0 - self.lr * self.weight_decay))?;
        p.set(&(kept - ((m * step)? / denominator)?)?)
    }
}

#[derive(Clone, Copy)]
struct Scale {
    keep: f32,
    step: f32,
    correction: f32,
    eps: f32,
}

leveled! {
fn mean(m: &mut [f32], g: &[f32], beta: f32, rest: f32, clip: f32) {
    for (m, g) in m.iter_mut().zip(g) {
        *m = beta * *m + rest * (clip * g);
    }
}
}

leveled! {
fn square(v: &mut [f32], g: &[f32], beta: f32, rest: f32, clip: f32) {
    for (v, g) in v.iter_mut().zip(g) {
        let g = clip * g;
        *v = beta * *v + rest * g * g;
    }
}
}

leveled! {
fn apply(p: &mut [f32], m: &[f32], v: &[f32], scale: Scale) {
    for ((p, m), v) in p.iter_mut().zip(m).zip(v) {
        *p = *p * scale.keep - scale.step * m / (v.sqrt() / scale.correction + scale.eps);
    }
}
}
