//! Where the services listen: a TCP port, or a Unix socket for a bot on the same host.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    str::FromStr,
    time::Duration,
};

use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    sync::oneshot,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

/// `sun_path` of a socket address, with its closing NUL. Bytes.
const UNIX_PATH_LEN: usize = 108;
/// Owner and group may connect.
const UNIX_MODE: u32 = 0o660;
/// A peer that vanished without a word is noticed after so long, and a third of it.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long calls that are under way may take after the end was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

/// "127.0.0.1:50051" or "unix:/path" (also "unix:///path", as gRPC clients write it).
impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("names no path after \"unix:\"".to_owned());
            }
            if path.len() >= UNIX_PATH_LEN {
                let len = path.len();
                return Err(format!(
                    "the path of a Unix socket must be shorter than {UNIX_PATH_LEN} bytes, not {len}"
                ));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let address = text.parse();
        address.map(Self::Tcp).map_err(|_| {
            "must be an IP address with port, e.g. 127.0.0.1:50051, or unix:/path".to_owned()
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An open ear.
#[derive(Debug)]
pub enum Listener {
    /// On a port.
    Tcp(TcpListener),
    /// On a socket, which is removed with it.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listens. A socket that an earlier process left behind is replaced, one on which somebody
    /// answers is not.
    ///
    /// # Errors
    /// The port or the path is taken or may not be used; the text says which.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let bound = match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => bind_unix(path).await,
        };
        bound.map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))
    }

    /// Where it listens; the port that the system chose for port 0.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }
}

async fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path).await?;
    let listener = UnixListener::bind(path)?;
    let file = SocketFile::of(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(UNIX_MODE))?;
    Ok(Listener::Unix(listener, file))
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !kind.is_socket() {
        let problem = "the path exists and is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
    }
    match UnixStream::connect(path).await {
        Ok(_) => {
            let problem = "another process answers there";
            Err(io::Error::new(io::ErrorKind::AddrInUse, problem))
        }
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) => Err(e),
    }
}

/// The file of a Unix socket, removed when dropped, unless another process took its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: inode(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // If it stays, the next start finds it stale and removes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Serves until `shutdown` comes; then takes no new calls, and lets those under way end, for a
/// while.
///
/// # Errors
/// The transport fails as a whole.
pub async fn serve(
    routes: Routes,
    listener: Listener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (drain, drains) = oneshot::channel::<()>();
    let drains = async {
        // A sender that is gone drains as well.
        let _ = drains.await;
    };
    let mut server = Server::builder().http2_keepalive_interval(Some(KEEPALIVE));
    let server = server.add_routes(routes);
    let serving = async {
        match listener {
            Listener::Tcp(listener) => {
                // An answer of one packet must not wait for the next one.
                let incoming = TcpIncoming::from(listener)
                    .with_nodelay(Some(true))
                    .with_keepalive(Some(KEEPALIVE));
                server.serve_with_incoming_shutdown(incoming, drains).await
            }
            Listener::Unix(listener, file) => {
                let incoming = UnixListenerStream::new(listener);
                let served = server.serve_with_incoming_shutdown(incoming, drains).await;
                drop(file);
                served
            }
        }
    };
    let mut serving = pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = shutdown => {}
    }
    drop(drain);
    tokio::time::timeout(DRAIN_MAX, serving).await.unwrap_or_else(|_| {
        tracing::warn!("calls were still under way after {} s; leaving them", DRAIN_MAX.as_secs());
        Ok(())
    })
}
