//! The doors as the configuration sees them: their TLS is read, and what would be open to other hosts
//! without it is refused, unless it is named.

use std::path::Path;

use crate::{
    config::Config,
    door::{Address, ClientCertificate, Files, Identity, Protocol},
};

/// Each place at which the gate listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoorName {
    /// Where clients ask.
    Grpc,
    /// Where webhooks come in.
    Http,
    /// Where operators look.
    Admin,
}

impl DoorName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::Http, Self::Admin];

    /// As keys and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Admin => "admin",
        }
    }

    /// Where it listens; `None`: nowhere.
    pub fn address(self, config: &Config) -> Option<&Address> {
        match self {
            Self::Grpc => Some(&config.grpc_addr),
            Self::Http => config.http_addr.as_ref(),
            Self::Admin => config.admin_addr.as_ref(),
        }
    }

    /// The files of its TLS.
    pub fn files(self, config: &Config) -> &Files {
        match self {
            Self::Grpc => &config.grpc_tls,
            Self::Http => &config.http_tls,
            Self::Admin => &config.admin_tls,
        }
    }
}

/// Reads what the doors show. `place` says where a key was set.
pub(super) fn read(
    config: &mut Config,
    place: impl Fn(&str) -> Option<String>,
    errors: &mut Vec<String>,
) {
    for door in DoorName::ALL {
        match identity(door, config) {
            Ok(None) => {}
            Ok(Some(identity)) => drop(config.identities.insert(door, identity)),
            Err((key, problem)) => {
                let path = format!("{}_tls.{key}", door.name());
                let place = place(&path).map_or_else(String::new, |place| format!("{place}: "));
                errors.push(format!("{place}{path}: {problem}"));
            }
        }
    }
}

fn identity(door: DoorName, config: &Config) -> Result<Option<Identity>, (&'static str, String)> {
    let files = door.files(config);
    let (cert, key) = match (&files.cert, &files.key, &files.client_ca) {
        (None, None, None) => return Ok(None),
        (Some(cert), Some(key), _) => (cert, key),
        (Some(_), None, _) => return Err(("cert_file", "wants key_file beside it".to_owned())),
        (None, Some(_), _) => return Err(("key_file", "wants cert_file beside it".to_owned())),
        (None, None, Some(_)) => {
            return Err(("client_ca_file", "wants cert_file and key_file beside it".to_owned()));
        }
    };
    let has_tokens = config.clients.iter().any(|client| !client.tokens.is_empty());
    let (protocol, certificate) = match door {
        DoorName::Grpc if has_tokens => (Protocol::Grpc, ClientCertificate::Optional),
        DoorName::Grpc => (Protocol::Grpc, ClientCertificate::Required),
        DoorName::Http | DoorName::Admin => (Protocol::Http, ClientCertificate::Required),
    };
    let client_ca = files.client_ca.as_deref().map(|path: &Path| (path, certificate));
    let identity = Identity::read(cert, key, client_ca, protocol);
    identity.map(Some).map_err(|problem| ("cert_file", problem))
}

/// Says which doors would be open to other hosts without being named in `allow_insecure`.
pub(super) fn check(
    config: &Config,
    place: impl Fn(&str) -> Option<String>,
    errors: &mut Vec<String>,
) {
    for door in DoorName::ALL {
        let Some(address) = door.address(config).filter(|address| !address.is_local()) else {
            continue;
        };
        if config.allow_insecure.contains(&door) {
            continue;
        }
        let name = door.name();
        let has_tls = door.files(config).cert.is_some();
        let missing = match (door, has_tls, config.clients.is_empty()) {
            (DoorName::Grpc, false, true) => "TLS and clients",
            (DoorName::Grpc, true, true) => "clients",
            (_, false, _) => "TLS",
            (_, true, _) => continue,
        };
        let mend = match missing {
            "TLS" => format!("set {name}_tls.cert_file and {name}_tls.key_file"),
            "clients" => "name who may ask in [clients.…]".to_owned(),
            _ => format!(
                "set {name}_tls.cert_file and {name}_tls.key_file, and name who may ask in [clients.…]"
            ),
        };
        let key = format!("{name}_addr");
        let place = place(&key).map_or_else(String::new, |place| format!("{place}: "));
        errors.push(format!(
            "{place}{key} = \"{address}\": other hosts could reach it without {missing}; {mend}, or \
             listen on 127.0.0.1 or unix:/path; to be open on purpose, name it: allow_insecure = \
             \"{name}\""
        ));
    }
}
