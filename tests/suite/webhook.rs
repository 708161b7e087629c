//! Meta's front door, over real HTTP on the embedded store in memory.

mod batch;
mod door;
mod fixtures;
mod flaky;
mod refusals;
