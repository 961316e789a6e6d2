//! Schedule-free training (Defazio et al., arXiv 2405.15682): the optimizer updates z, gradients are computed at y, and
//! evaluation uses x, the average of all z. The model's parameters hold y; z and x are separate copies, so there is no mode to
//! switch between training and evaluation.

use candle_core::{Result, Tensor, Var};
use schedule::Average;

use crate::model::{Parameter, copies};
use crate::ops::is_cpu_f32;
use crate::optimizer::in_place::{With1, With2};
use crate::optimizer::{Optimizer, Update, flush};
use kernels::multiversioned;
use kernels::tiny::{TINY, flushed};

/// z and x of one run, with the names and the order of the model's parameters.
#[derive(Debug)]
pub(crate) struct Averaged {
    z: Vec<Parameter>,
    x: Vec<Parameter>,
}

impl Averaged {
    /// Starts with z and x equal to the parameters.
    pub(crate) fn new(parameters: &[Parameter]) -> Result<Self> {
        Ok(Self { z: copies(parameters)?, x: copies(parameters)? })
    }

    /// A deep copy.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(Self { z: copies(&self.z)?, x: copies(&self.x)? })
    }

    /// The averaged weights x, for evaluation.
    pub(crate) fn eval_view(&self) -> &[Parameter] {
        &self.x
    }

    /// Name and value of each tensor, such as `average.x.fc1.weight`.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, &Var)> {
        let z = self.z.iter().map(|p| (format!("average.z.{}", p.name), &p.var));
        z.chain(self.x.iter().map(|p| (format!("average.x.{}", p.name), &p.var)))
    }

    /// One update of y (`parameters`), with gradients computed at y.
    pub(crate) fn update(
        &self,
        optimizer: &Optimizer,
        parameters: &[Parameter],
        gradients: &[Tensor],
        update: Update,
        average: Average,
    ) -> Result<()> {
        if average.first {
            for ((y, z), x) in parameters.iter().zip(&self.z).zip(&self.x) {
                let y = y.var.as_detached_tensor();
                z.var.set(&y)?;
                x.var.set(&y)?;
            }
        }
        optimizer.update(&self.z, gradients, Update { averaged: true, ..update })?;
        let decay = update.lr * optimizer.weight_decay();
        for ((y, z), x) in parameters.iter().zip(&self.z).zip(&self.x) {
            let (y, z, x) = (&y.var, &z.var, &x.var);
            if decay != 0.0 {
                add(z, y, 1.0, -decay)?;
            }
            add(x, z, 1.0 - average.weight, average.weight)?;
            mix(y, z, x, average.momentum)?;
        }
        Ok(())
    }

    /// Ends averaging: sets the parameters to the average.
    pub(crate) fn apply_to(&self, parameters: &[Parameter]) -> Result<()> {
        parameters.iter().zip(&self.x).try_for_each(|(y, x)| y.var.set(&x.var.as_detached_tensor()))
    }
}

/// target = keep * target + scale * other.
fn add(target: &Var, other: &Var, keep: f64, scale: f64) -> Result<()> {
    if is_cpu_f32(target) {
        let (keep, scale) = (keep as f32, scale as f32);
        return target
            .inplace_op2(other, &With1(|to: &mut [f32], from: &[f32]| scale_add(to, from, keep, scale)));
    }
    let sum = (target.as_detached_tensor() * keep)? + (other.as_detached_tensor() * scale)?;
    target.set(&flush(&sum?, TINY)?)
}

/// y = (1 - momentum) z + momentum x.
fn mix(y: &Var, z: &Var, x: &Var, momentum: f64) -> Result<()> {
    if is_cpu_f32(y) {
        let (z_weight, x_weight) = ((1.0 - momentum) as f32, momentum as f32);
        return y.inplace_op3(
            z,
            x,
            &With2(|y: &mut [f32], z: &[f32], x: &[f32]| interpolate(y, z, x, z_weight, x_weight)),
        );
    }
    let sum = (z.as_detached_tensor() * (1.0 - momentum))? + (x.as_detached_tensor() * momentum)?;
    y.set(&flush(&sum?, TINY)?)
}

multiversioned! {
fn scale_add(to: &mut [f32], from: &[f32], keep: f32, scale: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = flushed(keep * *to + scale * from, TINY);
    }
}
}

multiversioned! {
fn interpolate(y: &mut [f32], z: &[f32], x: &[f32], z_weight: f32, x_weight: f32) {
    for ((y, z), x) in y.iter_mut().zip(z).zip(x) {
        *y = flushed(z_weight * z + x_weight * x, TINY);
    }
}
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor, Var};
    use schedule::Average;
    use spec::trial::Choice;

    use super::Averaged;
    use crate::model::Parameter;
    use crate::optimizer::tests::{choice, has_tiny, is_zero};
    use crate::optimizer::{Optimizer, Update};

    // Printed by this program (torch 2.15.0, schedulefree 1.4.1, CPU, float64):
    //
    //   import torch, schedulefree
    //   a = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)
    //   for make in (lambda p: schedulefree.SGDScheduleFree(p, lr=0.1, momentum=0.8, weight_decay=0.01, warmup_steps=3),
    //                lambda p: schedulefree.AdamWScheduleFree(p, lr=0.1, betas=(0.8, 0.95), eps=1e-6,
    //                                                         weight_decay=0.1, warmup_steps=3)):
    //       p = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    //       opt = make([p]); opt.train()
    //       for t in range(6):
    //           p.grad = a * p.detach(); opt.step()
    //       y = p.tolist(); opt.eval(); print(y, p.tolist())
    const SGD: [[f64; 3]; 2] = [
        [0.686_357_922_342_792_5, -0.559_413_630_113_957_5, 2.492_813_752_035_904_6],
        [0.715_158_978_048_904, -0.659_642_863_842_013, 2.542_158_929_248_947],
    ];
    const ADAMW: [[f64; 3]; 2] = [
        [0.643_875_270_755_896_2, -1.595_370_318_355_889_8, 2.556_089_815_314_848],
        [0.677_713_760_371_963_6, -1.635_296_105_646_103, 2.600_371_181_383_248],
    ];

    /// y and x after 6 updates.
    fn run(kind: &Choice, dtype: DType) -> [Vec<f64>; 2] {
        let tensor = |values: [f64; 3]| {
            Tensor::new(&values, &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("a tensor")
        };
        let var = Var::from_tensor(&tensor([1.0, -2.0, 3.0])).expect("a variable");
        let parameters = [Parameter { name: "p".to_owned(), var: var.clone(), transposed: false }];
        let numbers =
            |var: &Var| -> Vec<f64> { var.to_dtype(DType::F64).and_then(|t| t.to_vec1()).expect("numbers") };
        let optimizer = Optimizer::new(kind, false, &parameters).expect("an optimizer");
        let averaged = Averaged::new(&parameters).expect("copies");
        let mut sum = 0.0;
        for t in 0..6u64 {
            let y = numbers(&var);
            let gradient = tensor([y[0], 3.0 * y[1], 0.5 * y[2]]);
            let lr = 0.1 * ((t + 1) as f64 / 3.0).min(1.0);
            sum += lr * lr;
            let update = Update { t, lr, momentum: None, averaged: false, clip: 1.0 };
            let average = Average { first: t == 0, momentum: 0.8, weight: lr * lr / sum };
            averaged.update(&optimizer, &parameters, &[gradient], update, average).expect("an update");
        }
        [numbers(&var), numbers(&averaged.eval_view()[0].var)]
    }

    /// With weight decay only, z, x and y shrink by a factor.
    #[test]
    fn averages_that_shrink_become_exactly_0() {
        let kind = choice(r#"{"kind": "sgd", "momentum": 0.0, "nesterov": false, "weight_decay": 1.0}"#);
        for dtype in [DType::F32, DType::F64] {
            let one = Tensor::ones(3, dtype, &Device::Cpu).expect("a tensor");
            let var = Var::from_tensor(&one).expect("a variable");
            let parameters = [Parameter { name: "p".to_owned(), var, transposed: false }];
            let optimizer = Optimizer::new(&kind, false, &parameters).expect("an optimizer");
            let averaged = Averaged::new(&parameters).expect("copies");
            let gradient = one.zeros_like().expect("zeros");
            let views = || [&parameters[0].var, &averaged.z[0].var, &averaged.x[0].var];
            for t in 0..400 {
                let update = Update { t, lr: 0.5, momentum: None, averaged: false, clip: 1.0 };
                let average = Average { first: t == 0, momentum: 0.5, weight: 0.5 };
                let gradients = std::slice::from_ref(&gradient);
                averaged.update(&optimizer, &parameters, gradients, update, average).expect("an update");
                assert!(!views().iter().any(|view| has_tiny(view)), "{dtype:?}, update {t}");
            }
            assert!(views().iter().all(|view| is_zero(view)), "{dtype:?}");
        }
    }

    #[test]
    fn both_views_agree_with_schedulefree() {
        // The optimizer's momentum is not used while weights are averaged.
        let sgd = choice(r#"{"kind": "sgd", "momentum": 0.9, "nesterov": false, "weight_decay": 0.01}"#);
        let adamw =
            choice(r#"{"kind": "adamw", "beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1}"#);
        for (kind, expected) in [(sgd, SGD), (adamw, ADAMW)] {
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
                let found = run(&kind, dtype);
                for (found, expected) in found.iter().flatten().zip(expected.as_flattened()) {
                    assert!(
                        (found - expected).abs() <= tolerance,
                        "{kind:?} {dtype:?}: {found} not {expected}"
                    );
                }
            }
        }
    }
}
