//! Requests over the connections of a door, until its end.

use std::{pin::pin, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::sync::oneshot;
use tonic::{service::Routes, transport::Server};
use tower::ServiceExt as _;

use super::{Incoming, listener::KEEPALIVE};

/// How long the head of a request may take on its way.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Streams that one client may have open over one connection; it waits with those beyond.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// Serves gRPC until `shutdown` comes; then takes no new calls, and lets those under way end, for at
/// most `drain_max`.
///
/// # Errors
/// The transport fails as a whole.
pub async fn serve_grpc(
    routes: Routes,
    incoming: Incoming,
    drain_max: Duration,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (drain, drains) = oneshot::channel::<()>();
    let drains = async {
        // A sender that is gone drains as well.
        let _ = drains.await;
    };
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(STREAMS_PER_CONNECTION);
    let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, drains);
    let mut serving = pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = shutdown => {}
    }
    drop(drain);
    tokio::time::timeout(drain_max, serving).await.unwrap_or_else(|_| {
        tracing::warn!("calls were still under way after {drain_max:?}; leaving them");
        Ok(())
    })
}

/// Serves HTTP/1.1 until `shutdown` comes; then takes no new requests, and lets those under way end,
/// for at most `drain_max`.
pub async fn serve_http(
    site: Router,
    mut incoming: Incoming,
    drain_max: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let mut shutdown = pin!(shutdown);
    loop {
        let connection = tokio::select! {
            () = &mut shutdown => break,
            connection = incoming.next() => connection,
        };
        let Some(connection) = connection else { break };
        let site = site.clone().map_request(|request: Request<_>| request.map(Body::new));
        let served =
            http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(site));
        let served = connections.watch(served);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "an HTTP connection broke off");
            }
        });
    }
    drop(incoming);
    if tokio::time::timeout(drain_max, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way after {drain_max:?}; leaving them");
    }
}
