//! Compares the operations with their definitions in f64, and their bits on every instruction set.

use crate::activation::{Activation, gelu_and_slope, multiply};
use crate::attention::Attention;
use crate::layer_norm::{self, Gradients};
use crate::random::Stream;
use crate::simd::forced::same_on_every_level;
use crate::{binary_cross_entropy, cross_entropy, embedding, latent, rms_norm, softmax};

/// Lengths of rows: below, at and above multiples of vectors.
const LENGTHS: [usize; 9] = [1, 2, 10, 15, 16, 17, 65, 128, 200];

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Fails unless each number is within `tolerance` times the largest expected one.
fn assert_close(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(1e-30f64, |a, b| a.max(b.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * largest, "{name} [{i}]: {a} instead of {b}");
    }
}

/// The slope of `f`, a sum over its input, by central differences.
fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let shifted = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    (0..x.len()).map(|i| (shifted(i, 1e-5) - shifted(i, -1e-5)) / 2e-5).collect()
}

#[test]
fn activations_and_their_slopes_are_those_of_the_definition() {
    let below = |x: f64| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let (z, dy) = (Stream::new(1, "z").numbers(1003, 6.0), Stream::new(1, "dy").numbers(1003, 1.0));
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::Tanh] {
        let name = format!("{activation:?}");
        let by_definition = |x: f64| match activation {
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            Activation::Gelu => x * below(x),
            Activation::Tanh => x.tanh(),
        };
        let y = same_on_every_level(&name, || {
            let mut y = z.clone();
            activation.apply(&mut y);
            y
        });
        let expected: Vec<f64> = wide(&z).into_iter().map(by_definition).collect();
        assert_close(&name, &y, &expected, 1e-6);
        let gradient = same_on_every_level(&name, || {
            let mut gradient = dy.clone();
            activation.backward(if activation.needs_input() { &z } else { &y }, &mut gradient);
            gradient
        });
        // Each slope depends on one number, so a few of them are enough.
        for i in (0..z.len()).step_by(37) {
            let slope = slopes(&[f64::from(z[i])], |x| by_definition(x[0]) * f64::from(dy[i]))[0];
            assert!((f64::from(gradient[i]) - slope).abs() < 1e-5, "{name} [{i}]: {} {slope}", gradient[i]);
        }
    }
}

#[test]
fn gelu_with_its_slope_has_the_bits_of_gelu_and_its_backward_pass() {
    let (z, dy) = (Stream::new(2, "z").numbers(777, 8.0), Stream::new(2, "dy").numbers(777, 1.0));
    let together = same_on_every_level("gelu and slope", || {
        let (mut slope, mut y, mut gradient) = (z.clone(), vec![0.0; z.len()], dy.clone());
        gelu_and_slope(&mut slope, &mut y);
        multiply(&slope, &mut gradient);
        [y, gradient].concat()
    });
    let (mut y, mut gradient) = (z.clone(), dy);
    Activation::Gelu.apply(&mut y);
    Activation::Gelu.backward(&z, &mut gradient);
    assert_eq!(together, [y, gradient].concat());
}

/// Rows with their mean (or 0) subtracted, divided by their deviation.
fn normalised(x: &[f64], remove_mean: bool, eps: f64) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = if remove_mean { x.iter().sum::<f64>() / n } else { 0.0 };
    let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + eps).sqrt();
    x.iter().map(|x| (x - mean) / deviation).collect()
}

/// The gradients of x, weight and bias of a normalisation, from finite differences.
fn normalisation_gradients(x: &[f32], weight: &[f32], dy: &[f32], remove_mean: bool) -> [Vec<f64>; 3] {
    let (n, w) = (weight.len(), wide(weight));
    let (mut dx, mut dw, mut db) = (Vec::new(), vec![0.0; n], vec![0.0; n]);
    for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
        let (x, dy) = (wide(x), wide(dy));
        dx.extend(slopes(&x, |x| {
            let normal = normalised(x, remove_mean, 1e-5);
            normal.iter().zip(&w).zip(&dy).map(|((x, w), dy)| x * w * dy).sum()
        }));
        for (j, normal) in normalised(&x, remove_mean, 1e-5).into_iter().enumerate() {
            dw[j] += normal * dy[j];
            db[j] += dy[j];
        }
    }
    [dx, dw, db]
}

#[test]
fn layer_norm_is_that_of_the_definition() {
    for n in LENGTHS.into_iter().skip(1) {
        let mut stream = Stream::new(n as u64, "layer norm");
        let mut numbers = |count: usize| stream.numbers(count, 2.0);
        let (x, weight, bias, dy) = (numbers(5 * n), numbers(n), numbers(n), numbers(5 * n));
        let run = |add: bool| {
            let (mut y, mut statistics) = (vec![0.0; 5 * n], vec![0.0; 10]);
            layer_norm::forward(&x, &weight, &bias, 1e-5, &mut y, &mut statistics);
            let (mut dx, mut dw, mut db) = (vec![1.0; 5 * n], vec![f32::NAN; n], vec![f32::NAN; n]);
            let gradients = Gradients { x: &mut dx, add, weight: &mut dw, bias: &mut db };
            layer_norm::backward(&x, &statistics, &weight, &dy, gradients);
            [y, dx, dw, db].concat()
        };
        let found = same_on_every_level("layer norm", || run(false));
        let rows = x.chunks_exact(n).flat_map(|x| normalised(&wide(x), true, 1e-5));
        let affine = rows.zip(weight.iter().zip(&bias).cycle());
        let y: Vec<f64> = affine.map(|(x, (w, b))| x * f64::from(*w) + f64::from(*b)).collect();
        assert_close("y", &found[..5 * n], &y, 1e-5);
        let expected = normalisation_gradients(&x, &weight, &dy, true);
        // Two numbers can be nearly equal; the gradient is then the difference of large numbers.
        let tolerance = if n == 2 { 1e-2 } else { 2e-5 };
        assert_close("gradients of x", &found[5 * n..10 * n], &expected[0], tolerance);
        assert_close("gradients of weight and bias", &found[10 * n..], &expected[1..].concat(), 1e-5);
        let added = same_on_every_level("layer norm, added", || run(true));
        let sums = found[5 * n..10 * n].iter().map(|x| 1.0 + x);
        assert!(added[5 * n..10 * n].iter().copied().eq(sums), "the gradient is not added");
    }
}

#[test]
fn rms_norm_is_that_of_the_definition() {
    for n in LENGTHS {
        let mut stream = Stream::new(n as u64, "rms norm");
        let mut numbers = |count: usize| stream.numbers(count, 2.0);
        let (x, weight, dy) = (numbers(5 * n), numbers(n), numbers(5 * n));
        let found = same_on_every_level("rms norm", || {
            let (mut y, mut scales) = (vec![0.0; 5 * n], vec![0.0; 5]);
            rms_norm::forward(&x, &weight, 1e-5, &mut y, &mut scales);
            let (mut dx, mut dw) = (vec![f32::NAN; 5 * n], vec![f32::NAN; n]);
            rms_norm::backward(&x, &scales, &weight, &dy, &mut dx, &mut dw);
            [y, dx, dw].concat()
        });
        let rows = x.chunks_exact(n).flat_map(|x| normalised(&wide(x), false, 1e-5));
        let y: Vec<f64> = rows.zip(weight.iter().cycle()).map(|(x, w)| x * f64::from(*w)).collect();
        let [dx, dw, _] = normalisation_gradients(&x, &weight, &dy, false);
        assert_close("y", &found[..5 * n], &y, 1e-5);
        if n > 1 {
            assert_close("gradients of x", &found[5 * n..10 * n], &dx, 2e-5);
        }
        assert_close("gradients of weight", &found[10 * n..], &dw, 1e-5);
    }
}

fn softmax_of(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
    x.iter().map(|x| (x - largest).exp() / sum).collect()
}

#[test]
fn softmax_and_cross_entropy_are_those_of_the_definition() {
    for n in LENGTHS {
        let rows = 35;
        let (x, dy) =
            (Stream::new(3, "x").numbers(rows * n, 9.0), Stream::new(3, "dy").numbers(rows * n, 1.0));
        let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % n) as u32).collect();
        let all: Vec<f64> = x.chunks_exact(n).flat_map(|x| softmax_of(&wide(x))).collect();
        let found = same_on_every_level("softmax", || {
            let (mut y, mut gradient) = (x.clone(), dy.clone());
            softmax::softmax(&mut y, n);
            softmax::softmax_backward(&y, &mut gradient, n);
            [y, gradient].concat()
        });
        let mut expected = Vec::new();
        for (p, dy) in all.chunks_exact(n).zip(dy.chunks_exact(n)) {
            let mean: f64 = p.iter().zip(dy).map(|(p, dy)| p * f64::from(*dy)).sum();
            expected.extend(p.iter().zip(dy).map(|(p, dy)| p * (f64::from(*dy) - mean)));
        }
        assert_close("softmax", &found[..rows * n], &all, 1e-6);
        assert!(
            n == 1 || found[rows * n..].iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6)
        );

        let found = same_on_every_level("cross entropy", || {
            let mut gradient = vec![f32::NAN; rows * n];
            let loss = cross_entropy::losses_and_gradients(&x, &labels, n, 0.5, &mut gradient);
            let (same, correct) = cross_entropy::sum_losses(&x, &labels, n);
            assert!((loss - same).abs() <= 1e-6 * loss.abs(), "{loss} {same}");
            gradient.extend([loss as f32, correct as f32]);
            gradient
        });
        let (mut loss, mut correct) = (0.0, 0);
        let mut gradient = all.clone();
        for ((p, g), label) in all.chunks_exact(n).zip(gradient.chunks_exact_mut(n)).zip(&labels) {
            loss -= p[*label as usize].ln();
            correct += usize::from(p.iter().all(|x| *x <= p[*label as usize]));
            g[*label as usize] -= 1.0;
            g.iter_mut().for_each(|g| *g *= 0.5);
        }
        assert!((f64::from(found[rows * n]) - loss).abs() <= 1e-5 * loss.abs(), "{n}: {loss} {found:?}");
        assert_eq!(found[rows * n + 1], correct as f32, "{n}");
        assert!(
            found[..rows * n].iter().zip(&gradient).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6),
            "{n}"
        );
    }
}

#[test]
fn a_nan_among_logits_makes_the_loss_nan_and_its_row_wrong() {
    for at in [0, 3, 17, 64] {
        let mut logits = vec![0.0; 3 * 65];
        (logits[0], logits[65 + 1], logits[65 + at], logits[130 + 2]) = (1.0, 9.0, f32::NAN, 2.0);
        let (loss, correct) = cross_entropy::sum_losses(&logits, &[0, 1, 2], 65);
        assert!(loss.is_nan() && correct == 2, "{at}: {loss} {correct}");
    }
    // The first of equal logits counts.
    assert_eq!(cross_entropy::sum_losses(&[1.0; 4], &[0, 1], 2).1, 1);
}

#[test]
fn binary_cross_entropy_is_that_of_the_definition() {
    for n in [1, 17, 255, 256, 1000] {
        let logits = Stream::new(4, "logits").numbers(n, 30.0);
        let targets: Vec<f32> = Stream::new(4, "targets").numbers(n, 0.5).iter().map(|x| x + 0.5).collect();
        let found = same_on_every_level("binary cross entropy", || {
            let mut gradient = vec![f32::NAN; n];
            let loss = binary_cross_entropy::loss_and_gradient(&logits, &targets, 0.25, &mut gradient);
            assert_eq!(loss.to_bits(), binary_cross_entropy::loss(&logits, &targets).to_bits());
            gradient.push(loss as f32);
            gradient
        });
        let both = || wide(&logits).into_iter().zip(wide(&targets));
        let loss: f64 = both().map(|(x, y)| x.max(0.0) - x * y + (-x.abs()).exp().ln_1p()).sum();
        let gradient: Vec<f64> = both().map(|(x, y)| 0.25 * (1.0 / (1.0 + (-x).exp()) - y)).collect();
        assert!((f64::from(found[n]) - loss).abs() <= 1e-6 * loss, "{n}: {} {loss}", found[n]);
        assert_close("gradient", &found[..n], &gradient, 1e-6);
    }
    assert!(binary_cross_entropy::loss(&[1.0, f32::NAN], &[0.0, 0.0]).is_nan());
}

#[test]
fn latent_variables_are_those_of_the_definition() {
    let n = 300;
    let mut stream = Stream::new(5, "latent");
    let mut numbers = || stream.numbers(n, 2.0);
    let (mean, log_variance, noise, dy) = (numbers(), numbers(), numbers(), numbers());
    let found = same_on_every_level("latent", || {
        let (mut drawn, mut gradient, mut d_mean, mut d) =
            (vec![0.0; n], dy.clone(), vec![0.0; n], vec![0.0; n]);
        latent::draw(&mean, &log_variance, &noise, &mut drawn);
        latent::draw_backward(&log_variance, &noise, &mut gradient);
        latent::divergence_backward(&mean, &log_variance, 3.0, &mut d_mean, &mut d);
        let divergence = latent::divergence(&mean, &log_variance) as f32;
        [drawn, gradient, d_mean, d, vec![divergence]].concat()
    });
    let mut expected = [const { Vec::new() }; 4];
    let mut divergence = 0.0;
    for i in 0..n {
        let [m, v, noise, dy] = [mean[i], log_variance[i], noise[i], dy[i]].map(f64::from);
        expected[0].push(m + (v / 2.0).exp() * noise);
        expected[1].push(dy * 0.5 * (v / 2.0).exp() * noise);
        expected[2].push(3.0 * m);
        expected[3].push(1.5 * (v.exp() - 1.0));
        divergence += 0.5 * (m * m + v.exp() - 1.0 - v);
    }
    assert_close("latent", &found, &[expected.concat(), vec![divergence]].concat(), 1e-6);
}

#[test]
fn embedding_adds_rows_and_its_backward_pass_adds_their_gradients() {
    let (alphabet, context, width) = (7, 6, 19);
    let tokens: Vec<u32> = (0..3 * context).map(|i| (i * i % alphabet) as u32).collect();
    let mut stream = Stream::new(6, "embedding");
    let (table, places) = (stream.numbers(alphabet * width, 1.0), stream.numbers(context * width, 1.0));
    let d_out = stream.numbers(tokens.len() * width, 1.0);
    let found = same_on_every_level("embedding", || {
        let (mut out, mut d_table, mut d_places) =
            (vec![f32::NAN; d_out.len()], vec![f32::NAN; table.len()], vec![f32::NAN; places.len()]);
        embedding::embedding(&table, &places, &tokens, width, &mut out);
        embedding::backward(&tokens, &d_out, width, &mut d_table, &mut d_places);
        [out, d_table, d_places].concat()
    });
    let (mut out, mut d_table, mut d_places) =
        (Vec::new(), vec![0.0f32; table.len()], vec![0.0f32; places.len()]);
    for (i, token) in tokens.iter().enumerate() {
        for j in 0..width {
            let (a, b) = (*token as usize * width + j, i % context * width + j);
            out.push(table[a] + places[b]);
            d_table[a] += d_out[i * width + j];
            d_places[b] += d_out[i * width + j];
        }
    }
    assert_eq!(found, [out, d_table, d_places].concat());
}

/// The output of attention for one sequence and one head, in f64.
fn attention_of([q, k, v]: [&[f64]; 3], context: usize) -> Vec<f64> {
    let size = q.len() / context;
    let row = |x: &[f64], i: usize| x[i * size..(i + 1) * size].to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut out = Vec::new();
    for i in 0..context {
        let scores = (0..=i).map(|j| dot(&row(q, i), &row(k, j)) / (size as f64).sqrt()).collect::<Vec<_>>();
        let weights = softmax_of(&scores);
        out.extend(
            (0..size).map(|d| weights.iter().enumerate().map(|(j, w)| w * v[j * size + d]).sum::<f64>()),
        );
    }
    out
}

#[test]
fn attention_is_that_of_the_definition() {
    for (context, size) in [(1, 3), (5, 4), (17, 8), (20, 5), (33, 16)] {
        let n = context * size;
        let (qkv, dy) = (Stream::new(7, "qkv").numbers(3 * n, 2.0), Stream::new(7, "dy").numbers(n, 1.0));
        let all = Attention { context, heads: 1, size };
        let found = same_on_every_level("attention", || {
            let mut weights = vec![f32::NAN; all.weights(context)];
            let mut scratch = vec![f32::NAN; all.scratch()];
            let (mut out, mut gradient) = (vec![f32::NAN; n], vec![f32::NAN; 3 * n]);
            all.forward(&qkv, &mut weights, &mut out, &mut scratch);
            all.backward(&qkv, &weights, &dy, &mut gradient, &mut scratch);
            [out, gradient].concat()
        });
        let part = |x: &[f64], i: usize| -> Vec<f64> {
            x.chunks_exact(3 * size).flat_map(|row| row[i * size..(i + 1) * size].to_vec()).collect()
        };
        let out = |x: &[f64]| attention_of([&part(x, 0), &part(x, 1), &part(x, 2)], context);
        let qkv = wide(&qkv);
        assert_close("output", &found[..n], &out(&qkv), 1e-5);
        let expected = slopes(&qkv, |x| out(x).iter().zip(&dy).map(|(y, dy)| y * f64::from(*dy)).sum());
        assert_close("gradient", &found[n..], &expected, 1e-5);
    }
}

#[test]
fn each_head_has_the_bits_that_it_has_without_the_others() {
    let (context, heads, size, sequences) = (21, 3, 10, 2);
    let rows = sequences * context;
    let qkv = Stream::new(8, "qkv").numbers(rows * 3 * heads * size, 2.0);
    let dy = Stream::new(8, "dy").numbers(rows * heads * size, 1.0);
    let run = |all: Attention, qkv: &[f32], dy: &[f32], kept: usize| {
        let (mut weights, mut scratch) = (vec![0.0; all.weights(kept)], vec![0.0; all.scratch()]);
        let (mut out, mut gradient) = (vec![0.0; dy.len()], vec![0.0; qkv.len()]);
        all.forward(qkv, &mut weights, &mut out, &mut scratch);
        if kept * all.heads * all.size == dy.len() {
            all.backward(qkv, &weights, dy, &mut gradient, &mut scratch);
        }
        (out, gradient)
    };
    let (out, gradient) = run(Attention { context, heads, size }, &qkv, &dy, rows);
    let head_of = |x: &[f32], sequence: usize, head: usize| -> Vec<f32> {
        let parts = x.len() / (rows * heads * size);
        let row = |row: &[f32]| -> Vec<f32> {
            (0..parts).flat_map(|i| row[(i * heads + head) * size..][..size].to_vec()).collect()
        };
        let length = parts * heads * size;
        x.chunks_exact(length).skip(sequence * context).take(context).flat_map(row).collect()
    };
    for (sequence, head) in (0..sequences).flat_map(|i| (0..heads).map(move |j| (i, j))) {
        let one = Attention { context, heads: 1, size };
        let single = run(one, &head_of(&qkv, sequence, head), &head_of(&dy, sequence, head), context);
        assert_eq!(single, (head_of(&out, sequence, head), head_of(&gradient, sequence, head)));
    }
    let (evaluated, _) = run(Attention { context, heads, size }, &qkv, &dy, context);
    assert_eq!(evaluated, out);
}
