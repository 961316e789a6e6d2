//! The entry of one schedule of another library: its name, parameters, documentation and expansion. The table
//! of all entries is in `table`.

use schedule::catalogue::{Default, Param, ParamType, param};
use schedule::tree::Tree;

use crate::arguments::Arguments;

/// One schedule of another library.
#[derive(Debug)]
pub struct LibraryEntry {
    /// Its name in `kind:`, beginning with the name of its library.
    pub name: &'static str,
    /// Other names in `kind:`.
    pub aliases: &'static [&'static str],
    /// The parameters of the Python function, in order; those with a default end with `=`. A call may pass
    /// parameters that are not in `params` or `extra`; they only matter in Python.
    pub signature: &'static str,
    /// Parameters, with the library's defaults. A learning rate that the library requires defaults to `1x` in
    /// a sweep file.
    pub params: &'static [Param],
    /// Parameters that hold schedules or mappings.
    pub extra: &'static [Extra],
    /// Parameters that may be a list with one value per parameter group; here it must have one value.
    pub per_group: &'static [&'static str],
    /// Parameters that must be one type of number in Python.
    pub typed: &'static [Typed],
    /// Parameters that are not supported, with the reason.
    pub refused: &'static [(&'static str, &'static str)],
    /// Its expansion.
    pub expansion: &'static str,
    /// Notes; may be empty.
    pub note: &'static str,
    /// A call in a Python program.
    pub example: &'static str,
    pub(crate) expand: fn(&mut Arguments<'_, '_>) -> Option<Tree>,
}

/// A parameter whose value is not a single value.
#[derive(Debug, Clone, Copy)]
pub struct Extra {
    /// Its key.
    pub name: &'static str,
    /// The type of its value.
    pub ty: ExtraType,
    /// Whether it is required.
    pub required: bool,
    /// One line: what it does.
    pub doc: &'static str,
}

/// A parameter that must be one type of number in Python.
#[derive(Debug, Clone, Copy)]
pub struct Typed {
    /// Its key.
    pub name: &'static str,
    /// The type.
    pub number: NumberType,
    /// The behaviour of the library for another type.
    pub otherwise: &'static str,
}

/// A type of number in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberType {
    /// `int`: 10, not 10.0.
    Int,
    /// `float`: 1.0, not 1.
    Float,
}

impl std::fmt::Display for NumberType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NumberType::Int => "an `int`, as in 10",
            NumberType::Float => "a `float`, as in 1.0",
        })
    }
}

/// The type of an [`Extra`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraType {
    /// A list of schedules.
    Schedules,
    /// A mapping from steps to factors.
    Scales,
    /// The parameters of another schedule.
    Parameters,
    /// A list of the parameters of schedules.
    Each,
    /// A length, or the two ends of a range.
    Span,
    /// A word and a number.
    Pair,
    /// Any word.
    Word,
    /// A length, or a number of ticks that is not whole.
    Ticks,
    /// A fraction of the run, or a list of one or two fractions.
    Shares,
}

/// The default fields of an entry.
pub(crate) const PLAIN: LibraryEntry = LibraryEntry {
    name: "",
    aliases: &[],
    signature: "",
    params: &[],
    extra: &[],
    per_group: &[],
    typed: &[],
    refused: &[],
    expansion: "",
    note: "",
    example: "",
    expand: |_| None,
};

/// A parameter for which torch refuses other types.
pub(crate) const fn torch_typed(name: &'static str, number: NumberType) -> Typed {
    Typed { name, number, otherwise: "torch refuses any other type" }
}

/// The `last_epoch` of torch and transformers.
pub(crate) const LAST_EPOCH: Param = param(
    "last_epoch",
    ParamType::Integer,
    "-1",
    "only -1 (a new start), because schedules here are evaluated at any step",
);

/// The `mode` of torch and transformers.
pub(crate) const MODE: Param =
    param("mode", ParamType::Choice(&["min", "max"]), "min", "whether a lower or a higher metric is better");

/// The name without its library.
pub(crate) fn bare(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}

impl LibraryEntry {
    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The name of its library.
    pub(crate) fn library(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The parameters of the Python function in order, and whether each has a default.
    pub fn arguments(&self) -> impl Iterator<Item = (&'static str, bool)> + use<> {
        let names = self.signature.split(", ").filter(|name| !name.is_empty());
        names.map(|name| match name.strip_suffix('=') {
            Some(name) => (name, true),
            None => (name, false),
        })
    }

    /// Whether `None` for a parameter is the same as leaving it out.
    pub(crate) fn takes_none(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name && param.default == Default::Absent)
            || self
                .extra
                .iter()
                .any(|extra| extra.name == name && !extra.required && extra.ty != ExtraType::Word)
            || self.refused.iter().any(|(refused, _)| *refused == name)
    }

    /// Whether a parameter is used here.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name)
            || self.extra.iter().any(|extra| extra.name == name)
            || self.refused.iter().any(|(refused, _)| *refused == name)
    }
}
