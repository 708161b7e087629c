//! `docs/rules.md` tells the truth: its table of profiles is that of the program, every story it
//! names exists, and every story file is named.

use std::collections::{BTreeMap, BTreeSet};

use callgate::engine::profile::Profile;

use crate::stories::{
    self,
    profile::{FLAGS, SPANS},
};

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    std::fs::read_to_string(path).expect("docs/rules.md is part of the repository")
}

/// Key -> its value under each built-in profile, as the document writes it.
fn documented() -> BTreeMap<String, Vec<String>> {
    let document = document();
    let rows = document.lines().map(cells).skip_while(|cells| cells.first() != Some(&"key"));
    rows.skip(2)
        .take_while(|cells| !cells.is_empty())
        .map(|cells| {
            let values = cells[2..].iter().map(|&value| value.to_owned()).collect();
            (cells[0].trim_matches('`').to_owned(), values)
        })
        .collect()
}

fn cells(line: &str) -> Vec<&str> {
    let row = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    row.map_or_else(Vec::new, |row| row.split('|').map(str::trim).collect())
}

/// A profile's value as people write it: spans with a unit, yes and no as words.
fn shown(key: &str, value: &serde_json::Value) -> String {
    let number = value.as_u64().expect("every key is a number");
    if FLAGS.contains(&key) {
        return (number != 0).to_string();
    }
    if !SPANS.contains(&key) {
        return number.to_string();
    }
    let days_from = 2 * 24 * 3_600_000;
    let units = [("d", 86_400_000, days_from), ("h", 3_600_000, 0), ("s", 1000, 0)];
    let fits =
        |(_, size, from): &&(&str, u64, u64)| *from <= number && number.is_multiple_of(*size);
    let (unit, size, _) = units.iter().find(fits).expect("whole seconds");
    format!("{}{unit}", number / size)
}

#[test]
fn the_table_of_profiles_is_that_of_the_program() {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for profile in Profile::built_in() {
        let value = serde_json::to_value(&profile).unwrap();
        let keys = value.as_object().expect("a profile is a table of keys");
        for (key, value) in keys.iter().filter(|(key, _)| *key != "name") {
            expected.entry(key.clone()).or_default().push(shown(key, value));
        }
    }
    assert_eq!(documented(), expected, "docs/rules.md, table of profiles");
}

#[test]
fn every_story_is_named_and_every_story_named_exists() {
    let document = document();
    let named: BTreeSet<String> = document
        .split("](../tests/stories/")
        .skip(1)
        .filter_map(|after| after.split_once(')').map(|(name, _)| name.to_owned()))
        .collect();
    let existing: BTreeSet<String> = stories::files().into_keys().collect();
    assert_eq!(named, existing, "left: named in docs/rules.md; right: in tests/stories");
}
