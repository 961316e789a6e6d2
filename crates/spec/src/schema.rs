//! The JSON Schema of the sweep file, for editors. Made from the same names that the readers use; what a
//! schedule may hold comes from the schedule catalogue.

use serde_json::{Value as Json, json};

/// The schema, draft 2020-12.
pub fn sweep_file() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweep file",
        "description": "One training run, with any value replaced by an axis of values to try",
        "type": "object",
        "additionalProperties": false,
        "required": ["data", "model", "optimizer", "budget", "lr", "schedules"],
        "properties": {},
    })
}
