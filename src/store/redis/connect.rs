//! From a [`Target`] to an open connection. One connection carries all commands of a process (in a
//! cluster, one per master): it pipelines by itself. Steps that wait for replicas have others.

use std::{fmt, fs, path::Path, sync::Arc, time::Duration};

use futures_util::future;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    RedisResult, ServerErrorKind, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
    },
    cmd,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::engine::pseudonym::Fingerprints;
use crate::store::redis::{
    StartError,
    lanes::Wait,
    url::{Login, Place, Target, Tls},
};

/// A silent peer is asked for a sign of life this often, so that firewalls keep the connection.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// A cluster command is sent again this often at most, after a redirection or a failover.
const CLUSTER_RETRIES: u32 = 2;

/// A host and a port.
pub(super) type Address = (String, u16);

/// An open connection; clones share it.
#[derive(Clone)]
pub(super) enum Wire {
    Server(MultiplexedConnection),
    /// The same for one that only reads: nothing that it sends would tell it that the server is no
    /// master any more and lags behind another, so it asks. (In a cluster replicas redirect.)
    Reader(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Hears what servers say unasked, and that a connection ended.
#[derive(Clone)]
pub(super) struct Ear(pub(super) Arc<dyn Fn(PushInfo) + Send + Sync>);

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

impl Ear {
    fn hears(&self) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
        let hear = Arc::clone(&self.0);
        move |push| {
            hear(push);
            Ok(())
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) | Self::Reader(_) => "one server",
            Self::Cluster(_) => "a cluster",
        })
    }
}

impl Wire {
    /// Sends one command; in a cluster, to the master of its first key.
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Reader(connection) => read_at_master(connection, command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        value?.extract_error()
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Sends commands one right behind the other to one server, in a cluster to the master of `key`.
    /// Where that turns out to be another one, all of them go there.
    pub(super) async fn send_in_one_piece(
        &mut self,
        key: &str,
        commands: Pipeline,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::Server(connection) | Self::Reader(connection) => {
                connection.req_packed_commands(&commands, 0, count).await
            }
            Self::Cluster(connection) => {
                let master = Route::with_key(key, SlotAddr::Master);
                let master = SingleNodeRoutingInfo::SpecificNode(master);
                connection.route_pipeline(commands, 0, count, master).await
            }
        }
    }

    /// Sends one command to every master.
    pub(super) async fn send_to_masters(&mut self, command: &Cmd) -> RedisResult<Vec<Value>> {
        self.ask_masters(command).await?.into_iter().collect()
    }

    /// The same, where some of them may refuse.
    pub(super) async fn ask_masters(
        &mut self,
        command: &Cmd,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let Self::Cluster(connection) = self else { return Ok(vec![self.send(command).await]) };
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        Ok(match connection.route_command(command.clone(), masters).await? {
            Value::Map(answers) => answers.into_iter().map(|(_, a)| a.extract_error()).collect(),
            other => vec![other.extract_error()],
        })
    }
}

/// Asks behind the command: who is master then was it before.
async fn read_at_master(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> RedisResult<Value> {
    let (mut same, role) = (connection.clone(), cmd("ROLE"));
    let (value, role) =
        future::join(connection.req_packed_command(command), same.req_packed_command(&role)).await;
    match role?.extract_error()? {
        Value::Array(words) if words.first() == Some(&Value::BulkString(b"master".to_vec())) => {
            value
        }
        _ => {
            Err((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is no master now")
                .into())
        }
    }
}

/// How long is waited for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// When connecting.
    pub(super) connect: Duration,
    /// To the longest call, beside what it waits for replicas.
    pub(super) call: Duration,
}

/// Opens connections to one target, again and again.
#[derive(Debug)]
pub(super) struct Connector {
    target: Target,
    certificates: Option<TlsCertificates>,
    patience: Patience,
    ear: Option<Ear>,
    wait: Option<Wait>,
    pseudonyms: Fingerprints,
    /// The key of the tombstones of a new store.
    secret: Option<Vec<u8>>,
}

impl Connector {
    /// Reads the certificate files once. `pseudonyms`: see [`super::Options::pseudonyms`].
    pub(super) fn new(
        target: Target,
        patience: Patience,
        pseudonyms: Fingerprints,
    ) -> Result<Self, StartError> {
        if target.tls.is_some() {
            // An error means that there is one already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let certificates = target.tls.as_ref().map(certificates).transpose()?;
        let (ear, wait, secret) = (None, None, None);
        Ok(Self { target, certificates, patience, ear, wait, pseudonyms, secret })
    }

    /// Its connections speak the protocol in which servers may say something unasked.
    pub(super) fn with_ear(self, ear: Ear) -> Self {
        Self { ear: Some(ear), ..self }
    }

    /// Writing steps are to wait for replicas.
    pub(super) fn with_wait(self, wait: Option<Wait>) -> Self {
        Self { wait, ..self }
    }

    pub(super) fn pseudonyms(&self) -> &Fingerprints {
        &self.pseudonyms
    }

    /// See [`super::Options::secret`].
    pub(super) fn with_secret(self, secret: Option<Vec<u8>>) -> Self {
        Self { secret, ..self }
    }

    pub(super) fn secret(&self) -> Option<&[u8]> {
        self.secret.as_deref()
    }

    pub(super) fn wait(&self) -> Option<Wait> {
        self.wait
    }

    /// For replicas: the wait that a step finds under way, and its own.
    pub(super) fn longest_wait(&self) -> Duration {
        self.wait.map_or(Duration::ZERO, |wait| wait.timeout * 2)
    }

    /// For connecting.
    pub(super) fn budget(&self) -> Duration {
        self.patience.connect
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// A connection to what the URL names, which are no sentinels.
    pub(super) async fn connect(&self) -> RedisResult<Wire> {
        match &self.target.place {
            Place::Server { host, port } => self.server(self.address(host, *port)).await,
            Place::Socket(path) => self.server(ConnectionAddr::Unix(path.clone())).await,
            Place::Cluster(nodes) => {
                Ok(Wire::Cluster(self.cluster(nodes)?.get_async_connection().await?))
            }
            Place::Sentinel { .. } => {
                Err((ErrorKind::InvalidClientConfig, "sentinels name the server").into())
            }
        }
    }

    /// A connection to a server that sentinels have named.
    pub(super) async fn connect_to(&self, (host, port): &Address) -> RedisResult<Wire> {
        self.server(self.address(host, *port)).await
    }

    /// How many sentinels the URL names.
    pub(super) fn sentinels(&self) -> usize {
        match &self.target.place {
            Place::Sentinel { sentinels, .. } => sentinels.len(),
            _ => 0,
        }
    }

    /// How the sentinels call our master, where there are any.
    pub(super) fn master_name(&self) -> Option<&str> {
        match &self.target.place {
            Place::Sentinel { master, .. } => Some(master),
            _ => None,
        }
    }

    /// A connection to the `n`-th sentinel.
    pub(super) async fn a_sentinel(&self, n: usize) -> RedisResult<MultiplexedConnection> {
        let (Place::Sentinel { sentinels, master, login }, true) =
            (&self.target.place, n < self.sentinels())
        else {
            return Err((ErrorKind::InvalidClientConfig, "there is no such sentinel").into());
        };
        let one = &sentinels[n..=n];
        let client = self.sentinel(one, master, login)?.async_get_sentinel_client().await?;
        client.get_multiplexed_async_connection_with_config(&self.deaf()).await
    }

    async fn server(&self, address: ConnectionAddr) -> RedisResult<Wire> {
        let info = self.info(address)?;
        let client = match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
            None => Client::open(info)?,
        };
        let connection =
            client.get_multiplexed_async_connection_with_config(&self.config()).await?;
        Ok(self.wire(connection))
    }

    /// Who listens only reads.
    fn wire(&self, connection: MultiplexedConnection) -> Wire {
        if self.ear.is_some() { Wire::Reader(connection) } else { Wire::Server(connection) }
    }

    /// Of the way to sentinels only; the master that they name is connected to as a server.
    fn sentinel(
        &self,
        sentinels: &[(String, u16)],
        master: &str,
        login: &Login,
    ) -> RedisResult<SentinelClient> {
        let addresses = sentinels.iter().map(|(host, port)| self.address(host, *port));
        let mut builder =
            SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_sentinel_tcp_settings(tcp());
        if let (Some(mode), Some(certificates)) = (self.tls_mode(), &self.certificates) {
            builder = builder
                .set_client_to_sentinel_tls_mode(mode)
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        if let Some(user) = &login.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &login.password {
            builder = builder.set_client_to_sentinel_password(password.expose());
        }
        builder.build()
    }

    fn cluster(&self, nodes: &[(String, u16)]) -> RedisResult<ClusterClient> {
        let nodes = nodes.iter().map(|(host, port)| self.info(self.address(host, *port)));
        let mut builder = ClusterClientBuilder::new(nodes.collect::<RedisResult<Vec<_>>>()?)
            .tcp_settings(tcp())
            .connection_timeout(self.patience.connect)
            .response_timeout(
                // Each call has its own deadline, see `link`: never shorter than the longest of those.
                self.patience.connect.max(self.patience.call) + self.longest_wait(),
            )
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(5)
            .max_retry_wait(20);
        if let Some(ear) = &self.ear {
            builder = builder.use_protocol(ProtocolVersion::RESP3).push_sender(ear.hears());
        }
        if let (Some(mode), Some(certificates)) = (self.tls_mode(), &self.certificates) {
            builder = builder.tls(mode).certs(certificates.clone());
        }
        builder.build()
    }

    fn config(&self) -> AsyncConnectionConfig {
        match &self.ear {
            Some(ear) => self.deaf().set_push_sender(ear.hears()),
            None => self.deaf(),
        }
    }

    /// For connections on which nothing is said unasked.
    fn deaf(&self) -> AsyncConnectionConfig {
        // Each call has its own deadline, see `link`.
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(None)
    }

    fn info(&self, address: ConnectionAddr) -> RedisResult<ConnectionInfo> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.target.database)
            .set_lib_name("callgate", env!("CARGO_PKG_VERSION"));
        if self.ear.is_some() {
            login = login.set_protocol(ProtocolVersion::RESP3);
        }
        if let Some(user) = &self.target.login.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.target.login.password {
            login = login.set_password(password.expose());
        }
        Ok(address.into_connection_info()?.set_tcp_settings(tcp()).set_redis_settings(login))
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        match &self.target.tls {
            None => ConnectionAddr::Tcp(host.to_owned(), port),
            Some(tls) => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: tls.insecure,
                tls_params: None,
            },
        }
    }

    fn tls_mode(&self) -> Option<TlsMode> {
        let tls = self.target.tls.as_ref()?;
        Some(if tls.insecure { TlsMode::Insecure } else { TlsMode::Secure })
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))
}

fn certificates(tls: &Tls) -> Result<TlsCertificates, StartError> {
    let client_tls = match &tls.client {
        None => None,
        Some((cert, key)) => Some(redis::ClientTlsConfig {
            client_cert: pem(cert, "cert")?,
            client_key: pem(key, "key")?,
        }),
    };
    let root_cert = tls.ca.as_ref().map(|ca| pem(ca, "ca")).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}

fn pem(path: &Path, key: &str) -> Result<Vec<u8>, StartError> {
    let bytes = fs::read(path).map_err(|error| {
        StartError::Url(format!("{key}={}: cannot read the file: {error}", path.display()))
    })?;
    if !bytes.windows(10).any(|w| w == b"-----BEGIN") {
        return Err(StartError::Url(format!("{key}={}: this is no PEM file", path.display())));
    }
    Ok(bytes)
}

/// Whether a failed connect is worth a second try by itself: the server is away or starting.
pub(super) fn is_away(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io => !is_tls(error),
        ErrorKind::ClusterConnectionNotFound | ErrorKind::MasterNameNotFoundBySentinel => true,
        _ => matches!(error.code(), Some("LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY")),
    }
}

/// Whether the two sides do not trust each other. It comes as an I/O error.
pub(super) fn is_tls(error: &RedisError) -> bool {
    let text = error.to_string();
    ["certificate", "alert", "TLS", "tls"].iter().any(|word| text.contains(word))
}
