//! Our own exp, ln, tanh and normal distribution: polynomials of fused multiply-adds, so that the bits do not depend on a library or
//! processor. Errors of exp and ln are below 2 units in the last place over the ranges in use.

/// e^x: 0 below -87.3, infinity above 88.7, NaN for NaN. Cody and Waite's reduction x = n ln 2 + r with |r| <= ln 2 / 2, then the
/// Taylor polynomial of degree 7 for e^r, whose remainder is below 2^-27.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    if x < -87.3 {
        return 0.0;
    }
    if x > 88.7 {
        return f32::INFINITY;
    }
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    // ln 2 in two parts. The first has few bits, so that its product with n is exact.
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0f32] {
        p = r.mul_add(p, c);
    }
    // 2^n from its bits, for -126 <= n <= 128; 2^128 needs two factors.
    let half = |n: f32| f32::from_bits(((n as i32 + 127) as u32) << 23);
    if n > 127.0 { p * half(127.0) * 2.0 } else { p * half(n) }
}

/// ln(x) for normal x > 0; NaN for NaN. x = 2^n m with m in [sqrt(1/2), sqrt(2)); ln m by the series
/// 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1).
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    if x == f32::INFINITY {
        return x;
    }
    if x <= 0.0 || x.is_nan() {
        return f32::NAN;
    }
    let bits = x.to_bits();
    let mut n = (bits >> 23) as i32 - 127;
    let mut m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    if m > std::f32::consts::SQRT_2 {
        m *= 0.5;
        n += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 2.0f32 / 11.0;
    for c in [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0f32] {
        p = z.mul_add(p, c);
    }
    let ln_m = (s * z).mul_add(p, 2.0 * s);
    let n = n as f32;
    n.mul_add(0.693_359_4, n.mul_add(-2.121_944_4e-4, ln_m))
}

/// The hyperbolic tangent: its series near 0, otherwise ±(1 - e) / (1 + e) with e = exp(-2 |x|).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let z = x * x;
    let mut p = 21_844.0f32 / 6_081_075.0;
    for c in [-1382.0 / 155_925.0, 62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0f32] {
        p = z.mul_add(p, c);
    }
    let near = (x * z).mul_add(p, x);
    let e = exp(-2.0 * x.abs());
    let far = (1.0 - e) / (1.0 + e);
    let far = if x < 0.0 { -far } else { far };
    if x.abs() < 0.45 { near } else { far }
}

/// The standard normal distribution function, erfc(-x / sqrt 2) / 2. The tail is the rational Chebyshev fit of Numerical Recipes (2nd
/// edition, section 6.2, `erfcc`), with a relative error below 1.2e-7.
#[inline(always)]
pub fn normal_below(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / 0.5f32.mul_add(z, 1.0);
    let mut p = 0.170_872_77f32;
    for c in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2f32,
    ] {
        p = t.mul_add(p, c);
    }
    let tail = 0.5 * t * exp(z.mul_add(-z, p));
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_and_the_normal_distribution_are_close_to_the_true_values() {
        for i in -12_000..12_000 {
            let x = i as f32 / 1000.0;
            let truth = f64::from(x).tanh();
            assert!((f64::from(tanh(x)) - truth).abs() <= 3e-7 * truth.abs(), "{x}: {} and {truth}", tanh(x));
            let truth = 0.5 * libm::erfc(-f64::from(x) * std::f64::consts::FRAC_1_SQRT_2);
            let found = f64::from(normal_below(x));
            // In the tail the exponent is large, and so is its rounding error.
            let bound = 4e-7 * (1.0 + f64::from(x * x)) * truth;
            assert!((found - truth).abs() <= bound, "{x}: {found} and {truth}");
        }
        assert_eq!((tanh(0.0), tanh(50.0), tanh(-50.0), normal_below(0.0)), (0.0, 1.0, -1.0, 0.5));
        assert!(tanh(f32::NAN).is_nan() && normal_below(f32::NAN).is_nan());
    }

    #[test]
    fn exp_and_ln_are_close_to_the_true_values() {
        let close = |found: f32, truth: f64, x: f32| {
            let unit = f64::from(f32::EPSILON) * truth.abs().max(f64::from(f32::MIN_POSITIVE));
            assert!((f64::from(found) - truth).abs() <= 2.0 * unit, "{x}: {found} instead of {truth}");
        };
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            close(exp(x), f64::from(x).exp(), x);
        }
        for i in 1..100_000 {
            let x = i as f32 / 1000.0;
            if !(0.99..1.01).contains(&x) {
                close(ln(x), f64::from(x).ln(), x);
            }
        }
        assert_eq!((exp(0.0), ln(1.0), exp(-1e9), exp(1e9)), (1.0, 0.0, 0.0, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan() && ln(f32::NAN).is_nan());
    }
}
