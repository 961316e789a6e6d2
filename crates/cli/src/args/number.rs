//! Numbers in a range.

use std::ops::RangeInclusive;

/// Parses a whole number in a range, as in 1000 or 1e3.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: Copy + PartialOrd + std::fmt::Display + std::str::FromStr + TryFrom<u64>,
{
    move |text| {
        let number = text.parse().ok().or_else(|| {
            // Up to 2^53 every whole number is exact as a float.
            let exact = |x: &f64| x.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(x);
            text.parse::<f64>().ok().filter(exact).and_then(|x| T::try_from(x as u64).ok())
        });
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            format!("expected a whole number from {} to {}, as in 1000 or 1e3", range.start(), range.end())
        })
    }
}

/// Parses a fraction from 0 to 1.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|fraction: &f64| (0.0..=1.0).contains(fraction));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
