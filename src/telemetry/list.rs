//! Every metric, with what it says: `docs/operations.md` has the same table for people, and a test holds
//! the two together.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::{engine::code::change_cause, service, webhook};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How long things took, in seconds.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In one sentence.
    pub about: &'static str,
    /// Where it stands at 0 from the start, so that the first step of a counter is seen as one.
    zero: Zero,
}

/// Which series of a metric are there from the start.
#[derive(Debug, Clone, Copy)]
enum Zero {
    /// None: there would be too many, it cannot be known yet, or it is set at the start elsewhere.
    No,
    /// The one without labels.
    Plain,
    /// One for each value of this label.
    Each(&'static str, &'static [&'static str]),
    /// One for each cause of a change.
    Causes,
    /// One for each way in which a stream of ours may end.
    Ends,
    /// One for each kind of fact that webhooks bring. Of a gate that was started anew and hears nothing,
    /// silence could not be told from a metric that is missing.
    Facts,
}

use Kind::{Counter, Gauge, Histogram};
use Zero::{Causes, Each, Ends, Facts, No, Plain};

const fn metric(name: &'static str, kind: Kind, zero: Zero, about: &'static str) -> Metric {
    Metric { name, kind, about, zero }
}

/// All of them.
pub static METRICS: &[Metric] = &[
    metric(
        "callgate_decisions_total",
        Counter,
        No,
        "Decisions, by what was asked: mode call, permission_request or check",
    ),
    metric(
        "callgate_calls_held_total",
        Counter,
        Plain,
        "Calls that were allowed and hold a slot since then; a repeated call_id counts once",
    ),
    metric(
        "callgate_calls_lapsed_total",
        Counter,
        Plain,
        "Calls whose slot was freed by the end of the lease, with nothing told of what became of them; \
         found by the next step that writes on the customer",
    ),
    metric(
        "callgate_calls_over_limit_total",
        Counter,
        Each("quota", &["window", "permission"]),
        "Answered calls that were recorded beyond a limit, quota window or permission: calls that were \
         not authorized here, or told after their hold was gone",
    ),
    metric(
        "callgate_changes_total",
        Counter,
        Causes,
        "Changes that steps of this process have put on the change log, by cause",
    ),
    metric(
        "callgate_rpc_duration_seconds",
        Histogram,
        No,
        "From an RPC's headers to its answer, by method and gRPC status; without streams",
    ),
    metric(
        "callgate_rpc_streams_ended_total",
        Counter,
        Ends,
        "RPCs that answer with a stream and have ended, by method and gRPC status",
    ),
    metric("callgate_panics_total", Counter, Plain, "Panics in this process, caught or not"),
    metric("callgate_store_up", Gauge, No, "1 while the store answers, else 0"),
    metric(
        "callgate_store_round_trips_total",
        Counter,
        No,
        "Round trips to the store: with Redis by script or command, in the embedded store to its \
         threads, write or read",
    ),
    metric(
        "callgate_store_errors_total",
        Counter,
        Each("kind", &["unavailable", "deadline_exceeded", "internal"]),
        "Questions to the store that got no answer",
    ),
    metric(
        "callgate_redis_script_duration_seconds",
        Histogram,
        No,
        "Round trips to Redis, by script",
    ),
    metric(
        "callgate_redis_emptied_total",
        Counter,
        Plain,
        "Connections to a store that has lost what it held, or is another one than before",
    ),
    metric("callgate_watchers", Gauge, Plain, "Open streams of WatchPermissions"),
    metric(
        "callgate_watch_lagging_total",
        Counter,
        Plain,
        "Times that a stream was too slow for its queue and went on from the log by itself",
    ),
    metric(
        "callgate_watch_delivery_seconds",
        Histogram,
        No,
        "From the recording of a change to its handing over to a stream that follows, by the store's \
         clock",
    ),
    metric(
        "callgate_pairs_settled_total",
        Counter,
        Plain,
        "Pairs whose changes by time, or by a changed setting, this process has told",
    ),
    metric(
        "callgate_settle_failures_total",
        Counter,
        Plain,
        "Pairs that were due and could not be settled for another reason than a store that is away",
    ),
    metric(
        "callgate_settle_late_seconds",
        Histogram,
        No,
        "How long after its time a pair was settled",
    ),
    metric(
        "callgate_webhook_events_total",
        Counter,
        Facts,
        "Parts of webhooks, by field, event and what became of them",
    ),
    metric(
        "callgate_webhook_lag_seconds",
        Histogram,
        No,
        "From Meta's stamp, in whole seconds, to the recording of a fact that was news",
    ),
    metric(
        "callgate_webhook_rejected_total",
        Counter,
        Each(
            "reason",
            &[
                "handshake",
                "no_secret",
                "too_large",
                "unreadable",
                "signature",
                "not_json",
                "too_many",
                "too_slow",
                "panicked",
                "store",
            ],
        ),
        "Webhook bodies refused, by reason",
    ),
    metric(
        "callgate_webhook_signature_failures_total",
        Counter,
        Plain,
        "Webhook bodies whose signature is missing or wrong",
    ),
    metric(
        "callgate_quarantined",
        Gauge,
        No,
        "Webhooks kept aside in the store now; asked once a minute by gates that take in webhooks",
    ),
    metric(
        "callgate_clock_offset_seconds",
        Gauge,
        No,
        "Embedded store: callgate's time less the host's clock, whole seconds. Above 0 it stands until \
         the clock has caught up, below 0 it goes on at its own pace, behind a clock that was set \
         forward",
    ),
    metric(
        "callgate_clock_steps_total",
        Counter,
        Each("direction", &["back", "forward"]),
        "Embedded store: times that the host's clock was set by more than 2 s, by direction",
    ),
    metric("callgate_in_flight", Gauge, No, "Requests under way, by class"),
    metric(
        "callgate_shed_total",
        Counter,
        Each("class", &["call", "batch", "stream", "probe", "other"]),
        "Requests turned away since too many were under way, by class",
    ),
    metric(
        "callgate_auth_failures_total",
        Counter,
        Each(
            "reason",
            &[
                "no_bearer",
                "no_credential",
                "unknown_token",
                "unknown_certificate",
                "role",
                "numbers",
                "client_changed",
            ],
        ),
        "Requests of clients that are not known, or whose roles or numbers do not allow them, and streams \
         of clients that lost either, by reason",
    ),
    metric(
        "callgate_config_info",
        Gauge,
        No,
        "1 for the hash of the configuration in effect, else 0",
    ),
    metric(
        "callgate_config_version",
        Gauge,
        No,
        "1 after the start, and 1 more for each configuration that was taken over",
    ),
    metric(
        "callgate_config_refused",
        Gauge,
        No,
        "1 while the files of the configuration are wrong and the last good one stays in effect, else 0",
    ),
    metric(
        "callgate_config_restart_needed",
        Gauge,
        No,
        "Keys that have another value in the files, which only a restart takes over",
    ),
    metric(
        "callgate_config_reloads_total",
        Counter,
        Each("result", &["applied", "failed"]),
        "Times that a changed configuration was read, by result",
    ),
    metric(
        "callgate_tls_certificate_expiry_seconds",
        Gauge,
        No,
        "When the certificate of a door ends, in seconds of Unix time",
    ),
    metric("callgate_build_info", Gauge, No, "1, with the version and the rulebook's"),
];

/// Says what each metric is, and sets to 0 what is there from the start.
pub(super) fn describe() {
    for Metric { name, kind, about, zero } in METRICS {
        match (kind, name.ends_with("_seconds")) {
            (Counter, _) => describe_counter!(*name, *about),
            (Gauge, true) => describe_gauge!(*name, Unit::Seconds, *about),
            (Gauge, false) => describe_gauge!(*name, *about),
            (Histogram, _) => describe_histogram!(*name, Unit::Seconds, *about),
        }
        match zero {
            No => {}
            Plain if *kind == Gauge => gauge!(*name).increment(0.0),
            Plain => counter!(*name).increment(0),
            Each(label, values) => {
                values.iter().for_each(|value| counter!(*name, *label => *value).increment(0));
            }
            Causes => change_cause::ALL
                .iter()
                .for_each(|(_, cause)| counter!(*name, "cause" => *cause).increment(0)),
            Ends => service::stream_ends().for_each(|(method, code)| {
                counter!(*name, "method" => method, "code" => code).increment(0);
            }),
            Facts => webhook::FACTS.iter().for_each(|(field, event)| {
                counter!(*name, "field" => *field, "event" => *event, "result" => "recorded")
                    .increment(0);
            }),
        }
    }
}
