//! What a `VarBuilder` gets the parameters of a model from: one backend notes what a model asks for, one hands out values. Both
//! answer like a `VarMap` that was empty before, so that a model asks both for the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Error, Result, Shape as Dims, Tensor};
use candle_nn::Init;
use candle_nn::var_builder::SimpleBackend;

use crate::model::Shape;

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

/// Notes what a model asks for, in the order of its requests.
#[derive(Default)]
pub(super) struct Described(Mutex<Vec<Shape>>);

impl Described {
    pub(super) fn into_shapes(self) -> Vec<Shape> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Zeros that need no memory, whatever the shape.
fn zeros(dims: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::zeros((), dtype, device)?.broadcast_as(dims)
}

impl SimpleBackend for &Described {
    fn get(&self, dims: Dims, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut shapes = locked(&self.0);
        match shapes.iter().find(|shape| shape.name == name) {
            Some(shape) => check_shape(name, &shape.dims, &dims)?,
            None => shapes.push(Shape::new(name, dims.dims(), init)),
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
pub(super) struct Given<'a> {
    values: HashMap<&'a str, &'a Tensor>,
    requested: Mutex<HashSet<String>>,
}

impl<'a> Given<'a> {
    pub(super) fn new(shapes: &'a [Shape], values: &'a [Tensor]) -> Self {
        let values = shapes.iter().map(|shape| shape.name.as_str()).zip(values).collect();
        Self { values, requested: Mutex::default() }
    }

    fn value(&self, name: &str) -> Result<&Tensor> {
        self.values.get(name).copied().ok_or_else(|| unknown(name))
    }
}

impl SimpleBackend for Given<'_> {
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
