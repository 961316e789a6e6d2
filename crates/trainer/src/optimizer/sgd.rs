//! PyTorch's SGD: with g the clipped gradient plus weight_decay times the parameter, v = momentum v + g
//! and p = p - lr v (Nesterov: p = p - lr (g + momentum v)).

use candle_core::{Result, Tensor, Var};
use schedule::catalogue::{AT_LEAST_0, FROM_0_BELOW_1};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use spec::catalogue::{Conflict, Kind, Param, ParamType};

use super::{Algorithm, Elements, Entry, Rule, Update, build, flush};
use kernels::multiversioned;
use kernels::tiny::{TINY, flushed};

pub(super) static ENTRY: Entry = Entry {
    kind: Kind {
        name: "sgd",
        doc: "PyTorch's SGD",
        example: "{kind: sgd, momentum: 0.5, nesterov: true, weight_decay: 0.01}",
        params: &[
            Param::new("momentum", ParamType::Number(FROM_0_BELOW_1), "0", "momentum; 0 disables it"),
            Param::new("nesterov", ParamType::Flag, "false", "Nesterov momentum; needs `momentum` above 0"),
            Param::new("weight_decay", ParamType::Number(AT_LEAST_0), "0", "weight decay"),
        ],
        check: nesterov_has_momentum,
    },
    build: build::<Sgd>,
};

fn nesterov_has_momentum(values: &Map<String, Json>) -> std::result::Result<(), Conflict> {
    let momentum = values.get("momentum").and_then(Json::as_f64);
    match (momentum, values.get("nesterov").and_then(Json::as_bool)) {
        (Some(0.0), Some(true)) => Err(Conflict {
            param: "nesterov",
            message: "`nesterov` needs `momentum` above 0".to_owned(),
            hint: Some("add `momentum: 0.9`"),
        }),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
struct Sgd {
    /// In [0, 1). With 0 no velocity is kept.
    momentum: f64,
    /// Nesterov momentum; needs `momentum` above 0.
    nesterov: bool,
    /// L2 penalty added to the gradient, at least 0.
    weight_decay: f64,
}

impl Algorithm for Sgd {
    fn state(&self, cycled: bool) -> &'static [&'static str] {
        if self.momentum > 0.0 || cycled { &["velocity"] } else { &[] }
    }

    fn rule(&self, update: Update) -> Box<dyn Rule> {
        Box::new(Step {
            lr: update.lr,
            momentum: update.momentum_or(self.momentum),
            nesterov: self.nesterov,
            weight_decay: update.decay_or_none(self.weight_decay),
            clip: update.clip,
        })
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn plain_momentum(&self) -> std::result::Result<f64, &'static str> {
        match self {
            Self { nesterov: true, .. } => Err("optimizer.nesterov"),
            Self { weight_decay: 0.0, momentum, .. } => Ok(*momentum),
            _ => Err("optimizer.weight_decay"),
        }
    }
}

struct Step {
    lr: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    clip: f64,
}

impl Rule for Step {
    fn apply(&self, to: &mut Elements<'_>, first: usize, g: &[f32]) {
        let (lr, momentum) = (self.lr as f32, self.momentum as f32);
        let (decay, clip) = (self.weight_decay as f32, self.clip as f32);
        if let Some((p, [])) = to.slice(first, g.len()) {
            plain_step(p, g, lr, decay, clip);
        } else if let Some((p, [v])) = to.slice(first, g.len()) {
            if self.nesterov {
                nesterov_step(p, v, g, lr, momentum, decay, clip);
            } else {
                momentum_step(p, v, g, lr, momentum, decay, clip);
            }
        }
    }

    fn apply_by_candle(&self, parameter: &Var, gradient: &Tensor, state: &[&Var]) -> Result<()> {
        let p = parameter.as_detached_tensor();
        let g = ((flush(gradient, TINY)? * self.clip)? + (&p * self.weight_decay)?)?;
        let direction = match state.first() {
            None => g,
            Some(velocity) => {
                let v = flush(&((velocity.as_detached_tensor() * self.momentum)? + &g)?, TINY)?;
                velocity.set(&v)?;
                if self.nesterov { (g + (v * self.momentum)?)? } else { v }
            }
        };
        parameter.set(&flush(&(p - (direction * self.lr)?)?, TINY)?)
    }
}

multiversioned! {
fn plain_step(p: &mut [f32], g: &[f32], lr: f32, decay: f32, clip: f32) {
    for (p, g) in p.iter_mut().zip(g) {
        *p = flushed(*p - lr * (clip * flushed(*g, TINY) + decay * *p), TINY);
    }
}
}

multiversioned! {
fn momentum_step(p: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32, decay: f32, clip: f32) {
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        *v = flushed(momentum * *v + (clip * flushed(*g, TINY) + decay * *p), TINY);
        *p = flushed(*p - lr * *v, TINY);
    }
}
}

multiversioned! {
fn nesterov_step(p: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32, decay: f32, clip: f32) {
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        let g = clip * flushed(*g, TINY) + decay * *p;
        *v = flushed(momentum * *v + g, TINY);
        *p = flushed(*p - lr * (g + momentum * *v), TINY);
    }
}
}
