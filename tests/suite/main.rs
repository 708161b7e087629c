//! One binary for all tests: it links once.

mod clients;
mod config;
mod conformance;
mod damage;
mod embedded;
mod redis;
mod rulebook;
mod rules_doc;
mod servers;
mod service;
mod stories;
mod support;
mod tidy;
mod twins;
