//! What a store keeps, taken out of it as a whole and joined to another: for backups and for moving.

use async_trait::async_trait;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::engine::{
    Error, Result,
    pair::{Customer, PhoneNumberId},
    profile::{NumberFacts, Profile},
    pseudonym::Fingerprints,
    step::Reply,
    store::{Quarantined, Store},
    time::Millis,
};

/// A store whose facts can be taken out, and that takes in those of another.
///
/// # Errors
/// As of [`Store`].
#[async_trait]
pub trait Archive: Store {
    /// Hands over everything but business numbers, which [`Store`] lists, and quarantined webhooks. What
    /// is written meanwhile may be missing; each customer is of one instant. Ends with the forgotten.
    async fn take_out(&self, to: Sink<'_>) -> Result<()>;

    /// Hands over the quarantined webhooks, few at a time: they may be large.
    async fn take_out_quarantined(&self, to: QuarantinedSink<'_>) -> Result<()>;

    /// Joins records that were kept elsewhere, in one step: with deadlines and with the changes that
    /// come of it.
    async fn join(&self, join: Join<'_>) -> Result<Reply>;

    /// Remembers that somebody was forgotten. The key of the hashes must be this store's.
    async fn join_forgotten(&self, forgotten: &Forgotten) -> Result<()>;

    /// Under which keys it is.
    fn pseudonyms(&self) -> &Fingerprints;

    /// Erases as [`Store::forget`] does, as if that had been done at `at`: what happened later stays, in
    /// the same step.
    async fn forget_as_of(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
        at: Millis,
    ) -> Result<bool>;

    /// When one of these ids was forgotten last on a business number, or unset.
    async fn erased_at(&self, number: &PhoneNumberId, ids: &[String]) -> Result<Millis>;
}

/// Takes one thing after the other. An error ends it.
pub type Sink<'a> = &'a mut (dyn FnMut(Item) -> Result<()> + Send);

/// The same for quarantined webhooks.
pub type QuarantinedSink<'a> = &'a mut (dyn FnMut(Quarantined) -> Result<()> + Send);

/// One thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A customer, with all who are linked with them.
    Kept(Kept),
    /// A display number.
    Display(Display),
    /// Somebody who was forgotten.
    Forgotten(Forgotten),
}

/// The records of a customer on a business number, and of all who are linked with them, at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// On which business number.
    pub number: PhoneNumberId,
    ids: Vec<String>,
    records: Vec<(String, Vec<u8>)>,
}

impl Kept {
    /// The bytes of each record with its id, and all ids that they name; those with a record may be
    /// left out.
    ///
    /// # Errors
    /// `Invalid` if there is none, or one of them is no id.
    pub fn new(
        number: PhoneNumberId,
        records: Vec<(String, Vec<u8>)>,
        mut ids: Vec<String>,
    ) -> Result<Self> {
        ids.extend(records.iter().map(|(id, _)| id.clone()));
        ids.sort();
        ids.dedup();
        for id in &ids {
            Customer::kept(id)?;
        }
        if ids.is_empty() {
            return Err(Error::invalid("records", "there is none"));
        }
        Ok(Self { number, ids, records })
    }

    /// All ids that are named, in order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Bytes by id.
    pub fn records(&self) -> &[(String, Vec<u8>)] {
        &self.records
    }
}

/// Records to be joined.
#[derive(Debug)]
pub struct Join<'a> {
    /// Whose.
    pub kept: &'a Kept,
    /// The rules of the business number.
    pub profile: &'a Profile,
    /// The instant; unset: the store's own clock. Only tests set it.
    pub now: Millis,
}

/// What is known of a display number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// As it is dialled, digits only.
    pub display: String,
    /// Whose it is, and since when that is known.
    pub owner: Option<(PhoneNumberId, Millis)>,
    /// What was told of it while that was not known.
    pub waiting: NumberFacts,
}

/// Somebody who was forgotten on a business number of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The partition of the business number.
    pub partition: u16,
    /// Of number and id, by the store's key ([`Store::secret`]).
    pub hash: Vec<u8>,
    /// When.
    pub at: Millis,
}

/// The hash of an id on a business number by a store's key: without it, nobody can tell who was
/// forgotten.
pub fn hash_of(secret: &[u8], number: &PhoneNumberId, id: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(number.as_str().as_bytes());
    mac.update(b"|");
    mac.update(id.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
