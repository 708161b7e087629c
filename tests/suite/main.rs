//! One binary for all tests: it links once.

mod clients;
mod config;
mod conformance;
mod embedded;
mod redis;
mod rulebook;
mod servers;
mod service;
mod support;
mod tidy;
mod twins;
