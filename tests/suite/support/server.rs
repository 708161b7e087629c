//! A real gate on a port of its own, and clients for it.

use std::{sync::Arc, time::Duration};

use callgate::{
    door::{self, Address, Incoming, Listener, serve_grpc},
    engine::{
        gate::{Gate, Profiles},
        profile::Profile,
        store::Store,
    },
    proto::{
        call_permission_service_client::CallPermissionServiceClient,
        quarantine_service_client::QuarantineServiceClient,
    },
    service::{Health, Options, Retried, Retry, router},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tonic::transport::Channel;

/// How long calls under way may take at the end.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A running gate. Dropped, it goes with its runtime; [`Server::stop`] waits for the end.
pub struct Server {
    pub channel: Channel,
    pub calls: CallPermissionServiceClient<Channel>,
    pub quarantine: QuarantineServiceClient<Channel>,
    pub health: Health,
    pub url: String,
    drain: watch::Sender<bool>,
    shutdown: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Over this store, profile `atom`.
    pub async fn start(store: Arc<dyn Store>) -> Self {
        Self::start_with(store, Profile::atom(), never_understood()).await
    }

    /// Over this store.
    pub async fn start_with(store: Arc<dyn Store>, profile: Profile, retry: Retry) -> Self {
        Self::open(store, profile, Options::new(retry)).await
    }

    /// Over this store, with a door like this. It is this server that says when it drains.
    pub async fn open(store: Arc<dyn Store>, profile: Profile, options: Options) -> Self {
        let gate = Gate::new(store, Profiles::new(profile));
        let (drain, draining) = watch::channel(false);
        let options = Options { draining: Some(draining), ..options };
        let router = router(gate, options).await;
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = listener.address().unwrap() else { unreachable!() };
        let (shutdown, asked) = oneshot::channel();
        let asked = async {
            let _ = asked.await;
        };
        let serving = tokio::spawn(serve_grpc(
            router.routes,
            Incoming::new(listener, door::Options::default()),
            DRAIN_MAX,
            asked,
        ));
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        Self {
            calls: CallPermissionServiceClient::new(channel.clone()),
            quarantine: QuarantineServiceClient::new(channel.clone()),
            channel,
            health: router.health,
            url,
            drain,
            shutdown,
            serving,
        }
    }

    /// Ends the streams of changes, as before the end of all.
    pub fn drain(&self) {
        self.drain.send_replace(true);
    }

    /// Asks for the end and waits for it.
    pub async fn stop(self) {
        self.drain();
        drop((self.shutdown, self.calls, self.quarantine, self.channel));
        self.serving.await.unwrap();
    }
}

/// No webhook is understood at the second attempt.
pub fn never_understood() -> Retry {
    Retry::new(|_, _| Box::pin(async { Ok(Retried::StillUnclear("no \"from\"".to_owned())) }))
}
