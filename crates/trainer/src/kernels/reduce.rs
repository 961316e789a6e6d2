//! Sums with a fixed order of additions: the same bits for the same numbers, on any processor.

use super::simd::leveled;

/// Running sums: number i goes to sum i mod `LANES`. Enough of them to keep vectors busy, and the order of
/// additions is not left to the compiler.
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

/// Adds a term for each number of a list, in f64.
macro_rules! sum_of_terms {
    ($values:ident, |$x:ident| $term:expr) => {{
        let mut sums = [0.0f64; LANES];
        let mut chunks = $values.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (sum, $x) in sums.iter_mut().zip(chunk) {
                *sum += $term;
            }
        }
        for (sum, $x) in sums.iter_mut().zip(chunks.remainder()) {
            *sum += $term;
        }
        tree!(sums)
    }};
}

leveled! {
/// Sum of squares, in f64.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    sum_of_terms!(values, |x| f64::from(*x) * f64::from(*x))
}
}

leveled! {
/// Sum of absolute values, in f64.
pub fn magnitude(values: &[f32]) -> f64 {
    sum_of_terms!(values, |x| f64::from(x.abs()))
}
}

leveled! {
/// Sum of products, in f64. What is longer is cut.
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

leveled! {
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

leveled! {
/// Adds the rows of a (rows, columns) matrix from the first to the last.
pub fn sum_rows(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; columns];
    if columns > 0 {
        for row in matrix.chunks_exact(columns) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
    sums
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_right_for_lengths_that_are_no_multiple_of_the_width() {
        for n in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            let expected: f64 = (1..=n).map(|i| f64::from(i) * f64::from(i)).sum();
            assert_eq!(sum_of_squares(&values), expected, "{n}");
            assert_eq!(dot(&values, &values), expected, "{n}");
            let negative: Vec<f32> = values.iter().map(|x| -x).collect();
            assert_eq!(magnitude(&negative), values.iter().map(|x| f64::from(*x)).sum::<f64>(), "{n}");
            assert_eq!(sum(&values), values.iter().sum::<f32>(), "{n}");
        }
        assert_eq!(sum_rows(&[1.0, 2.0, 3.0, 4.0], 2), [4.0, 6.0]);
        assert!(sum_rows(&[], 3).iter().all(|x| *x == 0.0));
    }
}
