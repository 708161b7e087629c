//! One binary for all tests: it links once.

mod conformance;
mod embedded;
mod rulebook;
mod service;
mod support;
mod tidy;
mod twins;
