//! Custom tasks written with candle-nn: their parameters, rejected tasks, layers, dropout and initial values.

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Init, VarBuilder, linear};
use serde_json::json;

use super::{BuiltTask, Evaluation, Part, Picked, Task, Tasks};
use crate::nn;

/// A task made of a model and a loss.
struct Small<M> {
    model: fn(VarBuilder<'static>) -> Result<M>,
    loss: fn(&M, &Picked) -> Result<Tensor>,
}

impl<M> Task for Small<M> {
    type Model = M;

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn model(&self, vb: VarBuilder<'static>) -> Result<M> {
        (self.model)(vb)
    }

    fn len(&self, part: Part) -> usize {
        if part == Part::Test { 0 } else { 4 }
    }

    fn batch_size(&self) -> usize {
        2
    }

    fn loss(&self, model: &M, batch: &Picked) -> Result<Tensor> {
        (self.loss)(model, batch)
    }

    fn evaluate(&self, model: &M, _: Part) -> Result<Evaluation> {
        let loss = (self.loss)(model, &Picked::default())?.to_scalar::<f32>()?;
        Ok(Evaluation { loss: loss.into(), accuracy: None })
    }
}

/// The result of `Tasks::describe`, with a probe.
fn described<M: 'static>(
    model: fn(VarBuilder<'static>) -> Result<M>,
    loss: fn(&M, &Picked) -> Result<Tensor>,
) -> std::result::Result<spec::trial::CustomTaskSpec, String> {
    let tasks = Tasks::new().with("small", move |_| Ok::<_, String>(Small { model, loss }));
    tasks.describe("small", &json!({}), true)
}

fn ones(dims: &[usize]) -> Result<Tensor> {
    Tensor::ones(dims, DType::F32, &Device::Cpu)
}

fn sum(model: &impl Module, x: &Tensor) -> Result<Tensor> {
    model.forward(x)?.sqr()?.mean_all()
}

#[test]
fn parameters_are_those_the_model_requests() {
    let custom_task = described(
        |vb| {
            let tied = vb.get_with_hints((3, 3), "tied", Init::Const(0.5))?;
            assert!(vb.contains_tensor("tied") && !vb.contains_tensor("fc.weight"));
            let fc = linear(3, 2, vb.pp("fc"))?;
            Ok((tied, fc, vb.get((3, 3), "tied")?))
        },
        |(tied, fc, again), _| fc.forward(&ones(&[1, 3])?.matmul(tied)?.matmul(again)?)?.sqr()?.mean_all(),
    )
    .expect("a task");
    let names: Vec<&str> = custom_task.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["tied", "fc.weight", "fc.bias"]);
    assert_eq!(custom_task.parameters[1].dims, [2, 3]);
    assert!(
        custom_task.init[0].contains("Const") && custom_task.init[1].contains("Kaiming"),
        "{:?}",
        custom_task.init
    );
}

#[test]
fn untrainable_tasks_are_rejected_before_training() {
    let message =
        |result: std::result::Result<spec::trial::CustomTaskSpec, String>| result.expect_err("no task");
    let dropped = message(described(
        |vb| {
            let norm = candle_nn::layer_norm(4, 1e-5, vb.pp("norm"))?;
            Ok((linear(3, 4, vb.pp("fc1"))?, norm, linear(4, 2, vb.pp("fc2"))?))
        },
        |(fc1, norm, fc2), _| sum(fc2, &norm.forward(&fc1.forward(&ones(&[2, 3])?)?)?),
    ));
    assert!(dropped.contains("4 of its 6 parameters get no gradient"), "{dropped}");
    assert!(dropped.contains("norm.weight, norm.bias, fc1.weight, fc1.bias. "), "{dropped}");
    assert!(dropped.contains("sweep_kit::nn"), "{dropped}");
    let vector = message(described(|vb| linear(3, 2, vb), |fc, _| fc.forward(&ones(&[1, 3])?)));
    assert!(vector.contains("expected a scalar loss of type f32"), "{vector}");
    let misfit = message(described(|vb| linear(3, 2, vb), |fc, _| sum(fc, &ones(&[1, 4])?)));
    assert!(misfit.contains("can't be trained: shape mismatch in matmul"), "{misfit}");
    let shapes =
        message(described(|vb| Ok((vb.get((2, 3), "a")?, vb.get((3, 2), "a")?)), |(a, _), _| a.mean_all()));
    assert!(shapes.contains("the model requests `a` with two shapes: [2, 3] and [3, 2]"), "{shapes}");
    let random = message(described(
        |vb| linear(3, 2, vb),
        |fc, _| sum(fc, &candle_nn::ops::dropout(&ones(&[50, 3])?, 0.5)?),
    ));
    assert!(random.contains("two losses of the same batch differ"), "{random}");
    let none = message(described(|_| Ok(()), |(), _| ones(&[])));
    assert!(none.contains("has no parameters to train"), "{none}");
}

#[test]
fn the_norms_and_softmax_of_nn_keep_gradients() {
    described(
        |vb| {
            let norms = (nn::layer_norm(4, 1e-5, vb.pp("a"))?, nn::rms_norm(4, 1e-5, vb.pp("b"))?);
            Ok((linear(3, 4, vb.pp("fc"))?, norms, nn::layer_norm_no_bias(4, 1e-5, vb.pp("c"))?))
        },
        |(fc, (a, b), c), _| {
            let x = c.forward(&b.forward(&a.forward(&fc.forward(&ones(&[2, 3])?)?)?)?)?;
            nn::softmax(&x, 0)?.sqr()?.mean_all()
        },
    )
    .expect("a task");
}

/// Compares with the forward passes of candle-nn that are correct.
#[test]
fn layers_give_the_numbers_of_candle_nn() -> Result<()> {
    let x = Tensor::arange(0f32, 24., &Device::Cpu)?.sin()?.reshape((2, 3, 4))?;
    let (w, b) = (x.get(0)?.get(0)?, x.get(1)?.get(1)?);
    let pairs = [
        (nn::LayerNorm::new(w.clone(), b.clone(), 1e-5).forward(&x)?, {
            candle_nn::LayerNorm::new(w.clone(), b, 1e-5).forward(&x)?
        }),
        (nn::RmsNorm::new(w.clone(), 1e-5).forward(&x)?, candle_nn::RmsNorm::new(w, 1e-5).forward(&x)?),
        (nn::softmax(&x, 1)?, candle_nn::ops::softmax(&x, 1)?),
        (nn::softmax_last_dim(&x)?, candle_nn::ops::softmax_last_dim(&x)?),
    ];
    for (i, (ours, theirs)) in pairs.iter().enumerate() {
        let off = (ours - theirs)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
        assert!(ours.dims() == theirs.dims() && off < 1e-6, "{i}: {ours} and {theirs}");
    }
    Ok(())
}

#[test]
fn dropout_depends_on_seed_step_and_call() -> Result<()> {
    let task = BuiltTask::new(std::sync::Arc::new(Small {
        model: |vb| vb.get(1000, "w"),
        loss: |w: &Tensor, _| {
            let both = [nn::dropout(&w.ones_like()?, 0.25)?, nn::dropout(&w.ones_like()?, 0.25)?];
            (&both[0] + (&both[1] * 10.0)?)?.mul(w)?.mean_all()
        },
    }))?;
    let w = Tensor::arange(0f32, 1000., &Device::Cpu)?;
    let loss = |seed, step| -> Result<f32> {
        task.loss(std::slice::from_ref(&w), &Picked { seed, step, ..Picked::default() })?.to_scalar()
    };
    assert_eq!(loss(1, 2)?.to_bits(), loss(1, 2)?.to_bits());
    assert!(loss(1, 2)? != loss(1, 3)? && loss(1, 2)? != loss(2, 2)?);
    let outside = nn::dropout(&w, 0.25).expect_err("no batch").to_string();
    assert!(outside.contains("only within `Task::loss`"), "{outside}");
    let (always, never) = (nn::Dropout::new(0.25), nn::Dropout::new(1.0));
    assert!(always.forward(&w, false)?.eq(&w)?.min_all()?.to_scalar::<u8>()? == 1);
    let kept = nn::with_step(&Picked::default(), || always.forward(&w.ones_like()?, true))?;
    let mean = kept.mean_all()?.to_scalar::<f32>()?;
    // Ten standard errors around 1.
    assert!((mean - 1.0).abs() < 0.2, "{mean}");
    assert!(nn::with_step(&Picked::default(), || never.forward(&w, true)).is_err());
    Ok(())
}

#[test]
fn initial_values_follow_the_hints() -> Result<()> {
    let values = |init| -> Result<Vec<f32>> {
        crate::model::Shape::new("w", &[300, 200], init)
            .var(1, DType::F32, &Device::Cpu)?
            .flatten_all()?
            .to_vec1()
    };
    let moments = |values: &[f32]| {
        let mean = |f: &dyn Fn(f64) -> f64| {
            values.iter().map(|x| f(f64::from(*x))).sum::<f64>() / values.len() as f64
        };
        let middle = mean(&|x| x);
        (middle, mean(&|x| (x - middle).powi(2)).sqrt())
    };
    let kaiming = (2f64 / 200.0).sqrt();
    for (init, middle, deviation) in [
        (Init::Const(3.0), 3.0, 0.0),
        (Init::Randn { mean: 2.0, stdev: 0.5 }, 2.0, 0.5),
        (Init::Uniform { lo: 1.0, up: 4.0 }, 2.5, 3.0 / 12f64.sqrt()),
        (candle_nn::init::DEFAULT_KAIMING_NORMAL, 0.0, kaiming),
        (candle_nn::init::DEFAULT_KAIMING_UNIFORM, 0.0, kaiming),
    ] {
        let (found, spread) = moments(&values(init)?);
        // Ten standard errors of 60,000 numbers.
        let near = 10.0 * deviation / 60_000f64.sqrt();
        assert!(
            (found - middle).abs() <= near && (spread - deviation).abs() <= near,
            "{init:?}: {found}, {spread}"
        );
    }
    Ok(())
}
