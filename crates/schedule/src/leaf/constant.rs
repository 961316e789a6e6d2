//! The same lr for the whole run.

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, param};
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::lr_value::LrValue;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "constant",
    aliases: &["fixed", "none", "ConstantLR", "ConstantSchedule", "constant_schedule"],
    summary: "the same lr for the whole run",
    formula: "lr = value",
    symbols: &[],
    ends: Ends { before: "`value` at every step", at: "`value`", after: "`value`" },
    source: "all",
    example: "{kind: constant}",
    params: &[param("value", ParamType::Lr, "1x", "the lr")],
    build: Build::Leaf(|reader| Some(Box::new(Constant { value: reader.lr("value")? }))),
};

#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) value: LrValue,
}

impl Leaf for Constant {
    fn lr(&self, at: &Position) -> f64 {
        self.value.of(at.base)
    }

    fn is_constant(&self) -> bool {
        true
    }

    fn formula(&self, at: &TermPosition) -> Term {
        self.value.formula(&at.base)
    }

    fn known(&self, at: &Position) -> Known {
        Known::Constant(self.value.of(at.base))
    }
}
