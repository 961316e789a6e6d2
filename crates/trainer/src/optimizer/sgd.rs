//! PyTorch's SGD: with g the clipped gradient plus weight_decay times the parameter, v = momentum v + g
//! and p = p - lr v (Nesterov: p = p - lr (g + momentum v)).

use candle_core::{Result, Tensor, Var};

use super::in_place::{With1, With2};
use crate::kernels::is_ours;
use crate::kernels::simd::leveled;

pub(super) struct Sgd {
    pub(super) lr: f64,
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
    pub(super) weight_decay: f64,
    pub(super) clip: f64,
}

impl Sgd {
    pub(super) fn update(&self, parameter: &Var, gradient: &Tensor, velocity: Option<&Var>) -> Result<()> {
        if is_ours(parameter) {
            self.here(parameter, gradient, velocity)
        } else {
            self.anywhere(parameter, gradient, velocity)
        }
    }

    fn here(&self, parameter: &Var, gradient: &Tensor, velocity: Option<&Var>) -> Result<()> {
        let (lr, momentum) = (self.lr as f32, self.momentum as f32);
        let (decay, clip) = (self.weight_decay as f32, self.clip as f32);
        let Some(velocity) = velocity else {
            return parameter
                .inplace_op2(gradient, &With1(|p: &mut [f32], g: &[f32]| plain(p, g, lr, decay, clip)));
        };
        velocity.inplace_op3(
            gradient,
            parameter,
            &With2(|v: &mut [f32], g: &[f32], p: &[f32]| accelerate(v, g, p, momentum, decay, clip)),
        )?;
        if self.nesterov {
            return parameter.inplace_op3(
                velocity,
                gradient,
                &With2(|p: &mut [f32], v: &[f32], g: &[f32]| ahead(p, v, g, lr, momentum, decay, clip)),
            );
        }
        parameter.inplace_op2(velocity, &With1(|p: &mut [f32], v: &[f32]| plain(p, v, lr, 0.0, 1.0)))
    }

    fn anywhere(&self, parameter: &Var, gradient: &Tensor, velocity: Option<&Var>) -> Result<()> {
        let p = parameter.as_detached_tensor();
        let g = ((gradient * self.clip)? + (&p * self.weight_decay)?)?;
        let direction = match velocity {
            None => g,
            Some(velocity) => {
                let v = ((velocity.as_detached_tensor() * self.momentum)? + &g)?;
                velocity.set(&v)?;
                if self.nesterov { (g + (v * self.momentum)?)? } else { v }
            }
        };
        parameter.set(&(p - (direction * self.lr)?)?)
    }
}

leveled! {
fn plain(p: &mut [f32], g: &[f32], lr: f32, decay: f32, clip: f32) {
    for (p, g) in p.iter_mut().zip(g) {
        *p -= lr * (clip * g + decay * *p);
    }
}
}

leveled! {
fn accelerate(v: &mut [f32], g: &[f32], p: &[f32], momentum: f32, decay: f32, clip: f32) {
    for ((v, g), p) in v.iter_mut().zip(g).zip(p) {
        *v = momentum * *v + (clip * g + decay * p);
    }
}
}

leveled! {
fn ahead(p: &mut [f32], v: &[f32], g: &[f32], lr: f32, momentum: f32, decay: f32, clip: f32) {
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        *p -= lr * ((clip * g + decay * *p) + momentum * v);
    }
}
}
