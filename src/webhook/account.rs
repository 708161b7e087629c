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
    let (meaning, unclear) = restriction(change, now).unwrap_or_else(|reason| (None, Some(reason)));
    for told in [meaning.map(Ok), unclear.map(Err)].into_iter().flatten() {
        all.add("restriction", told, Source::whole(change, ""));
    }
}

/// What is clear, and why the rest is not: a pause that can be read must not wait for one that
/// cannot.
type Partly = (Option<Meaning>, Option<Reason>);

fn restriction(change: Change<'_>, now: Millis) -> Result<Partly, Reason> {
    let value = object(change.value)?;
    if word(value, "event") != "account_restriction" {
        return Ok((Some(Meaning::Ignored("account_event")), None));
    }
    let restrictions = value
        .get("restriction_info")
        .and_then(some_or_one)
        .ok_or("a restriction without restriction_info")?;
    let mut report = NumberReport { at: change.time.unwrap_or(now), ..NumberReport::default() };
    let unclear = restrict(&mut report, restrictions);
    if report.pause == Told::Not && report.request_pause == Told::Not {
        let nothing = unclear.is_none();
        return Ok((nothing.then_some(Meaning::Ignored("restriction_of_something_else")), unclear));
    }
    let display = display(value, "phone_number").ok_or("phone_number is missing or is not one")?;
    Ok((Some(Meaning::Display(display, report)), unclear))
}

/// Adds restrictions to a report. Answers why one of them cannot be read.
fn restrict(report: &mut NumberReport, restrictions: &[Value]) -> Option<Reason> {
    let unclear =
        restrictions.iter().filter_map(|restriction| restrict_by(report, restriction).err());
    unclear.last()
}

fn restrict_by(report: &mut NumberReport, restriction: &Value) -> Result<(), Reason> {
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
        Stops::Nothing => return Ok(()),
    };
    let end = seconds(restriction, "expiration")?;
    // Of two the longer one counts, and one without end is the longest.
    *until = match (*pause, end) {
        (_, None) => Millis::ZERO,
        (Told::Yes, Some(_)) if *until == Millis::ZERO => Millis::ZERO,
        (_, Some(end)) => end.max(*until),
    };
    *pause = Told::Yes;
    Ok(())
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
    let (meaning, unclear) = match setting(change, &named, now) {
        Ok((Some(Meaning::Number(number, _)), _)) if !profiles.serves(&number) => {
            (Some(Meaning::Ignored("number_not_served")), None)
        }
        Ok(partly) => partly,
        Err(reason) => (None, Some(reason)),
    };
    let number = PhoneNumberId::parse(&named, "").map_or(String::new(), |_| named);
    for told in [meaning.map(Ok), unclear.map(Err)].into_iter().flatten() {
        all.add("settings", told, Source::whole(change, &number));
    }
}

fn setting(change: Change<'_>, named: &str, now: Millis) -> Result<Partly, Reason> {
    let value = object(change.value)?;
    let other = Ok((Some(Meaning::Ignored("other_settings")), None));
    if !matches!(word(value, "type").as_str(), "" | "phone_number_settings") {
        return other;
    }
    let settings = value.get("phone_number_settings").unwrap_or(&Value::Null);
    let calling = match settings.get("calling") {
        None | Some(Value::Null) => return other,
        Some(calling) => object(calling)?,
    };
    let number = PhoneNumberId::parse(named, "phone_number_settings.phone_number_id")
        .map_err(|error| error.to_string())?;
    let mut unclear = None;
    let mut readable = |told: Result<Told, Reason>| {
        told.unwrap_or_else(|why| {
            unclear = Some(why);
            Told::Not
        })
    };
    let mut report = NumberReport {
        calling: readable(switch(calling, "status")),
        inbound_call_grants: readable(switch(calling, "callback_permission_status")),
        ..NumberReport::default()
    };
    let restricted = match restrictions(calling) {
        Ok(restrictions) => restrict(&mut report, restrictions),
        Err(reason) => Some(reason),
    };
    let told_at = seconds(value, "timestamp");
    let at = told_at.as_ref().ok().copied().flatten().or(change.time);
    report.at = at.unwrap_or(now);
    let mut unclear = unclear.or(restricted).or(told_at.err());
    if at.is_none() && [report.calling, report.inbound_call_grants].contains(&Told::Yes) {
        // Nobody knows what it is newer than.
        unclear.get_or_insert("neither the settings nor their entry tell a time".into());
    }
    if unclear.is_some() {
        // Beside something that cannot be read only what narrows is taken.
        for told in [&mut report.calling, &mut report.inbound_call_grants] {
            if *told == Told::Yes {
                *told = Told::Not;
            }
        }
    }
    let is_empty = (report.calling, report.inbound_call_grants) == (Told::Not, Told::Not)
        && (report.pause, report.request_pause) == (Told::Not, Told::Not);
    match (is_empty, unclear) {
        (true, None) => other,
        (true, unclear) => Ok((None, unclear)),
        (false, unclear) => Ok((Some(Meaning::Number(number, report)), unclear)),
    }
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
