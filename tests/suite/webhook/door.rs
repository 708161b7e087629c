//! A door to knock on: a gate over a store in memory, a clock moved by hand, a port of its own.

use std::sync::Arc;

use callgate::{
    engine::{
        gate::{Gate, Profiles},
        pair::{Pair, PhoneNumberId},
        profile::{NumberFacts, Profile},
        step::View,
        store::{Quarantined, Store},
        time::{ManualClock, Millis},
    },
    store::embedded::Embedded,
    webhook::{self, Options},
};
use hmac::{Hmac, Mac as _};
use reqwest::StatusCode;
use sha2::Sha256;

/// 2026-11-16T12:00:00Z. Seconds, as Meta counts.
pub(super) const T: u64 = 1_794_830_400;
pub(super) const SECRET: &str = "synthetic-app-secret";
pub(super) const NUMBER: &str = "800000000000001";
pub(super) const ANA: &str = "15550199001";

pub(super) fn at(seconds: u64) -> Millis {
    Millis(seconds * 1000)
}

pub(super) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(super) fn options() -> Options {
    Options {
        app_secrets: vec![SECRET.to_owned()],
        verify_token: Some("synthetic-verify-token".to_owned()),
        ..Options::default()
    }
}

/// Profile `meta`, every number served.
pub(super) fn profiles() -> Profiles {
    Profiles::new(Profile::meta())
}

#[derive(Debug)]
pub(super) struct Door {
    pub(super) gate: Gate,
    pub(super) clock: Arc<ManualClock>,
    pub(super) url: String,
    pub(super) client: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Door {
    /// Opens at T.
    pub(super) async fn open() -> Self {
        Self::over(profiles(), options(), |memory| memory).await
    }

    /// Opens with something between the gate and its store.
    pub(super) async fn over(
        profiles: Profiles,
        options: Options,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(at(T)));
        let store = Arc::new(Embedded::memory(clock.clone()).unwrap());
        let gate = Gate::new(wrap(store), profiles);
        let router = webhook::router(gate.clone(), options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), webhook::PATH);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { gate, clock, url, client: reqwest::Client::new(), server }
    }

    /// Posts a body as Meta would.
    pub(super) async fn post(&self, body: impl Into<Vec<u8>>) -> StatusCode {
        let body = body.into();
        let signature = sign(SECRET, &body);
        self.post_signed(body, &[(webhook::SIGNATURE_HEADER, &signature)]).await
    }

    pub(super) async fn post_signed(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> StatusCode {
        let mut request = self.client.post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    }

    pub(super) async fn view(&self, number: &str, wa: &str, user: &str) -> View {
        let pair = Pair::parse(number, wa, user, "pair").unwrap();
        self.gate.permission(pair, Millis::ZERO).await.unwrap().reply.view
    }

    pub(super) async fn ana(&self) -> View {
        self.view(NUMBER, ANA, "").await
    }

    pub(super) async fn number(&self, number: &str) -> NumberFacts {
        let number = PhoneNumberId::parse(number, "").unwrap();
        self.gate.number(&number, None).await.unwrap().number
    }

    pub(super) async fn quarantined(&self) -> Vec<Quarantined> {
        self.gate.store().quarantined(1000).await.unwrap()
    }
}
