//! The custom tasks of a program, by name. Builds them from the settings in a sweep file, and checks them.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use spec::trial::{CustomParameter, CustomTaskSpec};

use super::{AnyTask, BuiltTask, Part, Task};
use crate::contained::first_line;
use crate::model::Shape;

/// Maximum number of values in all parameters of a task.
const MAX_NUMBERS: u64 = 1 << 36;

/// Builds a task from its settings in the sweep file, or returns a message for the user.
type Build = Arc<dyn Fn(&Json) -> Result<Arc<dyn AnyTask>, String> + Send + Sync>;

/// The tasks of a program, by the names that sweep files use for them.
#[derive(Clone, Default)]
pub struct Tasks(Vec<(String, Build)>);

impl Tasks {
    /// No tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task. `build` builds it from a JSON object: the keys of the sweep file's section `task`, without `kind`.
    #[must_use]
    pub fn with<T: Task + 'static, E: fmt::Display>(
        mut self,
        name: &str,
        build: impl Fn(&Json) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let build: Build = Arc::new(move |params| match build(params) {
            Ok(task) => Ok(Arc::new(task)),
            Err(error) => Err(error.to_string()),
        });
        self.0.push((name.to_owned(), build));
        self
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Describes a task for the plan. `probes`: whether to compute a step first, to check that the task can be trained.
    ///
    /// # Errors
    /// A message for the user: the task is unknown, can't be built from these settings, or can't be trained.
    pub fn describe(&self, name: &str, params: &Json, probes: bool) -> Result<CustomTaskSpec, String> {
        let task = self.build(name, params)?;
        if probes {
            task.probe(name)?;
        }
        Ok(described(name, params, &task))
    }

    /// The task that a trial was planned with.
    pub(crate) fn build_planned(&self, planned: &CustomTaskSpec) -> Result<BuiltTask, String> {
        let task = self.build(&planned.task, &planned.params)?;
        let found = described(&planned.task, &planned.params, &task);
        if found == *planned {
            return Ok(task);
        }
        Err(format!(
            "task `{}` has changed since the trial was planned (version {} then, {} now)",
            planned.task, planned.version, found.version
        ))
    }

    fn build(&self, name: &str, params: &Json) -> Result<BuiltTask, String> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        let (first, second) = (named.next(), named.next());
        if second.is_some() {
            return Err(format!("this program has two tasks named `{name}`"));
        }
        let Some((_, build)) = first else {
            return Err(match self.0.len() {
                0 => format!("task `{name}` is a custom task of another program; run that program"),
                _ => format!("unknown task `{name}` (tasks: {})", self.names().join(", ")),
            });
        };
        let task = BuiltTask::new(build(params)?)
            .map_err(|error| format!("can't build the model of task `{name}`: {}", first_line(&error)))?;
        check_examples(name, &task)?;
        check_parameters(name, &task.shapes)?;
        Ok(task)
    }
}

fn check_examples(name: &str, task: &BuiltTask) -> Result<(), String> {
    for (part, what) in [(Part::Train, "training"), (Part::Valid, "validation")] {
        if task.len(part) == 0 {
            return Err(format!("task `{name}` has no {what} examples"));
        }
    }
    if u32::try_from(task.len(Part::Train)).is_err() {
        return Err(format!("task `{name}` has more than {} training examples", u32::MAX));
    }
    Ok(())
}

fn check_parameters(name: &str, shapes: &[Shape]) -> Result<(), String> {
    if shapes.is_empty() {
        return Err(format!("task `{name}` has no parameters to train"));
    }
    let count = |shape: &Shape| shape.dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim as u64));
    if let Some(shape) = shapes.iter().find(|shape| count(shape) == Some(0)) {
        return Err(format!(
            "parameter `{}` of task `{name}` is empty: its shape {:?} has a 0; every dimension must be at least 1",
            shape.name, shape.dims
        ));
    }
    let total = shapes.iter().try_fold(0u64, |sum, shape| sum.checked_add(count(shape)?));
    if total.is_none_or(|total| total > MAX_NUMBERS) {
        return Err(format!("task `{name}` has more than {MAX_NUMBERS} values to train"));
    }
    Ok(())
}

fn described(name: &str, params: &Json, task: &BuiltTask) -> CustomTaskSpec {
    CustomTaskSpec {
        task: name.to_owned(),
        params: params.clone(),
        version: task.task.version(),
        parameters: task.shapes.iter().map(parameter).collect(),
        init: task.shapes.iter().map(|shape| format!("{:?}", shape.init)).collect(),
        examples: task.len(Part::Train),
        held_out: [Part::Valid, Part::Test].map(|part| task.len(part)),
        batch_size: task.task.batch_size(),
    }
}

fn parameter(shape: &Shape) -> CustomParameter {
    CustomParameter { name: shape.name.clone(), dims: shape.dims.clone(), transposed: shape.transposed }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
