//! The tasks of a program by their names: made from what a sweep file says of them, and checked.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use spec::trial::{CustomParameter, CustomTaskSpec};

use super::{AnyTask, OwnTask, Part, Task};
use crate::contain::first_line;
use crate::model::Shape;

/// The most numbers that all parameters of a task may have.
const MOST_NUMBERS: u64 = 1 << 36;

/// Makes a task from what the sweep file says of it, or says what is wrong with that.
type Build = Arc<dyn Fn(&Json) -> Result<Arc<dyn AnyTask>, String> + Send + Sync>;

/// The tasks of a program, by the names that sweep files use for them.
#[derive(Clone, Default)]
pub struct Tasks(Vec<(String, Build)>);

impl Tasks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task. `build` gets what is beside `kind` in the sweep file's section `task`, a JSON object, and makes the task of
    /// it.
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

    /// What a task is, for the plan. `probes`: whether a step is tried, as before trials are trained.
    ///
    /// # Errors
    /// There is no such task, it can't be made of these parameters, or it can't be trained: in words.
    pub fn describe(&self, name: &str, params: &Json, probes: bool) -> Result<CustomTaskSpec, String> {
        let own = self.build(name, params)?;
        if probes {
            own.probe(name)?;
        }
        Ok(described(name, params, &own))
    }

    /// The task that a trial was planned with.
    pub(crate) fn build_planned(&self, planned: &CustomTaskSpec) -> Result<OwnTask, String> {
        let own = self.build(&planned.task, &planned.params)?;
        let found = described(&planned.task, &planned.params, &own);
        if found == *planned {
            return Ok(own);
        }
        Err(format!(
            "the task `{}` is another one than the trial was planned with (version {} then, {} now)",
            planned.task, planned.version, found.version
        ))
    }

    fn build(&self, name: &str, params: &Json) -> Result<OwnTask, String> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        let (first, second) = (named.next(), named.next());
        if second.is_some() {
            return Err(format!("two tasks of this program are called `{name}`"));
        }
        let Some((_, build)) = first else {
            return Err(match self.0.len() {
                0 => {
                    format!("the task `{name}` is one of a program of its own, and this is not that program")
                }
                _ => format!("there is no task `{name}` (there are {})", self.names().join(", ")),
            });
        };
        let own = OwnTask::new(build(params)?)
            .map_err(|error| format!("the model of the task `{name}`: {}", first_line(&error)))?;
        check_examples(name, &own)?;
        check_parameters(name, &own.shapes)?;
        Ok(own)
    }
}

fn check_examples(name: &str, own: &OwnTask) -> Result<(), String> {
    for (part, what) in [(Part::Train, "training"), (Part::Valid, "validation")] {
        if own.len(part) == 0 {
            return Err(format!("the task `{name}` has no {what} examples"));
        }
    }
    if u32::try_from(own.len(Part::Train)).is_err() {
        return Err(format!("the task `{name}` has more than {} training examples", u32::MAX));
    }
    Ok(())
}

fn check_parameters(name: &str, shapes: &[Shape]) -> Result<(), String> {
    if shapes.is_empty() {
        return Err(format!("the task `{name}` has no parameters to train"));
    }
    let count = |shape: &Shape| shape.dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim as u64));
    if let Some(shape) = shapes.iter().find(|shape| count(shape) == Some(0)) {
        return Err(format!(
            "the parameter `{}` has the shape {:?}, and so no numbers",
            shape.name, shape.dims
        ));
    }
    let whole = shapes.iter().try_fold(0u64, |sum, shape| sum.checked_add(count(shape)?));
    if whole.is_none_or(|whole| whole > MOST_NUMBERS) {
        return Err(format!("the task `{name}` has more than {MOST_NUMBERS} numbers to train"));
    }
    Ok(())
}

fn described(name: &str, params: &Json, own: &OwnTask) -> CustomTaskSpec {
    CustomTaskSpec {
        task: name.to_owned(),
        params: params.clone(),
        version: own.task.version(),
        parameters: own.shapes.iter().map(parameter).collect(),
        init: own.shapes.iter().map(|shape| format!("{:?}", shape.init)).collect(),
        examples: own.len(Part::Train),
        held_out: [Part::Valid, Part::Test].map(|part| own.len(part)),
        batch_size: own.task.batch_size(),
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
