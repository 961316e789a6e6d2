//! Shapes of schedules as points of a space: the log lr at each knot, and the positions of free knots. Between knots the log lr is linear.

/// The lowest lr of a shape, relative to its highest: shapes have no 0, whose logarithm is infinite.
const FLOOR: f64 = 0.001;

/// Positions of a free second knot: the end of a warmup.
const WARMUP: (f64, f64) = (0.01, 0.25);

/// Positions of a free last but one knot: the start of a cooldown.
const COOLDOWN: (f64, f64) = (0.5, 0.97);

/// Number of digits of lrs and positions, so that a shape can be written and read again without a difference.
const DIGITS: usize = 4;

/// A knot whose position is searched too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Free {
    /// The second knot, where a warmup ends.
    Warmup,
    /// The last but one, where a cooldown starts.
    Cooldown,
}

/// The knots of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Knots {
    /// Number of knots, at least 2: the first is at step 0, the last one step after the last update. Free ones need at least 3, both 4.
    pub count: usize,
    /// The free ones, each once.
    pub free: Vec<Free>,
}

/// A shape, ready to be written as a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its highest lr.
    pub base_lr: f64,
    /// The knots: position from 0 to 1, and lr relative to the highest.
    pub points: Vec<(f64, f64)>,
}

impl Knots {
    /// Number of coordinates.
    pub fn dimensions(&self) -> usize {
        self.count + self.free.len()
    }

    /// The smallest possible distance between two knots, as a fraction of the run.
    pub fn smallest_gap(&self) -> f64 {
        let mut gap = f64::INFINITY;
        let ends = [0.0, 1.0];
        for warmup in ends {
            for cooldown in ends {
                let at = self.positions(|free| match free {
                    Free::Warmup => between(WARMUP, warmup),
                    Free::Cooldown => between(COOLDOWN, cooldown),
                });
                gap = at.iter().zip(at.iter().skip(1)).map(|(a, b)| b - a).fold(gap, f64::min);
            }
        }
        gap
    }

    /// Positions of the knots. Those that are not free are at equal distances.
    fn positions(&self, free: impl Fn(Free) -> f64) -> Vec<f64> {
        let last = self.count.saturating_sub(1);
        let has = |knot: Free| self.free.contains(&knot);
        let (first, start) = if has(Free::Warmup) { (1, free(Free::Warmup)) } else { (0, 0.0) };
        let (end, stop) =
            if has(Free::Cooldown) { (last.saturating_sub(1), free(Free::Cooldown)) } else { (last, 1.0) };
        let at = |i: usize| match i {
            0 => 0.0,
            i if i == last => 1.0,
            i => start + (stop - start) * (i as f64 - first as f64) / (end as f64 - first as f64),
        };
        (0..self.count).map(at).collect()
    }

    fn positions_of(&self, point: &[f64]) -> Vec<f64> {
        self.positions(|free| {
            let index = self.free.iter().position(|known| *known == free).unwrap_or(0);
            let x = point.get(self.count + index).copied().unwrap_or(0.0);
            let range = if free == Free::Warmup { WARMUP } else { COOLDOWN };
            between(range, 1.0 / (1.0 + libm::exp(-x)))
        })
    }

    /// The point of a schedule, given its lr by position from 0 to 1. Free knots are in the middle of their range.
    pub fn point_of(&self, lr: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut point = vec![0.0; self.dimensions()];
        let positions = self.positions_of(&point);
        for (x, at) in point.iter_mut().zip(positions) {
            *x = libm::log(lr(at).max(f64::MIN_POSITIVE));
        }
        self.repaired(point)
    }

    /// The nearest point that is a shape: no lr is below the lowest, and all coordinates are moderate.
    pub fn repaired(&self, mut point: Vec<f64>) -> Vec<f64> {
        let highest =
            point.iter().take(self.count).copied().fold(f64::NEG_INFINITY, f64::max).clamp(-60.0, 60.0);
        let least = highest + libm::log(FLOOR);
        for (i, x) in point.iter_mut().enumerate() {
            let (low, high) = if i < self.count { (least, highest) } else { (-6.0, 6.0) };
            *x = if x.is_nan() { low } else { x.clamp(low, high) };
        }
        point
    }

    /// The shape of a point, with rounded numbers.
    pub fn proposal(&self, point: &[f64]) -> Proposal {
        let point = self.repaired(point.to_vec());
        let highest = point.iter().take(self.count).copied().fold(f64::NEG_INFINITY, f64::max);
        let positions = self.positions_of(&point);
        let points = positions.into_iter().zip(&point);
        let points = points.map(|(at, x)| (at_percent(at), rounded(libm::exp(x - highest)))).collect();
        Proposal { base_lr: rounded(libm::exp(highest)), points }
    }
}

fn between((low, high): (f64, f64), share: f64) -> f64 {
    low + (high - low) * share
}

/// A position rounded to a hundredth of a percent.
fn at_percent(at: f64) -> f64 {
    (at * 10_000.0).round() / 10_000.0
}

fn rounded(x: f64) -> f64 {
    format!("{x:.*e}", DIGITS - 1).parse().unwrap_or(x)
}
