//! `callgate record`: facts from a JSON-lines file into a running gate.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tonic::transport::Channel;

use crate::{
    cli::{Done, Failure, Format, client::Gate, json},
    engine::explain::event_status_name,
    proto::{self as pb, call_permission_service_client::CallPermissionServiceClient},
};

/// Events in one request; the contract's limit is 1000.
const BATCH: usize = 500;

/// Records facts from a file or standard input, one JSON event per line
///
/// A line is a callgate.v1.Event in protobuf's JSON form, times as RFC 3339. Order and repetition do
/// not matter: a run that broke off may be run again. Exits with 1 if any line is invalid.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  callgate record events.jsonl
  echo '{"event_id":"e1","occurred_at":"2026-06-11T14:05:00Z","pair":{"phone_number_id":"436666719526789","customer":{"wa_id":"15550199001"}},"reply":{"response":"PERMISSION_RESPONSE_ACCEPT"}}' | callgate record -"#)]
pub(super) struct Record {
    /// A JSON-lines file; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    gate: Gate,
    /// How to print the summary
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Record {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let (lines, bar) = open(&self.file)?;
        let client = self.gate.calls().await?;
        let mut run =
            Run { gate: &self.gate, client, bar, counts: [0; 5], batch: Vec::new(), problems: 0 };
        let result = run.all(lines).await;
        run.bar.finish_and_clear();
        let summary = run.summary(self.output);
        match result {
            Ok(()) => Ok(Done { text: summary, code: u8::from(run.problems != 0) }),
            Err(Failure::NoAnswer(why)) => {
                Err(Failure::NoAnswer(format!("{why}\nbefore that: {summary}run it again")))
            }
            Err(Failure::Given(why)) => {
                Err(Failure::Given(format!("{why}\nbefore that: {summary}")))
            }
        }
    }
}

type Input = Lines<Box<dyn BufRead + Send>>;

fn open(path: &Path) -> Result<(Input, ProgressBar), Failure> {
    if path == Path::new("-") {
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
        let bar = ProgressBar::new_spinner();
        bar.set_style(style.expect("the template is well-formed"));
        let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(std::io::stdin()));
        return Ok((input.lines(), bar));
    }
    let cannot = |error| Failure::Given(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let bar = ProgressBar::new(file.metadata().map_err(cannot)?.len());
    let style = "{bar:30} {bytes}/{total_bytes} {msg} [{elapsed}, {eta} left]";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(bar.wrap_read(file)));
    Ok((input.lines(), bar))
}

/// One reading of a file. The bar shows itself on a terminal only.
struct Run<'a> {
    gate: &'a Gate,
    client: CallPermissionServiceClient<Channel>,
    bar: ProgressBar,
    /// By `EventStatus`.
    counts: [u64; 5],
    /// Events to be sent, each with its line.
    batch: Vec<(usize, pb::Event)>,
    problems: u64,
}

impl Run<'_> {
    async fn all(&mut self, lines: Input) -> Result<(), Failure> {
        for (index, line) in lines.enumerate() {
            let number = index + 1;
            let line = line.map_err(|error| Failure::Given(format!("line {number}: {error}")))?;
            if line.trim().is_empty() {
                continue;
            }
            match json::read("Event", &line) {
                Ok(event) => self.batch.push((number, event)),
                Err(problem) => self.invalid(number, &problem),
            }
            if BATCH <= self.batch.len() {
                self.send().await?;
            }
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let (numbers, events): (Vec<usize>, Vec<pb::Event>) = self.batch.drain(..).unzip();
        if events.is_empty() {
            return Ok(());
        }
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        let request = self.gate.ask(pb::RecordEventsRequest { events });
        let answer = self.client.record_events(request).await;
        let answer = answer.map_err(|status| match self.gate.no_answer(&status) {
            Failure::NoAnswer(why) => Failure::NoAnswer(format!("lines {first} to {last}: {why}")),
            given @ Failure::Given(_) => given,
        })?;
        for (number, result) in std::iter::zip(numbers, answer.into_inner().results) {
            if result.status() == pb::EventStatus::Invalid {
                self.invalid(number, &result.error);
            } else if let Some(count) = self.counts.get_mut(result.status() as usize) {
                *count += 1;
            }
        }
        self.bar.set_message(format!("{} events", self.counts.iter().sum::<u64>()));
        Ok(())
    }

    fn invalid(&mut self, number: usize, problem: &str) {
        self.problems += 1;
        self.counts[pb::EventStatus::Invalid as usize] += 1;
        self.bar.suspend(|| eprintln!("line {number}: {problem}"));
    }

    fn summary(&self, format: Format) -> String {
        let named =
            (1..=4).map(|status: u8| (event_status_name(status), self.counts[usize::from(status)]));
        match format {
            Format::Json => {
                json::pretty(&json!(named.collect::<std::collections::BTreeMap<_, _>>()))
            }
            Format::Text => {
                let mut text = String::new();
                for (name, count) in named {
                    let comma = if text.is_empty() { "" } else { ", " };
                    let _ = write!(text, "{comma}{name} {count}");
                }
                text + "\n"
            }
        }
    }
}
