//! What is kept aside as it came, sealed: the text, which may name customers, is encrypted, and beside
//! it stand the pseudonyms of all whom it may name, so that whoever is forgotten is found in it.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::engine::{
    Error, Result,
    pair::{Customer, UserId, WaId},
    pseudonym::Keys,
    store::{Quarantined, words},
};

/// In front of what is sealed: no JSON begins so.
const SEALED: &str = "sealed ";

/// Closes a webhook: names, and then opens, by the newest key.
///
/// # Errors
/// `Internal` if the host has no random numbers.
pub(crate) fn close(keys: &Keys, entry: Quarantined) -> Result<Quarantined> {
    let id = keys.webhook(&entry.id);
    close_as(keys, id, entry)
}

/// Closes by `all` keys what is open, or was closed without the `further` ones.
///
/// # Errors
/// `Internal` if it does not open.
pub(crate) fn carry_over(all: &Keys, further: &Keys, entry: Quarantined) -> Result<Quarantined> {
    let id = further.webhook(&entry.id);
    close_as(all, id, open(all, entry)?)
}

fn close_as(keys: &Keys, id: String, mut entry: Quarantined) -> Result<Quarantined> {
    entry.id = id;
    let mut bytes = entry.change.clone().into_bytes();
    let mut nonce = [0; NONCE_LEN];
    let newest = keys.for_sealing().next_back().and_then(cipher);
    let (Some(newest), Ok(())) = (newest, SystemRandom::new().fill(&mut nonce)) else {
        return Err(Error::Internal("a webhook cannot be sealed".to_owned()));
    };
    newest
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about(&entry), &mut bytes)
        .map_err(|_| Error::Internal("a webhook cannot be sealed".to_owned()))?;
    let sealed = BASE64_STANDARD_NO_PAD.encode([&nonce[..], &bytes].concat());
    let named: Vec<String> = named(keys, &entry.change).into_iter().collect();
    entry.change = format!("{SEALED}{sealed} {}", named.join(" "));
    Ok(entry)
}

/// Opens one by whichever key closed it. One that is not sealed is as it is.
///
/// # Errors
/// `Internal` if no key does.
pub(crate) fn open(keys: &Keys, mut entry: Quarantined) -> Result<Quarantined> {
    let Some(rest) = entry.change.strip_prefix(SEALED) else { return Ok(entry) };
    let sealed = rest.split(' ').next().unwrap_or_default();
    let opened = BASE64_STANDARD_NO_PAD.decode(sealed).ok().and_then(|bytes| {
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>()?;
        keys.for_sealing().rev().find_map(|key| {
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let text = cipher(key)?.open_in_place(nonce, about(&entry), &mut text).ok()?;
            String::from_utf8(text.to_vec()).ok()
        })
    });
    entry.change = opened.ok_or_else(|| {
        Error::Internal(
            "a webhook kept aside cannot be opened: it is damaged, or its key is not in \
             privacy.key_file"
                .to_owned(),
        )
    })?;
    Ok(entry)
}

/// Whether this is a name under which a closed one is kept: half as long as those of open ones.
pub(crate) fn is_name(id: &str) -> bool {
    id.len() == 32
}

fn cipher(key: [u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new)
}

/// A text that was put in another's place does not open.
fn about(entry: &Quarantined) -> Aad<Vec<u8>> {
    let Quarantined { id, field, phone_number_id, .. } = entry;
    Aad::from(format!("{id} {phone_number_id} {field}").into_bytes())
}

/// The pseudonyms of all whom a text may name.
fn named(keys: &Keys, text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for word in words(text) {
        let ids = (WaId::parse(word, "").ok(), UserId::parse(word, "").ok());
        if ids != (None, None) {
            named.extend(keys.customer(&Customer::of(ids.0, ids.1)).keys());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Millis;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn aside(change: &str) -> Quarantined {
        Quarantined {
            id: "1d".to_owned(),
            reason: "unknown shape".to_owned(),
            received_at: Millis(1),
            field: "messages".to_owned(),
            phone_number_id: "436666719526789".to_owned(),
            change: change.to_owned(),
        }
    }

    #[test]
    fn what_is_closed_names_everybody_and_says_nothing() {
        let keys = Keys::parse(A).unwrap();
        let text = r#"{"from": "+5511987654321", "user_id":"US.1000", "text":"I am US.2000."}"#;
        let closed = close(&keys, aside(text)).unwrap();
        for word in ["11987654321", "1187654321", "US.", "from"] {
            assert!(!closed.change.contains(word), "{word}: {}", closed.change);
        }
        assert_ne!(closed.id, "1d");
        for (wa, user) in [("551187654321", ""), ("", "US.1000"), ("", "US.2000"), ("", "US.2000.")]
        {
            let who = Customer::parse(wa, user, "").unwrap();
            assert!(closed.names(&keys.customer(&who).keys()), "{who:?}");
            assert!(!closed.names(&who.keys()));
        }
        let other = Customer::parse("551187654322", "US.1", "").unwrap();
        assert!(!closed.names(&keys.customer(&other).keys()));
        let opened = open(&keys, closed.clone()).unwrap();
        assert_eq!(opened, Quarantined { id: closed.id.clone(), ..aside(text) });
        assert_ne!(close(&keys, aside(text)).unwrap().change, closed.change, "each anew");
    }

    #[test]
    fn it_opens_by_any_key_of_the_file_and_in_its_own_place_alone() {
        let (old, both) = (Keys::parse(A).unwrap(), Keys::parse(&[A, B].join("\n")).unwrap());
        let closed = close(&old, aside("{}")).unwrap();
        assert_eq!(open(&both, closed.clone()).unwrap().change, "{}");
        assert!(open(&Keys::parse(B).unwrap(), closed.clone()).is_err());
        let newer = close(&both, aside("{}")).unwrap();
        assert!(open(&old, newer).is_err());
        let moved = Quarantined { phone_number_id: "2".to_owned(), ..closed.clone() };
        assert!(open(&old, moved).is_err());
        let flipped = closed.change.replacen(|c: char| c.is_ascii_digit(), "x", 1);
        assert!(open(&old, Quarantined { change: flipped, ..closed }).is_err());
        assert_eq!(open(&old, aside("{}")).unwrap().change, "{}", "not sealed");
    }
}
