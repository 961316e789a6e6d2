//! A schedule with noise on it.

use std::f64::consts::TAU;

use super::{Combinator, Form, Group};
use crate::catalogue::{ABOVE_0, Holds, Param, optional, param};
use crate::fields::Fields;
use crate::length::Length;
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::At;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "noise",
    summary: "a schedule times 1 + n_t: at each step n is drawn anew from a normal distribution, until |n| < pct; by the \
              step and `seed` alone, so that it is the same in every run. None at step 0 (timm; its numbers are torch's)",
    example: "{noise: {std: 0.1, range: [\"20%\", \"80%\"]}, of: {kind: cosine, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[Group {
        key: "noise",
        doc: "the noise, `{}` for the defaults",
        params: NOISE,
        shaped: false,
        least: 0,
    }],
    params: &[],
    read: |reader| {
        let of = reader.node("of");
        let field = reader.fields.required("noise", reader.problems)?;
        let fields = Fields::new(field.tree, &field.path, reader.problems)?;
        let mut noise = Reader::new(fields, NOISE, reader.problems, reader.rules);
        let (std, pct, seed) = (noise.number("std"), noise.number("pct"), noise.whole("seed"));
        let range = noise.maybe_lengths("range");
        if let Some(Some(bounds)) = &range
            && bounds.len() > 2
        {
            noise.problem("range", "expected [from], or [from, to]");
        }
        noise.finish();
        let mut bounds = range?.unwrap_or_default().into_iter();
        let (from, to) = (bounds.next(), bounds.next());
        Some(Box::new(Noise { of: of?, std: std?, pct: pct?, seed: seed?, from, to }))
    },
};

/// The keys of `noise`.
const NOISE: &[Param] = &[
    param("std", Holds::Number(ABOVE_0), "1", "standard deviation of n before it is cut"),
    param("pct", Holds::Number(ABOVE_0), "0.67", "bound on |n|"),
    optional("range", Holds::Lengths, "`[from, to]`: where there is noise, without `to` itself; or `[from]`"),
    param("seed", Holds::Whole(0), "42", "another number gives other noise"),
];

#[derive(Debug)]
struct Noise {
    of: Part,
    std: f64,
    pct: f64,
    seed: u64,
    from: Option<Length>,
    to: Option<Length>,
}

/// Draws after which there is no noise rather than another draw: it takes 2^-32 luck to get there.
const MOST_DRAWS: u64 = 32;

impl Noise {
    /// n at a position.
    fn at(&self, at: &At) -> f64 {
        // The same for all steps of an epoch under `clock: epoch`; a cycle may begin between two ticks.
        let t = (at.begin / at.tick + at.s + 1e-6).floor();
        let within = self.from.as_ref().is_none_or(|from| at.s >= from.ticks(at))
            && self.to.as_ref().is_none_or(|to| at.s < to.ticks(at));
        if t < 1.0 || !within { 0.0 } else { self.draw(t as u64) }
    }

    /// A normal number within the bound. Where the bound is narrow most of them would be outside: there
    /// numbers within it are drawn, and kept by their density.
    fn draw(&self, t: u64) -> f64 {
        for i in 0..MOST_DRAWS {
            let key = mix(mix(mix(self.seed) ^ t) ^ i);
            let (u, v) = (unit(mix(key ^ 1)), unit(mix(key ^ 2)));
            let (n, keep) = if self.pct < self.std {
                let n = self.pct * (2.0 * u - 1.0);
                let x = n / self.std;
                (n, v < libm::exp(-0.5 * x * x))
            } else {
                // Box and Muller; u is never 0.
                let n = self.std * (-2.0 * libm::log(u)).sqrt() * libm::cos(TAU * v);
                (n, n.abs() < self.pct)
            };
            if keep {
                return n;
            }
        }
        0.0
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number above 0 and below 1.
fn unit(x: u64) -> f64 {
    ((x >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

impl Branch for Noise {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        let n = if memories.noise.is_empty() {
            self.at(at)
        } else {
            let step = (at.begin + at.step + 1e-6).floor();
            memories.noise.get(step as usize).copied().unwrap_or(0.0)
        };
        self.of.lr(at, memories) * (1.0 + n)
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, *at);
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, *at);
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        let from = self.from.as_ref().and_then(|from| from.check(at, 0.0, problems));
        let to = self.to.as_ref().and_then(|to| to.check(at, 0.0, problems).map(|ticks| (to, ticks)));
        if let (Some(from), Some((length, to))) = (from, to)
            && from >= to
        {
            problems.push(length.problem(format!("noise from {from} to {to} is none at all")));
        }
    }
}
