//! Configs as JSON, as the database stores them, and back: a stored trial can be retrained without its sweep file.

use std::sync::Arc;

use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};
use serde_json::{Map, Value as Json, json};

use crate::config::fit;
use crate::id;
use crate::record::TrialRecord;
use crate::trial::{Task, Trial};

/// The complete configuration of a run without its seed.
pub(crate) fn config(schedule: &Tree, base_lr: f64, task: &Task) -> Json {
    json!({ "lr": base_lr, "schedule": tree_to_json(schedule), "task": task })
}

impl TrialRecord {
    /// The trial of this record, for retraining it.
    ///
    /// # Errors
    /// This version can't read the configuration.
    pub fn trial(&self) -> Result<Trial, Vec<Problem>> {
        let bad = |message: String| vec![Problem::new(Place::default(), "config", message)];
        let config: Json = serde_json::from_str(&self.config)
            .map_err(|error| bad(format!("the stored configuration is not valid JSON: {error}")))?;
        let task: Task = serde_json::from_value(config.get("task").cloned().unwrap_or_default())
            .map_err(|error| bad(format!("the stored task can't be read: {error}")))?;
        let base_lr = config.get("lr").and_then(Json::as_f64).filter(|lr| lr.is_finite() && *lr > 0.0);
        let base_lr = base_lr.ok_or_else(|| bad("the stored lr is not a number above 0".to_owned()))?;
        let tree = config.get("schedule").map(json_to_tree);
        let tree = tree.ok_or_else(|| bad("the stored schedule is missing".to_owned()))?;
        let mut problems = Vec::new();
        let node = interop::parse(&tree, "schedule", &mut problems).ok_or(problems)?;
        let (config, hash) = fit(&self.schedule, &node, &Arc::new(tree), base_lr, &task)?;
        let seed = self.seed.unsigned_abs();
        Ok(Trial { id: id::trial(&hash, seed), config: Arc::new(config), seed })
    }
}

/// A tree as JSON.
pub fn tree_to_json(tree: &Tree) -> Json {
    match &tree.value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::from(*b),
        Value::Int(i) => Json::from(*i),
        Value::Float(x) => Json::from(*x),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().map(tree_to_json).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, child)| (key.name.clone(), tree_to_json(child))).collect())
        }
    }
}

/// JSON as a tree without positions.
pub fn json_to_tree(json: &Json) -> Tree {
    let object = |entries: &Map<String, Json>| {
        entries
            .iter()
            .map(|(name, child)| (Key { place: Place::default(), name: name.clone() }, json_to_tree(child)))
            .collect()
    };
    Tree::new(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(i) => Value::Int(i),
            None => n.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(json_to_tree).collect()),
        Json::Object(entries) => Value::Map(object(entries)),
    })
}

/// Makes valid JSON of the output of Python's `json` module: outside of strings, infinities are replaced by texts, and NaN by
/// `nan`.
pub fn python_numbers(text: &str, nan: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        let literals = [("NaN", nan), ("-Infinity", "\"-Infinity\""), ("Infinity", "\"Infinity\"")];
        let found = literals.iter().find(|(literal, _)| !quoted && rest.starts_with(literal));
        let (length, replacement) = found.map_or((c.len_utf8(), None), |(from, to)| (from.len(), Some(*to)));
        let (head, tail) = rest.split_at(length);
        json.push_str(replacement.unwrap_or(head));
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        rest = tail;
    }
    json
}

#[cfg(test)]
mod tests {
    use super::python_numbers;

    #[test]
    fn python_literals_outside_of_strings_become_json() {
        let text = r#"{"NaN \" NaN": [NaN, 1, -Infinity, Infinity, "\\"], "é": NaN}"#;
        let json = r#"{"NaN \" NaN": [null, 1, "-Infinity", "Infinity", "\\"], "é": null}"#;
        assert_eq!(python_numbers(text, "null"), json);
        assert_eq!(python_numbers(json, "null"), json);
    }
}
