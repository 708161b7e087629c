//! Fields `account_update` and `account_settings_update`: what Meta says about a business number.

use serde_json::Value;

use crate::{
    engine::{
        fact::{NumberReport, Told},
        gate::Profiles,
        pair::PhoneNumberId,
        time::Millis,
    },
    webhook::{
        payload::{Change, Reason, is_told, seconds, text, word},
        translate::{Meaning, Source, Translation, display},
    },
};

/// What a restriction stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stops {
    /// Our calls, and permission requests with them.
    Calls,
    /// Permission requests, which are messages.
    Requests,
    /// Nothing that this gate is about.
    Nothing,
}

impl Stops {
    /// Meta writes one restriction in several ways: `RESTRICTED_BUSINESS_INITIATED_CALLING`, but
    /// `RESTRICTED_BIZ_INITIATED_AND_USER_INITIATED_CALLING`.
    fn read(kind: &str) -> Self {
        let is_by_business = kind.contains("biz_initiated") || kind.contains("business_initiated");
        if !kind.starts_with("restricted_") {
            Self::Nothing
        } else if kind.contains("calling") && is_by_business {
            Self::Calls
        } else if kind.contains("messaging") {
            Self::Requests
        } else {
            Self::Nothing
        }
    }
}

/// Translates `account_update`. It names the display number only, and has no `metadata`.
pub(crate) fn update<'a>(all: &mut Translation<'a>, change: Change<'a>, now: Millis) {
    let source = Source::whole(change, "");
    all.add("restriction", restriction(change, now), source);
}

fn restriction(change: Change<'_>, now: Millis) -> Result<Meaning, Reason> {
    let value = object(change.value)?;
    if word(value, "event") != "account_restriction" {
        return Ok(Meaning::Ignored("account_event"));
    }
    let restrictions = value
        .get("restriction_info")
        .and_then(some_or_one)
        .ok_or("a restriction without restriction_info")?;
    let mut report = NumberReport { at: change.time.unwrap_or(now), ..NumberReport::default() };
    if !restrict(&mut report, restrictions)? {
        return Ok(Meaning::Ignored("restriction_of_something_else"));
    }
    let display = display(value, "phone_number").ok_or("phone_number is missing or is not one")?;
    Ok(Meaning::Display(display.spelled().to_owned(), report))
}

/// Adds restrictions to a report. Answers whether there was one that matters here.
fn restrict(report: &mut NumberReport, restrictions: &[Value]) -> Result<bool, Reason> {
    for restriction in restrictions {
        let kind = match word(restriction, "restriction_type") {
            kind if kind.is_empty() => word(restriction, "type"),
            kind => kind,
        };
        if kind.is_empty() {
            return Err("a restriction that names no type".into());
        }
        let (pause, until) = match Stops::read(&kind) {
            Stops::Calls => (&mut report.pause, &mut report.paused_until),
            Stops::Requests => (&mut report.request_pause, &mut report.requests_paused_until),
            Stops::Nothing => continue,
        };
        let end = seconds(restriction, "expiration")?;
        // Of two the longer one counts, and one without end is the longest.
        *until = match (*pause, end) {
            (_, None) => Millis::ZERO,
            (Told::Yes, Some(_)) if *until == Millis::ZERO => Millis::ZERO,
            (_, Some(end)) => end.max(*until),
        };
        *pause = Told::Yes;
    }
    Ok(report.pause == Told::Yes || report.request_pause == Told::Yes)
}

/// Translates `account_settings_update`.
pub(crate) fn settings<'a>(
    all: &mut Translation<'a>,
    change: Change<'a>,
    now: Millis,
    profiles: &Profiles,
) {
    let named = change.value.get("phone_number_settings").unwrap_or(&Value::Null);
    let named = text(named, "phone_number_id").ok().flatten().unwrap_or_default();
    let meaning = match setting(change, &named, now) {
        Ok(Meaning::Number(number, _)) if !profiles.serves(&number) => {
            Ok(Meaning::Ignored("number_not_served"))
        }
        meaning => meaning,
    };
    let number = PhoneNumberId::parse(&named, "").map_or(String::new(), |_| named);
    all.add("settings", meaning, Source::whole(change, &number));
}

fn setting(change: Change<'_>, named: &str, now: Millis) -> Result<Meaning, Reason> {
    let value = object(change.value)?;
    if !matches!(word(value, "type").as_str(), "" | "phone_number_settings") {
        return Ok(Meaning::Ignored("other_settings"));
    }
    let settings = value.get("phone_number_settings").unwrap_or(&Value::Null);
    let calling = match settings.get("calling") {
        None | Some(Value::Null) => return Ok(Meaning::Ignored("other_settings")),
        Some(calling) => object(calling)?,
    };
    let number = PhoneNumberId::parse(named, "phone_number_settings.phone_number_id")
        .map_err(|error| error.to_string())?;
    let mut report = NumberReport {
        at: seconds(value, "timestamp")?.or(change.time).unwrap_or(now),
        calling: switch(calling, "status")?,
        inbound_call_grants: switch(calling, "callback_permission_status")?,
        ..NumberReport::default()
    };
    restrict(&mut report, restrictions(calling)?)?;
    let is_empty = (report.calling, report.inbound_call_grants) == (Told::Not, Told::Not)
        && (report.pause, report.request_pause) == (Told::Not, Told::Not);
    if is_empty {
        return Ok(Meaning::Ignored("other_settings"));
    }
    Ok(Meaning::Number(number, report))
}

/// The restrictions in force. That none is listed is not taken for the end of one.
fn restrictions(calling: &Value) -> Result<&[Value], Reason> {
    let told = calling.get("restrictions").unwrap_or(&Value::Null);
    let list = ["restrictions_list", "restriction_list"].into_iter().find_map(|key| told.get(key));
    match list.unwrap_or(told) {
        Value::Null => Ok(&[]),
        Value::Object(fields) if fields.is_empty() => Ok(&[]),
        list => some_or_one(list).ok_or_else(|| "restrictions that are no list".into()),
    }
}

/// A list, or one that stands without it.
fn some_or_one(list: &Value) -> Option<&[Value]> {
    match list {
        Value::Array(some) => Some(some),
        Value::Object(_) => Some(std::slice::from_ref(list)),
        _ => None,
    }
}

fn switch(calling: &Value, key: &str) -> Result<Told, Reason> {
    match word(calling, key).as_str() {
        "enabled" => Ok(Told::Yes),
        "disabled" => Ok(Told::No),
        "" if !is_told(calling, key) => Ok(Told::Not),
        _ => Err(format!("{key} is neither ENABLED nor DISABLED").into()),
    }
}

fn object(value: &Value) -> Result<&Value, Reason> {
    if value.is_object() { Ok(value) } else { Err("the value is not an object".into()) }
}
