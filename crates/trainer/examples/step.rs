#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, clippy::panic)]
use std::sync::Arc;
use std::time::Instant;
use trainer::{Branch, Census, Shared, Stack, data, device::Device};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let optimizer = &args[1];
    let model = &args[2];
    let width: usize = args[3].parse().unwrap();
    let steps: u64 = args[4].parse().unwrap();
    let text = format!(
        "data: {{dataset: mnist}}\nmodel: {model}\noptimizer: {optimizer}\nbudget: {{steps: {steps}}}\nevaluate: {{every: {steps}}}\n\
         lr: {{logspace: [0.0001, 0.01, 16]}}\nschedules: {{constant: {{kind: constant}}}}\n"
    );
    let plan = spec::read(&text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let dirs = data::search_dirs(plan.trials[0].config.task.data.dataset, None);
    let images = data::load(plan.trials[0].config.task.data.dataset, None, &dirs).expect("data");
    let shared = Shared { device: Device::Cpu, width, census: Census::default(), most_states: 1000, parking: None, next_stage: Arc::default() };
    let mut queue = Branch::starts(plan.trials.into_iter().take(width).collect(), true);
    let mut stack = Stack::new(queue.pop().unwrap(), &images, &shared, &mut |_| true).unwrap();
    for _ in 0..50 { stack.advance(&mut |_| true); }
    let start = Instant::now();
    let n = steps - 60;
    for _ in 0..n { stack.advance(&mut |_| true); }
    println!("{} lanes: {:.1} us per trial-step (wall)", stack.len(), start.elapsed().as_secs_f64() * 1e6 / (n as f64 * stack.len() as f64));
}
