//! Which images make up the batch of a step: a function of (seed, step), so that any step can be resumed.

use crate::data::{Batch, Images};
use crate::random::Stream;

/// The batches of one run. Each epoch goes through the training images in an order of its own; a last
/// batch that would be short is dropped.
pub(crate) struct Batches {
    seed: u64,
    images: u32,
    size: usize,
    /// The epoch whose order is at hand.
    epoch: Option<(u64, Vec<u32>)>,
}

impl Batches {
    /// `size` is at least 1 and at most `images`.
    pub(crate) fn new(seed: u64, images: usize, size: usize) -> Self {
        let images = u32::try_from(images).unwrap_or(u32::MAX);
        Self { seed, images, size: size.clamp(1, (images as usize).max(1)), epoch: None }
    }

    /// Puts the training images of step `t` into a batch.
    pub(crate) fn gather(&mut self, t: u64, images: &Images, batch: &mut Batch) {
        images.gather(&images.train, self.at(t).iter().map(|i| *i as usize), batch);
    }

    /// Which images make up step `t`.
    fn at(&mut self, t: u64) -> &[u32] {
        let per_epoch = (self.images as usize / self.size).max(1) as u64;
        let (epoch, batch) = (t / per_epoch, (t % per_epoch) as usize);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            let mut stream = Stream::new(self.seed, "shuffle", &format!("epoch {epoch}"));
            self.epoch = Some((epoch, stream.permutation(self.images)));
        }
        let order = self.epoch.as_ref().map_or(&[][..], |(_, order)| order);
        order.get(batch * self.size..(batch + 1) * self.size).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_shows_each_image_once_and_the_next_in_another_order() {
        let mut batches = Batches::new(3, 10, 3);
        let mut epoch =
            |e: u64| -> Vec<u32> { (0..3).flat_map(|i| batches.at(3 * e + i).to_vec()).collect() };
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
    fn a_step_does_not_depend_on_the_steps_before() {
        let mut forward = Batches::new(3, 100, 7);
        let all: Vec<Vec<u32>> = (0..60).map(|t| forward.at(t).to_vec()).collect();
        let mut backward = Batches::new(3, 100, 7);
        for t in (0..60).rev() {
            assert_eq!(backward.at(t), all[t as usize]);
        }
        assert_ne!(Batches::new(4, 100, 7).at(0), all[0]);
    }
}
