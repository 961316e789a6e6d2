//! Splits a schedule into simple segments, for libraries that join schedules.

use schedule::known::{Known, KnownRamp, Way};

/// One simple schedule and the steps at which it is active.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    /// Its first step.
    pub(crate) start: f64,
    /// One past its last step; the end of the run at most.
    pub(crate) end: f64,
    /// Its form, on its own clock; not a warmup, a cooldown or phases.
    pub(crate) known: Known,
}

impl Segment {
    /// The number of steps at which it is active.
    pub(crate) fn steps(&self) -> f64 {
        self.end - self.start
    }
}

/// The segments, if all are known forms and begin at whole steps.
pub(crate) fn segments(known: &Known, steps: f64) -> Option<Vec<Segment>> {
    let mut row = Vec::new();
    split(known, 0.0, steps, &mut row)?;
    let whole = |x: f64| x.fract() == 0.0;
    (row.iter().all(|segment| whole(segment.start) && whole(segment.end)) && !row.is_empty()).then_some(row)
}

fn split(known: &Known, start: f64, end: f64, row: &mut Vec<Segment>) -> Option<()> {
    if start >= end {
        return Some(());
    }
    match known {
        Known::Other => None,
        Known::Warmup { ramp, body } => {
            split(&Known::Ramp(ramp.clone()), start, end.min(start + ramp.over), row)?;
            split(body, start + ramp.over, end, row)
        }
        Known::Cooldown { body, start: from, ramp } => {
            split(body, start, end.min(start + from), row)?;
            split(&Known::Ramp(ramp.clone()), start + from, end, row)
        }
        Known::Phases(phases) => {
            let mut begin = start;
            for (i, (until, known)) in phases.iter().enumerate() {
                // The last phase has no end.
                let until = if i + 1 == phases.len() { end } else { end.min(start + until) };
                split(known, begin, until, row)?;
                begin = until;
            }
            Some(())
        }
        simple => {
            row.push(Segment { start, end, known: simple.clone() });
            Some(())
        }
    }
}

/// Whether a ramp lasts for all active steps, so that its behaviour after the end does not matter.
pub(crate) fn covers_all_steps(ramp: &KnownRamp, active: f64) -> bool {
    ramp.over >= active
}

/// Whether it is half a cosine wave.
pub(crate) fn half_wave(ramp: &KnownRamp) -> bool {
    ramp.way == Way::Cosine { cycles: 0.5, exponent: 1.0 } && !ramp.ahead
}

/// Whether `t / every`, rounded down, is exact in single and double precision if a compiler multiplies by 1 /
/// every instead.
pub(crate) fn rounds_down(every: f64, active: f64) -> bool {
    let stretches = (active / every).floor().min(1e6) as u32;
    let short = every as f32;
    (1..=stretches).all(|i| {
        let (wide, narrow) = (f64::from(i), i as f32);
        (wide * every * (1.0 / every)).floor() == wide && (narrow * short * (1.0 / short)).floor() == narrow
    })
}

/// Whether two lrs are equal except for rounding.
pub(crate) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-14 * b.abs()
}
