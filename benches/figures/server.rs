//! A Redis, and what it says of itself.

use std::{net::TcpListener, thread::sleep, time::Duration};

use redis::{Connection, cmd};
use tempfile::TempDir;

use crate::children::{Process, redis_server};

/// Commands that are sent one behind the other without waiting.
const PIPELINE: usize = 64;
/// Copies that one script makes.
const COPIES: usize = 2000;
/// One pair under other ids: its record, its time to live and its deadline.
const COPY: &str = "
local bytes, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
local due = redis.call('ZSCORE', KEYS[2], ARGV[2] .. ARGV[3])
for i = 4, #ARGV do
  redis.call('SET', ARGV[1] .. ARGV[i], bytes, 'PX', left)
  redis.call('ZADD', KEYS[2], due, ARGV[2] .. ARGV[i])
end";
/// As long as no record of a pair: the limit is not to be made slow.
const VALUE: [u8; 16] = [b'x'; 16];

pub(crate) struct Server {
    _process: Process,
    pub(crate) url: String,
    admin: Connection,
    _directory: TempDir,
}

/// How often scripts ran so far, and the server's CPU time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) calls: f64,
    pub(crate) micros: f64,
}

impl Ran {
    /// Microseconds for each script since then, with all that the server does for it.
    pub(crate) fn each_since(self, before: Self) -> f64 {
        (self.micros - before.micros) / (self.calls - before.calls)
    }
}

/// Bytes on the network so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) input: f64,
    /// Without what replicas got.
    pub(crate) output: f64,
    /// To each replica.
    pub(crate) replicated: f64,
}

impl Server {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = redis_server(directory.path(), port);
        let url = format!("redis://127.0.0.1:{port}");
        let client = redis::Client::open(url.clone()).unwrap();
        let admin = loop {
            match client.get_connection() {
                Ok(connection) => break connection,
                Err(_) => sleep(Duration::from_millis(20)),
            }
        };
        Self { _process: process, url, admin, _directory: directory }
    }

    /// A line of INFO.
    pub(crate) fn info(&mut self, section: &str, key: &str) -> Option<String> {
        let info: String = cmd("INFO").arg(section).query(&mut self.admin).unwrap();
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    }

    fn number(&mut self, section: &str, key: &str) -> f64 {
        self.info(section, key).unwrap_or_else(|| panic!("no {key}")).parse().unwrap()
    }

    /// Of the rulebook or not.
    pub(crate) fn scripts(&mut self) -> Ran {
        let calls = self.functions() + self.calls_of("evalsha");
        Ran { calls, micros: self.cpu() }
    }

    /// How often the library was called: not what a gate runs by itself, while nothing is due.
    pub(crate) fn functions(&mut self) -> f64 {
        self.calls_of("fcall") + self.calls_of("fcall_ro")
    }

    fn calls_of(&mut self, command: &str) -> f64 {
        let line = self.info("commandstats", &format!("cmdstat_{command}"));
        let calls = line.as_deref().and_then(|line| {
            line.split(',').find_map(|part| part.strip_prefix("calls="))?.parse().ok()
        });
        calls.unwrap_or(0.0)
    }

    /// Runs a script once, with one argument.
    pub(crate) fn eval(&mut self, script: &str, argument: usize) {
        cmd("EVAL").arg(script).arg(0).arg(argument).query::<()>(&mut self.admin).unwrap();
    }

    /// CPU time so far, in microseconds.
    pub(crate) fn cpu(&mut self) -> f64 {
        let kinds = ["used_cpu_user", "used_cpu_sys"];
        kinds.map(|kind| self.number("cpu", kind) * 1e6).iter().sum()
    }

    pub(crate) fn traffic(&mut self) -> Traffic {
        let to_replicas = self.number("stats", "total_net_repl_output_bytes");
        Traffic {
            input: self.number("stats", "total_net_input_bytes"),
            output: self.number("stats", "total_net_output_bytes") - to_replicas,
            replicated: self.number("replication", "master_repl_offset"),
        }
    }

    /// Becomes a replica, and has all that the other has.
    pub(crate) fn follow(&mut self, master: &Self) {
        let port = master.url.rsplit(':').next().unwrap();
        cmd("REPLICAOF").arg("127.0.0.1").arg(port).query::<()>(&mut self.admin).unwrap();
        while self.info("replication", "master_link_status").as_deref() != Some("up") {
            sleep(Duration::from_millis(50));
        }
    }

    /// How often it read from a client: with one question at a time, its round trips.
    pub(crate) fn reads(&mut self) -> f64 {
        self.number("stats", "total_reads_processed")
    }

    pub(crate) fn memory(&mut self) -> f64 {
        self.number("memory", "used_memory")
    }

    /// How many stand on the change logs.
    pub(crate) fn changes(&mut self) -> f64 {
        let logs = self.logs();
        let length = |log| -> f64 { cmd("XLEN").arg(log).query(&mut self.admin).unwrap() };
        logs.iter().map(length).sum()
    }

    fn logs(&mut self) -> Vec<String> {
        cmd("KEYS").arg("*:changes").query(&mut self.admin).unwrap()
    }

    /// Removes the change logs, whose length is limited however many pairs there are.
    pub(crate) fn drop_logs(&mut self) {
        let logs = self.logs();
        cmd("DEL").arg(logs).query::<()>(&mut self.admin).unwrap();
    }

    /// Copies the pair of this customer to others. A gate would take minutes to be told of a million.
    pub(crate) fn copy_pair(
        &mut self,
        number: u64,
        customer: &str,
        copies: impl Iterator<Item = String>,
    ) {
        let pattern = format!("*:pair:{number}:{customer}");
        let keys: Vec<String> = cmd("KEYS").arg(pattern).query(&mut self.admin).unwrap();
        let [record] = &keys[..] else { panic!("one record, not {keys:?}") };
        let home = record.split_once(":pair:").unwrap().0;
        let (due, front) = (format!("{home}:due"), format!("{home}:pair:{number}:"));
        let copies: Vec<String> = copies.collect();
        for copies in copies.chunks(COPIES) {
            let mut copy = cmd("EVAL");
            copy.arg(COPY).arg(2).arg(record).arg(&due);
            copy.arg(&front).arg(format!("{number}:")).arg(customer).arg(copies);
            copy.query::<()>(&mut self.admin).unwrap();
        }
    }

    /// The limit: a script that does one GET and no more, pipelined. Microseconds for each.
    pub(crate) fn one_get(&mut self, rounds: usize) -> f64 {
        let script = "return redis.call('GET', KEYS[1])";
        let sha: String = cmd("SCRIPT").arg("LOAD").arg(script).query(&mut self.admin).unwrap();
        cmd("SET").arg("bench:one").arg(&VALUE[..]).query::<()>(&mut self.admin).unwrap();
        let mut pipeline = redis::pipe();
        for _ in 0..PIPELINE {
            pipeline.cmd("EVALSHA").arg(&sha).arg(1).arg("bench:one").ignore();
        }
        let before = self.scripts();
        for _ in 0..rounds {
            pipeline.query::<()>(&mut self.admin).unwrap();
        }
        self.scripts().each_since(before)
    }
}
