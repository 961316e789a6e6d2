//! The result of an evaluation on a whole split.

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction of correctly classified examples, 0 to 1; `None` if the task does not classify.
    pub accuracy: Option<f64>,
}

/// Running sums over the chunks of a split.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    loss: f64,
    correct: Option<usize>,
    count: usize,
}

impl Sum {
    /// Adds a chunk: its summed loss, its number of correctly classified examples, and its number of examples.
    pub(crate) fn add(&mut self, loss: f64, correct: Option<usize>, count: usize) {
        self.loss += loss;
        self.correct = correct.map(|correct| correct + self.correct.unwrap_or(0));
        self.count += count;
    }

    /// The mean over all examples.
    pub(crate) fn mean(self) -> Evaluation {
        let n = self.count.max(1) as f64;
        Evaluation { loss: self.loss / n, accuracy: self.correct.map(|correct| correct as f64 / n) }
    }
}
