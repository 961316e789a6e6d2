//! Compares updates with numbers from PyTorch, on both paths: our loops (f32) and candle's operations (f64).

use candle_core::{DType, Device, Tensor, Var};
use spec::trial::Choice;

use super::{Optimizer, Update, flush};
use crate::model::Parameter;
use kernels::tiny::{TINY, TINY_SQUARE, flushed};

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

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|tensor| tensor.to_vec1()).expect("numbers")
}

/// Whether a number is too small to be kept, such as a subnormal one, but not 0.
pub(crate) fn has_tiny(tensor: &Tensor) -> bool {
    numbers(tensor).iter().any(|x| *x != 0.0 && x.abs() < 0.99 * f64::from(TINY_SQUARE))
}

pub(crate) fn is_zero(tensor: &Tensor) -> bool {
    numbers(tensor).iter().all(|x| *x == 0.0)
}

/// The state of weights that no longer get a gradient, such as those of pixels at the border.
#[test]
fn a_state_without_gradients_becomes_exactly_0() {
    let adamw = choice(r#"{"kind": "adamw", "beta1": 0.9, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.0}"#);
    for kind in [sgd(0.9, false, 0.0), sgd(0.9, true, 0.0), adamw] {
        for dtype in [DType::F32, DType::F64] {
            let tensor = |values: &[f64; 4]| {
                Tensor::new(values, &Device::Cpu).and_then(|x| x.to_dtype(dtype)).expect("a tensor")
            };
            let var = Var::from_tensor(&tensor(&[1.0, 0.0, -1.0, 0.5])).expect("a variable");
            let parameters = [Parameter { name: "p".to_owned(), var, transposed: false }];
            let optimizer = Optimizer::new(&kind, false, &parameters).expect("an optimizer");
            let update = |t, gradient: &Tensor| {
                let update = Update { t, lr: 0.01, momentum: None, averaged: false, clip: 1.0 };
                let gradients = std::slice::from_ref(gradient);
                optimizer.update(&parameters, gradients, update).expect("an update");
                let state = optimizer.state(&parameters).map(|(_, var)| var.clone());
                let state: Vec<Var> = state.collect();
                assert!(!state.iter().any(|var| has_tiny(var)), "{kind:?} {dtype:?}, update {t}");
                state
            };
            update(0, &tensor(&[1.0, -1e-3, 1e-12, 1e-25]));
            let zero = tensor(&[0.0; 4]);
            let last = (1..1000).map(|t| update(t, &zero)).reduce(|_, last| last).expect("a state");
            assert!(last.iter().all(|var| is_zero(var)), "{kind:?} {dtype:?}");
            // Gradients too small to matter change nothing, and their squares do not become subnormal.
            let last =
                (1000..1100).map(|t| update(t, &tensor(&[1e-31, -1e-40, 0.0, 1e-38]))).reduce(|_, last| last);
            assert!(last.expect("a state").iter().all(|var| is_zero(var)), "{kind:?} {dtype:?}");
            update(1100, &tensor(&[1e-20, -1e-19, 1e-29, 1e-28]));
        }
    }
}

/// Weights that only decay.
#[test]
fn weights_that_decay_become_exactly_0() {
    let adamw = choice(r#"{"kind": "adamw", "beta1": 0.9, "beta2": 0.9, "eps": 1e-8, "weight_decay": 1.0}"#);
    for kind in [sgd(0.0, false, 1.0), adamw] {
        for dtype in [DType::F32, DType::F64] {
            let one = Tensor::ones(3, dtype, &Device::Cpu).expect("a tensor");
            let var = Var::from_tensor(&one).expect("a variable");
            let parameters = [Parameter { name: "p".to_owned(), var: var.clone(), transposed: false }];
            let optimizer = Optimizer::new(&kind, false, &parameters).expect("an optimizer");
            let zero = one.zeros_like().expect("zeros");
            for t in 0..200 {
                let update = Update { t, lr: 0.5, momentum: None, averaged: false, clip: 1.0 };
                optimizer.update(&parameters, std::slice::from_ref(&zero), update).expect("an update");
                assert!(!has_tiny(&var), "{kind:?} {dtype:?}, update {t}");
            }
            assert!(is_zero(&var), "{kind:?} {dtype:?}");
        }
    }
}

/// NaN and infinities are reported as a divergence, never hidden.
#[test]
fn only_small_numbers_are_flushed() {
    let all = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, TINY, -TINY, 0.5 * TINY, -1e-40, 0.0, 1.0];
    let expected = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, TINY, -TINY, 0.0, 0.0, 0.0, 1.0];
    let by_candle = Tensor::new(&all, &Device::Cpu).and_then(|x| flush(&x, TINY)?.to_vec1::<f32>());
    let ours = all.map(|x| flushed(x, TINY));
    for found in [&by_candle.expect("numbers")[..], &ours] {
        assert!(found.iter().zip(expected).all(|(x, y)| x.to_bits() == y.to_bits()), "{found:?}");
    }
}
