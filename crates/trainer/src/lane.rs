//! A lane: the state of one run in flight, and what one step does to it.

use candle_core::{DType, Device, Tensor};
use schedule::{AfterUpdate, Average, BeforeUpdate, State};
use spec::event::StepRow;
use spec::trial::Trial;

use crate::TrainError;
use crate::average::Averaged;
use crate::batches::Batches;
use crate::checkpoint::{Checkpoint, Content};
use crate::data::Images;
use crate::digest::{self, Digest};
use crate::evaluate::{Evaluation, evaluate};
use crate::kernels::cross_entropy::cross_entropy;
use crate::kernels::{is_ours, reduce, with_slice};
use crate::model::{Model, PIXELS};
use crate::optimizer::{Optimizer, Update};
use crate::vectors::{KeptTensors, StepVectors};

/// One run between two steps.
pub(crate) struct Lane<'a> {
    trial: &'a Trial,
    images: &'a Images,
    device: Device,
    model: Model,
    optimizer: Optimizer,
    batches: Batches,
    schedule: State,
    /// What its rules keep beside numbers.
    kept: KeptTensors,
    /// The averaged weights, where the schedule asks for them.
    averaged: Option<Averaged>,
    digest: Digest,
    /// The next step.
    step: u64,
    /// Loss at step 0, by which divergence is judged.
    first_loss: f32,
    /// The last evaluation on the validation set.
    valid: Option<Evaluation>,
}

/// What a step came to.
pub(crate) struct Stepped {
    pub(crate) row: StepRow,
    /// The loss that left the bounds, if one did: the run is over.
    pub(crate) diverged: Option<f64>,
}

impl<'a> Lane<'a> {
    /// The state before the first step, or that of a checkpoint.
    pub(crate) fn new(
        trial: &'a Trial,
        images: &'a Images,
        device: Device,
        from: Option<&Checkpoint>,
    ) -> Result<Self, TrainError> {
        let task = &trial.config.task;
        let model = Model::new(&task.model, trial.seed, DType::F32, &device)?;
        let cycled = trial.config.schedule.momentum(0).is_some();
        let optimizer = Optimizer::new(&task.optimizer, cycled, model.parameters())?;
        let schedule = &trial.config.schedule;
        let kept = KeptTensors::new(&schedule.keeps(), model.parameters())?;
        let averaged = schedule.averages().then(|| Averaged::new(model.parameters())).transpose()?;
        let mut lane = Self {
            trial,
            images,
            device,
            model,
            optimizer,
            batches: Batches::new(trial.seed, images.train.len(), task.data.batch_size),
            schedule: trial.config.start(),
            kept,
            averaged,
            digest: Digest::new(),
            step: 0,
            first_loss: 0.0,
            valid: None,
        };
        if let Some(from) = from {
            for (name, var) in lane.tensors() {
                from.restore(&name, &var)?;
            }
            lane.schedule.clone_from(from.schedule());
            (lane.digest, lane.step, lane.first_loss) = (from.digest(), from.step(), from.first_loss());
        }
        Ok(lane)
    }

    /// The next step.
    pub(crate) fn position(&self) -> u64 {
        self.step
    }

    /// Fingerprint of the steps so far.
    pub(crate) fn digest(&self) -> String {
        self.digest.hex()
    }

    /// Fingerprint of the weights that are evaluated.
    pub(crate) fn weights_hash(&self) -> Result<String, TrainError> {
        Ok(digest::weights(self.eval_view().parameters())?)
    }

    /// The model that is evaluated: with the averaged weights, where the last update was averaged.
    fn eval_view(&self) -> Model {
        let averaged = self.step.checked_sub(1).and_then(|last| self.average(last));
        let parameters = averaged.map_or(self.model.parameters(), |(averaged, _)| averaged.eval_view());
        self.model.with(parameters.to_vec())
    }

    /// How update `t`, the last that rules were shown, is averaged. Costs nothing where none is.
    fn average(&self, t: u64) -> Option<(&Averaged, Average)> {
        let averaged = self.averaged.as_ref()?;
        Some((averaged, self.trial.config.schedule.average(t, &self.schedule)?))
    }

    /// Parameters and all state beside them, by name.
    fn tensors(&self) -> Vec<(String, candle_core::Var)> {
        let parameters = self.model.parameters();
        let state = self.optimizer.state(parameters).chain(self.kept.named(parameters));
        let state = state.chain(self.averaged.iter().flat_map(Averaged::named));
        let state = state.map(|(name, var)| (name, var.clone()));
        parameters.iter().map(|p| (p.name.clone(), p.var.clone())).chain(state).collect()
    }

    /// What a checkpoint holds.
    pub(crate) fn content(&self) -> Content<'_> {
        Content {
            trial_id: &self.trial.id,
            step: self.step,
            first_loss: self.first_loss,
            digest: self.digest,
            schedule: &self.schedule,
            tensors: self.tensors(),
        }
    }

    /// The validation set with the weights of now.
    pub(crate) fn valid(&self) -> Result<Evaluation, TrainError> {
        match self.valid {
            Some(evaluation) => Ok(evaluation),
            None => Ok(evaluate(&self.eval_view(), self.images, &self.images.valid, &self.device)?),
        }
    }

    /// The test set with the weights of now.
    pub(crate) fn test(&self) -> Result<Evaluation, TrainError> {
        Ok(evaluate(&self.eval_view(), self.images, &self.images.test, &self.device)?)
    }

    /// Whether a loss is none, or beyond the bound.
    fn is_divergent(&self, loss: f64) -> bool {
        let bound = self.trial.config.task.diverge_above * f64::from(self.first_loss);
        !loss.is_finite() || loss > bound
    }

    /// One update.
    pub(crate) fn advance(&mut self) -> Result<Stepped, TrainError> {
        let (t, config) = (self.step, &self.trial.config);
        let (task, schedule) = (&config.task, &config.schedule);
        let indices = self.batches.at(t).iter().map(|i| *i as usize);
        let (pixels, labels) = self.images.batch(&self.images.train, indices);
        let images = Tensor::from_vec(pixels, (labels.len(), PIXELS), &self.device)?;
        let labels = Tensor::new(labels, &self.device)?;
        let loss = cross_entropy(&self.model.forward(&images)?, &labels)?;
        let loss_bits: f32 = loss.to_scalar()?;
        let train_loss = f64::from(loss_bits);
        if t == 0 {
            self.first_loss = loss_bits;
        }
        self.step += 1;
        self.valid = None;
        if self.is_divergent(train_loss) {
            let lr = schedule.lr(t, &self.schedule);
            self.digest.step(lr as f32, loss_bits);
            let row = StepRow { step: t, lr, train_loss, valid_loss: None, grad_norm: f64::NAN };
            return Ok(Stepped { row, diverged: Some(train_loss) });
        }

        let gradients = self.gradients(&loss)?;
        let grad_norm_squared = sum_of_squares(&gradients)?;
        let grad_norm = grad_norm_squared.sqrt();
        let was_averaged = t.checked_sub(1).and_then(|last| self.average(last)).is_some();
        self.show(&gradients, t, train_loss, grad_norm_squared)?;
        let lr = schedule.lr(t, &self.schedule);
        let clip = clip(task.clip_norm, grad_norm);
        let update = Update { t, lr, momentum: schedule.momentum(t), averaged: false, clip };
        self.update(&gradients, update, was_averaged)?;
        self.digest.step(lr as f32, loss_bits);

        let look = task.evaluates_after(t);
        if look || schedule.wants_validation(t) {
            self.valid = Some(self.valid()?);
        }
        let valid_loss = self.valid.map(|evaluation| evaluation.loss);
        schedule.after_update(&mut self.schedule, t, &AfterUpdate { train_loss, valid_loss, look });
        let row = StepRow { step: t, lr, train_loss, valid_loss, grad_norm };
        Ok(Stepped { row, diverged: valid_loss.filter(|loss| self.is_divergent(*loss)) })
    }

    /// Shows the rules what is known before update `t`.
    fn show(
        &mut self,
        gradients: &[Tensor],
        t: u64,
        train_loss: f64,
        grad_norm_squared: f64,
    ) -> Result<(), TrainError> {
        let mut vectors =
            StepVectors { kept: &self.kept, parameters: self.model.parameters(), gradients, failure: None };
        let seen = BeforeUpdate { train_loss, grad_norm_squared };
        self.trial.config.schedule.before_update(&mut self.schedule, t, &seen, &mut vectors);
        vectors.failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The update itself. `was_averaged`: whether the one before it was.
    fn update(&mut self, gradients: &[Tensor], update: Update, was_averaged: bool) -> Result<(), TrainError> {
        let parameters = self.model.parameters();
        let Some(averaged) = &self.averaged else {
            return Ok(self.optimizer.update(parameters, gradients, update)?);
        };
        if let Some(average) = self.trial.config.schedule.average(update.t, &self.schedule) {
            averaged.update(&mut self.optimizer, parameters, gradients, update, average)?;
        } else {
            if was_averaged {
                averaged.leave(parameters)?;
            }
            self.optimizer.update(parameters, gradients, update)?;
        }
        Ok(())
    }

    /// The gradients in the order of the parameters. Some of candle's operations drop gradients without a
    /// word: a parameter without one is an error.
    fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>, TrainError> {
        let mut store = loss.backward()?;
        let gradients = self.model.parameters().iter().map(|parameter| {
            let gradient = store.remove(&parameter.var);
            gradient.ok_or_else(|| TrainError::NoGradient(parameter.name.clone()))
        });
        gradients.collect()
    }
}

/// Over all tensors, in f64.
fn sum_of_squares(tensors: &[Tensor]) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for tensor in tensors {
        sum += if is_ours(tensor) {
            with_slice(&tensor.contiguous()?, |numbers| Ok(reduce::sum_of_squares(numbers)))?
        } else {
            tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?
        };
    }
    Ok(sum)
}

/// The factor on the gradients, as PyTorch's `clip_grad_norm_` has it.
fn clip(most: Option<f64>, norm: f64) -> f64 {
    most.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
}
