//! One binary for all tests: it links once.

mod embedded;
mod rulebook;
