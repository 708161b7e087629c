//! One binary for all tests: it links once.

mod cli;
mod config;
mod conformance;
mod embedded;
mod redis;
mod rulebook;
mod servers;
mod tidy;
mod twins;
