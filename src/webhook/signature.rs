//! Who sent this: Meta signs the raw bytes of a body with the app's secret.
//!
//! Meta escapes non-ASCII as `\uXXXX`, so a body that was parsed and written again has another
//! signature; only the bytes as they came are ever looked at.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Where Meta puts the signature. The older `X-Hub-Signature` (SHA-1) is not accepted.
pub const HEADER: &str = "x-hub-signature-256";

/// The app secrets in use: during a rotation both the old and the new one, with several apps all of
/// theirs.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Empty secrets are left out: they would let anybody sign.
    pub(crate) fn new(secrets: Vec<String>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// Whether none is configured, so that nothing can be believed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the secrets signed exactly these bytes. Compares in constant time, and tries
    /// every secret whichever fits.
    pub(crate) fn signed(&self, body: &[u8], header: &str) -> bool {
        let Some(told) = header.strip_prefix("sha256=").and_then(|text| hex::decode(text).ok())
        else {
            return false;
        };
        self.0.iter().fold(false, |is_signed, secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes a key of any length");
            mac.update(body);
            is_signed | mac.verify_slice(&told).is_ok()
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Compares two texts without telling by its time where they differ, nor how long they are.
pub(crate) fn is_same(ours: &str, theirs: &str) -> bool {
    Sha256::digest(ours).ct_eq(&Sha256::digest(theirs)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const KNOWN: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";

    fn secrets(list: &[&str]) -> Secrets {
        Secrets::new(list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn any_of_the_secrets_may_have_signed() {
        assert!(secrets(&["Jefe"]).signed(BODY, KNOWN));
        assert!(secrets(&["new", "Jefe"]).signed(BODY, KNOWN));
        assert!(secrets(&["Jefe", "new"]).signed(BODY, KNOWN));
        assert!(!secrets(&["new", "newer"]).signed(BODY, KNOWN));
    }

    #[test]
    fn another_body_or_another_form_is_not_signed() {
        let ours = secrets(&["Jefe"]);
        assert!(!ours.signed(b"what do ya want for nothing!", KNOWN));
        assert!(!ours.signed(BODY, KNOWN.trim_start_matches("sha256=")));
        assert!(!ours.signed(BODY, &KNOWN[..KNOWN.len() - 2]), "a part of it");
        assert!(!ours.signed(BODY, "sha256="));
        assert!(!ours.signed(BODY, "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    }

    #[test]
    fn an_empty_secret_is_none() {
        assert!(secrets(&["", ""]).is_empty());
        assert!(!secrets(&[""]).signed(
            b"",
            "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
        ));
    }
}
