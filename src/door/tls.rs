//! What a door shows, and what it asks of those who come: TLS 1.3, from files that may change.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

/// The files of one door's TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The door's certificate, then those between it and its authority. PEM.
    pub cert: Option<PathBuf>,
    /// The key of the certificate. PEM.
    pub key: Option<PathBuf>,
    /// The authorities of clients' certificates. PEM. Unset: clients show none.
    pub client_ca: Option<PathBuf>,
}

impl Files {
    /// Those that are named.
    pub fn named(&self) -> impl Iterator<Item = &Path> {
        [&self.cert, &self.key, &self.client_ca].into_iter().filter_map(Option::as_deref)
    }
}

/// Whether a client of a door with authorities must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nobody else comes in.
    Required,
    /// Who shows none has to be known otherwise.
    Optional,
}

/// The protocol spoken over a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, as gRPC.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// Files that were read, and are good together.
#[derive(Clone)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends. Unix time, seconds.
    pub ends_at: i64,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong, with the file's name: it cannot be read, is not PEM, or the key is not that of
    /// the certificate.
    pub fn read(
        cert: &Path,
        key: &Path,
        client_ca: Option<(&Path, ClientCertificate)>,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let chain = certificates(cert)?;
        let leaf = chain.first().and_then(|leaf| parse_x509_certificate(leaf).ok());
        let Some((_, leaf)) = leaf else {
            return Err(format!("{}: its first certificate cannot be read", cert.display()));
        };
        let ends_at = leaf.validity().not_after.timestamp();
        let builder = ServerConfig::builder_with_protocol_versions(&[&TLS13]);
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some((path, certificate)) => {
                let verifier = WebPkiClientVerifier::builder(Arc::new(authorities(path)?));
                let verifier = match certificate {
                    ClientCertificate::Required => verifier,
                    ClientCertificate::Optional => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|e| format!("{}: {e}", path.display()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|e| format!("{}: no private key can be read: {}", key.display(), why(e)))?;
        let mut config = builder
            .with_single_cert(chain, private)
            .map_err(|e| format!("{} does not belong to {}: {e}", key.display(), cert.display()))?;
        config.alpn_protocols = match protocol {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::Http => vec![b"http/1.1".to_vec()],
        };
        Ok(Self { config: Arc::new(config), ends_at })
    }
}

/// The identity that a door shows now. Connections that are open keep the one that they met.
#[derive(Debug)]
pub struct Tls(ArcSwap<Identity>);

impl Tls {
    /// Shows this one.
    pub fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(identity)))
    }

    /// From now on shows this one.
    pub fn replace(&self, identity: Identity) {
        self.0.store(Arc::new(identity));
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.0.load().config).into()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bad = |why: String| format!("{}: no certificate can be read: {why}", path.display());
    let text = fs::read(path).map_err(|e| bad(e.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad("it holds none, as PEM".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(bad(why(error))),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(roots)
}

fn why(error: rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => io::Error::to_string(&error),
        other => other.to_string(),
    }
}

/// The names of a certificate's owner: DNS names and URIs of the subject alternative name. One without
/// any is named by its common name, as many internal authorities still do.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Vec::new() };
    match certificate.subject_alternative_name() {
        Ok(None) => common_name(&certificate).into_iter().collect(),
        Ok(Some(names)) => {
            let name = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
                _ => None,
            };
            names.value.general_names.iter().filter_map(name).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}
