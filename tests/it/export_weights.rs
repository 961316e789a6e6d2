//! `sweep export weights`: the test loss computed from the exported file, with plain candle operations that follow PyTorch's
//! modules, equals the stored one.

use std::collections::HashMap;

use candle_core::{D, Device, Tensor};
use safetensors::SafeTensors;

use crate::support::{Sandbox, root};

fn sweep(model: &str) -> String {
    format!(
        "name: small
data: {{dataset: digits, batch_size: 50, limit: 300}}
model: {model}
optimizer: {{kind: sgd, momentum: 0.9}}
budget: {{steps: 12}}
seeds: [7]
lr: {{values: [0.1, 1e6]}}
schedules:
  linear: {{kind: linear, to: 0}}
  averaged: {{kind: schedule_free, warmup: 2}}
"
    )
}

fn trained(model: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", sweep(model));
    sandbox.run(&["small.yaml", "-q"]).exits(0);
    sandbox
}

type Weights = HashMap<String, Tensor>;

/// `torch.nn.Linear`.
fn linear(weights: &Weights, name: &str, x: &Tensor) -> Tensor {
    let weight = weights[&format!("{name}.weight")].t().expect("a matrix");
    let y = x.matmul(&weight).expect("shapes that fit");
    y.broadcast_add(&weights[&format!("{name}.bias")]).expect("shapes that fit")
}

/// `torch.nn.Conv2d`, ReLU, `torch.nn.MaxPool2d(2)`.
fn conv(weights: &Weights, name: &str, x: &Tensor) -> Tensor {
    let y = x.conv2d(&weights[&format!("{name}.weight")], 0, 1, 1, 1).expect("shapes that fit");
    let bias = weights[&format!("{name}.bias")].reshape((1, (), 1, 1)).expect("a vector");
    let y = y.broadcast_add(&bias).and_then(|y| y.relu()).expect("shapes that fit");
    y.max_pool2d(2).expect("an even size")
}

/// Mean cross-entropy of the test images.
fn test_loss(metadata: &HashMap<String, String>, logits: impl Fn(&Tensor) -> Tensor) -> f64 {
    let network = spec::trial::Network {
        data: serde_json::from_str(&metadata["data"]).expect("a data set"),
        model: serde_json::from_str(&metadata["model"]).expect("a model"),
        optimizer: serde_json::from_str(r#"{"kind": "sgd"}"#).expect("an optimizer"),
        clip_norm: None,
        init_from: None,
        freeze: Vec::new(),
        lr_multipliers: Vec::new(),
        param_groups: Vec::new(),
    };
    let images = trainer::data::load(&network, Some(&root().join("data")), &trainer::custom::Tasks::new())
        .expect("images");
    let n = images.len(trainer::data::Part::Test);
    let mut batch = trainer::data::Batch::new(trainer::data::Form::Dense);
    images.gather(trainer::data::Part::Test, 0..n, 0, &mut batch);
    // The metadata describe the scaling of the pixels.
    let number = |name: &str| metadata[name].parse::<f32>().expect("a number");
    let black = -number("pixel_mean") / number("pixel_deviation");
    assert!((batch.pixels[0] - black).abs() < 1e-5, "{} {black}", batch.pixels[0]);
    let x = Tensor::from_vec(batch.pixels.clone(), (n, 784), &Device::Cpu).expect("images");
    let y = Tensor::from_vec(batch.labels.clone(), (n, 1), &Device::Cpu).expect("labels");
    let z = logits(&x);
    let all = z.exp().and_then(|e| e.sum_keepdim(D::Minus1)).and_then(|sum| sum.log()).expect("logits");
    let right = z.gather(&y, D::Minus1).expect("labels");
    let loss = all.sub(&right).and_then(|loss| loss.mean_all()).and_then(|mean| mean.to_scalar::<f32>());
    f64::from(loss.expect("a loss"))
}

/// Exports a run that did not diverge, and compares the test loss.
fn check(
    sandbox: &Sandbox,
    schedule: &str,
    shapes: &[(&str, &[usize])],
    logits: fn(&Weights, &Tensor) -> Tensor,
) {
    let rows = sandbox.query(&format!(
        "select trial_id, test_loss, weights_hash, digest from trials where schedule = '{schedule}' and status = 'done'"
    ));
    let row = &rows[0];
    let id = row["trial_id"].as_str().expect("a trial");
    let output = sandbox.run(&["export", "weights", id, "-o", "w.safetensors"]).exits(0);
    assert_eq!(output.stdout, "");
    let path = sandbox.path("w.safetensors");
    let bytes = std::fs::read(&path).expect("a file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("safetensors");
    let metadata = header.metadata().clone().expect("metadata");
    assert_eq!(metadata["trial_id"], id);
    assert_eq!((metadata["schedule"].as_str(), metadata["seed"].as_str()), (schedule, "7"));
    assert_eq!(metadata["weights_hash"], row["weights_hash"].as_str().expect("a hash"));
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(tensors.len(), shapes.len());
    for (name, shape) in shapes {
        assert_eq!(tensors.tensor(name).expect(name).shape(), *shape, "{name}");
    }
    let weights = candle_core::safetensors::load(&path, &Device::Cpu).expect("candle reads it");
    let loss = test_loss(&metadata, |x| logits(&weights, x));
    let stored = row["test_loss"].as_f64().expect("a loss");
    assert!((loss - stored).abs() < 1e-5 * stored, "{schedule}: {loss} instead of {stored}");
    // A second export has the same bytes.
    sandbox.run(&["export", "weights", id, "-o", "again.safetensors", "-q"]).exits(0);
    assert_eq!(std::fs::read(sandbox.path("again.safetensors")).expect("a file"), bytes);
}

#[test]
fn exported_mlp_weights_give_the_stored_test_loss() {
    let sandbox = trained("{kind: mlp, hidden: [8]}");
    let shapes: [(&str, &[usize]); 4] =
        [("fc1.weight", &[8, 784]), ("fc1.bias", &[8]), ("fc2.weight", &[10, 8]), ("fc2.bias", &[10])];
    for schedule in ["linear", "averaged"] {
        check(&sandbox, schedule, &shapes, |weights, x| {
            linear(weights, "fc2", &linear(weights, "fc1", x).relu().expect("numbers"))
        });
    }
}

#[test]
fn exported_lenet_weights_give_the_stored_test_loss() {
    let sandbox = trained("{kind: lenet}");
    let shapes: [(&str, &[usize]); 8] = [
        ("conv1.weight", &[16, 1, 5, 5]),
        ("conv1.bias", &[16]),
        ("conv2.weight", &[32, 16, 5, 5]),
        ("conv2.bias", &[32]),
        ("fc1.weight", &[128, 512]),
        ("fc1.bias", &[128]),
        ("fc2.weight", &[10, 128]),
        ("fc2.bias", &[10]),
    ];
    check(&sandbox, "linear", &shapes, |weights, x| {
        let x = x.reshape(((), 1, 28, 28)).expect("images");
        let x = conv(weights, "conv2", &conv(weights, "conv1", &x)).flatten_from(1).expect("numbers");
        linear(weights, "fc2", &linear(weights, "fc1", &x).relu().expect("numbers"))
    });
}

#[test]
fn weights_that_differ_from_the_stored_hash_are_not_written() {
    let sandbox = trained("{kind: mlp, hidden: [8]}");
    let export = |trial: &str, file: &str| sandbox.run(&["export", "weights", trial, "-o", file]);
    let rows = sandbox.query("select trial_id from trials where status = 'diverged' limit 1");
    let output = export(rows[0]["trial_id"].as_str().expect("a trial"), "w.safetensors").exits(2);
    assert!(output.stderr.contains("no final weights: its status is diverged"), "{}", output.stderr);
    let output = export("best", "no/such/file").exits(2);
    assert!(output.stderr.contains("can't write no/such/file"), "{}", output.stderr);
    for (column, words) in [("digest", "its digest is"), ("weights_hash", "hash of the final weights")] {
        sandbox.sql(&format!("update trials set {column} = 'x' || {column}"));
        let output = export("best", "w.safetensors").exits(1);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        sandbox.sql(&format!("update trials set {column} = substr({column}, 2)"));
    }
    assert!(!sandbox.path("w.safetensors").exists());
    export("best", "w.safetensors").exits(0);
}
