//! The server's keys: one row each, for file, variable, flag and reference.

use std::path::PathBuf;

use axum::http::Uri;
use tracing_subscriber::EnvFilter;

use crate::config::{
    Config, Durability, LogFormat,
    value::{Access, Key},
};

const SECOND: u64 = 1000;
const DAY: u64 = 24 * 3600 * SECOND;

/// Every key outside `[profiles.…]` and `[numbers.…]`.
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
        about: "Where `/webhooks/meta`, `/metrics`, `/healthz` and `/readyz` listen.",
        access: Access::Text("`IP:PORT`", set_http_addr, |config| {
            Some(config.http_addr.to_string())
        }),
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
        path: "meta.app_secret_file",
        name: "meta-app-secret-file",
        has_flag: false,
        about: "File with Meta's app secret, or several (one per line or comma-separated) during a \
                rotation. `CALLGATE_META_APP_SECRET` wins over it. Without a secret every webhook is \
                refused.",
        access: Access::Text(
            "path",
            |config, text| set_path(&mut config.app_secret_file, text),
            |config| config.app_secret_file.as_ref().map(|path| path.display().to_string()),
        ),
    },
    Key {
        path: "meta.verify_token_file",
        name: "meta-verify-token-file",
        has_flag: false,
        about: "File with the token that was given to Meta with the webhook's address. \
                `CALLGATE_META_VERIFY_TOKEN` wins over it.",
        access: Access::Text(
            "path",
            |config, text| set_path(&mut config.verify_token_file, text),
            |config| config.verify_token_file.as_ref().map(|path| path.display().to_string()),
        ),
    },
];

fn set_http_addr(config: &mut Config, text: &str) -> Result<(), String> {
    config.http_addr = text
        .parse()
        .map_err(|_| "must be an IP address with port, e.g. \"127.0.0.1:8080\"".to_owned())?;
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
