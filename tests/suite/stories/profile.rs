//! The header line `profile atom; lease 3s; calls_per_window 2`: a built-in profile and what differs,
//! or `profile NAME from FILE.toml`: one from a configuration file beside the stories.

use callgate::{
    config::{self, Inputs},
    engine::profile::Profile,
};

use super::moment::span;

/// Keys whose values are written as spans of time.
pub(crate) const SPANS: [&str; 6] = [
    "temporary_permission",
    "request_lapses_after",
    "call_window",
    "longest_call",
    "lease",
    "expiring_soon",
];
/// Keys whose values are written as yes or no.
pub(crate) const FLAGS: [&str; 5] = [
    "connected_call_resets_requests",
    "undelivered_request_counts",
    "request_ends_permission",
    "canceled_is_unanswered",
    "inbound_call_grants",
];

/// Reads what follows the word `profile`.
pub(crate) fn parse(text: &str) -> Result<Profile, String> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let mut profile = match name.split_once(" from ") {
        Some((name, file)) => configured(name, file)?,
        None => Profile::built_in()
            .into_iter()
            .find(|profile| profile.name == name)
            .ok_or_else(|| format!("no built-in profile {name:?}"))?,
    };
    for part in parts {
        let (key, value) =
            part.split_once(' ').ok_or_else(|| format!("{part:?}: write `key value`"))?;
        set(&mut profile, key, value.trim())?;
    }
    Ok(profile)
}

fn configured(name: &str, file: &str) -> Result<Profile, String> {
    let inputs = Inputs { file: Some(super::folder().join(file)), ..Inputs::default() };
    let mut loaded = config::load(&inputs).map_err(|errors| errors.0.join("; "))?;
    loaded.config.profiles.remove(name).ok_or_else(|| format!("{file} has no profile {name:?}"))
}

fn set(profile: &mut Profile, key: &str, value: &str) -> Result<(), String> {
    let p = profile;
    match key {
        "temporary_permission" => p.temporary_permission = span(value)?,
        "request_lapses_after" => p.request_lapses_after = span(value)?,
        "requests_per_day" => p.requests_per_day = count(value)?,
        "requests_per_week" => p.requests_per_week = count(value)?,
        "connected_call_resets_requests" => p.connected_call_resets_requests = yes(value)?,
        "undelivered_request_counts" => p.undelivered_request_counts = yes(value)?,
        "request_ends_permission" => p.request_ends_permission = yes(value)?,
        "calls_per_window" => p.calls_per_window = count(value)?,
        "call_window" => p.call_window = span(value)?,
        "calls_per_permission" => p.calls_per_permission = count(value)?,
        "calls_at_once" => p.calls_at_once = count(value)?,
        "longest_call" => p.longest_call = span(value)?,
        "unanswered_warns_at" => p.unanswered_warns_at = count(value)?,
        "unanswered_revokes_at" => p.unanswered_revokes_at = count(value)?,
        "canceled_is_unanswered" => p.canceled_is_unanswered = yes(value)?,
        "inbound_call_grants" => p.inbound_call_grants = yes(value)?,
        "lease" => p.lease = span(value)?,
        "expiring_soon" => p.expiring_soon = span(value)?,
        _ => return Err(format!("no profile key {key:?}")),
    }
    Ok(())
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is no count"))
}

fn yes(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?}: write true or false"))
}

#[test]
fn a_header_changes_any_key() {
    let profile = parse("meta; lease 3s; calls_at_once 0; inbound_call_grants true").unwrap();
    let expected =
        Profile { lease: 3000, calls_at_once: 0, inbound_call_grants: true, ..Profile::meta() };
    assert_eq!(profile, expected);
    assert!(parse("atom; leash 3s").unwrap_err().contains("leash"));
    assert!(parse("nobody").is_err());
}

/// The one story under a profile from a file is worth its name only if the file changes every key.
#[test]
fn the_configured_profile_changes_every_key() {
    let configured = serde_json::to_value(parse("every-key from every-key.toml").unwrap()).unwrap();
    let meta = serde_json::to_value(Profile::meta()).unwrap();
    for (key, value) in configured.as_object().unwrap() {
        assert_ne!(value, &meta[key], "{key}");
    }
    assert!(parse("nobody from every-key.toml").is_err());
    assert!(parse("every-key from nowhere.toml").is_err());
}
