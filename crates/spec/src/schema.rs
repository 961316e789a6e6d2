//! The JSON Schema of the sweep file, for editors. The keys of schedules come from the tables of the crate `schedule`; the
//! other keys are listed here, and a test compares them with the readers. Constraints that a schema can't express
//! (lengths that must fit a run, one number above another) are checked only by the readers.

mod forms;
mod schedules;

use serde_json::{Value as Json, json};

use self::forms::{Forms, axis, object, property, reference};
use crate::catalogue::{Catalogue, Kind, Param};
use crate::{data as data_sets, transfer};

/// The schema, draft 2020-12.
pub fn sweep_file(catalogue: &Catalogue) -> Json {
    let mut forms = Forms::default();
    let run = run(&mut forms, catalogue);
    schedules::define(&mut forms);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweep file",
        "description": "One training run, with any value replaced by an axis of values to try",
        "type": "object",
        "additionalProperties": false,
        "required": ["budget", "schedules"],
        "anyOf": [{ "required": ["lr"], "properties": { "lr": {} } }, every_schedule_has_an_lr()],
        "oneOf": [
            {
                "required": ["data", "model", "optimizer"],
                "properties": { "data": {}, "model": {}, "optimizer": {} },
            },
            { "required": ["task", "optimizer"], "properties": { "task": {}, "optimizer": {} } },
            { "required": ["trainer"], "properties": { "trainer": {} } },
        ],
        "properties": properties(&mut forms, run, catalogue),
        "$defs": forms.into_json(),
    })
}

/// The keys of a sweep file.
fn properties(forms: &mut Forms, run: Run, catalogue: &Catalogue) -> Json {
    let names = json!({ "minLength": 1, "maxLength": 100 });
    json!({
        "name": property(
            json!({ "type": "string", "minLength": 1, "maxLength": 100 }),
            "name of the sweep; default: the file's name",
            None,
        ),
        "data": run.data,
        "model": run.model,
        "task": property(tasks(forms, catalogue), "a task with its own data, instead of `data` and `model`", None),
        "optimizer": run.optimizer,
        "trainer": property(trainer(), "a custom program that trains, instead of `data`, `model` and `optimizer`", None),
        "budget": run.budget,
        "lr": property(
            forms.base_lr(),
            "the base learning rate, 1x, or one for each parameter group; a schedule may have its own",
            None,
        ),
        "clip_norm": property(
            forms.above_0(),
            "gradients with a larger global 2-norm are scaled down to this norm; default: no clipping",
            None,
        ),
        "init_from": property(init_from(), "initial weights, in the layout of PyTorch", None),
        "freeze": property(patterns(), "parameters that are not trained: names or layers, * matches any text", None),
        "lr_multipliers": property(
            json!({ "type": "object", "additionalProperties": forms.above_0() }),
            "factors on the lr of some parameters: names or layers, * matches any text",
            None,
        ),
        "param_groups": property(
            json!({ "type": "object", "propertyNames": names, "additionalProperties": patterns() }),
            "the parameters of each group of schedules with `groups`: names or layers, * matches any text, the first match counts",
            None,
        ),
        "diverge_above": property(
            forms.number("a number above 1", json!({ "exclusiveMinimum": 1 })),
            "a run has diverged when its loss is NaN, infinite, or more than this multiple of its initial loss",
            Some(json!(100)),
        ),
        "evaluate": run.evaluate,
        "seeds": seeds(),
        "metric": metric(forms),
        "extend": extend(),
        "refine": refine(),
        "screen": screen(),
        "search": search(),
        "allow": schedules::allow("lints to silence in the whole file"),
        "schedules": {
            "description": "the schedules to compare, by name",
            "type": "object",
            "minProperties": 1,
            "propertyNames": names,
            "additionalProperties": reference("schedule"),
        },
    })
}

/// The condition for a file without `lr`.
fn every_schedule_has_an_lr() -> Json {
    let own = json!({ "type": "object", "required": ["lr"], "properties": { "lr": {} } });
    let axis = json!({
        "type": "object",
        "required": ["values"],
        "properties": { "values": { "type": "array", "items": own } },
    });
    json!({
        "properties": {
            "schedules": { "type": "object", "additionalProperties": { "anyOf": [own, axis] } },
        },
    })
}

/// The schemas of the sections that describe the run.
struct Run {
    data: Json,
    model: Json,
    optimizer: Json,
    budget: Json,
    evaluate: Json,
}

fn run(forms: &mut Forms, catalogue: &Catalogue) -> Run {
    Run {
        data: property(data(forms, catalogue), "the training data", None),
        model: property(
            choice(forms, catalogue.with_data().map(|model| &model.kind)),
            "the model to train",
            None,
        ),
        optimizer: property(choice(forms, catalogue.optimizers.iter().copied()), "the optimizer", None),
        budget: property(budget(forms), "length of each run", None),
        evaluate: property(
            axis(&object(
                &[(
                    "every",
                    property(forms.length(1), "the interval: a length, as in 100 or \"1 epochs\"", None),
                )],
                &["every"],
            )),
            "when the validation loss is measured; default: after each tenth of the run",
            None,
        ),
    }
}

fn data(forms: &mut Forms, catalogue: &Catalogue) -> Json {
    let names = data_sets::DATASETS.map(|(name, _)| name);
    let mut each = vec![json!({ "enum": names })];
    each.extend(own_data(catalogue));
    let datasets = axis(&json!({ "anyOf": each }));
    axis(&object(
        &[
            (
                "dataset",
                property(
                    datasets,
                    "a data set by name (`digits` is a small part of `mnist`), or your own files",
                    None,
                ),
            ),
            ("batch_size", property(forms.whole(1), "examples per batch", Some(json!(64)))),
            ("limit", property(forms.whole(1), "use only the first N training examples", None)),
        ],
        &["dataset"],
    ))
}

/// The user's own files.
fn own_data(catalogue: &Catalogue) -> Vec<Json> {
    let file = || axis(&json!({ "type": "string", "minLength": 1 }));
    let part = || {
        axis(
            &json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^ *[0-9.]+ *%" }] }),
        )
    };
    let form = |form: &str, doc: &str, shares: (&str, &str), more: &[(&str, Json)], required: &[&str]| {
        let all = [
            (form, property(file(), doc, None)),
            (
                "validation",
                property(
                    part(),
                    "validation part: a percentage, or a number of examples",
                    Some(json!(shares.0)),
                ),
            ),
            (
                "test",
                property(part(), "test part: a percentage, or a number of examples", Some(json!(shares.1))),
            ),
        ];
        object(&[all.as_slice(), more].concat(), &[&[form], required].concat())
    };
    let label = property(file(), "name of the label column", None);
    let labels = property(file(), "the labels, an IDX file", None);
    let x = property(file(), "name of the array of examples", Some(json!("x")));
    let y = property(file(), "name of the array of labels", Some(json!("y")));
    let table = ("20%", "0%");
    let text = format!("a UTF-8 text file, for {}", catalogue.text_models());
    vec![
        form("csv", "a CSV file: numbers with a header line", table, &[("label", label)], &["label"]),
        form("npz", "an npz file of NumPy arrays", table, &[("x", x), ("y", y)], &[]),
        form("idx", "examples, an IDX file", table, &[("labels", labels)], &["labels"]),
        form("text", &text, ("10%", "10%"), &[], &[]),
    ]
}

/// A mapping whose keys depend on its `kind`, which is one of these. With an axis of kinds, all keys are accepted.
fn choice<'a>(forms: &mut Forms, kinds: impl Iterator<Item = &'a Kind>) -> Json {
    let (mut names, mut each) = (Vec::new(), Vec::new());
    for kind in kinds {
        let mut keys = vec![("kind", json!({ "const": kind.name }))];
        for Param { name, ty, default, doc, .. } in kind.params {
            let default = serde_json::from_str(default).ok();
            keys.push((*name, property(forms.param(ty), doc, default)));
        }
        names.push(kind.name);
        each.push(object(&keys, &["kind"]));
    }
    each.push(forms::open("kind", &names));
    axis(&json!({ "anyOf": each }))
}

/// The built-in tasks, and custom tasks, which may have any keys.
fn tasks(forms: &mut Forms, catalogue: &Catalogue) -> Json {
    let built_in = choice(forms, catalogue.tasks().map(|task| &task.kind));
    let names: Vec<&str> = catalogue.tasks().map(|task| task.name).collect();
    let kind = json!({ "type": "string", "not": { "enum": names } });
    let custom = json!({ "type": "object", "required": ["kind"], "properties": { "kind": kind } });
    json!({ "anyOf": [built_in, custom] })
}

fn budget(forms: &mut Forms) -> Json {
    let epochs = property(forms.above_0(), "passes over the training examples", None);
    let steps = property(forms.whole(1), "updates", None);
    let length =
        property(forms.whole(1), "updates per epoch; needed if the data does not determine it", None);
    let of = |name, form| object(&[(name, form), ("steps_per_epoch", length.clone())], &[name]);
    axis(&json!({ "oneOf": [of("epochs", epochs), of("steps", steps)] }))
}

fn patterns() -> Json {
    axis(&json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }))
}

fn init_from() -> Json {
    let names = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let mapping = object(
        &[
            (
                "file",
                property(
                    axis(&json!({ "type": "string" })),
                    "a safetensors file, or trial:ID for a stored trial",
                    None,
                ),
            ),
            (
                "names",
                property(
                    names,
                    "parameter names in this model and in the file; * matches the same text on both sides",
                    None,
                ),
            ),
            (
                "optimizer",
                property(
                    axis(&json!({ "enum": transfer::OPTIMIZER_STATES.map(|(name, _)| name) })),
                    "`keep`: the optimizer continues with its state in the file; `reset`: it starts afresh",
                    Some(json!("reset")),
                ),
            ),
            (
                "fresh",
                property(patterns(), "parameters to initialize from the seed, not from the file", None),
            ),
        ],
        &["file"],
    );
    axis(&json!({ "anyOf": [{ "type": "string" }, mapping] }))
}

fn trainer() -> Json {
    let words = json!({ "type": "array", "minItems": 1, "items": axis(&json!({ "anyOf": [{ "type": "string" }, { "type": "number" }, { "type": "boolean" }] })) });
    let time = axis(&json!({ "type": "string", "pattern": "^ *[0-9]" }));
    let slots = json!({ "type": "object", "additionalProperties": words });
    axis(&object(
        &[
            ("command", property(axis(&words), "the program and its arguments; run without a shell", None)),
            (
                "params",
                property(
                    json!({ "type": "object" }),
                    "parameters for the program; any value may be an axis",
                    None,
                ),
            ),
            (
                "files",
                property(
                    axis(&words),
                    "files that the program's results depend on, in addition to those in `command`",
                    None,
                ),
            ),
            (
                "silence",
                property(
                    time.clone(),
                    "a program that reports nothing for this long is killed",
                    Some(json!("30m")),
                ),
            ),
            ("time_limit", property(time.clone(), "the longest that one trial may take", None)),
            ("grace", property(time, "time between a request to stop and a kill", Some(json!("10s")))),
            (
                "slots",
                property(
                    slots,
                    "environment variables, each with a list of values: worker 0 gets the first value, and so on",
                    None,
                ),
            ),
            (
                "share",
                property(
                    json!({ "type": "boolean" }),
                    "whether trials share the steps in which they are the same run: the program writes checkpoints where they part",
                    Some(json!(false)),
                ),
            ),
        ],
        &["command"],
    ))
}

fn seeds() -> Json {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": 100_000 });
    let list = json!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": { "type": "integer", "minimum": 0 } });
    let some = json!({ "anyOf": [count, list] });
    let decide = json!({ "anyOf": [count, list, looks(), until()] });
    json!({
        "description": "number of seeds (0, 1, ...), a list of seeds, {tune: 2, decide: 8} to choose lrs on 2 seeds and judge \
                        them on 8 others, or {each: 8} for separate seeds for each schedule",
        "default": 1,
        "anyOf": [
            count,
            list,
            {
                "type": "object",
                "properties": {
                    "tune": property(some.clone(), "seeds that choose each schedule's lr and axes", None),
                    "decide": property(decide, "other seeds, which judge the chosen configs", None),
                    "halving": property(
                        json!({ "type": "boolean" }),
                        "whether only the better half of each schedule's lrs gets more tuning seeds, after 1, 2, 4, ... of them",
                        Some(json!(false)),
                    ),
                },
                "required": ["tune", "decide"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": { "each": property(json!({ "anyOf": [count, looks()] }), "seeds for each schedule, shared with no other", None) },
                "required": ["each"],
                "additionalProperties": false,
            },
        ],
    })
}

fn looks() -> Json {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": 100_000 });
    let numbers = json!({ "type": "array", "minItems": 2, "uniqueItems": true, "items": count });
    let rope = json!({ "type": "number", "exclusiveMinimum": 0 });
    object(
        &[
            (
                "looks",
                property(
                    numbers,
                    "numbers of deciding seeds after which schedules may stop, as in [8, 12, 20]",
                    None,
                ),
            ),
            ("rope", property(rope, "the smallest difference that matters", None)),
        ],
        &["looks"],
    )
}

fn until() -> Json {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": 100_000 });
    let rope = json!({ "type": "number", "exclusiveMinimum": 0 });
    object(
        &[
            (
                "until",
                property(json!({ "enum": ["decided"] }), "adds seeds until all schedules are decided", None),
            ),
            (
                "at_most",
                property(
                    count.clone(),
                    "the largest number of deciding seeds, which may be raised later",
                    None,
                ),
            ),
            ("every", property(count, "how many seeds are added at a time", Some(json!(1)))),
            ("rope", property(rope, "the smallest difference that matters", None)),
        ],
        &["until", "at_most"],
    )
}

fn metric(forms: &mut Forms) -> Json {
    let goal = property(json!({ "enum": ["minimize", "maximize"] }), "which values are better", None);
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
    let target = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": forms.number("a number", json!({})),
    });
    json!({
        "description": "the metric that chooses configs and ranks schedules: final (the validation loss after the last step), \
                        best, tail:N, valid_accuracy, {name: NAME, goal: maximize} for one that a program reports, or \
                        {steps_to: {valid_loss: 3.28}}",
        "default": "final",
        "anyOf": [
            name,
            {
                "type": "object",
                "properties": { "name": property(name, "the metric's name", None), "goal": goal },
                "required": ["name"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": {
                    "steps_to": property(target, "the number of steps until an evaluation reaches this value", None),
                    "goal": goal,
                },
                "required": ["steps_to"],
                "additionalProperties": false,
            },
        ],
    })
}

fn refine() -> Json {
    json!({
        "description": "how many lrs between those of its grid each schedule may get, each where a parabola through the best lr and its \
                        neighbours is lowest; true: 2. It needs tuning seeds",
        "default": false,
        "anyOf": [{ "type": "boolean" }, { "type": "integer", "minimum": 0, "maximum": 20 }],
    })
}

fn search() -> Json {
    let whole = |least: u64, most: u64| json!({ "type": "integer", "minimum": least, "maximum": most });
    let free = json!({ "type": "array", "items": { "enum": ["warmup", "cooldown"] } });
    let method = json!({ "enum": ["cma_es", "random"] });
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
    let seed = json!({ "type": "integer", "minimum": 0 });
    let keys = [
        ("knots", whole(2, 20), "number of knots of a shape, between which the log lr is linear", None),
        ("trials", whole(1, 1_000_000), "the most trials of the search", None),
        (
            "free",
            free,
            "knots whose position is searched too: `warmup`, the second one; `cooldown`, the last but one",
            Some(json!([])),
        ),
        (
            "population",
            whole(4, 10_000),
            "shapes in a generation; default: 2 (4 + 3 ln n) for n coordinates",
            None,
        ),
        (
            "seeds",
            whole(1, 100_000),
            "seeds of each shape in the first generation; 4 times as many in the last",
            Some(json!(8)),
        ),
        (
            "method",
            method,
            "how shapes are proposed; `random` draws all of them around the best named schedule",
            Some(json!("cma_es")),
        ),
        ("seed", seed, "seed of the proposals", Some(json!(0))),
        ("name", name, "name of the found schedule", Some(json!("found"))),
    ];
    let keys = keys.map(|(key, form, doc, default)| (key, property(form, doc, default)));
    let form = object(&keys, &["knots", "trials"]);
    property(form, "a search for a better shape, which starts from the best named schedules", None)
}

fn extend() -> Json {
    json!({
        "description": "how often the lr grid of a schedule is extended, by its own ratio, while its best lr is at the \
                        edge; false: never",
        "default": 2,
        "anyOf": [{ "type": "boolean" }, { "type": "integer", "minimum": 0, "maximum": 20 }],
    })
}

fn screen() -> Json {
    let most = 100_000;
    let keep = json!({ "type": "integer", "minimum": 1, "maximum": most });
    let learn = json!({ "type": "integer", "minimum": 3, "maximum": most });
    let baseline = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
    json!({
        "description": "predictions choose which schedules are trained; default: all are",
        "type": "object",
        "properties": {
            "keep": property(keep, "number of predicted schedules to train: those with the lowest predicted losses", None),
            "baseline": property(
                baseline,
                "a schedule that is always trained; default: `constant`, or else the first one",
                None,
            ),
            "learn": property(
                learn,
                "number of schedules that are trained first and learned from, with the baseline",
                Some(json!(crate::screen::LEARN)),
            ),
        },
        "required": ["keep"],
        "additionalProperties": false,
    })
}
