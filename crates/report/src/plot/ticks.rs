//! Ticks of an axis and their labels.

/// A tick: its value and its label.
pub(crate) type Tick = (f64, String);

/// About `number` ticks at round values from `low` to `high`.
pub(super) fn linear(low: f64, high: f64, number: usize) -> Vec<Tick> {
    let number = number.max(1);
    let step = round_step(high / number as f64 - low / number as f64);
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let (first, max) = ((low / step - 1e-9).ceil(), low.abs().max(high.abs()));
    (0..=2 * number as u32)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|value| *value <= high + 1e-9 * step)
        .map(|value| (value, fixed(value, step, max)))
        .collect()
}

/// About `number` ticks at whole steps from 0 to `total`.
pub(super) fn steps(total: u64, number: usize) -> Vec<Tick> {
    let max = total as f64;
    let step = round_step(max / number.max(1) as f64).max(1.0);
    let count = (max / step * (1.0 + 1e-9)).floor() as u32;
    let (unit, letter) = unit(max);
    let text = |value: f64| match value {
        0.0 => "0".to_owned(),
        value => format!("{}{letter}", value / unit),
    };
    (0..=count).map(|i| f64::from(i) * step).map(|value| (value, text(value))).collect()
}

/// A number of steps in few characters.
pub(super) fn count(steps: u64) -> String {
    let (unit, letter) = unit(steps as f64);
    match steps as f64 / unit {
        count if count.fract() == 0.0 || letter.is_empty() => format!("{count}{letter}"),
        fraction => format!("{fraction:.1}{letter}"),
    }
}

/// The unit for numbers of steps up to `max`.
fn unit(max: f64) -> (f64, &'static str) {
    match max {
        max if max >= 2e18 => (1e18, " E"),
        max if max >= 2e15 => (1e15, " P"),
        max if max >= 2e12 => (1e12, " T"),
        max if max >= 2e9 => (1e9, " G"),
        max if max >= 2e6 => (1e6, " M"),
        max if max >= 1e5 => (1e3, " k"),
        _ => (1.0, ""),
    }
}

/// Ticks at powers of ten from `low` to `high`; over few decades also at 2 and 5 times these.
pub(crate) fn log(low: f64, high: f64, number: usize) -> Vec<Tick> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = usize::try_from(last - first).unwrap_or(1).max(1);
    let factors: &[f64] = if 3 * decades <= number + 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = decades.div_ceil(number.max(1)).max(1);
    let within = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
    (first..=last)
        .step_by(every)
        .flat_map(|exponent| factors.iter().map(move |factor| format!("{factor}e{exponent}")))
        .filter_map(|text| text.parse::<f64>().ok())
        .filter(within)
        .map(|value| (value, power(value)))
        .collect()
}

/// The label of a round number on an axis of many decades.
pub(super) fn power(value: f64) -> String {
    crate::short(value)
}

/// 1, 2 or 5 times a power of ten, no smaller than `step`.
pub(crate) fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor()).max(f64::MIN_POSITIVE);
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= step * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

/// A label with as many decimals as the step between ticks needs; with an exponent if values are far from 1.
fn fixed(value: f64, step: f64, max: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let last = (step.log10() + 1e-9).floor() as i32;
    let decimals = |places: i32| usize::try_from(places).unwrap_or(0).min(15);
    if (1e-3..1e6).contains(&max) {
        return format!("{value:.*}", decimals(-last));
    }
    verdict::numbers::scientific(value, decimals(value.abs().log10().floor() as i32 - last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(texts(linear(0.0, 0.105, 5)), ["0", "0.05", "0.10"]);
        assert_eq!(texts(linear(0.0, 1.05, 6)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(linear(0.0, 2.1e-5, 5)), ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]);
        assert_eq!(texts(linear(0.0, 3e38, 3)), ["0", "1e38", "2e38", "3e38"]);
        // Far from 0, labels have all digits that differ.
        assert_eq!(
            texts(linear(-12_345_680.0, -12_345_640.0, 2)),
            ["-1.234568e7", "-1.234566e7", "-1.234564e7"]
        );
        assert_eq!(texts(linear(-1.0, 1.0, 4)), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn step_ticks_are_whole_numbers_with_units() {
        assert_eq!(texts(steps(3, 8)), ["0", "1", "2", "3"]);
        assert_eq!(texts(steps(1562, 8)), ["0", "200", "400", "600", "800", "1000", "1200", "1400"]);
        assert_eq!(texts(steps(1_000_000, 5)), ["0", "200 k", "400 k", "600 k", "800 k", "1000 k"]);
        assert_eq!(texts(steps(10_000_000, 2)), ["0", "5 M", "10 M"]);
        assert!(!steps(u64::MAX, 8).is_empty());
    }

    #[test]
    fn log_ticks_are_powers_of_ten() {
        assert_eq!(texts(log(0.001, 0.1, 8)), ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(texts(log(1e-6, 0.1, 5)), ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]);
        assert_eq!(texts(log(0.02, 0.09, 8)), ["0.02", "0.05"]);
    }
}
