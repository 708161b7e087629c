//! Who may ask what: clients, known by a token or by a certificate, and their roles.
//!
//! Without any client the door is open to whoever reaches it, with every role. With the first one it is
//! shut to all others, on loopback and Unix sockets too; only `grpc.health.v1` answers everybody, since
//! probes have no credentials.

use std::{collections::HashMap, fmt, sync::Arc};

use axum::http::{Extensions, HeaderMap, header};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tonic::Status;

use crate::{door::Peer, engine::scope::Scope, service::status};

/// What a client may do. Public texts call them by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Asks before it calls, and says what became of its calls: voice agents, dialers.
    Caller,
    /// Records what happened: whoever hears of replies, requests and messages.
    Recorder,
    /// Everything, erasure and the settings of business numbers included.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Caller, Self::Recorder, Self::Admin];

    /// As the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Recorder => "recorder",
            Self::Admin => "admin",
        }
    }
}

/// The roles that may call a method, by its path: none that of a method which is not in this table.
/// `None`: not of our contract.
pub fn roles_of(path: &str) -> Option<&'static [Role]> {
    use Role::{Admin, Caller, Recorder};
    let method = path.strip_prefix("/callgate.v1.")?;
    Some(match method {
        "CallPermissionService/AuthorizeCall"
        | "CallPermissionService/AuthorizePermissionRequest"
        | "CallPermissionService/CheckCalls"
        | "CallPermissionService/GetPermission"
        | "CallPermissionService/WatchPermissions" => &[Caller, Admin],
        "CallPermissionService/ReportCall" | "CallPermissionService/GetBusinessNumber" => {
            &[Caller, Recorder, Admin]
        }
        "CallPermissionService/RecordEvents" => &[Recorder, Admin],
        "CallPermissionService/ForgetCustomer"
        | "CallPermissionService/UpdateBusinessNumber"
        | "QuarantineService/ListQuarantined"
        | "QuarantineService/GetQuarantined"
        | "QuarantineService/RetryQuarantined"
        | "ConfigService/GetConfig" => &[Admin],
        _ => &[],
    })
}

/// The SHA-256 of a bearer token. Tokens are long and random, so that nothing slower is needed, and a
/// look-up by the hash tells nothing by its time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name in the configuration, for the log.
    pub name: String,
    /// What it may do. In order, each once.
    pub roles: Vec<Role>,
    /// Its tokens: two during a rotation.
    pub tokens: Vec<TokenHash>,
    /// Names of its certificates.
    pub certificate_names: Vec<String>,
    /// Of which business numbers it may see, judge and hear.
    pub scope: Scope,
}

impl Client {
    /// Whether it may all that it could as `before`, by whatever name and tokens.
    fn may_as_much_as(&self, before: &Self) -> bool {
        before.roles.iter().all(|role| self.roles.contains(role))
            && self.scope.covers(&before.scope)
    }
}

/// All clients. `Default`: none, and the door is open.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Access {
    clients: Vec<Arc<Client>>,
    by_token: HashMap<TokenHash, Arc<Client>>,
    by_certificate: HashMap<String, Arc<Client>>,
}

impl Access {
    /// These clients. No token and no certificate name belongs to two of them: the configuration sees
    /// to it.
    pub fn new(clients: Vec<Client>) -> Self {
        let mut access = Self::default();
        for client in clients.into_iter().map(Arc::new) {
            for token in &client.tokens {
                access.by_token.insert(*token, Arc::clone(&client));
            }
            for name in &client.certificate_names {
                access.by_certificate.insert(name.clone(), Arc::clone(&client));
            }
            access.clients.push(client);
        }
        access
    }

    /// Whether there are no clients, so that everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.clients.is_empty()
    }

    /// Who shows what.
    fn find(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<(Credential, Arc<Client>), Refusal> {
        let credential = Credential::of(headers, extensions)?;
        match self.client(&credential).map(Arc::clone) {
            Some(client) => Ok((credential, client)),
            None => Err(match credential {
                Credential::None => Refusal::NoCredential,
                Credential::Token(_) => Refusal::UnknownToken,
                Credential::Certificate(_) => Refusal::UnknownCertificate,
            }),
        }
    }

    fn client(&self, credential: &Credential) -> Option<&Arc<Client>> {
        match credential {
            Credential::None => None,
            Credential::Token(hash) => self.by_token.get(hash),
            Credential::Certificate(names) => {
                names.iter().find_map(|name| self.by_certificate.get(name))
            }
        }
    }
}

/// Who is asking: stands in the extensions of each request that was let in.
#[derive(Debug, Clone)]
pub struct Caller {
    credential: Credential,
    /// `None`: the door is open.
    client: Option<Arc<Client>>,
}

impl Caller {
    /// Of which business numbers it may see, judge and hear.
    pub fn scope(&self) -> Scope {
        self.client.as_ref().map_or(Scope::All, |client| client.scope.clone())
    }

    /// Its name in the configuration; "" where the door is open.
    pub fn name(&self) -> &str {
        self.client.as_ref().map_or("", |client| &client.name)
    }

    /// Who was let in with this request.
    ///
    /// # Errors
    /// Nobody was asked for: a bug, and nothing is answered.
    pub(crate) fn of(extensions: &Extensions) -> Result<&Self, Status> {
        extensions.get().ok_or_else(|| {
            tracing::error!("a request came by without being checked");
            status::unknown_client("nobody has checked who asks")
        })
    }
}

/// What a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    None,
    Token(TokenHash),
    /// The names in its certificate.
    Certificate(Arc<[String]>),
}

impl Credential {
    /// A token counts before a certificate: behind a mesh all connections share one certificate.
    fn of(headers: &HeaderMap, extensions: &Extensions) -> Result<Self, Refusal> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let text = value.to_str().map_err(|_| Refusal::NoBearer)?;
            let (scheme, token) = text.split_once(' ').ok_or(Refusal::NoBearer)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(Refusal::NoBearer);
            }
            return Ok(Self::Token(TokenHash::of(token.trim())));
        }
        Ok(match extensions.get::<Peer>() {
            Some(peer) if !peer.certificate_names.is_empty() => {
                Self::Certificate(Arc::clone(&peer.certificate_names))
            }
            _ => Self::None,
        })
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoBearer,
    NoCredential,
    UnknownToken,
    UnknownCertificate,
    Role,
}

impl Refusal {
    /// The name in the metrics, and what the client is told.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::NoBearer => {
                ("no_bearer", "the authorization must be \"Bearer TOKEN\" with a token of the gate")
            }
            Self::NoCredential => (
                "no_credential",
                "this gate answers clients that it knows: send \"authorization: Bearer TOKEN\", or a \
                 certificate",
            ),
            Self::UnknownToken => ("unknown_token", "no client of this gate has this token"),
            Self::UnknownCertificate => {
                ("unknown_certificate", "no client of this gate has a name of this certificate")
            }
            Self::Role => ("role", "this client's roles do not allow this method"),
        }
    }

    fn status(self) -> Status {
        let (reason, text) = self.told();
        status::denied(reason);
        match self {
            Self::Role => status::not_permitted(text.to_owned()),
            _ => status::unknown_client(text),
        }
    }
}

/// The clients as they are now; a new configuration may change them.
#[derive(Debug, Clone)]
pub struct Doorkeeper(watch::Sender<Arc<Access>>);

impl Default for Doorkeeper {
    fn default() -> Self {
        Self::new(Access::default())
    }
}

impl Doorkeeper {
    /// Lets these in.
    pub fn new(access: Access) -> Self {
        Self(watch::Sender::new(Arc::new(access)))
    }

    /// From now on lets these in. Streams of those who lose something end.
    pub fn replace(&self, access: Access) {
        self.0.send_replace(Arc::new(access));
    }

    /// Whether this is somebody whom the gate knows, whatever is asked for. Where the door is open all
    /// are.
    pub(crate) fn knows(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        let access = Arc::clone(&self.0.borrow());
        access.is_open() || access.find(headers, extensions).is_ok()
    }

    /// Who asks for this path, if it may.
    pub(crate) fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, Status> {
        let access = Arc::clone(&self.0.borrow());
        if access.is_open() || path.starts_with("/grpc.health.v1.Health/") {
            return Ok(Caller { credential: Credential::None, client: None });
        }
        let (credential, client) = access.find(headers, extensions).map_err(Refusal::status)?;
        // What is not ours is reflection, which shows the contract to any client.
        let is_allowed =
            roles_of(path).is_none_or(|roles| roles.iter().any(|role| client.roles.contains(role)));
        if !is_allowed {
            // The span has the method; a path is whatever was asked for.
            tracing::warn!(client = client.name, "a client's roles do not allow this");
            return Err(Refusal::Role.status());
        }
        Ok(Caller { credential, client: Some(client) })
    }

    /// Ends when this caller may no longer all that it could when it was let in.
    pub(crate) fn no_longer(&self, caller: Caller) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.0.subscribe();
        async move {
            let has_lost = |access: &Arc<Access>| match &caller.client {
                None => !access.is_open(),
                Some(client) => {
                    let is_now = access.client(&caller.credential);
                    is_now.is_none_or(|is_now| !is_now.may_as_much_as(client))
                }
            };
            if changes.wait_for(has_lost).await.is_err() {
                // Nobody can change it any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_shown() {
        let hash = TokenHash::of("abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), known);
        assert_eq!(TokenHash::parse(known), Some(hash));
        for bad in ["", "ba78", &known[1..], &known.replace('b', "g")] {
            assert_eq!(TokenHash::parse(bad), None, "{bad}");
        }
    }
}
