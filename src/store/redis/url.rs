//! What a store URL says. `docs/redis.md` lists the forms.
//!
//! Sentinel and Cluster URLs name several hosts, which no URL library reads, so all forms are read
//! here in one way: `scheme://[user:password@]host[:port][,host…][/path][?key=value&…]`.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;

use crate::store::redis::StartError;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A password: never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A user and a password, as far as they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// How a TLS connection is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// A PEM file of the authorities to trust; unset: those of the system.
    pub(super) ca: Option<PathBuf>,
    /// PEM files of our own certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// The server's certificate is not looked at.
    pub(super) insecure: bool,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One server.
    Server { host: String, port: u16 },
    /// One server, by the path of its socket.
    Socket(PathBuf),
    /// Whichever server these sentinels call the master of this name.
    Sentinel { sentinels: Vec<(String, u16)>, master: String, login: Login },
    /// Some nodes of a cluster.
    Cluster(Vec<(String, u16)>),
}

/// A store URL, read. Neither `Display` nor `Debug` show a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) place: Place,
    pub(super) login: Login,
    pub(super) database: i64,
    pub(super) tls: Option<Tls>,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`StartError::Url`], which names what is wrong and never repeats the URL.
    pub fn parse(url: &str) -> Result<Self, StartError> {
        let parts = Parts::split(url)?;
        let target = match parts.scheme {
            "redis" | "rediss" => parts.server()?,
            "redis+unix" | "unix" => parts.socket()?,
            "redis+sentinel" | "rediss+sentinel" => parts.sentinel()?,
            "redis+cluster" | "rediss+cluster" => parts.cluster()?,
            other => {
                return Err(wrong(format!(
                    "the scheme \"{other}\" is not known: use redis, rediss, redis+unix, \
                     redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster"
                )));
            }
        };
        parts.refuse_unknown_keys(&target)?;
        Ok(target)
    }

    /// Whether the keys spread over several masters.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }
}

/// For messages and logs: without password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = |hosts: &[(String, u16)]| {
            hosts.iter().map(|(host, port)| shown(host, *port)).collect::<Vec<_>>().join(",")
        };
        let s = if self.tls.is_some() { "s" } else { "" };
        match &self.place {
            Place::Server { host, port } => write!(f, "redis{s}://{}", shown(host, *port)),
            Place::Socket(path) => write!(f, "redis+unix://{}", path.display()),
            Place::Sentinel { sentinels, master, .. } => {
                write!(f, "redis{s}+sentinel://{}/{master}", hosts(sentinels))
            }
            Place::Cluster(nodes) => write!(f, "redis{s}+cluster://{}", hosts(nodes)),
        }
    }
}

fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The pieces of a URL, still encoded.
struct Parts<'a> {
    scheme: &'a str,
    login: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn split(url: &'a str) -> Result<Self, StartError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(wrong("there is no scheme, e.g. \"redis://\" in front"));
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(wrong(format!("\"//\" is missing after \"{scheme}:\"")));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        Ok(Self { scheme, login, hosts, path, query })
    }

    fn server(&self) -> Result<Target, StartError> {
        let mut hosts = self.hosts(PORT)?;
        if hosts.len() > 1 {
            return Err(wrong(
                "several hosts are named: for Sentinel or Cluster use redis+sentinel:// or \
                 redis+cluster://",
            ));
        }
        let (host, port) = hosts.remove(0);
        self.target(Place::Server { host, port }, self.login()?, database(self.path)?)
    }

    fn socket(&self) -> Result<Target, StartError> {
        if self.login.is_some() || !self.hosts.is_empty() || self.path.len() < 2 {
            return Err(wrong(
                "a socket is named by its full path, e.g. redis+unix:///run/redis.sock, and user \
                 and password by ?user=…&pass=…",
            ));
        }
        let login = Login { user: self.value("user")?, password: self.secret("pass")? };
        let number = self.value("db")?.unwrap_or_default();
        self.target(Place::Socket(decoded("path", self.path)?.into()), login, database(&number)?)
    }

    fn sentinel(&self) -> Result<Target, StartError> {
        let path = self.path.trim_start_matches('/');
        let (master, number) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err(wrong("the master's name is missing, e.g. redis+sentinel://host/mymaster"));
        }
        let login =
            Login { user: self.value("sentinel_user")?, password: self.secret("sentinel_pass")? };
        let place = Place::Sentinel {
            sentinels: self.hosts(SENTINEL_PORT)?,
            master: decoded("master's name", master)?,
            login,
        };
        self.target(place, self.login()?, database(number)?)
    }

    fn cluster(&self) -> Result<Target, StartError> {
        if !matches!(self.path, "" | "/" | "/0") {
            return Err(wrong("a cluster has only database 0: leave the path out"));
        }
        self.target(Place::Cluster(self.hosts(PORT)?), self.login()?, 0)
    }

    fn target(&self, place: Place, login: Login, database: i64) -> Result<Target, StartError> {
        Ok(Target { place, login, database, tls: self.tls()? })
    }

    fn hosts(&self, default_port: u16) -> Result<Vec<(String, u16)>, StartError> {
        self.hosts.split(',').map(|host| host_and_port(host, default_port)).collect()
    }

    fn login(&self) -> Result<Login, StartError> {
        let Some(login) = self.login else { return Ok(Login::default()) };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(Secret(decoded("password", password)?))),
            None => (login, None),
        };
        if password.is_none() {
            return Err(wrong(
                "a user without a password: write user:password@, or :password@ for the default \
                 user",
            ));
        }
        let user = (!user.is_empty()).then(|| decoded("user", user)).transpose()?;
        Ok(Login { user, password })
    }

    fn tls(&self) -> Result<Option<Tls>, StartError> {
        if !self.scheme.starts_with("rediss") {
            return Ok(None);
        }
        let client = match (self.value("cert")?, self.value("key")?) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("cert= is set, and its key= is missing")),
            (None, Some(_)) => return Err(wrong("key= is set, and its cert= is missing")),
        };
        let insecure = match self.value("insecure")?.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("insecure= must be true or false")),
        };
        Ok(Some(Tls { ca: self.value("ca")?.map(PathBuf::from), client, insecure }))
    }

    fn value(&self, key: &str) -> Result<Option<String>, StartError> {
        let found = self.query.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| decoded(key, value)).transpose()
    }

    fn secret(&self, key: &str) -> Result<Option<Secret>, StartError> {
        Ok(self.value(key)?.map(Secret))
    }

    fn refuse_unknown_keys(&self, target: &Target) -> Result<(), StartError> {
        let mut known: Vec<&str> = match target.place {
            Place::Server { .. } | Place::Cluster(_) => vec![],
            Place::Socket(_) => vec!["db", "user", "pass"],
            Place::Sentinel { .. } => vec!["sentinel_user", "sentinel_pass"],
        };
        if target.tls.is_some() {
            known.extend(["ca", "cert", "key", "insecure"]);
        }
        match self.query.iter().find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            // Perhaps the end of a password: not to be shown.
            Some((name, _)) if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                Err(wrong(
                    "what follows \"?\" is not key=value; \"?\", \"/\" and \"@\" in a password must \
                     be written %3F, %2F and %40",
                ))
            }
            Some((name, _)) if known.is_empty() => Err(wrong(format!(
                "{}:// takes no \"{name}=\" (ca, cert, key and insecure belong to rediss)",
                self.scheme
            ))),
            Some((name, _)) => Err(wrong(format!(
                "{}:// takes no \"{name}=\": known are {}",
                self.scheme,
                known.join(", ")
            ))),
        }
    }
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), StartError> {
    // An IPv6 address stands in brackets.
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(wrong("a host is missing, e.g. redis://127.0.0.1:6379"));
    }
    let port =
        match port {
            None => default_port,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                wrong(format!("the port of {host} must be a number from 1 to 65535"))
            })?,
        };
    Ok((host.to_owned(), port))
}

fn database(path: &str) -> Result<i64, StartError> {
    let number = path.trim_start_matches('/');
    if number.is_empty() {
        return Ok(0);
    }
    let number = number.parse::<u16>().map_err(|_| {
        wrong("the database must be a number, e.g. the 0 in redis://127.0.0.1:6379/0")
    })?;
    Ok(number.into())
}

fn decoded(what: &str, text: &str) -> Result<String, StartError> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from).map_err(|_| wrong(format!("the {what} is not UTF-8 once %-decoded")))
}

fn wrong(problem: impl Into<String>) -> StartError {
    StartError::Url(problem.into())
}

#[cfg(test)]
mod tests;
