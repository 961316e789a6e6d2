//! Compare learning-rate schedules on your own candle model. Implement [`Task`] and pass it to [`main()`]: your program then has the
//! whole command line of `sweep`, with grids, paired seeds, shared steps, the database, verdicts and reports.
//!
//! A sweep file selects the task by its name. The keys next to `kind` are passed to the closure that builds the task:
//!
//! ```yaml
//! task: {kind: line, slope: 3}
//! optimizer: {kind: sgd}
//! budget: {epochs: 5}
//! seeds: 4
//! lr: {values: [0.01, 0.1]}
//! schedules: {constant: {kind: constant}, cosine: {kind: cosine, to: 0}}
//! ```
//!
//! ```no_run
//! use sweep_kit::candle_core::{Module, Result, Tensor};
//! use sweep_kit::candle_nn::{Linear, VarBuilder, linear, loss::mse};
//! use sweep_kit::{Evaluation, Part, Picked, Task, Tasks};
//!
//! /// Learns y = slope x from points.
//! struct Line {
//!     slope: f32,
//! }
//!
//! impl Line {
//!     fn error(&self, model: &Linear, points: &[usize]) -> Result<Tensor> {
//!         let x: Vec<f32> = points.iter().map(|i| *i as f32 / 100.0).collect();
//!         let x = Tensor::from_vec(x, ((), 1), model.weight().device())?;
//!         mse(&model.forward(&x)?, &(x * f64::from(self.slope))?)
//!     }
//! }
//!
//! impl Task for Line {
//!     type Model = Linear;
//!
//!     fn version(&self) -> String {
//!         "1".to_owned()
//!     }
//!     fn model(&self, vb: VarBuilder<'_>) -> Result<Linear> {
//!         linear(1, 1, vb.pp("line"))
//!     }
//!     fn len(&self, part: Part) -> usize {
//!         if part == Part::Test { 0 } else { 50 }
//!     }
//!     fn batch_size(&self) -> usize {
//!         10
//!     }
//!     fn loss(&self, model: &Linear, batch: &Picked) -> Result<Tensor> {
//!         self.error(model, &batch.examples)
//!     }
//!     fn evaluate(&self, model: &Linear, _part: Part) -> Result<Evaluation> {
//!         let points: Vec<usize> = (50..100).collect();
//!         Ok(Evaluation { loss: self.error(model, &points)?.to_scalar::<f32>()?.into(), accuracy: None })
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     sweep_kit::main(Tasks::new().with("line", |params| {
//!         let slope = params["slope"].as_f64().ok_or("`slope` must be a number")?;
//!         Ok::<_, &str>(Line { slope: slope as f32 })
//!     }))
//! }
//! ```
//!
//! The parameters are those that the model requests from the `VarBuilder`. Their initial values follow candle-nn's hints and are drawn
//! from the trial's seed. candle's `layer_norm`, `rms_norm` and `softmax_last_dim` drop gradients, and its dropout can't be seeded: use
//! the versions in [`nn`], which are called the same way.
//!
//! On one machine a run has the same bits each time, if the task depends only on its arguments. Across processors, candle's matrix
//! products may give different bits; the functions in [`nn`] and [`kernels`] give the same bits.

pub use candle_core;
pub use candle_nn;
pub use cli::main;
pub use trainer::custom::{Evaluation, Part, Picked, Task, Tasks};
pub use trainer::nn;

/// The operations of `sweep`'s built-in models: with gradients, and on the CPU with the same bits on every processor.
pub mod kernels {
    pub use trainer::ops::activation::Activation;
    pub use trainer::ops::attention::causal_attention;
    pub use trainer::ops::binary_cross_entropy::binary_cross_entropy;
    pub use trainer::ops::conv::conv;
    pub use trainer::ops::cross_entropy::{cross_entropy, evaluate};
    pub use trainer::ops::embedding::embedding;
    pub use trainer::ops::layer_norm::layer_norm;
    pub use trainer::ops::linear::linear;
    pub use trainer::ops::pool::max_pool_2x2;
}
