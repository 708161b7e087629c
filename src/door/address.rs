//! Where a door is: a TCP port, or a Unix socket for a bot on the same host.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// `sun_path` of a socket address, with its closing NUL. Bytes.
const UNIX_PATH_LEN: usize = 108;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether only processes of this host can come: a Unix socket, or an address of the loopback.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
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
