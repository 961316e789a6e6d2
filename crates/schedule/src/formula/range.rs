//! The range of values of a term during the run. Ranges may be too wide but never too narrow (except for
//! rounding), so that branches that no step takes can be removed.

use super::Binary;
use crate::number::floor_divide;

/// Minimum and maximum, and whether all values are whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) whole: bool,
}

impl Range {
    pub(super) const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, whole: false };

    pub(super) fn new(low: f64, high: f64, whole: bool) -> Self {
        if low <= high { Self { low, high, whole } } else { Self { whole, ..Self::ALL } }
    }

    pub(super) fn one(x: f64) -> Self {
        Self::new(x, x, x.fract() == 0.0)
    }

    /// The range from the smallest to the largest of these.
    fn of(ends: &[f64], whole: bool) -> Self {
        if ends.iter().any(|x| x.is_nan()) {
            return Self { whole, ..Self::ALL };
        }
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::new(low, high, whole)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high), self.whole && other.whole)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// The part within two bounds.
    pub(super) fn within(self, low: f64, high: f64) -> Self {
        let (low, high) = (self.low.max(low), self.high.min(high));
        if low <= high { Self { low, high, ..self } } else { self }
    }

    /// The range of a function that never decreases.
    pub(super) fn rising(self, of: impl Fn(f64) -> f64, whole: bool) -> Self {
        Self::of(&[of(self.low), of(self.high)], whole)
    }

    /// Whether it is completely below another range, by more than rounding if there are fractions.
    fn below(self, other: Self) -> bool {
        self.high < other.low - self.hair(other) * other.low.abs()
    }

    /// The same, but they may touch.
    fn up_to(self, other: Self) -> bool {
        self.high <= other.low - self.hair(other) * other.low.abs()
    }

    fn hair(self, other: Self) -> f64 {
        if self.whole && other.whole { 0.0 } else { 1e-12 }
    }

    pub(super) fn function(self, name: &str, of: fn(f64) -> f64) -> Self {
        match name {
            "cos" | "sin" => Self::new(-1.0, 1.0, false),
            "abs" if self.low >= 0.0 => self,
            "abs" => Self::new(0.0, self.low.abs().max(self.high.abs()), self.whole),
            "floor" | "ceil" | "round" => self.rising(of, true),
            "exp" | "tanh" | "expm1" | "sinh" | "atan" => self.rising(of, false),
            "sqrt" | "log" | "log2" | "log10" | "log1p" if self.low >= 0.0 => self.rising(of, false),
            _ => Self::ALL,
        }
    }

    pub(super) fn binary(binary: Binary, a: Self, b: Self) -> Self {
        let whole = a.whole && b.whole;
        match binary {
            Binary::Add => Self::new(a.low + b.low, a.high + b.high, whole),
            Binary::Subtract => Self::new(a.low - b.high, a.high - b.low, whole),
            Binary::Multiply => Self::of(&corners(a, b, |x, y| x * y), whole),
            Binary::Divide if b.low > 0.0 || b.high < 0.0 => Self::of(&corners(a, b, |x, y| x / y), false),
            Binary::DivideDown if b.low > 0.0 || b.high < 0.0 => Self::of(&corners(a, b, floor_divide), true),
            Binary::Remainder if b.low > 0.0 => {
                let most = if whole { b.high - 1.0 } else { b.high };
                let most = if a.low >= 0.0 { most.min(a.high) } else { most };
                Self::new(0.0, most, whole)
            }
            Binary::Power if a.low > 0.0 || (a.low >= 0.0 && b.low > 0.0) => {
                Self::of(&corners(a, b, libm::pow), whole && b.low >= 0.0)
            }
            Binary::Least => Self::new(a.low.min(b.low), a.high.min(b.high), whole),
            Binary::Greatest => Self::new(a.low.max(b.low), a.high.max(b.high), whole),
            Binary::Less => decided(a.below(b), b.up_to(a)),
            Binary::AtMost => decided(a.up_to(b), b.below(a)),
            Binary::Greater => decided(b.below(a), a.up_to(b)),
            Binary::AtLeast => decided(b.up_to(a), a.below(b)),
            Binary::Equal => decided(false, a.below(b) || b.below(a)),
            Binary::Unequal => decided(a.below(b) || b.below(a), false),
            Binary::And => decided(a.low > 0.0 && b.low > 0.0, a.high <= 0.0 || b.high <= 0.0),
            Binary::Or => decided(a.low > 0.0 || b.low > 0.0, a.high <= 0.0 && b.high <= 0.0),
            _ => Self { whole: false, ..Self::ALL },
        }
    }
}

fn corners(a: Range, b: Range, of: fn(f64, f64) -> f64) -> [f64; 4] {
    [of(a.low, b.low), of(a.low, b.high), of(a.high, b.low), of(a.high, b.high)]
}

fn decided(yes: bool, no: bool) -> Range {
    match (yes, no) {
        (true, _) => Range::one(1.0),
        (_, true) => Range::one(0.0),
        _ => Range::new(0.0, 1.0, true),
    }
}
