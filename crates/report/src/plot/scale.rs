//! The scale of an axis: maps values to positions and chooses ticks. Every finite value has a position: a logarithmic axis becomes
//! symlog or linear if a value is 0 or below.

use super::ticks::{self, Tick};

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// Logarithmic, for values above 0.
    Log,
    /// For all values: about linear within `unit` of 0, logarithmic beyond on both sides.
    Symlog {
        unit: f64,
    },
}

/// An axis with values of both signs is linear if the largest absolute value is at most this multiple of the median one.
const LINEAR: f64 = 10.0;

impl Scale {
    /// Logarithmic if all values are above 0; otherwise symlog if the absolute values differ much, else linear.
    pub(crate) fn logarithmic(values: &[f64]) -> Self {
        if values.iter().all(|x| *x > 0.0) {
            return Self::Log;
        }
        let mut sizes: Vec<f64> = values.iter().map(|x| x.abs()).filter(|size| *size > 0.0).collect();
        sizes.sort_by(f64::total_cmp);
        match (sizes.get(sizes.len().saturating_sub(1) / 2), sizes.last()) {
            (Some(usual), Some(largest)) if largest / usual > LINEAR => Self::Symlog { unit: *usual },
            _ => Self::Linear,
        }
    }

    /// The axis title, with a note for symlog, which looks like a logarithmic axis.
    pub(crate) fn titled(self, title: &str) -> String {
        match self {
            Self::Symlog { .. } => format!("{title} (symlog)"),
            Self::Linear | Self::Log => title.to_owned(),
        }
    }

    /// The position of a value between `low` and `high`: 0 at `low`, 1 at `high`.
    pub(crate) fn share(self, x: f64, low: f64, high: f64) -> f64 {
        let (low, high) = (self.transform(low), self.transform(high));
        (self.transform(x) - low) / (high - low)
    }

    /// The value at a position, which may be beyond both ends.
    pub(crate) fn at(self, share: f64, low: f64, high: f64) -> f64 {
        let (low, high) = (self.transform(low), self.transform(high));
        self.inverse(low + share * (high - low)).clamp(f64::MIN, f64::MAX)
    }

    fn transform(self, x: f64) -> f64 {
        match self {
            // Half, so that the distance between the lowest and the highest f64 is finite.
            Self::Linear => 0.5 * x,
            Self::Log => x.ln(),
            Self::Symlog { unit } => {
                let times = x.abs() / unit;
                let size = if times.is_finite() { times.ln_1p() } else { x.abs().ln() - unit.ln() };
                size.copysign(x)
            }
        }
    }

    fn inverse(self, y: f64) -> f64 {
        match self {
            Self::Linear => 2.0 * y,
            // At least the smallest number above 0.
            Self::Log => y.exp().max(f64::from_bits(1)),
            Self::Symlog { unit } => (unit * y.abs().exp_m1()).copysign(y),
        }
    }

    /// About `number` ticks from `low` to `high`.
    pub(crate) fn ticks(self, low: f64, high: f64, number: usize) -> Vec<Tick> {
        let ticks = match self {
            Self::Linear => Vec::new(),
            Self::Log => ticks::log(low, high, number),
            Self::Symlog { unit } => self.powers(unit, (low, high), number),
        };
        // Within a decade there are hardly any powers of ten.
        if ticks.len() > 2 { ticks } else { ticks::linear(low, high, number) }
    }

    /// Ticks at 0 and at powers of ten on both sides, with a minimum distance.
    fn powers(self, unit: f64, (low, high): (f64, f64), number: usize) -> Vec<Tick> {
        let (first, last) = (unit.log10().floor() as i32, low.abs().max(high.abs()).log10().ceil() as i32);
        let powers = (first..=last).filter_map(|exponent| format!("1e{exponent}").parse::<f64>().ok());
        let all = std::iter::once(0.0).chain(powers.flat_map(|power| [power, -power]));
        let mut values: Vec<f64> = Vec::new();
        for x in all.filter(|x| (low..=high).contains(x)) {
            let distance = |other: &f64| (self.share(x, low, high) - self.share(*other, low, high)).abs();
            if values.iter().all(|other| distance(other) * number as f64 > 0.7) {
                values.push(x);
            }
        }
        values.sort_by(f64::total_cmp);
        values.into_iter().map(|x| (x, ticks::power(x))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_depends_on_signs_and_sizes_of_the_values() {
        assert_eq!(Scale::logarithmic(&[0.5, 1e9]), Scale::Log);
        assert_eq!(Scale::logarithmic(&[0.5, -0.499, 0.1]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[-3.0, -2.5, -2.9]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[0.0, 0.0]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[1e6, -1.0, -2.0, -3.0]), Scale::Symlog { unit: 2.0 });
    }

    #[test]
    fn positions_keep_the_order_of_the_numbers() {
        let numbers = [f64::MIN, -1e9, -1.0, -1e-300, 0.0, 5e-324, 1e-9, 1.0, 1e300, f64::MAX];
        for scale in [Scale::Linear, Scale::Symlog { unit: 1.0 }, Scale::Symlog { unit: 5e-324 }] {
            let shares = numbers.map(|x| scale.share(x, f64::MIN, f64::MAX));
            assert!(
                shares.is_sorted() && shares.iter().all(|x| (0.0..=1.0).contains(x)),
                "{scale:?} {shares:?}"
            );
            assert!(scale.at(1.1, f64::MIN, f64::MAX) == f64::MAX);
        }
        for (scale, x) in [(Scale::Linear, -2.5), (Scale::Log, 0.3), (Scale::Symlog { unit: 0.1 }, -7.0)] {
            let back = scale.at(scale.share(x, 0.01, 10.0), 0.01, 10.0);
            assert!((back - x).abs() < 1e-12, "{scale:?}: {back}");
        }
    }

    #[test]
    fn ticks_are_round_on_both_sides_of_0_and_not_too_close() {
        let texts = |scale: Scale, low, high, number| -> Vec<String> {
            scale.ticks(low, high, number).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(Scale::Linear, -0.52, 0.54, 9), ["-0.4", "-0.2", "0", "0.2", "0.4"]);
        assert_eq!(texts(Scale::Linear, -3.02, -2.5, 5), ["-3.0", "-2.8", "-2.6"]);
        let symlog = Scale::Symlog { unit: 1.0 };
        assert_eq!(
            texts(symlog, -120.0, 1e6, 9),
            ["-100", "-10", "0", "10", "100", "1000", "10000", "100000", "1e6"]
        );
        // Also far from 0.
        assert!(texts(symlog, -1e6, -9e5, 5).len() > 2);
    }
}
