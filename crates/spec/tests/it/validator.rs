//! A validator for the part of JSON Schema that the sweep file's schema uses. An unknown keyword is an error, so that everything
//! in the schema is checked.

use regex::Regex;
use serde_json::{Map, Value as Json};

/// Keywords without effect on validation.
const NOTES: [&str; 5] = ["$schema", "$defs", "title", "description", "default"];

/// Whether `value` satisfies `schema`; `root` has the `$defs`.
pub(crate) fn valid(root: &Json, schema: &Json, value: &Json) -> bool {
    let schema = schema.as_object().unwrap_or_else(|| panic!("no schema: {schema}"));
    schema.iter().all(|(keyword, argument)| {
        NOTES.contains(&keyword.as_str()) || satisfies(root, schema, keyword, argument, value)
    })
}

fn satisfies(root: &Json, schema: &Map<String, Json>, keyword: &str, argument: &Json, value: &Json) -> bool {
    let (number, text) = (value.as_f64(), value.as_str());
    let (list, map) = (value.as_array(), value.as_object());
    let bound = || argument.as_f64().unwrap_or_else(|| panic!("{keyword}: {argument}"));
    let count = || {
        usize::try_from(argument.as_u64().unwrap_or_else(|| panic!("{keyword}: {argument}")))
            .expect("a count")
    };
    let each = || argument.as_array().unwrap_or_else(|| panic!("{keyword}: {argument}"));
    match keyword {
        "$ref" => valid(root, target(root, argument), value),
        "type" => is_a(argument.as_str().unwrap_or_else(|| panic!("type: {argument}")), value),
        "not" => !valid(root, argument, value),
        "const" => value == argument,
        "enum" => each().contains(value),
        "anyOf" => each().iter().any(|schema| valid(root, schema, value)),
        "oneOf" => each().iter().filter(|schema| valid(root, schema, value)).count() == 1,
        "minimum" => number.is_none_or(|x| x >= bound()),
        "maximum" => number.is_none_or(|x| x <= bound()),
        "exclusiveMinimum" => number.is_none_or(|x| x > bound()),
        "exclusiveMaximum" => number.is_none_or(|x| x < bound()),
        "minLength" => text.is_none_or(|text| text.chars().count() >= count()),
        "maxLength" => text.is_none_or(|text| text.chars().count() <= count()),
        "pattern" => {
            let pattern = Regex::new(argument.as_str().expect("a pattern")).expect("a pattern");
            text.is_none_or(|text| pattern.is_match(text))
        }
        "minItems" => list.is_none_or(|list| list.len() >= count()),
        "maxItems" => list.is_none_or(|list| list.len() <= count()),
        "uniqueItems" => list.is_none_or(|list| (1..list.len()).all(|i| !list[..i].contains(&list[i]))),
        "prefixItems" => {
            list.is_none_or(|list| list.iter().zip(each()).all(|(item, schema)| valid(root, schema, item)))
        }
        "items" => list.is_none_or(|list| list.iter().all(|item| valid(root, argument, item))),
        "minProperties" => map.is_none_or(|map| map.len() >= count()),
        "maxProperties" => map.is_none_or(|map| map.len() <= count()),
        "required" => {
            map.is_none_or(|map| each().iter().all(|key| map.contains_key(key.as_str().expect("a key"))))
        }
        "propertyNames" => {
            map.is_none_or(|map| map.keys().all(|key| valid(root, argument, &Json::from(key.as_str()))))
        }
        "properties" => map.is_none_or(|map| {
            let schemas = argument.as_object().expect("properties");
            map.iter().all(|(key, value)| schemas.get(key).is_none_or(|schema| valid(root, schema, value)))
        }),
        "additionalProperties" => map.is_none_or(|map| {
            let named = schema.get("properties").and_then(Json::as_object);
            let others = map.iter().filter(|(key, _)| !named.is_some_and(|named| named.contains_key(*key)));
            match argument {
                Json::Bool(allowed) => *allowed || others.count() == 0,
                schema => others.into_iter().all(|(_, value)| valid(root, schema, value)),
            }
        }),
        _ => panic!("unknown keyword `{keyword}`"),
    }
}

/// The schema that a reference points to.
pub(crate) fn target<'a>(root: &'a Json, reference: &Json) -> &'a Json {
    let name = reference.as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    let found = name.and_then(|name| root["$defs"].get(name));
    found.unwrap_or_else(|| panic!("{reference} is not defined"))
}

fn is_a(kind: &str, value: &Json) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|x| x.fract() == 0.0),
        _ => panic!("unknown type `{kind}`"),
    }
}
