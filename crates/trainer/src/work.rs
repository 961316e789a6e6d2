//! What a thread needs to compute a step besides the state of a run: buffers, and the choice between our
//! direct passes (CPU) and candle's autograd (everywhere else).

use candle_core::{DType, Device, Tensor, Var};
use spec::trial::{Model as Kind, Network, Task};

use crate::TrainError;
use crate::data::{Batch, Form, Images, Split};
use crate::evaluate::{Evaluation, Sum};
use crate::kernels::cross_entropy::{self, cross_entropy};
use crate::kernels::reduce::SumOfSquares;
use crate::kernels::{is_ours, reduce, with_slice};
use crate::model::direct::Direct;
use crate::model::{Model, PIXELS, Parameter};
use crate::optimizer::in_place::with_slice_mut;
use crate::optimizer::{Optimizer, Update};

/// Images that are evaluated at once. Part of what fixes the order in which losses are added. Planes of a
/// convolutional model would leave the cache sooner.
pub(crate) fn chunk(model: &Kind) -> usize {
    match model {
        Kind::Mlp { .. } => 500,
        Kind::Lenet => 128,
    }
}

/// The model of ours that a task is about, and what goes with it.
pub(crate) fn network(task: &Task) -> Result<&Network, TrainError> {
    task.network().ok_or(TrainError::Program)
}

/// The buffers of one thread for one task.
pub(crate) struct Work {
    pub(crate) device: Device,
    /// The batches of the next steps.
    pub(crate) batches: Vec<Batch>,
    /// Which of them is the step's.
    pub(crate) at: usize,
    direct: Option<Buffers>,
    /// The loss of the step, for candle's backward pass.
    loss: Option<Tensor>,
    /// Images that are evaluated at once.
    chunk_size: usize,
    /// Gradients of the step, in the order of the parameters.
    gradients: Vec<Tensor>,
}

struct Buffers {
    train: Direct,
    evaluate: Direct,
    chunk: Batch,
    /// One for each parameter.
    gradients: Vec<Var>,
    squares: Vec<SumOfSquares>,
}

impl Work {
    /// For runs of this task, with room for the batches of `block` steps. `model`: one like theirs.
    pub(crate) fn new(
        task: &Task,
        images: &Images,
        model: &Model,
        device: Device,
        block: usize,
    ) -> Result<Self, TrainError> {
        let network = network(task)?;
        let batch = network.data.batch_size;
        let chunk_size = chunk(&network.model);
        let ours = model.parameters().iter().all(|p| is_ours(&p.var));
        let buffers =
            ours.then(|| (Direct::new(&network.model, batch), Direct::new(&network.model, chunk_size)));
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), DType::F32, p.var.device());
        let mut form = Form::Dense;
        let direct = match buffers {
            None => None,
            Some((train, evaluate)) => {
                let mut chunk = Batch::default();
                if images.is_sparse() && train.takes_sparse() {
                    form = Form::Sparse { transposed: true };
                    chunk = Batch::new(Form::Sparse { transposed: false });
                }
                let gradients = model.parameters().iter().map(zeros).collect::<Result<Vec<_>, _>>()?;
                let squares = vec![SumOfSquares::default(); gradients.len()];
                Some(Buffers { train, evaluate, chunk, gradients, squares })
            }
        };
        let batches = vec![Batch::new(form); block.max(1)];
        Ok(Self { device, batches, at: 0, direct, chunk_size, loss: None, gradients: Vec::new() })
    }

    /// Whether gradients may be used up piece by piece, by [`Work::fused_update`].
    pub(crate) fn fuses(&self) -> bool {
        self.direct.is_some()
    }

    /// Mean loss of the batch.
    pub(crate) fn loss(&mut self, model: &Model) -> Result<f32, TrainError> {
        if let Some(Buffers { train, .. }) = &mut self.direct {
            return Ok(train.loss(model.parameters(), &self.batches[self.at])?);
        }
        let Batch { pixels, labels, .. } = &self.batches[self.at];
        let images = Tensor::from_slice(pixels, (labels.len(), PIXELS), &self.device)?;
        let labels = Tensor::new(&labels[..], &self.device)?;
        let loss = cross_entropy(&model.forward(&images)?, &labels)?;
        let number = loss.to_scalar()?;
        self.loss = Some(loss);
        Ok(number)
    }

    /// After [`Work::loss`]: gradient and update of each parameter in one go. Gives the sum of squares of
    /// the whole gradient.
    pub(crate) fn fused_update(
        &mut self,
        model: &Model,
        optimizer: &Optimizer,
        update: Update,
    ) -> Result<f64, TrainError> {
        let Some(Buffers { train, squares, .. }) = &mut self.direct else {
            self.gradients(model, optimizer)?;
            let sum = self.sum_of_squares()?;
            optimizer.update(model.parameters(), &self.gradients, update)?;
            return Ok(sum);
        };
        let (plain, parameters) = (optimizer.rule(update), model.parameters());
        train.backward(parameters, &self.batches[self.at], &mut |i, make| {
            let mut sum = SumOfSquares::default();
            if optimizer.is_frozen(i) {
                squares[i] = sum;
                return Ok(());
            }
            let rule = optimizer.rule_of(i, plain, update);
            optimizer.with_element(&parameters[i], i, |mut all| {
                make(&mut |first, piece| {
                    sum.add(piece);
                    rule.apply(&mut all.part(first, first + piece.len()), piece);
                });
            })?;
            squares[i] = sum;
            Ok(())
        })?;
        Ok(squares.iter().map(|sum| sum.sum()).sum())
    }

    /// After [`Work::loss`]: all gradients, which [`Work::all_gradients`] gives then. Some of candle's
    /// operations drop gradients without a word: a parameter without one is an error. Those of parameters that stay as
    /// they are count as 0.
    pub(crate) fn gradients(&mut self, model: &Model, optimizer: &Optimizer) -> Result<(), TrainError> {
        if let Some(Buffers { train, gradients, .. }) = &mut self.direct {
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
            return Ok(());
        }
        let Some(loss) = self.loss.take() else { return Ok(()) };
        let mut store = loss.backward()?;
        let gradients = model.parameters().iter().enumerate().map(|(i, parameter)| {
            let gradient = store.remove(&parameter.var);
            let gradient = gradient.ok_or_else(|| TrainError::NoGradient(parameter.name.clone()))?;
            Ok::<_, TrainError>(if optimizer.is_frozen(i) { gradient.zeros_like()? } else { gradient })
        });
        self.gradients = gradients.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What [`Work::gradients`] found, in the order of the parameters.
    pub(crate) fn all_gradients(&self) -> &[Tensor] {
        &self.gradients
    }

    /// Of all gradients, in f64.
    pub(crate) fn sum_of_squares(&self) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for tensor in &self.gradients {
            sum += if is_ours(tensor) {
                with_slice(&tensor.contiguous()?, |numbers| Ok(reduce::sum_of_squares(numbers)))?
            } else {
                tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?
            };
        }
        Ok(sum)
    }

    /// Evaluates several models on every image of a split, each image prepared once for all.
    pub(crate) fn evaluate(
        &mut self,
        models: &[Model],
        images: &Images,
        split: &Split,
    ) -> Result<Vec<Evaluation>, TrainError> {
        let mut sums = vec![Sum::default(); models.len()];
        let mut chunk = match &mut self.direct {
            Some(Buffers { chunk, .. }) => std::mem::take(chunk),
            None => Batch::default(),
        };
        for first in (0..split.len()).step_by(self.chunk_size) {
            let last = (first + self.chunk_size).min(split.len());
            images.gather(split, first..last, &mut chunk);
            for (model, sum) in models.iter().zip(&mut sums) {
                let (loss, right) = match &mut self.direct {
                    Some(Buffers { evaluate, .. }) => evaluate.evaluate(model.parameters(), &chunk)?,
                    None => {
                        let shape = (chunk.labels.len(), PIXELS);
                        let batch = Tensor::from_slice(&chunk.pixels, shape, &self.device)?;
                        cross_entropy::evaluate(&model.infer(&batch)?, &chunk.labels)?
                    }
                };
                sum.add(loss, right);
            }
        }
        if let Some(Buffers { chunk: kept, .. }) = &mut self.direct {
            *kept = chunk;
        }
        Ok(sums.into_iter().map(|sum| sum.over(split.len())).collect())
    }
}
