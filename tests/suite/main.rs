//! One binary for all tests: it links once.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test may panic, and is no library")]

mod cli;
mod config;
mod conformance;
mod embedded;
mod redis;
mod rulebook;
mod servers;
mod tidy;
mod twins;
