//! Times matrix products: for each shape GFLOP/s, and the share of the most multiply-adds that one thread does. All shapes are
//! timed in turn, round after round, so that what else the machine does hits all alike.
//!
//!     cargo run --release -p sweep-kernels --example products [-- --rounds 15] [--lines] [--best] [FILTER]
//!
//! With `--lines` it prints only names and medians (or the best of all rounds), for `benches/products`.

#![expect(clippy::print_stdout, reason = "a program that prints")]

#[expect(unsafe_code, reason = "it calls instructions")]
#[path = "../../../benches/fma.rs"]
mod fma;

use rustix::time::{ClockId, clock_gettime};

use kernels::matmul::{Epilogue, Strided, Target, Workspace, matmul};

/// Seconds that a shape runs in a round. It is short, so that the best round was not interrupted.
const ROUND: f64 = 0.003;

/// Seconds of processor time of this thread.
fn seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Layers of our models: rows, inputs, outputs.
const LAYERS: [(usize, usize, usize); 14] = [
    (100, 784, 512),
    (1024, 128, 512),
    (1024, 512, 128),
    (1024, 128, 384),
    (1024, 128, 128),
    (1024, 128, 65),
    (100, 512, 256),
    (100, 256, 2),
    (100, 2, 256),
    (64, 784, 128),
    (64, 128, 10),
    (64, 32, 64),
    (64, 64, 32),
    (500, 784, 128),
];

/// A product of a layer: its output, the gradient of its weight, or the gradient of its input.
#[derive(Clone, Copy, Debug)]
enum Pass {
    Forward,
    Weight,
    Input,
}

struct Case {
    name: String,
    sizes: (usize, usize, usize),
    pass: Pass,
    x: Vec<f32>,
    w: Vec<f32>,
    z: Vec<f32>,
    gflops: Vec<f64>,
}

impl Case {
    fn new(sizes: (usize, usize, usize), pass: Pass) -> Self {
        let (rows, inputs, outputs) = sizes;
        // Numbers of both signs, so that no sum grows.
        let numbers =
            |count: usize, step: usize| (0..count).map(|i| (i * step % 17) as f32 / 8.0 - 1.0).collect();
        Self {
            name: format!("{rows}x{inputs}x{outputs} {}", format!("{pass:?}").to_lowercase()),
            sizes,
            pass,
            x: numbers(rows * inputs, 5),
            w: numbers(inputs * outputs, 7),
            z: numbers(rows * outputs, 11),
            gflops: Vec::new(),
        }
    }

    fn run(&mut self, space: &mut Workspace) {
        let (rows, inputs, outputs) = self.sizes;
        let plain = Epilogue::default();
        match self.pass {
            Pass::Forward => {
                let (x, w) = (Strided::rows(&self.x, inputs), Strided::rows(&self.w, outputs));
                matmul((rows, outputs, inputs), x, w, Target::rows(&mut self.z, outputs), plain, space);
            }
            Pass::Weight => {
                let (x, z) = (Strided::rows(&self.x, inputs).transposed(), Strided::rows(&self.z, outputs));
                matmul((inputs, outputs, rows), x, z, Target::rows(&mut self.w, outputs), plain, space);
            }
            Pass::Input => {
                let (z, w) = (Strided::rows(&self.z, outputs), Strided::rows(&self.w, outputs).transposed());
                matmul((rows, inputs, outputs), z, w, Target::rows(&mut self.x, inputs), plain, space);
            }
        }
    }

    /// Adds the speed of one round.
    fn time(&mut self, space: &mut Workspace) {
        let (rows, inputs, outputs) = self.sizes;
        let flop = 2.0 * (rows * inputs * outputs) as f64;
        let times = (ROUND * 40e9 / flop).ceil() as usize;
        self.run(space);
        let began = seconds();
        for _ in 0..times {
            self.run(space);
        }
        self.gflops.push(flop * times as f64 / (seconds() - began) / 1e9);
    }
}

/// The value below which a share of the numbers is.
fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn main() {
    let mut words = std::env::args().skip(1);
    let (mut rounds, mut lines, mut best, mut filter) = (15, false, false, String::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().and_then(|n| n.parse().ok()).unwrap_or(rounds),
            "--lines" => lines = true,
            "--best" => best = true,
            "--median" => best = false,
            _ => filter = word,
        }
    }
    let passes = [Pass::Forward, Pass::Weight, Pass::Input];
    let all = LAYERS.into_iter().flat_map(|sizes| passes.map(|pass| Case::new(sizes, pass)));
    let mut cases: Vec<Case> = all.filter(|case| case.name.contains(&filter)).collect();
    let mut space = Workspace::default();
    let mut peaks = Vec::new();
    for _ in 0..rounds {
        peaks.push(fma::peak());
        cases.iter_mut().for_each(|case| case.time(&mut space));
    }
    let share = if best { 1.0 } else { 0.5 };
    let peak = quantile(&peaks, share);
    if lines {
        println!("peak\t{peak}");
    } else {
        println!("peak {peak:.1} GFLOP/s ({:.1} to {:.1})", quantile(&peaks, 0.0), quantile(&peaks, 1.0));
    }
    for Case { name, gflops, .. } in &cases {
        let [low, median, high, best] = [0.25, 0.5, 0.75, 1.0].map(|share| quantile(gflops, share));
        if lines {
            println!("{name}\t{}", quantile(gflops, share));
            continue;
        }
        let share = quantile(gflops, share) / peak * 100.0;
        println!("{name:24} {median:6.1} ({low:.1} to {high:.1}, best {best:.1})  {share:3.0} % of the peak");
    }
}
