//! Requests over the connections of a door, until its end.

use std::{fmt, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
    service::TowerToHyperService,
};
use tokio::sync::watch;
use tonic::{service::Routes, transport::server::Connected as _};
use tower::ServiceExt as _;

use super::{
    Incoming,
    connection::Connection,
    greeting::{Greeted, Greeting},
    listener::KEEPALIVE,
};

/// Streams that one client may have open over one connection; it waits with those beyond. As many as a
/// gate takes calls at once, so that one busy client has use for one connection.
const STREAMS_PER_CONNECTION: u32 = 1024;
/// What a client may send of one request before anybody reads it, and of all requests on one
/// connection: this much each connection may cost. It is enough for 100 MB/s over a network of a
/// millisecond. Bytes.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// What of an answer is kept for a client that does not read. Bytes.
const UNREAD_MAX: usize = 64 << 10;
/// The head of an HTTP/1.1 request. That of Meta takes less than 1 KiB. Bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Serves gRPC until `shutdown` comes; then takes no new connections, lets the calls under way end, for
/// at most `drain_max`, and tells the clients to go elsewhere with what is new.
pub async fn serve_grpc(
    routes: Routes,
    incoming: Incoming,
    drain_max: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let patience = incoming.patience();
    let routes = routes.prepare().into_axum_router();
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        // Callers whose deadlines pass together take back what the gate has not looked at yet: that is
        // no attack, and must not cost the connection with all other calls on it.
        .max_pending_accept_reset_streams(STREAMS_PER_CONNECTION as usize)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(UNREAD_MAX);
    let begin = |connection: Connection| {
        let peer = connection.connect_info();
        let routes = routes.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(peer.clone());
            request.map(Body::new)
        });
        let (connection, greeting) = Greeted::new(connection, patience);
        let connection =
            http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(routes));
        (connection, greeting)
    };
    serve(incoming, begin, drain_max, shutdown).await;
}

/// Serves HTTP/1.1 until `shutdown` comes; then takes no new requests, and lets those under way end,
/// for at most `drain_max`.
pub async fn serve_http(
    site: Router,
    incoming: Incoming,
    drain_max: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(incoming.patience())
        .max_buf_size(HEAD_BYTES_MAX);
    let begin = |connection: Connection| {
        let site = site.clone().map_request(|request: Request<_>| request.map(Body::new));
        let connection =
            http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(site));
        (connection, Greeting::not_needed())
    };
    serve(incoming, begin, drain_max, shutdown).await;
}

async fn serve<C>(
    mut incoming: Incoming,
    begin: impl Fn(Connection) -> (C, Greeting),
    drain_max: Duration,
    shutdown: impl Future<Output = ()>,
) where
    C: GracefulConnection<Error: fmt::Display + Send> + Send + 'static,
{
    let (close, closing) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let connection = tokio::select! {
            biased;
            () = &mut shutdown => break,
            connection = incoming.next() => connection,
        };
        let Some(connection) = connection else { break };
        let (connection, greeting) = begin(connection);
        tokio::spawn(until_closing(connection, greeting, closing.clone()));
    }
    incoming.close().await;
    close.send_replace(());
    drop(closing);
    if tokio::time::timeout(drain_max, close.closed()).await.is_err() {
        let connections = close.receiver_count();
        tracing::warn!(
            connections,
            "requests were still under way after {drain_max:?}; leaving them"
        );
    }
}

/// One connection to its end, or until the door closes and what is under way on it has ended.
/// `closing` is held as long.
async fn until_closing<C>(connection: C, greeting: Greeting, mut closing: watch::Receiver<()>)
where
    C: GracefulConnection<Error: fmt::Display + Send>,
{
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = closing.changed() => {
            if !greeting.is_complete() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}
