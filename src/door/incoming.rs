//! The connections of a door as they become ready for requests.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::AbortHandle,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};

use super::{
    Listener,
    connection::{Connection, Plain},
    tls::Tls,
};

/// A handshake that takes longer is given up: nobody may fill the door by being slow.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
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
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: None, connections_max: 4096 }
    }
}

/// Connections that are ready. The listener is closed when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    ready: ReceiverStream<io::Result<Connection>>,
    accepting: AbortHandle,
}

impl Incoming {
    /// Begins to take connections.
    pub fn new(listener: Listener, options: Options) -> Self {
        let (sender, receiver) = mpsc::channel(READY);
        let accepting = tokio::spawn(accept(listener, options, sender)).abort_handle();
        Self { ready: ReceiverStream::new(receiver), accepting }
    }

    /// The next one; never `None` while this lives.
    pub(super) async fn next(&mut self) -> Option<Connection> {
        use tokio_stream::StreamExt as _;
        self.ready.next().await.and_then(Result::ok)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.ready).poll_next(cx)
    }
}

async fn accept(listener: Listener, options: Options, ready: mpsc::Sender<io::Result<Connection>>) {
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
                if ready.send(Ok(Connection::plain(stream, permit))).await.is_err() {
                    return;
                }
            }
            Some(tls) => {
                tokio::spawn(shake_hands(Arc::clone(tls), stream, permit, ready.clone()));
            }
        }
    }
}

async fn shake_hands(
    tls: Arc<Tls>,
    stream: Plain,
    permit: OwnedSemaphorePermit,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    match tokio::time::timeout(HANDSHAKE_MAX, tls.acceptor().accept(stream)).await {
        // Nobody takes it any more where the door has closed.
        Ok(Ok(stream)) => drop(ready.send(Ok(Connection::tls(stream, permit))).await),
        // A scan of ports looks like this as well: it is not worth more than a look when one looks.
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
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
