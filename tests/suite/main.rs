//! One binary for all tests: it links once.

#![allow(unreachable_pub, reason = "one binary: nothing outside reaches in")]

mod cli;
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
mod webhook;
