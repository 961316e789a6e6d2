//! Steps in steady state allocate no buffers. Only candle allocates a few bytes, to compare strides when a tensor is updated in place.

#![expect(unsafe_code, reason = "an allocator can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trainer::{Branch, Stack};

use crate::support::{images, shared};

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator; records the largest allocation of each thread.
struct Counting;

// SAFETY: all calls are forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // While a thread ends, its thread-local value no longer exists.
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn steps_in_steady_state_allocate_no_buffers() {
    for (model, optimizer) in [
        ("{kind: mlp, hidden: [16, 8]}", "{kind: sgd, momentum: 0.9}"),
        ("{kind: mlp, hidden: []}", "{kind: adamw}"),
        ("{kind: lenet}", "{kind: sgd, momentum: 0.9, nesterov: true}"),
    ] {
        let text = format!(
            "data: {{dataset: digits, batch_size: 20}}\nmodel: {model}\noptimizer: {optimizer}\n\
             budget: {{steps: 100}}\nevaluate: {{every: 100}}\nlr: {{values: [0.01, 0.02]}}\n\
             schedules: {{cosine: {{kind: cosine, to: 0}}}}\n"
        );
        let plan = trainer::read(&text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
        let images = images(&plan.trials[0]);
        let dir = tempfile::tempdir().expect("a folder");
        let shared = shared(dir.path());
        let branch = Branch::initial(plan.trials, true).pop().expect("a branch");
        let mut stack = Stack::new(branch, &images, &shared, &mut |_| true).expect("it begins");
        for _ in 0..20 {
            stack.advance(&mut |_| true);
        }
        assert_eq!(stack.len(), 2);
        LARGEST.set(0);
        for _ in 0..10 {
            stack.advance(&mut |_| true);
        }
        // The smallest buffer, the labels of a batch, has 80 bytes.
        assert!(LARGEST.get() < 80, "{model} {optimizer}: {} bytes", LARGEST.get());
    }
}
