//! Fractal Chebyshev steps.

use std::f64::consts::PI;

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, required};
use crate::formula::{Term, TermPosition};
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "chebyshev",
    aliases: &["get_chebyshev_schedule", "fractal_chebyshev"],
    summary: "reciprocal Chebyshev nodes in fractal order, up to 20x",
    formula: "lr = base / (0.525 - 0.475 cos(pi (j + 0.5) / n)), where n = 2^(floor(log2(epochs - 1)) + 1) and j is \
              the fractal permutation of max(s - 2, 0). As in the library, for up to 4 epochs only the first half of \
              the nodes is used",
    symbols: &[("n", "number of nodes, a power of 2"), ("j", "index of a node in fractal order")],
    ends: Ends {
        before: "the first three positions share one node",
        at: "`epochs` should be the length of the run in ticks: a shorter run skips nodes",
        after: "the lr of the last node",
    },
    source: "Agarwal et al. 2021; pytorch_optimizer get_chebyshev_schedule",
    example: "{clock: epoch, kind: chebyshev, epochs: 8}",
    params: &[required("epochs", ParamType::Whole(1), "number of ticks over which the nodes are spread")],
    build: Build::Leaf(|reader| {
        let epochs = reader.whole("epochs")?;
        if epochs > 1 << 40 {
            reader.problem("epochs", "expected at most 2^40");
            return None;
        }
        // epochs - 1 >= 1 has floor(log2) = 63 - leading zeros.
        let levels = if epochs > 1 { 64 - (epochs - 1).leading_zeros() } else { 0 };
        // The library permutes at least n - 2 indices, not n.
        let order = if levels < 3 { levels.saturating_sub(1) } else { levels };
        Some(Box::new(Chebyshev { levels, order }))
    }),
};

#[derive(Debug)]
struct Chebyshev {
    /// log2 of the number of nodes.
    levels: u32,
    /// log2 of the number of indices that the permutation visits.
    order: u32,
}

/// Element `i` of the fractal permutation of 2^levels elements: each level interlaces the half-length
/// permutation with its mirror image, so the lowest bit of `i` says whether to mirror.
fn fractal(i: u64, levels: u32) -> u64 {
    match levels {
        0 => 0,
        _ => {
            let inner = fractal(i >> 1, levels - 1);
            if i & 1 == 0 { inner } else { (1 << levels) - 1 - inner }
        }
    }
}

impl Chebyshev {
    /// The last index that the permutation visits.
    fn last(&self) -> u64 {
        (1_u64 << self.order) - 1
    }

    /// The divisor of the base lr.
    fn divisor(&self, s: f64) -> f64 {
        let i = ((s - 2.0).max(0.0) as u64).min(self.last());
        let node = fractal(i, self.order) as f64 + 0.5;
        0.525 - 0.475 * libm::cos(PI * node / (1_u64 << self.levels) as f64)
    }
}

impl Leaf for Chebyshev {
    fn lr(&self, at: &Position) -> f64 {
        at.base / self.divisor(at.s)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let last = at.s.ends().1.min(self.last() as f64 + 2.0);
        let divisors: Vec<f64> = (0..=last as u64).map(|s| self.divisor(s as f64)).collect();
        let index = at.s.clone().divide_down(1.0.into()).at_most(last.floor());
        at.base.clone() / index.entry("divisors", &divisors)
    }
}

#[cfg(test)]
mod tests {
    use super::fractal;

    /// The definition: the permutation of 2n interlaces that of n with its mirror image.
    #[test]
    fn the_permutation_interlaces_itself_with_its_mirror_image() {
        let mut permutation = vec![0_u64];
        for levels in 0..8 {
            let closed: Vec<u64> = (0..permutation.len() as u64).map(|i| fractal(i, levels)).collect();
            assert_eq!(closed, permutation);
            let mirror = 2 * permutation.len() as u64 - 1;
            permutation = permutation.iter().flat_map(|i| [*i, mirror - i]).collect();
        }
    }
}
