//! The operations of a model, from a recording of its loss.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Shape, TensorId};
use spec::trial::{Model as Chosen, Network};

use crate::data::Batch;
use crate::model::{Arch, Input};
use crate::ops::add::Add;
use crate::ops::operation::{Loss, Operation};
use crate::ops::record::{Call, Record, Recording, Source, empty, record};

/// The operations of a model in their order. All sizes are for a batch of one example.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(super) steps: Vec<Step>,
    /// The loss is their sum.
    pub(super) losses: Vec<LossStep>,
    /// Number of labels.
    pub(super) labels: usize,
}

/// See [`Graph::together`]: the most numbers of a value, and the fewest rows.
const NUMBERS: usize = 128 * 1024;
const ROWS: usize = 256;

/// One operation. Its output is the value with the same index.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) operation: Arc<dyn Operation>,
    pub(super) inputs: Vec<Operand>,
    /// Numbers of its output.
    pub(super) numbers: usize,
}

/// One mean loss.
#[derive(Debug, Clone)]
pub(super) struct LossStep {
    pub(super) loss: Arc<dyn Loss>,
    pub(super) inputs: Vec<Operand>,
}

/// An input of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    Parameter(usize),
    Source(Source),
    /// The output of a step.
    Value(usize),
}

/// The meaning of a tensor.
#[derive(Debug, Clone)]
enum Meaning {
    Operand(Operand),
    /// The sum of these losses.
    Losses(Vec<usize>),
}

impl Graph {
    /// The operations of a model. `None` if the model uses others than those of `ops/`, or uses them in a way that plans do not
    /// support.
    pub(crate) fn of(network: &Network, arch: &Arch) -> Option<Self> {
        if matches!(network.model, Chosen::Custom(_)) {
            return None;
        }
        // Only the shapes matter.
        let labels = network.model.context();
        let batch = Batch {
            labels: vec![0; labels],
            tokens: vec![0; labels],
            pixels: vec![0.0; arch.sizes.inputs],
            noise: vec![0.0; arch.architecture.draws()],
            ..Batch::default()
        };
        let shapes = arch.shapes();
        let parameters = shapes.iter().map(|shape| empty(&Shape::from(&shape.dims[..])));
        let parameters = parameters.collect::<candle_core::Result<Vec<_>>>().ok()?;
        let input = Input { sizes: arch.sizes, parameters: &parameters, batch: &batch, device: &Device::Cpu };
        let (loss, recording) = record(|| arch.architecture.loss(&input)).ok()?;
        let operands = parameters.iter().enumerate().map(|(i, p)| (p.id(), Operand::Parameter(i)));
        let graph = Builder::new(operands, recording, labels)?.finish(loss.id())?;
        graph.is_supported(parameters.len()).then_some(graph)
    }

    /// A number of examples whose values stay in the L2 cache from one step to the next, but not so few that reading the weights for
    /// them costs more.
    pub(super) fn together(&self) -> usize {
        let largest = self.steps.iter().map(|step| step.numbers).max().unwrap_or(0);
        (NUMBERS / largest.max(1)).max(ROWS.div_ceil(self.labels.max(1)))
    }

    /// Whether each parameter is a weight of one operation, each other input is a value or a part of the batch without a gradient,
    /// and each value gets a gradient.
    fn is_supported(&self, parameters: usize) -> bool {
        let mut uses = vec![0; parameters];
        let mut has_gradient = vec![false; self.steps.len()];
        for step in &self.steps {
            // Both gradients would have to be written to the same buffer.
            let is_twice = |(i, input): (usize, &Operand)| {
                matches!(input, Operand::Value(_)) && step.inputs[..i].contains(input)
            };
            if step.inputs.iter().enumerate().any(is_twice) {
                return false;
            }
            let weights = step.operation.weights();
            for (i, input) in step.inputs.iter().enumerate() {
                match input {
                    Operand::Parameter(parameter) if weights.contains(&i) => uses[*parameter] += 1,
                    Operand::Source(_) if !weights.contains(&i) && !step.operation.passes(i) => {}
                    Operand::Value(value) if !weights.contains(&i) => {
                        has_gradient[*value] |= step.operation.passes(i);
                    }
                    _ => return false,
                }
            }
        }
        for loss in &self.losses {
            for (i, input) in loss.inputs.iter().enumerate() {
                match input {
                    Operand::Parameter(_) => return false,
                    Operand::Value(value) => has_gradient[*value] |= loss.loss.passes(i),
                    Operand::Source(_) => {}
                }
            }
        }
        uses.iter().all(|uses| *uses == 1) && has_gradient.iter().all(|has| *has)
    }
}

struct Builder {
    meanings: HashMap<TensorId, Meaning>,
    /// How often each tensor is an input.
    uses: HashMap<TensorId, usize>,
    steps: Vec<Step>,
    losses: Vec<LossStep>,
    /// Number of labels.
    labels: usize,
}

impl Builder {
    fn new(
        parameters: impl Iterator<Item = (TensorId, Operand)>,
        recording: Recording,
        labels: usize,
    ) -> Option<Self> {
        let sources = recording.sources.into_iter().map(|(id, source)| (id, Operand::Source(source)));
        let meanings = parameters.chain(sources).map(|(id, operand)| (id, Meaning::Operand(operand)));
        let mut uses = HashMap::new();
        for input in recording.records.iter().flat_map(|record| &record.inputs) {
            *uses.entry(*input).or_insert(0) += 1;
        }
        let (steps, losses) = (Vec::new(), Vec::new());
        let mut builder = Self { meanings: meanings.collect(), uses, steps, losses, labels };
        recording.records.into_iter().try_for_each(|record| builder.call(record))?;
        Some(builder)
    }

    /// Adds a call. `None` if an input is neither a parameter, nor a part of the batch, nor an earlier output.
    fn call(&mut self, record: Record) -> Option<()> {
        let Record { call, inputs, output, numbers } = record;
        let meaning = match call {
            Call::Add => self.add(&inputs, numbers)?,
            Call::Operation(operation) => {
                let inputs = self.operands(&inputs)?;
                self.step(Step { operation, inputs, numbers })
            }
            // All losses must be means over the labels.
            Call::Loss(_, rows) if rows != self.labels => return None,
            Call::Loss(loss, _) => {
                let inputs = self.operands(&inputs)?;
                self.losses.push(LossStep { loss, inputs });
                Meaning::Losses(vec![self.losses.len() - 1])
            }
        };
        self.meanings.insert(output, meaning);
        Some(())
    }

    fn step(&mut self, step: Step) -> Meaning {
        self.steps.push(step);
        Meaning::Operand(Operand::Value(self.steps.len() - 1))
    }

    fn operands(&self, inputs: &[TensorId]) -> Option<Vec<Operand>> {
        let operand = |id| match self.meanings.get(id)? {
            Meaning::Operand(operand) => Some(*operand),
            Meaning::Losses(_) => None,
        };
        inputs.iter().map(operand).collect()
    }

    /// A sum: of losses, or of the output of an operation that can add the other tensor itself, or a separate operation.
    fn add(&mut self, inputs: &[TensorId], numbers: usize) -> Option<Meaning> {
        let [a, b] = inputs else { return None };
        if let [Some(Meaning::Losses(a)), Some(Meaning::Losses(b))] = [a, b].map(|id| self.meanings.get(id)) {
            return Some(Meaning::Losses([&a[..], &b[..]].concat()));
        }
        let operands = self.operands(inputs)?;
        for (id, sum, other) in [(a, operands[0], operands[1]), (b, operands[1], operands[0])] {
            let Operand::Value(at) = sum else { continue };
            let is_earlier = matches!(other, Operand::Value(value) if value < at);
            let step = &mut self.steps[at];
            if let (true, Some(1), Some(operation)) =
                (is_earlier, self.uses.get(id), step.operation.with_residual())
            {
                step.operation = operation;
                step.inputs.push(other);
                return Some(Meaning::Operand(sum));
            }
        }
        Some(self.step(Step { operation: Arc::new(Add), inputs: operands, numbers }))
    }

    /// The graph, if the result is the sum of all losses.
    fn finish(self, result: TensorId) -> Option<Graph> {
        match self.meanings.get(&result) {
            Some(Meaning::Losses(losses)) if losses.iter().copied().eq(0..self.losses.len()) => {
                Some(Graph { steps: self.steps, losses: self.losses, labels: self.labels })
            }
            _ => None,
        }
    }
}
