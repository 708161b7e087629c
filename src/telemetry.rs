//! What operators see: log lines on standard error, metrics at `/metrics`.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle as Handle,
};
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::{
    config::{Config, LogFormat},
    rulebook,
};

/// Steps take microseconds when all is well and up to the store's deadline when it is not. Seconds.
const BUCKETS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];
/// A change that time alone brings is told within a second, and much later after an outage. Seconds.
const LATE_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0];
/// How often histograms are folded, so that what nobody fetches does not pile up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Writes log lines to standard error from now on. Decisions are at `info`, target
/// `callgate::decision`, one line each, with the customer masked.
pub fn log(config: &Config) {
    let (filter, handle) = reload::Layer::new(env_filter(config));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match config.log_format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let begun = if is_json {
        registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init()
    } else {
        registry.with(lines.with_ansi(is_terminal)).try_init()
    };
    // A second call changes nothing: the first one is in force for the whole process.
    if begun.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// The filter in force, which a new configuration may change.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// From now on writes what this configuration says.
pub fn filter(config: &Config) {
    if let Some(handle) = FILTER.get() {
        // It is gone only with the process.
        let _ = handle.reload(env_filter(config));
    }
}

fn env_filter(config: &Config) -> EnvFilter {
    // What the embedded engine says of itself at `info` is of no use to who runs a gate; a filter
    // that names it still has the last word.
    let filter = format!("fjall=warn,lsm_tree=warn,{}", config.log_filter);
    // `config` has read the filter already.
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// From now on a panic is counted, wherever it is, and tells where it was and not with what: the text may be made of what was sent,
/// and so name a customer. Texts that stand in the program as they are, are told. `RUST_BACKTRACE`
/// adds the way there.
pub fn withhold_panics() {
    std::panic::set_hook(Box::new(|info| {
        metrics::counter!("callgate_panics_total").increment(1);
        let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        // What was put together while it ran is a `String`.
        let text = info.payload().downcast_ref::<&'static str>();
        let text = text.unwrap_or(&"its text is withheld, since it may name a customer");
        let way = Backtrace::capture();
        let way = match way.status() {
            BacktraceStatus::Captured => format!("\n{way}"),
            _ => String::new(),
        };
        if tracing::dispatcher::has_been_set() {
            tracing::error!("panicked at {place}: {text}{way}");
        } else {
            // Not `eprintln!`, which panics where nobody reads.
            let _ = writeln!(std::io::stderr(), "callgate: panicked at {place}: {text}{way}");
        }
    }));
}

/// The metrics of this process.
#[derive(Debug, Clone)]
pub struct Metrics(Handle);

impl Metrics {
    /// Collects metrics from now on.
    ///
    /// # Errors
    /// They are collected already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .set_buckets_for_metric(
                Matcher::Full("callgate_settle_late_seconds".to_owned()),
                &LATE_BUCKETS,
            )?
            .install_recorder()?;
        describe();
        describe_doors();
        let version = env!("CARGO_PKG_VERSION");
        metrics::gauge!("callgate_build_info", "version" => version, "rulebook" => rulebook::sha())
            .set(1.0);
        Ok(Self(handle))
    }

    /// All of them, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps memory bounded while nobody fetches. Never returns.
    pub async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}

/// Says whether the store answers. A degraded store is a metric and never takes the gate out of
/// service: it still answers, UNAVAILABLE.
pub fn store_up(is_up: bool) {
    metrics::gauge!("callgate_store_up").set(if is_up { 1.0 } else { 0.0 });
}

/// Says which configuration is in effect, and when its certificates end.
pub fn in_effect(config: &Config, hash: &str, version: u64, restart_needed: usize) {
    static LAST: Mutex<String> = Mutex::new(String::new());
    let mut last = LAST.lock().expect("nobody panics with it");
    if !last.is_empty() {
        metrics::gauge!("callgate_config_info", "hash" => last.clone()).set(0.0);
    }
    hash.clone_into(&mut last);
    metrics::gauge!("callgate_config_info", "hash" => last.clone()).set(1.0);
    // Counts, and times of this century, are far below where a float leaves out whole numbers.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let float = |number: i64| number as f64;
    metrics::gauge!("callgate_config_version")
        .set(float(i64::try_from(version).unwrap_or(i64::MAX)));
    metrics::gauge!("callgate_config_restart_needed")
        .set(float(i64::try_from(restart_needed).unwrap_or(i64::MAX)));
    for (door, identity) in &config.identities {
        metrics::gauge!("callgate_tls_certificate_expiry_seconds", "door" => door.name())
            .set(float(identity.ends_at));
    }
}

/// Counts how it went when the configuration was read again.
pub fn configuration_read(is_good: bool) {
    let result = if is_good { "applied" } else { "failed" };
    metrics::counter!("callgate_config_reloads_total", "result" => result).increment(1);
}

fn describe() {
    describe_counter!(
        "callgate_decisions_total",
        "Decisions, by what was asked: mode call, permission_request or check"
    );
    describe_counter!(
        "callgate_calls_over_limit_total",
        "Answered calls that were recorded beyond a limit, quota window or permission: calls that were \
         not authorized here, or told after their hold was gone"
    );
    describe_gauge!("callgate_build_info", "1, with the version and the rulebook's");
    describe_gauge!("callgate_store_up", "1 while the store answers, else 0");
    describe_gauge!(
        "callgate_clock_offset_seconds",
        Unit::Seconds,
        "Embedded store: callgate's time less the host's clock, whole seconds. Above 0 it stands until \
         the clock has caught up, below 0 it goes on at its own pace, behind a clock that was set \
         forward"
    );
    describe_counter!(
        "callgate_clock_steps_total",
        "Embedded store: times that the host's clock was set by more than 2 s, by direction"
    );
    describe_histogram!(
        "callgate_redis_script_duration_seconds",
        Unit::Seconds,
        "Round trips to Redis, by script"
    );
    describe_counter!(
        "callgate_redis_emptied_total",
        "Connections to a store that has lost what it held, or is another one than before"
    );
    describe_gauge!("callgate_watchers", "Open streams of WatchPermissions");
    describe_counter!(
        "callgate_watch_lagging_total",
        "Times that a stream was too slow for its queue and went on from the log by itself"
    );
    describe_counter!(
        "callgate_pairs_settled_total",
        "Pairs whose changes by time, or by a changed setting, this process has told"
    );
    describe_counter!(
        "callgate_settle_failures_total",
        "Pairs that were due and could not be settled for another reason than a store that is away"
    );
    describe_histogram!(
        "callgate_settle_late_seconds",
        Unit::Seconds,
        "How long after its time a pair was settled"
    );
    describe_counter!(
        "callgate_webhook_events_total",
        "Parts of webhooks, by field, event and what became of them"
    );
    describe_counter!("callgate_webhook_rejected_total", "Webhook bodies refused, by reason");
    describe_counter!(
        "callgate_webhook_signature_failures_total",
        "Webhook bodies whose signature is missing or wrong"
    );
}

fn describe_doors() {
    describe_gauge!("callgate_in_flight", "Requests under way, by class");
    describe_counter!("callgate_shed_total", "Requests turned away since too many were under way");
    describe_counter!(
        "callgate_panics_total",
        "Panics: a bug, which cost one call, one stream, one webhook or one try of what is tried again"
    );
    describe_counter!(
        "callgate_auth_failures_total",
        "Requests of clients that are not known, or whose roles do not allow them, by reason"
    );
    describe_gauge!("callgate_config_info", "1 for the hash of the configuration in effect");
    describe_gauge!(
        "callgate_config_version",
        "How many configurations were in effect since the start"
    );
    describe_gauge!(
        "callgate_config_restart_needed",
        "Keys that have another value in the files, which only a restart takes over"
    );
    describe_counter!(
        "callgate_config_reloads_total",
        "Times that the configuration was read again, by result: applied or failed"
    );
    describe_gauge!(
        "callgate_tls_certificate_expiry_seconds",
        Unit::Seconds,
        "When the certificate of a door ends, in seconds of Unix time"
    );
}
