//! The operators' door: metrics and probes. Nothing of a customer is to be had here.

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::readiness::{Readiness, State};
use crate::telemetry::Metrics;

/// What Prometheus asks for.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/livez`: the process lives; it never looks at the store, since a restart mends no store. `/readyz`:
/// it takes calls.
pub(super) fn site(metrics: Metrics, readiness: Readiness) -> Router {
    let show_metrics = async move || -> Response {
        ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics.render()).into_response()
    };
    let ready = async move || match readiness.state() {
        State::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting: the store was not reached yet\n")
        }
        State::Ready => (StatusCode::OK, "ready\n"),
        State::Degraded => (StatusCode::OK, "ready, degraded: the store is away\n"),
        State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    };
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
}
