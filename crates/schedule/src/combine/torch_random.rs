//! The random numbers of `torch.Generator().manual_seed(seed)` on the CPU, as returned by `torch.randn(1,
//! generator=g)`: MT19937 (Matsumoto and Nishimura 1998), two words per 53-bit number, and Box-Muller for
//! pairs of normal numbers. The numbers are in double precision; with single precision as torch's default
//! type, torch returns the same numbers rounded.

use std::f64::consts::TAU;

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// A seeded generator.
pub(super) struct Generator {
    words: [u32; WORDS],
    next: usize,
    /// The second number of a Box-Muller pair.
    kept: Option<f64>,
}

impl Generator {
    /// Uses only the low 32 bits of the seed, as torch does.
    pub(super) fn new(seed: u64) -> Self {
        let mut words = [0; WORDS];
        let mut word = seed as u32;
        for (i, place) in words.iter_mut().enumerate() {
            if i > 0 {
                word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
            }
            *place = word;
        }
        Self { words, next: WORDS, kept: None }
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[i] = self.words[(i + SHIFT) % WORDS] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u64 {
        if self.next >= WORDS {
            self.twist();
        }
        let y = self.words[self.next % WORDS];
        self.next += 1;
        let y = y ^ (y >> 11);
        let y = y ^ ((y << 7) & 0x9d2c_5680);
        let y = y ^ ((y << 15) & 0xefc6_0000);
        u64::from(y ^ (y >> 18))
    }

    /// A uniform number in [0, 1).
    fn uniform(&mut self) -> f64 {
        let bits = (self.word() << 32) | self.word();
        (bits & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    /// The next number of `torch.randn(1, generator=g)`.
    pub(super) fn normal(&mut self) -> f64 {
        match self.kept.take() {
            Some(kept) => kept,
            None => {
                let (angle, length) = (TAU * self.uniform(), self.uniform());
                let radius = (-2.0 * libm::log1p(-length)).sqrt();
                self.kept = Some(radius * libm::sin(angle));
                radius * libm::cos(angle)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Generator;

    /// Printed by torch 2.15.0 after torch.set_default_dtype(torch.float64): g = torch.Generator().manual_seed(seed);
    /// [torch.randn(1, generator=g).item() for _ in range(4)]
    #[test]
    fn random_numbers_match_torch() {
        for (seed, wanted) in [
            (
                0,
                [
                    1.540_996_108_244_043_3,
                    -0.293_428_905_760_946_4,
                    -2.178_789_382_074_557_4,
                    0.568_431_277_280_667_8,
                ],
            ),
            (
                42,
                [
                    0.336_690_354_383_858_86,
                    0.128_809_405_136_589_7,
                    0.234_462_363_361_531_73,
                    0.230_333_027_914_611_9,
                ],
            ),
            (
                12_345,
                [
                    1.427_130_436_120_714_4,
                    -1.870_089_187_808_628_3,
                    -1.196_210_395_291_134_5,
                    -2.043_951_331_753_674,
                ],
            ),
            (
                2_147_483_655,
                [
                    -0.595_193_204_030_947_1,
                    1.966_076_095_282_421_9,
                    0.593_779_688_068_082_8,
                    0.363_812_773_838_411_1,
                ],
            ),
            (
                1_099_511_627_779,
                [
                    0.803_276_078_096_350_7,
                    0.174_833_393_279_103_58,
                    0.088_978_095_025_878_93,
                    -0.613_718_007_729_357_8,
                ],
            ),
        ] {
            let mut generator = Generator::new(seed);
            let found: Vec<f64> = (0..4).map(|_| generator.normal()).collect();
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-15, "{seed}: {found} instead of {wanted}");
            }
        }
    }
}
