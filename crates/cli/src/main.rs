//! The binary `sweep`.

use std::process::ExitCode;

/// Returns no pages to the system between steps: training allocates the same buffers again and again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(trainer::custom::Tasks::new())
}
