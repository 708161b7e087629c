//! Who: a business number and a customer, checked once at the edge.

use std::fmt;

use crate::engine::{Error, Result};

/// Meta's id of a business phone number: 1 to 32 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumberId(String);

impl PhoneNumberId {
    /// Checks the form.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `field` if it is empty, not digits, or longer than 32.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid(field, "is required: Meta's id of the business number"));
        }
        if text.len() > 32 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::invalid(
                field,
                "must be 1 to 32 digits: Meta's id of the business number, not the number itself",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A customer's WhatsApp id. Spellings of one number are one customer: the key is a representative,
/// the spelling is kept for showing. Equality is by key.
#[derive(Clone)]
pub struct WaId {
    key: String,
    spelled: String,
}

impl WaId {
    /// Checks the form (7 to 15 digits, "+" allowed in front) and finds the representative.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `field`. Whether the number exists is not checked.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_form = (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !is_form {
            return Err(Error::invalid(
                field,
                "must be a WhatsApp id or E.164 number: 7 to 15 digits with the country code, \
                 \"+\" allowed in front, e.g. \"15550199001\"",
            ));
        }
        Ok(Self { key: representative(digits), spelled: digits.to_owned() })
    }

    /// The representative of all spellings.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// As it was spelled, without "+".
    pub fn spelled(&self) -> &str {
        &self.spelled
    }

    /// What a store keeps in place of the number (see [`pseudonym`](crate::engine::pseudonym)): no
    /// text that [`WaId::parse`] takes.
    pub(crate) fn pseudonym(hash: Hash) -> Self {
        let key = format!("{WA_PSEUDONYM}{}", hex::encode(hash));
        Self { spelled: key.clone(), key }
    }

    /// Whether it stands in place of a number.
    pub fn is_pseudonym(&self) -> bool {
        is_pseudonym(&self.key, WA_PSEUDONYM)
    }
}

/// A keyed hash, cut to 128 bits: too many for two customers ever to share one.
pub(crate) type Hash = [u8; 16];

/// In front of the hash: numbers have no letters.
const WA_PSEUDONYM: &str = "w";
/// In front of the hash: countries of user ids have two capitals. The dot is what the rulebook tells
/// user ids by.
const USER_PSEUDONYM: &str = "u.";

/// Whether this is such a beginning and a hash.
pub(crate) fn is_pseudonym(text: &str, prefix: &str) -> bool {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix(prefix).is_some_and(|hash| hash.len() == 32 && hash.bytes().all(is_hex))
}

/// Mobile numbers that networks and WhatsApp write in two ways: Brazil's ninth digit
/// (55 AA 9XXXXXXXX), Argentina's 9 (54 9 ...), Mexico's 1 (52 1 ...). The shorter one represents.
fn representative(digits: &str) -> String {
    match digits.as_bytes() {
        [b'5', b'5', _, _, b'9', rest @ ..] if rest.len() == 8 => {
            format!("{}{}", &digits[..4], &digits[5..])
        }
        [b'5', b'4', b'9', rest @ ..] if rest.len() == 10 => format!("54{}", &digits[3..]),
        [b'5', b'2', b'1', rest @ ..] if rest.len() == 10 => format!("52{}", &digits[3..]),
        _ => digits.to_owned(),
    }
}

impl PartialEq for WaId {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for WaId {}

/// Logs show the last four digits at most.
impl fmt::Debug for WaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", &self.spelled[self.spelled.len() - 4..])
    }
}

/// A business-scoped user id: two letters of country, a dot, 1 to 128 letters, digits or dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// Checks the form.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `field`.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let is_form = text.split_once('.').is_some_and(|(country, rest)| {
            country.len() == 2
                && country.bytes().all(|b| b.is_ascii_uppercase())
                && (1..=128).contains(&rest.len())
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        });
        if !is_form {
            return Err(Error::invalid(
                field,
                "must be a business-scoped user id: country, dot, up to 128 letters or digits, \
                 e.g. \"US.1000\"",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a store keeps in place of the id: no text that [`UserId::parse`] takes.
    pub(crate) fn pseudonym(hash: Hash) -> Self {
        Self(format!("{USER_PSEUDONYM}{}", hex::encode(hash)))
    }

    /// Whether it stands in place of an id.
    pub fn is_pseudonym(&self) -> bool {
        is_pseudonym(&self.0, USER_PSEUDONYM)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.…{}", &self.0[..2], &self.0[self.0.len().saturating_sub(2).max(3)..])
    }
}

/// A customer: by WhatsApp id, by user id, or both (then they are remembered as the same).
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    wa: Option<WaId>,
    user: Option<UserId>,
}

impl Customer {
    /// From the two ids as they came, either possibly empty.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path under `field` if both are empty or one is malformed.
    pub fn parse(wa_id: &str, user_id: &str, field: &str) -> Result<Self> {
        if wa_id.is_empty() && user_id.is_empty() {
            return Err(Error::invalid(field, "is required: set wa_id, user_id, or both"));
        }
        let wa = (!wa_id.is_empty()).then(|| WaId::parse(wa_id, &format!("{field}.wa_id")));
        let user =
            (!user_id.is_empty()).then(|| UserId::parse(user_id, &format!("{field}.user_id")));
        Ok(Self { wa: wa.transpose()?, user: user.transpose()? })
    }

    /// From ids that are known to be good. One of the two at least.
    pub(crate) fn of(wa: Option<WaId>, user: Option<UserId>) -> Self {
        debug_assert!(wa.is_some() || user.is_some(), "somebody");
        Self { wa, user }
    }

    /// By the one id under which a store keeps a record: the key of a `wa_id`, a user id, or what
    /// stands in place of either. For what comes back from a store alone: whoever asks has ids.
    ///
    /// # Errors
    /// `Invalid` if no record stands under such an id.
    pub fn kept(id: &str) -> Result<Self> {
        if is_pseudonym(id, WA_PSEUDONYM) {
            let wa = WaId { key: id.to_owned(), spelled: id.to_owned() };
            return Ok(Self { wa: Some(wa), user: None });
        }
        if is_pseudonym(id, USER_PSEUDONYM) {
            return Ok(Self { wa: None, user: Some(UserId(id.to_owned())) });
        }
        let is_wa = id.bytes().all(|b| b.is_ascii_digit());
        let (wa, user) = if is_wa { (id, "") } else { ("", id) };
        let customer = Self::parse(wa, user, "id")?;
        // Under another spelling its record would not be found.
        if customer.keys() == [id] { Ok(customer) } else { Err(Error::invalid("id", "is no key")) }
    }

    /// Whether pseudonyms stand in place of its ids.
    pub fn is_pseudonym(&self) -> bool {
        self.wa.as_ref().is_none_or(WaId::is_pseudonym)
            && self.user.as_ref().is_none_or(UserId::is_pseudonym)
    }

    /// By WhatsApp id, if known.
    pub fn wa(&self) -> Option<&WaId> {
        self.wa.as_ref()
    }

    /// Under which its records are kept: the key of the WhatsApp id, the user id.
    pub fn keys(&self) -> Vec<String> {
        let wa = self.wa.as_ref().map(|wa| wa.key.clone());
        wa.into_iter().chain(self.user.as_ref().map(|user| user.0.clone())).collect()
    }

    /// By user id, if known.
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.wa, &self.user) {
            (Some(wa), Some(user)) => write!(f, "{wa:?}/{user:?}"),
            (Some(wa), None) => write!(f, "{wa:?}"),
            (None, Some(user)) => write!(f, "{user:?}"),
            (None, None) => f.write_str("nobody"),
        }
    }
}

/// One business number and one customer. Every rule is per pair. `Debug` masks the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The business number.
    pub number: PhoneNumberId,
    /// The customer.
    pub customer: Customer,
}

impl Pair {
    /// From the three ids as they came.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path under `field`, e.g. `pair.phone_number_id`.
    pub fn parse(number: &str, wa_id: &str, user_id: &str, field: &str) -> Result<Self> {
        Ok(Self {
            number: PhoneNumberId::parse(number, &format!("{field}.phone_number_id"))?,
            customer: Customer::parse(wa_id, user_id, &format!("{field}.customer"))?,
        })
    }
}
