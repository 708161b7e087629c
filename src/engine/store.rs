//! Where steps happen: the one seam between the engine and its two stores.

use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::{
    Result,
    change::ChangeLog,
    fact::NumberReport,
    pair::{Customer, PhoneNumberId, WaId},
    profile::Profile,
    step::{NumberReply, NumberStep, Reply, Step},
    time::Millis,
};

/// A store runs the rulebook. Each method is atomic, and what it acknowledged is durable as far as
/// the store promises. All of them may be called from many tasks at once.
///
/// # Errors
/// [`Error::Unavailable`](crate::engine::Error) or `DeadlineExceeded` when the store is away,
/// `Internal` for a record that cannot be read. Never an answer made up in place of one.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Lets one command happen to one pair.
    async fn apply(&self, step: Step<'_>) -> Result<Reply>;

    /// Judges many pairs, changing nothing; one reply per step, same order. At most one round trip
    /// per partition touched. A step that fails fails alone.
    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>>;

    /// Reads a business number, or joins a report to it.
    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply>;

    /// Joins a report that names only the display number. It waits until the number's id is known;
    /// the id is returned where it is known already, and then the report was joined to the number.
    async fn report_by_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>>;

    /// Learns which id a display number has, and hands over what waited for it. Idempotent.
    async fn learn_display(&self, display: &str, number: &PhoneNumberId, at: Millis) -> Result<()>;

    /// Erases a customer on one business number: every linked record, their changes on the log, and
    /// quarantined webhooks that name them; leaves a keyed hash, so that nothing from before comes
    /// back, and on the log that they were forgotten. `profile` is that of the number. Returns whether
    /// there was anything.
    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool>;

    /// Erases the webhooks that name this customer and were kept aside without a known number.
    async fn forget_unfiled(&self, customer: &Customer) -> Result<()>;

    /// The business numbers of one partition on which anything was ever recorded.
    async fn numbers(&self, partition: u16) -> Result<Vec<PhoneNumberId>>;

    /// How many partitions there are.
    fn partitions(&self) -> u16;

    /// Keeps aside what could not be understood. Bounded by count and age: the oldest go.
    async fn quarantine(&self, entry: Quarantined) -> Result<()>;

    /// What is kept aside, oldest first, at most `limit`.
    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>>;

    /// How many are kept aside.
    async fn quarantine_size(&self) -> Result<u64> {
        Ok(self.quarantined(usize::MAX).await?.len() as u64)
    }

    /// One of them, or `None`.
    async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>>;

    /// Drops one of them, after it was understood.
    async fn release_quarantined(&self, id: &str) -> Result<()>;

    /// Opens the change log for reading.
    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>>;

    /// Customers whose state time alone has changed or will have changed by now, and business numbers
    /// whose settings changed, at most `limit`; each is to be settled. Where several processes share a
    /// store, they share this work: what another one has taken is left out. Trims the change log by
    /// age, a little at a time.
    async fn due(&self, limit: usize) -> Result<Vec<Due>>;

    /// The ids of customers on a business number, some at a time: for settling all of them. Begins at
    /// `from` ("" the first time) and returns where to go on, `None` at the end. May name an id twice.
    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage>;

    /// All customers of a due business number were settled; it is due no more, unless its settings
    /// changed once more meanwhile.
    async fn settled(&self, due: &Due) -> Result<()>;

    /// A secret of this store that all who share it know: for resume tokens.
    fn secret(&self) -> Result<Vec<u8>>;

    /// The store's clock.
    async fn now(&self) -> Result<Millis>;

    /// The store's clock as it was learned when it was asked last, without asking it now: right within
    /// half a round trip, and what the clocks have drifted apart since. `None`: not learned yet.
    fn now_roughly(&self) -> Option<Millis> {
        None
    }

    /// Meta has stamped something with `stamp`, signed by its secret. A store that goes by this host's
    /// clock takes it for a witness of the time; others have a clock of their own.
    fn hear(&self, _stamp: Millis) {}

    /// As whom this store keeps a customer: under pseudonyms, where it may not know their ids. Changes
    /// on the log name them so.
    fn kept(&self, customer: &Customer) -> Customer {
        customer.clone()
    }

    /// The raw record bytes under either id of the customer, for the command line and for twin
    /// tests: (`wa_id` record, `user_id` record).
    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)>;

    /// Whether this store will never answer again in this process, since what is on its disk is not
    /// known any more. The process ends then: a restart reads what is there. One that is merely away
    /// comes back by itself.
    fn is_lost(&self) -> bool {
        false
    }

    /// "embedded", "memory", "redis": for logs and `version`.
    fn kind(&self) -> &'static str;
}

/// What has become due by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// On which business number.
    pub number: PhoneNumberId,
    /// The customer's id; `None`: all customers of the number.
    pub customer: Option<Customer>,
    /// Since when.
    pub at: Millis,
}

/// Some ids of customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomersPage {
    /// Each alone: by `wa_id`, or by user id.
    pub customers: Vec<Customer>,
    /// Where to go on.
    pub next: Option<String>,
}

/// A piece of a webhook that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quarantined {
    /// Names it: hex of a hash of number, field and body, so that a redelivery is kept once.
    pub id: String,
    /// Why it is here.
    pub reason: String,
    /// When it came.
    pub received_at: Millis,
    /// The webhook field, e.g. "messages".
    pub field: String,
    /// The business number it names, or "".
    pub phone_number_id: String,
    /// The JSON of the one change that is kept: `{"field": …, "value": …}`.
    pub change: String,
}

impl Quarantined {
    /// Whatever in it may be the id of a customer, as keys of records; pseudonyms, where it is sealed.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = words(&self.change)
            .filter_map(|word| {
                if let Ok(wa) = WaId::parse(word, "") {
                    return Some(wa.key().to_owned());
                }
                Customer::kept(word).is_ok().then(|| word.to_owned())
            })
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Whether it names one of these ids (keys of [`WaId`], user ids, pseudonyms): in any spelling,
    /// anywhere, but not inside another word.
    pub fn names(&self, ids: &[String]) -> bool {
        words(&self.change).any(|word| {
            let wa = WaId::parse(word, "");
            let key = wa.as_ref().map_or(word, |wa| wa.key());
            ids.iter().any(|id| id == key)
        })
    }
}

/// What may be an id in a text: letters, digits and dots, with and without the dots around.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.flat_map(|word| [word, word.trim_matches('.')])
}

/// What is kept aside per partition at most, and for how long.
pub const QUARANTINE_COUNT_MAX: usize = 1000;
/// See [`QUARANTINE_COUNT_MAX`]: 30 days. Milliseconds.
pub const QUARANTINE_AGE_MAX: u64 = 30 * 24 * 3600 * 1000;
/// A tombstone of a forgotten customer lives 8 days: longer than Meta redelivers. Milliseconds.
pub const TOMBSTONE_AGE_MAX: u64 = 8 * 24 * 3600 * 1000;
/// Partitions of a new store.
pub const PARTITIONS: u16 = 64;

/// The partition of a business number: a stable hash, part of the store's format.
pub fn partition_of(number: &PhoneNumberId, partitions: u16) -> u16 {
    // FNV-1a, 64 bits.
    let hash = number.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    u16::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_found_in_any_spelling_and_not_inside_other_words() {
        let ids = ["551187654321".to_owned(), "US.1000".to_owned(), "US.2000.".to_owned()];
        let names = |change: &str| {
            let aside = Quarantined {
                id: String::new(),
                reason: String::new(),
                received_at: Millis::ZERO,
                field: String::new(),
                phone_number_id: String::new(),
                change: change.to_owned(),
            };
            aside.names(&ids)
        };
        assert!(names(r#"{"wa_id": "5511987654321"}"#));
        assert!(names(r#"{"from": "+551187654321"}"#));
        assert!(names(r#"{"user_id":"US.1000","#));
        assert!(names(r#"{"text":"I am US.1000."}"#));
        assert!(names(r#"{"user_id":"US.2000."}"#));
        assert!(!names(r#"{"wa_id": "5511987654322", "user_id": "US.10001"}"#));
        assert!(!names(r#"{"id": "wacid.551187654321"}"#));
    }
}
