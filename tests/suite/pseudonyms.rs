//! Pseudonyms: a gate that hides ids from its store answers as one that does not, and nothing that is
//! kept tells who a customer is.

pub(crate) mod keys;
mod moving;
mod rest;
mod twins;
mod watching;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use callgate::{
    engine::{
        pseudonym::Keys,
        store::Store,
        time::{Clock, Millis},
        veil::Veiled,
    },
    store::embedded::Embedded,
};

/// As `openssl rand -hex 32` makes them, about.
pub const KEYS: [&str; 3] = [
    "00000000000000000000000000000000000000000000000000000000000000a1",
    "00000000000000000000000000000000000000000000000000000000000000b2",
    "00000000000000000000000000000000000000000000000000000000000000c3",
];

pub fn keys(lines: &[&str]) -> Keys {
    Keys::parse(&lines.join("\n")).unwrap()
}

/// In memory, behind a veil of these keys.
pub fn memory(clock: Arc<dyn Clock>, keys: Keys) -> Arc<dyn Store> {
    Arc::new(Veiled::new(Arc::new(Embedded::memory(clock).unwrap()), keys))
}

/// An id as Meta makes it: a few bytes, and the customer's number among them.
pub fn meta_id(kind: &str, number: &str, n: u64) -> String {
    let bytes = [b"\x1d\x18\x0b", number.as_bytes(), &n.to_be_bytes()].concat();
    format!("{kind}.{}", BASE64_STANDARD_NO_PAD.encode(bytes))
}

pub fn at(ms: u64) -> Millis {
    Millis(ms)
}
