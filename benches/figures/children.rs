//! The processes that are measured, and what the system knows of them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::load::Seen;

/// A process that ends with us.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts it, with its log off and its output for us.
    fn start(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (Self(child), out)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// CPU time so far, of all its threads, in the kernel as well. Exact, where `stat` counts 1/100 s.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let nanos = threads.map(|thread| {
            // A thread may end meanwhile.
            let stat = fs::read_to_string(thread.unwrap().path().join("schedstat"));
            let stat = stat.unwrap_or_default();
            stat.split_whitespace().next().map_or(0, |nanos| nanos.parse().unwrap())
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// Something that answers over gRPC.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) process: Process,
    pub(crate) grpc: String,
    /// From the start of the process until it listens.
    pub(crate) start: Duration,
}

/// The gate of this tree.
pub(crate) fn present() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_callgate"))
}

/// The gate itself.
pub(crate) fn gate(store: &str, threads: usize, more: &[&str]) -> Served {
    gate_of(present(), store, threads, more)
}

/// A gate of any version.
pub(crate) fn gate_of(program: &Path, store: &str, threads: usize, more: &[&str]) -> Served {
    let mut command = Command::new(program);
    command.args(["serve", "--http-addr", "127.0.0.1:0", "--store", store, "--log-filter", "off"]);
    // A flag is not known to versions of before.
    command.env("CALLGATE_ADMIN_ADDR", "127.0.0.1:0");
    if !more.contains(&"--grpc-addr") {
        command.args(["--grpc-addr", "127.0.0.1:0"]);
    }
    // The store's budget is for a machine that is not measured to its limit.
    command.args(["--store-timeout", "5s", "--worker-threads", &threads.to_string()]).args(more);
    served(&mut command)
}

/// What answers with a constant.
pub(crate) fn constant(threads: usize, answer: &str) -> Served {
    constant_at("127.0.0.1:0", threads, answer)
}

pub(crate) fn constant_at(addr: &str, threads: usize, answer: &str) -> Served {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["constant", "--addr", addr, "--answer", answer]);
    served(command.args(["--threads", &threads.to_string()]))
}

fn served(command: &mut Command) -> Served {
    let begin = Instant::now();
    let (process, mut out) = Process::start(command);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let grpc = line.split_whitespace().find_map(|word| word.strip_prefix("grpc="));
    let grpc = grpc.expect("it does not listen").to_owned();
    Served { process, grpc, start: begin.elapsed() }
}

/// The load generator, ready to ask.
pub(crate) struct Generator {
    _process: Process,
    input: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Generator {
    pub(crate) fn ready(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("load").args(arguments).stdin(Stdio::piped());
        let (mut process, mut out) = Process::start(&mut command);
        let input = process.0.stdin.take().unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the load generator broke");
        Self { _process: process, input, out }
    }

    /// Asks, to the end. No answer may be wrong.
    pub(crate) fn go(mut self) -> Seen {
        self.input.write_all(b"go\n").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let seen: Seen = serde_json::from_str(&line).unwrap();
        assert!(seen.wrong.is_empty() && seen.errors == 0, "wrong answers: {seen:?}");
        seen
    }
}

/// A Redis of its own, without persistence.
pub(crate) fn redis_server(directory: &Path, port: u16) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--port", &port.to_string()]).arg("--dir").arg(directory);
    let child = command.stdout(Stdio::null()).spawn().expect("no redis-server in PATH");
    Process(child)
}
