//! Gradients of every model against finite differences, and our kernels against candle's operations.

use candle_core::{DType, Device, Tensor};
use spec::trial::{Activation, Model as Kind};

use super::direct::{Direct, Take};
use super::{Model, PIXELS};
use crate::data::{Batch, Form};
use crate::kernels::cross_entropy::cross_entropy;
use crate::random::Stream;

fn mlp(hidden: &[usize], activation: Activation) -> Kind {
    Kind::Mlp { hidden: hidden.to_vec(), activation }
}

fn kinds() -> [Kind; 5] {
    [
        mlp(&[], Activation::Relu),
        mlp(&[12, 7], Activation::Relu),
        mlp(&[12, 7], Activation::Gelu),
        mlp(&[12, 7], Activation::Tanh),
        Kind::Lenet,
    ]
}

fn batch(dtype: DType) -> (Tensor, Tensor) {
    let mut stream = Stream::new(5, "test", "images");
    let pixels: Vec<f32> = (0..4 * PIXELS).map(|_| stream.uniform(1.5)).collect();
    let images = Tensor::from_vec(pixels, (4, PIXELS), &Device::Cpu).and_then(|x| x.to_dtype(dtype));
    (images.expect("images"), Tensor::new(&[3u32, 0, 9, 3], &Device::Cpu).expect("labels"))
}

fn loss(model: &Model, dtype: DType) -> Tensor {
    let (images, labels) = batch(dtype);
    cross_entropy(&model.forward(&images).expect("logits"), &labels).expect("a loss")
}

/// All gradients as f64, in the order of the parameters.
fn gradients(kind: &Kind, dtype: DType) -> (Model, f64, Vec<Vec<f64>>) {
    let model = Model::new(kind, 11, dtype, &Device::Cpu).expect("a model");
    let loss = loss(&model, dtype);
    let store = loss.backward().expect("a backward pass");
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        let tensor = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()).expect("numbers");
        tensor.to_vec1().expect("numbers")
    };
    let all = model.parameters().iter().map(|p| numbers(store.get(&p.var).expect(&p.name))).collect();
    (model, numbers(&loss)[0], all)
}

/// In f64, where differences are exact enough: a few elements of each parameter.
#[test]
fn gradients_agree_with_finite_differences() {
    for kind in kinds() {
        let (model, _, gradients) = gradients(&kind, DType::F64);
        for (parameter, gradient) in model.parameters().iter().zip(&gradients) {
            let values: Vec<f64> = parameter.var.flatten_all().expect("numbers").to_vec1().expect("numbers");
            let mut picks = Stream::new(1, "test", &parameter.name).permutation(values.len() as u32);
            picks.truncate(6);
            for i in picks.into_iter().map(|i| i as usize) {
                let shifted = |by: f64| {
                    let mut values = values.clone();
                    values[i] += by;
                    let value =
                        Tensor::from_vec(values, parameter.var.dims(), &Device::Cpu).expect("a tensor");
                    parameter.var.set(&value).expect("the same shape");
                    loss(&model, DType::F64).to_scalar::<f64>().expect("a number")
                };
                let step = 1e-5;
                let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
                shifted(0.0);
                let error = (slope - gradient[i]).abs();
                assert!(
                    error <= 1e-7 + 1e-5 * slope.abs(),
                    "{kind:?} {}[{i}]: {slope} and {}",
                    parameter.name,
                    gradient[i]
                );
            }
        }
    }
}

/// Our kernels (f32) against candle's operations in f64.
#[test]
fn our_kernels_agree_with_candles_operations() {
    for kind in kinds() {
        let (model, loss, ours) = gradients(&kind, DType::F32);
        let (_, expected, theirs) = gradients(&kind, DType::F64);
        assert!((loss - expected).abs() < 1e-5, "{kind:?}: {loss} and {expected}");
        for ((parameter, ours), theirs) in model.parameters().iter().zip(&ours).zip(&theirs) {
            let scale = theirs.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(scale > 0.0, "{kind:?} {} has no gradient", parameter.name);
            for (x, y) in ours.iter().zip(theirs) {
                assert!((x - y).abs() <= 2e-5 * scale, "{kind:?} {}: {x} and {y}", parameter.name);
            }
        }
    }
}

/// Loss and gradients by the direct passes.
fn direct(kind: &Kind, batch: &Batch) -> (f32, Vec<Vec<f32>>) {
    let model = Model::new(kind, 11, DType::F32, &Device::Cpu).expect("a model");
    // With room to spare.
    let mut direct = Direct::new(kind, 7);
    let loss = direct.loss(model.parameters(), batch).expect("a loss");
    let sizes = model.parameters().iter().map(|p| p.var.elem_count());
    let mut gradients: Vec<Vec<f32>> = sizes.map(|n| vec![f32::NAN; n]).collect();
    let each = &mut |i: usize, make: &mut dyn FnMut(&mut Take<'_>)| {
        make(&mut |first, piece| gradients[i][first..first + piece.len()].copy_from_slice(piece));
        Ok(())
    };
    direct.backward(model.parameters(), batch, each).expect("gradients");
    (loss, gradients)
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_direct_passes_give_the_bits_of_autograd() {
    let (images, labels) = batch(DType::F32);
    let mut dense = Batch::new(Form::Dense);
    dense.pixels = images.flatten_all().and_then(|x| x.to_vec1()).expect("numbers");
    dense.labels = labels.to_vec1().expect("numbers");
    for kind in kinds() {
        let (_, loss, by_graph) = gradients(&kind, DType::F32);
        let (found, by_hand) = direct(&kind, &dense);
        assert_eq!(f64::from(found), loss, "{kind:?}");
        for (i, (hand, graph)) in by_hand.iter().zip(&by_graph).enumerate() {
            let graph: Vec<f32> = graph.iter().map(|x| *x as f32).collect();
            assert_eq!(bits(hand), bits(&graph), "{kind:?}, parameter {i}");
        }
    }
}

#[test]
fn pixels_that_are_left_out_change_nothing_but_rounding() {
    let mut stream = Stream::new(6, "test", "bytes");
    let mut byte = || if stream.uniform(1.0) > 0.5 { (stream.uniform(100.0) + 120.0) as u8 } else { 0 };
    let bytes: Vec<u8> = (0..4 * PIXELS).map(|_| byte()).collect();
    let (scale, shift) = (0.01, 0.4);
    let mut sparse = Batch::new(Form::Sparse { transposed: true });
    sparse.by_image.clear(PIXELS);
    bytes.chunks(PIXELS).for_each(|image| sparse.by_image.push(image, scale));
    sparse.by_image.transpose_into(&mut sparse.by_pixel);
    (sparse.shift, sparse.labels) = (shift, vec![3, 0, 9, 3]);
    let mut dense = Batch::new(Form::Dense);
    dense.pixels = bytes.iter().map(|byte| f32::from(*byte) * scale - shift).collect();
    dense.labels.clone_from(&sparse.labels);
    for kind in kinds().into_iter().filter(|kind| *kind != Kind::Lenet) {
        let ((a, all), (b, some)) = (direct(&kind, &dense), direct(&kind, &sparse));
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
        for (all, some) in all.iter().zip(&some) {
            let most = all.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            assert!(all.iter().zip(some).all(|(x, y)| (x - y).abs() < 1e-5 * most), "{kind:?}");
        }
    }
}

#[test]
fn initial_weights_depend_on_the_seed_alone_and_keep_their_bound() {
    let values = |seed| -> Vec<f32> {
        let model =
            Model::new(&mlp(&[16], Activation::Relu), seed, DType::F32, &Device::Cpu).expect("a model");
        model.parameters()[0].var.flatten_all().and_then(|x| x.to_vec1()).expect("numbers")
    };
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let bound = 1.0 / 28.0;
    assert!(values(1).iter().all(|x| x.abs() <= bound) && values(1).iter().any(|x| x.abs() > 0.99 * bound));
}
