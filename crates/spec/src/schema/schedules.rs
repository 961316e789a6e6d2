//! Schemas of schedules, built from the table of kinds and the table of combinators. Each is defined three times: as a node, as a
//! phase with its length `for`, and as a schedule of a sweep, which may have its own base lr.

use interop::{ExtraType, LibraryEntry};
use schedule::catalogue::{CLOCK, Default, ENTRIES, Entry, Param, ParamType};
use schedule::combine::{COMBINATORS, Combinator, FOR, Form, Group};
use schedule::lint::LINTS;
use serde_json::{Value as Json, json};

use super::forms::{Forms, axis, group_names, object, open, property, reference};

/// Defines `schedule`, `node`, `phase` and everything that they refer to.
pub(super) fn define(forms: &mut Forms) {
    let value = forms.value(&ParamType::Lr);
    let mut nodes = vec![value.clone()];
    let mut named = nodes.clone();
    let length = parameter(forms, &FOR);
    let mut phases =
        vec![object(&[(FOR.name, length.clone()), ("value", value), ("allow", allow(DOC))], &["value"])];
    let mut names = Vec::new();
    for entry in ENTRIES {
        let (keys, required) = kind(forms, entry);
        each_form(forms, entry.kind, &described(entry), keys, &required, &length);
        names.push(entry.kind);
    }
    for each in COMBINATORS {
        let (keys, required) = combinator(forms, each);
        each_form(forms, each.key, each.summary, keys, &required, &length);
        names.push(each.key);
    }
    for entry in interop::entries() {
        let (keys, required) = foreign(forms, entry);
        let doc = format!("expands to {}; {}", entry.expansion, entry.note);
        each_form(forms, entry.name, doc.trim_end_matches("; "), keys, &required, &length);
        names.push(entry.name);
    }
    for (forms, prefix) in [(&mut nodes, "kind"), (&mut phases, "phase"), (&mut named, "schedule")] {
        forms.extend(names.iter().map(|name| reference(&format!("{prefix}_{name}"))));
    }
    named.push(by_group(forms));
    let call = "a call as in a Python program: torch.OneCycleLR(max_lr=1x, total_steps=100)";
    let call = property(json!({ "type": "string", "pattern": r"\(" }), call, None);
    // The last phase needs no length.
    phases.push(call.clone());
    nodes.push(call.clone());
    named.push(call);
    let kinds: Vec<&str> = ENTRIES.iter().map(|entry| entry.kind).chain(interop::names()).collect();
    for forms in [&mut nodes, &mut phases, &mut named] {
        forms.push(open("kind", &kinds));
    }
    let values = |of: &str| {
        object(&[("values", json!({ "type": "array", "minItems": 1, "items": reference(of) }))], &["values"])
    };
    nodes.push(values("node"));
    phases.push(values("phase"));
    named.push(values("schedule"));
    let doc = "a schedule: a kind, a combinator of schedules, or a constant as in 0.1 or 0.5x";
    forms.define("node", property(json!({ "anyOf": nodes }), doc, None));
    forms.define("schedule", property(json!({ "anyOf": named }), doc, None));
    forms.define("phase", property(json!({ "anyOf": phases }), "a schedule and its length", None));
}

/// Defines a schedule by parameter group, which can only be a schedule of a sweep.
fn by_group(forms: &mut Forms) -> Json {
    let groups = json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": group_names(),
        "additionalProperties": reference("node"),
    });
    let doc =
        "the schedule of each parameter group; the lr of the first one is shown where there is room for one";
    let lr =
        property(forms.base_lr(), "base learning rates of this schedule, instead of the file's `lr`", None);
    let keys = [("groups", property(axis(&groups), doc, None)), ("lr", lr), ("allow", allow(DOC))];
    forms.define(
        "schedule_groups",
        property(object(&keys, &["groups"]), "a schedule by parameter group", None),
    );
    reference("schedule_groups")
}

/// Defines a mapping as a node, as a phase and as a schedule of a sweep.
fn each_form(forms: &mut Forms, name: &str, doc: &str, mut keys: Vec<Key>, required: &[&str], length: &Json) {
    keys.push((CLOCK.name, parameter(forms, &CLOCK)));
    keys.push(("allow", allow(DOC)));
    forms.define(&format!("kind_{name}"), property(object(&keys, required), doc, None));
    let lr =
        property(forms.above_0(), "base learning rate of this schedule, instead of the file's `lr`", None);
    let with = |key: Key| object(&[keys.as_slice(), &[key]].concat(), required);
    let (phase, named) = (with((FOR.name, length.clone())), with(("lr", lr)));
    forms.define(&format!("phase_{name}"), property(phase, doc, None));
    forms.define(&format!("schedule_{name}"), property(named, doc, None));
}

/// Names of lints. Unknown names are accepted too: an older version may read a newer file.
pub(super) fn allow(doc: &str) -> Json {
    let names: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
    let name = json!({ "anyOf": [{ "enum": names }, { "type": "string" }] });
    property(json!({ "anyOf": [name.clone(), { "type": "array", "items": name }] }), doc, None)
}

const DOC: &str = "lints to silence in this schedule";

type Key = (&'static str, Json);

fn kind(forms: &mut Forms, entry: &Entry) -> (Vec<Key>, Vec<&'static str>) {
    let mut keys = vec![("kind", json!({ "const": entry.kind }))];
    keys.extend(entry.all_params().map(|param| (param.name, parameter(forms, param))));
    let mut required = vec!["kind"];
    required.extend(names_required(entry.all_params()));
    (keys, required)
}

/// A schedule of another library, under its name there.
fn foreign(forms: &mut Forms, named: &'static LibraryEntry) -> (Vec<Key>, Vec<&'static str>) {
    let mut keys = vec![("kind", json!({ "enum": named.names().collect::<Vec<_>>() }))];
    let or_none = |form: Json| json!({ "anyOf": [form, { "type": "null" }] });
    for param in named.params {
        let form = match param.default {
            Default::Absent => property(or_none(forms.value(&param.ty)), param.doc, None),
            _ => parameter(forms, param),
        };
        keys.push((param.name, form));
    }
    let mapping = json!({ "type": "object" });
    keys.extend(named.extra.iter().map(|extra| {
        let form = match extra.ty {
            ExtraType::Schedules => json!({ "type": "array", "minItems": 1, "items": reference("node") }),
            ExtraType::Scales => {
                let factor = json!({ "type": "number", "minimum": 0 });
                json!({ "type": "object", "additionalProperties": axis(&factor) })
            }
            ExtraType::Parameters => mapping.clone(),
            ExtraType::Each => json!({ "type": "array", "minItems": 1, "items": mapping }),
            ExtraType::Span => {
                let end = json!({ "type": ["number", "string"] });
                json!({ "anyOf": [end, { "type": "array", "items": end, "minItems": 2, "maxItems": 2 }] })
            }
            ExtraType::Pair => json!({ "type": "array", "minItems": 2, "maxItems": 2 }),
            ExtraType::Word => json!({ "type": "string" }),
            ExtraType::Ticks => {
                json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "type": "string" }] })
            }
            ExtraType::Shares => {
                let end = json!({ "type": "number" });
                json!({ "anyOf": [end, { "type": "array", "items": end, "minItems": 1, "maxItems": 2 }] })
            }
        };
        let form = if extra.required { axis(&form) } else { or_none(axis(&form)) };
        (extra.name, property(form, extra.doc, None))
    }));
    let mut required = vec!["kind"];
    required.extend(names_required(named.params.iter()));
    required.extend(named.extra.iter().filter(|extra| extra.required).map(|extra| extra.name));
    (keys, required)
}

fn combinator(forms: &mut Forms, each: &'static Combinator) -> (Vec<Key>, Vec<&'static str>) {
    let child = match each.form {
        Form::One => reference("node"),
        Form::Many => axis(&json!({ "type": "array", "minItems": 1, "items": reference("node") })),
        Form::Phases => axis(&json!({ "type": "array", "minItems": 1, "items": reference("phase") })),
    };
    let mut keys: Vec<Key> = each.nodes.iter().map(|name| (*name, child.clone())).collect();
    keys.extend(each.params.iter().map(|param| (param.name, parameter(forms, param))));
    let mut required: Vec<&str> = each.nodes.to_vec();
    required.extend(names_required(each.params.iter()));
    for group in each.groups {
        let form = if group.shaped { shaped(forms, group) } else { plain(forms, group) };
        let name = format!("part_{}", group.key);
        forms.define(&name, form);
        keys.push((group.key, property(axis(&reference(&name)), group.doc, None)));
        if group.least > 0 {
            required.push(group.key);
        }
    }
    (keys, required)
}

fn plain(forms: &mut Forms, group: &Group) -> Json {
    let keys: Vec<Key> = group.params.iter().map(|param| (param.name, parameter(forms, param))).collect();
    let required: Vec<&str> = names_required(group.params.iter()).collect();
    let mut form = object(&keys, &required);
    if let (Json::Object(form), true) = (&mut form, group.least > 0) {
        form.insert("minProperties".to_owned(), json!(group.least));
    }
    form
}

/// A group with a `shape`: one schema for each ramp, with the ramp's own parameters. The ramp's `to` replaces the group's,
/// and its `from` is left out, because the group defines its start.
fn shaped(forms: &mut Forms, group: &Group) -> Json {
    let ramps: Vec<&&Entry> = ENTRIES.iter().filter(|entry| entry.is_ramp()).collect();
    let mut each = Vec::new();
    for entry in &ramps {
        let own = entry.params.iter().filter(|param| param.name != "from");
        let params: Vec<&Param> = group
            .params
            .iter()
            .filter(|param| entry.params.iter().all(|own| own.name != param.name))
            .chain(own)
            .collect();
        let mut keys: Vec<Key> = params.iter().map(|param| (param.name, parameter(forms, param))).collect();
        keys.push(("shape", property(json!({ "const": entry.kind }), entry.summary, None)));
        let mut required: Vec<&str> = names_required(params.into_iter()).collect();
        // The default shape.
        if entry.kind != "linear" {
            required.push("shape");
        }
        each.push(object(&keys, &required));
    }
    each.push(open("shape", &ramps.iter().map(|entry| entry.kind).collect::<Vec<_>>()));
    json!({ "anyOf": each })
}

fn parameter(forms: &mut Forms, param: &Param) -> Json {
    let default = match param.default {
        Default::Is(text) => Some(scalar(text)),
        Default::Required | Default::Absent => None,
    };
    property(forms.value(&param.ty), param.doc, default)
}

fn names_required<'a>(params: impl Iterator<Item = &'a Param>) -> impl Iterator<Item = &'static str> {
    params.filter(|param| param.default == Default::Required).map(|param| param.name)
}

fn described(entry: &Entry) -> String {
    format!("{}: {} ({})", entry.summary, entry.formula, entry.source)
}

/// A default value as JSON; the tables have it as text.
fn scalar(text: &str) -> Json {
    match (text.parse::<i64>(), text.parse::<f64>(), text.parse::<bool>()) {
        (Ok(i), ..) => json!(i),
        (_, Ok(x), _) => json!(x),
        (_, _, Ok(b)) => json!(b),
        _ => json!(text),
    }
}
