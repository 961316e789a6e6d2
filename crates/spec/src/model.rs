//! Reads the sections `model`, for what learns from the section `data`, and `task`, for what needs none.

use schedule::fields::{Field, Fields, choice, number_where, text, whole};
use schedule::problem::{Problem, nearest};
use schedule::tree::{Tree, Value};
use serde_json::Value as Json;

use crate::json::tree_to_json;
use crate::trial::{Activation, Data, Dataset, Model, Quadratic, Regression};
use crate::world::World;

/// The activations by name.
pub(crate) const ACTIVATIONS: [(&str, Activation); 3] =
    [("relu", Activation::Relu), ("gelu", Activation::Gelu), ("tanh", Activation::Tanh)];

/// The models by name.
pub(crate) const MODELS: [&str; 4] = ["mlp", "lenet", "vae", "char-gpt"];

/// The tasks by name.
pub(crate) const TASKS: [&str; 2] = ["quadratic", "power-law-regression"];

/// Most of what a task with a closed form counts.
const MOST: u64 = 1_000_000;

/// Reads the section `model`.
pub(crate) fn read(field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let kinds = MODELS.map(|name| (name, name));
    let model = match fields.read("kind", problems, choice(&kinds)) {
        Some("mlp") => mlp(&mut fields, problems),
        Some("vae") => vae(&mut fields, problems),
        Some("char-gpt") => char_gpt(&mut fields, field, problems),
        Some(_) => Some(Model::Lenet),
        // Whatever it is: the keys of models are known, and their values can be judged.
        None => {
            mlp(&mut fields, problems);
            vae(&mut fields, problems);
            char_gpt(&mut fields, field, problems);
            None
        }
    };
    fields.finish(problems);
    model
}

fn mlp(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let hidden = fields.read_or("hidden", vec![128], problems, widths);
    let activation = fields.read_or("activation", Activation::Relu, problems, choice(&ACTIVATIONS));
    hidden.zip(activation).map(|(hidden, activation)| Model::Mlp { hidden, activation })
}

fn vae(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let hidden = fields.read_or("hidden", vec![512, 256], problems, widths);
    let latent = fields.read_or("latent", 2, problems, count(65_536));
    hidden.zip(latent).map(|(hidden, latent)| Model::Vae { hidden, latent })
}

fn char_gpt(fields: &mut Fields<'_>, field: &Field<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let layers = fields.read_or("layers", 4, problems, count(64));
    let heads = fields.read_or("heads", 4, problems, count(64));
    let width = fields.read_or("width", 128, problems, count(4_096));
    let context = fields.read_or("context", 64, problems, count(4_096));
    let (layers, heads, width, context) = (layers?, heads?, width?, context?);
    if !width.is_multiple_of(heads) {
        let place = field.tree.get("heads").unwrap_or(field.tree).place;
        let message = format!("`heads` must divide the width, and {heads} does not divide {width}");
        problems.push(Problem::new(place, fields.path_of("heads"), message));
        return None;
    }
    Some(Model::CharGpt { layers, heads, width, context })
}

/// Whether a model can learn from these data.
pub(crate) fn fits(model: &Model, data: &Data, field: &Field<'_>, problems: &mut Vec<Problem>) -> bool {
    let (inputs, _) = data.dataset.shape();
    let bytes = match &data.dataset {
        Dataset::Table(table) => table.bytes,
        dataset => !dataset.is_text(),
    };
    let message = match (model, data.dataset.is_text()) {
        (Model::CharGpt { .. }, false) => "`char-gpt` reads text, as in data: {dataset: emma}".to_owned(),
        (Model::CharGpt { .. }, true) => return true,
        (_, true) => "this model learns from images or a table; of text `char-gpt` learns".to_owned(),
        (Model::Lenet, _) if inputs != 784 => {
            format!(
                "`lenet` takes images of 28 x 28 in one channel, and these examples have {inputs} numbers"
            )
        }
        (Model::Vae { .. }, _) if !bytes => {
            "`vae` takes images of bytes: what it gives is compared with values from 0 to 1".to_owned()
        }
        _ => return true,
    };
    problems.push(field.problem(message));
    false
}

/// Reads the section `task`.
pub(crate) fn task(field: &Field<'_>, world: &World<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let kind_field = fields.required("kind", problems)?;
    let kind = text(&kind_field).map_err(|problem| problems.push(problem)).ok()?;
    if world.tasks.contains(&kind.as_str()) {
        if TASKS.contains(&kind.as_str()) {
            problems.push(kind_field.problem(format!(
                "two tasks are called `{kind}`: one that ships with sweep, and one of this program's own, which needs another name"
            )));
            return None;
        }
        return own(&kind, field, world, problems);
    }
    let model = match kind.as_str() {
        "quadratic" => quadratic(&mut fields, problems),
        "power-law-regression" => regression(&mut fields, problems),
        _ => {
            let known: Vec<&str> = TASKS.iter().chain(world.tasks).copied().collect();
            let problem = kind_field
                .problem(format!("there is no task `{kind}`: expected one of {}", known.join(", ")));
            let near = nearest(&kind, known.iter().copied());
            problems.push(match near {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            // A task of the program that reads the file knows its keys itself.
            if near.is_some_and(|near| world.tasks.contains(&near)) {
                return None;
            }
            quadratic(&mut fields, problems);
            regression(&mut fields, problems);
            None
        }
    };
    fields.finish(problems);
    model
}

fn at_least_0(field: &Field<'_>) -> Result<f64, Problem> {
    number_where("a number of at least 0", |x| x >= 0.0)(field)
}

fn quadratic(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let dimensions = fields.read_or("dimensions", 100, problems, count(MOST));
    let exponent = fields.read_or("exponent", 1.25, problems, at_least_0);
    let noise = fields.read_or("noise", 3.0, problems, at_least_0);
    let batch_size = fields.read_or("batch_size", 1, problems, count(MOST));
    let (dimensions, exponent, noise, batch_size) = (dimensions?, exponent?, noise?, batch_size?);
    Some(Model::Quadratic(Quadratic { dimensions, exponent, noise, batch_size }))
}

fn regression(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let dimensions = fields.read_or("dimensions", 100, problems, count(MOST));
    let capacity = fields.read_or("capacity", 1.25, problems, at_least_0);
    let source = fields.read_or("source", 0.5, problems, at_least_0);
    let noise = fields.read_or("noise", 0.49, problems, at_least_0);
    let batch_size = fields.read_or("batch_size", 4, problems, count(65_536));
    let (dimensions, capacity, source) = (dimensions?, capacity?, source?);
    let (noise, batch_size) = (noise?, batch_size?);
    Some(Model::PowerLawRegression(Regression { dimensions, capacity, source, noise, batch_size }))
}

/// A task of the program that reads the file: it judges its keys itself.
fn own(kind: &str, field: &Field<'_>, world: &World<'_>, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut params = tree_to_json(field.tree);
    if let Json::Object(params) = &mut params {
        params.shift_remove("kind");
    }
    match (world.task)(kind, &params) {
        Ok(task) if task.batch_size == 0 || task.batch_size > task.examples => {
            problems.push(field.problem(format!(
                "a batch of {} does not go with {} training examples",
                task.batch_size, task.examples
            )));
            None
        }
        Ok(task) => Some(Model::Own(task)),
        Err(message) => {
            problems.push(field.problem(message));
            None
        }
    }
}

/// A whole number from 1 to `most`.
fn count(most: u64) -> impl Fn(&Field<'_>) -> Result<usize, Problem> {
    move |field| match whole(1)(field)? {
        n if n <= most => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        n => Err(field.problem(format!("expected at most {most}, found {n}"))),
    }
}

/// Layer widths: a list of whole numbers.
fn widths(field: &Field<'_>) -> Result<Vec<usize>, Problem> {
    const FORM: &str = "a list of at most 16 layer widths from 1 to 65536";
    let items = match &field.tree.value {
        Value::List(items) => items,
        Value::Int(width) => return Err(field.expected(FORM).with_hint(format!("one layer is [{width}]"))),
        Value::Text(text) if text.trim().parse::<u64>().is_ok() => {
            return Err(field.expected(FORM).with_hint(format!("one layer is [{}]", text.trim())));
        }
        _ => return Err(field.expected(FORM)),
    };
    let width = |item: &Tree| match item.integer() {
        Some(width @ 1..=65_536) => usize::try_from(width).ok(),
        _ => None,
    };
    let widths: Option<Vec<usize>> = items.iter().map(width).collect();
    widths.filter(|widths| widths.len() <= 16).ok_or_else(|| {
        let found = field.problem(format!("expected {FORM}, found {}", field.tree));
        if found.message.len() > 300 { field.expected(FORM) } else { found }
    })
}
