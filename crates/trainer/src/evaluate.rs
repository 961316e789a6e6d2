//! What an evaluation on a whole split gives.

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evaluation {
    /// Mean cross-entropy.
    pub(crate) loss: f64,
    /// Share of images named rightly, 0 to 1.
    pub(crate) accuracy: f64,
}

/// Running sums over the chunks of a split.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    loss: f64,
    right: usize,
}

impl Sum {
    /// Takes in a chunk: its summed loss, and how many images were named rightly.
    pub(crate) fn add(&mut self, loss: f64, right: usize) {
        self.loss += loss;
        self.right += right;
    }

    /// Means over `n` images.
    pub(crate) fn over(self, n: usize) -> Evaluation {
        let n = n.max(1) as f64;
        Evaluation { loss: self.loss / n, accuracy: self.right as f64 / n }
    }
}
