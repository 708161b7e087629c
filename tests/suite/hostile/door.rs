//! The gate as a stranger meets it: its two doors over a store in memory, without a network.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request};
use callgate::{
    engine::{
        Result,
        gate::{Gate, Profiles},
        profile::Profile,
        store::Quarantined,
        time::{ManualClock, Millis},
    },
    service::{self, Retried, Retry},
    store::embedded::Embedded,
    webhook::{self, RetryOutcome},
};
use hmac::{Hmac, Mac as _};
use http_body_util::BodyExt as _;
use sha2::Sha256;
use tower::ServiceExt as _;

/// 2026-11-16T12:00:00Z, when the webhooks of `tests/fixtures` happen.
const NOW: Millis = Millis(1_794_830_400_000);
const SECRET: &str = "synthetic-app-secret";
/// No answer takes so long, whatever was sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both doors of one gate.
pub struct Doors {
    pub gate: Gate,
    store: Arc<Embedded>,
    webhooks: Router,
    services: Router,
}

/// What a gRPC call was answered.
#[derive(Debug)]
pub struct Status {
    pub code: u32,
    pub message: String,
}

impl Doors {
    pub async fn open() -> Self {
        let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(NOW))).unwrap());
        let gate = Gate::new(store.clone(), Profiles::new(Profile::meta()));
        let options = webhook::Options {
            app_secrets: vec![SECRET.to_owned()],
            ..webhook::Options::default()
        };
        let webhooks = webhook::router(gate.clone(), options);
        let retry = Retry::new(|gate, entry| Box::pin(async move { tried(&gate, &entry).await }));
        let router = service::router(gate.clone(), service::Options::new(retry)).await;
        Self { gate, store, webhooks, services: router.routes.into_axum_router() }
    }

    /// All that is kept.
    pub async fn kept(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.entries().await.unwrap()
    }

    /// Posts a body as Meta would, and gives the status.
    pub async fn post(&self, body: &[u8]) -> u16 {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body);
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = Request::post(webhook::PATH)
            .header(webhook::SIGNATURE_HEADER, signature)
            .body(Body::from(body.to_vec()))
            .unwrap();
        let answer = in_time(self.webhooks.clone().oneshot(request)).await.unwrap();
        answer.status().as_u16()
    }

    /// Calls a method with a frame as it is. Of a stream the first message is waited for.
    pub async fn call(&self, path: &str, frame: Vec<u8>, is_stream: bool) -> Status {
        let request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", "gzip")
            .body(Body::from(frame))
            .unwrap();
        let answer = in_time(self.services.clone().oneshot(request)).await.unwrap();
        if let Some(status) = Status::of(answer.headers()) {
            return status;
        }
        let mut body = answer.into_body();
        loop {
            let frame = in_time(body.frame()).await.expect("an answer ends with its status");
            match frame.unwrap().trailers_ref().and_then(Status::of) {
                Some(status) => return status,
                None if is_stream => return Status { code: 0, message: String::new() },
                None => {}
            }
        }
    }
}

impl Status {
    fn of(headers: &axum::http::HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let code = text("grpc-status")?.parse().unwrap();
        Some(Self { code, message: text("grpc-message").unwrap_or_default().to_owned() })
    }
}

async fn tried(gate: &Gate, entry: &Quarantined) -> Result<Retried> {
    Ok(match webhook::retry(gate, entry).await? {
        RetryOutcome::Recorded(facts) => Retried::Recorded(facts),
        RetryOutcome::StillUnclear(why) => Retried::StillUnclear(why),
    })
}

async fn in_time<F: Future>(work: F) -> F::Output {
    let begun = Instant::now();
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("no answer after {:?}", begun.elapsed()))
}
