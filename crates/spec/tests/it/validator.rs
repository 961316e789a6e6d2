//! A validator for the part of JSON Schema that the sweep file's schema uses. A keyword that it does not
//! know is an error: nothing stands in the schema that is not checked.

use regex::Regex;
use serde_json::{Map, Value as Json};

/// Keywords that say something to people only.
const NOTES: [&str; 5] = ["$schema", "$defs", "title", "description", "default"];

/// Whether `value` is what `schema` asks for; `root` holds the `$defs`.
pub(crate) fn valid(root: &Json, schema: &Json, value: &Json) -> bool {
    let schema = schema.as_object().unwrap_or_else(|| panic!("no schema: {schema}"));
    schema
        .iter()
        .all(|(keyword, ask)| NOTES.contains(&keyword.as_str()) || holds(root, schema, keyword, ask, value))
}

fn holds(root: &Json, schema: &Map<String, Json>, keyword: &str, ask: &Json, value: &Json) -> bool {
    let (number, text) = (value.as_f64(), value.as_str());
    let (list, map) = (value.as_array(), value.as_object());
    let bound = || ask.as_f64().unwrap_or_else(|| panic!("{keyword}: {ask}"));
    let count =
        || usize::try_from(ask.as_u64().unwrap_or_else(|| panic!("{keyword}: {ask}"))).expect("a count");
    let each = || ask.as_array().unwrap_or_else(|| panic!("{keyword}: {ask}"));
    match keyword {
        "$ref" => valid(root, target(root, ask), value),
        "type" => is_a(ask.as_str().unwrap_or_else(|| panic!("type: {ask}")), value),
        "const" => value == ask,
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
            let pattern = Regex::new(ask.as_str().expect("a pattern")).expect("a pattern");
            text.is_none_or(|text| pattern.is_match(text))
        }
        "minItems" => list.is_none_or(|list| list.len() >= count()),
        "maxItems" => list.is_none_or(|list| list.len() <= count()),
        "uniqueItems" => list.is_none_or(|list| (1..list.len()).all(|i| !list[..i].contains(&list[i]))),
        "prefixItems" => {
            list.is_none_or(|list| list.iter().zip(each()).all(|(item, schema)| valid(root, schema, item)))
        }
        "items" => list.is_none_or(|list| list.iter().all(|item| valid(root, ask, item))),
        "minProperties" => map.is_none_or(|map| map.len() >= count()),
        "maxProperties" => map.is_none_or(|map| map.len() <= count()),
        "required" => {
            map.is_none_or(|map| each().iter().all(|key| map.contains_key(key.as_str().expect("a key"))))
        }
        "propertyNames" => {
            map.is_none_or(|map| map.keys().all(|key| valid(root, ask, &Json::from(key.as_str()))))
        }
        "properties" => map.is_none_or(|map| {
            let schemas = ask.as_object().expect("properties");
            map.iter().all(|(key, value)| schemas.get(key).is_none_or(|schema| valid(root, schema, value)))
        }),
        "additionalProperties" => map.is_none_or(|map| {
            let named = schema.get("properties").and_then(Json::as_object);
            let others = map.iter().filter(|(key, _)| !named.is_some_and(|named| named.contains_key(*key)));
            match ask {
                Json::Bool(allowed) => *allowed || others.count() == 0,
                schema => others.into_iter().all(|(_, value)| valid(root, schema, value)),
            }
        }),
        _ => panic!("the keyword `{keyword}` is not checked here"),
    }
}

/// What a reference leads to.
pub(crate) fn target<'a>(root: &'a Json, reference: &Json) -> &'a Json {
    let name = reference.as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    let found = name.and_then(|name| root["$defs"].get(name));
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
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
        _ => panic!("there is no type `{kind}`"),
    }
}
