//! What an evaluation on a whole split gives.

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share of examples named rightly, 0 to 1, where they have names.
    pub accuracy: Option<f64>,
}

/// Running sums over the chunks of a split.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    loss: f64,
    right: Option<usize>,
    count: usize,
}

impl Sum {
    /// Takes in a chunk: its summed loss, how many of its examples were named rightly, and how many there are.
    pub(crate) fn add(&mut self, loss: f64, right: Option<usize>, count: usize) {
        self.loss += loss;
        self.right = right.map(|right| right + self.right.unwrap_or(0));
        self.count += count;
    }

    /// Means.
    pub(crate) fn mean(self) -> Evaluation {
        let n = self.count.max(1) as f64;
        Evaluation { loss: self.loss / n, accuracy: self.right.map(|right| right as f64 / n) }
    }
}
