//! One binary for all tests: it links once.

mod conformance;
mod redis;
mod rulebook;
mod servers;
mod tidy;
mod twins;
