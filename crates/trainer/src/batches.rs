//! Selects the examples of each batch as a function of (seed, step), so that a run can resume at any step.

use spec::trial::Network;

use crate::data::{Batch, Examples, Part};
use crate::model::Arch;
use crate::random::Stream;

/// The batches of one run. Each epoch visits the training examples in a new random order; an incomplete last batch is dropped.
pub(crate) struct Batches {
    seed: u64,
    examples: u32,
    size: usize,
    /// Random numbers that the model needs for each example.
    draws: usize,
    /// The current epoch.
    epoch: Option<Epoch>,
}

struct Epoch {
    number: u64,
    order: Vec<u32>,
    /// Shift of all windows of a text, in characters: from 0 to the window length minus 1.
    offset: usize,
}

impl Batches {
    /// `size` is clamped to 1..=`examples`.
    fn new(seed: u64, examples: usize, size: usize) -> Self {
        let examples = u32::try_from(examples).unwrap_or(u32::MAX);
        Self { seed, examples, size: size.clamp(1, (examples as usize).max(1)), draws: 0, epoch: None }
    }

    /// The batches of runs of `network` with this seed.
    pub(crate) fn of(seed: u64, network: &Network, examples: &Examples) -> Self {
        let batches = Self::new(seed, examples.len(Part::Train), network.batch_size());
        // An unknown model is reported when its parameters are created.
        Self { draws: Arch::of(network).map_or(0, |arch| arch.architecture.draws()), ..batches }
    }

    /// Writes the training examples of step `t` into `batch`.
    pub(crate) fn gather(&mut self, t: u64, examples: &Examples, batch: &mut Batch) {
        if let Examples::Synthetic(synthetic) = examples {
            return synthetic.0.draw(self.seed, t, batch);
        }
        (batch.picked.seed, batch.picked.step) = (self.seed, t);
        let window = if let Examples::Text(text) = examples { text.context() } else { 1 };
        let (indices, offset) = self.at(t, window);
        examples.gather(Part::Train, indices.iter().map(|i| *i as usize), offset, batch);
        if self.draws > 0 {
            batch.noise.resize(self.draws * batch.labels.len(), 0.0);
            Stream::new(self.seed, "latent", &format!("step {t}")).normals(&mut batch.noise);
        }
    }

    /// The indices of the examples of step `t`, and the shift of text windows in characters, below `window`.
    fn at(&mut self, t: u64, window: usize) -> (&[u32], usize) {
        let per_epoch = (self.examples as usize / self.size).max(1) as u64;
        let (number, batch) = (t / per_epoch, (t % per_epoch) as usize);
        if self.epoch.as_ref().is_none_or(|epoch| epoch.number != number) {
            let name = format!("epoch {number}");
            let order = Stream::new(self.seed, "shuffle", &name).permutation(self.examples);
            let window = u32::try_from(window).unwrap_or(1).max(1);
            let offset = Stream::new(self.seed, "offset", &name).below(window) as usize;
            self.epoch = Some(Epoch { number, order, offset });
        }
        let (order, offset) =
            self.epoch.as_ref().map_or((&[][..], 0), |epoch| (&epoch.order[..], epoch.offset));
        (order.get(batch * self.size..(batch + 1) * self.size).unwrap_or_default(), offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_each_image_once_in_a_new_order() {
        let mut batches = Batches::new(3, 10, 3);
        let mut epoch =
            |e: u64| -> Vec<u32> { (0..3).flat_map(|i| batches.at(3 * e + i, 1).0.to_vec()).collect() };
        let (first, second) = (epoch(0), epoch(1));
        for order in [&first, &second] {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 9);
        }
        assert_ne!(first, second);
    }

    #[test]
    fn each_epoch_shifts_the_windows() {
        let mut batches = Batches::new(3, 10, 5);
        let offsets: Vec<usize> = (0..20).map(|t| batches.at(t, 64).1).collect();
        assert!(offsets.iter().all(|offset| *offset < 64));
        assert!(offsets.chunks(2).all(|epoch| epoch[0] == epoch[1]));
        assert!(offsets.iter().collect::<std::collections::BTreeSet<_>>().len() > 5, "{offsets:?}");
    }

    #[test]
    fn a_step_does_not_depend_on_earlier_steps() {
        let mut forward = Batches::new(3, 100, 7);
        let all: Vec<Vec<u32>> = (0..60).map(|t| forward.at(t, 5).0.to_vec()).collect();
        let mut backward = Batches::new(3, 100, 7);
        for t in (0..60).rev() {
            assert_eq!(backward.at(t, 5).0, all[t as usize]);
        }
        assert_ne!(Batches::new(4, 100, 7).at(0, 5).0, all[0]);
    }
}
