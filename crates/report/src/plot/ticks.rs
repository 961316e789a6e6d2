//! Where an axis has its marks, and what is written beside them.

/// A mark: its value and its text.
pub(crate) type Tick = (f64, String);

/// Marks at round values from `low` to `high`, about `number` of them.
pub(super) fn linear(low: f64, high: f64, number: usize) -> Vec<Tick> {
    let number = number.max(1);
    let step = round_step(high / number as f64 - low / number as f64);
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let (first, most) = ((low / step - 1e-9).ceil(), low.abs().max(high.abs()));
    (0..=2 * number as u32)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|value| *value <= high + 1e-9 * step)
        .map(|value| (value, fixed(value, step, most)))
        .collect()
}

/// Marks at whole steps, as [`linear`].
pub(super) fn steps(total: u64, number: usize) -> Vec<Tick> {
    let most = total as f64;
    let step = round_step(most / number.max(1) as f64).max(1.0);
    let count = (most / step * (1.0 + 1e-9)).floor() as u32;
    let (unit, letter) = unit(most);
    let text = |value: f64| match value {
        0.0 => "0".to_owned(),
        value => format!("{}{letter}", value / unit),
    };
    (0..=count).map(|i| f64::from(i) * step).map(|value| (value, text(value))).collect()
}

/// A number of steps in few letters.
pub(super) fn count(steps: u64) -> String {
    let (unit, letter) = unit(steps as f64);
    match steps as f64 / unit {
        whole if whole.fract() == 0.0 || letter.is_empty() => format!("{whole}{letter}"),
        share => format!("{share:.1}{letter}"),
    }
}

/// The unit in which numbers of steps up to `most` are written.
fn unit(most: f64) -> (f64, &'static str) {
    match most {
        most if most >= 2e18 => (1e18, " E"),
        most if most >= 2e15 => (1e15, " P"),
        most if most >= 2e12 => (1e12, " T"),
        most if most >= 2e9 => (1e9, " G"),
        most if most >= 2e6 => (1e6, " M"),
        most if most >= 1e5 => (1e3, " k"),
        _ => (1.0, ""),
    }
}

/// Marks at powers of ten within a range of decades; where there are few of those, at 2 and 5 times them
/// as well.
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

/// A round number on an axis of many decades.
pub(super) fn power(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { crate::short(value) }
}

/// 1, 2 or 5 times a power of ten, no smaller than `step`.
pub(crate) fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor()).max(f64::MIN_POSITIVE);
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= step * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

/// As many decimals as the step between marks needs; powers of ten far from 1.
fn fixed(value: f64, step: f64, most: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let last = (step.log10() + 1e-9).floor() as i32;
    let decimals = |places: i32| usize::try_from(places).unwrap_or(0).min(15);
    if (1e-3..1e6).contains(&most) {
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
    fn marks_are_round() {
        assert_eq!(texts(linear(0.0, 0.105, 5)), ["0", "0.05", "0.10"]);
        assert_eq!(texts(linear(0.0, 1.05, 6)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(linear(0.0, 2.1e-5, 5)), ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]);
        assert_eq!(texts(linear(0.0, 3e38, 3)), ["0", "1e38", "2e38", "3e38"]);
        // Far from 0 all digits that differ are written.
        assert_eq!(
            texts(linear(-12_345_680.0, -12_345_640.0, 2)),
            ["-1.234568e7", "-1.234566e7", "-1.234564e7"]
        );
        assert_eq!(texts(linear(-1.0, 1.0, 4)), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn steps_are_whole_and_short() {
        assert_eq!(texts(steps(3, 8)), ["0", "1", "2", "3"]);
        assert_eq!(texts(steps(1562, 8)), ["0", "200", "400", "600", "800", "1000", "1200", "1400"]);
        assert_eq!(texts(steps(1_000_000, 5)), ["0", "200 k", "400 k", "600 k", "800 k", "1000 k"]);
        assert_eq!(texts(steps(10_000_000, 2)), ["0", "5 M", "10 M"]);
        assert!(!steps(u64::MAX, 8).is_empty());
    }

    #[test]
    fn powers_of_ten_are_marked_on_a_log_axis() {
        assert_eq!(texts(log(0.001, 0.1, 8)), ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(texts(log(1e-6, 0.1, 5)), ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]);
        assert_eq!(texts(log(0.02, 0.09, 8)), ["0.02", "0.05"]);
    }
}
