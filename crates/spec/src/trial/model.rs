//! Models and optimizers as plain values: a choice from a table, or a custom task. The trainer defines which models and
//! optimizers exist, and what their values mean.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

/// A model.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// A custom task: model and data that are compiled into the user's program.
    #[serde(with = "tagged")]
    Custom(CustomTaskSpec),
    /// A built-in model.
    BuiltIn(Choice),
}

/// A built-in model or optimizer, with the value of each of its parameters.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Choice {
    /// Its name.
    pub kind: String,
    /// The values, in the order of its table. The order is part of a trial's id.
    #[serde(flatten)]
    pub values: Map<String, Json>,
}

impl Choice {
    /// The values as the type that defines their meaning.
    ///
    /// # Errors
    /// The values do not fit that type: another program wrote them.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Json::Object(self.values.clone()))
    }

    /// The value of an integer parameter.
    pub fn integer(&self, name: &str) -> Option<usize> {
        self.values.get(name)?.as_u64().and_then(|n| usize::try_from(n).ok())
    }
}

/// A parameter tensor of a custom task.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CustomParameter {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Whether PyTorch stores its two dimensions in the opposite order.
    #[serde(rename = "turned")]
    pub transposed: bool,
}

/// A custom task, as its program describes it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CustomTaskSpec {
    /// Its name.
    pub task: String,
    /// Its parameters in the sweep file: a JSON object.
    pub params: serde_json::Value,
    /// Its version: changes when its results change for a reason that the other fields do not show.
    pub version: String,
    /// Its parameter tensors, in order.
    pub parameters: Vec<CustomParameter>,
    /// How its parameters are initialized.
    pub init: Vec<String>,
    /// Number of training examples.
    pub examples: usize,
    /// Number of validation and test examples.
    pub held_out: [usize; 2],
    /// Examples per step.
    pub batch_size: usize,
}

/// Serializes a custom task with the `kind` that marks it.
mod tagged {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::CustomTaskSpec;

    #[derive(Serialize, Deserialize)]
    struct Tagged<T> {
        kind: Tag,
        #[serde(flatten)]
        own: T,
    }

    #[derive(Serialize, Deserialize)]
    enum Tag {
        #[serde(rename = "own")]
        Custom,
    }

    pub(super) fn serialize<S: Serializer>(own: &CustomTaskSpec, serializer: S) -> Result<S::Ok, S::Error> {
        Tagged { kind: Tag::Custom, own }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CustomTaskSpec, D::Error> {
        Ok(Tagged::deserialize(deserializer)?.own)
    }
}

impl Model {
    /// Characters per window if the model reads text, else 1.
    pub fn context(&self) -> usize {
        match self {
            Self::BuiltIn(model) => model.integer("context").unwrap_or(1),
            Self::Custom(_) => 1,
        }
    }

    /// Examples per step, for a model with its own examples.
    pub(crate) fn batch_size(&self) -> usize {
        match self {
            Self::BuiltIn(model) => model.integer("batch_size").unwrap_or(1),
            Self::Custom(task) => task.batch_size,
        }
    }
}
