//! A schedule as a row of simple ones, each from a step of its own, for libraries that join schedules.

use schedule::known::{Known, KnownRamp, Way};

/// One simple schedule and when it is at work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    /// Its first step.
    pub(crate) start: f64,
    /// One past its last step; the end of the run at most.
    pub(crate) end: f64,
    /// What it is, by its own clock; neither a warmup, a cooldown nor phases.
    pub(crate) known: Known,
}

impl Segment {
    /// Steps that it is at work.
    pub(crate) fn steps(&self) -> f64 {
        self.end - self.start
    }
}

/// The row, if every part of it is known and begins at a whole step.
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
                // The last one goes on for ever.
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

/// Whether the formula of a ramp is all there is to it while it is at work: its end is not seen, or held as
/// a library holds it.
pub(crate) fn covers_all_steps(ramp: &KnownRamp, active: f64) -> bool {
    ramp.over >= active
}

/// Whether it is half a cosine wave, seen once at most.
pub(crate) fn half_wave(ramp: &KnownRamp) -> bool {
    ramp.way == Way::Cosine { cycles: 0.5, exponent: 1.0 } && !ramp.ahead
}

/// Whether `t / every`, rounded down, is right in single and double precision for a compiler that multiplies
/// by 1 / every instead.
pub(crate) fn rounds_down(every: f64, active: f64) -> bool {
    let stretches = (active / every).floor().min(1e6) as u32;
    let short = every as f32;
    (1..=stretches).all(|i| {
        let (wide, narrow) = (f64::from(i), i as f32);
        (wide * every * (1.0 / every)).floor() == wide && (narrow * short * (1.0 / short)).floor() == narrow
    })
}

/// Whether two rates are the same but for rounding.
pub(crate) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-14 * b.abs()
}
