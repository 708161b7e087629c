//! What stands under a key: the payload, when it expires, and the proof that it is whole.
//!
//! ```text
//! version 1 | crc32 4 | commit 8 | expires 8 | payload      numbers little-endian
//! ```
//! The checksum covers the key and all that follows it, so that a value that strayed to another key
//! is found out too.

use crate::engine::{Error, Result, time::Millis};

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + 8 + 8;

/// A payload and when it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// From then on it reads as missing; unset: never.
    pub(super) expires_at: Millis,
    pub(super) payload: Vec<u8>,
}

impl Stored {
    /// Never expires.
    pub(super) fn lasting(payload: Vec<u8>) -> Self {
        Self { expires_at: Millis::ZERO, payload }
    }

    pub(super) fn is_over(&self, now: Millis) -> bool {
        self.expires_at.get().is_some_and(|at| at <= now)
    }

    /// As bytes, written by this commit.
    pub(super) fn encode(&self, key: &[u8], commit: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.payload.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&commit.to_le_bytes());
        bytes.extend_from_slice(&self.expires_at.0.to_le_bytes());
        bytes.extend_from_slice(&self.payload);
        let sum = checksum(key, &bytes[5..]);
        bytes[1..5].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// From bytes that no commit after `head` can have written.
    pub(super) fn decode(key: &[u8], bytes: &[u8], head: u64) -> Result<Self> {
        let damaged = |what: &str| {
            Error::Internal(format!(
                "the embedded store is damaged: an entry (0x{:02x}, {} bytes) {what}; stop callgate \
                 and restore the directory from a backup",
                key.first().copied().unwrap_or(0),
                bytes.len(),
            ))
        };
        let (&version, rest) = bytes.split_first().ok_or_else(|| damaged("is empty"))?;
        let (sum, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("is cut off"))?;
        if u32::from_le_bytes(*sum) != checksum(key, rest) {
            return Err(damaged("fails its checksum"));
        }
        if version != VERSION {
            return Err(Error::Internal(format!(
                "the embedded store holds an entry of format {version}, this callgate reads \
                 {VERSION}: run the newer callgate again"
            )));
        }
        let (commit, rest) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("is cut off"))?;
        let (expires, payload) =
            rest.split_first_chunk::<8>().ok_or_else(|| damaged("is cut off"))?;
        if u64::from_le_bytes(*commit) > head {
            return Err(damaged("is of a commit that is missing"));
        }
        let expires_at = Millis(u64::from_le_bytes(*expires));
        Ok(Self { expires_at, payload: payload.to_vec() })
    }
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}
