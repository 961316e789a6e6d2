//! The forward and backward pass of a model on the CPU as a list of operations, on buffers that are made once and used in every step.
//! The list is recorded from the model's loss (`graph`). The results have the same bits as candle's autograd with our kernels.

mod graph;
mod slots;

use std::ops::Range;

use candle_core::{Layout, Result, StorageRef};

pub(crate) use self::graph::Graph;
use self::graph::{LossStep, Operand, Step};
use self::slots::{Buffer, Life, assign};
use crate::data::{Batch, Form};
use crate::model::Parameter;
use crate::ops::operation::{Done, Inputs, MOST_INPUTS, NonZero, Scratch, Take, Target, Targets};
use crate::ops::record::Source;
use crate::ops::slice_of_storage;

/// Receives a parameter's index, and a function that computes its gradient piece by piece.
pub(crate) type Each<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut Take<'_>)) -> Result<()> + 'a;

/// Forward and backward passes of a model on buffers that are made once.
pub(crate) trait Passes: Send {
    /// Mean loss of a batch.
    fn loss(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<f32>;

    /// Gradients of the last batch of [`Passes::loss`]. `each` may change a parameter when it receives its gradient: no parameter of
    /// the same operation is read again.
    fn backward(&mut self, parameters: &[Parameter], batch: &Batch, each: &mut Each<'_>) -> Result<()>;

    /// Loss summed over the examples of a batch (for text: over its characters), and the number of correctly classified ones.
    fn evaluate(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<(f64, Option<usize>)>;
}

/// The purpose of a plan's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Losses and gradients.
    Train,
    /// Losses only.
    Evaluate,
}

/// The operations of a model with the buffers of one thread, for batches up to one size.
#[derive(Debug)]
pub(crate) struct Plan {
    graph: Graph,
    places: Places,
    slots: Slots,
    scratch: Scratch,
    /// Examples for which the forward pass runs through all steps before it continues with the next ones.
    together: usize,
}

/// Where the numbers of each step are.
#[derive(Debug)]
struct Places {
    /// The output of each step.
    values: Vec<Buffer>,
    /// The numbers that each forward pass keeps for the backward pass.
    kept: Vec<Option<Buffer>>,
    /// The gradient of each output. Empty if nothing is trained.
    gradients: Vec<Buffer>,
    /// For the inputs of each step, and then of each loss: whether their gradients have other terms, to which the step adds.
    adds: Vec<[bool; MOST_INPUTS]>,
    /// Size of each slot.
    sizes: Vec<usize>,
}

impl Places {
    /// Assigns memory for one example. Time runs over the steps, over the losses, and over the steps backward.
    fn new(graph: &Graph, for_what: Use) -> Self {
        let (steps, losses) = (graph.steps.len(), graph.losses.len());
        let backward = |step: usize| 2 * steps + losses - 1 - step;
        let mut last_use: Vec<usize> = (0..steps).collect();
        let inputs = graph.steps.iter().map(|step| &step.inputs);
        for (at, inputs) in inputs.chain(graph.losses.iter().map(|loss| &loss.inputs)).enumerate() {
            for input in inputs {
                if let Operand::Value(value) = input {
                    last_use[*value] = last_use[*value].max(at);
                }
            }
        }
        let (adds, first_terms) = terms(graph, backward);
        let trains = for_what == Use::Train;
        let life = |step: usize, numbers: usize, last_use: usize| Life {
            numbers,
            born: step,
            dies: if trains { backward(step) } else { last_use },
        };
        let of_kept = |step: &Step| step.operation.kept(step.numbers);
        let mut lives = Vec::new();
        for (i, (step, last_use)) in graph.steps.iter().zip(last_use).enumerate() {
            lives.push(life(i, step.numbers, last_use));
            lives.extend((of_kept(step) > 0).then(|| life(i, of_kept(step), i)));
        }
        if trains {
            let of_step = |(i, step): (usize, &Step)| Life {
                numbers: step.numbers,
                born: first_terms[i],
                dies: backward(i),
            };
            lives.extend(graph.steps.iter().enumerate().map(of_step));
        }
        let (buffers, sizes) = assign(&lives);
        let mut buffers = buffers.into_iter();
        let (mut values, mut kept) = (Vec::new(), Vec::new());
        for step in &graph.steps {
            values.extend(buffers.next());
            kept.push(if of_kept(step) > 0 { buffers.next() } else { None });
        }
        Self { values, kept, gradients: buffers.collect(), adds, sizes }
    }

    /// The gradients that a step or loss writes: for each input the buffer, and whether to add.
    fn targets(
        &self,
        at: usize,
        inputs: &[Operand],
        passes: impl Fn(usize) -> bool,
    ) -> [Option<(Buffer, bool)>; MOST_INPUTS] {
        let adds = self.adds[at];
        std::array::from_fn(|i| match inputs.get(i) {
            Some(Operand::Value(value)) if passes(i) => {
                self.gradients.get(*value).map(|buffer| (*buffer, adds[i]))
            }
            _ => None,
        })
    }
}

/// For the inputs of each step, and then of each loss: whether their gradients have earlier terms. For each value: when the first
/// term of its gradient is written.
fn terms(graph: &Graph, backward: impl Fn(usize) -> usize) -> (Vec<[bool; MOST_INPUTS]>, Vec<usize>) {
    let steps = graph.steps.len();
    let mut adds = vec![[false; MOST_INPUTS]; steps + graph.losses.len()];
    let mut first: Vec<Option<usize>> = vec![None; steps];
    let mut term = |at: usize, time: usize, input: usize, operand: &Operand| {
        if let Operand::Value(value) = operand {
            adds[at][input] = first[*value].is_some();
            first[*value].get_or_insert(time);
        }
    };
    for (at, loss) in (steps..).zip(&graph.losses) {
        for (i, operand) in loss.inputs.iter().enumerate().filter(|(i, _)| loss.loss.passes(*i)) {
            term(at, at, i, operand);
        }
    }
    for (at, step) in graph.steps.iter().enumerate().rev() {
        for (i, operand) in step.inputs.iter().enumerate().filter(|(i, _)| step.operation.passes(*i)) {
            term(at, backward(at), i, operand);
        }
    }
    let first = first.into_iter().map(|time| time.unwrap_or(usize::MAX)).collect();
    (adds, first)
}

/// The memory of all buffers.
#[derive(Debug)]
struct Slots(Vec<Vec<f32>>);

impl Slots {
    /// Takes the memory of a buffer out, so that it can be written while others are read.
    fn take(&mut self, buffer: Option<Buffer>) -> Vec<f32> {
        buffer.map(|buffer| std::mem::take(&mut self.0[buffer.slot])).unwrap_or_default()
    }

    fn put_back(&mut self, buffer: Option<Buffer>, memory: Vec<f32>) {
        if let Some(buffer) = buffer {
            self.0[buffer.slot] = memory;
        }
    }

    /// Calls `f` with gradients to write: for each input the buffer, and whether to add to it.
    fn with_targets<T>(
        &mut self,
        places: [Option<(Buffer, bool)>; MOST_INPUTS],
        part: Part,
        f: impl FnOnce(&Self, &mut Targets<'_>) -> T,
    ) -> T {
        let mut memory = places.map(|place| self.take(place.map(|(buffer, _)| buffer)));
        let mut targets: Targets<'_> = [const { None }; MOST_INPUTS];
        for ((target, memory), place) in targets.iter_mut().zip(&mut memory).zip(places) {
            if let Some((buffer, add)) = place {
                *target = Some(Target { numbers: &mut memory[part.numbers(buffer.numbers)], add });
            }
        }
        let result = f(self, &mut targets);
        for (place, memory) in places.into_iter().zip(memory) {
            self.put_back(place.map(|(buffer, _)| buffer), memory);
        }
        result
    }

    /// The numbers of a buffer for some examples.
    fn read(&self, buffer: Option<Buffer>, part: Part) -> &[f32] {
        buffer.map_or(&[], |buffer| &self.0[buffer.slot][part.numbers(buffer.numbers)])
    }
}

/// Some examples of a batch.
#[derive(Debug, Clone, Copy)]
struct Part {
    first: usize,
    end: usize,
    /// Number of examples of the batch.
    all: usize,
}

impl Part {
    /// Parts of at most this number of examples.
    fn split(self, most: usize) -> impl Iterator<Item = Self> {
        (self.first..self.end).step_by(most.max(1)).map(move |first| Self {
            first,
            end: self.end.min(first + most),
            ..self
        })
    }

    /// The indices of its numbers, of which each example has `each`.
    fn numbers(self, each: usize) -> Range<usize> {
        self.first * each..self.end * each
    }

    /// Its elements of a list of which each example has equally many.
    fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.numbers(list.len() / self.all.max(1))]
    }
}

/// The inputs of the operations of a batch.
#[derive(Clone, Copy)]
struct Given<'a> {
    /// `None`: the weights are not read.
    parameters: Option<&'a [Parameter]>,
    batch: &'a Batch,
    part: Part,
}

impl Given<'_> {
    /// Calls `f` with the inputs of an operation.
    fn with<T>(
        self,
        operands: &[Operand],
        values: &[Buffer],
        slots: &Slots,
        f: impl FnOnce(Inputs<'_>) -> T,
    ) -> Result<T> {
        let parameter = |i: usize| match (operands.get(i), self.parameters) {
            (Some(Operand::Parameter(i)), Some(parameters)) => parameters.get(*i),
            _ => None,
        };
        let held: [Option<(StorageRef<'_>, &Layout)>; MOST_INPUTS] =
            std::array::from_fn(|i| parameter(i).map(|parameter| parameter.var.storage_and_layout()));
        let mut inputs = Inputs::default();
        for (i, operand) in operands.iter().enumerate() {
            match operand {
                Operand::Parameter(_) => {
                    if let Some((storage, layout)) = &held[i] {
                        inputs.numbers[i] = slice_of_storage(storage, layout)?;
                    }
                }
                Operand::Value(value) => {
                    inputs.numbers[i] = slots.read(values.get(*value).copied(), self.part)
                }
                Operand::Source(Source::Pixels) => {
                    inputs.numbers[i] = self.part.of(&self.batch.pixels);
                    inputs.non_zero = self.non_zero();
                }
                Operand::Source(Source::Noise) => inputs.numbers[i] = self.part.of(&self.batch.noise),
                Operand::Source(Source::Tokens) => inputs.indices = self.part.of(&self.batch.tokens),
                Operand::Source(Source::Labels) => inputs.indices = self.part.of(&self.batch.labels),
            }
        }
        Ok(f(inputs))
    }

    fn non_zero(&self) -> Option<NonZero<'_>> {
        let Batch { form, by_image, by_pixel, .. } = self.batch;
        let has = matches!(form, Form::UnitAndSparse { .. });
        has.then_some(NonZero { by_image, first: self.part.first, by_pixel })
    }
}

impl Plan {
    /// Number of numbers in the buffers for one example.
    pub(crate) fn numbers(graph: &Graph, for_what: Use) -> usize {
        Places::new(graph, for_what).sizes.iter().sum()
    }

    /// Buffers for batches of at most this number of examples.
    pub(crate) fn new(graph: &Graph, examples: usize, for_what: Use) -> Self {
        let places = Places::new(graph, for_what);
        let slots = Slots(places.sizes.iter().map(|numbers| vec![0.0; numbers * examples]).collect());
        // Without a backward pass, buffers that do not live at the same time have the same memory.
        let together = if for_what == Use::Train { graph.together() } else { examples };
        Self { graph: graph.clone(), places, slots, scratch: Scratch::default(), together }
    }

    /// Address and length of each buffer, for tests.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> Vec<(usize, usize)> {
        let Scratch { piece, small, spare, .. } = &self.scratch;
        let scratch = [piece, small, spare].into_iter();
        let address = |numbers: &Vec<f32>| (numbers.as_ptr().addr(), numbers.capacity());
        self.slots.0.iter().chain(scratch).map(address).collect()
    }

    /// The inputs of a pass over this batch.
    fn given<'a>(&self, parameters: &'a [Parameter], batch: &'a Batch) -> Given<'a> {
        let all = batch.labels.len() / self.graph.labels.max(1);
        Given { parameters: Some(parameters), batch, part: Part { first: 0, end: all, all } }
    }

    /// Computes all values of a batch, which must not be larger than the buffers.
    fn forward(&mut self, given: Given<'_>) -> Result<()> {
        let Self { graph, places, slots, scratch, together } = self;
        for part in given.part.split(*together) {
            let given = Given { part, ..given };
            for (i, step) in graph.steps.iter().enumerate() {
                let (value, kept) = (Some(places.values[i]), places.kept[i]);
                let (mut y, mut to_keep) = (slots.take(value), slots.take(kept));
                given.with(&step.inputs, &places.values, slots, |x| {
                    let (y, to_keep) = (numbers(&mut y, value, part), numbers(&mut to_keep, kept, part));
                    step.operation.forward(&x, y, to_keep, scratch);
                })?;
                slots.put_back(value, y);
                slots.put_back(kept, to_keep);
            }
        }
        Ok(())
    }
}

impl Passes for Plan {
    fn loss(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<f32> {
        let given = self.given(parameters, batch);
        self.forward(given)?;
        let count = batch.labels.len();
        let Self { graph, places, slots, scratch, .. } = self;
        let mut mean = 0.0;
        for (at, LossStep { loss, inputs }) in (graph.steps.len()..).zip(&graph.losses) {
            let targets = places.targets(at, inputs, |i| loss.passes(i));
            let sum = slots.with_targets(targets, given.part, |slots, targets| {
                let scale = 1.0 / count as f32;
                given.with(inputs, &places.values, slots, |x| loss.gradients(&x, scale, targets, scratch))
            })?;
            mean += (sum / count as f64) as f32;
        }
        Ok(mean)
    }

    fn backward(&mut self, parameters: &[Parameter], batch: &Batch, each: &mut Each<'_>) -> Result<()> {
        let given = self.given(parameters, batch);
        let part = given.part;
        let Self { graph, places, slots, scratch, .. } = self;
        for (i, Step { operation, inputs, .. }) in graph.steps.iter().enumerate().rev() {
            let targets = places.targets(i, inputs, |input| operation.passes(input));
            let (value, kept) = (Some(places.values[i]), places.kept[i]);
            let gradient = places.gradients.get(i).copied();
            let mut memory = slots.take(gradient);
            let dy = numbers(&mut memory, gradient, part);
            slots.with_targets(targets, part, |slots, targets| {
                given.with(inputs, &places.values, slots, |x| {
                    let at = Done { x, y: slots.read(value, part), kept: slots.read(kept, part) };
                    operation.backward(&at, dy, targets, scratch);
                })
            })?;
            let without_weights = Given { parameters: None, ..given };
            without_weights.with(inputs, &places.values, slots, |x| -> Result<()> {
                let at = Done { x, y: slots.read(value, part), kept: slots.read(kept, part) };
                operation.weights().try_for_each(|weight| match inputs.get(weight) {
                    Some(Operand::Parameter(parameter)) => each(*parameter, &mut |take| {
                        operation.weight_gradient(weight, &at, dy, scratch, take);
                    }),
                    _ => Ok(()),
                })
            })??;
            slots.put_back(gradient, memory);
        }
        Ok(())
    }

    fn evaluate(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<(f64, Option<usize>)> {
        let given = self.given(parameters, batch);
        self.forward(given)?;
        let Self { graph, places, slots, scratch, .. } = self;
        let (mut sum, mut correct) = (0.0, None);
        for LossStep { loss, inputs } in &graph.losses {
            let (loss, classified) = given.with(inputs, &places.values, slots, |x| loss.sum(&x, scratch))?;
            sum += loss;
            correct = correct.or(classified);
        }
        Ok((sum, correct))
    }
}

/// The numbers of a buffer for some examples, in its memory.
fn numbers(memory: &mut [f32], buffer: Option<Buffer>, part: Part) -> &mut [f32] {
    &mut memory[part.numbers(buffer.map_or(0, |buffer| buffer.numbers))]
}
