//! Warmup, body and cooldown in the forms that other libraries have.

use super::{Cooldown, Spans, Warmup, WarmupMode, Way, Wrap};
use crate::known::{Known, KnownRamp, Way as KnownWay};
use crate::node::Memories;
use crate::ramp::Sample;
use crate::segment::Position;

impl Wrap {
    /// Its form in a segment that begins at `at`.
    pub(super) fn known_form(&self, at: &Position) -> Known {
        let spans = self.spans(at);
        let body = self.body.known(&Position { len: spans.body.1, ..*at });
        let body = match &self.warmup {
            Some(warmup) if spans.warm > 0.0 => match warmup.known(at.base, spans.warm) {
                Some(ramp) => Known::Warmup { ramp, body: Box::new(body) },
                None => return Known::Other,
            },
            _ => body,
        };
        match &self.cooldown {
            Some(cooldown) if spans.cool < at.len => {
                let from = self.body_lr(at, spans.cool, &spans, &Memories::default());
                match cooldown.known(from, at, &spans) {
                    Some(ramp) => Known::Cooldown { body: Box::new(body), start: spans.cool, ramp },
                    None => Known::Other,
                }
            }
            _ => body,
        }
    }
}

impl Warmup {
    /// The warmup of `over` steps, if other libraries have it.
    fn known(&self, base: f64, over: f64) -> Option<KnownRamp> {
        let way = match self.way {
            Way::Linear => KnownWay::Linear,
            Way::Cosine => KnownWay::Cosine { cycles: 0.5, exponent: 1.0 },
            Way::OneMinusSqrt => KnownWay::OneMinusSqrtUp,
            _ => return None,
        };
        let ahead = match self.sample {
            Sample::Left => false,
            Sample::Right => true,
            _ => return None,
        };
        let (from, to) = (self.from.of(base), self.target?.of(base));
        (self.mode == WarmupMode::Prefix).then_some(KnownRamp { way, from, to, over, ahead, holds: true })
    }
}

impl Cooldown {
    fn known(&self, from: f64, at: &Position, spans: &Spans) -> Option<KnownRamp> {
        let way = self.shape.way()?;
        let ahead = match self.sample {
            Sample::Left => false,
            Sample::Right => true,
            _ => return None,
        };
        let (to, over) = (self.to.of(at.base), at.len - spans.cool);
        (!self.multiply && self.k == 1.0).then_some(KnownRamp { way, from, to, over, ahead, holds: true })
    }
}
