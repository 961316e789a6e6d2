//! Computes steps and evaluations for one thread: holds its buffers, and chooses between our passes on buffers (on the CPU) and candle's
//! autograd (otherwise).

use candle_core::{DType, Device, Tensor, Var};
use spec::trial::{Network, Task};

use crate::TrainError;
use crate::custom;
use crate::data::{Batch, Examples, Form, Part};
use crate::evaluate::{Evaluation, Sum};
use crate::model::closed_form::Synthetic;
use crate::model::direct::Direct;
use crate::model::{Model, Parameter};
use crate::ops::{is_cpu_f32, with_slice};
use crate::optimizer::in_place::with_slice_mut;
use crate::optimizer::{Optimizer, Update};
use crate::plan::{Graph, Passes, Plan, Use};
use crate::random::Stream;
use kernels::reduce;
use kernels::reduce::SumOfSquares;

/// The network of a task. An external program has none.
pub(crate) fn network(task: &Task) -> Result<&Network, TrainError> {
    task.network().ok_or(TrainError::Program)
}

/// The buffers of one thread for one task.
pub(crate) struct Work {
    pub(crate) device: Device,
    /// The batches of the next steps.
    pub(crate) batches: Vec<Batch>,
    /// Index of the current step's batch.
    pub(crate) at: usize,
    pass: Pass,
    /// Number of examples that are evaluated together.
    chunk_size: usize,
    /// Random numbers that the model needs for each example.
    draws: usize,
    /// Gradients of the current step, in the order of the parameters.
    gradients: Vec<Tensor>,
}

/// How a step is computed.
enum Pass {
    /// With our passes on buffers.
    Direct(Box<Buffers>),
    /// A task with a closed form, which computes loss and gradient together; with the gradient.
    Synthetic(Synthetic, Vec<f32>),
    /// With candle's autograd; holds the loss of the current step.
    Graph(Option<Tensor>),
}

struct Buffers {
    train: Box<dyn Passes>,
    evaluate: Box<dyn Passes>,
    chunk: Batch,
    /// One for each parameter.
    gradients: Vec<Var>,
    squares: Vec<SumOfSquares>,
}

impl Work {
    /// Buffers for runs of this task, for the batches of `block` steps. `model`: any model of the task.
    pub(crate) fn new(
        task: &Task,
        examples: &Examples,
        model: &Model,
        device: Device,
        block: usize,
    ) -> Result<Self, TrainError> {
        let network = network(task)?;
        let (batch, arch) = (network.batch_size(), model.arch());
        let chunk_size = arch.architecture.chunk();
        let ours = model.parameters().iter().all(|p| is_cpu_f32(&p.var));
        let mut form = arch.architecture.form();
        let mut chunk = Batch::new(form);
        let direct = Direct::new(arch, batch).zip(Direct::new(arch, chunk_size)).filter(|_| ours);
        let sparse = matches!(examples, Examples::Labelled(labelled) if labelled.is_sparse());
        let passes: Option<(Box<dyn Passes>, Box<dyn Passes>)> = match direct {
            Some((train, evaluate)) => {
                if sparse && train.supports_sparse() {
                    form = Form::Sparse { transposed: true };
                    chunk = Batch::new(Form::Sparse { transposed: false });
                }
                Some((Box::new(train), Box::new(evaluate)))
            }
            None if !ours => None,
            None => Graph::of(network, arch).map(|graph| -> (Box<dyn Passes>, Box<dyn Passes>) {
                if sparse && form == Form::Unit {
                    form = Form::UnitAndSparse { transposed: true };
                    chunk = Batch::new(Form::UnitAndSparse { transposed: false });
                }
                let evaluate = Plan::new(&graph, chunk_size, Use::Evaluate);
                (Box::new(Plan::new(&graph, batch, Use::Train)), Box::new(evaluate))
            }),
        };
        let pass = match (passes, examples) {
            (Some((train, evaluate)), _) => {
                let zeros = |p: &Parameter| Var::zeros(p.var.shape(), DType::F32, p.var.device());
                let gradients = model.parameters().iter().map(zeros).collect::<Result<Vec<_>, _>>()?;
                let squares = vec![SumOfSquares::default(); gradients.len()];
                Pass::Direct(Box::new(Buffers { train, evaluate, chunk, gradients, squares }))
            }
            (_, Examples::Synthetic(task)) if ours => {
                let numbers = model.parameters().iter().map(|p| p.var.elem_count()).sum();
                Pass::Synthetic(task.clone(), vec![0.0; numbers])
            }
            _ => Pass::Graph(None),
        };
        let batches = vec![Batch::new(form); block.max(1)];
        let draws = arch.architecture.draws();
        Ok(Self { device, batches, at: 0, pass, chunk_size, draws, gradients: Vec::new() })
    }

    /// Whether [`Work::fused_update`] consumes gradients piece by piece.
    pub(crate) fn fuses(&self) -> bool {
        !matches!(self.pass, Pass::Graph(_))
    }

    /// Mean loss of the batch.
    pub(crate) fn loss(&mut self, model: &Model) -> Result<f32, TrainError> {
        let batch = &self.batches[self.at];
        match &mut self.pass {
            Pass::Direct(buffers) => Ok(buffers.train.loss(model.parameters(), batch)?),
            Pass::Synthetic(task, gradient) => match model.parameters() {
                [weight, ..] => {
                    Ok(with_slice(&weight.var, |w| Ok(task.0.loss_and_gradient(w, batch, gradient)))?)
                }
                [] => Ok(f32::NAN),
            },
            Pass::Graph(kept) => {
                let loss = model.loss(batch, &self.device)?;
                let number = custom::scalar(&loss)?;
                *kept = Some(loss);
                Ok(number)
            }
        }
    }

    /// After [`Work::loss`]: computes the gradient of each parameter and updates it immediately. Returns the sum of squares of the
    /// whole gradient.
    pub(crate) fn fused_update(
        &mut self,
        model: &Model,
        optimizer: &Optimizer,
        update: Update,
    ) -> Result<f64, TrainError> {
        let parameters = model.parameters();
        let (Buffers { train, squares, .. }, batch) = match &mut self.pass {
            Pass::Direct(buffers) => (&mut **buffers, &self.batches[self.at]),
            Pass::Synthetic(_, gradient) => {
                if let (Some(weight), false) = (parameters.first(), optimizer.is_frozen(0)) {
                    let scaled = optimizer.own_rule(0, update);
                    let rule = scaled.unwrap_or_else(|| optimizer.rule(update));
                    optimizer.with_elements(weight, 0, |mut all| rule.apply(&mut all, 0, gradient))?;
                }
                return Ok(reduce::sum_of_squares(gradient));
            }
            Pass::Graph(_) => {
                self.gradients(model, optimizer)?;
                let sum = self.sum_of_squares()?;
                optimizer.update(parameters, &self.gradients, update)?;
                return Ok(sum);
            }
        };
        let plain = optimizer.rule(update);
        train.backward(parameters, batch, &mut |i, make| {
            let mut sum = SumOfSquares::default();
            if optimizer.is_frozen(i) {
                squares[i] = sum;
                return Ok(());
            }
            let scaled = optimizer.own_rule(i, update);
            let rule = scaled.as_deref().unwrap_or(&*plain);
            optimizer.with_elements(&parameters[i], i, |mut all| {
                make(&mut |first, piece| {
                    sum.add(piece);
                    rule.apply(&mut all, first, piece);
                });
            })?;
            squares[i] = sum;
            Ok(())
        })?;
        Ok(squares.iter().map(|sum| sum.sum()).sum())
    }

    /// After [`Work::loss`]: computes all gradients, for [`Work::all_gradients`]. The gradients of frozen parameters are 0. A
    /// parameter without a gradient is an error, because some of candle's operations drop gradients silently.
    pub(crate) fn gradients(&mut self, model: &Model, optimizer: &Optimizer) -> Result<(), TrainError> {
        match &mut self.pass {
            Pass::Direct(buffers) => {
                let Buffers { train, gradients, .. } = &mut **buffers;
                train.backward(model.parameters(), &self.batches[self.at], &mut |i, make| {
                    if optimizer.is_frozen(i) {
                        return Ok(());
                    }
                    with_slice_mut(&gradients[i], |to| {
                        make(&mut |first, piece| to[first..first + piece.len()].copy_from_slice(piece));
                        Ok(())
                    })
                })?;
                if self.gradients.is_empty() {
                    self.gradients = gradients.iter().map(Var::as_detached_tensor).collect();
                }
            }
            Pass::Synthetic(_, gradient) => {
                self.gradients = vec![Tensor::from_slice(gradient, gradient.len(), &self.device)?];
            }
            Pass::Graph(kept) => {
                let Some(loss) = kept.take() else { return Ok(()) };
                let mut store = loss.backward()?;
                let gradients = model.parameters().iter().enumerate().map(|(i, parameter)| {
                    let gradient = store.remove(&parameter.var);
                    let gradient = gradient.ok_or_else(|| TrainError::NoGradient(parameter.name.clone()))?;
                    Ok::<_, TrainError>(if optimizer.is_frozen(i) {
                        gradient.zeros_like()?
                    } else {
                        gradient
                    })
                });
                self.gradients = gradients.collect::<Result<_, _>>()?;
            }
        }
        Ok(())
    }

    /// The gradients that [`Work::gradients`] computed, in the order of the parameters.
    pub(crate) fn all_gradients(&self) -> &[Tensor] {
        &self.gradients
    }

    /// Sum of squares of all gradients, in f64.
    pub(crate) fn sum_of_squares(&self) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for tensor in &self.gradients {
            sum += if is_cpu_f32(tensor) {
                with_slice(&tensor.contiguous()?, |numbers| Ok(reduce::sum_of_squares(numbers)))?
            } else {
                tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?
            };
        }
        Ok(sum)
    }

    /// Evaluates several models on every example of a part. Each example is prepared once for all models.
    pub(crate) fn evaluate(
        &mut self,
        models: &[Model],
        examples: &Examples,
        part: Part,
    ) -> Result<Vec<Evaluation>, TrainError> {
        if let Some(task) = examples.custom() {
            let each = |model: &Model| task.evaluate(&model.values(), part);
            return Ok(models.iter().map(each).collect::<Result<_, _>>()?);
        }
        let mut sums = vec![Sum::default(); models.len()];
        let mut chunk = match &mut self.pass {
            Pass::Direct(buffers) => std::mem::take(&mut buffers.chunk),
            Pass::Synthetic(..) | Pass::Graph(_) => Batch::new(self.batches[self.at].form),
        };
        let all = examples.len(part);
        for first in (0..all).step_by(self.chunk_size) {
            let last = (first + self.chunk_size).min(all);
            examples.gather(part, first..last, 0, &mut chunk);
            if self.draws > 0 {
                // The same numbers for each evaluation and each seed, so that results differ only by the model.
                chunk.noise.resize(self.draws * (last - first), 0.0);
                let name = format!("{} {first}", part.name());
                Stream::new(0, "latent", &name).normals(&mut chunk.noise);
            }
            // In a text every character counts as an example.
            let count = chunk.labels.len().max(1);
            for (model, sum) in models.iter().zip(&mut sums) {
                let (loss, correct) = match &mut self.pass {
                    Pass::Direct(buffers) => buffers.evaluate.evaluate(model.parameters(), &chunk)?,
                    Pass::Synthetic(task, _) => match model.parameters() {
                        [weight, ..] => (with_slice(&weight.var, |w| Ok(task.excess(w)))?, None),
                        [] => (f64::NAN, None),
                    },
                    Pass::Graph(_) => model.evaluate(&chunk, &self.device)?,
                };
                sum.add(loss, correct, count);
            }
        }
        if let Pass::Direct(buffers) = &mut self.pass {
            buffers.chunk = chunk;
        }
        Ok(sums.into_iter().map(Sum::mean).collect())
    }
}
