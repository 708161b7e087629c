//! One binary for all tests: it links once.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]
#![allow(unreachable_pub, reason = "helpers of a test are pub for their neighbours")]

mod clients;
mod conformance;
mod embedded;
mod redis;
mod rulebook;
mod servers;
mod service;
mod support;
mod tidy;
mod twins;
