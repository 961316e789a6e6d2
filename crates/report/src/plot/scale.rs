//! The scale of an axis: how values are spread over its length, and where it has marks. No value is without a place: where
//! one is 0 or below, an axis that would be logarithmic is symlog.

use super::ticks::{self, Tick};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// For values above 0.
    Log,
    /// For all values: about linear within `unit` of 0, logarithmic on both sides beyond.
    Symlog {
        unit: f64,
    },
}

/// The largest value is at most this multiple of a usual one where a linear axis shows both.
const LINEAR: f64 = 10.0;

impl Scale {
    /// Logarithmic where all of these values are above 0; else linear, or symlog where the sizes of the values differ much.
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

    /// What an axis title says of the scale: a symlog axis looks like a logarithmic one.
    pub(crate) fn titled(self, title: &str) -> String {
        match self {
            Self::Symlog { .. } => format!("{title} (symlog)"),
            Self::Linear | Self::Log => title.to_owned(),
        }
    }

    /// Where a value is between `low` and `high`: 0 at `low`, 1 at `high`.
    pub(crate) fn share(self, x: f64, low: f64, high: f64) -> f64 {
        let (low, high) = (self.place(low), self.place(high));
        (self.place(x) - low) / (high - low)
    }

    /// The value of a share that may lie beyond both ends.
    pub(crate) fn at(self, share: f64, low: f64, high: f64) -> f64 {
        let (low, high) = (self.place(low), self.place(high));
        self.value(low + share * (high - low)).clamp(f64::MIN, f64::MAX)
    }

    fn place(self, x: f64) -> f64 {
        match self {
            // Half, so that the distance of the two farthest numbers is a number.
            Self::Linear => 0.5 * x,
            Self::Log => x.ln(),
            Self::Symlog { unit } => {
                let times = x.abs() / unit;
                let place = if times.is_finite() { times.ln_1p() } else { x.abs().ln() - unit.ln() };
                place.copysign(x)
            }
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => 2.0 * place,
            // No less than the least number above 0.
            Self::Log => place.exp().max(f64::from_bits(1)),
            Self::Symlog { unit } => (unit * place.abs().exp_m1()).copysign(place),
        }
    }

    /// About `number` marks from `low` to `high`.
    pub(crate) fn ticks(self, low: f64, high: f64, number: usize) -> Vec<Tick> {
        let marks = match self {
            Self::Linear => Vec::new(),
            Self::Log => ticks::log(low, high, number),
            Self::Symlog { unit } => self.powers(unit, (low, high), number),
        };
        // Within a decade there may be hardly any round power of ten.
        if marks.len() > 2 { marks } else { ticks::linear(low, high, number) }
    }

    /// 0 and powers of ten on both sides of it, none close to another.
    fn powers(self, unit: f64, (low, high): (f64, f64), number: usize) -> Vec<Tick> {
        let (first, last) = (unit.log10().floor() as i32, low.abs().max(high.abs()).log10().ceil() as i32);
        let powers = (first..=last).filter_map(|exponent| format!("1e{exponent}").parse::<f64>().ok());
        let all = std::iter::once(0.0).chain(powers.flat_map(|power| [power, -power]));
        let mut marks: Vec<f64> = Vec::new();
        for x in all.filter(|x| (low..=high).contains(x)) {
            let apart = |mark: &f64| (self.share(x, low, high) - self.share(*mark, low, high)).abs();
            if marks.iter().all(|mark| apart(mark) * number as f64 > 0.7) {
                marks.push(x);
            }
        }
        marks.sort_by(f64::total_cmp);
        marks.into_iter().map(|x| (x, ticks::power(x))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_choose_the_scale() {
        assert_eq!(Scale::logarithmic(&[0.5, 1e9]), Scale::Log);
        assert_eq!(Scale::logarithmic(&[0.5, -0.499, 0.1]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[-3.0, -2.5, -2.9]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[0.0, 0.0]), Scale::Linear);
        assert_eq!(Scale::logarithmic(&[1e6, -1.0, -2.0, -3.0]), Scale::Symlog { unit: 2.0 });
    }

    #[test]
    fn every_number_has_a_place_in_the_order_of_the_numbers() {
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
    fn marks_are_round_on_both_sides_of_0_and_apart() {
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
        // Far from 0 as well.
        assert!(texts(symlog, -1e6, -9e5, 5).len() > 2);
    }
}
