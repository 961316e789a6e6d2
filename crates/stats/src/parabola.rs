//! Parabolas and lines through points, for a minimum between points and for a trend.

/// The lowest point of a parabola.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vertex {
    /// Where it is.
    pub x: f64,
    /// The value there.
    pub y: f64,
}

/// The lowest point of the parabola through three points `(x, y)` with rising x, by divided differences: one step of successive
/// parabolic interpolation (Brent 1973, "Algorithms for Minimization without Derivatives", chapter 5). `None` if the parabola has
/// no lowest point, or has it outside the points.
pub fn vertex(points: [(f64, f64); 3]) -> Option<Vertex> {
    let [(x0, y0), (x1, y1), (x2, y2)] = points;
    let left = (y1 - y0) / (x1 - x0);
    let right = (y2 - y1) / (x2 - x1);
    let curvature = (right - left) / (x2 - x0);
    let x = f64::midpoint(x0, x1) - left / (2.0 * curvature);
    let y = y0 + left * (x - x0) + curvature * (x - x0) * (x - x1);
    let is_minimum = curvature > 0.0 && x > x0 && x < x2;
    (is_minimum && y.is_finite()).then_some(Vertex { x, y })
}

/// A straight line through points by least squares, and how the points bend away from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Mean of x.
    pub x: f64,
    /// Mean of y, which is the line's value there.
    pub y: f64,
    /// Its slope.
    pub slope: f64,
    /// The coefficient of x² in the least-squares parabola through the same points; 0 if they have fewer than three different x.
    pub bend: f64,
}

impl Trend {
    /// The line's value at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.y + self.slope * (x - self.x)
    }
}

/// The line and the parabola through points `(x, y)`, by orthogonal polynomials (Forsythe 1957, "Generation and use of orthogonal
/// polynomials for data-fitting with a digital computer"). `None` if there are fewer than two different x.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let n = points.len() as f64;
    let x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    // The sums of squares of a single x are rounding errors.
    let scale = points.iter().map(|(x, _)| x * x).sum::<f64>() * 1e-20;
    let squares: f64 = points.iter().map(|(at, _)| (at - x).powi(2)).sum();
    if squares.is_nan() || squares <= scale {
        return None;
    }
    let slope = points.iter().map(|(at, value)| (at - x) * (value - y)).sum::<f64>() / squares;
    let cubes: f64 = points.iter().map(|(at, _)| (at - x).powi(3)).sum();
    // (x - mean)² without its parts along 1 and x.
    let second = |at: f64| (at - x).powi(2) - squares / n - (at - x) * cubes / squares;
    let size: f64 = points.iter().map(|(at, _)| second(*at).powi(2)).sum();
    let along: f64 = points.iter().map(|(at, value)| second(*at) * value).sum();
    let bend = if size > squares * squares * 1e-12 { along / size } else { 0.0 };
    Some(Trend { x, y, slope, bend })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
    }

    #[test]
    fn the_vertex_of_a_parabola_is_exact_for_unequal_distances() {
        let parabola = |x: f64| (x, 3.0 + 2.0 * (x - 0.7).powi(2));
        let found = vertex([-1.0, 0.5, 1.2].map(parabola)).expect("a minimum");
        close(found.x, 0.7);
        close(found.y, 3.0);
    }

    #[test]
    fn there_is_no_vertex_without_a_minimum_between_the_points() {
        assert_eq!(vertex([(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]), None, "a maximum");
        assert_eq!(vertex([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]), None, "a line");
        assert_eq!(vertex([(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]), None, "a constant");
        assert_eq!(vertex([(0.0, 9.0), (1.0, 4.0), (2.0, 1.0)]), None, "its minimum is at 3");
        assert_eq!(vertex([(0.0, 1.0), (1.0, 0.0), (2.0, f64::INFINITY)]), None, "diverged");
    }

    /// By hand from the normal equations: Σ(x-3.5)(y-3.5) / Σ(x-3.5)² = 22 / 21.
    #[test]
    fn a_trend_is_the_least_squares_line() {
        let found = trend(&[(1.0, 1.0), (2.0, 3.0), (4.0, 2.0), (7.0, 8.0)]).expect("a line");
        close(found.slope, 22.0 / 21.0);
        close(found.at(3.5), 3.5);
        let parabola: Vec<(f64, f64)> =
            [1.0, 2.0, 4.0, 8.0].map(|x: f64| (x, 2.0 - 3.0 * x + 0.5 * x * x)).to_vec();
        close(trend(&parabola).expect("a line").bend, 0.5);
    }

    #[test]
    fn two_points_have_no_bend_and_one_has_no_trend() {
        let found = trend(&[(1.0, 2.0), (3.0, 6.0)]).expect("a line");
        assert_eq!((found.slope, found.bend), (2.0, 0.0));
        assert_eq!(trend(&[(3.0, 1.0), (3.0, 2.0)]), None);
        assert_eq!(trend(&[]), None);
    }
}
