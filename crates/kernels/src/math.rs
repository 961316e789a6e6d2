//! Our own exp, ln, tanh and normal distribution: polynomials of fused multiply-adds, so that the bits do not depend on a library or
//! processor. Errors of exp and ln are below 2 units in the last place over the ranges in use.

/// e^x: 0 below -87.3, infinity above 88.7, NaN for NaN. Cody and Waite's reduction x = n ln 2 + r with |r| <= ln 2 / 2, then a
/// minimax polynomial of degree 6 for e^r, with a relative error below 4e-9.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 x 2^23 rounds to an integer, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts. The first has few bits, so that its product with n is exact.
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 0.001_381_460_2f32;
    for c in [0.008_368_716, 0.041_668_39, 0.166_665_21, 0.499_999_94, 1.0, 1.0f32] {
        p = r.mul_add(p, c);
    }
    // Adds n to the exponent. All cases are computed and one is selected, without branches, so that loops vectorize.
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    let power = if x <= 88.7 { power } else { x + f32::INFINITY };
    if x < -87.3 { 0.0 } else { power }
}

/// ln(x) for normal x > 0; NaN for NaN. x = 2^n m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh s with s = (m - 1) / (m + 1), by a
/// minimax polynomial in s^2 with a relative error below 1e-9.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let n = bits.wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits()) as i32 >> 23;
    let m = f32::from_bits(bits.wrapping_sub((n << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 0.298_723_1f32;
    for c in [0.399_775_2, 0.666_667_76f32] {
        p = z.mul_add(p, c);
    }
    let ln_m = (s * z).mul_add(p, 2.0 * s);
    let n = n as f32;
    let ln = n.mul_add(0.693_359_4, n.mul_add(-2.121_944_4e-4, ln_m));
    let special = if x == f32::INFINITY { x } else { f32::NAN };
    if (x > 0.0) & (x < f32::INFINITY) { ln } else { special }
}

/// ln(1 + x) for x from 0 to 1, also where 1 + x rounds to 1; NaN for NaN. 2 artanh s with s = x / (2 + x), by a minimax polynomial
/// in s^2 with a relative error below 5e-9.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    let mut p = 0.280_244_6f32;
    for c in [0.279_991_42, 0.400_217, 0.666_664_1f32] {
        p = z.mul_add(p, c);
    }
    (s * z).mul_add(p, 2.0 * s)
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

/// The standard normal distribution function Φ(x), and exp(-x² / 2). The tail Φ(-|x|) is exp(-x² / 2) times a polynomial in
/// t = 1 / (1 + 0.34 |x|), fitted with a relative error below 3e-8 for |x| < 13.6, where the exponential becomes 0.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let t = 1.0 / 0.34f32.mul_add(x.abs(), 1.0);
    let mut p = -0.026_319_198f32;
    for c in [
        0.140_432_09,
        -0.274_984_78,
        0.204_208_98,
        -0.046_049_997,
        0.115_895_51,
        0.115_068_75,
        0.136_129_05,
        0.135_619_58f32,
    ] {
        p = t.mul_add(p, c);
    }
    let density = exp(-0.5 * x * x);
    let tail = density * (t * p);
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

/// The standard normal distribution function.
#[inline(always)]
pub fn normal_below(x: f32) -> f32 {
    normal(x).0
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
            if x <= 1.0 {
                close(ln_1p(x), f64::from(x).ln_1p(), x);
            }
            if !(0.99..1.01).contains(&x) {
                close(ln(x), f64::from(x).ln(), x);
            }
        }
        assert_eq!((exp(0.0), ln(1.0), exp(-1e9), exp(1e9)), (1.0, 0.0, 0.0, f32::INFINITY));
        assert_eq!((ln(f32::INFINITY), ln_1p(0.0), ln_1p(1e-20)), (f32::INFINITY, 0.0, 1e-20));
        assert_eq!((exp(f32::INFINITY), exp(f32::NEG_INFINITY)), (f32::INFINITY, 0.0));
        assert!([f32::NAN, -f32::NAN, f32::from_bits(0x7fc0_01ff)].iter().all(|x| exp(*x).is_nan()));
        assert!(ln(f32::NAN).is_nan() && ln_1p(f32::NAN).is_nan() && ln(-1.0).is_nan() && ln(0.0).is_nan());
    }
}
