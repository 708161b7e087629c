//! One binary for all tests: it links once.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test may panic, and is no library")]

mod clients;
mod config;
mod conformance;
mod embedded;
mod redis;
mod rulebook;
mod rules_doc;
mod servers;
mod service;
mod stores;
mod stories;
mod support;
mod tidy;
mod twins;
