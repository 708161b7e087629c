//! The mutants that mean the same as the rulebook, each with the reason: `equivalent.txt`.

use std::collections::BTreeMap;

use super::breaks::Key;

/// The reason by mutant.
pub fn equivalent() -> BTreeMap<Key, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/mutants/equivalent.txt");
    let text = std::fs::read_to_string(path).expect("it is part of the repository");
    parse(&text).unwrap_or_else(|problem| panic!("equivalent.txt: {problem}"))
}

/// Blocks apart by an empty line: `consent.lua in_effect`, the line of the rulebook, what is changed
/// in it, a line each, and the reason after `=`. A line that begins with `#` is a remark.
fn parse(text: &str) -> Result<BTreeMap<Key, String>, String> {
    let mut list = BTreeMap::new();
    for block in text.split("\n\n") {
        let lines: Vec<&str> =
            block.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
        let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        let [head, line, rest @ ..] = &lines[..] else {
            if lines.is_empty() {
                continue;
            }
            return Err(format!(
                "{lines:?}: write file and function, the line, changes, = the reason"
            ));
        };
        let (file, function) =
            head.split_once(' ').ok_or_else(|| format!("{head:?}: file and function"))?;
        let (reasons, changes): (Vec<&str>, Vec<&str>) =
            rest.iter().partition(|line| line.starts_with("= "));
        let reason: Vec<&str> = reasons.iter().map(|line| &line[2..]).collect();
        if reason.is_empty() || changes.is_empty() {
            return Err(format!("{head:?}, {line:?}: a change and its reason"));
        }
        for change in changes {
            let key = Key {
                file: file.to_owned(),
                function: function.to_owned(),
                line: (*line).to_owned(),
                change: change.to_owned(),
            };
            if list.insert(key, reason.join(" ")).is_some() {
                return Err(format!("{head:?}, {line:?}, {change}: listed twice"));
            }
        }
    }
    Ok(list)
}

#[test]
fn the_list_is_read() {
    let text = "# all\n\na.lua f\n  if x < y then\n  \"<\" -> \"<=\"\n  \"<\" -> \">=\" #2\n  = never equal\n";
    let list = parse(text).unwrap();
    let changes: Vec<_> =
        list.iter().map(|(key, why)| (key.change.as_str(), why.as_str())).collect();
    assert_eq!(
        changes,
        [("\"<\" -> \"<=\"", "never equal"), ("\"<\" -> \">=\" #2", "never equal")]
    );
    assert!(parse("a.lua f\n x\n = why").is_err());
    assert!(parse("a.lua f\n x\n \"1\" -> \"2\"").is_err());
    assert!(parse("a.lua\n x\n \"1\" -> \"2\"\n = why").is_err());
}
