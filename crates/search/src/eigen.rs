//! Eigenvectors of small symmetric matrices.

/// A square matrix, row by row.
pub(crate) type Matrix = Vec<Vec<f64>>;

/// Rotations over all pairs; a matrix of 20 rows needs fewer than 10.
const SWEEPS: usize = 50;

/// Identity matrix.
pub(crate) fn identity(n: usize) -> Matrix {
    (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

/// Eigenvalues of a symmetric matrix, and its eigenvectors as rows, by the cyclic method of Jacobi (Golub and Van Loan 2013, 8.5). Uses
/// only sums, products and square roots, so its bits are the same on every machine.
pub(crate) fn eigen(matrix: &Matrix) -> (Vec<f64>, Matrix) {
    let n = matrix.len();
    let (mut a, mut vectors) = (matrix.clone(), identity(n));
    for _ in 0..SWEEPS {
        let mut off = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                off += a[p][q] * a[p][q];
                rotate(&mut a, &mut vectors, p, q);
            }
        }
        if off == 0.0 {
            break;
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), vectors)
}

/// Makes the element (p, q) zero.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    let (app, aqq, apq) = (a[p][p], a[q][q], a[p][q]);
    // Too small to change the diagonal.
    if apq.abs() <= f64::EPSILON * 0.01 * (app.abs() * aqq.abs()).sqrt() {
        a[p][q] = 0.0;
        a[q][p] = 0.0;
        return;
    }
    let theta = (aqq - app) / (2.0 * apq);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    for row in a.iter_mut() {
        let (x, y) = (row[p], row[q]);
        row[p] = cosine * x - sine * y;
        row[q] = sine * x + cosine * y;
    }
    rotate_rows(a, p, q, (cosine, sine));
    rotate_rows(vectors, p, q, (cosine, sine));
    a[p][q] = 0.0;
    a[q][p] = 0.0;
}

fn rotate_rows(matrix: &mut Matrix, p: usize, q: usize, (cosine, sine): (f64, f64)) {
    let (first, second) = (matrix[p].clone(), matrix[q].clone());
    let rotated = |a: f64, b: f64| first.iter().zip(&second).map(|(x, y)| a * x + b * y).collect();
    matrix[p] = rotated(cosine, -sine);
    matrix[q] = rotated(sine, cosine);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_diagonalize() {
        let matrix = vec![
            vec![4.0, 1.0, 0.5, 0.0],
            vec![1.0, 3.0, 0.2, 0.1],
            vec![0.5, 0.2, 2.0, 0.3],
            vec![0.0, 0.1, 0.3, 1.0],
        ];
        let (values, vectors) = eigen(&matrix);
        for (value, vector) in values.iter().zip(&vectors) {
            assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
            for (row, x) in matrix.iter().zip(vector) {
                let product: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                assert!((product - value * x).abs() < 1e-12, "{product} and {}", value * x);
            }
        }
        assert!((values.iter().sum::<f64>() - 10.0).abs() < 1e-12);
    }
}
