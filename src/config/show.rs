//! The effective configuration, as a file that would give it.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    config::{Config, Loaded, keys::KEYS, profiles::PROFILE_KEYS},
    engine::{profile::Profile, scope::Scope},
    service::access::Client,
};

/// Renders the effective configuration as TOML, each value with where it came from. Secrets and
/// passwords are masked.
pub fn show(loaded: &Loaded) -> String {
    render(&loaded.config, Some(&loaded.places))
}

/// The same without where it came from: equal for gates that go by the same settings.
pub fn settings(config: &Config) -> String {
    render(config, None)
}

type Places = BTreeMap<&'static str, String>;

fn render(config: &Config, places: Option<&Places>) -> String {
    let mut out = String::new();
    server(&mut out, config, places);
    secrets(&mut out, config);
    for (name, profile) in &config.profiles {
        let is_built_in = Profile::built_in().iter().any(|built_in| built_in.name == *name);
        if !is_built_in || *name == config.default_profile {
            let comment = if is_built_in { "# built in: " } else { "" };
            rules(&mut out, profile, comment);
        }
    }
    for (number, profile) in &config.numbers {
        let _ = match profile {
            Some(name) => writeln!(out, "\n[numbers.\"{number}\"]\nprofile = \"{name}\""),
            None => writeln!(out, "\n[numbers.\"{number}\"]  # {}", config.default_profile),
        };
    }
    for client in &config.clients {
        self::client(&mut out, client);
    }
    out
}

/// Hashes of tokens are no secrets: tokens are long and random.
fn client(out: &mut String, client: &Client) {
    let list = |texts: Vec<String>| {
        let quoted: Vec<String> =
            texts.into_iter().map(|text| toml::Value::from(text).to_string()).collect();
        quoted.join(", ")
    };
    let roles = client.roles.iter().map(|role| role.name().to_owned()).collect();
    let _ = writeln!(out, "\n[clients.{}]\nroles = [{}]", section(&client.name), list(roles));
    if !client.tokens.is_empty() {
        let tokens = client.tokens.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "token_sha256 = [{}]", list(tokens));
    }
    if !client.certificate_names.is_empty() {
        let _ = writeln!(out, "certificate_names = [{}]", list(client.certificate_names.clone()));
    }
    if let Scope::Numbers(numbers) = &client.scope {
        let numbers = numbers.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "numbers = [{}]", list(numbers));
    }
}

fn section(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

fn server(out: &mut String, config: &Config, places: Option<&Places>) {
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
        let Some(value) = key.show(config) else { continue };
        // It stands in that file, and only one of the two may be set.
        if key.path == "store" && config.store_file.is_some() {
            continue;
        }
        if of != section {
            section = of;
            let _ = writeln!(out, "\n[{section}]");
        }
        let _ = match places {
            Some(places) => {
                let place = places.get(key.path).map_or("default", String::as_str);
                writeln!(out, "{name} = {value}  # {place}")
            }
            None => writeln!(out, "{name} = {value}"),
        };
    }
}

fn secrets(out: &mut String, config: &Config) {
    let secrets = match config.app_secrets.len() {
        0 => "not set".to_owned(),
        1 => "set (****)".to_owned(),
        n => format!("{n} are set (****)"),
    };
    let token = if config.verify_token.is_some() { "set (****)" } else { "not set" };
    let _ = writeln!(out, "# app secret: {secrets}\n# verify token: {token}");
}

fn rules(out: &mut String, profile: &Profile, comment: &str) {
    let _ = writeln!(out, "\n{comment}[profiles.{}]", section(&profile.name));
    for key in PROFILE_KEYS {
        let value = key.show(profile).unwrap_or_default();
        let _ = writeln!(out, "{comment}{} = {value}", key.path);
    }
}
