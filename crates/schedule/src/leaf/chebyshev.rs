//! Fractal Chebyshev steps.

use std::f64::consts::PI;

use super::Leaf;
use crate::catalogue::{Build, Entry, Holds, required};
use crate::segment::At;

pub(crate) static ENTRY: Entry = Entry {
    kind: "chebyshev",
    aliases: &["get_chebyshev_schedule", "fractal_chebyshev"],
    summary: "reciprocal Chebyshev nodes in fractal order; may exceed the base lr 19 times",
    formula: "lr = base / (0.525 - 0.475 cos(pi (j + 0.5) / n)), n = 2^(floor(log2(epochs - 1)) + 1), j the fractal \
              permutation of max(s - 2, 0), the last node held; the first three positions share one node",
    source: "Agarwal et al. 2021; pytorch_optimizer get_chebyshev_schedule",
    example: "{clock: epoch, kind: chebyshev, epochs: 8}",
    params: &[required("epochs", Holds::Whole(1), "number of ticks to spread the nodes over")],
    build: Build::Leaf(|reader| {
        let epochs = reader.whole("epochs")?;
        if epochs > 1 << 40 {
            reader.problem("epochs", "expected at most 2^40");
            return None;
        }
        // epochs - 1 >= 1 has floor(log2) = 63 - leading zeros.
        let levels = if epochs > 1 { 64 - (epochs - 1).leading_zeros() } else { 0 };
        Some(Box::new(Chebyshev { levels }))
    }),
};

#[derive(Debug)]
struct Chebyshev {
    /// log2 of the number of nodes.
    levels: u32,
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

impl Leaf for Chebyshev {
    fn lr(&self, at: &At) -> f64 {
        let n = 1_u64 << self.levels;
        // Two nodes: the library's permutation has one element then.
        let last = if self.levels < 2 { 0 } else { n - 1 };
        let i = ((at.s - 2.0).max(0.0) as u64).min(last);
        let node = fractal(i, self.levels) as f64 + 0.5;
        at.base / (0.525 - 0.475 * libm::cos(PI * node / n as f64))
    }
}
