//! The server put together: store, gate, the two front doors, and an orderly end.
//!
//! Start: everything that can be wrong with the configuration, the ports and the store is found
//! before the first answer, and ends the process with the mend in its message. One thing does not: a
//! Redis that is away. Then the gate is up, answers UNAVAILABLE, and recovers by itself.
//!
//! End (SIGTERM, SIGINT): not ready and NOT_SERVING, no new calls, streams are told to go on elsewhere,
//! calls under way end, the store is closed, exit 0.

mod http;
mod late;
mod store;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

pub use self::store::{open_archive, open_store, redis_options};
use crate::{
    config::Config,
    engine::{self, gate::Gate, store::Store},
    rulebook,
    service::{self, Address, Listener},
    telemetry::{self, Metrics},
    webhook,
};

/// How often the store is asked whether it is there.
const STORE_ASKED_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether the store is lost: a look at a flag.
const STORE_LOST_ASKED_EVERY: Duration = Duration::from_millis(250);
/// How long webhooks that are under way may take after the end was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);

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
    /// gRPC broke as a whole.
    #[error("gRPC: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// HTTP broke as a whole.
    #[error("HTTP: {0}")]
    Http(io::Error),
    /// Metrics are collected already: two servers in one process.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Bound {
    /// gRPC.
    pub grpc: Address,
    /// Webhooks, metrics, probes.
    pub http: SocketAddr,
}

/// Serves until `stop` comes, then ends in order. `listening` is told the addresses once questions
/// can come.
///
/// # Errors
/// It cannot start, or breaks.
pub async fn serve(
    config: &Config,
    listening: impl FnOnce(&Bound),
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let metrics = Metrics::install()?;
    let grpc = Listener::bind(&config.grpc_addr).await.map_err(Error::Listen)?;
    let http = TcpListener::bind(config.http_addr).await.map_err(|error| {
        let text = format!("cannot listen on {}: {error}", config.http_addr);
        Error::Listen(io::Error::new(error.kind(), text))
    })?;
    let bound = Bound {
        grpc: grpc.address().map_err(Error::Listen)?,
        http: http.local_addr().map_err(Error::Listen)?,
    };
    let mut background = JoinSet::new();
    background.spawn(metrics.clone().upkeep());
    let store = open_store(config, &mut background)
        .await
        .map_err(|error| Error::Store { url: config.store.to_string(), error })?;
    background.spawn(watch_store(Arc::clone(&store)));
    tracing::info!(
        grpc = %bound.grpc,
        http = %bound.http,
        store = %config.store,
        profile = config.default_profile,
        rulebook = rulebook::sha(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    listening(&bound);
    let gate = Gate::new(Arc::clone(&store), config.gate_profiles());
    background.spawn(crate::watch::sweep(gate.clone()));
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = lost(&*store) => tracing::error!("the store is lost; ending, so that a restart reads it"),
        }
    };
    let served = doors(config, gate, metrics, (grpc, http), stop).await;
    background.shutdown().await;
    match store.now().await {
        Err(error) if store.is_lost() => {
            served.and(Err(Error::Store { url: config.store.to_string(), error }))
        }
        Ok(_) | Err(_) => served,
    }
}

/// Ends when the store will never answer again.
async fn lost(store: &dyn Store) {
    let mut ticks = tokio::time::interval(STORE_LOST_ASKED_EVERY);
    while !store.is_lost() {
        ticks.tick().await;
    }
}

/// Opens both doors, and closes them when `stop` comes.
async fn doors(
    config: &Config,
    gate: Gate,
    metrics: Metrics,
    (grpc, http): (Listener, TcpListener),
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (drain, draining) = watch::channel(false);
    let mut options = service::Options::new(service::Retry::new(|gate, entry| {
        Box::pin(async move { retried(&gate, &entry).await })
    }));
    options.draining = Some(draining.clone());
    let service::Router { routes, health } = service::router(gate.clone(), options).await;
    let webhooks = webhook::router(gate, webhook_options(config));
    let site = http::site(webhooks, metrics, draining.clone());
    let grpc = service::serve(routes, grpc, drained(draining.clone()));
    let http = async {
        let serving = axum::serve(http, site).with_graceful_shutdown(drained(draining.clone()));
        tokio::select! {
            served = serving.into_future() => served,
            () = too_long(draining.clone()) => Ok(()),
        }
    };
    let end = async {
        stop.await;
        tracing::info!("draining");
        health.set(false).await;
        // Nobody listens any more where a door has broken already.
        let _ = drain.send(true);
        health.close().await;
    };
    let (grpc, http, ()) = tokio::join!(grpc, http, end);
    tracing::info!("stopped");
    grpc?;
    http.map_err(Error::Http)
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // A sender that is gone drains as well.
    let _ = draining.wait_for(|is_draining| *is_draining).await;
}

async fn too_long(draining: watch::Receiver<bool>) {
    drained(draining).await;
    tokio::time::sleep(DRAIN_MAX).await;
    tracing::warn!("webhooks were still under way after {} s; leaving them", DRAIN_MAX.as_secs());
}

fn webhook_options(config: &Config) -> webhook::Options {
    webhook::Options {
        app_secrets: config.app_secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
        verify_token: config.verify_token.as_ref().map(|token| token.expose().to_owned()),
        body_max: usize::try_from(config.body_limit).unwrap_or(usize::MAX),
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

/// Keeps `callgate_store_up` true, and says in the log when it changes. Never returns.
async fn watch_store(store: Arc<dyn Store>) {
    let mut was_up = true;
    let mut ticks = tokio::time::interval(STORE_ASKED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = store.now().await;
        telemetry::store_up(asked.is_ok());
        match (was_up, &asked) {
            (true, Err(error)) => tracing::warn!(%error, "the store is away"),
            (false, Ok(_)) => tracing::info!("the store is back"),
            (true, Ok(_)) | (false, Err(_)) => {}
        }
        was_up = asked.is_ok();
    }
}
