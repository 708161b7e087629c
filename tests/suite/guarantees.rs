//! `docs/guarantees.md` tells the truth: every test that it names is one.

use std::{fs, path::Path};

use crate::support::tally;

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let mut named = 0;
    // [`name`](../path)
    for link in document.split("[`").skip(1) {
        let (name, rest) = link.split_once("`](../").expect("a name is a link to its file");
        let (path, _) = rest.split_once(')').unwrap();
        let source = fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let line = format!("fn {name}()");
        let place = source.find(&line).unwrap_or_else(|| panic!("{path} has no {name}"));
        let before: Vec<&str> = source[..place].lines().rev().take(4).collect();
        assert!(before.iter().any(|line| line.contains("test")), "{name} in {path} is no test");
        named += 1;
    }
    tally::count("tests that hold a promise by name", named);
    assert!(named > 40, "only {named}");
    for part in document.split("\n**").skip(1) {
        let promise = part.split_once("**").unwrap().0;
        assert!(part.contains("\nFails"), "nothing fails without this promise: {promise}");
    }
}
