//! The reference of all keys, as it stands in `docs/configuration.md`.

use std::fmt::Write as _;

use crate::config::{
    Config,
    clients::CLIENT_KEYS,
    keys::{KEYS, LIVE},
    profiles::PROFILE_KEYS,
};
use crate::engine::profile::Profile;

/// Renders the tables of keys as Markdown.
pub fn render() -> String {
    let mut out = String::new();
    server(&mut out);
    profiles(&mut out);
    clients(&mut out);
    out
}

fn server(out: &mut String) {
    let _ = writeln!(out, "### Server\n");
    let _ = writeln!(out, "| key | value | default | variable | flag | what it does |");
    let _ = writeln!(out, "|---|---|---|---|---|---|");
    let default = Config::default();
    for key in KEYS {
        let shown = key.show(&default).map_or("not set".to_owned(), |value| format!("`{value}`"));
        let variable = key.variable().map_or("none".to_owned(), |name| format!("`{name}`"));
        let flag = if key.has_flag { format!("`--{}`", key.name) } else { "none".to_owned() };
        let live = match key.path {
            path if !LIVE.contains(&path) => "",
            path if path.contains("_tls.") => {
                " Live, but to begin with TLS at a door, or to end it, waits for a restart."
            }
            _ => " Live.",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {shown} | {variable} | {flag} | {}{live} |",
            key.path,
            key.form(),
            key.about
        );
    }
}

fn profiles(out: &mut String) {
    let _ = writeln!(out, "\n### Profiles: `[profiles.NAME]`\n");
    let built_in = Profile::built_in();
    let names: Vec<String> = built_in.iter().map(|p| format!("`{}`", p.name)).collect();
    let _ = writeln!(out, "| key | value | {} | what it does |", names.join(" | "));
    let _ = writeln!(out, "|---|---|{}---|", "---|".repeat(names.len()));
    for key in PROFILE_KEYS {
        let values: Vec<String> = built_in
            .iter()
            .map(|profile| key.show(profile).map_or(String::new(), |value| format!("`{value}`")))
            .collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            key.path,
            key.form(),
            values.join(" | "),
            key.about
        );
    }
}

fn clients(out: &mut String) {
    let _ = writeln!(out, "\n### Clients: `[clients.NAME]`\n");
    let _ = writeln!(out, "| key | value | what it does |\n|---|---|---|");
    for (key, form, about) in CLIENT_KEYS {
        let _ = writeln!(out, "| `{key}` | {form} | {about} |");
    }
}
