//! Implements, on the tensors of a run, the vectors that gradient-based rules use.

use candle_core::{DType, Result, Tensor, Var};
use schedule::vectors::{Kept, Vector, Vectors};

use crate::model::{Parameter, copy_of};
use crate::ops::{is_cpu_f32, with_slice};
use crate::optimizer::flush;
use crate::optimizer::in_place::With1;
use kernels::multiversioned;
use kernels::reduce;
use kernels::tiny::{TINY, flushed};

/// The vectors that the rules of one schedule keep from step to step: for each vector, one tensor per parameter.
#[derive(Debug)]
pub(crate) struct KeptTensors {
    lists: Vec<(usize, Kept, Vec<Var>)>,
}

impl KeptTensors {
    /// Zeros for each of `keeps`, the result of [`schedule::Schedule::kept_vectors`].
    pub(crate) fn new(keeps: &[(usize, Kept)], parameters: &[Parameter]) -> Result<Self> {
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let list = |(rule, kept): &(usize, Kept)| {
            Ok((*rule, *kept, parameters.iter().map(zeros).collect::<Result<_>>()?))
        };
        Ok(Self { lists: keeps.iter().map(list).collect::<Result<_>>()? })
    }

    /// A deep copy.
    pub(crate) fn copy(&self) -> Result<Self> {
        let list = |(rule, kept, list): &(usize, Kept, Vec<Var>)| {
            Ok((*rule, *kept, list.iter().map(copy_of).collect::<Result<_>>()?))
        };
        Ok(Self { lists: self.lists.iter().map(list).collect::<Result<_>>()? })
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    fn list(&self, rule: usize, kept: Kept) -> &[Var] {
        let found = self.lists.iter().find(|(owner, kind, _)| (*owner, *kind) == (rule, kept));
        found.map_or(&[], |(.., list)| list)
    }

    /// Name and value of each tensor, such as `rule0.start.fc1.weight`.
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
    /// The first failure of the device. Results after it may be NaN.
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
            Vector::ToStart => {
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
    if is_cpu_f32(a) {
        with_slice(a, |a| with_slice(b, |b| Ok(reduce::dot(a, b))))
    } else {
        (a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar()
    }
}

fn magnitude(tensor: &Tensor) -> Result<f64> {
    if is_cpu_f32(tensor) {
        with_slice(tensor, |numbers| Ok(reduce::magnitude(numbers)))
    } else {
        tensor.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar()
    }
}

multiversioned! {
fn decay_and_add(sum: &mut [f32], g: &[f32], decay: f32, scale: f32) {
    for (sum, g) in sum.iter_mut().zip(g) {
        *sum = flushed(decay * *sum + scale * flushed(*g, TINY), TINY);
    }
}
}

fn accumulate(sum: &Var, g: &Tensor, decay: f64, scale: f64) -> Result<()> {
    if decay == 0.0 {
        // Multiplying by 0 would keep an infinity as NaN.
        sum.set(&sum.zeros_like()?)?;
    }
    if is_cpu_f32(sum) {
        let (decay, scale) = (decay as f32, scale as f32);
        sum.inplace_op2(g, &With1(|sum: &mut [f32], g: &[f32]| decay_and_add(sum, g, decay, scale)))
    } else {
        let added = ((sum.as_detached_tensor() * decay)? + (flush(g, TINY)? * scale)?)?;
        sum.set(&flush(&added, TINY)?)
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

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor, Var};
    use schedule::vectors::{Kept, Plain, Vector, Vectors};

    use super::{KeptTensors, StepVectors};
    use crate::model::Parameter;
    use crate::optimizer::tests::{has_tiny, is_zero};

    #[test]
    fn a_kept_sum_without_gradients_becomes_exactly_0() {
        for dtype in [DType::F32, DType::F64] {
            let one = Tensor::ones(3, dtype, &Device::Cpu).expect("a tensor");
            let (sum, zero) = (Var::from_tensor(&one).expect("a variable"), one.zeros_like().expect("zeros"));
            for t in 0..200 {
                super::accumulate(&sum, &zero, 0.5, 1.0).expect("a sum");
                assert!(!has_tiny(&sum), "{dtype:?}, step {t}");
            }
            assert!(is_zero(&sum), "{dtype:?}");
        }
    }

    const STEPS: [([f64; 5], [f64; 5]); 3] = [
        ([1.0, -2.0, 0.5, 3.0, -0.25], [0.5, 0.25, -1.0, 2.0, 4.0]),
        ([0.5, -1.5, 0.75, 2.0, -0.5], [-0.5, 1.0, 1.5, 0.125, -3.0]),
        ([0.25, -1.0, 1.0, 1.5, 0.0], [2.0, -0.75, 0.5, 1.0, 0.5]),
    ];

    /// Calls every operation that rules use, in a realistic order.
    fn request_all(vectors: &mut dyn Vectors, first: bool) -> Vec<f64> {
        let (start, sum, previous) =
            (Vector::Kept(Kept::Start), Vector::Kept(Kept::Sum), Vector::Kept(Kept::Previous));
        if first {
            vectors.keep(1, Kept::Start, Vector::Parameters);
        }
        vectors.accumulate(1, Kept::Sum, if first { 0.0 } else { 0.5 }, 2.0);
        let mut found = vec![
            vectors.dot(1, Vector::Gradient, Vector::ToStart),
            vectors.dot(1, Vector::ToStart, Vector::ToStart),
            vectors.dot(1, Vector::Parameters, start),
            vectors.dot(1, sum, sum),
            vectors.magnitude(1, sum),
        ];
        if !first {
            found.push(vectors.dot(0, Vector::Gradient, previous));
        }
        vectors.keep(0, Kept::Previous, Vector::Gradient);
        found
    }

    /// All numbers are exact in single precision.
    #[test]
    fn tensors_give_the_results_of_plain_numbers_on_both_paths() {
        for dtype in [DType::F32, DType::F64] {
            let tensors = |x: &[f64; 5]| -> Vec<Tensor> {
                let tensor = Tensor::new(x, &Device::Cpu).and_then(|x| x.to_dtype(dtype)).expect("a tensor");
                [(0, 2), (2, 3)].map(|(at, n)| tensor.narrow(0, at, n).expect("a slice")).to_vec()
            };
            let parameters: Vec<Parameter> = tensors(&STEPS[0].0)
                .iter()
                .map(|x| Parameter {
                    name: "p".to_owned(),
                    var: Var::from_tensor(x).expect("a variable"),
                    transposed: false,
                })
                .collect();
            let keeps = [(0, Kept::Previous), (1, Kept::Start), (1, Kept::Sum)];
            let kept = KeptTensors::new(&keeps, &parameters).expect("zeros");
            let mut plain = Plain::default();
            for (t, (x, g)) in STEPS.iter().enumerate() {
                for (parameter, x) in parameters.iter().zip(tensors(x)) {
                    parameter.var.set(&x).expect("a value");
                }
                (plain.parameters, plain.gradient) = (x.to_vec(), g.to_vec());
                let gradients = tensors(g);
                let mut step = StepVectors {
                    kept: &kept,
                    parameters: &parameters,
                    gradients: &gradients,
                    failure: None,
                };
                assert_eq!(
                    request_all(&mut step, t == 0),
                    request_all(&mut plain, t == 0),
                    "{dtype:?}, step {t}"
                );
                assert!(step.failure.is_none());
            }
        }
    }
}
