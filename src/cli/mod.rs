//! The command line: `serve` is the gate; the other verbs ask a running one over gRPC, or need none.
//!
//! Exit codes: 0 yes or done; 1 something was wrong with what was given; 2 usage; 3 no answer from
//! the gate; 4 changes were missed; 10 a call is denied. What is asked for goes to standard output,
//! all else to standard error; only `watch` colours, and only on a terminal.

mod change;
mod check;
mod client;
mod config;
mod decode;
mod doctor;
mod export;
mod health;
mod import;
mod inspect;
mod json;
mod page;
mod quarantine;
mod record;
mod repair;
mod serve;
mod token;
mod watch;

use std::{io::Write as _, num::NonZero, process::ExitCode, thread};

use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use crate::{rulebook, telemetry};

/// May this business call this customer on WhatsApp, right now?
#[derive(Debug, Parser)]
#[command(
    name = "callgate",
    version,
    about,
    after_help = "\
Example:
  callgate serve --store memory: &
  callgate check 436666719526789 15550199001"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Record(record::Record),
    Watch(watch::Watch),
    Quarantine(quarantine::Quarantine),
    Config(config::Config),
    Health(health::Health),
    Decode(decode::Decode),
    Repair(repair::Repair),
    Token(token::Token),
    Doctor(doctor::Doctor),
    Export(export::Export),
    Import(import::Import),
    /// Prints the version of the program and of its rulebook
    #[command(after_help = "\
Example:
  $ callgate version
  callgate 0.1.0, rulebook 3f9c1d20ab47")]
    Version,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// The contract's JSON mapping.
    Json,
}

/// What a verb did: text for standard output, and the exit code.
#[derive(Debug)]
struct Done {
    text: String,
    code: u8,
}

impl Done {
    fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 0 }
    }
}

/// Why a verb could not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// What was given is wrong.
    Given(String),
    /// The gate did not answer, or could not.
    NoAnswer(String),
}

/// Parses the arguments, runs the verb, tells how it went.
pub fn main() -> ExitCode {
    telemetry::withhold_panics();
    // TLS wants its cryptography chosen once per process. It fails only if that was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().verb) {
        Ok(done) => {
            print(&done.text);
            ExitCode::from(done.code)
        }
        Err(Failure::Given(problem)) => {
            eprintln!("callgate: {problem}");
            ExitCode::FAILURE
        }
        Err(Failure::NoAnswer(problem)) => {
            eprintln!("callgate: no answer: {problem}");
            ExitCode::from(3)
        }
    }
}

fn wait_for(done: impl Future<Output = Result<Done, Failure>>) -> Result<Done, Failure> {
    runtime(1)?.block_on(done)
}

/// 0 threads: one per CPU that the process may use. 1: everything on the calling thread, with nothing
/// handed from one thread to another.
fn runtime(worker_threads: usize) -> Result<Runtime, Failure> {
    let threads = match worker_threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        given => given,
    };
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let built = builder.worker_threads(threads).enable_all().build();
    built.map_err(|error| Failure::Given(format!("cannot start threads: {error}")))
}

fn run(verb: Verb) -> Result<Done, Failure> {
    match verb {
        Verb::Serve(serve) => serve.run(),
        Verb::Check(check) => wait_for(check.run()),
        Verb::Inspect(inspect) => wait_for(inspect.run()),
        Verb::Record(record) => wait_for(record.run()),
        Verb::Watch(watch) => wait_for(watch.run()),
        Verb::Quarantine(quarantine) => wait_for(quarantine.run()),
        Verb::Config(config) => wait_for(config.run()),
        Verb::Health(health) => wait_for(health.run()),
        Verb::Decode(decode) => decode.run(),
        Verb::Repair(repair) => wait_for(repair.run()),
        Verb::Token(token) => token.run(),
        Verb::Doctor(doctor) => wait_for(doctor.run()),
        Verb::Export(export) => wait_for(export.run()),
        Verb::Import(import) => wait_for(import.run()),
        Verb::Version => Ok(Done::ok(format!(
            "callgate {}, rulebook {}\n",
            env!("CARGO_PKG_VERSION"),
            rulebook::sha()
        ))),
    }
}

/// A reader that went away (`| head`) is no failure of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
