//! One binary for all tests: it links once.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]
#![allow(unreachable_pub, reason = "helpers of a test are pub for their neighbours")]

mod access;
mod archive;
mod canary;
mod changes;
mod cli;
mod clients;
mod clock;
mod config;
mod conformance;
mod convergence;
mod crash;
mod damage;
mod drain;
mod embedded;
mod faults;
mod guarantees;
mod hostile;
mod lapses;
mod model;
mod mutants;
mod overload;
mod proof;
mod pseudonyms;
mod redis;
mod rollout;
mod rulebook;
mod rules_doc;
mod servers;
mod service;
mod stores;
mod stories;
mod stream;
mod support;
mod telemetry;
mod tidy;
mod twins;
mod upgrade;
mod watch;
mod webhook;
