//! Parse, run, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A decision is many small pieces of memory: this takes an eighth less time for one than the system's
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    callgate::cli::main()
}
