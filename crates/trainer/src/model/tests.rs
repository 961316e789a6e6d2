//! Gradients of every model against finite differences, and our kernels against candle's operations.

use candle_core::{DType, Device, Tensor};
use spec::trial::Model as Kind;

use super::{Model, PIXELS};
use crate::kernels::cross_entropy::cross_entropy;
use crate::random::Stream;

fn kinds() -> [Kind; 3] {
    [Kind::Mlp { hidden: vec![] }, Kind::Mlp { hidden: vec![12, 7] }, Kind::Lenet]
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

#[test]
fn initial_weights_depend_on_the_seed_alone_and_keep_their_bound() {
    let values = |seed| -> Vec<f32> {
        let model =
            Model::new(&Kind::Mlp { hidden: vec![16] }, seed, DType::F32, &Device::Cpu).expect("a model");
        model.parameters()[0].var.flatten_all().and_then(|x| x.to_vec1()).expect("numbers")
    };
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let bound = 1.0 / 28.0;
    assert!(values(1).iter().all(|x| x.abs() <= bound) && values(1).iter().any(|x| x.abs() > 0.99 * bound));
}
