//! Meta's payloads, read leniently.
//!
//! The shapes drift between Meta's pages and between years: numbers come as text and as numbers,
//! fields are left out, samples are wrapped in arrays. So nothing here is a fixed structure: each
//! reader asks for the one thing it needs, tells "absent" from "unreadable", and leaves all else
//! alone.

use std::{borrow::Cow, ops::RangeInclusive};

use serde_json::Value;

use crate::engine::time::Millis;

/// Why something was not understood, for a person. Never carries a customer's number or words.
pub(crate) type Reason = Cow<'static, str>;

/// 2009-01-01 to the end of 9999: what lies outside is not an instant in seconds.
const SECONDS: RangeInclusive<u64> = 1_230_768_000..=253_402_300_799;
/// The longest id of Meta's. Characters.
const ID_MAX: usize = 256;
/// The longest id of ours. Characters.
const OWN_ID_MAX: usize = 128;

/// One change of a webhook, or what stands in the place of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// The subscription it belongs to, e.g. "messages"; "" if there is none.
    pub(crate) field: &'a str,
    /// Its value; `Null` if there is none.
    pub(crate) value: &'a Value,
    /// When Meta says it sent the entry.
    pub(crate) time: Option<Millis>,
    /// As it stands in the body.
    pub(crate) raw: &'a Value,
    /// What is wrong with its frame.
    pub(crate) misfit: Option<&'static str>,
}

impl<'a> Change<'a> {
    /// Reads `{"field": …, "value": …}`.
    pub(crate) fn read(raw: &'a Value, time: Option<Millis>) -> Self {
        static NOTHING: Value = Value::Null;
        let field = raw.get("field").and_then(Value::as_str).unwrap_or_default();
        let value = raw.get("value").unwrap_or(&NOTHING);
        let misfit = field.is_empty().then_some("a change that names no field");
        Self { field, value, time, raw, misfit }
    }

    fn misfit(raw: &'a Value, time: Option<Millis>, why: &'static str) -> Self {
        Self { misfit: Some(why), ..Self::read(raw, time) }
    }
}

/// Reads JSON. Half of a surrogate pair, which is what is left of an emoji that somebody cut in two,
/// is no reason to lose everything that stands beside it.
pub(crate) fn json(body: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(body).or_else(|error| match mend(body) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    })
}

/// The body with U+FFFD for every half of a surrogate pair; `None` if there is none.
fn mend(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(body.len());
    let (mut rest, mut is_mended) = (body, false);
    while let [first, ..] = rest {
        let (step, is_half) = match (unit(rest), unit(rest.get(6..).unwrap_or_default())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, false),
            (Some(0xD800..=0xDFFF), _) => (6, true),
            (Some(_), _) => (6, false),
            (None, _) if *first == b'\\' => (2.min(rest.len()), false),
            (None, _) => (1, false),
        };
        mended.extend_from_slice(if is_half { b"\\ufffd" } else { &rest[..step] });
        is_mended |= is_half;
        rest = &rest[step..];
    }
    is_mended.then_some(mended)
}

/// The UTF-16 unit of a `\uXXXX` that the text begins with.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Every change of a body. Meta's samples also show the body inside a top-level array.
pub(crate) fn changes(body: &Value) -> Vec<Change<'_>> {
    let mut found = Vec::new();
    match body {
        Value::Array(bodies) => bodies.iter().for_each(|body| body_changes(body, &mut found)),
        _ => body_changes(body, &mut found),
    }
    found
}

fn body_changes<'a>(body: &'a Value, found: &mut Vec<Change<'a>>) {
    let object = word(body, "object");
    if !object.is_empty() && object != "whatsapp_business_account" {
        // Another product of Meta's on the same address: to be counted as a field that is not ours.
        let change = Change::read(body, None);
        found.push(Change { field: "another object", misfit: None, ..change });
        return;
    }
    match body.get("entry") {
        Some(Value::Array(entries)) => entries.iter().for_each(|e| entry_changes(e, found)),
        Some(entry @ Value::Object(_)) => entry_changes(entry, found),
        // An entry that stands alone in the top-level array.
        None if body.get("changes").is_some() => entry_changes(body, found),
        _ => found.push(Change::misfit(body, None, "a body without entries")),
    }
}

fn entry_changes<'a>(entry: &'a Value, found: &mut Vec<Change<'a>>) {
    let time = seconds(entry, "time").ok().flatten();
    match entry.get("changes") {
        Some(Value::Array(changes)) => {
            found.extend(changes.iter().map(|change| Change::read(change, time)));
        }
        Some(change @ Value::Object(_)) => found.push(Change::read(change, time)),
        _ => found.push(Change::misfit(entry, time, "an entry without changes")),
    }
}

/// The text under a key: absent, null and empty are one; whole numbers are text too.
pub(crate) fn text(item: &Value, key: &str) -> Result<Option<String>, Reason> {
    match item.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
        Some(_) => Err(format!("{key} is not text").into()),
    }
}

/// The text under a key in lower case, "" if absent or unreadable: for words of Meta's own.
pub(crate) fn word(item: &Value, key: &str) -> String {
    item.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_ascii_lowercase()
}

/// The instant under a key, in seconds, as text or as a number; `None` if absent.
pub(crate) fn seconds(item: &Value, key: &str) -> Result<Option<Millis>, Reason> {
    let Some(seconds) = whole(item, key)? else { return Ok(None) };
    instant(seconds).map(Some).ok_or_else(|| format!("{key} is not a time in seconds").into())
}

/// Seconds since 1970 as an instant, if they can be meant as one.
pub(crate) fn instant(seconds: u64) -> Option<Millis> {
    SECONDS.contains(&seconds).then_some(Millis(seconds.saturating_mul(1000)))
}

/// The instant under a key that has to be there.
pub(crate) fn seconds_required(item: &Value, key: &str) -> Result<Millis, Reason> {
    seconds(item, key)?.ok_or_else(|| format!("{key} is missing").into())
}

/// The whole number under a key, as text or as a number; `None` if absent.
pub(crate) fn whole(item: &Value, key: &str) -> Result<Option<u64>, Reason> {
    let Some(text) = text(item, key)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{key} is not a whole number").into())
}

/// The yes or no under a key; `None` if absent.
pub(crate) fn flag(item: &Value, key: &str) -> Result<Option<bool>, Reason> {
    match item.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(yes)) => Ok(Some(*yes)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(format!("{key} is neither true nor false").into()),
    }
}

/// Whether a key has a value.
pub(crate) fn is_told(item: &Value, key: &str) -> bool {
    item.get(key).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}

/// The list under a key; empty if absent.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], Reason> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("{key} is not a list").into()),
    }
}

/// The codes of an `errors` list: all of them, or, if `decisive` is among those that can be read, these.
pub(crate) fn codes(value: &Value, decisive: i32) -> Result<Vec<i32>, Reason> {
    let mut codes = Vec::new();
    let mut unclear = None;
    for error in list(value, "errors")? {
        match whole(error, "code").map(|code| code.map(i32::try_from)) {
            Ok(Some(Ok(code))) => codes.push(code),
            Ok(Some(Err(_))) => unclear = Some("an error code is too large"),
            _ => unclear = Some("errors cannot be read: one has no code"),
        }
    }
    match unclear {
        Some(why) if !codes.contains(&decisive) => Err(why.into()),
        _ => Ok(codes),
    }
}

/// Meta's id under a key; "" if absent.
pub(crate) fn id(item: &Value, key: &str) -> Result<String, Reason> {
    let id = text(item, key)?.unwrap_or_default();
    if ID_MAX < id.chars().count() || id.chars().any(char::is_control) {
        return Err(format!("{key} is not an id of up to {ID_MAX} characters").into());
    }
    Ok(id)
}

/// What a sender attached to a call or a message, if it can be an id that this gate knows: 1 to
/// 128 printable characters. Anything else is the sender's own business.
pub(crate) fn attached_id(item: &Value) -> String {
    let id = item.get("biz_opaque_callback_data").and_then(Value::as_str).unwrap_or_default();
    let is_id = (1..=OWN_ID_MAX).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    if is_id { id.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_text_or_number_and_absent_is_not_unreadable() {
        let item = json!({"a": "1794830700", "b": 1_794_830_700, "c": "soon", "d": null, "e": "",
            "f": 1.5, "g": -1, "h": "0", "i": "1794830700000000", "j": {}, "k": true, "l": " 1230768000 ", "m": 1_230_767_999});
        assert_eq!(seconds(&item, "a"), Ok(Some(Millis(1_794_830_700_000))));
        assert_eq!(seconds(&item, "b"), Ok(Some(Millis(1_794_830_700_000))));
        assert_eq!(seconds(&item, "l"), Ok(Some(Millis(1_230_768_000_000))));
        for key in ["d", "e", "missing"] {
            assert_eq!(seconds(&item, key), Ok(None), "{key}");
        }
        for key in ["c", "f", "g", "h", "i", "j", "k", "m"] {
            assert!(seconds(&item, key).is_err(), "{key}");
        }
    }

    #[test]
    fn half_an_emoji_is_mended() {
        for (body, text) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\udc4db""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\udc4d""#, "\u{fffd}👍"),
            (r#""\ud83d\udc4d\u00e9\\ud83d""#, "👍é\\ud83d"),
        ] {
            assert_eq!(json(body.as_bytes()).unwrap(), json!(text), "{body}");
        }
        for body in [r#""\ud83d"#, r#""\ud8"#, r#""\"#, "", "{", "\u{feff}{}"] {
            assert!(json(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn every_frame_yields_its_changes() {
        let change = json!({"field": "calls", "value": {}});
        for body in [
            json!({"entry": [{"changes": [change]}]}),
            json!([{"entry": [{"changes": [change]}]}]),
            json!([{"id": "0", "changes": [change]}]),
            json!({"entry": {"changes": change}}),
        ] {
            let found = changes(&body);
            assert_eq!(found.len(), 1, "{body}");
            assert_eq!((found[0].field, found[0].misfit), ("calls", None), "{body}");
        }
        for body in [
            json!(null),
            json!(7),
            json!({}),
            json!({"entry": "x"}),
            json!({"entry": [1]}),
            json!({"entry": [{"changes": [{"value": {}}]}]}),
            json!({"entry": [{"changes": ["x"]}]}),
        ] {
            let found = changes(&body);
            assert_eq!(found.len(), 1, "{body}");
            assert!(found[0].misfit.is_some(), "{body}");
        }
        assert!(changes(&json!({"entry": []})).is_empty());
    }

    #[test]
    fn only_what_can_be_an_id_of_ours_is_one() {
        for (data, id) in [
            (json!("agent-7/attempt-1"), "agent-7/attempt-1"),
            (json!("x".repeat(128)), &*"x".repeat(128)),
            (json!("x".repeat(129)), ""),
            (json!("a\nb"), ""),
            (json!(""), ""),
            (json!(7), ""),
            (json!(null), ""),
        ] {
            assert_eq!(attached_id(&json!({"biz_opaque_callback_data": data})), id);
        }
    }
}
