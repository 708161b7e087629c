//! The real program, serving in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What signs webhooks to it.
pub const SECRET: &str = "only-for-the-test";

/// A serving process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where gRPC listens, as it says itself: `IP:PORT` or `unix:/path`.
    pub grpc: String,
    /// Where webhooks come in.
    pub http: String,
    /// Where metrics and probes are; "" of a version that has them where webhooks come in.
    pub admin: String,
}

impl Process {
    /// The one that is tested.
    pub const PROGRAM: &str = env!("CARGO_BIN_EXE_callgate");

    /// Starts it with these further arguments, and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    pub fn serve(store: &str, grpc: &str, arguments: &[&str]) -> Self {
        Self::serve_with(store, grpc, arguments, |_| {})
    }

    /// As [`Process::serve`], after `prepare` has changed the command.
    ///
    /// # Panics
    /// It does not start.
    pub fn serve_with(
        store: &str,
        grpc: &str,
        arguments: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Self::command(Self::PROGRAM, store, grpc, arguments);
        prepare(&mut command);
        Self::start(command)
    }

    /// Starts this, and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let found = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let address =
            |name| found(name).unwrap_or_else(|| panic!("no {name} in {line:?}")).to_owned();
        let admin = found("admin=").unwrap_or_default().to_owned();
        Self { grpc: address("grpc="), http: address("http="), admin, child }
    }

    /// What starts a program, this one or another version of it.
    pub fn command(program: &str, store: &str, grpc: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", grpc, "--store", store])
            .args(arguments)
            // A flag is not known to versions of before.
            .env("CALLGATE_ADMIN_ADDR", "127.0.0.1:0")
            .env("CALLGATE_META_APP_SECRET", SECRET)
            .env("CALLGATE_META_VERIFY_TOKEN", SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Sends a webhook, signed. Whether it was taken in.
    pub async fn webhook(&self, body: &serde_json::Value) -> bool {
        webhook(&self.http, body).await
    }

    /// A metric, with its labels as they stand.
    ///
    /// # Panics
    /// It does not answer, or has no such metric.
    pub async fn metric(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.admin);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Sends it a signal: "TERM", "INT", ...
    ///
    /// # Panics
    /// It is gone.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to end, and waits until it has. What else runs in this test goes on meanwhile.
    ///
    /// # Panics
    /// It does not end well.
    pub async fn terminate(mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(move || self.ended()).await.unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Kills it at once, as SIGKILL does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process.
///
/// # Panics
/// It is gone.
pub fn signal(pid: u32, name: &str) {
    let mut kill = Command::new("kill");
    assert!(kill.arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

/// Sends a webhook, signed, to where HTTP listens. Whether it was taken in.
///
/// # Panics
/// There is no client.
pub async fn webhook(http: &str, body: &serde_json::Value) -> bool {
    webhook_signed(http, body, SECRET).await
}

/// The same, signed with another secret.
///
/// # Panics
/// There is no client.
pub async fn webhook_signed(http: &str, body: &serde_json::Value, secret: &str) -> bool {
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let url = format!("http://{http}/webhooks/meta");
    let post = reqwest::Client::new().post(url).header("X-Hub-Signature-256", signature);
    post.body(body).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// A configuration whose windows are seconds, so that time has much to tell: profile `seconds`.
///
/// # Panics
/// The file cannot be written.
pub fn seconds(directory: &Path) -> String {
    let path = directory.join("seconds.toml");
    let text = "default_profile = \"seconds\"\n[profiles.seconds]\nextends = \"atom\"\n\
                requests_per_day = 60\nrequests_per_week = 60\nrequest_lapses_after = \"1s\"\n\
                temporary_permission = \"3s\"\nexpiring_soon = \"1s\"\ncalls_per_window = 1\n\
                call_window = \"1s\"\nlease = \"1s\"\n";
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
