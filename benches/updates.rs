//! Cost of an update by the step, printed as a table: 100,352 parameters of which a third gets no gradient after the first step, as
//! those of pixels at the border of MNIST. The cost must not grow with the step.
//!
//!     cargo bench -p sweep-trainer --bench updates

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for developers")]

use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use spec::trial::Choice;
use trainer::model::Parameter;
use trainer::optimizer::{Optimizer, Update};

const SIZE: usize = 784 * 128;

/// The steps at which the cost is measured.
const STEPS: [u64; 5] = [100, 500, 1000, 2000, 5000];
/// Number of updates before such a step. Their median is its cost.
const MEDIAN_OF: usize = 50;

const OPTIMIZERS: [&str; 3] = [
    r#"{"kind": "sgd", "momentum": 0.0, "nesterov": false, "weight_decay": 0.0}"#,
    r#"{"kind": "sgd", "momentum": 0.9, "nesterov": false, "weight_decay": 0.0}"#,
    r#"{"kind": "adamw", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}"#,
];

fn main() {
    let gradient = |has: &dyn Fn(usize) -> bool| {
        let element = |i: usize| if has(i) { ((i * 37 % 101) as f32 - 50.0) * 1e-4 } else { 0.0 };
        Tensor::from_vec((0..SIZE).map(element).collect::<Vec<f32>>(), SIZE, &Device::Cpu).expect("a tensor")
    };
    let (first, others) = (gradient(&|_| true), gradient(&|i| i % 784 >= 261));
    println!("microseconds of an update at step {STEPS:?}");
    for text in OPTIMIZERS {
        let choice: Choice = serde_json::from_str(text).expect("an optimizer");
        let var = Var::ones(SIZE, candle_core::DType::F32, &Device::Cpu).expect("a variable");
        let parameters = [Parameter { name: "w".to_owned(), var, transposed: false }];
        let optimizer = Optimizer::new(&choice, false, &parameters).expect("an optimizer");
        let mut times = Vec::new();
        let mut costs = Vec::new();
        for t in 0..=STEPS[4] {
            let gradient = if t == 0 { &first } else { &others };
            let update = Update { t, lr: 1e-3, momentum: None, averaged: false, clip: 1.0 };
            let began = Instant::now();
            optimizer.update(&parameters, std::slice::from_ref(gradient), update).expect("an update");
            times.push(began.elapsed());
            if STEPS.contains(&t) {
                let mut last = times.split_off(times.len() - MEDIAN_OF);
                last.sort();
                costs.push(format!("{:6.1}", last[MEDIAN_OF / 2].as_secs_f64() * 1e6));
            }
        }
        println!("{} {}", costs.join(" "), text);
    }
}
