//! How a model or an optimizer describes itself: a name and a table of parameters. The reader of sweep files, the JSON Schema
//! and the docs follow from these. The entries are defined in the trainer; the caller passes them to the reader.

use std::ops::Deref;

use schedule::catalogue::Range;
use serde_json::{Map, Value as Json};

use crate::trial::{Data, Model, Task, Workload};

/// The models and the optimizers that sweep files may name.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The models, in listing order.
    pub models: Vec<&'static ModelKind>,
    /// The optimizers, in listing order.
    pub optimizers: Vec<&'static Kind>,
}

impl Catalogue {
    /// No model and no optimizer.
    pub const EMPTY: Self = Self { models: Vec::new(), optimizers: Vec::new() };

    /// The models of the section `model`: they learn from the section `data`.
    pub fn with_data(&self) -> impl Iterator<Item = &'static ModelKind> {
        self.models.iter().copied().filter(|model| model.reads != Reads::Nothing)
    }

    /// The models of the section `task`: they have their own examples.
    pub fn tasks(&self) -> impl Iterator<Item = &'static ModelKind> {
        self.models.iter().copied().filter(|model| model.reads == Reads::Nothing)
    }

    /// The names of the models that read text, as in "`a` and `b`".
    pub(crate) fn text_models(&self) -> String {
        let text = self.models.iter().filter(|model| model.reads == Reads::Text);
        schedule::problem::listed(text.map(|model| model.name))
    }

    /// Whether a task's evaluations have an accuracy, as far as this is known before training.
    pub(crate) fn has_accuracy(&self, task: &Task) -> bool {
        match &task.workload {
            Workload::Network(network) => match &network.model {
                Model::BuiltIn(model) => self
                    .models
                    .iter()
                    .find(|known| known.name == model.kind)
                    .is_none_or(|known| known.accuracy),
                Model::Custom(_) => true,
            },
            Workload::Program { .. } => true,
        }
    }
}

/// A model or an optimizer, as sweep files name it.
#[derive(Debug)]
pub struct Kind {
    /// Its name in `kind:`.
    pub name: &'static str,
    /// One line: what it is.
    pub doc: &'static str,
    /// A small example as in a sweep file. The tests of all kinds train it.
    pub example: &'static str,
    /// Its parameters, in the order of a trial's id.
    pub params: &'static [Param],
    /// Checks the values of the parameters against each other. Values that could not be read are missing.
    pub check: fn(&Map<String, Json>) -> Result<(), Conflict>,
}

/// A model, as sweep files name it.
#[derive(Debug)]
pub struct ModelKind {
    /// Name and parameters.
    pub kind: Kind,
    /// The kind of data it learns from.
    pub reads: Reads,
    /// One line: what its loss is.
    pub loss: &'static str,
    /// Whether it has an accuracy: its predictions are right or wrong.
    pub accuracy: bool,
    /// Checks whether it can learn from this data, which is of the kind that it reads; the error says why not.
    pub fits: fn(&Data) -> Result<(), String>,
}

impl Deref for ModelKind {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &self.kind
    }
}

/// The kind of data that a model learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Images or rows of a table.
    Rows,
    /// Text, in windows of `context` characters, a parameter of the model.
    Text,
    /// No data: it makes its own examples, `batch_size` per step, a parameter of the model.
    Nothing,
}

/// Two values that exclude each other.
#[derive(Debug)]
pub struct Conflict {
    /// The parameter that is reported.
    pub param: &'static str,
    /// The message.
    pub message: String,
    /// A suggestion for a valid value.
    pub hint: Option<&'static str>,
}

/// One parameter.
#[derive(Debug)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// The values it accepts.
    pub ty: ParamType,
    /// The value if the file has none, as JSON.
    pub default: &'static str,
    /// Whether a trial's id omits the default value. Required for a parameter that earlier versions did not have.
    pub omits_default: bool,
    /// One line: what it does.
    pub doc: &'static str,
}

impl Param {
    /// A parameter whose value is always part of a trial's id.
    pub const fn new(name: &'static str, ty: ParamType, default: &'static str, doc: &'static str) -> Self {
        Self { name, ty, default, omits_default: false, doc }
    }
}

/// The values that a parameter accepts.
#[derive(Debug, Clone, Copy)]
pub enum ParamType {
    /// A number within a range.
    Number(Range),
    /// Two numbers within a range. A trial's id has each under its own name.
    Pair(Range, [&'static str; 2]),
    /// A whole number from 1 to this.
    Count(u64),
    /// A list of layer widths.
    Widths,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// The `check` of parameters without constraints between them.
pub fn no_check(_: &Map<String, Json>) -> Result<(), Conflict> {
    Ok(())
}

/// The `fits` of a model that accepts all data of the kind that it reads.
pub fn fits_all(_: &Data) -> Result<(), String> {
    Ok(())
}
