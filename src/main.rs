//! Parse, run, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A decision is many small pieces of memory: this takes an eighth less time for one than the system's
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // With huge pages an idle gate of 18 MB takes 39 (docs/performance.md). Where they cannot be turned off
    // it takes more, and that is all.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    callgate::cli::main()
}
