//! What a run as a whole went through: commands, kills, faults, mutants. `make test` and `make soak`
//! print the sums at their end.

use std::{fs::OpenOptions, io::Write as _, time::Duration};

/// Adds to a sum. `what` is a plural, said in the words of the summary: "kills of a gate".
pub fn count(what: &str, n: usize) {
    println!("{n} {what}");
    let Ok(file) = std::env::var("CALLGATE_TALLY") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    // One short write: tests run beside each other.
    file.write_all(format!("{n}\t{what}\n").as_bytes()).unwrap();
}

/// How long a test of `make soak` goes on.
pub fn soak() -> Duration {
    let seconds = std::env::var("CALLGATE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}
