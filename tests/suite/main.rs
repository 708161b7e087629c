//! One binary for all tests: it links once.

mod conformance;
mod embedded;
mod rulebook;
mod rules_doc;
mod stories;
mod tidy;
mod twins;
