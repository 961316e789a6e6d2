//! Sums with a fixed order of additions: the same bits for the same numbers, on any processor.

use crate::multiversioned;

/// Number of running sums: number i is added to sum i mod `LANES`. That is enough to fill vectors, and fixes the order of additions.
const LANES: usize = 16;

/// Adds running sums as a tree.
macro_rules! tree {
    ($sums:ident) => {{
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                $sums[i] += $sums[i + width];
            }
        }
        $sums[0]
    }};
}

/// Sum of squares, in f64, of numbers that arrive in pieces. The bits do not depend on how they are split.
#[derive(Debug, Clone, Copy, Default)]
pub struct SumOfSquares {
    sums: [f64; LANES],
    /// Numbers so far.
    count: usize,
}

impl SumOfSquares {
    /// Adds the next numbers.
    pub fn add(&mut self, values: &[f32]) {
        // Complete the current round of lanes first; then add whole rounds.
        let head_len = (LANES - self.count % LANES) % LANES;
        let (head, rest) = values.split_at(head_len.min(values.len()));
        for (sum, x) in self.sums.iter_mut().skip(self.count % LANES).zip(head) {
            *sum += f64::from(*x) * f64::from(*x);
        }
        add_squares(&mut self.sums, rest);
        self.count += values.len();
    }

    /// The sum.
    pub fn sum(self) -> f64 {
        let mut sums = self.sums;
        tree!(sums)
    }
}

multiversioned! {
/// The product of two `f32` is exact in `f64`, so the bits are the same with and without fused multiply-add.
fn add_squares(sums: &mut [f64; LANES], values: &[f32]) {
    let mut running = *sums;
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (sum, x) in running.iter_mut().zip(chunk) {
            let x = f64::from(*x);
            *sum = x.mul_add(x, *sum);
        }
    }
    for (sum, x) in running.iter_mut().zip(chunks.remainder()) {
        let x = f64::from(*x);
            *sum = x.mul_add(x, *sum);
    }
    *sums = running;
}
}

/// Sum of squares, in f64.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sum = SumOfSquares::default();
    sum.add(values);
    sum.sum()
}

multiversioned! {
/// Sum of absolute values, in f64.
pub fn magnitude(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(x.abs());
        }
    }
    for (sum, x) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += f64::from(x.abs());
    }
    tree!(sums)
}
}

multiversioned! {
/// Sum of products, in f64. The slices must have the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (mut left, mut right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut left).zip(&mut right) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(left.remainder()).zip(right.remainder()) {
        *sum += f64::from(*a) * f64::from(*b);
    }
    tree!(sums)
}
}

multiversioned! {
/// Sum.
pub fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += x;
    }
    tree!(sums)
}
}

/// Adds the rows of a (rows, columns) matrix from the first to the last.
pub fn sum_rows(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; columns];
    sum_rows_into(matrix, &mut sums);
    sums
}

/// [`sum_rows`] into a slice; its length is the number of columns.
pub fn sum_rows_into(matrix: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    add_rows(matrix, sums);
}

multiversioned! {
/// Adds the rows of a matrix to `sums`; its length is the number of columns.
pub fn add_rows(matrix: &[f32], sums: &mut [f32]) {
    for row in matrix.chunks_exact(sums.len().max(1)) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_correct_for_all_lengths() {
        for n in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            let expected: f64 = (1..=n).map(|i| f64::from(i) * f64::from(i)).sum();
            assert_eq!(sum_of_squares(&values), expected, "{n}");
            assert_eq!(dot(&values, &values), expected, "{n}");
            for cut in 0..=values.len() {
                let (mut pieces, (head, tail)) = (SumOfSquares::default(), values.split_at(cut));
                pieces.add(head);
                pieces.add(tail);
                assert_eq!(pieces.sum().to_bits(), sum_of_squares(&values).to_bits(), "{n} cut at {cut}");
            }
            let negative: Vec<f32> = values.iter().map(|x| -x).collect();
            assert_eq!(magnitude(&negative), values.iter().map(|x| f64::from(*x)).sum::<f64>(), "{n}");
            assert_eq!(sum(&values), values.iter().sum::<f32>(), "{n}");
        }
        assert_eq!(sum_rows(&[1.0, 2.0, 3.0, 4.0], 2), [4.0, 6.0]);
        assert!(sum_rows(&[], 3).iter().all(|x| *x == 0.0));
    }
}
