//! `callgate doctor`: whether a gate would work here, and what mends it.

use std::{fmt::Write as _, io, net::SocketAddr, path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use clap::Args;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    app,
    cli::{Done, Failure, Format, json, serve::Settings},
    config::{Address, Config, DoorName, Loaded, StoreUrl, load::OPEN},
    engine::time::{Clock as _, WallClock},
    store::{
        embedded,
        finding::{Finding, Level},
        redis,
    },
};

/// How long a program on one of our ports may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks whether a gate would work here: configuration, secrets, ports, and the store in detail
///
/// Takes the file, variables and flags that `serve` takes, and changes nothing. One line for each thing:
/// ok, warn (works, and may hurt some day) or FAIL, and below what mends it. A gate may be running on the
/// same ports and the same store. An embedded store that no gate has open is read as a whole in a copy
/// beside it, which is removed; meanwhile none can start on it.
///
/// Exits with 0 if nothing fails, else with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate doctor
  callgate doctor --config callgate.toml -o json
  callgate doctor --store redis+sentinel://sentinel-1,sentinel-2,sentinel-3/mymaster")]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let found = match self.settings.try_load() {
            Ok(loaded) => examine(&loaded).await,
            Err(errors) => errors
                .0
                .iter()
                .map(|error| {
                    Finding::fail("configuration", error, "docs/configuration.md lists all keys")
                })
                .collect(),
        };
        let is_bad = found.iter().any(|finding| finding.level == Level::Fail);
        let text = match self.output {
            Format::Json => json::pretty(&json!({ "ok": !is_bad, "findings": found })),
            Format::Text => lines(&found),
        };
        Ok(Done { text, code: u8::from(is_bad) })
    }
}

fn lines(found: &[Finding]) -> String {
    let width = found.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { level, check, found, mend } in found {
        let level = match level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        let _ = writeln!(text, "{level:<4}  {check:<width$}  {found}");
        if !mend.is_empty() {
            let _ = writeln!(text, "      {:<width$}  -> {mend}", "");
        }
    }
    text
}

async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let mut found = configuration(loaded);
    found.extend(secrets(config));
    found.extend(secret_files(config));
    found.extend(doors(config).await);
    found.push(clients(config));
    found.extend(certificates(config, WallClock::default().now().utc()));
    found.extend(match &config.store {
        StoreUrl::Memory => vec![Finding::warn(
            "store",
            "memory: all is lost when the gate ends, also a customer's no",
            "for more than a trial: --store embedded:DIR or a Redis URL",
        )],
        StoreUrl::Embedded(dir) => embedded::doctor::examine(dir, &config.privacy.fingerprints()),
        StoreUrl::Redis(url) => match redis::Target::parse(url) {
            Ok(target) => {
                let clock = WallClock::default();
                redis::examine(target, app::redis_options(config), &clock).await
            }
            Err(error) => vec![Finding::fail("store", error.to_string(), "docs/redis.md")],
        },
    });
    found
}

fn configuration(loaded: &Loaded) -> Vec<Finding> {
    let profile = &loaded.config.default_profile;
    let told = format!("valid; the default profile is {profile}");
    let mut found = vec![Finding::ok("configuration", told)];
    // Those about secrets are told below.
    let is_told = |warning: &String| warning.contains("is not set") || warning.contains(OPEN);
    let others = loaded.warnings.iter().filter(|warning| !is_told(warning));
    found.extend(others.map(|warning| {
        Finding::warn("configuration", warning, "docs/configuration.md lists all keys")
    }));
    found
}

fn secrets(config: &Config) -> [Finding; 2] {
    let not_needed = |name| Finding::ok(name, "not set, and not needed: http_addr is off");
    let takes_webhooks = config.http_addr.is_some();
    let app = match config.app_secrets.len() {
        0 if !takes_webhooks => not_needed("app secret"),
        0 => Finding::warn(
            "app secret",
            "not set: every webhook of Meta is refused",
            "set CALLGATE_META_APP_SECRET, or meta.app_secret_file in the configuration file",
        ),
        1 => Finding::ok("app secret", "set"),
        more => Finding::ok("app secret", format!("{more} are set, as during a rotation")),
    };
    let token = match &config.verify_token {
        Some(_) => Finding::ok("verify token", "set"),
        None if !takes_webhooks => not_needed("verify token"),
        None => Finding::warn(
            "verify token",
            "not set: Meta cannot verify the webhook",
            "set CALLGATE_META_VERIFY_TOKEN, or meta.verify_token_file in the configuration file",
        ),
    };
    [app, token]
}

/// Those that are open, or that none is.
fn secret_files(config: &Config) -> Vec<Finding> {
    let files = config.secret_files();
    let open = files.iter().filter(|file| file.is_open());
    let found: Vec<Finding> = open
        .map(|file| Finding::warn("secret files", format!("{file}: {OPEN}"), file.mend()))
        .collect();
    if found.is_empty() && !files.is_empty() {
        let told = format!("{} named, and not every user of this host may read them", files.len());
        return vec![Finding::ok("secret files", told)];
    }
    found
}

/// Each is free, or a gate answers there.
async fn doors(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for door in DoorName::ALL {
        let Some(address) = door.address(config) else { continue };
        found.push(self::door(door, address, config.identities.contains_key(&door)).await);
    }
    found
}

async fn door(door: DoorName, address: &Address, has_tls: bool) -> Finding {
    let name = door.name();
    match address {
        Address::Unix(path) => socket(door, path).await,
        Address::Tcp(at) => {
            let flag = format!("--{name}-addr");
            let answers = async {
                match door {
                    // Who answers under TLS is not told to those who show nothing.
                    _ if has_tls => false,
                    DoorName::Grpc => gate(format!("http://{at}")).await,
                    DoorName::Http => site(*at, "/webhooks/meta", "not the verify token").await,
                    DoorName::Admin => site(*at, "/livez", "ok").await,
                }
            };
            port(&format!("{name} port"), *at, &flag, has_tls, answers).await
        }
    }
}

fn clients(config: &Config) -> Finding {
    let told = match config.clients.len() {
        0 if config.grpc_addr.is_local() => {
            let told = "none: every process of this host may ask and record everything";
            return Finding::ok("clients", told);
        }
        0 => {
            let told = "none: everybody who reaches gRPC may ask and record everything";
            return Finding::warn("clients", told, "name who may ask in [clients.…]");
        }
        1 => "1 is known, and nobody else may ask".to_owned(),
        count => format!("{count} are known, and nobody else may ask"),
    };
    Finding::ok("clients", told)
}

/// Renewed certificates are there some weeks before the old ones end.
const CERTIFICATE_DAYS: i64 = 14;

fn certificates(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let told = config.identities.iter().map(|(door, identity)| {
        let check = format!("{} certificate", door.name());
        let Some(end) = DateTime::from_timestamp(identity.ends_at, 0) else {
            return Finding::warn(check, "its end cannot be read", "look at it with openssl x509");
        };
        let until = format!("until {}", end.format("%Y-%m-%d %H:%M:%S UTC"));
        let mend = format!("renew {}_tls.cert_file; a running gate takes it over", door.name());
        if end <= now {
            Finding::fail(check, format!("it has ended: {until}"), mend)
        } else if end < now + TimeDelta::days(CERTIFICATE_DAYS) {
            Finding::warn(check, until, mend)
        } else {
            Finding::ok(check, until)
        }
    });
    told.collect()
}

async fn port(
    check: &str,
    at: SocketAddr,
    flag: &str,
    has_tls: bool,
    answers: impl Future<Output = bool>,
) -> Finding {
    match TcpListener::bind(at).await {
        Ok(_) => Finding::ok(check, format!("{at} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if timeout(PATIENCE, answers).await.unwrap_or(false) {
                return Finding::ok(check, format!("a callgate answers on {at}"));
            }
            if has_tls {
                let told = format!("something answers on {at}; who it is cannot be told under TLS");
                let mend = "ask it with callgate health, a certificate or a token";
                return Finding::warn(check, told, mend);
            }
            let told = format!("another program has {at}");
            Finding::fail(check, told, format!("end it, or choose another port with {flag}"))
        }
        Err(error) => {
            let told = format!("cannot listen on {at}: {error}");
            Finding::fail(check, told, format!("choose an address of this host with {flag}"))
        }
    }
}

async fn socket(door: DoorName, path: &Path) -> Finding {
    let (name, shown) = (door.name(), path.display());
    let check = format!("{name} socket");
    if UnixStream::connect(path).await.is_ok() {
        let answers = gate(format!("unix:{shown}"));
        if door != DoorName::Grpc {
            return Finding::ok(check, format!("something answers on {shown}"));
        }
        if timeout(PATIENCE, answers).await.unwrap_or(false) {
            return Finding::ok(check, format!("a callgate answers on {shown}"));
        }
        let mend = format!("end it, or choose another path with --{name}-addr");
        return Finding::fail(check, format!("another program answers on {shown}"), mend);
    }
    if path.parent().is_some_and(|dir| dir.as_os_str().is_empty() || dir.is_dir()) {
        return Finding::ok(check, format!("{shown} is free"));
    }
    Finding::fail(check, format!("the directory of {shown} is missing"), "make it")
}

/// Whether a gate answers a question for its health.
async fn gate(uri: String) -> bool {
    let is_unix = uri.starts_with("unix:");
    let Ok(mut endpoint) = Endpoint::from_shared(uri) else { return false };
    if is_unix {
        endpoint = endpoint.origin(tonic::codegen::http::Uri::from_static("http://localhost"));
    }
    let Ok(channel) = endpoint.connect().await else { return false };
    let service = "callgate.v1.CallPermissionService".to_owned();
    HealthClient::new(channel).check(HealthCheckRequest { service }).await.is_ok()
}

/// Whether a path answers as ours.
async fn site(at: SocketAddr, path: &str, ours: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(at).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(1024).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    asked.await.is_ok_and(|answer| String::from_utf8_lossy(&answer).contains(ours))
}
