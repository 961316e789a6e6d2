//! The most multiply-adds that one thread does: GFLOP/s of independent fused multiply-adds on registers.

use std::time::Instant;

macro_rules! peak {
    ($name:ident, $arch:ident, $features:literal, $lanes:literal, $set:ident, $fma:ident, $store:ident) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u64) -> f64 {
            use std::arch::$arch::*;
            let (by, plus) = ($set(std::hint::black_box(0.999)), $set(std::hint::black_box(1e-3)));
            // Different starts, so that no two sums are one.
            let mut s0 = $set(0.1);
            let (mut s1, mut s2, mut s3, mut s4, mut s5) =
                ($set(0.2), $set(0.3), $set(0.4), $set(0.5), $set(0.6));
            let (mut s6, mut s7, mut s8, mut s9) = ($set(0.7), $set(0.8), $set(0.9), $set(1.1));
            let began = Instant::now();
            for _ in 0..rounds {
                s0 = $fma(s0, by, plus);
                s1 = $fma(s1, by, plus);
                s2 = $fma(s2, by, plus);
                s3 = $fma(s3, by, plus);
                s4 = $fma(s4, by, plus);
                s5 = $fma(s5, by, plus);
                s6 = $fma(s6, by, plus);
                s7 = $fma(s7, by, plus);
                s8 = $fma(s8, by, plus);
                s9 = $fma(s9, by, plus);
            }
            let seconds = began.elapsed().as_secs_f64();
            let mut numbers = [0.0f32; $lanes];
            for sum in [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9] {
                // SAFETY: there is room for a whole vector.
                unsafe { $store(numbers.as_mut_ptr(), sum) };
                std::hint::black_box(&numbers);
            }
            rounds as f64 * 10.0 * 2.0 * $lanes as f64 / seconds / 1e9
        }
    };
}

#[cfg(target_arch = "x86_64")]
peak!(avx512, x86_64, "avx512f", 16, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps);
#[cfg(target_arch = "x86_64")]
peak!(avx2, x86_64, "avx2,fma", 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps);
// `vfmaq_f32` adds the product of its last two arguments to the first: each chain still waits for its own last result.
#[cfg(target_arch = "aarch64")]
peak!(neon, aarch64, "neon", 4, vdupq_n_f32, vfmaq_f32, vst1q_f32);

/// GFLOP/s of the widest vectors.
pub(crate) fn peak() -> f64 {
    const ROUNDS: u64 = 500_000;
    let mut best = 0.0f64;
    for _ in 0..50 {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has it.
                best = best.max(unsafe { avx512(ROUNDS) });
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor has it.
                best = best.max(unsafe { avx2(ROUNDS) });
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            // SAFETY: the processor has it.
            best = best.max(unsafe { neon(ROUNDS) });
        }
    }
    best
}
