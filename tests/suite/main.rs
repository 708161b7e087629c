//! One binary for all tests: it links once.

mod config;
mod conformance;
mod rulebook;
mod tidy;
mod twins;
