//! What learns, and how it is updated, as plain values: a choice from a table, or a task of the user's own. Which models and
//! optimizers there are, and what their values mean, is the trainer's.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

/// A model.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// A task that a program of the user's own brings along, with its data.
    #[serde(with = "tagged")]
    Own(Own),
    /// One that ships with the tool.
    BuiltIn(Choice),
}

/// A model or an optimizer that ships with the tool, with the value of each of its parameters.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Choice {
    /// Its name.
    pub kind: String,
    /// The values, in the order of its table: the order is a part of a trial's id.
    #[serde(flatten)]
    pub values: Map<String, Json>,
}

impl Choice {
    /// The values as the type that knows what they mean.
    ///
    /// # Errors
    /// The values are not of that type, as those of a database that somebody else has written.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Json::Object(self.values.clone()))
    }

    /// A whole number among the values.
    pub fn whole(&self, name: &str) -> Option<usize> {
        self.values.get(name)?.as_u64().and_then(|n| usize::try_from(n).ok())
    }
}

/// A parameter of a task that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnParameter {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Whether PyTorch has the two of them the other way round.
    #[serde(rename = "turned")]
    pub transposed: bool,
}

/// A task that is not known here: what its program has said of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Own {
    /// Its name.
    pub task: String,
    /// What the sweep file says of it: a JSON object.
    pub params: serde_json::Value,
    /// Its version, for all that the rest does not tell.
    pub version: String,
    /// Its parameters, in their order.
    pub parameters: Vec<OwnParameter>,
    /// What its parameters begin with.
    pub init: Vec<String>,
    /// Training examples.
    pub examples: usize,
    /// Validation and test examples.
    pub held_out: [usize; 2],
    /// Examples of a step.
    pub batch_size: usize,
}

/// A task of the user's own with the `kind` that marks it.
mod tagged {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Own;

    #[derive(Serialize, Deserialize)]
    struct Tagged<T> {
        kind: Tag,
        #[serde(flatten)]
        own: T,
    }

    #[derive(Serialize, Deserialize)]
    enum Tag {
        #[serde(rename = "own")]
        Own,
    }

    pub(super) fn serialize<S: Serializer>(own: &Own, serializer: S) -> Result<S::Ok, S::Error> {
        Tagged { kind: Tag::Own, own }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Own, D::Error> {
        Ok(Tagged::deserialize(deserializer)?.own)
    }
}

impl Model {
    /// Characters of a window, where the model reads text.
    pub fn context(&self) -> usize {
        match self {
            Self::BuiltIn(model) => model.whole("context").unwrap_or(1),
            Self::Own(_) => 1,
        }
    }

    /// Examples of a step, where the model makes its own.
    pub(crate) fn batch_size(&self) -> usize {
        match self {
            Self::BuiltIn(model) => model.whole("batch_size").unwrap_or(1),
            Self::Own(task) => task.batch_size,
        }
    }
}
