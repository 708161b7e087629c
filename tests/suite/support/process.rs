//! The real program, serving in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// What signs webhooks to it.
pub const SECRET: &str = "only-for-the-test";

/// A serving process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where gRPC listens, as it says itself: `IP:PORT` or `unix:/path`.
    pub grpc: String,
    /// Where HTTP listens.
    pub http: String,
}

impl Process {
    /// Starts it with these further arguments, and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    pub fn serve(store: &str, grpc: &str, arguments: &[&str]) -> Self {
        Self::serve_logging(store, grpc, arguments, Stdio::null())
    }

    /// The same, with its log going there.
    ///
    /// # Panics
    /// It does not start.
    pub fn serve_logging(store: &str, grpc: &str, arguments: &[&str], log: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", grpc, "--store", store])
            .args(arguments)
            .env("CALLGATE_META_APP_SECRET", SECRET)
            .env("CALLGATE_META_VERIFY_TOKEN", SECRET)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = |name: &str| {
            let found = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {line:?}")).to_owned()
        };
        Self { grpc: address("grpc="), http: address("http="), child }
    }

    /// Of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
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
