//! The interface of an operation: forward and backward pass on slices whose memory belongs to the caller. Two callers exist:
//! `by_candle` makes it an operation of candle, and a plan (`plan/`) calls it on buffers that it keeps.

use std::fmt::Debug;

use kernels::matmul::Workspace;
use kernels::sparse::{self, Rows};

/// Maximum number of inputs of an operation.
pub(crate) const MOST_INPUTS: usize = 4;

/// The inputs of an operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inputs<'a> {
    /// In the order of the operation. Empty for an input that consists of indices.
    pub(crate) numbers: [&'a [f32]; MOST_INPUTS],
    /// The input that consists of indices, if there is one: characters, or labels.
    pub(crate) indices: &'a [u32],
    /// The input that consists of pixels without its zeros, if most pixels are 0.
    pub(crate) non_zero: Option<NonZero<'a>>,
}

/// The non-zero pixels of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NonZero<'a> {
    /// (examples, pixels): all examples of the batch. A pass over some of them starts with row `first`.
    pub(crate) by_image: &'a Rows,
    pub(crate) first: usize,
    /// (pixels, examples), for gradients, which are computed for all examples.
    pub(crate) by_pixel: &'a Rows,
}

/// Where to write the gradient of an input.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) numbers: &'a mut [f32],
    /// Whether to add to the numbers instead of overwriting them: the input has other uses.
    pub(crate) add: bool,
}

/// The targets of the inputs, in their order. `None`: no gradient is needed.
pub(crate) type Targets<'a> = [Option<Target<'a>>; MOST_INPUTS];

/// Receives a piece of a gradient: the index of its first element, and the elements.
pub(crate) type Take<'a> = dyn FnMut(usize, &[f32]) + 'a;

impl Target<'_> {
    /// Writes or adds a gradient that exists already.
    pub(crate) fn put(&mut self, gradient: &[f32]) {
        if self.add { add(self.numbers, gradient) } else { self.numbers.copy_from_slice(gradient) }
    }

    /// Calls `write` with a slice whose numbers it overwrites with the gradient.
    pub(crate) fn write(&mut self, spare: &mut Vec<f32>, write: impl FnOnce(&mut [f32])) {
        if self.add {
            let gradient = at_least(spare, self.numbers.len());
            write(gradient);
            add(self.numbers, gradient);
        } else {
            write(self.numbers);
        }
    }
}

kernels::multiversioned! {
/// Adds `from` to `to`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
}

/// Buffers that all operations of a thread share. Their numbers are valid until the next operation starts.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// For matrix products.
    pub(crate) products: Workspace,
    /// A piece of a weight's gradient.
    pub(crate) piece: Vec<f32>,
    /// Gradients of small weights, which a backward pass computes together with the gradients of the inputs.
    pub(crate) small: Vec<f32>,
    /// A gradient that will be added to another one.
    pub(crate) spare: Vec<f32>,
    /// For sparse products.
    pub(crate) sparse: sparse::Scratch,
}

/// The first `n` numbers of a buffer, which grows if necessary.
pub(crate) fn at_least<T: Clone + Default>(buffer: &mut Vec<T>, n: usize) -> &mut [T] {
    if buffer.len() < n {
        buffer.resize(n, T::default());
    }
    &mut buffer[..n]
}

/// An operation on tensors of f32. The sizes that a batch does not change are fields; the number of rows follows from the lengths of
/// the slices.
pub(crate) trait Operation: Debug + Send + Sync {
    /// Its name in messages of candle.
    fn name(&self) -> &'static str;

    /// The inputs that are weights: their gradients arrive in pieces.
    fn weights(&self) -> std::ops::Range<usize> {
        0..0
    }

    /// Whether an input gets a gradient.
    fn passes(&self, _input: usize) -> bool {
        true
    }

    /// Numbers that the forward pass keeps for the backward pass, for an output of `outputs` numbers.
    fn kept(&self, _outputs: usize) -> usize {
        0
    }

    /// Computes all numbers of the output `y`.
    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], kept: &mut [f32], scratch: &mut Scratch);

    /// Computes the gradients of the inputs that are not weights. `dy`, the gradient of `y`, may be changed for
    /// [`Operation::weight_gradient`].
    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, scratch: &mut Scratch);

    /// After [`Operation::backward`]: passes on the gradient of a weight. The weights may have changed, so `at` does not have them.
    fn weight_gradient(
        &self,
        _weight: usize,
        _at: &Done<'_>,
        _dy: &[f32],
        _scratch: &mut Scratch,
        _take: &mut Take<'_>,
    ) {
    }

    /// The same operation which adds one more input, the last one, to its output.
    fn with_residual(&self) -> Option<std::sync::Arc<dyn Operation>> {
        None
    }
}

/// The inputs of a forward pass, and its results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done<'a> {
    pub(crate) x: Inputs<'a>,
    pub(crate) y: &'a [f32],
    pub(crate) kept: &'a [f32],
}

/// An operation whose result is a mean loss.
pub(crate) trait Loss: Debug + Send + Sync {
    /// Its name in messages of candle.
    fn name(&self) -> &'static str;

    /// Whether an input gets a gradient.
    fn passes(&self, input: usize) -> bool;

    /// The loss summed over the rows, and the number of rows whose class is correct, if it classifies.
    fn sum(&self, x: &Inputs<'_>, scratch: &mut Scratch) -> (f64, Option<usize>);

    /// The gradients of the inputs, times `scale`. Returns the loss summed over the rows.
    fn gradients(&self, x: &Inputs<'_>, scale: f32, dx: &mut Targets<'_>, scratch: &mut Scratch) -> f64;
}
