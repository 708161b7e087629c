//! Pseudonyms: what a store keeps in place of the ids of customers, and the keys that they are made by.
//!
//! An id becomes a pseudonym by a chain of keyed hashes, one per key, oldest first:
//! `p1 = HMAC(k1, id)`, `p2 = HMAC(k2, p1)`, and so on. So a store can be moved to one key more by
//! whoever has that key, and nobody needs the ids for it. Who has fewer than all keys can make none.
//! Why so: `docs/decisions/0009-pseudonyms.md`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::engine::{
    Result,
    fact::Fact,
    pair::{Customer, Hash, Pair, UserId, WaId, is_pseudonym},
    step::Command,
};

/// Shortest key. Characters.
const KEY_LEN_MIN: usize = 32;
/// Longest key. Bytes.
const KEY_LEN_MAX: usize = 1024;
/// Keys of one file.
const KEYS_MAX: usize = 64;

/// What is hashed. Part of the hash, so that what looks the same in two places is told apart.
#[derive(Debug, Clone, Copy)]
enum What {
    WaId,
    UserId,
    /// A provider's id of a call, a message or an event.
    Name,
    /// Names a webhook that is kept aside.
    Webhook,
    Fingerprint,
}

impl What {
    fn label(self) -> &'static str {
        match self {
            Self::WaId => "wa_id",
            Self::UserId => "user_id",
            Self::Name => "name",
            Self::Webhook => "webhook",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// The keys, oldest first: one at least. `Debug` shows none.
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    mac: hmac::Key,
    fingerprint: String,
}

impl Key {
    fn new(text: &str) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let fingerprint = hex::encode(&hash(&mac, What::Fingerprint, "")[..8]);
        Self { mac, fingerprint }
    }
}

/// With the kind in front; its end is a byte that no text has.
fn hash(key: &hmac::Key, what: What, text: &str) -> Hash {
    let mut mac = hmac::Context::with_key(key);
    mac.update(what.label().as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    let mut hash = Hash::default();
    hash.copy_from_slice(&mac.sign().as_ref()[..16]);
    hash
}

/// In front of the hash of a provider's id.
const NAME_PREFIX: &str = "hashed.";
/// Meta's ids of messages and calls: behind it stands the customer's number, in base64.
const TELLING: [&str; 2] = ["wamid.", "wacid."];

impl Keys {
    /// From the text of a file: one key per line, oldest first, empty lines left out.
    ///
    /// # Errors
    /// What is wrong with which line; no key is repeated in the text.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut seen = BTreeSet::new();
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (number, key) = (index + 1, line.trim());
            if key.is_empty() {
                continue;
            }
            if key.chars().count() < KEY_LEN_MIN {
                return Err(format!(
                    "line {number} is shorter than {KEY_LEN_MIN} characters: make a key with \
                     `openssl rand -hex 32`"
                ));
            }
            if KEY_LEN_MAX < key.len() {
                return Err(format!("line {number} is longer than {KEY_LEN_MAX} bytes"));
            }
            if !seen.insert(key) {
                return Err(format!("line {number} is a key that stands there already"));
            }
            keys.push(Key::new(key));
        }
        match keys.len() {
            0 => Err("has no key: make one with `openssl rand -hex 32`".to_owned()),
            1..=KEYS_MAX => Ok(Self(keys.into())),
            _ => Err(format!("has more than {KEYS_MAX} keys")),
        }
    }

    /// What a store remembers of them.
    pub fn fingerprints(&self) -> Fingerprints {
        Fingerprints(self.0.iter().map(|key| key.fingerprint.clone()).collect())
    }

    /// The last of the texts that `form` makes of the hashes, each of the text before.
    fn chain(&self, what: What, text: &str, form: fn(Hash) -> String) -> String {
        let mut last = None;
        for key in &*self.0 {
            last = Some(form(hash(&key.mac, what, last.as_deref().unwrap_or(text))));
        }
        last.unwrap_or_default()
    }

    fn wa(&self, wa: &WaId) -> WaId {
        let mut wa = wa.clone();
        for key in &*self.0 {
            wa = WaId::pseudonym(hash(&key.mac, What::WaId, wa.key()));
        }
        wa
    }

    fn user(&self, user: &UserId) -> UserId {
        let mut user = user.clone();
        for key in &*self.0 {
            user = UserId::pseudonym(hash(&key.mac, What::UserId, user.as_str()));
        }
        user
    }

    /// As whom a store keeps a customer. One that came back from the store is that already.
    pub fn customer(&self, customer: &Customer) -> Customer {
        let wa = |wa: &WaId| if wa.is_pseudonym() { wa.clone() } else { self.wa(wa) };
        let user = |user: &UserId| if user.is_pseudonym() { user.clone() } else { self.user(user) };
        Customer::of(customer.wa().map(wa), customer.user().map(user))
    }

    /// The keys behind those with these fingerprints: one at least. `None` if these are not the first
    /// ones, or all.
    pub fn beyond(&self, known: &Fingerprints) -> Option<Self> {
        let further = self.fingerprints().0.strip_prefix(&known.0[..])?.len();
        (further > 0).then(|| Self(self.0[self.0.len() - further..].into()))
    }

    /// What becomes of the id of a record that was made without these keys.
    ///
    /// # Errors
    /// `Invalid` if no record stands under such an id.
    pub(crate) fn carry_over(&self, id: &str) -> Result<String> {
        let customer = Customer::kept(id)?;
        Ok(match (customer.wa(), customer.user()) {
            (Some(wa), _) => self.wa(wa).key().to_owned(),
            (None, Some(user)) => self.user(user).as_str().to_owned(),
            (None, None) => String::new(),
        })
    }

    /// The same of a pair.
    pub fn pair(&self, pair: &Pair) -> Pair {
        Pair { number: pair.number.clone(), customer: self.customer(&pair.customer) }
    }

    /// What is kept in place of an id of a call, a request, a message or an event. Only ids that tell
    /// the customer's number are replaced; all by the same rule, whoever gave them and wherever they
    /// stand, so that what has the same id before has the same id after.
    pub fn name(&self, id: String) -> String {
        if is_telling(&id) { self.chain(What::Name, &id, named) } else { id }
    }

    /// The name of a webhook that is kept aside: made of what it says, it must not be found by trying.
    pub fn webhook(&self, id: &str) -> String {
        self.chain(What::Webhook, id, hex::encode)
    }

    /// A command as it may reach a store.
    pub fn command(&self, mut command: Command) -> Command {
        match &mut command {
            Command::Record { spelled, event_id, fact, .. } => {
                spelled.clear();
                *event_id = self.event(std::mem::take(event_id));
                for id in ids(fact) {
                    *id = self.name(std::mem::take(id));
                }
            }
            Command::AuthorizeCall { own_id, .. } | Command::AuthorizeRequest { own_id, .. } => {
                *own_id = self.name(std::mem::take(own_id));
            }
            Command::Check {}
            | Command::CheckAt { .. }
            | Command::Settle {}
            | Command::View { .. } => {}
        }
        command
    }

    /// The name of an event. A webhook's may be a hash, without a key, of all that it says.
    fn event(&self, id: String) -> String {
        let hex = id.split('/').next().unwrap_or_default();
        let is_digest = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        if is_digest { self.chain(What::Name, &id, named) } else { self.name(id) }
    }

    /// A key for sealing, of each key, oldest first.
    pub(crate) fn for_sealing(&self) -> impl DoubleEndedIterator<Item = [u8; 32]> {
        self.0.iter().map(|key| {
            let mut secret = [0; 32];
            secret.copy_from_slice(hmac::sign(&key.mac, b"seal\0").as_ref());
            secret
        })
    }
}

fn named(hash: Hash) -> String {
    format!("{NAME_PREFIX}{}", hex::encode(hash))
}

/// Whether an id tells the customer's number. Nobody's own id may pass for one that was hashed.
fn is_telling(id: &str) -> bool {
    let has = |word: &str| {
        id.as_bytes().windows(word.len()).any(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    };
    TELLING.into_iter().any(has) || is_pseudonym(id, NAME_PREFIX)
}

/// All ids in a fact but the customer's.
fn ids(fact: &mut Fact) -> Vec<&mut String> {
    match fact {
        Fact::Request(report) => vec![&mut report.request_id, &mut report.provider_message_id],
        Fact::Reply(reply) => vec![&mut reply.request_id],
        Fact::InboundCall(call) => vec![&mut call.provider_call_id],
        Fact::Call(report) => vec![&mut report.call_id, &mut report.provider_call_id],
        Fact::InboundMessage(message) => vec![&mut message.provider_message_id],
        Fact::Identity {} => Vec::new(),
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprints() == other.fingerprints()
    }
}
impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// Under which keys a store is: a word for each, oldest first, which tells keys apart and nothing of
/// them. None: ids are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprints(Vec<String>);

/// Where the steps stand.
const STEPS: &str = "docs/security.md, \"Customers at rest\", has the steps";

impl Fingerprints {
    /// Whether ids are kept as they are.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// From the words, with blanks between.
    pub fn read(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether a gate with `mine` may use a store that is under these. Under other keys it would find
    /// nobody's no.
    ///
    /// # Errors
    /// Why not, and the mend.
    pub fn admit(&self, mine: &Self) -> std::result::Result<(), String> {
        if self == mine {
            return Ok(());
        }
        let (kept, given) = (self.0.len(), mine.0.len());
        Err(if kept == 0 {
            format!(
                "the store keeps the ids of customers as they are, and privacy.key_file is set: move \
                 it with callgate export and callgate import to an empty one, or unset \
                 privacy.key_file; {STEPS}"
            )
        } else if given == 0 {
            format!(
                "the store keeps pseudonyms in place of the ids of customers, made by {}: set \
                 privacy.key_file to the file that has them, or name another store",
                keys(self)
            )
        } else if self.0.starts_with(&mine.0) {
            format!(
                "the store's pseudonyms are made by {}, and privacy.key_file has only the first \
                 {given} of these: put back the lines that are missing",
                keys(self)
            )
        } else if mine.0.starts_with(&self.0) {
            format!(
                "the store's pseudonyms are made by {}, and privacy.key_file has {given}: move it with \
                 callgate export and callgate import to an empty one, or take the new lines out until \
                 then; {STEPS}",
                keys(self)
            )
        } else {
            format!(
                "the store's pseudonyms are made by {}, and privacy.key_file has others ({mine}): give \
                 it the file that has them, in their order, or name another store",
                keys(self)
            )
        })
    }
}

fn keys(fingerprints: &Fingerprints) -> String {
    match fingerprints.0.len() {
        1 => format!("one key (fingerprint {fingerprints})"),
        n => format!("{n} keys (fingerprints {fingerprints})"),
    }
}

/// The words, with blanks between.
impl fmt::Display for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn keys(lines: &[&str]) -> Keys {
        Keys::parse(&lines.join("\n")).unwrap()
    }

    fn kept(keys: &Keys, wa: &str, user: &str) -> Vec<String> {
        keys.customer(&Customer::parse(wa, user, "").unwrap()).keys()
    }

    #[test]
    fn a_file_of_keys_is_refused_by_line_and_without_its_text() {
        let said = |text: &str| Keys::parse(text).unwrap_err();
        assert_eq!(Keys::parse(&format!("\n {A} \r\n\n{B}")).unwrap(), keys(&[A, B]));
        assert!(said("\n\n").starts_with("has no key"));
        assert!(said(&format!("{A}\n{}", &B[1..])).starts_with("line 2 is shorter than 32"));
        assert_eq!(said(&format!("{A}\n\n{A}")), "line 3 is a key that stands there already");
        assert!(said(&"c".repeat(1025)).starts_with("line 1 is longer"));
        let many: Vec<String> = (0..65).map(|n| format!("{n:032}")).collect();
        assert_eq!(said(&many.join("\n")), "has more than 64 keys");
        for text in
            [said(&B[1..]), format!("{:?}", keys(&[A])), keys(&[A]).fingerprints().to_string()]
        {
            assert!(!text.contains("aaaa") && !text.contains("bbbb"), "{text}");
        }
    }

    /// The format of stores, which others may compute as well: a change would lose everybody's no. (By
    /// Python's `hmac`, of the key, `wa_id`, a zero byte and the number.)
    #[test]
    fn pseudonyms_stay_what_they_are() {
        let (one, two) = (keys(&[A]), keys(&[A, B]));
        assert_eq!(
            kept(&one, "15550199001", "US.1000"),
            ["wdfb501af5a5c80a3589aeda3d4cf7220", "u.a4a73e06b5335e3fedf0259be1f1c84e"]
        );
        assert_eq!(
            kept(&two, "15550199001", "US.1000"),
            ["w48555456b9ec2d349eb0da10ce1f2a64", "u.ee17898cc0fbf604e56078448c25c793"]
        );
        assert_eq!(one.fingerprints().to_string(), "b91b6db1ed3e3d4b");
        assert_eq!(one.name("wamid.HBgL".to_owned()), "hashed.2b3d8bd2734590601c73864a7be43c51");
        let spelled = ["5511987654321", "+551187654321"].map(|wa| kept(&one, wa, ""));
        assert_eq!(spelled[0], spelled[1]);
    }

    #[test]
    fn a_chain_goes_on_where_it_stood_and_needs_every_key() {
        let both = kept(&keys(&[A, B]), "15550199001", "US.1000");
        let first = kept(&keys(&[A]), "15550199001", "US.1000");
        let customer = Customer::kept(&first[0]).unwrap();
        assert_eq!(keys(&[B]).wa(customer.wa().unwrap()).key(), both[0]);
        assert_eq!(keys(&[B]).customer(&customer), customer, "not twice");
        for others in [&[A][..], &[B], &[B, A]] {
            assert_ne!(kept(&keys(others), "15550199001", "US.1000"), both);
        }
        assert_ne!(first[0][1..], first[1][2..], "kinds are told apart");
    }

    #[test]
    fn a_pseudonym_is_taken_from_a_store_and_from_nobody_else() {
        for id in kept(&keys(&[A]), "15550199001", "US.1000") {
            assert_eq!(Customer::kept(&id).unwrap().keys().join(" "), id);
            assert!(Customer::parse(&id, "", "").is_err() && Customer::parse("", &id, "").is_err());
            for spoiled in [&id[..id.len() - 1], &format!("{id}0"), &id.to_uppercase()] {
                assert!(Customer::kept(spoiled).is_err(), "{spoiled}");
            }
        }
        assert!(Customer::kept("5511987654321").is_err(), "no key");
        assert_eq!(Customer::kept("551187654321").unwrap().keys(), ["551187654321"]);
    }

    #[test]
    fn names_that_tell_a_number_are_hashed_and_others_stay() {
        let one = keys(&[A]);
        let name = |id: &str| one.name(id.to_owned());
        for id in ["", "call-7", "hashed.", "hashed.00", "wacid", "wamidst"] {
            assert_eq!(name(id), id);
        }
        let hashed = name("wamid.HBgL");
        assert!(hashed.starts_with("hashed.") && hashed.len() == 39, "{hashed}");
        // Or one who has seen it could claim it as an id of their own.
        assert_ne!(name(&hashed), hashed);
        for id in ["wacid.HBgL", "WAMID.HBgL", "x-wamid.HBgL", "wamid.HBgL/sent"] {
            assert!(name(id).starts_with("hashed.") && name(id) != hashed, "{id}");
        }
    }

    #[test]
    fn every_difference_of_keys_is_told_with_its_mend() {
        let of = |lines: &[&str]| Keys::parse(&lines.join("\n")).map(|keys| keys.fingerprints());
        let sets = [&[][..], &[A], &[B], &[A, B], &[B, A]];
        let mut said = Vec::new();
        for stored in sets {
            for mine in sets {
                let (stored, mine) = (of(stored).unwrap_or_default(), of(mine).unwrap_or_default());
                match stored.admit(&mine) {
                    Ok(()) => assert_eq!(stored, mine),
                    Err(why) => said.push(why),
                }
            }
        }
        assert_eq!(said.len(), 20);
        let count = |words: &str| said.iter().filter(|why| why.contains(words)).count();
        assert_eq!(count("unset privacy.key_file"), 4);
        assert_eq!(count("set privacy.key_file to the file"), 4);
        assert_eq!(count("put back the lines"), 2);
        assert_eq!(count("take the new lines out"), 2);
        assert_eq!(count("in their order"), 8);
    }
}
