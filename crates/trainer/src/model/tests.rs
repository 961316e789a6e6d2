//! Compares the gradients of every model with finite differences, and our kernels with candle's operations.

use candle_core::{DType, Device, Tensor};
use spec::catalogue::Reads;
use spec::trial::Network;

use super::direct::Direct;
use super::{Arch, Entry, Model, TABLE};
use crate::data::{Batch, Form};
use crate::ops::operation::Take;
use crate::plan::{Graph, Passes, Plan, Use};
use crate::random::Stream;
use kernels::sparse::ByteRows;

const PIXELS: usize = 784;

/// More models, in addition to the examples in the table.
const MORE: [&str; 6] = [
    "{kind: mlp, hidden: []}",
    "{kind: mlp, hidden: [12, 7]}",
    "{kind: mlp, hidden: [12, 7], activation: tanh}",
    "{kind: vae, hidden: [], latent: 3}",
    "{kind: char-gpt, layers: 2, heads: 1, width: 12, context: 5}",
    "{kind: power-law-regression, dimensions: 7, capacity: 1.5, source: 1.0, batch_size: 3}",
];

/// Small models of every architecture, in the syntax of sweep files.
fn models() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|entry| entry.kind.example).chain(MORE)
}

/// A network that trains a model.
fn network(model: &str) -> Network {
    let learns = |entry: &&&Entry| model.contains(&format!("kind: {}", entry.kind.name));
    let workload = match TABLE.iter().find(learns).expect("an entry").kind.reads {
        Reads::Rows => format!("data: {{dataset: digits}}\nmodel: {model}"),
        Reads::Text => format!("data: {{dataset: emma}}\nmodel: {model}"),
        Reads::Nothing => format!("task: {model}"),
    };
    let text = format!(
        "{workload}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 1}}\nlr: 1\nschedules: {{a: {{kind: constant}}}}\n"
    );
    let plan = crate::read(&text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    plan.trials[0].config.task.network().expect("a network").clone()
}

fn arch(model: &str) -> Arch {
    Arch::of(&network(model)).expect("a model")
}

/// The models that are chains of layers, which the direct passes support.
fn chains() -> impl Iterator<Item = &'static str> {
    models().filter(|model| arch(model).layers().is_some())
}

/// A batch of four images, or two windows of text.
fn batch(kind: &str) -> Batch {
    batch_of(kind, if network(kind).model.context() > 1 { 2 } else { 4 })
}

/// A batch of this number of images or windows of text.
fn batch_of(kind: &str, examples: usize) -> Batch {
    let mut stream = Stream::new(5, "test", "images");
    let model = arch(kind).architecture;
    let context = network(kind).model.context() as u32;
    let mut batch = Batch::new(Form::Dense);
    if let Some(task) = model.closed_form() {
        task.0.draw(5, 3, &mut batch);
        return batch;
    }
    if context > 1 {
        let count = examples as u32 * context;
        batch.tokens = (0..count).map(|i| 7 * i % 10).collect();
        batch.labels = (0..count).map(|i| 3 * i % 10).collect();
        return batch;
    }
    let pixel = |x: f32| if model.form() == Form::Unit { x.abs() / 1.5 } else { x };
    batch.pixels = (0..examples * PIXELS).map(|_| pixel(stream.uniform(1.5))).collect();
    batch.labels = [3, 0, 9, 3].into_iter().cycle().take(examples).collect();
    batch.noise = (0..examples * model.draws()).map(|_| stream.uniform(2.0)).collect();
    batch
}

fn loss(model: &Model, kind: &str) -> Tensor {
    model.loss(&batch(kind), &Device::Cpu).expect("a loss")
}

/// All gradients as f64, in the order of the parameters.
fn gradients(kind: &str, dtype: DType) -> (Model, f64, Vec<Vec<f64>>) {
    let model = Model::new(&arch(kind), 11, dtype, &Device::Cpu).expect("a model");
    let loss = loss(&model, kind);
    let store = loss.backward().expect("a backward pass");
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        let tensor = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()).expect("numbers");
        tensor.to_vec1().expect("numbers")
    };
    let all = model.parameters().iter().map(|p| numbers(store.get(&p.var).expect(&p.name))).collect();
    (model, numbers(&loss)[0], all)
}

/// Tests a few elements of each parameter, in f64, where finite differences are precise enough.
#[test]
fn gradients_agree_with_finite_differences() {
    for kind in models() {
        let (model, _, gradients) = gradients(kind, DType::F64);
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
                    loss(&model, kind).to_scalar::<f64>().expect("a number")
                };
                let step = 1e-5;
                let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
                shifted(0.0);
                let error = (slope - gradient[i]).abs();
                assert!(
                    error <= 1e-6 + 1e-5 * slope.abs(),
                    "{kind} {}[{i}]: {slope} and {}",
                    parameter.name,
                    gradient[i]
                );
            }
        }
    }
}

/// Compares our kernels (f32) with candle's operations in f64.
#[test]
fn our_kernels_agree_with_candles_operations() {
    for kind in models() {
        let (model, loss, ours) = gradients(kind, DType::F32);
        let (_, expected, theirs) = gradients(kind, DType::F64);
        assert!((loss - expected).abs() < 1e-5 * expected.abs().max(1.0), "{kind}: {loss} and {expected}");
        for ((parameter, ours), theirs) in model.parameters().iter().zip(&ours).zip(&theirs) {
            let scale = theirs.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(scale > 0.0, "{kind} {} has no gradient", parameter.name);
            for (x, y) in ours.iter().zip(theirs) {
                assert!((x - y).abs() <= 2e-5 * scale, "{kind} {}: {x} and {y}", parameter.name);
            }
        }
    }
}

/// Loss and gradients of the direct passes.
fn direct(kind: &str, batch: &Batch) -> (f32, Vec<Vec<f32>>) {
    let model = Model::new(&arch(kind), 11, DType::F32, &Device::Cpu).expect("a model");
    // The buffers are larger than the batch.
    let mut direct = Direct::new(&arch(kind), 7).expect("a chain of layers");
    run(&mut direct, &model, batch)
}

/// Loss and gradients.
fn run(passes: &mut dyn Passes, model: &Model, batch: &Batch) -> (f32, Vec<Vec<f32>>) {
    let loss = passes.loss(model.parameters(), batch).expect("a loss");
    let sizes = model.parameters().iter().map(|p| p.var.elem_count());
    let mut gradients: Vec<Vec<f32>> = sizes.map(|n| vec![f32::NAN; n]).collect();
    let each = &mut |i: usize, make: &mut dyn FnMut(&mut Take<'_>)| {
        make(&mut |first, piece| gradients[i][first..first + piece.len()].copy_from_slice(piece));
        Ok(())
    };
    passes.backward(model.parameters(), batch, each).expect("gradients");
    (loss, gradients)
}

/// Models with a plan, at several sizes.
const PLANNED: [&str; 7] = [
    "{kind: vae, hidden: [], latent: 3}",
    "{kind: vae, hidden: [12], latent: 1}",
    "{kind: vae, hidden: [37, 20, 9], latent: 17}",
    "{kind: char-gpt, layers: 1, heads: 1, width: 1, context: 2}",
    "{kind: char-gpt, layers: 2, heads: 3, width: 12, context: 5}",
    "{kind: char-gpt, layers: 1, heads: 2, width: 34, context: 33}",
    "{kind: char-gpt, layers: 3, heads: 4, width: 64, context: 16}",
];

fn graph(kind: &str) -> Graph {
    Graph::of(&network(kind), &arch(kind)).expect("a plan")
}

/// Trains a few steps with batches of different sizes, on the same buffers.
#[test]
fn plans_give_the_bits_of_autograd() {
    for kind in PLANNED {
        let model = Model::new(&arch(kind), 11, DType::F32, &Device::Cpu).expect("a model");
        let mut plan = Plan::new(&graph(kind), 9, Use::Train);
        for examples in [1, 9, 4, 7, 2] {
            let batch = batch_of(kind, examples);
            let loss = model.loss(&batch, &Device::Cpu).expect("a loss");
            let mut by_graph = loss.backward().expect("a backward pass");
            let (found, by_plan) = run(&mut plan, &model, &batch);
            let expected = loss.to_scalar::<f32>().expect("a number");
            assert_eq!(found.to_bits(), expected.to_bits(), "{kind}, {examples}: {found} and {expected}");
            for (parameter, by_plan) in model.parameters().iter().zip(&by_plan) {
                let by_graph = by_graph.remove(&parameter.var).expect(&parameter.name);
                let numbers: Vec<f32> = by_graph.flatten_all().and_then(|x| x.to_vec1()).expect("numbers");
                assert_eq!(bits(by_plan), bits(&numbers), "{kind}, {examples}: {}", parameter.name);
                let step = parameter.var.sub(&(by_graph * 0.1).expect("a step")).expect("a tensor");
                parameter.var.set(&step).expect("the same shape");
            }
        }
    }
}

#[test]
fn plans_evaluate_like_autograd() {
    for kind in PLANNED {
        let model = Model::new(&arch(kind), 11, DType::F32, &Device::Cpu).expect("a model");
        let mut plan = Plan::new(&graph(kind), 6, Use::Evaluate);
        for examples in [6, 1, 5] {
            let batch = batch_of(kind, examples);
            let (sum, correct) = plan.evaluate(model.parameters(), &batch).expect("an evaluation");
            let (expected, same) = model.evaluate(&batch, &Device::Cpu).expect("an evaluation");
            assert!((sum - expected).abs() <= 1e-6 * expected, "{kind}, {examples}: {sum} and {expected}");
            assert_eq!(correct, same, "{kind}, {examples}");
        }
    }
}

/// Otherwise such a model would be trained by autograd, correctly but slowly.
#[test]
fn built_in_models_without_a_plan_are_chains_or_have_a_closed_form() {
    for kind in models() {
        let arch = arch(kind);
        let other = arch.layers().is_some() || arch.architecture.closed_form().is_some();
        assert!(other != Graph::of(&network(kind), &arch).is_some() || kind.contains("mlp"), "{kind}");
    }
}

#[test]
fn steps_after_the_first_use_the_same_memory() {
    for kind in PLANNED {
        let model = Model::new(&arch(kind), 11, DType::F32, &Device::Cpu).expect("a model");
        let mut plan = Plan::new(&graph(kind), 5, Use::Train);
        run(&mut plan, &model, &batch_of(kind, 5));
        let memory = plan.memory();
        for examples in [5, 1, 4, 5] {
            run(&mut plan, &model, &batch_of(kind, examples));
            assert_eq!(plan.memory(), memory, "{kind}, {examples}");
        }
    }
}

/// Evaluation keeps no values for a backward pass.
#[test]
fn evaluation_needs_less_memory_than_training() {
    for kind in PLANNED {
        let numbers = |for_what| Plan::numbers(&graph(kind), for_what);
        assert!(2 * numbers(Use::Evaluate) < numbers(Use::Train) + 2 * PIXELS, "{kind}");
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_direct_passes_give_the_bits_of_autograd() {
    for kind in chains() {
        let dense = batch(kind);
        let (_, loss, by_graph) = gradients(kind, DType::F32);
        let (found, by_hand) = direct(kind, &dense);
        assert_eq!(f64::from(found), loss, "{kind}");
        for (i, (hand, graph)) in by_hand.iter().zip(&by_graph).enumerate() {
            let graph: Vec<f32> = graph.iter().map(|x| *x as f32).collect();
            assert_eq!(bits(hand), bits(&graph), "{kind}, parameter {i}");
        }
    }
}

#[test]
fn skipping_zero_pixels_changes_only_rounding() {
    let mut stream = Stream::new(6, "test", "bytes");
    let mut byte = || if stream.uniform(1.0) > 0.5 { (stream.uniform(100.0) + 120.0) as u8 } else { 0 };
    let bytes: Vec<u8> = (0..4 * PIXELS).map(|_| byte()).collect();
    let (scale, shift) = (0.01, 0.4);
    let mut sparse = Batch::new(Form::Sparse { transposed: true });
    sparse.by_image.clear(PIXELS);
    let stored = ByteRows::new(&bytes, PIXELS);
    (0..bytes.len() / PIXELS).for_each(|i| sparse.by_image.push(stored.row(i), scale));
    sparse.by_image.transpose_into(&mut sparse.by_pixel);
    (sparse.shift, sparse.labels) = (shift, vec![3, 0, 9, 3]);
    let mut dense = Batch::new(Form::Dense);
    dense.pixels = bytes.iter().map(|byte| f32::from(*byte) * scale - shift).collect();
    dense.labels.clone_from(&sparse.labels);
    for kind in chains().filter(|kind| !kind.contains("lenet")) {
        let ((a, all), (b, some)) = (direct(kind, &dense), direct(kind, &sparse));
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
        for (all, some) in all.iter().zip(&some) {
            let most = all.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            assert!(all.iter().zip(some).all(|(x, y)| (x - y).abs() < 1e-5 * most), "{kind}");
        }
    }
}

/// Values from 0 to 1 of which most are 0. With `sparse`, the batch has the others separately, too.
fn unit_batch(kind: &str, examples: usize, sparse: bool) -> Batch {
    let mut stream = Stream::new(8, "test", "bytes");
    let mut byte = || if stream.uniform(1.0) > 0.6 { (stream.uniform(100.0) + 120.0) as u8 } else { 0 };
    let bytes: Vec<u8> = (0..examples * PIXELS).map(|_| byte()).collect();
    let mut batch = Batch::new(if sparse { Form::UnitAndSparse { transposed: true } } else { Form::Unit });
    let scale = 1.0 / 255.0;
    batch.pixels = bytes.iter().map(|byte| f32::from(*byte) * scale).collect();
    batch.labels = vec![0; examples];
    batch.noise = (0..examples * arch(kind).architecture.draws()).map(|_| stream.uniform(2.0)).collect();
    if sparse {
        let stored = ByteRows::new(&bytes, PIXELS);
        batch.by_image.clear(PIXELS);
        (0..examples).for_each(|i| batch.by_image.push(stored.row(i), scale));
        batch.by_image.transpose_into(&mut batch.by_pixel);
    }
    batch
}

#[test]
fn the_sparse_first_layer_of_an_autoencoder_gives_the_bits_of_the_dense_one() {
    for kind in PLANNED.iter().filter(|kind| kind.contains("vae")) {
        // More examples than a plan computes together.
        for examples in [1, 6, 300] {
            let model = Model::new(&arch(kind), 11, DType::F32, &Device::Cpu).expect("a model");
            let [(a, dense), (b, sparse)] = [false, true].map(|sparse| {
                let mut plan = Plan::new(&graph(kind), 300, Use::Train);
                run(&mut plan, &model, &unit_batch(kind, examples, sparse))
            });
            assert_eq!(a.to_bits(), b.to_bits(), "{kind}, {examples}: {a} and {b}");
            for (i, (dense, sparse)) in dense.iter().zip(&sparse).enumerate() {
                assert_eq!(bits(dense), bits(sparse), "{kind}, {examples}, parameter {i}");
            }
            let [dense, sparse] = [false, true].map(|sparse| {
                let mut plan = Plan::new(&graph(kind), 300, Use::Evaluate);
                plan.evaluate(model.parameters(), &unit_batch(kind, examples, sparse)).expect("an evaluation")
            });
            assert_eq!(dense.0.to_bits(), sparse.0.to_bits(), "{kind}, {examples}");
        }
    }
}

#[test]
fn initial_weights_depend_only_on_the_seed_and_stay_within_their_bound() {
    let values = |seed| -> Vec<f32> {
        let model =
            Model::new(&arch("{kind: mlp, hidden: [16]}"), seed, DType::F32, &Device::Cpu).expect("a model");
        model.parameters()[0].var.flatten_all().and_then(|x| x.to_vec1()).expect("numbers")
    };
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let bound = 1.0 / 28.0;
    assert!(values(1).iter().all(|x| x.abs() <= bound) && values(1).iter().any(|x| x.abs() > 0.99 * bound));
}

/// Compares the engine's loss and gradient of tasks with a closed form with candle's operations.
#[test]
fn the_gradient_of_a_closed_form_is_that_of_its_loss() {
    for kind in models() {
        let Some(task) = arch(kind).architecture.closed_form() else { continue };
        let (model, expected, theirs) = gradients(kind, DType::F64);
        let w: Vec<f32> =
            model.parameters()[0].var.to_dtype(DType::F32).and_then(|w| w.to_vec1()).expect("weights");
        let mut ours = vec![f32::NAN; w.len()];
        let loss = task.0.loss_and_gradient(&w, &batch(kind), &mut ours);
        assert!((f64::from(loss) - expected).abs() < 1e-5 * expected, "{loss} and {expected}");
        for (x, y) in ours.iter().zip(&theirs[0]) {
            assert!((f64::from(*x) - y).abs() < 1e-5, "{kind}: {x} and {y}");
        }
    }
}
