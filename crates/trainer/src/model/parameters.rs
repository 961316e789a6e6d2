//! Backends of `VarBuilder`: one records the parameters that a model requests, the others return values. All of them behave like an
//! initially empty `VarMap`, so that a model makes the same requests to each.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Error, Result, Shape as Dims, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::Shape;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(name: &str) -> Error {
    Error::CannotFindTensor { path: name.to_owned() }
}

fn check_shape(name: &str, first: &[usize], now: &Dims) -> Result<()> {
    if first == now.dims() {
        return Ok(());
    }
    candle_core::bail!("the model requests `{name}` with two shapes: {first:?} and {:?}", now.dims())
}

/// Suffix that a layer adds to the name of a weight that is stored as (inputs, outputs). PyTorch stores the transposed weight, under
/// the name without the suffix.
pub(crate) const TRANSPOSED: &str = ".T";

/// The parameters that a model requests.
pub(crate) fn record_parameters(model: impl FnOnce(VarBuilder<'static>) -> Result<()>) -> Result<Vec<Shape>> {
    let recorder = Recorder::default();
    model(VarBuilder::from_backend(Box::new(recorder.clone()), DType::F32, Device::Cpu))?;
    Ok(recorder.shapes())
}

/// The parameters of a built-in model. It requests each name once, so recording can't fail.
pub(super) fn built_in_parameters(model: impl FnOnce(VarBuilder<'static>) -> Result<()>) -> Vec<Shape> {
    record_parameters(model).unwrap_or_default()
}

/// Records the parameters that a model requests, in the order of the requests.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Shape>>>);

impl Recorder {
    fn shapes(&self) -> Vec<Shape> {
        locked(&self.0).clone()
    }
}

/// Zeros of any shape, without memory for them.
fn zeros(dims: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(dims)
}

impl SimpleBackend for Recorder {
    fn get(&self, dims: Dims, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut shapes = locked(&self.0);
        let plain = name.strip_suffix(TRANSPOSED);
        let transposed = plain.is_some();
        let name = plain.unwrap_or(name);
        match shapes.iter().find(|shape| shape.name == name) {
            Some(shape) => check_shape(name, &shape.dims, &dims)?,
            None => shapes.push(Shape { transposed, ..Shape::new(name, dims.dims(), init) }),
        }
        zeros(dims.dims(), dtype, device)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let shapes = locked(&self.0);
        let shape = shapes.iter().find(|shape| shape.name == name).ok_or_else(|| unknown(name))?;
        zeros(&shape.dims, dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        locked(&self.0).iter().any(|shape| shape.name == name)
    }
}

/// Returns given values of the parameters, by name.
pub(crate) struct Provided {
    values: HashMap<String, Tensor>,
    requested: Mutex<HashSet<String>>,
}

impl Provided {
    pub(crate) fn new(shapes: &[Shape], values: &[Tensor]) -> Self {
        let names = shapes.iter().map(|shape| shape.name.clone());
        Self { values: names.zip(values.iter().cloned()).collect(), requested: Mutex::default() }
    }

    fn value(&self, name: &str) -> Result<&Tensor> {
        self.values.get(name).ok_or_else(|| unknown(name))
    }
}

impl SimpleBackend for Provided {
    fn get(&self, dims: Dims, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let value = self.value(name)?;
        check_shape(name, value.dims(), &dims)?;
        locked(&self.requested).insert(name.to_owned());
        value.to_device(device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        if !self.contains_tensor(name) {
            return Err(unknown(name));
        }
        self.value(name)?.to_device(device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        locked(&self.requested).contains(name)
    }
}

/// Returns given values of the parameters of a built-in model, which requests each once and in a fixed order.
pub(crate) struct InOrder {
    values: Vec<Tensor>,
    next: AtomicUsize,
}

impl InOrder {
    /// A `VarBuilder` that returns these values.
    pub(crate) fn builder(values: &[Tensor]) -> VarBuilder<'static> {
        let (dtype, device) =
            values.first().map_or((DType::F32, Device::Cpu), |value| (value.dtype(), value.device().clone()));
        let backend = Self { values: values.to_vec(), next: AtomicUsize::new(0) };
        VarBuilder::from_backend(Box::new(backend), dtype, device)
    }
}

impl SimpleBackend for InOrder {
    fn get(&self, dims: Dims, name: &str, _: Init, _: DType, _: &Device) -> Result<Tensor> {
        let value =
            self.values.get(self.next.fetch_add(1, Ordering::Relaxed)).ok_or_else(|| unknown(name))?;
        check_shape(name, value.dims(), &dims)?;
        Ok(value.clone())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        Err(unknown(name))
    }

    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}
