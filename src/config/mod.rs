//! Configuration: file (TOML) < environment (`CALLGATE_…`) < flags.
//!
//! One table of keys ([`keys`] for the server, [`profiles`] for the rules) drives the file reader,
//! the environment, the flags, `callgate config check` and `docs/configuration.md`, so that they
//! cannot drift apart. Every mistake is found in one run and told with its place: file and line,
//! variable, or flag.
//!
//! In reading order: [`value`] (how a value is written), [`keys`], [`profiles`], [`clients`], [`file`]
//! (TOML with lines), [`load`] (the three sources joined; [`files`]: have they changed since?), `doors`
//! (is what would be reachable safe?), `renew` (what a running gate takes over), [`show`] and [`reference`] (the way back).

pub mod clients;
mod doors;
pub mod file;
pub mod files;
pub mod keys;
pub mod load;
pub mod profiles;
pub mod reference;
mod renew;
pub mod secret;
pub mod show;
pub mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

pub use doors::DoorName;
pub use load::{Errors, Inputs, Loaded, load, load_again};
pub use secret::Secret;

pub use crate::{door::Address, store::embedded::Durability};
use crate::{
    door::{Files, Identity},
    engine::{
        gate::Profiles,
        pair::PhoneNumberId,
        profile::Profile,
        pseudonym::{Fingerprints, Keys},
        time::millis,
    },
    service::{
        Limits,
        access::{Access, Client},
    },
    store::{
        LogLimits,
        redis::{Target, Wait},
    },
};

/// All that `serve` needs to know. Spans are in milliseconds, sizes in bytes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where gRPC listens.
    pub grpc_addr: Address,
    /// Where webhooks come in; `None`: nowhere.
    pub http_addr: Option<Address>,
    /// Where metrics and probes are; `None`: nowhere.
    pub admin_addr: Option<Address>,
    /// Doors that may be reachable without TLS.
    pub allow_insecure: BTreeSet<DoorName>,
    /// Where facts are kept.
    pub store: StoreUrl,
    /// File that holds the URL of the store.
    pub store_file: Option<PathBuf>,
    /// How long one command may take in the store.
    pub store_timeout: u64,
    /// The profile of every number that is not named.
    pub default_profile: String,
    /// Threads that answer; 0: one per CPU.
    pub worker_threads: u32,
    /// How long permission changes are kept.
    pub change_log_age: u64,
    /// How many permission changes are kept per partition.
    pub change_log_length: u32,
    /// By what the ids of customers are hidden from the store.
    pub privacy: Privacy,
    /// What the embedded store promises when it has answered.
    pub durability: Durability,
    /// First part of every key in Redis.
    pub key_prefix: String,
    /// How many replicas must have what a caller relies on; 0: none.
    pub wait_replicas: u32,
    /// How long they may take.
    pub wait_timeout: u64,
    /// Longest webhook body.
    pub body_limit: u64,
    /// Where spans are sent. None: nowhere, and none are made.
    pub otlp_endpoint: Option<String>,
    /// The share of calls that have spans, 0 to 1.
    pub otlp_sample_ratio: f64,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: String,
    /// How long calls are taken after the end was asked for.
    pub drain_delay: u64,
    /// How long what is under way may take to end, after that.
    pub drain_timeout: u64,
    /// See [`Config::limits`].
    pub limit_calls: u32,
    /// See [`Config::limits`].
    pub limit_batches: u32,
    /// See [`Config::limits`].
    pub limit_streams: u32,
    /// Webhooks under way at once.
    pub limit_webhooks: u32,
    /// Open connections of each door.
    pub limit_connections: u32,
    /// Files of the gRPC door's TLS.
    pub grpc_tls: Files,
    /// Files of the webhook door's TLS.
    pub http_tls: Files,
    /// Files of the operators' door's TLS.
    pub admin_tls: Files,
    /// What these files hold.
    pub identities: BTreeMap<DoorName, Identity>,
    /// File with Meta's app secrets.
    pub app_secret_file: Option<PathBuf>,
    /// File with the token of the webhook subscription.
    pub verify_token_file: Option<PathBuf>,
    /// Meta's app secrets: the new and the old one during a rotation. None: webhooks are refused.
    pub app_secrets: Vec<Secret>,
    /// The token of the webhook subscription. None: verification is refused.
    pub verify_token: Option<Secret>,
    /// Every profile by name, built in or configured.
    pub profiles: BTreeMap<String, Profile>,
    /// The business numbers named in the file, each with its profile, if it names one.
    pub numbers: Vec<(PhoneNumberId, Option<String>)>,
    /// Who may ask what. None: everybody everything.
    pub clients: Vec<Client>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grpc_addr: Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 50051))),
            http_addr: Some(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))),
            admin_addr: Some(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 9901)))),
            allow_insecure: BTreeSet::new(),
            store: StoreUrl::Embedded(PathBuf::from(".callgate")),
            store_file: None,
            store_timeout: 50,
            default_profile: "atom".to_owned(),
            worker_threads: 0,
            change_log_age: millis(LogLimits::default().age),
            change_log_length: LogLimits::default().length,
            privacy: Privacy::default(),
            durability: Durability::Sync,
            key_prefix: "callgate".to_owned(),
            wait_replicas: 0,
            wait_timeout: 50,
            body_limit: 3 << 20,
            otlp_endpoint: None,
            otlp_sample_ratio: 1.0,
            log_format: LogFormat::Auto,
            log_filter: "info".to_owned(),
            drain_delay: 0,
            drain_timeout: 10_000,
            limit_calls: 1024,
            limit_batches: 32,
            limit_streams: 10_000,
            limit_webhooks: 32,
            limit_connections: 4096,
            grpc_tls: Files::default(),
            http_tls: Files::default(),
            admin_tls: Files::default(),
            identities: BTreeMap::new(),
            app_secret_file: None,
            verify_token_file: None,
            app_secrets: Vec::new(),
            verify_token: None,
            profiles: Profile::built_in().into_iter().map(|p| (p.name.clone(), p)).collect(),
            numbers: Vec::new(),
            clients: Vec::new(),
        }
    }
}

impl Config {
    /// How much of the change log is kept.
    pub fn log_limits(&self) -> LogLimits {
        LogLimits {
            age: Duration::from_millis(self.change_log_age),
            length: self.change_log_length,
        }
    }

    /// The replicas that are waited for.
    pub fn wait(&self) -> Option<Wait> {
        let timeout = Duration::from_millis(self.wait_timeout);
        (self.wait_replicas > 0).then_some(Wait { replicas: self.wait_replicas, timeout })
    }

    /// How much gRPC takes on at once.
    pub fn limits(&self) -> Limits {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Limits {
            calls: count(self.limit_calls),
            batches: count(self.limit_batches),
            streams: count(self.limit_streams),
        }
    }

    /// Meta's app secrets, for the webhooks' door.
    pub fn app_secrets(&self) -> Vec<String> {
        self.app_secrets.iter().map(|secret| secret.expose().to_owned()).collect()
    }

    /// The token of the webhook subscription, for the webhooks' door.
    pub fn verify_token(&self) -> Option<String> {
        self.verify_token.as_ref().map(|token| token.expose().to_owned())
    }

    /// Who may ask what.
    pub fn access(&self) -> Access {
        Access::new(self.clients.clone())
    }

    /// Which profile judges which number.
    ///
    /// # Panics
    /// Never for a configuration that [`load`] returned: it has checked every name.
    pub fn gate_profiles(&self) -> Profiles {
        let named = |name: &String| {
            self.profiles.get(name).expect("load has checked the names of profiles").clone()
        };
        let mut profiles = Profiles::new(named(&self.default_profile));
        for (number, profile) in &self.numbers {
            profiles.name_number(number.clone(), profile.as_ref().map(named));
        }
        profiles
    }
}

/// By what the ids of customers are hidden from the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privacy {
    /// File with the keys of pseudonyms.
    pub key_file: Option<PathBuf>,
    /// These keys. `None`: ids are kept as they are.
    pub keys: Option<Keys>,
}

impl Privacy {
    /// Of the keys; of none, none.
    pub fn fingerprints(&self) -> Fingerprints {
        self.keys.as_ref().map(Keys::fingerprints).unwrap_or_default()
    }
}

/// Where facts are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `embedded:DIR`: durable, one process.
    Embedded(PathBuf),
    /// `memory:`: gone when the process ends.
    Memory,
    /// A Redis URL: shared by a fleet.
    Redis(String),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(dir) = text.strip_prefix("embedded:") {
            return match dir {
                "" => Err("names no directory; write e.g. \"embedded:.callgate\"".into()),
                dir => Ok(Self::Embedded(PathBuf::from(dir))),
            };
        }
        match text.split_once(':') {
            Some((scheme, _)) if ["redis", "unix"].iter().any(|r| scheme.starts_with(r)) => {
                Target::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::Redis(text.to_owned()))
            }
            _ => Err(NO_STORE.to_owned()),
        }
    }
}

const NO_STORE: &str = "is no store; write \"embedded:DIR\", \"memory:\" or a Redis URL such as \
                        \"redis://127.0.0.1:6379\"";

/// Passwords in a URL are masked.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(dir) => write!(f, "embedded:{}", dir.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Redis(url) => f.write_str(&secret::mask_url(url)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines: one object per line.
    Json,
}
