//! Normally distributed numbers with the same bits on every machine.

use stats::random::SplitMix;

/// Normal numbers of mean 0 and standard deviation 1 (Box and Muller 1958), with the logarithm and cosine of `libm`: those of the
/// system differ between machines in the last digit.
pub(crate) struct Normal(SplitMix);

impl Normal {
    /// The numbers of a generation of a search with this seed.
    pub(crate) fn new(seed: u64, generation: u64) -> Self {
        Self(SplitMix::new(
            seed.wrapping_mul(0x9e37_79b9).wrapping_add(generation.wrapping_mul(0x85eb_ca6b_27d4_eb2f)),
        ))
    }

    pub(crate) fn draw(&mut self) -> f64 {
        let (radius, angle) = (self.uniform(), self.uniform());
        (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
    }

    /// A vector of such numbers.
    pub(crate) fn vector(&mut self, dimensions: usize) -> Vec<f64> {
        (0..dimensions).map(|_| self.draw()).collect()
    }

    /// A number between 0 and 1, neither included.
    fn uniform(&mut self) -> f64 {
        const VALUES: usize = 1 << 30;
        (self.0.below(VALUES) as f64 + 0.5) / VALUES as f64
    }
}
