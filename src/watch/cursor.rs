//! Resume tokens: where a stream stands, as opaque bytes that only this store's gates can make.
//!
//! ```text
//!  version (1) | kind | [count | newest.0 | per partition: gap, newest.0 - position.0, position.1] | tag
//! ```
//!
//! Numbers are varints (LEB128). Positions of one moment lie close together, so that they are told as
//! distances from the newest: all 64 partitions of a busy store fit into about 400 bytes. The tag is
//! an HMAC over all before it, so that a token that was damaged, made up, or taken from another store
//! is refused instead of being read as a place in this log.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::engine::{Error, Result, change::Position};

/// Of the bytes.
const VERSION: u8 = 1;
const POSITIONS: u8 = 1;
const UNFINISHED: u8 = 2;
/// Truncated HMAC-SHA256. Bytes.
const TAG_LEN: usize = 16;
/// The store's secret has other uses: what is sealed here is told apart by this.
const PURPOSE: &[u8] = b"callgate resume token\0";
/// The field of the request that holds a token.
pub(super) const FIELD: &str = "resume_token";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Everything up to here was told: a position per partition, partitions ascending.
    Positions(Vec<(u16, Position)>),
    /// The stream broke off among its snapshots: they are to be sent again.
    Unfinished,
}

/// Makes and opens the tokens of one store.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// By the store's secret.
    pub(super) fn new(secret: &[u8]) -> Self {
        let mut mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(PURPOSE);
        Self(mac)
    }

    /// A token for a stream that has told everything up to `positions`.
    pub(super) fn positions(
        &self,
        positions: impl ExactSizeIterator<Item = (u16, Position)> + Clone,
    ) -> Vec<u8> {
        let newest = positions.clone().map(|(_, position)| position.0).max().unwrap_or(0);
        let mut bytes = Vec::with_capacity(24 + 7 * positions.len());
        bytes.extend([VERSION, POSITIONS]);
        put(&mut bytes, positions.len() as u64);
        put(&mut bytes, newest);
        let mut next = 0;
        for (partition, position) in positions {
            let partition = u64::from(partition);
            put(&mut bytes, partition - next);
            put(&mut bytes, newest - position.0);
            put(&mut bytes, position.1);
            next = partition + 1;
        }
        self.close(bytes)
    }

    /// A token for a stream that has not told all its snapshots yet.
    pub(super) fn unfinished(&self) -> Vec<u8> {
        self.close(vec![VERSION, UNFINISHED])
    }

    fn close(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let tag = self.0.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&tag[..TAG_LEN]);
        bytes
    }

    /// What a token says.
    ///
    /// # Errors
    /// `Invalid` if it is not one of this store's.
    pub(super) fn open(&self, token: &[u8]) -> Result<Token> {
        const BROKEN: &str = "is damaged, or was made by a gate on another store: send a token as it \
            was received, or leave it empty to start from now";
        const OTHER_VERSION: &str = "was made by another version of callgate: leave it empty to \
            start from now, with a snapshot to have the present state";
        let broken = || Error::invalid(FIELD, BROKEN);
        let content = token.len().checked_sub(TAG_LEN).ok_or_else(broken)?;
        let (content, tag) = token.split_at(content);
        let mac = self.0.clone().chain_update(content);
        mac.verify_truncated_left(tag).map_err(|_| broken())?;
        // From here on it is one of our own, whole.
        match content {
            [VERSION, UNFINISHED] => Some(Token::Unfinished),
            [VERSION, POSITIONS, rest @ ..] => read(rest).map(Token::Positions),
            _ => None,
        }
        .ok_or_else(|| Error::invalid(FIELD, OTHER_VERSION))
    }
}

fn read(mut bytes: &[u8]) -> Option<Vec<(u16, Position)>> {
    let count = take(&mut bytes)?;
    let newest = take(&mut bytes)?;
    let mut positions = Vec::new();
    let mut next = 0_u64;
    for _ in 0..count {
        let partition = next.checked_add(take(&mut bytes)?)?;
        let first = newest.checked_sub(take(&mut bytes)?)?;
        positions.push((u16::try_from(partition).ok()?, Position(first, take(&mut bytes)?)));
        next = partition + 1;
    }
    bytes.is_empty().then_some(positions)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn seal() -> Seal {
        Seal::new(b"a secret")
    }

    fn token(positions: &[(u16, Position)]) -> Vec<u8> {
        seal().positions(positions.iter().copied())
    }

    fn problem(token: &[u8], seal: &Seal) -> String {
        match seal.open(token).unwrap_err() {
            Error::Invalid { field, problem } if field == FIELD => problem,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        // The smallest failing input is printed; that is enough to keep it as a test.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_sealed_is_read_back(
            at in prop::collection::btree_map(any::<u16>(), (any::<u64>(), any::<u64>()), 0..80)
        ) {
            let at: BTreeMap<u16, (u64, u64)> = at;
            let at: Vec<_> = at.into_iter().map(|(p, (a, b))| (p, Position(a, b))).collect();
            prop_assert_eq!(seal().open(&token(&at)).unwrap(), Token::Positions(at));
        }

        #[test]
        fn a_token_with_any_other_byte_is_refused(
            at in prop::collection::vec((any::<u32>(), 0_u64..300), 1..5),
            flip in 1_u8..,
        ) {
            let at: Vec<_> = (3_u16..).zip(at).map(|(p, (a, b))| (p, Position(a.into(), b))).collect();
            for good in [token(&at), seal().unfinished()] {
                for place in 0..good.len() {
                    let mut bad = good.clone();
                    bad[place] ^= flip;
                    prop_assert!(problem(&bad, &seal()).contains("is damaged"));
                }
            }
        }
    }

    #[test]
    fn a_token_that_is_cut_or_longer_or_of_another_store_is_refused() {
        let good = token(&[(7, Position(1_794_830_400_000, 3))]);
        for length in 0..good.len() {
            assert!(problem(&good[..length], &seal()).contains("is damaged"), "{length}");
        }
        let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
        assert!(problem(&longer, &seal()).contains("is damaged"));
        assert!(problem(&good, &Seal::new(b"another secret")).contains("another store"));
    }

    #[test]
    fn a_token_of_another_version_says_so() {
        for content in
            [vec![2, 1, 0, 0], vec![1, 3], vec![1], vec![1, 1, 1, 0], vec![1, 1, 0, 0, 0]]
        {
            let other = seal().close(content);
            assert!(problem(&other, &seal()).contains("another version"));
        }
    }

    #[test]
    fn tokens_are_small() {
        // A week of changes over all partitions, none of them at the same time.
        let week = 7 * 24 * 3600 * 1000;
        let at: Vec<_> = (0..64_u16)
            .map(|p| (p, Position(1_794_830_400_000 - u64::from(p) * week / 64, u64::from(p))))
            .collect();
        let all = token(&at).len();
        assert!(all <= 480, "{all}");
        assert!(token(&at[..1]).len() <= 32);
    }
}
