//! One binary for all tests: it links once.

mod conformance;
mod rulebook;
mod tidy;
mod twins;
