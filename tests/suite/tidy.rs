//! What the code may not do, where a compiler does not say so: the directions between modules, the
//! purity of the rulebook, marks left open.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn files(under: &str, ending: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(under);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{ending} files under {under}");
    found
}

/// Every line of code under `folder` that has one of `words`, as `file:line: text`.
fn lines_with(folder: &str, ending: &str, words: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for path in files(folder, ending) {
        let text = fs::read_to_string(&path).unwrap();
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("").split("--").next().unwrap_or("");
            if words.iter().any(|word| code.contains(word)) {
                hits.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    hits
}

fn none(rule: &str, hits: &[String]) {
    assert!(hits.is_empty(), "{rule}:\n{}", hits.join("\n"));
}

#[test]
fn the_engine_knows_no_edge_and_no_store() {
    let edges = [
        "tonic::",
        "prost",
        "axum",
        "redis::",
        "mlua",
        "crate::store",
        "crate::service",
        "crate::webhook",
        "crate::proto",
        "crate::config",
        "crate::cli",
        "crate::rulebook",
    ];
    none("the engine is the domain alone", &lines_with("src/engine", "rs", &edges));
}

#[test]
fn the_stores_know_no_wire_to_the_world() {
    let wires = ["tonic", "axum", "crate::proto", "crate::service", "crate::webhook", "crate::cli"];
    none("a store knows the engine only", &lines_with("src/store", "rs", &wires));
}

#[test]
fn watching_knows_the_engine_only() {
    let others = [
        "tonic",
        "axum",
        "redis::",
        "mlua",
        "crate::store",
        "crate::service",
        "crate::webhook",
        "crate::proto",
        "crate::config",
        "crate::cli",
        "crate::rulebook",
    ];
    none("the hub serves any front door", &lines_with("src/watch", "rs", &others));
}

#[test]
fn the_front_doors_know_no_store() {
    for door in ["src/service", "src/webhook"] {
        let stores = ["crate::store", "redis::", "mlua", "crate::rulebook"];
        none("a front door asks the gate", &lines_with(door, "rs", &stores));
    }
}

#[test]
fn a_door_does_not_know_what_is_behind_it() {
    let rooms = [
        "crate::app",
        "crate::cli",
        "crate::config",
        "crate::engine",
        "crate::proto",
        "crate::service",
        "crate::store",
        "crate::watch",
        "crate::webhook",
    ];
    none("a door is for any site", &lines_with("src/door", "rs", &rooms));
}

#[test]
fn the_rulebook_sees_only_its_arguments() {
    let outside =
        ["redis.", "os.", "io.", "math.random", "KEYS", "ARGV", "cmsgpack", "_G", "require"];
    none("a rule is pure", &lines_with("src/rulebook", "lua", &outside));
}

#[test]
fn nothing_is_left_open() {
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "todo\u{21}(", "unimplemented\u{21}("];
    for (folder, ending) in [("src", "rs"), ("src", "lua"), ("tests/suite", "rs")] {
        let hits: Vec<String> = files(folder, ending)
            .iter()
            .flat_map(|path| {
                let text = fs::read_to_string(path).unwrap();
                let hit = marks.iter().find(|mark| text.contains(**mark)).copied();
                hit.map(|mark| format!("{}: {mark}", path.display()))
            })
            .collect();
        none("open marks", &hits);
    }
}
