use super::*;

/// Cosine from 1 to 0.1 after a warmup, or a drop to 0.3 at 60 %.
fn runs() -> [Lrs; 2] {
    let at: Vec<f64> = (1..=10).map(|i| f64::from(i) * 100.0).collect();
    let warm = |t: u32| (f64::from(t + 1) / 50.0).min(1.0);
    let cosine =
        (0..1000).map(|t| warm(t) * (0.55 + 0.45 * (f64::from(t) / 1000.0 * std::f64::consts::PI).cos()));
    let drop = (0..1000).map(|t| if t < 600 { warm(t) } else { 0.3 });
    [Lrs::new(cosine, &at), Lrs::new(drop, &at)]
}

const UNITS: Units = Units { peak: 1.0, sum: 975.0, steps: 1000.0 };

fn parameters(law: Law) -> Vec<f64> {
    match law {
        Law::Tissue => vec![2.0, -1.0, 0.5, -1.2, -3.0],
        Law::MultiPower => vec![2.0, -1.0, 0.5, -1.2, 4.0, 0.5, 0.6],
    }
}

#[test]
fn slopes_are_derivatives() {
    for law in Law::ALL {
        for lrs in runs() {
            for point in &lrs.points {
                assert_slopes(law, &lrs, point);
            }
        }
    }
}

/// Compares the slopes at one point with differences.
fn assert_slopes(law: Law, lrs: &Lrs, point: &Point) {
    let p = parameters(law);
    let mut slopes = vec![0.0; p.len()];
    law.loss(&p, &UNITS, lrs, point, &mut slopes);
    for (i, slope) in slopes.iter().enumerate() {
        let at = |by: f64| {
            let mut moved = p.clone();
            moved[i] += by;
            law.loss(&moved, &UNITS, lrs, point, &mut [])
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((slope - numeric).abs() < 1e-6, "{law:?} {i}: {slope} {numeric}");
    }
}

/// The formula of the paper, step by step, without groups or units.
#[test]
fn tissue_is_the_formula_of_its_paper() {
    let lrs: Vec<f64> =
        (0..1000).map(|t| if t < 400 { 1.0 } else { 1.0 - 0.9 * f64::from(t - 400) / 600.0 }).collect();
    let (limit, a, alpha, c, lambda) = (2.0, 8.0, 0.5, 1.5e-3, 0.99_f64);
    let (mut s1, mut s2, mut momentum, mut before) = (0.0, 0.0, 0.0, 1.0);
    let mut expected = Vec::new();
    for lr in &lrs {
        momentum = lambda * momentum + (before - lr);
        (s1, s2, before) = (s1 + lr, s2 + momentum, *lr);
        expected.push(limit + a * f64::powf(s1, -alpha) - c * s2);
    }
    let total: f64 = lrs.iter().sum();
    let at: Vec<f64> = (1..=100).map(|i| f64::from(i) * 10.0).collect();
    let reduced = Lrs::new(lrs.iter().copied(), &at);
    let units = Units { peak: 1.0, sum: total, steps: 1000.0 };
    let tau = -1.0 / lambda.ln();
    let p = [limit, (a * total.powf(-alpha)).ln(), alpha, (c / (1.0 - lambda)).ln(), (tau / 1000.0).ln()];
    for (point, at) in reduced.points.iter().zip(&at) {
        let found = Law::Tissue.loss(&p, &units, &reduced, point, &mut []);
        let expected = expected[*at as usize - 1];
        assert!((found - expected).abs() < 2e-4, "{at}: {found} {expected}");
    }
}

/// The same for the multi-power law.
#[test]
fn multi_power_is_the_formula_of_its_paper() {
    let lrs: Vec<f64> = (0..1000)
        .map(|t| if t < 400 { 3e-4 } else { 3e-4 * 0.1_f64.powf(f64::from(t - 400) / 600.0) })
        .collect();
    let (limit, a, alpha, b, c, beta, gamma) = (2.6, 0.6, 0.5, 400.0, 2.0, 0.6, 0.6);
    let loss = |t: usize| {
        let s1: f64 = lrs[..=t].iter().sum();
        let effect: f64 = (1..=t)
            .map(|k| {
                let since: f64 = lrs[k..=t].iter().sum();
                (lrs[k - 1] - lrs[k]) * (1.0 - (c * lrs[k].powf(-gamma) * since + 1.0).powf(-beta))
            })
            .sum();
        limit + a * s1.powf(-alpha) - b * effect
    };
    let total: f64 = lrs.iter().sum();
    let at: Vec<f64> = (1..=50).map(|i| f64::from(i) * 20.0).collect();
    let reduced = Lrs::new(lrs.iter().copied(), &at);
    let units = Units { peak: 3e-4, sum: total, steps: 1000.0 };
    let speed = (c * 3e-4_f64.powf(-gamma) * total).ln();
    let p = [limit, (a * total.powf(-alpha)).ln(), alpha, (b * 3e-4_f64).ln(), speed, beta, gamma];
    for (point, at) in reduced.points.iter().zip(&at) {
        let found = Law::MultiPower.loss(&p, &units, &reduced, point, &mut []);
        let expected = loss(*at as usize - 1);
        assert!((found - expected).abs() < 2e-4, "{at}: {found} {expected}");
    }
}
