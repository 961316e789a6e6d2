//! The vectors of a step that rules on gradients use. A trainer stores them as tensors on a device, [`Plain`]
//! as lists of numbers; a rule only needs products and sums.

/// A vector as long as all parameters together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vector {
    /// The gradient just computed, before clipping.
    Gradient,
    /// The parameters, before the update.
    Parameters,
    /// A vector that the rule stores.
    Kept(Kept),
    /// The stored start minus the parameters.
    ToStart,
}

/// The vectors that a rule stores between steps, in addition to its numbers. They are part of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The parameters at the start of the rule.
    Start,
    /// The gradient of the step before.
    Previous,
    /// A decaying sum of gradients.
    Sum,
}

impl Kept {
    /// Its name in a checkpoint.
    pub fn name(self) -> &'static str {
        match self {
            Kept::Start => "start",
            Kept::Previous => "previous",
            Kept::Sum => "sum",
        }
    }
}

/// The vectors of one step. `rule` is the index of the calling rule; each rule has its own stored vectors. If
/// a device fails, results are NaN and the implementor keeps the error.
pub trait Vectors {
    /// The inner product.
    fn dot(&mut self, rule: usize, a: Vector, b: Vector) -> f64;

    /// The sum of absolute values.
    fn magnitude(&mut self, rule: usize, of: Vector) -> f64;

    /// Stores a copy of a vector.
    fn keep(&mut self, rule: usize, kept: Kept, of: Vector);

    /// Sets the stored vector to `decay` times itself plus `scale` times the gradient. With a decay of 0 its
    /// old value is ignored.
    fn accumulate(&mut self, rule: usize, kept: Kept, decay: f64, scale: f64);
}

/// The vectors of one rule.
pub(crate) struct RuleVectors<'a> {
    pub(crate) rule: usize,
    pub(crate) vectors: &'a mut dyn Vectors,
}

impl RuleVectors<'_> {
    pub(crate) fn dot(&mut self, a: Vector, b: Vector) -> f64 {
        self.vectors.dot(self.rule, a, b)
    }

    pub(crate) fn magnitude(&mut self, of: Vector) -> f64 {
        self.vectors.magnitude(self.rule, of)
    }

    pub(crate) fn keep(&mut self, kept: Kept, of: Vector) {
        self.vectors.keep(self.rule, kept, of);
    }

    pub(crate) fn accumulate(&mut self, kept: Kept, decay: f64, scale: f64) {
        self.vectors.accumulate(self.rule, kept, decay, scale);
    }
}

/// Vectors as plain lists of numbers, for recorded runs. Missing lists count as empty.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    /// The parameters, before the update.
    pub parameters: Vec<f64>,
    /// The gradient.
    pub gradient: Vec<f64>,
    kept: Vec<(usize, Kept, Vec<f64>)>,
}

impl Plain {
    fn kept(&self, rule: usize, kept: Kept) -> &[f64] {
        let found = self.kept.iter().find(|(of, what, _)| (*of, *what) == (rule, kept));
        found.map_or(&[], |(.., numbers)| numbers)
    }

    fn set(&mut self, rule: usize, kept: Kept, numbers: Vec<f64>) {
        self.kept.retain(|(of, what, _)| (*of, *what) != (rule, kept));
        self.kept.push((rule, kept, numbers));
    }

    fn numbers(&self, rule: usize, vector: Vector) -> Vec<f64> {
        match vector {
            Vector::Gradient => self.gradient.clone(),
            Vector::Parameters => self.parameters.clone(),
            Vector::Kept(kept) => self.kept(rule, kept).to_vec(),
            Vector::ToStart => {
                self.kept(rule, Kept::Start).iter().zip(&self.parameters).map(|(a, b)| a - b).collect()
            }
        }
    }
}

impl Vectors for Plain {
    fn dot(&mut self, rule: usize, a: Vector, b: Vector) -> f64 {
        let (a, b) = (self.numbers(rule, a), self.numbers(rule, b));
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn magnitude(&mut self, rule: usize, of: Vector) -> f64 {
        self.numbers(rule, of).iter().map(|x| x.abs()).sum()
    }

    fn keep(&mut self, rule: usize, kept: Kept, of: Vector) {
        let numbers = self.numbers(rule, of);
        self.set(rule, kept, numbers);
    }

    fn accumulate(&mut self, rule: usize, kept: Kept, decay: f64, scale: f64) {
        let old = if decay == 0.0 { &[] } else { self.kept(rule, kept) };
        let old = old.iter().copied().chain(std::iter::repeat(0.0));
        let sum = self.gradient.iter().zip(old).map(|(g, old)| decay * old + scale * g).collect();
        self.set(rule, kept, sum);
    }
}
