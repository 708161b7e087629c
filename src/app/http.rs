//! The HTTP port: webhooks, metrics and probes.

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::watch;

use crate::telemetry::Metrics;

/// What Prometheus asks for.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/healthz`: the process lives. `/readyz`: it takes calls, which a store that is away does not
/// change: it would take every bot out of service, and the gate still answers, UNAVAILABLE.
pub(super) fn site(webhooks: Router, metrics: Metrics, draining: watch::Receiver<bool>) -> Router {
    let show_metrics = async move || -> Response {
        ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics.render()).into_response()
    };
    let ready = async move || {
        if *draining.borrow() {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else {
            (StatusCode::OK, "ready\n")
        }
    };
    webhooks
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
}
