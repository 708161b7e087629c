//! A record as a person can read it: everything that the rulebook's `facts.lua` documents, but what the
//! stream was told last, which the other store tells anew.

use serde::{Deserialize, Serialize};

use crate::{
    archive::line::{Stamp, at},
    engine::{Error, Result, pair::Customer, time::Millis},
    store::codec,
};

/// Ids are at most so long.
const ID_MAX: usize = 256;

/// What is kept under one id of a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Digits: the key of a `wa_id`; else a user id.
    pub id: String,
    /// Grows with every change.
    pub revision: u64,
    /// How Meta spelled the `wa_id` last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// The customer's newest own ACCEPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Accept>,
    /// The newest own REJECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_at: Option<Stamp>,
    /// The newest REJECTs that name a request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_rejects: Vec<NamedReject>,
    /// The newest automatic ACCEPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// Under a user id: the newest own ACCEPT that was told of a number as well and is kept under that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_superseded_at: Option<Stamp>,
    /// The same of automatic ACCEPTs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_superseded_at: Option<Stamp>,
    /// The newest taking-away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// The newest inbound call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_at: Option<Stamp>,
    /// The newest inbound call that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talked_at: Option<Stamp>,
    /// The newest inbound message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote_at: Option<Stamp>,
    /// Where the folded calls end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Up to when calls that lapsed were counted, so that they are not counted again elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_counted_to: Option<Stamp>,
    /// Ids that were seen together with this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Permission requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
}

/// See [`Record::shown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// As it was spelled.
    pub wa_id: String,
    /// When.
    pub at: Stamp,
}

/// See [`Record::accept`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// When it was given.
    pub at: Stamp,
    /// Without end.
    #[serde(default, skip_serializing_if = "is_no")]
    pub permanent: bool,
    /// If told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Stamp>,
    /// The request that it names, or "".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

/// See [`Record::named_rejects`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedReject {
    /// Which request.
    pub request_id: String,
    /// When.
    pub at: Stamp,
}

/// See [`Record::callback`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// When it was given.
    pub at: Stamp,
    /// If told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Stamp>,
}

/// See [`Record::taken`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// When.
    pub at: Stamp,
    /// Why.
    pub why: Why,
}

/// Why consent was taken away; the numbers are the rulebook's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Why {
    AutomaticReject = 1,
    #[serde(rename = "error_138006")]
    Error138006 = 2,
    Streak = 3,
}

/// See [`Record::base`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Misses in a row there.
    pub streak: u16,
    /// Of the last folded call.
    pub at: Stamp,
}

/// See [`Record::links`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The other id.
    pub id: String,
    /// When they were seen together first.
    pub first_at: Stamp,
    /// When last.
    pub last_at: Stamp,
}

/// A call; what was told by our own id alone stands apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Our id, or "".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub call_id: String,
    /// The provider's, or "".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider_call_id: String,
    /// The strongest that was told.
    pub outcome: Outcome,
    /// Of that outcome.
    pub at: Stamp,
    /// Until when AuthorizeCall held its slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Stamp>,
    /// The earliest report.
    pub first_at: Stamp,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Stamp>,
    /// The newest report that it is placed or rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_at: Option<Stamp>,
    /// The provider's error code; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub error: i32,
}

/// How a call went; the numbers are the rulebook's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum Outcome {
    Held = 1,
    NotPlaced = 2,
    Placed = 3,
    Ringing = 4,
    Failed = 5,
    Canceled = 6,
    Unanswered = 7,
    Rejected = 8,
    Uncertain = 9,
    Answered = 10,
}

/// A permission request, as [`Call`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Our id, or "".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The provider's, or "".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider_message_id: String,
    /// The strongest that was told.
    pub outcome: RequestOutcome,
    /// Of that outcome.
    pub at: Stamp,
    /// Until when AuthorizePermissionRequest held its slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Stamp>,
    /// The earliest report.
    pub first_at: Stamp,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Stamp>,
}

/// How a request went; the numbers are the rulebook's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum RequestOutcome {
    Held = 1,
    Refused = 2,
    Sent = 3,
    Undelivered = 4,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_no(yes: &bool) -> bool {
    !yes
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A record as the codec names its parts.
#[derive(Debug, Serialize, Deserialize)]
struct Raw {
    revision: u64,
    shown: String,
    shown_at: Millis,
    accept_at: Millis,
    accept_permanent: u8,
    accept_expires_at: Millis,
    accept_request: String,
    reject_at: Millis,
    callback_at: Millis,
    callback_expires_at: Millis,
    accept_superseded_at: Millis,
    callback_superseded_at: Millis,
    taken_at: Millis,
    taken_why: u8,
    inbound_at: Millis,
    talked_at: Millis,
    wrote_at: Millis,
    base_streak: u16,
    base_at: Millis,
    told_status: u8,
    told_kind: u8,
    told_source: u8,
    told_granted_at: Millis,
    told_valid_until: Millis,
    told_soon: u8,
    told_warned: u8,
    told_full: u8,
    due_at: Millis,
    lapsed_to: Millis,
    rejects: Vec<RawReject>,
    links: Vec<RawLink>,
    calls: Vec<RawCall>,
    requests: Vec<RawRequest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawReject {
    id: String,
    at: Millis,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawLink {
    id: String,
    first: Millis,
    last: Millis,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawCall {
    own: String,
    provider: String,
    outcome: u8,
    at: Millis,
    held_until: Millis,
    first: Millis,
    ended_at: Millis,
    sign_at: Millis,
    error: i32,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawRequest {
    own: String,
    provider: String,
    outcome: u8,
    at: Millis,
    held_until: Millis,
    first: Millis,
    delivered_at: Millis,
}

/// `told_status` of a record of which nothing was told.
const NONE: u8 = 1;

impl Record {
    /// From the bytes of a record.
    ///
    /// # Errors
    /// `Internal` if they cannot be read.
    pub fn read(id: &str, bytes: &[u8]) -> Result<Self> {
        let unreadable =
            |error: serde_json::Error| Error::Internal(format!("a record cannot be read: {error}"));
        let raw: Raw = serde_json::from_value(codec::record_to_json(bytes)?).map_err(unreadable)?;
        let accept = Stamp::of(raw.accept_at).map(|at| Accept {
            at,
            permanent: raw.accept_permanent == 1,
            expires_at: Stamp::of(raw.accept_expires_at),
            request_id: raw.accept_request,
        });
        let callback = Stamp::of(raw.callback_at)
            .map(|at| Callback { at, expires_at: Stamp::of(raw.callback_expires_at) });
        let taken = match (Stamp::of(raw.taken_at), Why::of(raw.taken_why)) {
            (None, _) => None,
            (Some(at), Some(why)) => Some(Taken { at, why }),
            (Some(_), None) => return Err(unknown("reason why consent was taken", raw.taken_why)),
        };
        let rejects = raw.rejects.into_iter();
        let links = raw.links.into_iter();
        Ok(Self {
            id: id.to_owned(),
            revision: raw.revision,
            shown: Stamp::of(raw.shown_at).map(|at| Shown { wa_id: raw.shown, at }),
            accept,
            lapses_counted_to: Stamp::of(raw.lapsed_to),
            reject_at: Stamp::of(raw.reject_at),
            named_rejects: rejects
                .map(|row| NamedReject { request_id: row.id, at: Stamp(row.at) })
                .collect(),
            callback,
            accept_superseded_at: Stamp::of(raw.accept_superseded_at),
            callback_superseded_at: Stamp::of(raw.callback_superseded_at),
            taken,
            inbound_at: Stamp::of(raw.inbound_at),
            talked_at: Stamp::of(raw.talked_at),
            wrote_at: Stamp::of(raw.wrote_at),
            base: Stamp::of(raw.base_at).map(|at| Base { streak: raw.base_streak, at }),
            links: links
                .map(|row| Link {
                    id: row.id,
                    first_at: Stamp(row.first),
                    last_at: Stamp(row.last),
                })
                .collect(),
            calls: raw.calls.into_iter().map(Call::of).collect::<Result<_>>()?,
            requests: raw.requests.into_iter().map(Request::of).collect::<Result<_>>()?,
        })
    }

    /// As the bytes of a record.
    ///
    /// # Errors
    /// `Invalid` if anything of it cannot be.
    pub fn write(&self) -> Result<Vec<u8>> {
        self.check()?;
        let raw = self.raw();
        let raw = serde_json::to_value(raw)
            .map_err(|error| Error::invalid("record", error.to_string()))?;
        codec::record_from_json(raw)
    }

    fn check(&self) -> Result<()> {
        Customer::kept(&self.id)?;
        if let Some(Accept { permanent: true, expires_at: Some(_), .. }) = self.accept {
            return Err(Error::invalid("accept", "is permanent and expires"));
        }
        for link in &self.links {
            Customer::kept(&link.id)?;
            if link.last_at < link.first_at {
                return Err(Error::invalid("links", "the last sight is before the first"));
            }
        }
        if let Some(shown) = &self.shown {
            id(&shown.wa_id, "shown")?;
        }
        if let Some(accept) = &self.accept {
            id_or_none(&accept.request_id, "accept")?;
        }
        self.named_rejects.iter().try_for_each(|no| id(&no.request_id, "named_rejects"))?;
        let calls = self.calls.iter().map(|call| (&call.call_id, &call.provider_call_id));
        unique(calls, "calls")?;
        let requests = self.requests.iter();
        unique(requests.map(|one| (&one.request_id, &one.provider_message_id)), "requests")
    }

    fn raw(&self) -> Raw {
        let shown = self.shown.as_ref();
        let accept = self.accept.as_ref();
        let callback = self.callback.as_ref();
        let rejects = self.named_rejects.iter();
        let links = self.links.iter();
        Raw {
            revision: self.revision,
            shown: shown.map(|shown| shown.wa_id.clone()).unwrap_or_default(),
            shown_at: at(shown.map(|shown| shown.at)),
            accept_at: at(accept.map(|accept| accept.at)),
            accept_permanent: accept.is_some_and(|accept| accept.permanent).into(),
            accept_expires_at: at(accept.and_then(|accept| accept.expires_at)),
            accept_request: accept.map(|accept| accept.request_id.clone()).unwrap_or_default(),
            reject_at: at(self.reject_at),
            callback_at: at(callback.map(|callback| callback.at)),
            callback_expires_at: at(callback.and_then(|callback| callback.expires_at)),
            accept_superseded_at: at(self.accept_superseded_at),
            callback_superseded_at: at(self.callback_superseded_at),
            taken_at: at(self.taken.as_ref().map(|taken| taken.at)),
            taken_why: self.taken.as_ref().map_or(0, |taken| taken.why as u8),
            inbound_at: at(self.inbound_at),
            talked_at: at(self.talked_at),
            wrote_at: at(self.wrote_at),
            base_streak: self.base.as_ref().map_or(0, |base| base.streak),
            base_at: at(self.base.as_ref().map(|base| base.at)),
            told_status: NONE,
            told_kind: 0,
            told_source: 0,
            told_granted_at: Millis::ZERO,
            told_valid_until: Millis::ZERO,
            told_soon: 0,
            told_warned: 0,
            told_full: 0,
            due_at: Millis::ZERO,
            lapsed_to: at(self.lapses_counted_to),
            rejects: rejects
                .map(|no| RawReject { id: no.request_id.clone(), at: no.at.0 })
                .collect(),
            links: links
                .map(|link| RawLink {
                    id: link.id.clone(),
                    first: link.first_at.0,
                    last: link.last_at.0,
                })
                .collect(),
            calls: self.calls.iter().map(Call::raw).collect(),
            requests: self.requests.iter().map(Request::raw).collect(),
        }
    }
}

impl Call {
    fn of(row: RawCall) -> Result<Self> {
        Ok(Self {
            call_id: row.own,
            provider_call_id: row.provider,
            outcome: Outcome::of(row.outcome).ok_or_else(|| unknown("outcome", row.outcome))?,
            at: Stamp(row.at),
            held_until: Stamp::of(row.held_until),
            first_at: Stamp(row.first),
            ended_at: Stamp::of(row.ended_at),
            sign_at: Stamp::of(row.sign_at),
            error: row.error,
        })
    }

    fn raw(&self) -> RawCall {
        RawCall {
            own: self.call_id.clone(),
            provider: self.provider_call_id.clone(),
            outcome: self.outcome as u8,
            at: self.at.0,
            held_until: at(self.held_until),
            first: self.first_at.0,
            ended_at: at(self.ended_at),
            sign_at: at(self.sign_at),
            error: self.error,
        }
    }
}

impl Request {
    fn of(row: RawRequest) -> Result<Self> {
        Ok(Self {
            request_id: row.own,
            provider_message_id: row.provider,
            outcome: RequestOutcome::of(row.outcome)
                .ok_or_else(|| unknown("outcome", row.outcome))?,
            at: Stamp(row.at),
            held_until: Stamp::of(row.held_until),
            first_at: Stamp(row.first),
            delivered_at: Stamp::of(row.delivered_at),
        })
    }

    fn raw(&self) -> RawRequest {
        RawRequest {
            own: self.request_id.clone(),
            provider: self.provider_message_id.clone(),
            outcome: self.outcome as u8,
            at: self.at.0,
            held_until: at(self.held_until),
            first: self.first_at.0,
            delivered_at: at(self.delivered_at),
        }
    }
}

impl Why {
    fn of(code: u8) -> Option<Self> {
        [Self::AutomaticReject, Self::Error138006, Self::Streak]
            .into_iter()
            .find(|why| *why as u8 == code)
    }
}

impl Outcome {
    fn of(code: u8) -> Option<Self> {
        use Outcome::{
            Answered, Canceled, Failed, Held, NotPlaced, Placed, Rejected, Ringing, Unanswered,
            Uncertain,
        };
        [
            Held, NotPlaced, Placed, Ringing, Failed, Canceled, Unanswered, Rejected, Uncertain,
            Answered,
        ]
        .into_iter()
        .find(|outcome| *outcome as u8 == code)
    }
}

impl RequestOutcome {
    fn of(code: u8) -> Option<Self> {
        [Self::Held, Self::Refused, Self::Sent, Self::Undelivered]
            .into_iter()
            .find(|outcome| *outcome as u8 == code)
    }
}

fn unknown(what: &str, code: u8) -> Error {
    Error::Internal(format!("a record cannot be read: {code} is no {what}"))
}

fn id_or_none(text: &str, field: &str) -> Result<()> {
    if text.chars().count() > ID_MAX || text.chars().any(char::is_control) {
        return Err(Error::invalid(
            field,
            format!("an id has at most {ID_MAX} printable characters"),
        ));
    }
    Ok(())
}

fn id(text: &str, field: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, "an id is missing"));
    }
    id_or_none(text, field)
}

/// Rows go by the provider's id, or by our own where there is none.
fn unique<'a>(rows: impl Iterator<Item = (&'a String, &'a String)>, field: &str) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (own, provider) in rows {
        id_or_none(own, field)?;
        id_or_none(provider, field)?;
        let key = if provider.is_empty() { (own, true) } else { (provider, false) };
        id(key.0, field)?;
        if !seen.insert(key) {
            return Err(Error::invalid(field, "two of them have one id"));
        }
    }
    Ok(())
}
