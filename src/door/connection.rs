//! One connection, plain or under TLS, with who is at its other end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::tls;

/// Who is at the other end, as far as the connection says: stands in the extensions of each request.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The names in the certificate that it proved to own, under an authority that the door trusts.
    pub certificate_names: Arc<[String]>,
}

/// As it came.
#[derive(Debug)]
pub(super) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Ready for requests. It counts among the open connections of its door until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    _open: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
}

impl Connection {
    pub(super) fn plain(stream: Plain, open: OwnedSemaphorePermit) -> Self {
        Self { stream: Stream::Plain(stream), peer: Peer::default(), _open: open }
    }

    pub(super) fn tls(stream: TlsStream<Plain>, open: OwnedSemaphorePermit) -> Self {
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let certificate_names = leaf.map_or_else(Vec::new, tls::names).into();
        let peer = Peer { certificate_names };
        Self { stream: Stream::Tls(Box::new(stream)), peer, _open: open }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Calls the same of whichever stream it is.
macro_rules! of_each {
    ($enum:ident, $self:expr, $($kind:ident)|+, $stream:ident => $call:expr) => {
        match $self {
            $($enum::$kind($stream) => $call,)+
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of_each!(Self, self.get_mut(), Tcp | Unix, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_each!(Self, self.get_mut(), Tcp | Unix, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(Self, self.get_mut(), Tcp | Unix, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(Self, self.get_mut(), Tcp | Unix, s => Pin::new(s).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        of_each!(Self, self.get_mut(), Tcp | Unix, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        of_each!(Self, self, Tcp | Unix, s => s.is_write_vectored())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of_each!(Stream, &mut self.get_mut().stream, Plain | Tls, s => Pin::new(s).poll_read(cx, buf))
    }
}

/// Not vectored: h2 then copies a message of up to 1 kB between its headers and its trailers, and an answer is
/// one write. Where it may write vectored it does so from 256 bytes on, and an ALLOW is two.
impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_each!(Stream, &mut self.get_mut().stream, Plain | Tls, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(Stream, &mut self.get_mut().stream, Plain | Tls, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(Stream, &mut self.get_mut().stream, Plain | Tls, s => Pin::new(s).poll_shutdown(cx))
    }
}
