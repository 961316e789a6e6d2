//! A custom model for which candle computes no gradients is rejected before anything is stored.

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{LayerNorm, Linear, VarBuilder, layer_norm, linear};
use sweep::plan::{self, Aim};
use sweep::{Context, Error};
use trainer::custom::{Evaluation, Part, Picked, Task, Tasks};

const SWEEP: &str = "
task: {kind: normed}
optimizer: {kind: sgd}
budget: {steps: 4}
lr: 0.1
schedules: {constant: {kind: constant}}
";

/// The layer norm of candle-nn has no backward pass.
struct Normed;

impl Task for Normed {
    type Model = (Linear, LayerNorm);

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn model(&self, vb: VarBuilder<'static>) -> Result<Self::Model> {
        Ok((linear(3, 3, vb.pp("fc"))?, layer_norm(3, 1e-5, vb.pp("norm"))?))
    }

    fn len(&self, part: Part) -> usize {
        if part == Part::Test { 0 } else { 4 }
    }

    fn batch_size(&self) -> usize {
        2
    }

    fn loss(&self, (fc, norm): &Self::Model, batch: &Picked) -> Result<Tensor> {
        let x = Tensor::ones((batch.examples.len(), 3), DType::F32, &Device::Cpu)?;
        norm.forward(&fc.forward(&x)?)?.sqr()?.mean_all()
    }

    fn evaluate(&self, _: &Self::Model, _: Part) -> Result<Evaluation> {
        Ok(Evaluation { loss: 1.0, accuracy: None })
    }
}

#[test]
fn a_model_without_gradients_is_refused_before_a_store_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("normed.yaml");
    std::fs::write(&file, SWEEP).expect("a file");
    let tasks = Tasks::new().with("normed", |_| Ok::<_, String>(Normed));
    let store = store::Location::parse(folder.path().join("runs").into_os_string());
    let context = Context { store, data_dir: None, tasks, job: None };
    let Err(Error::Problems { problems, .. }) = plan::of_file(&file, Aim::Train, &context) else {
        panic!("it can't be trained");
    };
    let messages = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for needed in ["4 of its 4 parameters get no gradient: fc.weight, fc.bias, norm.weight", "sweep_kit::nn"]
    {
        assert!(messages.contains(needed), "{messages}");
    }
    assert!(!folder.path().join("runs").exists());
    // A lookup does not try a step.
    assert!(plan::of_file(&file, Aim::LookUp, &context).is_ok());
}
