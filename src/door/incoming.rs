//! The connections of a door as they become ready for requests.

use std::{io, sync::Arc, time::Duration};

use super::{
    Listener,
    connection::{Connection, Plain},
    tls::Tls,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};

/// After an error that is not of one connection, e.g. no more open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that are ready and not taken yet.
const READY: usize = 64;

/// How a door takes connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// The identity to show; `None`: no TLS.
    pub tls: Option<Arc<Tls>>,
    /// Open connections. Those beyond wait until another one ends.
    pub connections_max: usize,
    /// How long a TLS handshake, the first word and the head of a request may take each: nobody may
    /// fill the door by being slow.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: None, connections_max: 4096, patience: Duration::from_secs(10) }
    }
}

/// Connections that are ready. The listener is closed when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
    patience: Duration,
}

impl Incoming {
    /// Begins to take connections.
    pub fn new(listener: Listener, options: Options) -> Self {
        let (sender, receiver) = mpsc::channel(READY);
        let patience = options.patience;
        let accepting = tokio::spawn(accept(listener, options, sender));
        Self { ready: receiver, accepting, patience }
    }

    /// See [`Options`].
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The next one; never `None` while this lives.
    pub(super) async fn next(&mut self) -> Option<Connection> {
        self.ready.recv().await
    }

    /// Takes no more. The port is closed when this returns: whoever is told to go cannot come back.
    pub(super) async fn close(mut self) {
        self.accepting.abort();
        // It was told to end, or has ended.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: Listener, options: Options, ready: mpsc::Sender<Connection>) {
    let open = Arc::new(Semaphore::new(options.connections_max));
    loop {
        let permit = Arc::clone(&open).acquire_owned().await.expect("nobody closes it");
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match &options.tls {
            None => {
                if ready.send(Connection::plain(stream, permit)).await.is_err() {
                    return;
                }
            }
            Some(tls) => {
                let shaken = shake_hands(Arc::clone(tls), stream, permit, ready.clone());
                tokio::spawn(tokio::time::timeout(options.patience, shaken));
            }
        }
    }
}

/// A scan of ports fails here as well: it is not worth more than a look when one looks.
async fn shake_hands(
    tls: Arc<Tls>,
    stream: Plain,
    permit: OwnedSemaphorePermit,
    ready: mpsc::Sender<Connection>,
) {
    match tls.acceptor().accept(stream).await {
        // Nobody takes it any more where the door has closed.
        Ok(stream) => drop(ready.send(Connection::tls(stream, permit)).await),
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
