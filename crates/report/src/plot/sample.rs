//! Samples a schedule into the points of a curve: few enough for a file, without losing steps or cycles.

use schedule::{Schedule, State};

use super::Curve;

/// Number of columns that a long run is divided into: more than most pictures have pixels.
pub const COLUMNS: u64 = 1500;

/// The most steps of a column that are evaluated. A column with more steps is sampled.
const SAMPLES: u64 = 1000;

/// The lr of an open-loop schedule over a run of `total` steps.
pub fn curve(name: &str, schedule: &Schedule, total: u64) -> Curve {
    let start: State = schedule.start();
    of_values(name, total, &|t| schedule.lr(t, &start))
}

/// The curve of a function of the step.
pub(super) fn of_values(name: &str, total: u64, value: &dyn Fn(u64) -> f64) -> Curve {
    let points = if total <= 2 * COLUMNS { each_step(total, value) } else { columns(total, value) };
    Curve { name: name.to_owned(), points }
}

/// A point for every step. A jump is drawn as a vertical line, as for an lr that is set once per epoch or reduced at a milestone.
fn each_step(total: u64, value: &dyn Fn(u64) -> f64) -> Vec<(f64, f64)> {
    let values: Vec<f64> = (0..total).map(value).collect();
    let rise = |i: usize| match (values.get(i), values.get(i + 1)) {
        (Some(a), Some(b)) => (b - a).abs(),
        _ => 0.0,
    };
    let mut points = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        // A jump is much larger than what comes before and after it.
        if let (Some(before), Some(earlier)) = (i.checked_sub(1), i.checked_sub(2))
            && rise(before) > 4.0 * rise(i).max(rise(earlier))
        {
            points.extend(values.get(before).map(|last| (i as f64, *last)));
        }
        points.push((i as f64, *value));
    }
    if let [(_, only)] = points.as_slice() {
        let only = *only;
        points.push((1.0, only));
    }
    points
}

/// First, lowest, highest and last value of each column: they cover what a line through every step would cover.
fn columns(total: u64, value: &dyn Fn(u64) -> f64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for column in 0..COLUMNS {
        let at = |column: u64| (u128::from(column) * u128::from(total) / u128::from(COLUMNS)) as u64;
        let (first, end) = (at(column), at(column + 1));
        let mut seen: Vec<(u64, f64)> = sampled_steps(first, end).map(|t| (t, value(t))).collect();
        seen.sort_by_key(|(t, _)| *t);
        let by_value = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
        let ends = [seen.first(), seen.iter().min_by(by_value), seen.iter().max_by(by_value), seen.last()];
        let mut kept: Vec<(u64, f64)> = ends.into_iter().flatten().copied().collect();
        kept.sort_by_key(|(t, _)| *t);
        kept.dedup_by_key(|(t, _)| *t);
        points.extend(kept.into_iter().map(|(t, value)| (t as f64, value)));
    }
    points
}

/// The steps of a column that are evaluated: all, or its ends and steps at multiples of the golden ratio. No cycle has these
/// distances, so a short cycle shows its full height.
fn sampled_steps(first: u64, end: u64) -> impl Iterator<Item = u64> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let length = end - first;
    let all = length <= SAMPLES;
    let number = if all { length } else { SAMPLES };
    (0..number).map(move |i| match i {
        i if all => first + i,
        0 => first,
        1 => end - 1,
        i => first + ((i as f64 * GOLDEN).fract() * length as f64) as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(total: u64, value: impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
        of_values("a", total, &value).points
    }

    #[test]
    fn a_jump_is_drawn_as_a_step_and_a_slope_as_a_slope() {
        let drop = points(6, |t| if t < 3 { 1.0 } else { 0.1 });
        assert_eq!(drop[2..5], [(2.0, 1.0), (3.0, 1.0), (3.0, 0.1)]);
        assert_eq!(points(5, |t| t as f64).len(), 5);
        let saw = points(12, |t| 1.0 - (t % 4) as f64 / 8.0);
        assert_eq!(saw.iter().filter(|(t, _)| *t == 4.0).count(), 1, "short teeth are slopes, {saw:?}");
        assert_eq!(points(1, |_| 0.5), [(0.0, 0.5), (1.0, 0.5)]);
    }

    #[test]
    fn a_long_run_keeps_its_first_and_last_step_and_the_height_of_short_cycles() {
        for total in [3001, 1_000_000, 4_000_000_000, u64::MAX] {
            let saw = points(total, |t| (t % 10) as f64);
            assert!(saw.len() <= 6000);
            assert_eq!(saw.first(), Some(&(0.0, 0.0)));
            assert_eq!(saw.last(), Some(&((total - 1) as f64, ((total - 1) % 10) as f64)));
            assert!(saw.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            if total > 100_000 {
                let low = saw.iter().filter(|(_, value)| *value == 0.0).count();
                let high = saw.iter().filter(|(_, value)| *value == 9.0).count();
                assert!(low >= 1500 && high >= 1500, "{total}: {low} {high}");
            }
        }
    }
}
