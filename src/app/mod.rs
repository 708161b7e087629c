//! The server put together: store, gate, the three doors, and an orderly end.
//!
//! Start: everything that can be wrong with the configuration, the ports and the store is found
//! before the first answer, and ends the process with the mend in its message. One thing does not: a
//! Redis that is away. Then the gate is up, answers UNAVAILABLE, is not ready, and recovers by itself.
//!
//! End (SIGTERM, SIGINT): not ready and NOT_SERVING; after `drain.delay` no new calls, streams are told
//! to go on elsewhere, calls under way end, the store is closed, exit 0.

mod admin;
mod descriptors;
mod late;
mod quarantine;
mod readiness;
mod reload;
mod store;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

pub use self::store::{open_archive, open_store, redis_options};
use self::{readiness::Readiness, reload::Live};
use crate::{
    config::{Config, DoorName, Inputs, Loaded},
    door::{self, Address, Incoming, Listener, Tls, serve_grpc, serve_http},
    engine::{self, gate::Gate, store::Store},
    lasting::lasting,
    rulebook,
    service::{self, InEffect, access::Doorkeeper},
    telemetry::{self, Metrics, traces::Traces},
    webhook,
};

/// How often the store is asked whether it is there.
const STORE_ASKED_EVERY: Duration = Duration::from_secs(2);
/// The same before it was there for the first time: somebody waits for the gate to be ready.
const STORE_LOOKED_FOR_EVERY: Duration = Duration::from_millis(100);
/// How long an answer on the operators' door may take once all else has ended.
const LAST_LOOK_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the store is lost: a look at a flag.
const STORE_LOST_ASKED_EVERY: Duration = Duration::from_millis(250);

/// How long the last spans may take to their collector, once all calls have ended.
const TRACES_END_WITHIN: Duration = Duration::from_secs(2);

/// Why the server did not start, or broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port or socket cannot be had.
    #[error("{0}")]
    Listen(io::Error),
    /// The store refuses. The text has the mend.
    #[error("cannot use the store {url}: {error}")]
    Store {
        /// Which, without its passwords.
        url: String,
        /// Why.
        error: engine::Error,
    },
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// Spans cannot be sent.
    #[error("otlp.endpoint: {0}")]
    Traces(String),
    /// Metrics are collected already: two servers in one process.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Bound {
    /// gRPC.
    pub grpc: Address,
    /// Webhooks; `None`: nowhere.
    pub http: Option<Address>,
    /// Metrics and probes; `None`: nowhere.
    pub admin: Option<Address>,
}

/// The doors, bound and not yet open.
struct Doors {
    grpc: Listener,
    http: Option<Listener>,
    admin: Option<Listener>,
}

impl Doors {
    async fn bind(config: &Config) -> io::Result<Self> {
        Ok(Self {
            grpc: Listener::bind(&config.grpc_addr).await?,
            http: bind_if_named(config.http_addr.as_ref()).await?,
            admin: bind_if_named(config.admin_addr.as_ref()).await?,
        })
    }

    fn count(&self) -> u32 {
        1 + u32::from(self.http.is_some()) + u32::from(self.admin.is_some())
    }

    fn bound(&self) -> io::Result<Bound> {
        Ok(Bound {
            grpc: self.grpc.address()?,
            http: self.http.as_ref().map(Listener::address).transpose()?,
            admin: self.admin.as_ref().map(Listener::address).transpose()?,
        })
    }
}

async fn bind_if_named(address: Option<&Address>) -> io::Result<Option<Listener>> {
    match address {
        Some(address) => Listener::bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// Serves until `stop` comes, then ends in order. `listening` is told the addresses once questions
/// can come. The files of `inputs` are read again when they change.
///
/// # Errors
/// It cannot start, or breaks.
pub async fn serve(
    loaded: Loaded,
    inputs: Inputs,
    listening: impl FnOnce(&Bound),
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let config = loaded.config.clone();
    let files_max = descriptors::raise();
    let metrics = Metrics::install()?;
    let traces = begin_traces(&config)?;
    let doors = Doors::bind(&config).await.map_err(Error::Listen)?;
    let bound = doors.bound().map_err(Error::Listen)?;
    let connections_max =
        descriptors::connections(config.limit_connections, doors.count(), files_max);
    let hang_up = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    let mut background = JoinSet::new();
    let upkeep = metrics.clone();
    background.spawn(async move { lasting("metrics", || upkeep.clone().upkeep()).await });
    let store = open_store(&config, &mut background)
        .await
        .map_err(|error| Error::Store { url: config.store.to_string(), error })?;
    let readiness = Readiness::starting();
    // There from the start: down until it has answered.
    telemetry::store_up(false);
    let (watched, told) = (Arc::clone(&store), readiness.clone());
    background.spawn(async move {
        lasting("watching the store", || watch_store(Arc::clone(&watched), told.clone())).await;
    });
    say_serving(&config, &bound);
    listening(&bound);
    let gate = Gate::new(Arc::clone(&store), config.gate_profiles());
    let swept = gate.clone();
    background
        .spawn(async move { lasting("sweeping", || crate::watch::sweep(swept.clone())).await });
    let (webhooks, secrets) = webhook::door(gate.clone(), webhook_options(&config));
    let live = Live {
        gate: gate.clone(),
        doorkeeper: Doorkeeper::new(config.access()),
        webhooks: secrets,
        tls: config.identities.iter().map(|(door, id)| (*door, Tls::new(id.clone()))).collect(),
        in_effect: InEffect::default(),
    };
    live.in_effect.set(reload::in_effect(&config, 1, &[]));
    let opened = Opened {
        config: &config,
        doorkeeper: live.doorkeeper.clone(),
        in_effect: live.in_effect.clone(),
        tls: live.tls.clone(),
        connections_max: usize::try_from(connections_max).unwrap_or(usize::MAX),
        readiness,
    };
    background.spawn(reload::watch(live, inputs, loaded, hang_up));
    if !config.app_secrets.is_empty() {
        let counted = gate.clone();
        background.spawn(async move {
            lasting("counting what is kept aside", || quarantine::count(counted.clone())).await;
        });
    }
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = lost(&*store) => tracing::error!("the store is lost; ending, so that a restart reads it"),
        }
    };
    opened.serve(gate, webhooks, metrics, doors, stop).await;
    background.shutdown().await;
    if let Some(traces) = traces {
        traces.end(TRACES_END_WITHIN).await;
    }
    // One that is away or slow is not asked: nobody waits for its answer any more.
    if store.is_lost() {
        let url = config.store.to_string();
        store.now().await.map_err(|error| Error::Store { url, error })?;
    }
    Ok(())
}

fn say_serving(config: &Config, bound: &Bound) {
    let or_off = |address: &Option<Address>| {
        address.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string)
    };
    tracing::info!(
        grpc = %bound.grpc,
        http = or_off(&bound.http),
        admin = or_off(&bound.admin),
        store = %config.store,
        profile = config.default_profile,
        rulebook = rulebook::sha(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    if config.clients.is_empty() {
        let reach = if bound.grpc.is_local() { "every process of this host" } else { "everybody" };
        tracing::warn!("gRPC is open to {reach}, with every right: no clients are configured");
    }
}

fn begin_traces(config: &Config) -> Result<Option<Traces>, Error> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    Traces::begin(endpoint, config.otlp_sample_ratio).map(Some).map_err(Error::Traces)
}

/// Ends when the store will never answer again.
async fn lost(store: &dyn Store) {
    let mut ticks = tokio::time::interval(STORE_LOST_ASKED_EVERY);
    while !store.is_lost() {
        ticks.tick().await;
    }
}

/// What the open doors go by.
struct Opened<'a> {
    config: &'a Config,
    doorkeeper: Doorkeeper,
    in_effect: InEffect,
    tls: BTreeMap<DoorName, Arc<Tls>>,
    /// Of each door.
    connections_max: usize,
    readiness: Readiness,
}

impl Opened<'_> {
    /// Opens the doors, and closes them when `stop` comes; that of operators last.
    async fn serve(
        self,
        gate: Gate,
        webhooks: axum::Router,
        metrics: Metrics,
        doors: Doors,
        stop: impl Future<Output = ()>,
    ) {
        let drain_max = Duration::from_millis(self.config.drain_timeout);
        let (drain, draining) = watch::channel(false);
        let mut options = service::Options::new(service::Retry::new(|gate, entry| {
            Box::pin(async move { retried(&gate, &entry).await })
        }));
        options.draining = Some(draining.clone());
        options.doorkeeper = self.doorkeeper.clone();
        options.limits = self.config.limits();
        options.in_effect = self.in_effect.clone();
        let service::Router { routes, health } = service::router(gate, options).await;
        health.set(false).await;
        let grpc = self.incoming(DoorName::Grpc, doors.grpc);
        let grpc = serve_grpc(routes, grpc, drain_max, drained(draining.clone()));
        let http =
            self.serve_site(DoorName::Http, webhooks, doors.http, drain_max, drained(draining));
        let (closed, closing) = watch::channel(false);
        let site = admin::site(metrics, self.readiness.clone());
        let admin =
            self.serve_site(DoorName::Admin, site, doors.admin, LAST_LOOK_MAX, drained(closing));
        let tell_serving = async {
            self.readiness.reached().await;
            health.set(true).await;
            std::future::pending::<()>().await;
        };
        let end = async {
            tokio::select! {
                () = stop => {}
                () = tell_serving => {}
            }
            tracing::info!("draining");
            self.readiness.drain();
            health.set(false).await;
            tokio::time::sleep(Duration::from_millis(self.config.drain_delay)).await;
            drain.send_replace(true);
        };
        let served = async {
            tokio::join!(grpc, http, end);
            closed.send_replace(true);
        };
        tokio::join!(served, admin);
        tracing::info!("stopped");
    }

    async fn serve_site(
        &self,
        door: DoorName,
        site: axum::Router,
        listener: Option<Listener>,
        drain_max: Duration,
        shutdown: impl Future<Output = ()>,
    ) {
        match listener {
            Some(listener) => {
                serve_http(site, self.incoming(door, listener), drain_max, shutdown).await;
            }
            None => shutdown.await,
        }
    }

    fn incoming(&self, door: DoorName, listener: Listener) -> Incoming {
        let tls = self.tls.get(&door).map(Arc::clone);
        let connections_max = self.connections_max;
        Incoming::new(listener, door::Options { tls, connections_max, ..door::Options::default() })
    }
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // A sender that is gone drains as well.
    let _ = draining.wait_for(|is_draining| *is_draining).await;
}

fn webhook_options(config: &Config) -> webhook::Options {
    webhook::Options {
        app_secrets: config.app_secrets(),
        verify_token: config.verify_token(),
        body_max: usize::try_from(config.body_limit).unwrap_or(usize::MAX),
        at_once_max: usize::try_from(config.limit_webhooks).unwrap_or(usize::MAX),
        ..webhook::Options::default()
    }
}

async fn retried(
    gate: &Gate,
    entry: &engine::store::Quarantined,
) -> engine::Result<service::Retried> {
    Ok(match webhook::retry(gate, entry).await? {
        webhook::RetryOutcome::Recorded(events) => service::Retried::Recorded(events),
        webhook::RetryOutcome::StillUnclear(why) => service::Retried::StillUnclear(why),
    })
}

/// Keeps `callgate_store_up` and the readiness true, and says in the log when the store comes and goes.
/// Never returns.
async fn watch_store(store: Arc<dyn Store>, readiness: Readiness) {
    let (mut is_known, mut was_up) = (false, true);
    loop {
        let asked = store.now().await;
        telemetry::store_up(asked.is_ok());
        readiness.store_answered(asked.is_ok());
        match (was_up, &asked) {
            (true, Err(error)) => tracing::warn!(%error, "the store is away"),
            (false, Ok(_)) => tracing::info!("the store is back"),
            (true, Ok(_)) | (false, Err(_)) => {}
        }
        was_up = asked.is_ok();
        is_known |= was_up;
        let pause = if is_known { STORE_ASKED_EVERY } else { STORE_LOOKED_FOR_EVERY };
        tokio::time::sleep(pause).await;
    }
}
