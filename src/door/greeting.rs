//! The first bytes of an HTTP/2 connection. Whoever connects and does not begin to speak is sent away,
//! and is not waited for at the end.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::Connection;

/// What every HTTP/2 client begins with (RFC 9113, 3.4): "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n". Bytes.
const PREFACE_LEN: usize = 24;

/// Whether a connection has begun to speak.
#[derive(Debug, Clone)]
pub(super) struct Greeting(Arc<AtomicBool>);

impl Greeting {
    /// Of a protocol whose server sees to it by itself.
    pub(super) fn not_needed() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that breaks off unless its other end begins to speak in time.
#[derive(Debug)]
pub(super) struct Greeted {
    connection: Connection,
    greeting: Greeting,
    /// `None` once it has.
    awaited: Option<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    bytes: usize,
    late: Pin<Box<Sleep>>,
}

impl Greeted {
    pub(super) fn new(connection: Connection, patience: Duration) -> (Self, Greeting) {
        let greeting = Greeting(Arc::new(AtomicBool::new(false)));
        let late = Box::pin(tokio::time::sleep(patience));
        let awaited = Some(Awaited { bytes: PREFACE_LEN, late });
        (Self { connection, greeting: greeting.clone(), awaited }, greeting)
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.connection).poll_read(cx, buf);
        let Some(awaited) = &mut this.awaited else { return read };
        if read.is_pending() {
            ready!(awaited.late.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        awaited.bytes = awaited.bytes.saturating_sub(buf.filled().len() - before);
        if awaited.bytes == 0 {
            this.greeting.0.store(true, Ordering::Relaxed);
            this.awaited = None;
        }
        read
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
