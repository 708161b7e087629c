//! What operators see: log lines on standard error, metrics at `/metrics` ([`list`]), traces ([`traces`]).

mod lines;
pub mod list;
pub mod traces;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle as Handle,
};
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use self::lines::WithoutPlaces;
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
/// From the store to a subscriber it takes milliseconds, and seconds where something is wrong.
const DELIVERY_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Meta's stamps are whole seconds, and it tries again for days.
const WEBHOOK_BUCKETS: [f64; 12] =
    [1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0, 259_200.0];
/// How often histograms are folded, so that what nobody fetches does not pile up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Writes log lines to standard error from now on. Decisions are at `info`, target
/// `callgate::decision`, one line each, with the customer masked. Lines of a call have its method, and
/// where it is traced and sampled, the ids of the trace and of the span.
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
        let lines = lines.json().flatten_event(true).with_span_list(false);
        registry.with(lines.map_event_format(WithoutPlaces)).try_init()
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
    // What the embedded engine says of itself at `info` is of no use to who runs a gate. What the client
    // of Redis warns of, the gate tells itself; the client repeats it with each attempt, hundreds of times
    // in a moment when a master of a cluster goes away. A filter that names them still has the last word.
    let filter = format!("fjall=warn,lsm_tree=warn,redis=error,{}", config.log_filter);
    // `config` has read the filter already.
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// From now on a panic is counted, whoever catches it, and tells where it was and not with what: the text
/// may be made of what was sent, and so name a customer. Texts that stand in the program as they are, are
/// told. `RUST_BACKTRACE` adds the way there.
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
            .set_buckets_for_metric(
                Matcher::Full("callgate_watch_delivery_seconds".to_owned()),
                &DELIVERY_BUCKETS,
            )?
            .set_buckets_for_metric(
                Matcher::Full("callgate_webhook_lag_seconds".to_owned()),
                &WEBHOOK_BUCKETS,
            )?
            .install_recorder()?;
        list::describe();
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

/// Says which configuration is in effect, of the newest files, and when its certificates end.
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
    metrics::gauge!("callgate_config_refused").set(0.0);
    for (door, identity) in &config.identities {
        metrics::gauge!("callgate_tls_certificate_expiry_seconds", "door" => door.name())
            .set(float(identity.ends_at));
    }
}

/// Counts how it went when the configuration was read again. A refusal stays to be seen until a
/// configuration is [`in_effect`]: it is counted once, however long nobody mends it.
pub fn configuration_read(is_good: bool) {
    let result = if is_good { "applied" } else { "failed" };
    metrics::counter!("callgate_config_reloads_total", "result" => result).increment(1);
    if !is_good {
        metrics::gauge!("callgate_config_refused").set(1.0);
    }
}
