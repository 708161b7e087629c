//! One binary for all tests: it links once.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]
#![allow(unreachable_pub, reason = "helpers of a test are pub for their neighbours")]

mod changes;
mod cli;
mod clients;
mod config;
mod conformance;
mod damage;
mod embedded;
mod model;
mod redis;
mod rulebook;
mod rules_doc;
mod servers;
mod service;
mod stores;
mod stories;
mod stream;
mod support;
mod tidy;
mod twins;
mod watch;
mod webhook;
