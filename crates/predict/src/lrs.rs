//! A sequence of lrs in the form that the laws need: sums at the steps of interest, and the changes, grouped.

/// A sequence of lrs, reduced to what the laws need at some steps.
#[derive(Debug, Clone)]
pub struct Lrs {
    /// Number of updates.
    pub(crate) steps: u64,
    /// The highest lr.
    pub(crate) peak: f64,
    /// The sum of all lrs.
    pub(crate) total: f64,
    /// Where the loss is wanted, in order.
    pub(crate) points: Vec<Point>,
    /// Where the lr changes, in order. The rise at the beginning is not a change.
    pub(crate) changes: Vec<Change>,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Updates so far.
    pub(crate) step: f64,
    /// Sum of their lrs.
    pub(crate) sum: f64,
}

/// A change of the lr, or several changes close to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// Updates before it, and the sum of their lrs.
    pub(crate) at: Point,
    /// The lr before, minus the lr after.
    pub(crate) drop: f64,
    /// The lr after it. Never 0, which has no power.
    pub(crate) lr: f64,
}

/// Changes are grouped until they add up to this part of the peak lr.
const GROUP: f64 = 1.0 / 64.0;
/// The lowest lr of a change, as a part of the peak.
const LOWEST: f64 = 1e-6;

impl Lrs {
    /// Reduces the lrs of a run to what the laws need after each number of updates in `at`, which is in rising order and may have
    /// fractions.
    pub fn new(lrs: impl Iterator<Item = f64> + Clone, at: &[f64]) -> Self {
        let peak = lrs.clone().fold(0.0, f64::max);
        let mut points = Vec::with_capacity(at.len());
        let mut wanted = at.iter().copied().peekable();
        let mut groups = Groups { limit: GROUP * peak, lowest: LOWEST * peak, ..Groups::default() };
        let mut now = Point { step: 0.0, sum: 0.0 };
        let mut before = None;
        for lr in lrs {
            groups.add(now, before.unwrap_or(lr), lr);
            before = Some(lr);
            while let Some(step) = wanted.next_if(|step| *step <= now.step + 1.0) {
                points.push(Point { step, sum: now.sum + lr * (step - now.step).max(0.0) });
            }
            now = Point { step: now.step + 1.0, sum: now.sum + lr };
        }
        points.extend(wanted.map(|_| now));
        groups.close();
        Self { steps: now.step as u64, peak, total: now.sum, points, changes: groups.closed }
    }

    /// The same, with the point of the final loss as the last one. It may be before others.
    pub(crate) fn ending(lrs: impl Iterator<Item = f64> + Clone, at: &[f64], end: f64) -> Self {
        let place = at.partition_point(|step| *step <= end);
        let mut all = at.to_vec();
        all.insert(place, end);
        let mut reduced = Self::new(lrs, &all);
        if let Some(before) = reduced.points.get_mut(place..) {
            before.rotate_left(1);
        }
        reduced
    }

    /// Whether the lr falls by at least a tenth of its peak.
    pub(crate) fn falls(&self) -> bool {
        let drops: f64 = self.changes.iter().map(|change| change.drop.max(0.0)).sum();
        drops >= 0.1 * self.peak
    }
}

/// Collects changes into groups.
#[derive(Debug, Default)]
struct Groups {
    limit: f64,
    lowest: f64,
    /// Whether the lr has fallen yet: the rise before belongs to the warmup.
    has_fallen: bool,
    /// Sizes of the changes in the open group, and sums weighted by size.
    size: f64,
    open: Option<Change>,
    closed: Vec<Change>,
}

impl Groups {
    fn add(&mut self, at: Point, before: f64, lr: f64) {
        let drop = before - lr;
        self.has_fallen |= drop > 0.0;
        if drop == 0.0 || !self.has_fallen {
            return;
        }
        // A group does not contain changes in both directions.
        if self.open.is_some_and(|open| open.drop * drop < 0.0) {
            self.close();
        }
        let size = drop.abs();
        let lr = lr.max(self.lowest);
        let old = self.open.unwrap_or(Change { at, drop: 0.0, lr });
        let mean = |old: f64, new: f64| (old * self.size + new * size) / (self.size + size);
        let at = Point { step: mean(old.at.step, at.step), sum: mean(old.at.sum, at.sum) };
        self.open = Some(Change { at, drop: old.drop + drop, lr: mean(old.lr, lr) });
        self.size += size;
        if self.size >= self.limit {
            self.close();
        }
    }

    fn close(&mut self) {
        self.closed.extend(self.open.take());
        self.size = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warmup_does_not_count_and_a_step_is_one() {
        let lrs = [0.1, 0.2, 0.3, 0.3, 0.1, 0.1];
        let lrs = Lrs::new(lrs.into_iter(), &[1.0, 2.5, 6.0]);
        assert_eq!((lrs.steps, lrs.peak), (6, 0.3));
        let sums: Vec<f64> = lrs.points.iter().map(|point| (point.sum * 1e9).round() / 1e9).collect();
        assert_eq!(sums, [0.1, 0.45, 1.1]);
        let [change] = lrs.changes.as_slice() else { panic!("one change: {:?}", lrs.changes) };
        assert_eq!((change.at.step, change.lr), (4.0, 0.1));
        assert!((change.drop - 0.2).abs() < 1e-12 && (change.at.sum - 0.9).abs() < 1e-12);
        assert!(lrs.falls());
    }

    #[test]
    fn a_long_decay_has_few_changes_that_add_up() {
        let lrs = (0..10_000).map(|t| 1.0 - f64::from(t) / 10_000.0);
        let lrs = Lrs::new(lrs, &[]);
        assert!((40..=70).contains(&lrs.changes.len()), "{}", lrs.changes.len());
        let drops: f64 = lrs.changes.iter().map(|change| change.drop).sum();
        assert!((drops - 0.9999).abs() < 1e-9);
    }

    #[test]
    fn the_point_of_the_final_loss_is_the_last_one() {
        let lrs = [0.5, 0.25, 0.25, 0.125];
        for (end, sum) in [(0.5, 0.25), (2.0, 0.75), (3.5, 1.0625), (4.0, 1.125)] {
            let reduced = Lrs::ending(lrs.into_iter(), &[1.0, 2.0, 4.0], end);
            let points: Vec<(f64, f64)> =
                reduced.points.iter().map(|point| (point.step, point.sum)).collect();
            assert_eq!(points, [(1.0, 0.5), (2.0, 0.75), (4.0, 1.125), (end, sum)]);
        }
    }

    #[test]
    fn falls_and_rises_are_separate() {
        let lrs = (0..300).map(|t| if t % 100 < 50 { 1.0 } else { 0.5 });
        let lrs = Lrs::new(lrs, &[]);
        let drops: Vec<f64> = lrs.changes.iter().map(|change| change.drop).collect();
        assert_eq!(drops, [0.5, -0.5, 0.5, -0.5, 0.5]);
    }
}
