//! TLS: what is spoken, who is known by a certificate, and what happens when files change.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use callgate::{
    door::{
        Address, ClientCertificate, Identity, Incoming, Listener, Options as DoorOptions, Protocol,
        Tls, serve_grpc,
    },
    engine::{
        gate::{Gate, Profiles},
        profile::Profile,
        scope::Scope,
        time::WallClock,
    },
    proto::{self as pb, call_permission_service_client::CallPermissionServiceClient},
    service::{
        Options,
        access::{Access, Client, Doorkeeper, Role, TokenHash},
        router,
    },
    store::embedded::Embedded,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tonic::{
    Code, Request,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::matrix::{A, number};
use crate::{service::ask, support::server::never_understood};

/// An authority, and a directory for what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
    pub ca: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let certificate = params.self_signed(&key).unwrap();
        let ca = directory.path().join("ca.crt");
        std::fs::write(&ca, certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), directory, ca }
    }

    /// A certificate with these alternative names, or with this common name alone.
    pub fn sign(&self, file: &str, names: Vec<SanType>, common_name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, private] =
            ["crt", "key"].map(|ending| self.directory.path().join(format!("{file}.{ending}")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        (cert, private)
    }

    /// The certificate of a server on this host.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        self.sign("server", vec![dns("localhost")], "server")
    }
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

/// A gate under TLS.
struct Shut {
    port: u16,
    tls: std::sync::Arc<Tls>,
}

/// Serves with the certificate of `authority`, to these clients.
async fn serve(authority: &Authority, asks: ClientCertificate, clients: Vec<Client>) -> Shut {
    let (cert, key) = authority.server();
    let tls = Tls::new(identity(authority, (&cert, &key), asks));
    let store =
        std::sync::Arc::new(Embedded::memory(std::sync::Arc::new(WallClock::default())).unwrap());
    let options = Options {
        doorkeeper: Doorkeeper::new(Access::new(clients)),
        ..Options::new(never_understood())
    };
    let routes = router(Gate::new(store, Profiles::new(Profile::atom())), options).await.routes;
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { unreachable!() };
    let door = DoorOptions { tls: Some(tls.clone()), ..DoorOptions::default() };
    let incoming = Incoming::new(listener, door);
    tokio::spawn(serve_grpc(routes, incoming, Duration::ZERO, std::future::pending()));
    Shut { port: address.port(), tls }
}

fn identity(authority: &Authority, files: (&Path, &Path), asks: ClientCertificate) -> Identity {
    Identity::read(files.0, files.1, Some((&authority.ca, asks)), Protocol::Grpc).unwrap()
}

impl Shut {
    /// Connects, trusting this authority and showing this certificate.
    async fn connect(
        &self,
        trusted: &Authority,
        shown: Option<&(PathBuf, PathBuf)>,
    ) -> Result<Channel, tonic::transport::Error> {
        let pem = |path: &PathBuf| std::fs::read(path).unwrap();
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(&trusted.ca)));
        if let Some((cert, key)) = shown {
            tls = tls.identity(tonic::transport::Identity::from_pem(pem(cert), pem(key)));
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{}", self.port)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await
    }

    /// What comes of a question.
    async fn ask(
        &self,
        trusted: &Authority,
        shown: Option<&(PathBuf, PathBuf)>,
        token: Option<&str>,
    ) -> Result<Code, String> {
        let channel = self.connect(trusted, shown).await.map_err(|error| format!("{error:?}"))?;
        let mut request = Request::new(pb::GetPermissionRequest {
            pair: ask::pair_of(A, ask::CUSTOMER),
            as_of: None,
        });
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let answer = CallPermissionServiceClient::new(channel).get_permission(request).await;
        match answer {
            Ok(_) => Ok(Code::Ok),
            // Under TLS 1.3 a client learns with its first bytes that its certificate was refused.
            Err(status) if [Code::Unknown, Code::Unavailable].contains(&status.code()) => {
                Err(format!("{status:?}"))
            }
            Err(status) => Ok(status.code()),
        }
    }
}

fn known_by(name: &str, roles: &[Role]) -> Client {
    Client {
        name: name.to_owned(),
        roles: roles.to_vec(),
        tokens: Vec::new(),
        certificate_names: vec![name.to_owned()],
        scope: Scope::numbers([number(A)]),
    }
}

#[tokio::test]
async fn a_client_is_known_by_the_names_in_its_certificate() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let spiffe = "spiffe://cluster.local/ns/bots/sa/dialer";
    let clients = vec![
        known_by("bot.example", &[Role::Caller]),
        known_by(spiffe, &[Role::Caller]),
        known_by("old-style", &[Role::Caller]),
        known_by("events.example", &[Role::Recorder]),
    ];
    let gate = serve(&authority, ClientCertificate::Required, clients).await;
    let shown = |names, common| authority.sign("client", names, common);
    let ask = async |shown: &(PathBuf, PathBuf)| gate.ask(&authority, Some(shown), None).await;
    assert_eq!(ask(&shown(vec![dns("bot.example")], "x")).await, Ok(Code::Ok));
    assert_eq!(ask(&shown(vec![dns("a"), uri(spiffe)], "x")).await, Ok(Code::Ok));
    assert_eq!(ask(&shown(vec![], "old-style")).await, Ok(Code::Ok));
    // With other names the common name is a mere remark: whoever signs may not have looked at it.
    let both = shown(vec![dns("other.example")], "old-style");
    assert_eq!(ask(&both).await, Ok(Code::Unauthenticated));
    assert_eq!(ask(&shown(vec![dns("nobody")], "x")).await, Ok(Code::Unauthenticated));
    let recorder = shown(vec![dns("events.example")], "x");
    assert_eq!(ask(&recorder).await, Ok(Code::PermissionDenied));

    // Of another authority, or none at all.
    let foreign = stranger.sign("client", vec![dns("bot.example")], "x");
    assert!(ask(&foreign).await.is_err());
    assert!(gate.ask(&authority, None, None).await.is_err());
    // And who does not trust the gate's own certificate says nothing to it.
    let good = shown(vec![dns("bot.example")], "x");
    assert!(gate.connect(&stranger, Some(&good)).await.is_err());
}

#[tokio::test]
async fn where_tokens_are_known_a_certificate_is_not_required() {
    let authority = Authority::new();
    let mut by_token = known_by("bot.example", &[Role::Caller]);
    by_token.tokens = vec![TokenHash::of("secret")];
    let gate = serve(&authority, ClientCertificate::Optional, vec![by_token]).await;
    let shown = authority.sign("client", vec![dns("bot.example")], "x");
    assert_eq!(gate.ask(&authority, None, Some("secret")).await, Ok(Code::Ok));
    assert_eq!(gate.ask(&authority, None, None).await, Ok(Code::Unauthenticated));
    assert_eq!(gate.ask(&authority, Some(&shown), None).await, Ok(Code::Ok));
    // A token that is wrong is wrong, whatever certificate comes with it.
    let mixed = gate.ask(&authority, Some(&shown), Some("wrong")).await;
    assert_eq!(mixed, Ok(Code::Unauthenticated));
    let stranger = Authority::new();
    let foreign = stranger.sign("client", vec![dns("bot.example")], "x");
    assert!(gate.ask(&authority, Some(&foreign), Some("secret")).await.is_err());
}

#[tokio::test]
async fn nothing_older_than_tls_1_3_is_spoken() {
    use rustls::{
        RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    };
    let authority = Authority::new();
    let gate = serve(&authority, ClientCertificate::Optional, Vec::new()).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.ca).unwrap()).unwrap();
    for (version, is_spoken) in [(&TLS12, false), (&TLS13, true)] {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", gate.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        assert_eq!(connector.connect(name, stream).await.is_ok(), is_spoken, "{version:?}");
    }
    // Without TLS nothing is answered.
    let plain = Endpoint::from_shared(format!("http://localhost:{}", gate.port)).unwrap();
    let mut calls = CallPermissionServiceClient::new(plain.connect_lazy());
    let number = pb::GetBusinessNumberRequest { phone_number_id: A.to_owned() };
    let status = calls.get_business_number(number).await.unwrap_err();
    assert!([Code::Unavailable, Code::Unknown].contains(&status.code()), "{status:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let bot = known_by("bot.example", &[Role::Caller]);
    let gate = serve(&old, ClientCertificate::Required, vec![bot]).await;
    let by_old = old.sign("client", vec![dns("bot.example")], "x");
    let by_new = new.sign("client", vec![dns("bot.example")], "x");
    let open = gate.connect(&old, Some(&by_old)).await.unwrap();
    let question =
        || pb::GetPermissionRequest { pair: ask::pair_of(A, ask::CUSTOMER), as_of: None };
    let mut calls = CallPermissionServiceClient::new(open);
    calls.get_permission(question()).await.unwrap();

    let (cert, key) = new.server();
    gate.tls.replace(identity(&new, (&cert, &key), ClientCertificate::Required));
    assert_eq!(gate.ask(&new, Some(&by_new), None).await, Ok(Code::Ok));
    assert!(gate.ask(&old, Some(&by_old), None).await.is_err());
    assert!(gate.ask(&new, Some(&by_old), None).await.is_err(), "of the old authority");
    // Who was connected goes on.
    calls.get_permission(question()).await.unwrap();
}

#[test]
fn files_that_do_not_fit_are_told_by_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (cert, key) = authority.server();
    let (_, other_key) = other.server();
    let read = |cert: &Path, key: &Path, ca: Option<&Path>| {
        let ca = ca.map(|path| (path, ClientCertificate::Required));
        Identity::read(cert, key, ca, Protocol::Grpc).unwrap_err()
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let problem = read(&cert, &other_key, None);
    assert!(problem.contains("server.key does not belong to "), "{problem}");
    assert!(read(Path::new("/nowhere.crt"), &key, None).starts_with("/nowhere.crt: "));
    let problem = read(&key, &key, None);
    assert!(problem.contains("server.key: no certificate can be read"), "{problem}");
    let problem = read(&cert, &cert, None);
    assert!(problem.contains("server.crt: no private key can be read"), "{problem}");
    let problem = read(&cert, &key, Some(&key));
    assert!(problem.contains("server.key: no certificate can be read"), "{problem}");
}
