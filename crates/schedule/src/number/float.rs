//! Division of floats as in Python, bit for bit.

/// `a // b`: the quotient after subtracting the remainder. This differs from the floor of the rounded
/// quotient: `1 // 0.1` is 9. `b` is not 0.
pub(crate) fn floor_divide(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0_f64.copysign(a / b);
    }
    // It is whole except for rounding.
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// `a % b`, with the sign of `b`. `b` is not 0.
pub(crate) fn modulo(a: f64, b: f64) -> f64 {
    match a % b {
        0.0 => 0.0_f64.copysign(b),
        rest if (rest < 0.0) != (b < 0.0) => rest + b,
        rest => rest,
    }
}

/// The nearest number with `digits` decimals; ties go to the even last digit.
pub(crate) fn round(x: f64, digits: i64) -> f64 {
    match usize::try_from(digits) {
        // No float has more decimals, and Rust prints the exact number.
        Ok(digits) => format!("{x:.*}", digits.min(1100)).parse().unwrap_or(x),
        Err(_) if digits < -308 => 0.0_f64.copysign(x),
        Err(_) => {
            let unit: f64 = format!("1e{}", -digits).parse().unwrap_or(f64::INFINITY);
            let rest = x.abs() % unit;
            let below = x.abs() - rest;
            let even = below % (2.0 * unit) == 0.0;
            let up = rest > unit - rest || (rest == unit - rest && !even);
            (if up { below + unit } else { below }).copysign(x)
        }
    }
}
