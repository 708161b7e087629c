//! One binary for all tests: it links once.

mod conformance;
mod embedded;
mod rulebook;
mod tidy;
mod twins;
mod webhook;
