//! Replacements for the layers of candle-nn that drop gradients or can't be seeded, with the same constructors and calls. On the
//! CPU they use our kernels, which give the same bits on every processor.

use std::cell::RefCell;

use candle_core::shape::Dim;
use candle_core::{D, Module, ModuleT, Result, Tensor};
pub use candle_nn::LayerNormConfig;
use candle_nn::VarBuilder;

use crate::custom::Picked;
use crate::ops;

/// Layer normalisation.
#[derive(Debug, Clone)]
pub struct LayerNorm(candle_nn::LayerNorm);

impl LayerNorm {
    /// With weight and bias.
    pub fn new(weight: Tensor, bias: Tensor, eps: f64) -> Self {
        Self(candle_nn::LayerNorm::new(weight, bias, eps))
    }

    /// Without a bias.
    pub fn new_no_bias(weight: Tensor, eps: f64) -> Self {
        Self(candle_nn::LayerNorm::new_no_bias(weight, eps))
    }

    /// Without subtracting the mean, and without a bias.
    pub fn rms_norm(weight: Tensor, eps: f64) -> Self {
        Self(candle_nn::LayerNorm::rms_norm(weight, eps))
    }

    /// The weight.
    pub fn weight(&self) -> &Tensor {
        self.0.weight()
    }

    /// The bias.
    pub fn bias(&self) -> Option<&Tensor> {
        self.0.bias()
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, eps) = (self.0.weight(), self.0.eps());
        match self.0.bias() {
            Some(bias) if self.0.remove_mean() => ops::layer_norm::layer_norm(x, weight, bias, eps),
            Some(bias) => ops::rms_norm::rms_norm(x, weight, eps)?.broadcast_add(bias),
            None if self.0.remove_mean() => {
                ops::layer_norm::layer_norm(x, weight, &weight.zeros_like()?, eps)
            }
            None => ops::rms_norm::rms_norm(x, weight, eps),
        }
    }
}

/// A layer normalisation over the last dimension, of `size` numbers. `config` may be `eps`.
///
/// # Errors
/// A parameter is missing or has another shape.
pub fn layer_norm<C: Into<LayerNormConfig>>(size: usize, config: C, vb: VarBuilder<'_>) -> Result<LayerNorm> {
    candle_nn::layer_norm(size, config, vb).map(LayerNorm)
}

/// The same without a bias.
///
/// # Errors
/// A parameter is missing or has another shape.
pub fn layer_norm_no_bias(size: usize, eps: f64, vb: VarBuilder<'_>) -> Result<LayerNorm> {
    candle_nn::layer_norm_no_bias(size, eps, vb).map(LayerNorm)
}

/// Normalisation by the root mean square.
#[derive(Debug, Clone)]
pub struct RmsNorm(LayerNorm);

impl RmsNorm {
    /// With a weight.
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self(LayerNorm::rms_norm(weight, eps))
    }

    /// The weight.
    pub fn weight(&self) -> &Tensor {
        self.0.weight()
    }
}

impl Module for RmsNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}

/// A normalisation by the root mean square of the last dimension, of `size` numbers.
///
/// # Errors
/// A parameter is missing or has another shape.
pub fn rms_norm(size: usize, eps: f64, vb: VarBuilder<'_>) -> Result<RmsNorm> {
    Ok(RmsNorm(LayerNorm(candle_nn::rms_norm(size, eps, vb)?.into_inner())))
}

/// Softmax over a dimension.
///
/// # Errors
/// There is no such dimension, or the device fails.
pub fn softmax<Over: Dim>(x: &Tensor, dim: Over) -> Result<Tensor> {
    let (dim, last) = (dim.to_index(x.shape(), "softmax")?, D::Minus1);
    ops::softmax::softmax(&x.transpose(dim, last)?)?.transpose(dim, last)
}

/// Softmax over the last dimension.
///
/// # Errors
/// `x` is a scalar, or the device fails.
pub fn softmax_last_dim(x: &Tensor) -> Result<Tensor> {
    softmax(x, D::Minus1)
}

/// Dropout with reproducible masks: a mask follows from the seed and step of the batch and the number of masks drawn before it in
/// this step.
#[derive(Debug, Clone)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Drops values with probability `rate`, in [0, 1).
    pub fn new(rate: f32) -> Self {
        Self { rate }
    }

    /// With `train`, zeroes values at random and scales the others by 1 / (1 - rate); otherwise returns `x`. With `train` it works
    /// only within `Task::loss`.
    ///
    /// # Errors
    /// The rate is not in [0, 1), `train` is set outside of `Task::loss` (or on another thread), or the device fails.
    pub fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if train { dropout(x, self.rate) } else { Ok(x.clone()) }
    }
}

impl ModuleT for Dropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward(x, train)
    }
}

/// The batch whose loss is computed on this thread, and the number of masks drawn for it.
struct Step {
    batch: Picked,
    masks: usize,
}

thread_local! {
    static STEP: RefCell<Option<Step>> = const { RefCell::new(None) };
}

/// Calls `f`; within it, [`dropout`] draws its masks for this batch.
pub(crate) fn with_step<T>(batch: &Picked, f: impl FnOnce() -> T) -> T {
    /// Ends the step, even if `f` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            STEP.set(None);
        }
    }
    let _end = End;
    STEP.set(Some(Step { batch: Picked { examples: Vec::new(), ..*batch }, masks: 0 }));
    f()
}

/// Zeroes values with probability `rate` and scales the others by 1 / (1 - rate); see [`Dropout`].
///
/// # Errors
/// As for [`Dropout::forward`] with `train`.
pub fn dropout(x: &Tensor, rate: f32) -> Result<Tensor> {
    if !(0.0..1.0).contains(&rate) {
        candle_core::bail!("dropout: expected a rate in [0, 1), found {rate}");
    }
    let draws = STEP.with_borrow_mut(|step| {
        let Some(Step { batch, masks }) = step else {
            candle_core::bail!(
                "dropout with `train` works only within `Task::loss`, on the thread that calls it"
            )
        };
        *masks += 1;
        batch.uniform(&format!("dropout {masks}"), x.dims(), x.device())
    })?;
    let scale = f64::from(1.0 / (1.0 - rate));
    let kept = (draws.ge(f64::from(rate))?.to_dtype(x.dtype())? * scale)?;
    x * kept
}
