//! An open ear: a bound port, or a bound socket with its file.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{Address, connection::Plain};

/// Owner and group may connect.
const UNIX_MODE: u32 = 0o660;
/// A peer that vanished without a word is noticed after so long, and a third of it.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(60);

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

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Plain> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A connection that cannot be set up so is served as it is.
                let _ = prepare(&stream);
                Ok(Plain::Tcp(stream))
            }
            Self::Unix(listener, _) => {
                listener.accept().await.map(|(stream, _)| Plain::Unix(stream))
            }
        }
    }
}

/// An answer of one packet must not wait for the next one.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
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
