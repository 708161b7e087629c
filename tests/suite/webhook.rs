//! Meta's front door, over real HTTP on the embedded store in memory.

mod batch;
mod bounds;
mod door;
mod fixtures;
mod flaky;
mod refusals;
