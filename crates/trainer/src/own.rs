//! Tasks that a program of the user's own brings along: a model, its data and its loss, by candle's operations. Everything
//! else (schedules, seeds, lanes, shared steps, checkpoints) is as for the models that ship with the tool.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use serde_json::Value as Json;
use spec::trial::{Own, OwnParameter};

pub use crate::data::Part;
pub use crate::evaluate::Evaluation;
pub use crate::model::{Init, Shape};
use crate::random::Stream;

/// A model, its data and its loss. What it computes must follow from its arguments alone: a trial is trained again from its
/// seed, and its steps may be shared with others.
pub trait Task: Send + Sync {
    /// What the sweep file does not tell of it, as in "1": to be changed when the same file no longer means the same training
    /// (the model, the data, the loss). It is a part of what makes a trial the trial that is stored.
    fn version(&self) -> String;

    /// The trained parameters, in an order that never changes. Initial values are drawn from the trial's seed.
    fn parameters(&self) -> Vec<Shape>;

    /// Examples of a part; training and validation have one at least, the test may have none.
    fn len(&self, part: Part) -> usize;

    /// Examples of a step, from 1 to those of the training part. Each epoch goes through these in an order of its own; a last
    /// batch that would be short is dropped.
    fn batch_size(&self) -> usize;

    /// Mean loss of a batch: a scalar of type f32 from which candle reaches each parameter. Where the first one is above 0, a run
    /// whose loss exceeds `diverge_above` times it has diverged.
    ///
    /// # Errors
    /// Any error fails the trial, and is told as its reason.
    fn loss(&self, parameters: &Tensors, batch: &Picked) -> Result<Tensor>;

    /// Mean loss on a part, and the share of its examples that was named rightly, where that can be said.
    ///
    /// # Errors
    /// Any error fails the trial, and is told as its reason.
    fn evaluate(&self, parameters: &Tensors, part: Part) -> Result<Evaluation>;
}

/// The values of the parameters by name.
#[derive(Debug, Clone)]
pub struct Tensors {
    names: Vec<String>,
    by_name: HashMap<String, Tensor>,
}

impl Tensors {
    pub(crate) fn new(named: impl Iterator<Item = (String, Tensor)>) -> Self {
        let (mut names, mut by_name) = (Vec::new(), HashMap::new());
        for (name, tensor) in named {
            names.push(name.clone());
            by_name.insert(name, tensor);
        }
        Self { names, by_name }
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        match self.by_name.get(name) {
            Some(tensor) => Ok(tensor),
            None => {
                candle_core::bail!("there is no parameter `{name}` (there are {})", self.names.join(", "))
            }
        }
    }

    /// All of them, as `VarBuilder::from_tensors` of candle-nn takes them.
    pub fn to_map(&self) -> HashMap<String, Tensor> {
        self.by_name.clone()
    }

    /// Where they are: data must be there too.
    pub fn device(&self) -> Device {
        self.names.first().and_then(|name| self.by_name.get(name)).map_or(Device::Cpu, |x| x.device().clone())
    }
}

/// Which examples make up a batch.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// Indices into the training part.
    pub examples: Vec<usize>,
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

impl Picked {
    /// Numbers that are drawn evenly from 0 up to 1, the same whenever this step of this seed is trained: for dropout and the
    /// like. `name` parts one draw from another.
    ///
    /// # Errors
    /// The device fails.
    pub fn uniform(&self, name: &str, dims: &[usize], device: &Device) -> Result<Tensor> {
        let mut stream = Stream::new(self.seed, name, &format!("step {}", self.step));
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| 0.5 + stream.uniform(0.5)).collect();
        Tensor::from_vec(numbers, dims, device)
    }
}

/// A task and its parameters, asked for once.
#[derive(Clone)]
pub struct OwnTask {
    task: Arc<dyn Task>,
    shapes: Arc<Vec<Shape>>,
}

impl OwnTask {
    pub(crate) fn task(&self) -> &dyn Task {
        &*self.task
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.shapes.to_vec()
    }
}

impl fmt::Debug for OwnTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnTask").field(&self.shapes).finish()
    }
}

/// The most numbers that all parameters of a task may have.
const MOST_NUMBERS: u64 = 1 << 36;

/// Makes a task from what the sweep file says of it, or says what is wrong with that.
type Build = Arc<dyn Fn(&Json) -> std::result::Result<Arc<dyn Task>, String> + Send + Sync>;

/// The tasks of a program, by the names under which sweep files ask for them.
#[derive(Clone, Default)]
pub struct Tasks(Vec<(String, Build)>);

impl Tasks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more. `build` gets what stands beside `kind` in the sweep file's section `task`, a JSON object, and makes
    /// the task of it.
    #[must_use]
    pub fn with<T: Task + 'static, E: fmt::Display>(
        mut self,
        name: &str,
        build: impl Fn(&Json) -> std::result::Result<T, E> + Send + Sync + 'static,
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

    /// What a task is, for the plan.
    ///
    /// # Errors
    /// There is no such task, or it can't be made of these parameters: in words.
    pub fn describe(&self, name: &str, params: &Json) -> std::result::Result<Own, String> {
        self.build(name, params).map(|own| described(name, params, &own))
    }

    /// The task that a trial was planned with.
    pub(crate) fn build_planned(&self, planned: &Own) -> std::result::Result<OwnTask, String> {
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

    fn build(&self, name: &str, params: &Json) -> std::result::Result<OwnTask, String> {
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
        let task = build(params)?;
        for (part, what) in [(Part::Train, "training"), (Part::Valid, "validation")] {
            if task.len(part) == 0 {
                return Err(format!("the task `{name}` has no {what} examples"));
            }
        }
        if u32::try_from(task.len(Part::Train)).is_err() {
            return Err(format!("the task `{name}` has more than {} training examples", u32::MAX));
        }
        let shapes = task.parameters();
        let mut names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the task `{name}` has two parameters called `{}`", twice[0]));
        }
        let count = |shape: &Shape| shape.dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim as u64));
        let whole = shapes.iter().try_fold(0u64, |sum, shape| sum.checked_add(count(shape)?));
        if let Some(shape) = shapes.iter().find(|shape| count(shape) == Some(0)) {
            return Err(format!(
                "the parameter `{}` has the shape {:?}, and so no numbers",
                shape.name, shape.dims
            ));
        }
        if whole.is_none_or(|whole| whole > MOST_NUMBERS) {
            return Err(format!("the task `{name}` has more than {MOST_NUMBERS} numbers to train"));
        }
        if shapes.is_empty() {
            return Err(format!("the task `{name}` has no parameters to train"));
        }
        Ok(OwnTask { task, shapes: Arc::new(shapes) })
    }
}

fn described(name: &str, params: &Json, own: &OwnTask) -> Own {
    Own {
        task: name.to_owned(),
        params: params.clone(),
        version: own.task.version(),
        parameters: own.shapes.iter().map(parameter).collect(),
        init: own.shapes.iter().map(|shape| format!("{:?}", shape.init)).collect(),
        examples: own.task.len(Part::Train),
        held_out: [Part::Valid, Part::Test].map(|part| own.task.len(part)),
        batch_size: own.task.batch_size(),
    }
}

fn parameter(shape: &Shape) -> OwnParameter {
    OwnParameter { name: shape.name.clone(), dims: shape.dims.clone(), transposed: shape.transposed }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Checks that a loss is what the engine takes.
pub(crate) fn scalar(loss: &Tensor) -> Result<f32> {
    if loss.rank() != 0 || loss.dtype() != DType::F32 {
        candle_core::bail!(
            "a loss must be a scalar of f32, and this one has shape {:?} and type {:?}",
            loss.dims(),
            loss.dtype()
        );
    }
    loss.to_scalar()
}
