//! The file: TOML, every value with its line.

use std::{collections::BTreeMap, ops::Range};

use toml_edit::{Document, Item, Key as TomlKey, TableLike, Value};

use crate::config::{
    Config, clients,
    keys::KEYS,
    profiles::{Entry, PROFILE_KEYS, Table},
    value::{Key, Raw, did_you_mean},
};
use crate::{
    engine::{pair::PhoneNumberId, profile::Profile},
    service::access::Client,
};

/// What a file says, not yet judged against the other sources.
#[derive(Debug, Default)]
pub struct File {
    /// The server's keys, each with its value and its place.
    pub values: Vec<(&'static Key<Config>, Raw, String)>,
    /// `[profiles.…]`.
    pub profiles: BTreeMap<String, Table>,
    /// `[numbers.…]`: the number, its profile, and the place of the profile's name.
    pub numbers: Vec<(PhoneNumberId, Option<(String, String)>)>,
    /// `[clients.…]`, each with its place, and whether it was read without a mistake.
    pub clients: Vec<(Client, String, bool)>,
}

/// Reads a file's text. `name` is how messages call it.
pub fn read(name: &str, text: &str, errors: &mut Vec<String>) -> File {
    let lines = Lines { name, text };
    match Document::parse(text) {
        Ok(document) => {
            let mut reader = Reader { lines, errors, file: File::default() };
            reader.root("", document.as_table());
            reader.file
        }
        Err(error) => {
            let problem = error.message().trim().replace('\n', ", ");
            errors.push(format!("{}: {problem}", lines.place(error.span())));
            File::default()
        }
    }
}

#[derive(Clone, Copy)]
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(self, span: Option<Range<usize>>) -> String {
        let Some(span) = span else { return self.name.to_owned() };
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        format!("{}:{line}", self.name)
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    errors: &'a mut Vec<String>,
    file: File,
}

impl Reader<'_> {
    fn root(&mut self, prefix: &str, table: &dyn TableLike) {
        for (key, item) in entries(table) {
            let path = format!("{prefix}{}", key.get());
            let place = self.lines.place(key.span());
            match (path.as_str(), item.as_table_like()) {
                ("profiles", Some(tables)) => self.named_tables("profiles", tables, Self::profile),
                ("numbers", Some(tables)) => self.named_tables("numbers", tables, Self::number),
                ("clients", Some(tables)) => self.named_tables("clients", tables, Self::client),
                ("profiles" | "numbers" | "clients", None) => self.errors.push(format!(
                    "{place}: {path} must be tables, e.g. [{path}.{}]",
                    if path == "numbers" { "\"436666719526789\"" } else { "mine" }
                )),
                (_, Some(section)) if KEYS.iter().any(|k| is_under(k.path, &path)) => {
                    self.root(&format!("{path}."), section);
                }
                _ => self.server_value(&path, item, place),
            }
        }
    }

    fn server_value(&mut self, path: &str, item: &Item, place: String) {
        if let Some(key) = KEYS.iter().find(|key| key.path == path) {
            return self.file.values.push((key, raw(item), place));
        }
        let secret = match path {
            "meta.app_secret" => Some(("CALLGATE_META_APP_SECRET", "meta.app_secret_file")),
            "meta.verify_token" => Some(("CALLGATE_META_VERIFY_TOKEN", "meta.verify_token_file")),
            _ => None,
        };
        if let Some((variable, key)) = secret {
            return self.errors.push(format!(
                "{place}: secrets do not belong in the file; set {variable}, or name a file in \
                 {key}"
            ));
        }
        let tables = ["profiles", "numbers", "clients"];
        let sections = KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0));
        let known = KEYS.iter().map(|key| key.path).chain(tables).chain(sections);
        let hint = did_you_mean(path, known);
        self.errors.push(format!("{place}: unknown key `{path}`{hint}"));
    }

    fn named_tables(
        &mut self,
        section: &str,
        tables: &dyn TableLike,
        read: fn(&mut Self, &str, &dyn TableLike, String),
    ) {
        for (key, item) in entries(tables) {
            let place = self.lines.place(item.span().or_else(|| key.span()));
            match item.as_table_like() {
                Some(table) => read(self, key.get(), table, place),
                None => self.errors.push(format!(
                    "{place}: unknown key `{}` in [{section}]; it holds tables: [{section}.NAME]",
                    key.get()
                )),
            }
        }
    }

    fn profile(&mut self, name: &str, table: &dyn TableLike, place: String) {
        if let Err(problem) = profile_name(name) {
            return self.errors.push(format!("{place}: [profiles.{name}] {problem}"));
        }
        let mut profile = Table { place, extends: None, entries: Vec::new() };
        for (key, item) in entries(table) {
            let place = self.lines.place(key.span());
            if key.get() == "extends" {
                match item.as_str() {
                    Some(base) => profile.extends = Some((base.to_owned(), place)),
                    None => self.errors.push(format!(
                        "{place}: [profiles.{name}] extends = {}: must be a profile's name",
                        raw(item)
                    )),
                }
            } else if let Some(known) = PROFILE_KEYS.iter().find(|known| known.path == key.get()) {
                profile.entries.push(Entry { key: known, raw: raw(item), place });
            } else {
                let known = PROFILE_KEYS.iter().map(|known| known.path).chain(["extends"]);
                self.unknown_in(&format!("profiles.{name}"), key.get(), &place, known);
            }
        }
        self.file.profiles.insert(name.to_owned(), profile);
    }

    fn number(&mut self, id: &str, table: &dyn TableLike, place: String) {
        let section = format!("numbers.\"{id}\"");
        let mut profile = None;
        for (key, item) in entries(table) {
            let place = self.lines.place(key.span());
            match (key.get(), item.as_str()) {
                ("profile", Some(name)) => profile = Some((name.to_owned(), place)),
                ("profile", None) => self.errors.push(format!(
                    "{place}: [{section}] profile = {}: must be a profile's name",
                    raw(item)
                )),
                (other, _) => self.unknown_in(&section, other, &place, ["profile"]),
            }
        }
        match PhoneNumberId::parse(id, &format!("[{section}]")) {
            Ok(number) => self.file.numbers.push((number, profile)),
            Err(error) => self.errors.push(format!("{place}: {error}")),
        }
    }

    fn client(&mut self, name: &str, table: &dyn TableLike, place: String) {
        if let Err(problem) = plain_name(name) {
            return self.errors.push(format!("{place}: [clients.{name}] {problem}"));
        }
        let entries = entries(table);
        let (client, problems) =
            clients::read(name, entries.iter().map(|(key, item)| (key.get(), *item)));
        let is_good = problems.is_empty();
        for (key, problem) in problems {
            let span = entries.iter().find(|(known, _)| known.get() == key).map(|(k, _)| k.span());
            let place = self.lines.place(span.flatten());
            self.errors.push(format!("{place}: [clients.{name}] {problem}"));
        }
        self.file.clients.push((client, place, is_good));
    }

    fn unknown_in<'a>(
        &mut self,
        section: &str,
        key: &str,
        place: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let hint = did_you_mean(key, known);
        self.errors.push(format!("{place}: unknown key `{key}` in [{section}]{hint}"));
    }
}

/// In the order of the file.
fn entries(table: &dyn TableLike) -> Vec<(&TomlKey, &Item)> {
    let mut entries: Vec<_> =
        table.iter().filter_map(|(key, _)| table.get_key_value(key)).collect();
    entries.sort_by_key(|(key, _)| key.span().map_or(0, |span| span.start));
    entries
}

fn is_under(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn raw(item: &Item) -> Raw {
    match item.as_value() {
        Some(Value::String(text)) => Raw::Text(text.value().clone()),
        Some(Value::Integer(number)) => Raw::Integer(*number.value()),
        Some(Value::Boolean(flag)) => Raw::Flag(*flag.value()),
        Some(other) => Raw::Other(other.type_name()),
        None => Raw::Other(item.type_name()),
    }
}

fn profile_name(name: &str) -> Result<(), String> {
    if Profile::built_in().iter().any(|profile| profile.name == name) {
        return Err(format!(
            "is built in and stays as it is; choose another name and extends = \"{name}\""
        ));
    }
    plain_name(name)
}

fn plain_name(name: &str) -> Result<(), String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err("must be named by 1 to 64 letters, digits, \"-\", \"_\" or \".\"".to_owned())
}
