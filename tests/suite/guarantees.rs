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
        let found = test_of(&source, name).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        assert_eq!(found, Test::Always, "{name} in {path} is left out by `make test`");
        named += 1;
    }
    tally::count("tests that hold a promise by name", named);
    assert!(named > 40, "only {named}");
    for part in document.split("\n**").skip(1) {
        let promise = part.split_once("**").unwrap().0;
        assert!(part.contains("\nFails"), "nothing fails without this promise: {promise}");
    }
}

/// When a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    /// In `make test`.
    Always,
    /// In `make soak` at most.
    Ignored,
}

/// The function of this name in a source text, if it is a test: by its attributes, not by what is
/// written about it.
fn test_of(source: &str, name: &str) -> Result<Test, String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let starts = [format!("fn {name}()"), format!("async fn {name}()")];
    let is_start = |n: &usize| starts.iter().any(|start| lines[*n].starts_with(start));
    // One of `make soak`, or what does the work, may have the same name.
    let tests = (0..lines.len()).filter(is_start).filter_map(|n| kind_of(&lines[..n]));
    let tests: Vec<Test> = tests.collect();
    match tests.iter().filter(|test| **test == Test::Always).count() {
        _ if tests.is_empty() => Err(format!("{name} is no test")),
        0 => Ok(Test::Ignored),
        1 => Ok(Test::Always),
        _ => Err(format!("has more than one test named {name}")),
    }
}

/// What the attributes say that end these lines, if they are those of a test.
fn kind_of(above: &[&str]) -> Option<Test> {
    // Attributes of one line each, and comments between them.
    let above = above.iter().rev();
    let above = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let word = |line: &&str| {
        let attribute = line.strip_prefix("#[")?;
        let end = attribute.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')?;
        Some(attribute[..end].to_owned())
    };
    let words: Vec<String> = above.filter_map(word).collect();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let is_test = has("test") || has("tokio::test");
    // Under a condition it may not even be compiled.
    let is_test = is_test && !has("cfg") && !has("cfg_attr");
    is_test.then(|| if has("ignore") { Test::Ignored } else { Test::Always })
}

#[test]
fn only_what_runs_is_taken_for_a_test() {
    let of = |above: &str| test_of(&format!("{above}\n    fn it_holds() {{}}\n"), "it_holds");
    assert_eq!(of("#[test]"), Ok(Test::Always));
    assert_eq!(of("#[tokio::test(flavor = \"multi_thread\")]\n// why"), Ok(Test::Always));
    assert_eq!(of("#[test]\n#[ignore = \"make soak\"]"), Ok(Test::Ignored));
    assert_eq!(of("#[ignore]\n#[test]"), Ok(Test::Ignored));
    for none in ["", "// #[test]", "/// a test", "#[test]\nfn other() {}", "#[cfg(test)]"] {
        assert!(of(none).is_err(), "{none}");
    }
    assert!(of("#[cfg(windows)]\n#[test]").is_err());
    assert!(test_of("// fn it_holds()\n#[test]\nfn another() {}", "it_holds").is_err());
    assert!(test_of("#[test]\npub fn it_holds_not() {}", "it_holds").is_err());
}
