//! The executable: parses the command line and runs it.

use std::process::ExitCode;

// Requests allocate many small, short-lived buffers on every worker at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    conch::memory::stay_small();
    conch::cli::run()
}
