//! The effective configuration, as a file that would give it.

use std::fmt::Write as _;

use crate::config::{Loaded, keys::KEYS, profiles::PROFILE_KEYS};
use crate::engine::profile::Profile;

/// Renders the effective configuration as TOML, each value with where it came from. Secrets and
/// passwords are masked.
pub fn show(loaded: &Loaded) -> String {
    let mut out = String::new();
    server(&mut out, loaded);
    secrets(&mut out, loaded);
    let config = &loaded.config;
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
    out
}

fn server(out: &mut String, loaded: &Loaded) {
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
        let Some(value) = key.show(&loaded.config) else { continue };
        if of != section {
            section = of;
            let _ = writeln!(out, "\n[{section}]");
        }
        let place = loaded.places.get(key.path).map_or("default", String::as_str);
        let _ = writeln!(out, "{name} = {value}  # {place}");
    }
}

fn secrets(out: &mut String, loaded: &Loaded) {
    let config = &loaded.config;
    let secrets = match config.app_secrets.len() {
        0 => "not set".to_owned(),
        1 => "set (****)".to_owned(),
        n => format!("{n} are set (****)"),
    };
    let token = if config.verify_token.is_some() { "set (****)" } else { "not set" };
    let _ = writeln!(out, "# app secret: {secrets}\n# verify token: {token}");
}

fn rules(out: &mut String, profile: &Profile, comment: &str) {
    let name = if profile.name.contains('.') {
        format!("\"{}\"", profile.name)
    } else {
        profile.name.clone()
    };
    let _ = writeln!(out, "\n{comment}[profiles.{name}]");
    for key in PROFILE_KEYS {
        let value = key.show(profile).unwrap_or_default();
        let _ = writeln!(out, "{comment}{} = {value}", key.path);
    }
}
