//! The server's keys: one row each, for file, variable, flag and reference.

use std::path::PathBuf;

use axum::http::Uri;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{
        Config, DoorName, Durability, LogFormat,
        value::{Access, Key},
    },
    door::Address,
};

const SECOND: u64 = 1000;
const DAY: u64 = 24 * 3600 * SECOND;

/// Keys that a running gate takes over when the files change; all others wait for a restart. What the
/// named files hold is taken over as well.
pub const LIVE: [&str; 13] = [
    "default_profile",
    "log.filter",
    "meta.app_secret_file",
    "meta.verify_token_file",
    "grpc_tls.cert_file",
    "grpc_tls.key_file",
    "grpc_tls.client_ca_file",
    "http_tls.cert_file",
    "http_tls.key_file",
    "http_tls.client_ca_file",
    "admin_tls.cert_file",
    "admin_tls.key_file",
    "admin_tls.client_ca_file",
];

/// A key that names a file.
macro_rules! file {
    ($path:literal, $name:literal, $($field:ident).+, $about:literal) => {
        Key {
            path: $path,
            name: $name,
            has_flag: false,
            about: $about,
            access: Access::Text(
                "path",
                |config, text| set_path(&mut config.$($field).+, text),
                |config| config.$($field).+.as_ref().map(|path| path.display().to_string()),
            ),
        }
    };
}

const fn limit(
    path: &'static str,
    name: &'static str,
    about: &'static str,
    field: fn(&mut Config) -> &mut u32,
) -> Key<Config> {
    Key { path, name, has_flag: false, about, access: Access::Count(1, 1_000_000, field) }
}

/// Every key outside `[profiles.…]`, `[numbers.…]` and `[clients.…]`.
pub static KEYS: &[Key<Config>] = &[
    Key {
        path: "grpc_addr",
        name: "grpc-addr",
        has_flag: true,
        about: "Where gRPC listens. Port 0 takes a free one and logs it.",
        access: Access::Text(
            "`IP:PORT` or `unix:/path`",
            |config, text| text.parse().map(|address| config.grpc_addr = address),
            |config| Some(config.grpc_addr.to_string()),
        ),
    },
    Key {
        path: "http_addr",
        name: "http-addr",
        has_flag: true,
        about: "Where `/webhooks/meta` listens, for Meta to reach. `off` where webhooks come in at \
                another gate on the same store.",
        access: Access::Text(
            OR_OFF,
            |config, text| set_or_off(&mut config.http_addr, text),
            |config| Some(shown_or_off(config.http_addr.as_ref())),
        ),
    },
    Key {
        path: "admin_addr",
        name: "admin-addr",
        has_flag: true,
        about: "Where `/metrics`, `/livez` and `/readyz` listen, for operators: never the public port.",
        access: Access::Text(
            OR_OFF,
            |config, text| set_or_off(&mut config.admin_addr, text),
            |config| Some(shown_or_off(config.admin_addr.as_ref())),
        ),
    },
    Key {
        path: "allow_insecure",
        name: "allow-insecure",
        has_flag: true,
        about: "Doors that may listen on other addresses than loopback and Unix sockets without TLS, and \
                gRPC without `[clients.…]`. What is not named here refuses to start so.",
        access: Access::Text(
            "`grpc`, `http`, `admin`, several of them with commas, or nothing",
            set_allow_insecure,
            |config| {
                let names: Vec<&str> =
                    config.allow_insecure.iter().map(|door| door.name()).collect();
                Some(names.join(","))
            },
        ),
    },
    Key {
        path: "store",
        name: "store",
        has_flag: true,
        about: "Where facts are kept. `embedded:DIR` is durable and for one process; `memory:` is \
                gone when the process ends; a Redis URL is shared by a fleet (docs/redis.md lists its forms).",
        access: Access::Text(
            "`embedded:DIR`, `memory:` or a Redis URL",
            |config, text| text.parse().map(|store| config.store = store),
            |config| Some(config.store.to_string()),
        ),
    },
    file!(
        "store_file",
        "store-file",
        store_file,
        "File that holds the store's URL, in place of `store`: for one with a password."
    ),
    Key {
        path: "store_timeout",
        name: "store-timeout",
        has_flag: true,
        about: "How long one step may take in Redis, inside the caller's own deadline; what carries \
                much at once (CheckCalls, erasures, lists, webhooks kept aside) ten times as long. \
                After it the caller gets DEADLINE_EXCEEDED, never an answer made up.",
        access: Access::Span(1, 10 * SECOND, |config| &mut config.store_timeout),
    },
    Key {
        path: "default_profile",
        name: "profile",
        has_flag: true,
        about: "The rules for every business number that `[numbers.…]` does not give others.",
        access: Access::Text(
            "`atom`, `meta`, `meta-sandbox`, or one of `[profiles.…]`",
            |config, text| {
                text.clone_into(&mut config.default_profile);
                Ok(())
            },
            |config| Some(config.default_profile.clone()),
        ),
    },
    Key {
        path: "worker_threads",
        name: "worker-threads",
        has_flag: true,
        about: "Threads that answer. 0: one per CPU that the process may use, by its affinity and the CPU \
                limit of its container, rounded down. 1: everything on one thread, which costs the \
                least CPU per answer.",
        access: Access::Count(0, 1024, |config| &mut config.worker_threads),
    },
    Key {
        path: "change_log.age",
        name: "change-log-age",
        has_flag: true,
        about: "How long permission changes are kept for subscribers who resume. An older resume token \
                gets OUT_OF_RANGE. docs/operations.md says what it costs.",
        access: Access::Span(60 * SECOND, 90 * DAY, |config| &mut config.change_log_age),
    },
    Key {
        path: "change_log.length",
        name: "change-log-length",
        has_flag: true,
        about: "How many permission changes are kept at most in each of the 64 partitions of business \
                numbers, whatever their age.",
        access: Access::Count(100, 10_000_000, |config| &mut config.change_log_length),
    },
    file!(
        "privacy.key_file",
        "privacy-key-file",
        privacy.key_file,
        "File with the keys by which the ids of customers are hidden from the store: one per line, oldest \
         first, 32 characters or more each (`openssl rand -hex 32`). Unset: the store keeps ids as they \
         are. A store remembers which keys it is under, and takes no others; docs/security.md says how \
         to begin, how to add a key, and what it is good for."
    ),
    Key {
        path: "embedded.durability",
        name: "embedded-durability",
        has_flag: true,
        about: "What the embedded store promises when it has answered. `sync`: on the disk, survives \
                a power cut. `os`: faster, survives the end of the process but not a power cut.",
        access: Access::Text(
            "`sync` or `os`",
            |config, text| text.parse().map(|durability| config.durability = durability),
            |config| {
                Some(if config.durability == Durability::Sync { "sync" } else { "os" }.to_owned())
            },
        ),
    },
    Key {
        path: "redis.key_prefix",
        name: "redis-key-prefix",
        has_flag: true,
        about: "First part of every key in Redis: several gates on one Redis that must not meet.",
        access: Access::Text(
            "1 to 64 letters, digits, `-`, `_`, `.` or `:`",
            set_key_prefix,
            |config| Some(config.key_prefix.clone()),
        ),
    },
    Key {
        path: "redis.wait_replicas",
        name: "redis-wait-replicas",
        has_flag: true,
        about: "An ALLOW and the acknowledgement of an event are given only when so many replicas have \
                them; 0: when the master has. With too few replicas in time the caller gets UNAVAILABLE \
                and repeats with the same id. docs/redis.md says what a failover can lose, with it and \
                without.",
        access: Access::Count(0, 10, |config| &mut config.wait_replicas),
    },
    Key {
        path: "redis.wait_timeout",
        name: "redis-wait-timeout",
        has_flag: true,
        about: "How long the replicas of `redis.wait_replicas` may take. A step may find one wait under \
                way, so that its answer takes at most `store_timeout` and twice this.",
        access: Access::Span(1, 10 * SECOND, |config| &mut config.wait_timeout),
    },
    Key {
        path: "webhook.body_limit",
        name: "webhook-body-limit",
        has_flag: true,
        about: "Longest webhook body; longer ones get 413. Meta sends up to 3 MB.",
        access: Access::Size(1 << 10, 64 << 20, |config| &mut config.body_limit),
    },
    Key {
        path: "log.format",
        name: "log-format",
        has_flag: true,
        about: "How log lines look. `auto`: text on a terminal, JSON elsewhere.",
        access: Access::Text("`auto`, `text` or `json`", set_log_format, |config| {
            Some(
                match config.log_format {
                    LogFormat::Auto => "auto",
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned(),
            )
        }),
    },
    Key {
        path: "log.filter",
        name: "log-filter",
        has_flag: true,
        about: "Which log lines are written: a level, or targets with levels, as in RUST_LOG. \
                `info,callgate::decision=off` leaves out the line of each decision.",
        access: Access::Text("level or `target=level,…`", set_log_filter, |config| {
            Some(config.log_filter.clone())
        }),
    },
    Key {
        path: "otlp.endpoint",
        name: "otlp-endpoint",
        has_flag: true,
        about: "The OpenTelemetry collector that gets a span for each call, over OTLP on gRPC, e.g. \
                `http://127.0.0.1:4317`. Unset: no spans are made. One that is away delays no call.",
        access: Access::Text(
            "`http://HOST:PORT` or `https://HOST:PORT`",
            set_otlp_endpoint,
            |config| config.otlp_endpoint.clone(),
        ),
    },
    Key {
        path: "otlp.sample_ratio",
        name: "otlp-sample-ratio",
        has_flag: true,
        about: "The share of calls that have spans, where the caller does not say by `traceparent` \
                whether this one has. `\"0.05\"`: one in twenty.",
        access: Access::Text("number from `0` to `1`, in quotes", set_sample_ratio, |config| {
            Some(config.otlp_sample_ratio.to_string())
        }),
    },
    Key {
        path: "drain.delay",
        name: "drain-delay",
        has_flag: true,
        about: "After SIGTERM or SIGINT, how long to go on taking calls while saying NOT_SERVING and not \
                ready: for load balancers that hear of it late. Clients that are connected to the gate \
                itself need none.",
        access: Access::Span(0, 10 * 60 * SECOND, |config| &mut config.drain_delay),
    },
    Key {
        path: "drain.timeout",
        name: "drain-timeout",
        has_flag: true,
        about: "After that, how long what is under way may take to end; what takes longer is left, with a \
                warning. Kubernetes' grace period must be longer than both together, by 5 s at least.",
        access: Access::Span(SECOND, 10 * 60 * SECOND, |config| &mut config.drain_timeout),
    },
    limit(
        "limits.calls",
        "limits-calls",
        "Questions and reports about one customer under way at once; those beyond get \
         RESOURCE_EXHAUSTED. Each may hold a request of 64 KiB, twice. docs/operations.md says what all \
         limits cost.",
        |config| &mut config.limit_calls,
    ),
    limit(
        "limits.batches",
        "limits-batches",
        "RecordEvents, CheckCalls, erasures and lists under way at once. Each may hold a request of \
         4 MiB, up to three times while it is read.",
        |config| &mut config.limit_batches,
    ),
    limit(
        "limits.streams",
        "limits-streams",
        "Open streams of WatchPermissions; those beyond get RESOURCE_EXHAUSTED. An idle one takes 40 KiB; one \
         that names more than five pairs or numbers counts once more for each 16 of them, begun or not.",
        |config| &mut config.limit_streams,
    ),
    limit(
        "limits.webhooks",
        "limits-webhooks",
        "Webhooks that are worked on at once; those beyond get 503, and Meta sends them again. As many of \
         the length of `webhook.body_limit` may be on their way.",
        |config| &mut config.limit_webhooks,
    ),
    limit(
        "limits.connections",
        "limits-connections",
        "Open connections of each door; those beyond wait until one ends. An idle one takes 36 KiB.",
        |config| &mut config.limit_connections,
    ),
    file!(
        "meta.app_secret_file",
        "meta-app-secret-file",
        app_secret_file,
        "File with Meta's app secret, or several (one per line or comma-separated) during a rotation. \
         `CALLGATE_META_APP_SECRET` wins over it. Without a secret every webhook is refused."
    ),
    file!(
        "meta.verify_token_file",
        "meta-verify-token-file",
        verify_token_file,
        "File with the token that was given to Meta with the webhook's address. \
         `CALLGATE_META_VERIFY_TOKEN` wins over it."
    ),
    file!(
        "grpc_tls.cert_file",
        "grpc-tls-cert-file",
        grpc_tls.cert,
        "Certificate of the gRPC door and those between it and its authority, PEM. With its key: TLS 1.3, \
         nothing else is spoken there."
    ),
    file!("grpc_tls.key_file", "grpc-tls-key-file", grpc_tls.key, "Its key, PEM."),
    file!(
        "grpc_tls.client_ca_file",
        "grpc-tls-client-ca-file",
        grpc_tls.client_ca,
        "Authorities of clients' certificates, PEM. Every client has to show one, unless a client in \
         `[clients.…]` has a token."
    ),
    file!(
        "http_tls.cert_file",
        "http-tls-cert-file",
        http_tls.cert,
        "The same for the webhook door. Unset where an ingress ends TLS."
    ),
    file!("http_tls.key_file", "http-tls-key-file", http_tls.key, "Its key, PEM."),
    file!(
        "http_tls.client_ca_file",
        "http-tls-client-ca-file",
        http_tls.client_ca,
        "Authorities of those who send webhooks, PEM. Then nobody else can connect."
    ),
    file!(
        "admin_tls.cert_file",
        "admin-tls-cert-file",
        admin_tls.cert,
        "The same for the door of operators."
    ),
    file!("admin_tls.key_file", "admin-tls-key-file", admin_tls.key, "Its key, PEM."),
    file!(
        "admin_tls.client_ca_file",
        "admin-tls-client-ca-file",
        admin_tls.client_ca,
        "Authorities of those who fetch metrics, PEM. Then nobody else can connect, probes neither."
    ),
];

const OR_OFF: &str = "`IP:PORT`, `unix:/path` or `off`";

fn set_or_off(field: &mut Option<Address>, text: &str) -> Result<(), String> {
    *field = match text {
        "off" => None,
        _ => {
            let address = text.parse().map_err(|problem| format!("{problem}, or \"off\""))?;
            Some(address)
        }
    };
    Ok(())
}

fn shown_or_off(address: Option<&Address>) -> String {
    address.map_or_else(|| "off".to_owned(), Address::to_string)
}

fn set_allow_insecure(config: &mut Config, text: &str) -> Result<(), String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let doors = names.map(|name| {
        let door = DoorName::ALL.into_iter().find(|door| door.name() == name);
        door.ok_or_else(|| format!("names no door `{name}`; write grpc, http or admin"))
    });
    config.allow_insecure = doors.collect::<Result<_, _>>()?;
    Ok(())
}

fn set_key_prefix(config: &mut Config, text: &str) -> Result<(), String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if !(1..=64).contains(&text.len()) || !text.bytes().all(is_plain) {
        return Err("must be 1 to 64 letters, digits, \"-\", \"_\", \".\" or \":\"".to_owned());
    }
    text.clone_into(&mut config.key_prefix);
    Ok(())
}

fn set_log_format(config: &mut Config, text: &str) -> Result<(), String> {
    config.log_format = match text {
        "auto" => LogFormat::Auto,
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err("must be \"auto\", \"text\" or \"json\"".to_owned()),
    };
    Ok(())
}

fn set_log_filter(config: &mut Config, text: &str) -> Result<(), String> {
    EnvFilter::try_new(text).map_err(|error| {
        format!("is no filter ({error}); write a level, or e.g. \"info,callgate::webhook=debug\"")
    })?;
    text.clone_into(&mut config.log_filter);
    Ok(())
}

fn set_otlp_endpoint(config: &mut Config, text: &str) -> Result<(), String> {
    let is_address = text.parse::<Uri>().is_ok_and(|uri| {
        let is_plain = uri.path_and_query().is_none_or(|path| path == "/");
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && is_plain
    });
    if !is_address || text.contains('@') {
        return Err(
            "must be http:// or https:// with a host and a port, e.g. \"http://127.0.0.1:4317\""
                .to_owned(),
        );
    }
    config.otlp_endpoint = Some(text.to_owned());
    Ok(())
}

fn set_sample_ratio(config: &mut Config, text: &str) -> Result<(), String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    config.otlp_sample_ratio =
        ratio.ok_or_else(|| "must be a number from 0 to 1, e.g. \"0.05\"".to_owned())?;
    Ok(())
}

fn set_path(field: &mut Option<PathBuf>, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must name a file".to_owned());
    }
    *field = Some(PathBuf::from(text));
    Ok(())
}
