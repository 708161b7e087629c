//! What is measured, in rounds: in each, everything once, the pairs that are compared one right after
//! the other and in turns the other way round, since the machine is seldom alone.

mod calls;
pub(crate) mod compare;
mod growth;
mod idle;
mod pairs;
mod pieces;
mod sizes;
mod watching;
mod ways;

use std::time::Duration;

use crate::{
    children::{Generator, Process, Served},
    load::Seen,
    report::Report,
};

/// With a name for `--only`.
type Measure = (&'static str, fn(&mut Round));

/// What runs in each round.
const EACH_ROUND: &[Measure] = &[
    ("authorize", calls::on_redis_and_constant),
    ("embedded", calls::embedded),
    ("batch", calls::batches),
    ("uds", ways::unix_socket),
    ("open", ways::open_loop),
    ("watch", watching::deliveries),
    ("idle", idle::idle),
    ("pieces", pieces::pieces),
];

/// What is measured once.
const ONCE: &[Measure] =
    &[("bytes", pairs::bytes), ("sizes", sizes::sizes), ("growth", growth::growth)];

/// One round.
pub(crate) struct Round {
    report: Report,
    /// Counts from 0.
    n: usize,
    /// The next business number. Each run has its own.
    number: u64,
    /// What a gate answers to an allowed question, for the constant server.
    answer: String,
}

/// All of it.
pub(crate) fn all(rounds: usize, is_whole: bool, only: &str) -> Report {
    let answer = calls::an_answer();
    let mut round = Round { report: Report::default(), n: 0, number: 70_000_000, answer };
    let is_wanted = |(name, _): &&Measure| name.contains(only);
    for n in 0..rounds {
        round.n = n;
        for (name, measure) in EACH_ROUND.iter().filter(is_wanted) {
            eprintln!("round {} of {rounds}: {name}", n + 1);
            measure(&mut round);
        }
    }
    for (name, measure) in ONCE.iter().filter(is_wanted).filter(|_| is_whole) {
        eprintln!("once: {name}");
        measure(&mut round);
    }
    round.report
}

/// What was seen of some questions, and what they cost.
struct Asked {
    seen: Seen,
    /// CPU time of the process that answers, per question, in microseconds.
    cpu: f64,
}

/// How is asked.
#[derive(Clone, Copy)]
struct How {
    groups: usize,
    streams: usize,
    connections: usize,
}

impl How {
    /// The load of the table: 64 streams on 4 connections, 32,768 questions.
    const FULL: Self = Self { groups: 2048, streams: 64, connections: 4 };
    /// One question at a time, 4096 of them.
    const ALONE: Self = Self { groups: 256, streams: 1, connections: 1 };
    /// As many as share one commit.
    const MANY: Self = Self { groups: 2048, streams: 256, connections: 4 };
}

impl Round {
    fn add(&mut self, name: &str, value: f64) {
        self.report.add(name, value);
    }

    /// The next business number.
    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A load generator whose customers are known to the gate.
    fn ready(&mut self, served: &Served, how: How, more: &[&str]) -> Generator {
        generator(served, self.number(), how, more)
    }

    fn ask(&mut self, served: &Served, how: How) -> Asked {
        let generator = self.ready(served, how, &[]);
        go(generator, &served.process)
    }

    fn ask_constant(&mut self, served: &Served, how: How) -> Asked {
        let generator = self.ready(served, how, &["--constant"]);
        go(generator, &served.process)
    }
}

/// A load generator on this business number, ready to ask.
fn generator(served: &Served, number: u64, how: How, more: &[&str]) -> Generator {
    let number = number.to_string();
    let [groups, streams, connections] =
        [how.groups, how.streams, how.connections].map(|n| n.to_string());
    let mut arguments = vec!["--addr", &served.grpc, "--number", &number, "--groups", &groups];
    arguments.extend(["--streams", &streams, "--connections", &connections]);
    arguments.extend(more);
    Generator::ready(&arguments)
}

/// Lets a generator ask, and looks what that costs `process`.
fn go(generator: Generator, process: &Process) -> Asked {
    let before = process.cpu();
    let seen = generator.go();
    let cpu = micros(process.cpu() - before) / seen.questions as f64;
    Asked { seen, cpu }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
