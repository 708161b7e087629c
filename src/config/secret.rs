//! Values that are never printed.

use std::fmt;

/// Stands where a secret would be printed.
pub const MASK: &str = "****";

/// A secret. `Debug` masks it; nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into keeping.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// A URL with its passwords masked: that of `user:password@host`, and every query value whose name
/// says that it is one.
pub fn mask_url(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(a, q)| (a, Some(q)));
    let masked = mask_userinfo(address);
    match query {
        None => masked,
        Some(query) => {
            let pairs: Vec<String> = query.split('&').map(mask_pair).collect();
            format!("{masked}?{}", pairs.join("&"))
        }
    }
}

fn mask_userinfo(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        // Its writer forgot a slash, or more: what stands before a host is not shown.
        return match address.rsplit_once('@') {
            Some((_, host)) => format!("{MASK}@{host}"),
            None => address.to_owned(),
        };
    };
    // A password may hold "/" and "@" where its writer forgot to escape them: the last "@" ends it.
    let Some((userinfo, host)) = rest.rsplit_once('@') else { return address.to_owned() };
    match userinfo.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}"),
        None => address.to_owned(),
    }
}

fn mask_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if ["pass", "secret", "token"].iter().any(|word| name.contains(word)) => {
            format!("{name}={MASK}")
        }
        _ => pair.to_owned(),
    }
}
