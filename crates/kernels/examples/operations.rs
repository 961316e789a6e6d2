//! Prints the processor time of each operation per number, forward and backward: medians of interleaved rounds, at the sizes of the
//! built-in models. `cargo run --release -p sweep-kernels --example operations`; names after `--` select operations.

#![allow(clippy::print_stdout)]

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

use kernels::activation::{Activation, gelu_and_slope, multiply};
use kernels::attention::Attention;
use kernels::layer_norm::Gradients;
use kernels::{binary_cross_entropy, cross_entropy, embedding, latent, layer_norm, rms_norm, softmax};

const ROUNDS: usize = 31;
/// Time of one measurement, in ns.
const SLICE: f64 = 1e6;

/// An operation to measure, and the number of elements that it computes.
struct Operation {
    name: &'static str,
    elements: usize,
    run: Box<dyn FnMut()>,
}

fn operation(name: &'static str, elements: usize, run: impl FnMut() + 'static) -> Operation {
    Operation { name, elements, run: Box::new(run) }
}

/// Numbers that look like activations.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 10_007) as f32 / 10_007.0 - 0.5) * 6.0).collect()
}

/// A buffer.
fn zeros(count: usize) -> Vec<f32> {
    vec![0.0; count]
}

fn activations() -> Vec<Operation> {
    const N: usize = 1024 * 512;
    let all = [
        ("relu", "relu backward", Activation::Relu),
        ("gelu", "gelu backward", Activation::Gelu),
        ("tanh", "tanh backward", Activation::Tanh),
    ];
    let mut list = Vec::new();
    for (forward, backward, activation) in all {
        let (from, mut z) = (numbers(N), zeros(N));
        list.push(operation(forward, N, move || {
            z.copy_from_slice(&from);
            activation.apply(black_box(&mut z));
        }));
        let (at, from, mut gradient) = (numbers(N), numbers(N), zeros(N));
        list.push(operation(backward, N, move || {
            gradient.copy_from_slice(&from);
            activation.backward(black_box(&at), &mut gradient);
        }));
    }
    let (from, mut z, mut y) = (numbers(N), zeros(N), zeros(N));
    list.push(operation("gelu and slope", N, move || {
        z.copy_from_slice(&from);
        gelu_and_slope(black_box(&mut z), &mut y);
    }));
    let (slope, from, mut gradient) = (numbers(N), numbers(N), zeros(N));
    list.push(operation("gelu backward from slope", N, move || {
        gradient.copy_from_slice(&from);
        multiply(black_box(&slope), &mut gradient);
    }));
    let (from, mut z) = (numbers(N), zeros(N));
    list.push(operation("(copy only)", N, move || black_box(&mut z).copy_from_slice(&from)));
    list
}

fn normalisation() -> Vec<Operation> {
    const N: usize = 1024 * 128;
    let (x, weight, bias) = (numbers(N), numbers(128), numbers(128));
    let (mut y, mut statistics) = (zeros(N), zeros(2 * 1024));
    layer_norm::forward(&x, &weight, &bias, 1e-5, &mut y, &mut statistics);
    let (dy, mut dx, mut dw, mut db) = (numbers(N), zeros(N), zeros(128), zeros(128));
    let (x2, weight2, statistics2) = (x.clone(), weight.clone(), statistics.clone());
    let forward = operation("layer norm", N, move || {
        layer_norm::forward(black_box(&x), &weight, &bias, 1e-5, &mut y, &mut statistics);
    });
    let backward = operation("layer norm backward", N, move || {
        let gradients = Gradients { x: &mut dx, add: false, weight: &mut dw, bias: &mut db };
        layer_norm::backward(black_box(&x2), &statistics2, &weight2, &dy, gradients);
    });
    let (x, weight, mut y, mut scales) = (numbers(N), numbers(128), zeros(N), zeros(1024));
    rms_norm::forward(&x, &weight, 1e-5, &mut y, &mut scales);
    let (dy, mut dx, mut dw) = (numbers(N), zeros(N), zeros(128));
    let (x2, weight2, scales2) = (x.clone(), weight.clone(), scales.clone());
    let rms = operation("rms norm", N, move || {
        rms_norm::forward(black_box(&x), &weight, 1e-5, &mut y, &mut scales);
    });
    let rms_backward = operation("rms norm backward", N, move || {
        rms_norm::backward(black_box(&x2), &scales2, &weight2, &dy, &mut dx, &mut dw);
    });
    vec![forward, backward, rms, rms_backward]
}

fn losses() -> Vec<Operation> {
    let mut list = Vec::new();
    for (evaluate, train, rows, classes) in [
        ("cross entropy, 128 x 10", "cross entropy and gradient, 128 x 10", 128, 10),
        ("cross entropy, 1024 x 65", "cross entropy and gradient, 1024 x 65", 1024, 65),
    ] {
        let (logits, mut gradient) = (numbers(rows * classes), zeros(rows * classes));
        let labels: Vec<u32> = (0..rows).map(|i| (i * 31 % classes) as u32).collect();
        let (logits2, labels2) = (logits.clone(), labels.clone());
        list.push(operation(evaluate, rows * classes, move || {
            black_box(cross_entropy::sum_losses(black_box(&logits2), &labels2, classes));
        }));
        list.push(operation(train, rows * classes, move || {
            let logits = black_box(&logits);
            black_box(cross_entropy::losses_and_gradients(logits, &labels, classes, 0.01, &mut gradient));
        }));
    }
    const N: usize = 100 * 784;
    let (logits, mut gradient) = (numbers(N), zeros(N));
    let targets: Vec<f32> = numbers(N).iter().map(|x| x / 6.0 + 0.5).collect();
    let (logits2, targets2) = (logits.clone(), targets.clone());
    list.push(operation("binary cross entropy", N, move || {
        black_box(binary_cross_entropy::loss(black_box(&logits2), &targets2));
    }));
    list.push(operation("binary cross entropy and gradient", N, move || {
        let logits = black_box(&logits);
        black_box(binary_cross_entropy::loss_and_gradient(logits, &targets, 0.01, &mut gradient));
    }));
    let (from, mut y) = (numbers(1024 * 65), zeros(1024 * 65));
    list.push(operation("softmax, 1024 x 65", 1024 * 65, move || {
        y.copy_from_slice(&from);
        softmax::softmax(black_box(&mut y), 65);
    }));
    let (y, from, mut gradient) = (numbers(1024 * 65), numbers(1024 * 65), zeros(1024 * 65));
    list.push(operation("softmax backward, 1024 x 65", 1024 * 65, move || {
        gradient.copy_from_slice(&from);
        softmax::softmax_backward(black_box(&y), &mut gradient, 65);
    }));
    list
}

fn inputs() -> Vec<Operation> {
    const N: usize = 1024 * 128;
    let tokens: Vec<u32> = (0..1024).map(|i| (i * 31 % 65) as u32).collect();
    let (table, places, mut out) = (numbers(65 * 128), numbers(64 * 128), zeros(N));
    let (tokens2, d_out) = (tokens.clone(), numbers(N));
    let (mut d_table, mut d_places) = (zeros(65 * 128), zeros(64 * 128));
    let forward = operation("embedding", N, move || {
        embedding::embedding(black_box(&table), &places, &tokens, 128, &mut out);
    });
    let backward = operation("embedding backward", N, move || {
        embedding::backward(&tokens2, black_box(&d_out), 128, &mut d_table, &mut d_places);
    });
    let (mean, variance, noise, mut to) = (numbers(6400), numbers(6400), numbers(6400), zeros(6400));
    let (mean2, variance2) = (mean.clone(), variance.clone());
    let draw = operation("latent draw", 6400, move || {
        latent::draw(black_box(&mean), &variance, &noise, &mut to);
    });
    let divergence = operation("latent divergence", 6400, move || {
        black_box(latent::divergence(black_box(&mean2), &variance2));
    });
    vec![forward, backward, draw, divergence]
}

/// Per element of the output; a head of one sequence has context x size elements.
fn attention() -> Vec<Operation> {
    let mut list = Vec::new();
    for (forward, backward, context, size, sequences) in [
        ("attention, context 64", "attention backward, context 64", 64, 32, 16),
        ("attention, context 256", "attention backward, context 256", 256, 32, 2),
    ] {
        let all = Attention { context, heads: 4, size };
        let (rows, width) = (sequences * context, 4 * size);
        let (qkv, mut out, d_out) = (numbers(rows * 3 * width), zeros(rows * width), numbers(rows * width));
        let (mut weights, mut scratch) = (zeros(all.weights(rows)), zeros(all.scratch()));
        all.forward(&qkv, &mut weights, &mut out, &mut scratch);
        let (qkv2, weights2, mut scratch2) = (qkv.clone(), weights.clone(), scratch.clone());
        let mut d_qkv = zeros(qkv.len());
        list.push(operation(forward, rows * width, move || {
            all.forward(black_box(&qkv), &mut weights, &mut out, &mut scratch);
        }));
        list.push(operation(backward, rows * width, move || {
            all.backward(black_box(&qkv2), &weights2, &d_out, &mut d_qkv, &mut scratch2);
        }));
    }
    list
}

/// Processor time of this thread, in ns.
fn now() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// ns per element of `repeats` runs.
fn time(operation: &mut Operation, repeats: usize) -> f64 {
    let start = now();
    (0..repeats).for_each(|_| (operation.run)());
    (now() - start) / (repeats * operation.elements) as f64
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = [activations(), normalisation(), losses(), inputs(), attention()].into_iter().flatten();
    let chosen =
        all.filter(|operation| wanted.is_empty() || wanted.iter().any(|w| operation.name.contains(w)));
    let mut list: Vec<(Operation, usize, Vec<f64>)> = chosen
        .map(|mut operation| {
            let once = time(&mut operation, 1).max(1e-3) * operation.elements as f64;
            (operation, ((SLICE / once) as usize).max(1), Vec::new())
        })
        .collect();
    for _ in 0..ROUNDS {
        for (operation, repeats, times) in &mut list {
            times.push(time(operation, *repeats));
        }
    }
    println!("{:40} {:>10} {:>10}", "ns per number", "median", "least");
    for (operation, _, mut times) in list {
        times.sort_by(f64::total_cmp);
        println!("{:40} {:10.3} {:10.3}", operation.name, times[ROUNDS / 2], times[0]);
    }
}
