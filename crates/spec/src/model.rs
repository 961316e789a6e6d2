//! Reads the section `model` (a model that learns from the section `data`) and the section `task` (a model with its own examples).
//! The catalogue says which models exist.

use schedule::fields::{Field, Fields, text};
use schedule::problem::{Problem, nearest};
use serde_json::Value as Json;

use crate::catalogue::{Catalogue, Kind, Reads};
use crate::choice;
use crate::json::tree_to_json;
use crate::trial::{Choice, Data, Model};
use crate::world::World;

/// Reads the section `model`.
pub(crate) fn read(field: &Field<'_>, catalogue: &Catalogue, problems: &mut Vec<Problem>) -> Option<Choice> {
    let kinds: Vec<&Kind> = catalogue.with_data().map(|model| &model.kind).collect();
    choice::read(field, &kinds, problems)
}

/// Whether a model can learn from this data; reports a problem if not.
pub(crate) fn fits(
    model: &Choice,
    data: &Data,
    catalogue: &Catalogue,
    field: &Field<'_>,
    problems: &mut Vec<Problem>,
) -> bool {
    let Some(kind) = catalogue.models.iter().find(|kind| kind.name == model.kind) else { return true };
    let message = match (kind.reads, data.dataset.is_text()) {
        (Reads::Text, false) => format!("`{}` reads text, as in data: {{dataset: emma}}", kind.name),
        (Reads::Rows, true) => {
            format!(
                "`{}` reads images or a table, not text; models for text: {}",
                kind.name,
                catalogue.text_models()
            )
        }
        _ => match (kind.fits)(data) {
            Ok(()) => return true,
            Err(message) => message,
        },
    };
    problems.push(field.problem(message));
    false
}

/// Reads the section `task`.
pub(crate) fn task(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let kind_field = fields.required("kind", problems)?;
    let kind = text(&kind_field).map_err(|problem| problems.push(problem)).ok()?;
    let kinds: Vec<&Kind> = world.catalogue().tasks().map(|task| &task.kind).collect();
    let found = kinds.iter().copied().find(|known| known.name == kind);
    if world.tasks().contains(&kind.as_str()) {
        if found.is_some() {
            problems.push(kind_field.problem(format!(
                "two tasks are named `{kind}`: a built-in one and one of this program; rename the program's task"
            )));
            return None;
        }
        return custom(&kind, field, world, problems);
    }
    if found.is_none() {
        let near = unknown_task(&kind, &kind_field, &kinds, world, problems);
        // Only the program knows the keys of its custom tasks, so they can't be checked here.
        if near.is_some_and(|near| world.tasks().contains(&near)) {
            return None;
        }
    }
    let chosen = choice::params(found, &kinds, field, &mut fields, problems);
    fields.finish(problems);
    chosen.map(Model::BuiltIn)
}

/// Reports an unknown task, and returns the name that was probably meant.
fn unknown_task<'a>(
    kind: &str,
    field: &Field<'_>,
    kinds: &[&Kind],
    world: &'a dyn World,
    problems: &mut Vec<Problem>,
) -> Option<&'a str> {
    let known: Vec<&str> = kinds.iter().map(|kind| kind.name).chain(world.tasks()).collect();
    let problem = field.problem(format!("unknown task `{kind}`, expected one of {}", known.join(", ")));
    let near = nearest(kind, known.iter().copied());
    problems.push(match near {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    });
    near
}

/// Reads a custom task: the program that provides it checks its keys.
fn custom(kind: &str, field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Model> {
    let mut params = tree_to_json(field.tree);
    if let Json::Object(params) = &mut params {
        params.shift_remove("kind");
    }
    match world.task(kind, &params) {
        Ok(task) if task.batch_size == 0 || task.batch_size > task.examples => {
            problems.push(field.problem(format!(
                "the batch size must be from 1 to the {} training examples of this task, found {}",
                task.examples, task.batch_size
            )));
            None
        }
        Ok(task) => Some(Model::Custom(task)),
        Err(message) => {
            problems.push(field.problem(message));
            None
        }
    }
}
