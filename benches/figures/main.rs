//! The figures of docs/performance.md, each beside a limit that was measured in the same run:
//! `make bench`, or `cargo bench --bench figures -- --rounds 5 --json figures.json`.
//!
//! This program is three: the runner, which starts everything else; the load generator (`load`), in a
//! process of its own; and a server that answers every question with one constant (`constant`), which is
//! as fast as a gate over gRPC could be.

#![allow(clippy::unwrap_used, reason = "a benchmark that unwraps says where it failed")]

mod children;
mod comparison;
mod constant;
mod load;
mod measures;
mod mix;
mod report;
mod server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// How often everything is measured; what is printed is the median.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leaves out what is measured once and takes long: sizes, growth.
    #[arg(long)]
    quick: bool,
    /// Measures only what has this in its name.
    #[arg(long, default_value = "")]
    only: String,
    /// Also writes the table to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Compares with this program, a gate of another version, instead (`make bench-quick`).
    #[arg(long, conflicts_with_all = ["quick", "only", "json"])]
    base: Option<PathBuf>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Asks, and checks the answers.
    Load(load::Load),
    /// Answers with a constant.
    Constant(constant::Constant),
}

fn main() {
    let mut arguments = Arguments::parse();
    match arguments.role.take() {
        Some(Role::Load(load)) => load.run(),
        Some(Role::Constant(constant)) => constant.run(),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) {
    if let Some(base) = &arguments.base {
        print!("{}", measures::compare::compare(arguments.rounds, base).text());
        return;
    }
    let report = measures::all(arguments.rounds, !arguments.quick, &arguments.only);
    print!("{}", report.text());
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.json()).unwrap();
    }
}

/// A runtime as the gate's own: one thread is a kind of its own.
fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().unwrap()
}
