//! Schemas of values, each of which may be an axis: a length, a learning rate, a number above 0. Each is defined once, under
//! `$defs`.

use std::collections::BTreeMap;

use schedule::catalogue::{ParamType, Range};
use schedule::fields::AXIS_KEYS;
use serde_json::{Map, Value as Json, json};

use crate::catalogue;

/// The schemas under `$defs`, by name.
#[derive(Default)]
pub(super) struct Forms(BTreeMap<String, Json>);

/// A multiple of the base lr, as in `0.1x`.
const MULTIPLE: &str = r"^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *x$";
/// A multiple above 0: some digit is not 0.
const POSITIVE_MULTIPLE: &str =
    r"^\+?([0-9]*[1-9][0-9]*\.?[0-9]*|[0-9]*\.[0-9]*[1-9][0-9]*)([eE][+-]?[0-9]+)? *x$";
/// A percentage up to 100%, epochs, or whole steps.
const LENGTH: &str = r"^ *(0*(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?|\.[0-9]+) *%|([0-9]+\.?[0-9]*|\.[0-9]+) *epochs?|[0-9]+(\.0*)? *steps?) *$";

impl Forms {
    pub(super) fn into_json(self) -> Json {
        Json::Object(self.0.into_iter().collect())
    }

    pub(super) fn define(&mut self, name: &str, form: Json) {
        self.0.insert(name.to_owned(), form);
    }

    /// A reference to a schema, which is defined on first use.
    fn named(&mut self, name: String, form: impl FnOnce() -> Json) -> Json {
        let reference = reference(&name);
        self.0.entry(name).or_insert_with(form);
        reference
    }

    pub(super) fn above_0(&mut self) -> Json {
        self.number("a number above 0", json!({ "exclusiveMinimum": 0 }))
    }

    /// A base lr, or one for each parameter group.
    pub(super) fn base_lr(&mut self) -> Json {
        let above_0 = self.above_0();
        let by_group = json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": group_names(),
            "additionalProperties": above_0,
        });
        json!({ "anyOf": [above_0, by_group] })
    }

    /// A number within a range; `words` describe the range, as in "a number above 0".
    pub(super) fn number(&mut self, words: &str, range: Json) -> Json {
        let mut form = Map::from_iter([("type".to_owned(), json!("number"))]);
        if let Json::Object(range) = range {
            form.extend(range);
        }
        self.named(words.replace(' ', "_"), || numeric_axis(&Json::Object(form)))
    }

    fn range(&mut self, range: &Range) -> Json {
        self.number(range.words, serde_json::from_str(range.schema).unwrap_or_default())
    }

    pub(super) fn whole(&mut self, least: u64) -> Json {
        let form = || axis(&json!({ "type": "integer", "minimum": least }));
        self.named(format!("a_whole_number_of_at_least_{least}"), form)
    }

    pub(super) fn length(&mut self, least: u64) -> Json {
        self.named(format!("a_length_of_at_least_{least}"), || {
            let ticks = json!({ "type": "integer", "minimum": least });
            let text = json!({ "type": "string", "pattern": LENGTH });
            numeric_axis(&json!({ "anyOf": [ticks, text] }))
        })
    }

    fn lr(&mut self) -> Json {
        self.named("a_learning_rate".to_owned(), || numeric_axis(&lr()))
    }

    /// The values of a parameter of a model or an optimizer.
    pub(super) fn param(&mut self, ty: &catalogue::ParamType) -> Json {
        match ty {
            catalogue::ParamType::Number(range) => self.range(range),
            catalogue::ParamType::Pair(range, _) => {
                let item = self.range(range);
                axis(&json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": item }))
            }
            catalogue::ParamType::Count(_) => self.whole(1),
            catalogue::ParamType::Widths => {
                let width = axis(&json!({ "type": "integer", "minimum": 1, "maximum": 65_536 }));
                axis(&json!({ "type": "array", "maxItems": 16, "items": width }))
            }
            catalogue::ParamType::Flag => axis(&json!({ "type": "boolean" })),
            catalogue::ParamType::Word(words) => axis(&json!({ "enum": words })),
        }
    }

    /// The values of a parameter of a schedule.
    pub(super) fn value(&mut self, ty: &ParamType) -> Json {
        let list = |items: Json| axis(&json!({ "type": "array", "minItems": 1, "items": items }));
        match ty {
            ParamType::Lr => self.lr(),
            ParamType::PositiveLr => self.named("a_learning_rate_above_0".to_owned(), || {
                let number = json!({ "type": "number", "exclusiveMinimum": 0 });
                let multiple = json!({ "type": "string", "pattern": POSITIVE_MULTIPLE });
                numeric_axis(&json!({ "anyOf": [number, multiple] }))
            }),
            ParamType::LrOr(word) => self.named(format!("a_learning_rate_or_{word}"), || {
                numeric_axis(&json!({ "anyOf": [lr(), { "const": word }] }))
            }),
            ParamType::Length(least) => self.length(*least),
            ParamType::Number(range) => self.range(range),
            ParamType::Whole(least) => self.whole(*least),
            ParamType::Integer => axis(&json!({ "type": "integer" })),
            ParamType::Expression => axis(&json!({ "anyOf": [{ "type": "string" }, { "type": "number" }] })),
            ParamType::Flag => axis(&json!({ "type": "boolean" })),
            ParamType::Choice(words) => self.named(words.join("_or_"), || axis(&json!({ "enum": words }))),
            ParamType::Metric(_) => axis(&json!({ "type": "string" })),
            ParamType::Lengths => list(self.length(0)),
            ParamType::Factors => list(self.above_0()),
            ParamType::Lrs => list(self.lr()),
            ParamType::Points => {
                let pair = json!([self.length(0), self.lr()]);
                list(axis(&json!({ "type": "array", "prefixItems": pair, "minItems": 2, "maxItems": 2 })))
            }
            ParamType::Momentum => {
                let range = json!({ "minimum": 0, "exclusiveMaximum": 1 });
                let share = self.number("a number of at least 0 and below 1", range);
                let bounds = object(&[("min", share.clone()), ("max", share)], &["min", "max"]);
                axis(&json!({ "anyOf": [bounds, { "type": "null" }] }))
            }
        }
    }
}

fn lr() -> Json {
    json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": MULTIPLE }] })
}

/// Names of parameter groups: none of them is the key of an axis.
pub(super) fn group_names() -> Json {
    json!({ "minLength": 1, "maxLength": 100, "not": { "enum": AXIS_KEYS } })
}

/// A reference to a schema under `$defs`.
pub(super) fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The value, or an axis of such values.
pub(super) fn axis(value: &Json) -> Json {
    let values = json!({ "values": values(value) });
    json!({ "anyOf": [value, { "type": "object", "additionalProperties": false, "required": ["values"], "properties": values }] })
}

/// The value, or an axis of such values, listed or spaced.
fn numeric_axis(value: &Json) -> Json {
    let space = |doc: &str| {
        let parts = json!([{ "type": "number" }, { "type": "number" }, { "type": "integer", "minimum": 2, "maximum": 10_000 }]);
        json!({ "description": doc, "type": "array", "prefixItems": parts, "minItems": 3, "maxItems": 3 })
    };
    let axis = json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "values": values(value),
            "linspace": space("[lowest, highest, number of values], evenly spaced"),
            "logspace": space("[lowest, highest, number of values], at equal ratios; give the values, not their exponents"),
        },
    });
    json!({ "anyOf": [value, axis] })
}

fn values(value: &Json) -> Json {
    json!({ "description": "the values to try", "type": "array", "minItems": 1, "uniqueItems": true, "items": value })
}

/// A mapping with these keys and no others.
pub(super) fn object(keys: &[(&str, Json)], required: &[&str]) -> Json {
    let properties: Map<String, Json> =
        keys.iter().map(|(name, form)| ((*name).to_owned(), form.clone())).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

/// A mapping in which `key` is an axis of words. Its other keys depend on the word, so all are accepted.
pub(super) fn open(key: &str, words: &[&str]) -> Json {
    let items = json!({ "enum": words });
    let axis = object(&[("values", values(&items))], &["values"]);
    json!({ "type": "object", "required": [key], "properties": { key: axis } })
}

/// A schema with a description and an optional default.
pub(super) fn property(form: Json, doc: &str, default: Option<Json>) -> Json {
    let mut property = Map::from_iter([("description".to_owned(), json!(doc))]);
    property.extend(default.map(|default| ("default".to_owned(), default)));
    if let Json::Object(form) = form {
        property.extend(form);
    }
    Json::Object(property)
}
