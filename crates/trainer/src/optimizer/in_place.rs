//! Updates tensors on the CPU in place, optionally with one or two other tensors of the same shape as inputs.

use std::cell::Cell;

use candle_core::{CpuStorage, Error, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var};

use crate::ops::slice;

/// `f(target, other)` over the numbers of contiguous f32 tensors.
pub(crate) struct With1<F>(pub(crate) F);

/// `f(target, first, second)` over the numbers of contiguous f32 tensors.
pub(crate) struct With2<F>(pub(crate) F);

/// Calls `f` with mutable access to the numbers of a contiguous f32 tensor on the CPU.
pub(crate) fn with_slice_mut<T>(tensor: &Tensor, f: impl FnOnce(&mut [f32]) -> Result<T>) -> Result<T> {
    struct Once<F, T>(Cell<Option<F>>, Cell<Option<T>>);
    impl<F: FnOnce(&mut [f32]) -> Result<T>, T> InplaceOp1 for Once<F, T> {
        fn name(&self) -> &'static str {
            NAME
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let numbers = target(storage, layout)?;
            if let Some(f) = self.0.take() {
                self.1.set(Some(f(numbers)?));
            }
            Ok(())
        }
    }
    let once = Once(Cell::new(Some(f)), Cell::new(None));
    tensor.inplace_op1(&once)?;
    once.1.take().ok_or_else(|| Error::Msg("expected a tensor on the CPU".to_owned()))
}

/// Calls `f` with `slices` followed by mutable access to the numbers of each tensor. The tensors must be contiguous f32 on the CPU.
pub(crate) fn with_slices_mut(
    tensors: &[&Var],
    slices: Vec<&mut [f32]>,
    f: &mut dyn FnMut(Vec<&mut [f32]>),
) -> Result<()> {
    match tensors {
        [] => {
            f(slices);
            Ok(())
        }
        [first, rest @ ..] => with_slice_mut(first, |numbers| {
            let mut slices: Vec<&mut [f32]> = slices;
            slices.push(numbers);
            with_slices_mut(rest, slices, f)
        }),
    }
}

const NAME: &str = "sweep in place";

fn target<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(Error::RequiresContiguous { op: NAME });
    };
    match storage {
        CpuStorage::F32(numbers) => numbers.get_mut(start..end),
        _ => None,
    }
    .ok_or_else(|| Error::Msg("expected an f32 tensor".to_owned()))
}

fn other<'a>(storage: &'a CpuStorage, layout: &Layout, length: usize) -> Result<&'a [f32]> {
    let numbers = slice(storage, layout)?;
    if numbers.len() == length {
        return Ok(numbers);
    }
    Err(Error::Msg("expected tensors of the same shape".to_owned()))
}

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for With1<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let to = target(s1, l1)?;
        let from = other(s2, l2, to.len())?;
        (self.0)(to, from);
        Ok(())
    }
}

impl<F: Fn(&mut [f32], &[f32], &[f32])> InplaceOp3 for With2<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let to = target(s1, l1)?;
        let (first, second) = (other(s2, l2, to.len())?, other(s3, l3, to.len())?);
        (self.0)(to, first, second);
        Ok(())
    }
}
