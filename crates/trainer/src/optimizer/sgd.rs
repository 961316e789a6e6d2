//! PyTorch's SGD: with g the clipped gradient plus weight_decay times the parameter, v = momentum v + g
//! and p = p - lr v (Nesterov: p = p - lr (g + momentum v)).

use candle_core::{Result, Tensor, Var};

use crate::kernels::simd::leveled;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sgd {
    pub(super) lr: f64,
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
    pub(super) weight_decay: f64,
    pub(super) clip: f64,
}

impl Sgd {
    /// On the CPU, element by element; all slices are as long as `p`.
    pub(super) fn here(&self, p: &mut [f32], velocity: Option<&mut [f32]>, g: &[f32]) {
        let (lr, momentum) = (self.lr as f32, self.momentum as f32);
        let (decay, clip) = (self.weight_decay as f32, self.clip as f32);
        match velocity {
            None => plain(p, g, lr, decay, clip),
            Some(v) if self.nesterov => ahead(p, v, g, lr, momentum, decay, clip),
            Some(v) => accelerate(p, v, g, lr, momentum, decay, clip),
        }
    }

    pub(super) fn anywhere(&self, parameter: &Var, gradient: &Tensor, velocity: Option<&Var>) -> Result<()> {
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
fn accelerate(p: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32, decay: f32, clip: f32) {
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        *v = momentum * *v + (clip * g + decay * *p);
        *p -= lr * *v;
    }
}
}

leveled! {
fn ahead(p: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32, decay: f32, clip: f32) {
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        let g = clip * g + decay * *p;
        *v = momentum * *v + g;
        *p -= lr * (g + momentum * *v);
    }
}
}
