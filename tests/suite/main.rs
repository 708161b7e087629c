//! One binary for all tests: it links once.

mod redis;
mod rulebook;
mod servers;
