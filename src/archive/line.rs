//! The lines of a file.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    archive::facts::Record,
    engine::{
        Error, Result,
        archive::{Display, Forgotten, Kept},
        fact::{NumberReport, Told},
        pair::PhoneNumberId,
        profile::NumberFacts,
        pseudonym::Fingerprints,
        store::Quarantined,
        time::Millis,
    },
};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// A business number.
    Number(NumberLine),
    /// A number as people dial it.
    Display(DisplayLine),
    /// A customer on a business number, with all who are linked with them.
    Customer(CustomerLine),
    /// A piece of a webhook that was not understood.
    Quarantined(QuarantinedLine),
    /// Somebody who was forgotten.
    Forgotten(ForgottenLine),
    /// The last one.
    End(End),
}

/// What the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`super::FORMAT`].
    pub format: String,
    /// [`super::VERSION`].
    pub version: u32,
    /// Of the callgate that wrote it.
    pub callgate: String,
    /// "embedded" or "redis".
    pub store: String,
    /// When it was begun, by the store's clock.
    pub exported_at: Stamp,
    /// Of the store.
    pub partitions: u16,
    /// By which the hashes of the forgotten are made; hex.
    pub forgotten_key: String,
    /// Under which keys it is: fingerprints, oldest first. None: ids are as they are.
    #[serde(default, skip_serializing_if = "Fingerprints::is_none")]
    pub pseudonyms: Fingerprints,
}

/// How many lines there are of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Business numbers.
    pub numbers: u64,
    /// Display numbers.
    pub displays: u64,
    /// Customers, each with all who are linked with them.
    pub customers: u64,
    /// Records in these.
    pub records: u64,
    /// Quarantined webhooks.
    pub quarantined: u64,
    /// Forgotten ids.
    pub forgotten: u64,
}

impl Counts {
    /// Counts a line.
    pub fn add(&mut self, line: &Line) {
        match line {
            Line::Number(_) => self.numbers += 1,
            Line::Display(_) => self.displays += 1,
            Line::Customer(customer) => {
                self.customers += 1;
                self.records += customer.records.len() as u64;
            }
            Line::Quarantined(_) => self.quarantined += 1,
            Line::Forgotten(_) => self.forgotten += 1,
            Line::Header(_) | Line::End(_) => {}
        }
    }
}

/// That nothing is missing and nothing was altered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines there are of each.
    pub counts: Counts,
    /// Of everything before this line; hex.
    pub sha256: String,
}

/// An instant: RFC 3339 in UTC, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Millis);

/// 2009-01-01T00:00:00Z: the year WhatsApp began.
const EARLIEST: Millis = Millis(1_230_768_000_000);
/// 2600-01-01T00:00:00Z.
const LATEST: Millis = Millis(19_880_899_200_000);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let at = DateTime::parse_from_rfc3339(&text).ok();
        let ms = at.and_then(|at| u64::try_from(at.timestamp_millis()).ok()).map(Millis);
        let is_possible = |at: &Millis| (EARLIEST..LATEST).contains(at);
        ms.filter(is_possible).map(Self).ok_or_else(|| {
            D::Error::custom("no time from 2009 on such as \"2026-06-11T14:05:00.000Z\"")
        })
    }
}

impl Stamp {
    /// Unless unset.
    pub fn of(at: Millis) -> Option<Self> {
        at.get().map(Self)
    }
}

/// The time, 0 if there is none.
pub fn at(stamp: Option<Stamp>) -> Millis {
    stamp.map(|stamp| stamp.0).unwrap_or_default()
}

/// A yes or no about a business number, and when it was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Whether it is so.
    pub is: bool,
    /// Since when that is known.
    pub at: Stamp,
}

/// That something of a business number was paused, or resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Whether it is paused.
    pub is: bool,
    /// Until when; unset: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Stamp>,
    /// Since when that is known.
    pub at: Stamp,
}

/// What is known of a business number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Calling is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling_enabled: Option<Setting>,
    /// Calls are paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Permission requests alone are paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_paused: Option<Pause>,
    /// A customer's call gives permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_call_grants: Option<Setting>,
}

impl From<&NumberFacts> for Settings {
    fn from(facts: &NumberFacts) -> Self {
        let setting = |told: u8, at| Stamp::of(at).map(|at| Setting { is: told == 2, at });
        let pause = |told: u8, until, at| {
            Stamp::of(at).map(|at| Pause { is: told == 2, until: Stamp::of(until), at })
        };
        Self {
            calling_enabled: setting(facts.calling, facts.calling_at),
            paused: pause(facts.pause, facts.paused_until, facts.pause_at),
            requests_paused: pause(
                facts.request_pause,
                facts.requests_paused_until,
                facts.request_pause_at,
            ),
            inbound_call_grants: setting(facts.inbound_call_grants, facts.inbound_call_grants_at),
        }
    }
}

impl Settings {
    /// As the reports that they were told by.
    pub fn reports(&self) -> Vec<NumberReport> {
        let none = NumberReport::default;
        let calling = self.calling_enabled.as_ref();
        let pause = self.paused.as_ref();
        let requests = self.requests_paused.as_ref();
        let grants = self.inbound_call_grants.as_ref();
        [
            calling.map(|told| NumberReport { at: told.at.0, calling: told.is.into(), ..none() }),
            pause.map(|told| NumberReport {
                at: told.at.0,
                pause: told.is.into(),
                paused_until: at(told.until.filter(|_| told.is)),
                ..none()
            }),
            requests.map(|told| NumberReport {
                at: told.at.0,
                request_pause: told.is.into(),
                requests_paused_until: at(told.until.filter(|_| told.is)),
                ..none()
            }),
            grants.map(|told| NumberReport {
                at: told.at.0,
                inbound_call_grants: Told::from(told.is),
                ..none()
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A business number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberLine {
    /// Which.
    pub phone_number_id: String,
    /// As people dial it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display: String,
    /// What is known of it.
    pub settings: Settings,
}

/// A number as people dial it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplayLine {
    /// Its digits.
    pub display: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What was told of it by its digits alone.
    #[serde(default)]
    pub settings: Settings,
}

/// Whose a display number is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The business number.
    pub phone_number_id: String,
    /// Since when that is known.
    pub at: Stamp,
}

impl From<Display> for DisplayLine {
    fn from(kept: Display) -> Self {
        let Display { display, owner, waiting } = kept;
        let owner = owner.and_then(|(number, at)| {
            Some(Owner { phone_number_id: number.as_str().to_owned(), at: Stamp::of(at)? })
        });
        Self { display, owner, settings: Settings::from(&waiting) }
    }
}

/// A customer on a business number, with all who are linked with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerLine {
    /// The business number.
    pub phone_number_id: String,
    /// What is kept under each id.
    pub records: Vec<Record>,
}

impl CustomerLine {
    /// For a file.
    ///
    /// # Errors
    /// `Internal` if a record cannot be read.
    pub fn of(kept: &Kept) -> Result<Self> {
        let records = kept.records().iter().map(|(id, bytes)| Record::read(id, bytes));
        Ok(Self {
            phone_number_id: kept.number.as_str().to_owned(),
            records: records.collect::<Result<_>>()?,
        })
    }

    /// For a store.
    ///
    /// # Errors
    /// `Invalid` if anything of it cannot be.
    pub fn kept(&self) -> Result<Kept> {
        let number = PhoneNumberId::parse(&self.phone_number_id, "phone_number_id")?;
        let (mut records, mut ids) = (Vec::new(), Vec::new());
        for record in &self.records {
            if records.iter().any(|(id, _)| *id == record.id) {
                return Err(Error::invalid("records", "two of them have one id"));
            }
            records.push((record.id.clone(), record.write()?));
            ids.extend(record.links.iter().map(|link| link.id.clone()));
        }
        Kept::new(number, records, ids)
    }
}

/// A piece of a webhook that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantinedLine {
    /// Names it.
    pub id: String,
    /// Why it is there.
    pub reason: String,
    /// When it came.
    pub received_at: Stamp,
    /// The webhook field.
    pub field: String,
    /// The business number that it names, or "".
    pub phone_number_id: String,
    /// Its JSON, as text.
    pub change: String,
}

impl From<Quarantined> for QuarantinedLine {
    fn from(entry: Quarantined) -> Self {
        let Quarantined { id, reason, received_at, field, phone_number_id, change } = entry;
        Self { id, reason, received_at: Stamp(received_at), field, phone_number_id, change }
    }
}

impl From<QuarantinedLine> for Quarantined {
    fn from(line: QuarantinedLine) -> Self {
        let QuarantinedLine { id, reason, received_at, field, phone_number_id, change } = line;
        Self { id, reason, received_at: received_at.0, field, phone_number_id, change }
    }
}

/// Somebody who was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgottenLine {
    /// Of the business number.
    pub partition: u16,
    /// Of business number and id, by the key in the header; hex.
    pub hash: String,
    /// When.
    pub at: Stamp,
}

impl From<Forgotten> for ForgottenLine {
    fn from(forgotten: Forgotten) -> Self {
        let Forgotten { partition, hash, at } = forgotten;
        Self { partition, hash: hex::encode(hash), at: Stamp(at) }
    }
}

impl ForgottenLine {
    /// For a store.
    ///
    /// # Errors
    /// `Invalid` if the hash is none.
    pub fn forgotten(&self) -> Result<Forgotten> {
        let hash = hex::decode(&self.hash).ok().filter(|hash| hash.len() == 32);
        let hash = hash.ok_or_else(|| Error::invalid("hash", "is no SHA-256 in hex"))?;
        Ok(Forgotten { partition: self.partition, hash, at: self.at.0 })
    }
}
