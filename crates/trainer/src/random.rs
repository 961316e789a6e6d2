//! Random numbers: one ChaCha8 stream for each seed, purpose and name, so that no draw depends on other draws. The numbers are
//! the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a purpose and name, such as ("weights", "fc1.weight") or ("shuffle", "epoch 3").
    pub(crate) fn new(seed: u64, purpose: &str, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"sweep stream 1");
        hasher.update(&seed.to_le_bytes());
        for part in [purpose, name] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(ChaCha8Rng::from_seed(hasher.finalize().into()))
    }

    /// A number in [-bound, bound): 24 random bits, evenly spaced.
    pub(crate) fn uniform(&mut self, bound: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        (2.0 * unit - 1.0) * bound
    }

    /// Fills `to` with standard normal numbers, two at a time (Box and Muller 1958), by arithmetic that is the same on every machine.
    pub(crate) fn normals(&mut self, to: &mut [f32]) {
        for pair in to.chunks_mut(2) {
            // In (0, 1], so that the logarithm is finite.
            let unit = (f64::from(self.0.next_u32()) + 1.0) / 4_294_967_296.0;
            let angle = f64::from(self.0.next_u32()) / 4_294_967_296.0 * std::f64::consts::TAU;
            let radius = (-2.0 * libm::log(unit)).sqrt();
            let (sine, cosine) = libm::sincos(angle);
            for (to, part) in pair.iter_mut().zip([cosine, sine]) {
                *to = (radius * part) as f32;
            }
        }
    }

    /// A uniform integer below `n` (Lemire 2019, "Fast random integer generation in an interval"). `n` is at least 1.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(n);
            if product as u32 >= n.wrapping_neg() % n {
                return (product >> 32) as u32;
            }
        }
    }

    /// The integers below `n` in random order (Fisher and Yates, from the end).
    pub(crate) fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i as usize, self.below(i + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The streams define what a seed means: these numbers may change only with the version that is hashed into trial ids.
    #[test]
    fn the_streams_are_pinned() {
        let mut stream = Stream::new(7, "weights", "fc1.weight");
        let found: Vec<u32> = (0..3).map(|_| stream.uniform(1.0).to_bits()).collect();
        assert_eq!(found, PINNED_UNIFORM);
        assert_eq!(Stream::new(7, "shuffle", "epoch 0").permutation(10), PINNED_ORDER);
    }

    const PINNED_UNIFORM: [u32; 3] = [1060482894, 1039621856, 1043677672];
    const PINNED_ORDER: [u32; 10] = [5, 3, 7, 0, 1, 2, 8, 6, 9, 4];

    #[test]
    fn seed_purpose_and_name_each_select_another_stream() {
        let draw = |seed, purpose, name| Stream::new(seed, purpose, name).permutation(50);
        let all =
            [draw(0, "a", "b"), draw(1, "a", "b"), draw(0, "ab", ""), draw(0, "", "ab"), draw(0, "a", "c")];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one));
        }
    }

    #[test]
    fn draws_are_in_range_and_even() {
        let mut stream = Stream::new(1, "test", "");
        let mut counts = [0; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
            assert!((-2.0..2.0).contains(&stream.uniform(2.0)));
        }
        // Ten standard deviations of a binomial count around its mean of 10,000.
        assert!(counts.iter().all(|count| (9_074..10_926).contains(count)), "{counts:?}");
        let mut normals = vec![0.0; 100_001];
        stream.normals(&mut normals);
        let mean = |power: i32| {
            normals.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / normals.len() as f64
        };
        // Five standard errors of the first four moments of 100,001 normal numbers.
        let bounds = [(1, 0.0, 0.016), (2, 1.0, 0.023), (3, 0.0, 0.062), (4, 3.0, 0.156)];
        for (power, expected, bound) in bounds {
            assert!((mean(power) - expected).abs() < bound, "moment {power}: {}", mean(power));
        }
        let mut order = stream.permutation(1000);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        assert!(stream.permutation(0).is_empty());
    }
}
