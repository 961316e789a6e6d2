//! A schedule with multiplicative noise.

use super::torch_random::Generator;
use super::{Combinator, Form, Group};
use crate::catalogue::{ABOVE_0, Ends, Param, ParamType, optional, param};
use crate::fields::Fields;
use crate::formula::{Term, TermPosition};
use crate::length::Length;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "noise",
    aliases: &["lr_noise", "noise_range_t"],
    summary: "a schedule times 1 + noise, the same in every run",
    formula: "lr = of * (1 + n_t), where n_t is std * n for the first normal number n of torch's generator, seeded \
              with seed + t, for which std |n| < pct; n_t = 0 at t = 0 and outside `range`",
    symbols: &[
        ("n_t", "the noise of step t"),
        ("n", "a normal number in double precision; rounded to single precision with `single`"),
        ("of", "the lr of the schedule inside"),
    ],
    ends: Ends {
        before: "no noise at t = 0",
        at: "same as at any other step",
        after: "continues, unless `range` ends it",
    },
    source: "timm; the same numbers with `single`, or where torch's default type is double",
    example: "{noise: {std: 0.1, range: [\"20%\", \"80%\"]}, of: {kind: cosine, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[Group {
        key: "noise",
        doc: "the noise; `{}` for the defaults",
        params: NOISE,
        shaped: false,
        least: 0,
    }],
    params: &[],
    read: |reader| {
        let of = reader.node("of");
        let field = reader.fields.required("noise", reader.problems)?;
        let fields = Fields::new(field.tree, &field.path, reader.problems)?;
        let mut noise = Reader::new(fields, NOISE, reader.problems, reader.reading);
        let (std, pct, seed) = (noise.number("std"), noise.number("pct"), noise.whole("seed"));
        let single = noise.flag("single");
        let range = noise.maybe_lengths("range");
        if let Some(Some(bounds)) = &range
            && bounds.len() > 2
        {
            noise.problem("range", "expected [from] or [from, to]");
        }
        if let (Some(std), Some(pct)) = (std, pct)
            && pct < MIN_PCT * std
        {
            let message = format!("`pct` ({pct}) is too small for the standard deviation `std` ({std})");
            noise.problem("pct", format!("{message}: expected at least {MIN_PCT} * `std`"));
        }
        noise.finish();
        let mut bounds = range?.unwrap_or_default().into_iter();
        let (from, to) = (bounds.next(), bounds.next());
        Some(Box::new(Noise { of: of?, std: std?, pct: pct?, seed: seed?, single: single?, from, to }))
    },
};

/// The keys of `noise`.
const NOISE: &[Param] = &[
    param("std", ParamType::Number(ABOVE_0), "1", "standard deviation of n before truncation"),
    param("pct", ParamType::Number(ABOVE_0), "0.67", "bound on |n|"),
    optional("range", ParamType::Lengths, "the steps with noise: `[from, to]` (`to` excluded) or `[from]`"),
    param("seed", ParamType::Whole(0), "42", "seed of the noise"),
    param("single", ParamType::Flag, "false", "round n to single precision, torch's default type"),
];

#[derive(Debug)]
struct Noise {
    of: ScheduleNode,
    std: f64,
    pct: f64,
    seed: u64,
    single: bool,
    from: Option<Length>,
    to: Option<Length>,
}

/// The smallest allowed `pct`, as a fraction of `std`: with less, rejection sampling would take hours.
const MIN_PCT: f64 = 1e-3;

impl Noise {
    /// The noise at a position.
    fn at(&self, at: &Position) -> f64 {
        // With `clock: epoch` all steps of an epoch have the same noise. A cycle may begin between two ticks.
        let t = (at.begin / at.tick + at.s + 1e-6).floor();
        let within = self.from.as_ref().is_none_or(|from| at.s >= from.ticks(at))
            && self.to.as_ref().is_none_or(|to| at.s < to.ticks(at));
        if t < 1.0 || !within { 0.0 } else { self.draw(t as u64) }
    }

    /// The first normal number within the bound, as in timm.
    fn draw(&self, t: u64) -> f64 {
        let mut generator = Generator::new(self.seed.wrapping_add(t));
        let round = |n: f64| if self.single { f64::from(n as f32) } else { n };
        let mut draws = std::iter::repeat_with(|| round(generator.normal()) * self.std);
        draws.find(|n| n.abs() < self.pct).unwrap_or(0.0)
    }
}

impl Branch for Noise {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        let n = if memories.noise.is_empty() {
            self.at(at)
        } else {
            let step = (at.begin + at.step + 1e-6).floor();
            memories.noise.get(step as usize).copied().unwrap_or(0.0)
        };
        self.of.lr(at, memories) * (1.0 + n)
    }

    fn has_formula(&self) -> bool {
        false
    }

    fn formula(&self, _at: &TermPosition) -> Option<Term> {
        None
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let from = self.from.as_ref().and_then(|from| from.check(at, 0.0, problems));
        let to = self.to.as_ref().and_then(|to| to.check(at, 0.0, problems).map(|ticks| (to, ticks)));
        if let (Some(from), Some((length, to))) = (from, to)
            && from >= to
        {
            problems.push(length.problem(format!("the noise range [{from}, {to}] is empty")));
        }
    }
}
