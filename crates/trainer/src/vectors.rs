//! The vectors that rules on gradients ask about, as tensors of one run.

use candle_core::{DType, Result, Tensor, Var};
use schedule::vectors::{Kept, Vector, Vectors};

use crate::kernels::simd::leveled;
use crate::kernels::{is_ours, reduce, with_slice};
use crate::model::Parameter;
use crate::optimizer::in_place::With1;

/// What the rules of one schedule keep from step to step: for each a tensor beside every parameter.
pub(crate) struct KeptTensors {
    lists: Vec<(usize, Kept, Vec<Var>)>,
}

impl KeptTensors {
    /// Zeros for each of `keeps`, as [`schedule::Schedule::keeps`] has it.
    pub(crate) fn new(keeps: &[(usize, Kept)], parameters: &[Parameter]) -> Result<Self> {
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let list = |(rule, kept): &(usize, Kept)| {
            Ok((*rule, *kept, parameters.iter().map(zeros).collect::<Result<_>>()?))
        };
        Ok(Self { lists: keeps.iter().map(list).collect::<Result<_>>()? })
    }

    fn list(&self, rule: usize, kept: Kept) -> &[Var] {
        let found = self.lists.iter().find(|(of, what, _)| (*of, *what) == (rule, kept));
        found.map_or(&[], |(.., list)| list)
    }

    /// Name and value of each tensor, as in `rule0.start.fc1.weight`.
    pub(crate) fn named<'a>(
        &'a self,
        parameters: &'a [Parameter],
    ) -> impl Iterator<Item = (String, &'a Var)> {
        self.lists.iter().flat_map(move |(rule, kept, list)| {
            let name = move |p: &Parameter| format!("rule{rule}.{}.{}", kept.name(), p.name);
            parameters.iter().zip(list).map(move |(p, var)| (name(p), var))
        })
    }
}

/// The vectors of one step.
pub(crate) struct StepVectors<'a> {
    pub(crate) kept: &'a KeptTensors,
    pub(crate) parameters: &'a [Parameter],
    pub(crate) gradients: &'a [Tensor],
    /// The first failure of the device; what was asked for after it is NaN.
    pub(crate) failure: Option<candle_core::Error>,
}

impl StepVectors<'_> {
    fn tensors(&self, rule: usize, vector: Vector) -> Result<Vec<Tensor>> {
        let values = |vars: &[Var]| vars.iter().map(|var| var.as_detached_tensor()).collect();
        let parameters = || self.parameters.iter().map(|p| p.var.as_detached_tensor());
        match vector {
            Vector::Gradient => self.gradients.iter().map(Tensor::contiguous).collect(),
            Vector::Parameters => Ok(parameters().collect()),
            Vector::Kept(kept) => Ok(values(self.kept.list(rule, kept))),
            Vector::WayBack => {
                let start = self.kept.list(rule, Kept::Start).iter();
                start.zip(parameters()).map(|(start, now)| start.as_detached_tensor() - now).collect()
            }
        }
    }

    fn or_nan(&mut self, number: Result<f64>) -> f64 {
        number.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            f64::NAN
        })
    }

    fn note(&mut self, done: Result<()>) {
        if let Err(error) = done {
            self.failure.get_or_insert(error);
        }
    }
}

fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    if is_ours(a) {
        with_slice(a, |a| with_slice(b, |b| Ok(reduce::dot(a, b))))
    } else {
        (a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar()
    }
}

fn magnitude(tensor: &Tensor) -> Result<f64> {
    if is_ours(tensor) {
        with_slice(tensor, |numbers| Ok(reduce::magnitude(numbers)))
    } else {
        tensor.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar()
    }
}

leveled! {
fn decay_and_add(sum: &mut [f32], g: &[f32], decay: f32, scale: f32) {
    for (sum, g) in sum.iter_mut().zip(g) {
        *sum = decay * *sum + scale * g;
    }
}
}

fn accumulate(sum: &Var, g: &Tensor, decay: f64, scale: f64) -> Result<()> {
    if decay == 0.0 {
        // Whatever it was, were it infinite.
        sum.set(&sum.zeros_like()?)?;
    }
    if is_ours(sum) {
        let (decay, scale) = (decay as f32, scale as f32);
        sum.inplace_op2(g, &With1(|sum: &mut [f32], g: &[f32]| decay_and_add(sum, g, decay, scale)))
    } else {
        sum.set(&((sum.as_detached_tensor() * decay)? + (g * scale)?)?)
    }
}

impl Vectors for StepVectors<'_> {
    fn dot(&mut self, rule: usize, a: Vector, b: Vector) -> f64 {
        let sum = || -> Result<f64> {
            let (a, b) = (self.tensors(rule, a)?, self.tensors(rule, b)?);
            a.iter().zip(&b).map(|(a, b)| dot(a, b)).sum()
        };
        let sum = sum();
        self.or_nan(sum)
    }

    fn magnitude(&mut self, rule: usize, of: Vector) -> f64 {
        let sum = self.tensors(rule, of).and_then(|tensors| tensors.iter().map(magnitude).sum());
        self.or_nan(sum)
    }

    fn keep(&mut self, rule: usize, kept: Kept, of: Vector) {
        let set = || -> Result<()> {
            let from = self.tensors(rule, of)?;
            self.kept.list(rule, kept).iter().zip(&from).try_for_each(|(to, from)| to.set(from))
        };
        let set = set();
        self.note(set);
    }

    fn accumulate(&mut self, rule: usize, kept: Kept, decay: f64, scale: f64) {
        let add = || -> Result<()> {
            let gradients = self.tensors(rule, Vector::Gradient)?;
            let sums = self.kept.list(rule, kept).iter();
            sums.zip(&gradients).try_for_each(|(sum, g)| accumulate(sum, g, decay, scale))
        };
        let add = add();
        self.note(add);
    }
}
