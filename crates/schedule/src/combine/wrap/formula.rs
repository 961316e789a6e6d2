//! Warmup, body and cooldown as a formula.

use super::{Cooldown, Warmup, WarmupMode, Way, Wrap};
use crate::formula::{Term, TermPosition};
use crate::lr_value::LrValue;
use crate::ramp::{Progress, finished};

/// [`Spans`], as terms.
struct SpansFormula {
    warm: Term,
    cool: Term,
    body: (Term, Term),
    to_the_end: bool,
}

impl SpansFormula {
    fn body_at(&self, at: &TermPosition) -> TermPosition {
        let body = at.subsegment(self.body.0.clone(), self.body.1.clone());
        // Without a cooldown the body ends with the segment.
        TermPosition { inside: at.inside && self.to_the_end, ..body }
    }
}

impl Wrap {
    /// The lr as a term; `None` if it depends on more than t.
    pub(super) fn whole_formula(&self, at: &TermPosition) -> Option<Term> {
        let spans = self.spans_formula(at);
        let (warm, cool) = (spans.warm.clone(), spans.cool.clone());
        let start = if self.warmup.is_some() { warm.clone() } else { 0.0.into() };
        // A cooldown of length 0 never starts, not even beyond the end.
        let cools = cool.clone().less(at.len.clone());
        let ends = cools.number() == Some(1.0);
        let end = if ends { cool.clone() } else { f64::INFINITY.into() };
        let body = self.body.formula(&spans.body_at(&at.between(&start, &end)))?;
        let body = match &self.cooldown {
            Some(cooldown) => {
                let here = at.between(&cool, &f64::INFINITY.into());
                let down = self.cooldown_formula(cooldown, &here, &spans)?;
                let cooling = at.s.clone().reaches(cool.clone());
                Term::choose(cools, Term::choose(cooling, down, body.clone()), body)
            }
            None => body,
        };
        Some(match &self.warmup {
            Some(warmup) => {
                let here = at.between(&0.0.into(), &warm);
                let up = self.warmup_formula(warmup, &here, &spans)?;
                Term::choose(at.s.clone().less(warm), up, body)
            }
            None => body,
        })
    }

    fn spans_formula(&self, at: &TermPosition) -> SpansFormula {
        let zero = || Term::from(0.0);
        let warm = self.warmup.as_ref().map_or(zero(), |warmup| warmup.over.formula(at));
        let warm = warm.at_most(at.len.clone()).named("warm");
        let down = self.cooldown.as_ref().map_or(zero(), |cooldown| cooldown.over.formula(at));
        let down = down.at_most(at.len.clone() - warm.clone());
        let begin = match &self.warmup {
            Some(Warmup { mode: WarmupMode::Prefix, .. }) => warm.clone(),
            _ => zero(),
        };
        let kept = match &self.cooldown {
            Some(cooldown) if !cooldown.multiply => down.clone(),
            _ => zero(),
        };
        let to_the_end = kept.number() == Some(0.0);
        let body = (begin.clone(), at.len.clone() - begin - kept);
        SpansFormula { warm, cool: (at.len.clone() - down).named("cool"), body, to_the_end }
    }

    fn warmup_formula(&self, warmup: &Warmup, at: &TermPosition, spans: &SpansFormula) -> Option<Term> {
        let (s, n) = (at.s.clone(), spans.warm.clone());
        if warmup.mode == WarmupMode::Multiply {
            let body = self.body.formula(&spans.body_at(at))?;
            let ends = (warmup.from, warmup.target.unwrap_or(LrValue::Multiple(1.0)));
            return Some(scaled(ends, &body, &at.base, |from, to| warmup.formula(s, n, from, to)));
        }
        let from = warmup.from.formula(&at.base);
        let target = match warmup.target {
            Some(target) => target.formula(&at.base),
            None => self.body.formula(&spans.body_at(&at.at(n.clone())))?,
        };
        Some(warmup.formula(s, n, from, target))
    }

    fn cooldown_formula(&self, cooldown: &Cooldown, at: &TermPosition, spans: &SpansFormula) -> Option<Term> {
        let n = at.len.clone() - spans.cool.clone();
        // The same subtraction as for other parts of the segment, so that rounding is the same.
        let s = at.subsegment(spans.cool.clone(), n.clone()).s;
        let value = |p: Progress, from: &Term, to: &Term| {
            cooldown.shape.formula(&p.bent(cooldown.k), from.clone(), to.clone())
        };
        let way = |from: Term, to: Term| {
            let falling = value(cooldown.sample.formula(s.clone(), n.clone()), &from, &to);
            Term::choose(at.s.clone().reaches(at.len.clone()), value(finished(), &from, &to), falling)
        };
        let lr = if cooldown.multiply {
            let body = self.body.formula(&spans.body_at(at))?;
            scaled((LrValue::Multiple(1.0), cooldown.to), &body, &at.base, way)
        } else {
            let anchor = self.body.formula(&spans.body_at(&at.at(spans.cool.clone())))?;
            way(anchor, cooldown.to.formula(&at.base))
        };
        Some(lr.at_least(0.0))
    }
}

/// [`super::scaled`], as a term.
fn scaled(
    (from, to): (LrValue, LrValue),
    body: &Term,
    base: &Term,
    way: impl FnOnce(Term, Term) -> Term,
) -> Term {
    if from.is_factor() && to.is_factor() {
        let factor = |end: LrValue| end.formula(base) / base.clone();
        return body.clone() * way(factor(from), factor(to));
    }
    way(from.formula(body), to.formula(body))
}

impl Warmup {
    /// [`Warmup::lr`], as a term.
    fn formula(&self, s: Term, n: Term, from: Term, target: Term) -> Term {
        let Progress { p, left } = self.sample.capped(s.clone(), n.clone());
        let way = match self.way {
            Way::Linear => p,
            Way::Cosine => return target.towards(from, p.wave()),
            Way::OneMinusSqrt => Term::from(1.0) - left.sqrt(),
            Way::Exponential => return from.clone() * (target / from).power(p),
            Way::Constant => return from,
            Way::Log => {
                let log = (s + 1.0).log() / n.clone().log();
                Term::choose(n.up_to(1.0), 1.0.into(), log)
            }
            Way::Power(power) => p.power(power),
        };
        from.towards(target, way)
    }
}
