//! The table of schedule kinds and the description of each. The parser, the JSON Schema, the help texts, the
//! docs and the shared tests are generated from it: a new kind is one file and one line here.

use crate::leaf::{self, Leaf};
use crate::ramp::{self, Shape};
use crate::reader::Reader;
use crate::rule::{self, Rule};

pub use crate::rule::{EVERY, WATCH, WATCH_LOSS};

/// Parameters of `plateau` that other libraries have under the same names.
pub mod plateau {
    pub use crate::rule::plateau::{COOLDOWN, EPS, FACTOR, PATIENCE, THRESHOLD, THRESHOLD_MODE};
}

/// Parameters of `greedy` that transformers has under the same names.
pub mod greedy {
    pub use crate::rule::greedy::{COOLDOWN, EPS, FACTOR, PATIENCE, THRESHOLD, THRESHOLD_MODE, WARMUP};
}

/// One kind of schedule.
#[derive(Debug)]
pub struct Entry {
    /// Its name in `kind:`.
    pub kind: &'static str,
    /// Its names in other libraries, for hints.
    pub aliases: &'static [&'static str],
    /// One line: what it does.
    pub summary: &'static str,
    /// lr(s), or for a rule the condition on which the lr changes.
    pub formula: &'static str,
    /// Symbols of the formula and their meaning, except parameters and [`SYMBOLS`].
    pub symbols: &'static [(&'static str, &'static str)],
    /// Its lr at the start, at the end and after the end.
    pub ends: Ends,
    /// The paper or library that defines it.
    pub source: &'static str,
    /// An example that parses, as a user would write it.
    pub example: &'static str,
    /// Its own parameters; [`Entry::all_params`] also lists the parameters shared by all ramps.
    pub params: &'static [Param],
    pub(crate) build: Build,
}

/// The lr of a schedule at the start, at the end and after the end of its segment (the part of the run that
/// it covers).
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// At its first step and up to the end.
    pub before: &'static str,
    /// At the last step, S - 1.
    pub at: &'static str,
    /// From step S on.
    pub after: &'static str,
}

/// Symbols that all formulas share, with their meaning.
pub const SYMBOLS: &[(&str, &str)] = &[
    ("t", "index of the update in the run, from 0"),
    (
        "s",
        "index of the update in the schedule's segment (the part of the run that it covers), from 0; in epochs with \
         `clock: epoch`",
    ),
    ("S", "length of the segment"),
    (
        "p",
        "progress through the ramp of N steps, from 0 at its start to 1 at its end, raised to the power `k`; `sample` \
         sets the progress of each step",
    ),
    ("base", "the base lr, `1x`"),
];

/// How a schedule is built from an entry.
#[derive(Debug)]
pub(crate) enum Build {
    /// A curve from one lr to another; also a `shape` of a cooldown.
    Ramp(fn(&mut Reader<'_, '_>) -> Option<Box<dyn Shape>>),
    /// A function of the clock.
    Leaf(fn(&mut Reader<'_, '_>) -> Option<Box<dyn Leaf>>),
    /// A rule that watches training.
    Rule(fn(&mut Reader<'_, '_>) -> Option<Box<dyn Rule>>),
}

/// One parameter of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// The type of its value.
    pub ty: ParamType,
    /// Its value when the key is missing.
    pub default: Default,
    /// One line: what it does. Units are in the type.
    pub doc: &'static str,
}

/// The value of a parameter that the file does not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The file must set it.
    Required,
    /// This YAML scalar.
    Is(&'static str),
    /// No value: the feature is off, or the value follows from other parameters (see `doc`).
    Absent,
}

/// The types of parameters.
#[derive(Debug, Clone, Copy)]
pub enum ParamType {
    /// A learning rate of at least 0, absolute or a multiple of the base lr.
    Lr,
    /// A learning rate above 0.
    PositiveLr,
    /// A learning rate of at least 0, or this word.
    LrOr(&'static str),
    /// A length of at least N ticks.
    Length(u64),
    /// A number within a range.
    Number(Range),
    /// A whole number of at least N.
    Whole(u64),
    /// A whole number, positive or negative.
    Integer,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these metrics, or one that the program reports.
    Metric(&'static [&'static str]),
    /// A list of lengths.
    Lengths,
    /// A list of numbers above 0.
    Factors,
    /// A list of learning rates.
    Lrs,
    /// A list of `[length, learning rate]` pairs.
    Points,
    /// A number or an expression over the names in the formula.
    Expression,
    /// `{min, max}`, two numbers of at least 0 and below 1.
    Momentum,
}

impl std::fmt::Display for ParamType {
    /// The type in words, with names in backquotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ParamType::Lr => f.write_str("a learning rate"),
            ParamType::PositiveLr => f.write_str("a learning rate above 0"),
            ParamType::LrOr(word) => write!(f, "a learning rate, or `{word}`"),
            ParamType::Length(least) => write!(f, "a length of at least {least}"),
            ParamType::Number(range) => f.write_str(range.words),
            ParamType::Whole(least) => write!(f, "a whole number of at least {least}"),
            ParamType::Integer => f.write_str("a whole number"),
            ParamType::Expression => f.write_str("an expression"),
            ParamType::Flag => f.write_str("`true` or `false`"),
            ParamType::Choice(words) => {
                f.write_str(&words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
            }
            ParamType::Metric(names) => {
                write!(f, "{}, or a metric that the program reports", ParamType::Choice(names))
            }
            ParamType::Lengths => f.write_str("a list of lengths"),
            ParamType::Factors => f.write_str("a list of numbers above 0"),
            ParamType::Lrs => f.write_str("a list of learning rates"),
            ParamType::Points => f.write_str("a list of `[length, learning rate]`"),
            ParamType::Momentum => f.write_str("`{min, max}`"),
        }
    }
}

/// A range of numbers.
#[derive(Clone, Copy)]
pub struct Range {
    /// In words, as in "a number above 0".
    pub words: &'static str,
    /// As JSON Schema keywords.
    pub schema: &'static str,
    /// Whether it contains a number.
    pub accepts: fn(f64) -> bool,
}

impl Range {
    /// Whether the range contains a number.
    pub fn contains(&self, x: f64) -> bool {
        (self.accepts)(x)
    }
}

impl std::fmt::Debug for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words)
    }
}

/// Any number.
pub const ANY: Range = Range { words: "a number", schema: "{}", accepts: |_| true };
/// 0 or more.
pub const AT_LEAST_0: Range =
    Range { words: "a number of at least 0", schema: r#"{"minimum": 0}"#, accepts: |x| x >= 0.0 };
/// Above 0.
pub const ABOVE_0: Range =
    Range { words: "a number above 0", schema: r#"{"exclusiveMinimum": 0}"#, accepts: |x| x > 0.0 };
pub(crate) const BELOW_0: Range =
    Range { words: "a number below 0", schema: r#"{"exclusiveMaximum": 0}"#, accepts: |x| x < 0.0 };
/// 1 or more.
pub const AT_LEAST_1: Range =
    Range { words: "a number of at least 1", schema: r#"{"minimum": 1}"#, accepts: |x| x >= 1.0 };
pub(crate) const ABOVE_1: Range =
    Range { words: "a number above 1", schema: r#"{"exclusiveMinimum": 1}"#, accepts: |x| x > 1.0 };
/// Above 0 and below 1.
pub const BETWEEN_0_AND_1: Range = Range {
    words: "a number above 0 and below 1",
    schema: r#"{"exclusiveMinimum": 0, "exclusiveMaximum": 1}"#,
    accepts: |x| x > 0.0 && x < 1.0,
};
/// At least 0 and below 1.
pub const FROM_0_BELOW_1: Range = Range {
    words: "a number of at least 0 and below 1",
    schema: r#"{"minimum": 0, "exclusiveMaximum": 1}"#,
    accepts: |x| (0.0..1.0).contains(&x),
};
/// From 0 to 1, both included.
pub const FROM_0_TO_1: Range = Range {
    words: "a number from 0 to 1",
    schema: r#"{"minimum": 0, "maximum": 1}"#,
    accepts: |x| (0.0..=1.0).contains(&x),
};

/// A parameter that must be given.
pub const fn required(name: &'static str, ty: ParamType, doc: &'static str) -> Param {
    Param { name, ty, default: Default::Required, doc }
}

/// A parameter with a default.
pub const fn param(name: &'static str, ty: ParamType, default: &'static str, doc: &'static str) -> Param {
    Param { name, ty, default: Default::Is(default), doc }
}

/// A parameter that may be missing.
pub const fn optional(name: &'static str, ty: ParamType, doc: &'static str) -> Param {
    Param { name, ty, default: Default::Absent, doc }
}

/// The key that every schedule takes in addition to its own keys.
pub const CLOCK: Param = optional(
    "clock",
    ParamType::Choice(CLOCKS),
    "unit of the lengths inside: steps; epochs, with one lr per epoch; or epochs, with a new lr at each step. Default: \
     that of the enclosing schedule, or steps",
);

pub(crate) const CLOCKS: &[&str] = &["step", "epoch", "epoch_fraction"];

/// Every kind of schedule.
pub const ENTRIES: &[&Entry] = &[
    // ramps: from one lr to another
    &ramp::linear::ENTRY,
    &ramp::polynomial::ENTRY,
    &ramp::cosine::ENTRY,
    &ramp::geometric::ENTRY,
    &ramp::exp_norm::ENTRY,
    &ramp::one_minus_sqrt::ENTRY,
    &ramp::one_minus_power::ENTRY,
    &ramp::rex::ENTRY,
    &ramp::tanh::ENTRY,
    // functions of the clock
    &leaf::constant::ENTRY,
    &leaf::step::ENTRY,
    &leaf::multistep::ENTRY,
    &leaf::piecewise::ENTRY,
    &leaf::exponential::ENTRY,
    &leaf::inverse_time::ENTRY,
    &leaf::inverse_sqrt::ENTRY,
    &leaf::noam::ENTRY,
    &leaf::power::ENTRY,
    &leaf::cyclic::ENTRY,
    &leaf::one_cycle::ENTRY,
    &leaf::chebyshev::ENTRY,
    &leaf::lambda::ENTRY,
    &leaf::multiplicative::ENTRY,
    // rules that watch training
    &rule::plateau::ENTRY,
    &rule::greedy::ENTRY,
    &rule::adaptive::ENTRY,
    &rule::bold_driver::ENTRY,
    &rule::adagrad_norm::ENTRY,
    &rule::polyak::ENTRY,
    &rule::hypergradient::ENTRY,
    &rule::dog::ENTRY,
    &rule::d_adaptation::ENTRY,
    &rule::prodigy::ENTRY,
    &rule::schedule_free::ENTRY,
];

/// The entry of a kind.
pub fn find(kind: &str) -> Option<&'static Entry> {
    ENTRIES.iter().copied().find(|entry| entry.kind == kind)
}

impl Entry {
    /// Whether it is a ramp. A ramp can also be the `shape` of a cooldown.
    pub fn is_ramp(&self) -> bool {
        matches!(self.build, Build::Ramp(_))
    }

    /// Whether it watches training.
    pub fn is_rule(&self) -> bool {
        matches!(self.build, Build::Rule(_))
    }

    /// All its parameters: those of every ramp, then its own. Its own parameter replaces a shared one of the
    /// same name.
    pub fn all_params(&self) -> impl Iterator<Item = &'static Param> {
        let shared: &[Param] = match self.build {
            Build::Ramp(_) => ramp::PARAMS,
            _ => &[],
        };
        let own = self.params;
        let shared = shared.iter().filter(|param| own.iter().all(|own| own.name != param.name));
        shared.chain(own)
    }
}
