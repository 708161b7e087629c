//! One binary for all tests: it links once.

mod conformance;
mod rulebook;
mod service;
mod support;
mod tidy;
mod twins;
