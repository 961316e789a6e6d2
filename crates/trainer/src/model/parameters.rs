//! What a `VarBuilder` gets the parameters of a model from: one backend notes what a model asks for, one hands out values. Both
//! answer like a `VarMap` that was empty before, so that a model asks both for the same.

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
    candle_core::bail!("the model asks for `{name}` with two shapes, {first:?} and {:?}", now.dims())
}

/// What a layer adds to the name of a weight that is stored as (inputs, outputs): PyTorch has it the other way round, under the name
/// without this.
pub(crate) const TRANSPOSED: &str = ".T";

/// The parameters that a model asks for.
pub(crate) fn described(model: impl FnOnce(VarBuilder<'static>) -> Result<()>) -> Result<Vec<Shape>> {
    let described = Described::default();
    model(VarBuilder::from_backend(Box::new(described.clone()), DType::F32, Device::Cpu))?;
    Ok(described.shapes())
}

/// The parameters of a built-in model. It asks for each name once, so that noting them can't fail.
pub(super) fn of_built_in(model: impl FnOnce(VarBuilder<'static>) -> Result<()>) -> Vec<Shape> {
    described(model).unwrap_or_default()
}

/// Notes what a model asks for, in the order of its requests.
#[derive(Clone, Default)]
struct Described(Arc<Mutex<Vec<Shape>>>);

impl Described {
    fn shapes(&self) -> Vec<Shape> {
        locked(&self.0).clone()
    }
}

/// Zeros that need no memory, whatever the shape.
fn zeros(dims: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(dims)
}

impl SimpleBackend for Described {
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

/// Hands out the values of the parameters.
pub(crate) struct Given {
    values: HashMap<String, Tensor>,
    requested: Mutex<HashSet<String>>,
}

impl Given {
    pub(crate) fn new(shapes: &[Shape], values: &[Tensor]) -> Self {
        let names = shapes.iter().map(|shape| shape.name.clone());
        Self { values: names.zip(values.iter().cloned()).collect(), requested: Mutex::default() }
    }

    fn value(&self, name: &str) -> Result<&Tensor> {
        self.values.get(name).ok_or_else(|| unknown(name))
    }
}

impl SimpleBackend for Given {
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

/// Hands out the values of the parameters of a built-in model, which asks for them once and in one order.
pub(crate) struct InOrder {
    values: Vec<Tensor>,
    next: AtomicUsize,
}

impl InOrder {
    /// A builder of a model from these values.
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
