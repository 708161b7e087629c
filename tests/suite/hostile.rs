//! Hostile input: what fuzzing found worth keeping (`fuzz/corpus`) is played again.

mod bodies;
mod door;

use std::{fs, path::Path};

use crate::support::tally;

fn replay(folders: &[&str], body: impl Fn(&[u8])) {
    let mut files = Vec::new();
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        files.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
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
    replay(&["fuzz/corpus/webhook", "tests/fixtures/meta", "tests/fixtures/own"], bodies::webhook);
}

#[test]
fn grpc() {
    replay(&["fuzz/corpus/grpc"], bodies::grpc);
}

#[test]
fn token() {
    replay(&["fuzz/corpus/token"], bodies::token);
}

#[test]
fn config() {
    replay(&["fuzz/corpus/config"], bodies::config);
}

#[test]
fn identity() {
    replay(&["fuzz/corpus/identity"], bodies::identity);
}
