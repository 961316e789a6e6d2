//! Computes one step of a custom task before anything is stored. Some of candle's operations drop gradients without an error, and a
//! model that uses them would not train.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::{BuiltTask, Part, Picked, scalar};
use crate::contained::first_line;

/// Help for parameters without a gradient: the candle operations that drop gradients, and their replacements.
const DROPPED: &str = "LayerNorm, RmsNorm and softmax_last_dim of candle-nn drop gradients: use those of sweep_kit::nn, which are \
                       called the same way. rope of candle-nn drops them too: use rope_slow. Running mean and variance of \
                       BatchNorm are not trained: use another norm. Remove parameters that the loss does not depend on";

/// The error for a loss with unseeded random numbers.
const UNSEEDED: &str = "two losses of the same batch differ (draw random numbers from the batch, with sweep_kit::nn::Dropout or \
                        Picked::uniform)";

impl BuiltTask {
    /// Computes the loss of a batch and its gradients on the CPU, from initial values.
    ///
    /// # Errors
    /// The task can't be trained: a message for the user.
    pub(super) fn probe(&self, name: &str) -> std::result::Result<(), String> {
        let batch = self.task.batch_size();
        if batch == 0 || batch > self.len(Part::Train) {
            // The reader of the sweep file reports this.
            return Ok(());
        }
        let batch = Picked { examples: (0..batch).collect(), ..Picked::default() };
        let missing = self
            .without_gradient(&batch)
            .map_err(|error| format!("task `{name}` can't be trained: {}", first_line(&error)))?;
        if missing.is_empty() {
            return Ok(());
        }
        let all = self.shapes.len();
        Err(format!(
            "task `{name}` can't be trained: {} of its {all} parameters get no gradient: {}. {DROPPED}",
            missing.len(),
            missing.join(", "),
        ))
    }

    /// The parameters that get no gradient from the loss of a batch.
    fn without_gradient(&self, batch: &Picked) -> Result<Vec<&str>> {
        let vars = self.shapes.iter().map(|shape| shape.var(0, DType::F32, &Device::Cpu));
        let vars = vars.collect::<Result<Vec<Var>>>()?;
        let values: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let loss = self.loss(&values, batch)?;
        let (first, second) = (scalar(&loss)?, scalar(&self.loss(&values, batch)?)?);
        if first.to_bits() != second.to_bits() {
            candle_core::bail!("{UNSEEDED}: {first} and {second}");
        }
        let gradients = loss.backward()?;
        let named = self.shapes.iter().zip(&vars);
        let missing = named.filter(|(_, var)| gradients.get(var).is_none());
        Ok(missing.map(|(shape, _)| shape.name.as_str()).collect())
    }
}
