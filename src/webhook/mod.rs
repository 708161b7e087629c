//! The front door for Meta: `/webhooks/meta`.
//!
//! ```text
//!  GET   the handshake: the verify token, answered with the challenge
//!  POST  raw bytes -> signature -> payload -> translate -> record -> 200
//! ```
//!
//! Meta repeats what is not answered with 200, for days, so its retry is the queue: 200 is said only
//! when everything is recorded, including what was not understood and is kept aside. Facts are
//! idempotent, so that a body which was recorded in part before the store went away is simply
//! recorded again. No customer's number and nothing a customer wrote gets into logs or metrics.

mod account;
mod bounds;
mod calls;
mod messages;
mod payload;
mod record;
mod signature;
#[cfg(test)]
mod tests;
mod translate;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Once},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use opentelemetry::KeyValue;
use tracing::Instrument as _;

use self::bounds::Bounds;
use crate::{
    engine::{Error, gate::Gate},
    trace,
};

pub(crate) use record::FACTS;
pub use record::{RetryOutcome, retry};
pub use signature::HEADER as SIGNATURE_HEADER;

/// The path of the door.
pub const PATH: &str = "/webhooks/meta";
/// Meta's own limit of a body. Bytes.
pub const BODY_MAX: usize = 3 * 1024 * 1024;

/// What the door needs to know. `Debug` shows no secret.
#[derive(Clone)]
pub struct Options {
    /// Secrets of the apps that may send; several during a rotation. None: nothing is taken in.
    pub app_secrets: Vec<String>,
    /// What Meta has to say in the handshake. Unset or empty: there is no handshake.
    pub verify_token: Option<String>,
    /// Longest body. Bytes.
    pub body_max: usize,
    /// Webhooks that are worked on at once, once it is known that they are Meta's; and how many of the
    /// longest may be on their way.
    pub at_once_max: usize,
    /// How long one may take, the way of its body included, for which there are 5 s of it.
    pub time_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            app_secrets: Vec::new(),
            verify_token: None,
            body_max: BODY_MAX,
            at_once_max: 32,
            time_max: Duration::from_secs(20),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("app_secrets", &self.app_secrets.len())
            .field("verify_token", &self.verify_token.is_some())
            .field("body_max", &self.body_max)
            .field("at_once_max", &self.at_once_max)
            .field("time_max", &self.time_max)
            .finish()
    }
}

/// What Meta proves itself by; a new configuration may change it.
#[derive(Debug, Clone)]
pub struct Secrets(Arc<ArcSwap<Keys>>);

struct Keys {
    app: signature::Secrets,
    verify_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Keys {
    fn new(app: Vec<String>, verify_token: Option<String>) -> Self {
        let verify_token = verify_token.filter(|token| !token.is_empty());
        Self { app: signature::Secrets::new(app), verify_token }
    }
}

impl Secrets {
    /// From now on Meta proves itself by these; see [`Options`].
    pub fn replace(&self, app: Vec<String>, verify_token: Option<String>) {
        self.0.store(Arc::new(Keys::new(app, verify_token)));
    }
}

#[derive(Debug)]
struct Door {
    intake: record::Intake,
    secrets: Secrets,
    no_secret: Once,
    places: Semaphore,
}

/// The door over a gate.
pub fn router(gate: Gate, options: Options) -> Router {
    door(gate, options).0
}

/// The same, with its secrets, which may be replaced.
pub fn door(gate: Gate, options: Options) -> (Router, Secrets) {
    let bounds = Bounds::new(&options);
    let keys = Keys::new(options.app_secrets, options.verify_token);
    let secrets = Secrets(Arc::new(ArcSwap::from_pointee(keys)));
    let door = Door {
        intake: record::Intake::new(gate),
        secrets: secrets.clone(),
        no_secret: Once::new(),
        places: Semaphore::new(options.at_once_max.min(Semaphore::MAX_PERMITS)),
    };
    let router = Router::new()
        .route(PATH, get(verify).post(receive))
        .layer(DefaultBodyLimit::max(options.body_max))
        .layer(middleware::from_fn_with_state(Arc::new(bounds), bounded))
        .with_state(Arc::new(door));
    (router, secrets)
}

/// Each for only so long, and only so much of all at once: before anything of a body is kept in memory.
async fn bounded(State(bounds): State<Arc<Bounds>>, request: Request, next: Next) -> Response {
    let _room = match bounds.room(&request) {
        Ok(room) => room,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = async {
        match bounds.read(request).await {
            Ok(request) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        }
    };
    match tokio::time::timeout(bounds.time_max, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Refusal::Panicked.into_response(),
        Err(_) => Refusal::TooSlow.into_response(),
    }
}

/// The handshake: Meta shows the token and wants its challenge back as the plain body.
async fn verify(
    State(door): State<Arc<Door>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let told = |key: &str| query.get(key).map_or("", String::as_str);
    let keys = door.secrets.0.load_full();
    let is_known = keys
        .verify_token
        .as_deref()
        .is_some_and(|token| signature::is_same(token, told("hub.verify_token")));
    if is_known && told("hub.mode") == "subscribe" && !told("hub.challenge").is_empty() {
        tracing::info!("webhook address verified");
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return (headers, told("hub.challenge").to_owned()).into_response();
    }
    Refusal::Handshake.into_response()
}

/// The content type is not looked at: the signature says what this is.
async fn receive(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let response = async {
        match door.take_in(&headers, body).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    };
    spanned(response).await
}

/// Within a span of its own, for log lines and for traces.
async fn spanned(response: impl Future<Output = Response>) -> Response {
    let line = tracing::error_span!(
        "webhook",
        method = "POST",
        trace_id = tracing::field::Empty,
        span_id = tracing::field::Empty
    );
    let call = trace::Call::open(
        "POST /webhooks/meta",
        // Anybody can send headers here: nobody's spans are to be had by asking.
        |_| None,
        || vec![KeyValue::new("http.request.method", "POST"), KeyValue::new("http.route", PATH)],
    );
    let response = response.instrument(line.clone());
    let Some(call) = call else { return response.await };
    call.name_in(&line);
    let response = call.run(response).await;
    let status = response.status();
    call.note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        call.failed("refused");
    }
    response
}

impl Door {
    async fn take_in(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<(), Refusal> {
        let keys = self.secrets.0.load_full();
        if keys.app.is_empty() {
            self.no_secret.call_once(|| {
                tracing::error!(
                    "webhooks are refused: no app secret is configured; set \
                     CALLGATE_META_APP_SECRET, or name its file in the configuration"
                );
            });
            return Err(Refusal::NoSecret);
        }
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
            _ => Refusal::Unreadable,
        })?;
        let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
        if !signature.is_some_and(|signature| keys.app.signed(&body, signature)) {
            return Err(Refusal::Signature);
        }
        let _place = self.places.try_acquire().map_err(|_| Refusal::TooMany)?;
        let body = payload::json(&body).map_err(|_| Refusal::NotJson)?;
        self.intake.take_in(&body).await.map_err(Refusal::Store)
    }
}

/// Why a request was turned away. Each is counted and leaves one line.
#[derive(Debug)]
enum Refusal {
    Handshake,
    NoSecret,
    TooLarge,
    Unreadable,
    Signature,
    NotJson,
    TooMany,
    TooSlow,
    Panicked,
    Store(Error),
}

impl Refusal {
    /// The answer, and the name in the metrics.
    fn told(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Handshake => (StatusCode::FORBIDDEN, "handshake", "not the verify token\n"),
            Self::NoSecret => {
                (StatusCode::SERVICE_UNAVAILABLE, "no_secret", "no app secret is configured\n")
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large\n")
            }
            Self::Unreadable => (StatusCode::BAD_REQUEST, "unreadable", "the body broke off\n"),
            Self::Signature => {
                (StatusCode::UNAUTHORIZED, "signature", "not signed with the app secret\n")
            }
            Self::NotJson => (StatusCode::BAD_REQUEST, "not_json", "the body is not JSON\n"),
            Self::TooMany => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many", "too many at once; send it again\n")
            }
            Self::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "too_slow", "took too long; send it again\n")
            }
            Self::Panicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, "panicked", "internal error; send it again\n")
            }
            Self::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store", "not recorded; send it again\n")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, reason, text) = self.told();
        metrics::counter!("callgate_webhook_rejected_total", "reason" => reason).increment(1);
        match &self {
            Self::Signature => {
                metrics::counter!("callgate_webhook_signature_failures_total").increment(1);
                tracing::warn!(reason, "webhook refused");
            }
            Self::Store(error) => tracing::warn!(reason, %error, "webhook refused"),
            Self::NoSecret => tracing::debug!(reason, "webhook refused"),
            _ => tracing::warn!(reason, "webhook refused"),
        }
        (status, text).into_response()
    }
}
