//! Records as older versions wrote them.

use callgate::store::codec::record_to_json;
use serde_json::Value;

const LISTS: [(&str, &[(&str, usize)]); 4] = [
    ("rejects", &[("id", 0), ("at", 6)]),
    ("links", &[("id", 0), ("first", 6), ("last", 6)]),
    (
        "calls",
        &[
            ("own", 0),
            ("provider", 0),
            ("outcome", 1),
            ("at", 6),
            ("held_until", 6),
            ("first", 6),
            ("ended_at", 6),
            ("sign_at", 6),
            ("error", 4),
        ],
    ),
    (
        "requests",
        &[
            ("own", 0),
            ("provider", 0),
            ("outcome", 1),
            ("at", 6),
            ("held_until", 6),
            ("first", 6),
            ("delivered_at", 6),
        ],
    ),
];

const VALUES: [(&str, usize); 27] = [
    ("revision", 6),
    ("shown", 0),
    ("shown_at", 6),
    ("accept_at", 6),
    ("accept_permanent", 1),
    ("accept_expires_at", 6),
    ("accept_request", 0),
    ("reject_at", 6),
    ("callback_at", 6),
    ("callback_expires_at", 6),
    ("taken_at", 6),
    ("taken_why", 1),
    ("inbound_at", 6),
    ("talked_at", 6),
    ("wrote_at", 6),
    ("base_streak", 2),
    ("base_at", 6),
    ("told_status", 1),
    ("told_kind", 1),
    ("told_source", 1),
    ("told_granted_at", 6),
    ("told_valid_until", 6),
    ("told_soon", 1),
    ("told_warned", 1),
    ("told_full", 1),
    ("due_at", 6),
    ("lapsed_to", 6),
];

/// Of format 6: values that are there or not together.
const GROUPS: [&[(&str, usize)]; 3] = [
    &[("reject_at", 6), ("taken_at", 6), ("taken_why", 1), ("base_streak", 2), ("base_at", 6)],
    &[
        ("callback_at", 6),
        ("callback_expires_at", 6),
        ("accept_superseded_at", 6),
        ("callback_superseded_at", 6),
    ],
    &[("inbound_at", 6), ("talked_at", 6), ("wrote_at", 6)],
];

fn put(bytes: &mut Vec<u8>, value: &Value, width: usize) {
    if let Some(text) = value.as_str() {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    } else {
        bytes.extend_from_slice(&value.as_i64().unwrap().to_le_bytes()[..width]);
    }
}

/// A record of now in format 5 or 6. Format 5 does not know what was superseded.
pub fn older(record: &[u8], format: u8) -> Vec<u8> {
    let json = record_to_json(record).unwrap();
    let rows = |name: &str| json[name].as_array().unwrap();
    let count = |name| u8::try_from(rows(name).len()).unwrap();
    let is_there = |group: &[(&str, usize)]| group.iter().any(|(name, _)| json[*name] != 0);
    let mut bytes = vec![format, count("rejects"), count("links"), count("calls"), 0];
    bytes.push(count("requests"));
    if format == 6 {
        bytes.push((0..3).map(|n| u8::from(is_there(GROUPS[n])) << n).sum());
    }
    for (name, columns) in LISTS {
        for row in rows(name) {
            columns.iter().for_each(|(column, width)| put(&mut bytes, &row[*column], *width));
        }
    }
    let grouped = GROUPS.concat();
    let values: Vec<_> = if format == 6 {
        let there = GROUPS.into_iter().filter(|group| is_there(group)).flatten();
        let others = VALUES.iter().filter(|value| !grouped.contains(value));
        there.chain(others).collect()
    } else {
        VALUES.iter().collect()
    };
    values.iter().for_each(|(name, width)| put(&mut bytes, &json[*name], *width));
    bytes
}
