//! How a model or an optimizer describes itself: a name and a table of parameters, from which the reader of sweep files, the JSON
//! Schema and the docs follow. The entries themselves are the trainer's: the reader is given them by its caller.

use std::ops::Deref;

use schedule::catalogue::Range;
use serde_json::{Map, Value as Json};

use crate::trial::{Data, Learner, Model, Task};

/// The models and the optimizers that sweep files may name.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The models, in the order in which they are listed.
    pub models: Vec<&'static ModelKind>,
    /// The optimizers, in the order in which they are listed.
    pub optimizers: Vec<&'static Kind>,
}

impl Catalogue {
    /// No model and no optimizer.
    pub const EMPTY: Self = Self { models: Vec::new(), optimizers: Vec::new() };

    /// The models for the section `model`, which learn from the section `data`.
    pub fn with_data(&self) -> impl Iterator<Item = &'static ModelKind> {
        self.models.iter().copied().filter(|model| model.reads != Reads::Nothing)
    }

    /// The models for the section `task`, which make their own examples.
    pub fn tasks(&self) -> impl Iterator<Item = &'static ModelKind> {
        self.models.iter().copied().filter(|model| model.reads == Reads::Nothing)
    }

    /// The names of the models that learn from text, as in "`a` and `b`".
    pub(crate) fn text_models(&self) -> String {
        let text = self.models.iter().filter(|model| model.reads == Reads::Text);
        schedule::problem::listed(text.map(|model| model.name))
    }

    /// Whether a task's evaluations have an accuracy, as far as that is known before training.
    pub(crate) fn has_accuracy(&self, task: &Task) -> bool {
        match &task.learner {
            Learner::Network(network) => match &network.model {
                Model::BuiltIn(model) => self
                    .models
                    .iter()
                    .find(|known| known.name == model.kind)
                    .is_none_or(|known| known.accuracy),
                Model::Own(_) => true,
            },
            Learner::Program { .. } => true,
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
    /// A small one as one would write it in a sweep file, which tests of all kinds train.
    pub example: &'static str,
    /// Its parameters, in the order in which a trial's id has them.
    pub params: &'static [Param],
    /// What the values of the parameters demand of each other. Values that could not be read are missing.
    pub check: fn(&Map<String, Json>) -> Result<(), Clash>,
}

/// A model, as sweep files name it.
#[derive(Debug)]
pub struct ModelKind {
    /// Name and parameters.
    pub kind: Kind,
    /// What it learns from.
    pub reads: Reads,
    /// One line: what its loss is.
    pub loss: &'static str,
    /// Whether what it predicts is right or wrong, so that it has an accuracy.
    pub accuracy: bool,
    /// Whether it can learn from these data, of the kind that it reads; else why not.
    pub fits: fn(&Data) -> Result<(), String>,
}

impl Deref for ModelKind {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &self.kind
    }
}

/// What a model learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Images or rows of a table.
    Rows,
    /// Text, in windows of as many characters as the parameter `context` says.
    Text,
    /// Nothing: it makes its own examples, as many for a step as the parameter `batch_size` says.
    Nothing,
}

/// Two values that do not go together.
#[derive(Debug)]
pub struct Clash {
    /// The parameter that is reported.
    pub param: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<&'static str>,
}

/// One parameter.
#[derive(Debug)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// What it may hold.
    pub ty: ParamType,
    /// What it is where the file does not say, as JSON.
    pub default: &'static str,
    /// Whether a trial's id leaves the default out, as it must for a parameter that earlier versions did not have.
    pub omits_default: bool,
    /// One line: what it does.
    pub doc: &'static str,
}

impl Param {
    /// A parameter whose value every trial's id has.
    pub const fn new(name: &'static str, ty: ParamType, default: &'static str, doc: &'static str) -> Self {
        Self { name, ty, default, omits_default: false, doc }
    }
}

/// What a parameter may hold.
#[derive(Debug, Clone, Copy)]
pub enum ParamType {
    /// A number within a range.
    Number(Range),
    /// Two numbers within a range, which a trial's id has under a name of their own each.
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

/// The check of parameters that go with each other whatever they are.
pub fn no_check(_: &Map<String, Json>) -> Result<(), Clash> {
    Ok(())
}

/// What a model says of data that need nothing but to be of the kind that it reads.
pub fn fits_all(_: &Data) -> Result<(), String> {
    Ok(())
}
