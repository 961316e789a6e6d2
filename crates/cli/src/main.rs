//! The binary `sweep`.

use std::process::ExitCode;

/// Keeps freed pages: training allocates the same buffers again and again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(trainer::custom::Tasks::new())
}
