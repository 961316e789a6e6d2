//! Compares updates with numbers from PyTorch, on both paths: our loops (f32) and candle's operations (f64).

use candle_core::{DType, Device, Tensor, Var};
use spec::trial::Choice;

use super::{Optimizer, Update};
use crate::model::Parameter;

// The numbers below were printed by this program (torch 2.15.0, CPU, float64):
//
//   import torch
//   def run(make):
//       p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
//       opt = make([p])
//       for t in range(5):
//           opt.param_groups[0]["lr"] = 0.1 / (1 + t)
//           p.grad = torch.tensor([0.5, -0.25, 1.0], dtype=torch.float64) * (t - 1.5) + p.detach() * 0.3
//           opt.step()
//       print([float(x) for x in p])
//   run(lambda p: torch.optim.SGD(p, lr=0.1))
//   run(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01))
//   run(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01))
//   run(lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1))
const SGD: [f64; 3] = [0.965_670_463_845_416_5, -1.882_587_945_993_958_5, 0.531_588_213_619_583_3];
const MOMENTUM: [f64; 3] = [0.961_776_168_377_407_8, -1.776_595_717_614_014_1, 0.627_844_703_329_504_8];
const NESTEROV: [f64; 3] = [0.925_389_062_300_128_7, -1.682_342_134_042_344_8, 0.631_130_521_707_976_5];
const ADAMW: [f64; 3] = [1.055_326_297_442_336_7, -1.730_085_479_162_536_9, 0.610_260_554_939_402];

fn run(kind: &Choice, dtype: DType) -> Vec<f64> {
    let tensor =
        |values: &[f64]| Tensor::new(values, &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("a tensor");
    let var = Var::from_tensor(&tensor(&[1.0, -2.0, 0.5])).expect("a variable");
    let parameters = [Parameter { name: "p".to_owned(), var: var.clone(), transposed: false }];
    let numbers = || -> Vec<f64> { var.to_dtype(DType::F64).and_then(|t| t.to_vec1()).expect("numbers") };
    let optimizer = Optimizer::new(kind, false, &parameters).expect("an optimizer");
    for t in 0..5u64 {
        let p = numbers();
        let by = t as f64 - 1.5;
        let g: Vec<f64> = [0.5, -0.25, 1.0].iter().zip(p).map(|(c, p)| c * by + p * 0.3).collect();
        let update = Update { t, lr: 0.1 / (1.0 + t as f64), momentum: None, averaged: false, clip: 1.0 };
        optimizer.update(&parameters, &[tensor(&g)], update).expect("an update");
    }
    numbers()
}

fn sgd(momentum: f64, nesterov: bool, weight_decay: f64) -> Choice {
    choice(&format!(
        r#"{{"kind": "sgd", "momentum": {momentum}, "nesterov": {nesterov}, "weight_decay": {weight_decay}}}"#
    ))
}

/// An optimizer as in a trial's configuration.
pub(crate) fn choice(json: &str) -> Choice {
    serde_json::from_str(json).expect("an optimizer")
}

#[test]
fn updates_agree_with_pytorch() {
    let adamw = choice(r#"{"kind": "adamw", "beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1}"#);
    for (kind, expected) in [
        (sgd(0.0, false, 0.0), SGD),
        (sgd(0.9, false, 0.01), MOMENTUM),
        (sgd(0.9, true, 0.01), NESTEROV),
        (adamw, ADAMW),
    ] {
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
            let found = run(&kind, dtype);
            for (x, y) in found.iter().zip(expected) {
                assert!((x - y).abs() <= tolerance, "{kind:?} {dtype:?}: {found:?} instead of {expected:?}");
            }
        }
    }
}

#[test]
fn clipping_scales_the_gradient_and_a_cycled_momentum_overrides_the_optimizers() {
    let step = |kind: &Choice, update: Update| -> f32 {
        let var = Var::new(&[1.0f32], &Device::Cpu).expect("a variable");
        let parameters = [Parameter { name: "p".to_owned(), var: var.clone(), transposed: false }];
        let optimizer = Optimizer::new(kind, update.momentum.is_some(), &parameters).expect("an optimizer");
        for t in 0..2 {
            let gradient = Tensor::new(&[1.0f32], &Device::Cpu).expect("a gradient");
            optimizer.update(&parameters, &[gradient], Update { t, ..update }).expect("an update");
        }
        var.to_vec1::<f32>().expect("numbers")[0]
    };
    let update = Update { t: 0, lr: 0.25, momentum: None, averaged: false, clip: 0.5 };
    assert_eq!(step(&sgd(0.0, false, 0.0), update), 0.75);
    // Velocities 1 and 1.5: 1 - 0.25 (1 + 1.5).
    let cycled = Update { momentum: Some(0.5), clip: 1.0, ..update };
    assert_eq!(step(&sgd(0.0, false, 0.0), cycled), 0.375);
    assert_eq!(step(&sgd(0.5, false, 0.0), Update { clip: 1.0, ..update }), 0.375);
}
