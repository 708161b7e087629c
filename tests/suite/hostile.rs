//! Hostile input: what fuzzing found worth keeping (`fuzz/corpus`) is played again.

mod bodies;
mod door;

use std::{fs, path::Path};

use crate::support::tally;

fn replay(target: &str, body: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        println!("{}", file.display());
        body(&fs::read(file).unwrap());
    }
    assert!(files.len() >= 10, "only {} inputs", files.len());
    tally::count("hostile inputs played again", files.len());
}

#[test]
fn webhook() {
    replay("webhook", bodies::webhook);
}

#[test]
fn grpc() {
    replay("grpc", bodies::grpc);
}

#[test]
fn token() {
    replay("token", bodies::token);
}

#[test]
fn config() {
    replay("config", bodies::config);
}

#[test]
fn identity() {
    replay("identity", bodies::identity);
}
