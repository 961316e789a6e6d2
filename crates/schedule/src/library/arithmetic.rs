//! Arithmetic of whole and other numbers, as Python does it.

use crate::tree::Value;

/// The value of `a sign b`; `None` where Python has none, or none that is a number.
pub(super) fn arithmetic(sign: &str, a: &Value, b: &Value) -> Option<Value> {
    let number = |value: &Value| match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    };
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        let whole = match sign {
            "+" => a.checked_add(*b)?,
            "-" => a.checked_sub(*b)?,
            "*" => a.checked_mul(*b)?,
            "//" => a.checked_sub(modulo(*a, *b)?)?.checked_div(*b)?,
            "%" => modulo(*a, *b)?,
            "**" if *b >= 0 => a.checked_pow(u32::try_from(*b).ok()?)?,
            _ => return real(sign, *a as f64, *b as f64),
        };
        return Some(Value::Int(whole));
    }
    real(sign, number(a)?, number(b)?)
}

/// The rest of a division, which has the sign of the divisor.
fn modulo(a: i64, b: i64) -> Option<i64> {
    let rest = a.checked_rem(b)?;
    if rest != 0 && (rest < 0) != (b < 0) { rest.checked_add(b) } else { Some(rest) }
}

fn real(sign: &str, a: f64, b: f64) -> Option<Value> {
    let x = match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" if b != 0.0 => a / b,
        "//" if b != 0.0 => (a / b).floor(),
        "%" if b != 0.0 => a - b * (a / b).floor(),
        "**" => libm::pow(a, b),
        _ => return None,
    };
    x.is_finite().then_some(Value::Float(x))
}
