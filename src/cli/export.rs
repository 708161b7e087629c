//! `callgate export`: all that a store keeps, as a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    app,
    archive::{export::export, line::Counts},
    cli::{Done, Failure, serve::Settings},
    config::StoreUrl,
    engine::Error,
};

/// Writes all facts of a store as lines of JSON: a backup, or the way to another store
///
/// Opens the store itself, by the file, variables and flags that `serve` takes: the embedded store only
/// while no gate has it open, a Redis also while gates use it; each customer in the file is of one
/// instant. The file holds phone numbers, consent and calls of customers, and the key by which the store
/// hashes the ids of those who were forgotten: keep it as you keep the store. Quarantined webhooks are in
/// it, the change log is not.
///
/// Exits with 0 if the file is whole; 1 if the store refuses or the file cannot be written; 3 if the
/// store is away.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate export --store embedded:/var/lib/callgate --output callgate.jsonl
  (umask 077; callgate export --store redis://127.0.0.1:6379 | gzip > callgate.jsonl.gz)")]
pub(super) struct Export {
    #[command(flatten)]
    settings: Settings,
    /// Where to write: a file that only you may read, replaced once all is written [default: standard
    /// output; a file that the shell makes of it has the rights that umask leaves]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let config = self.settings.load()?.config;
        if let StoreUrl::Embedded(dir) = &config.store
            && !dir.join("data").is_dir()
        {
            return Err(Failure::Given(format!("{} holds no embedded store", dir.display())));
        }
        let store = app::open_archive(&config, None).await.map_err(failed)?;
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
        bar.set_style(style.expect("the template is well-formed"));
        let mut seen = |counts: &Counts| {
            bar.inc(1);
            if bar.position().is_multiple_of(256) {
                bar.set_message(format!("{} customers", counts.customers));
            }
        };
        let counts = match &self.output {
            Some(path) => {
                let part = Part::make(path)?;
                let mut to = BufWriter::new(&part.file);
                let counts = export(&*store, &mut to, &mut seen).await.map_err(failed)?;
                drop(to);
                part.keep(path)?;
                counts
            }
            None => {
                let mut to = BufWriter::new(std::io::stdout());
                export(&*store, &mut to, &mut seen).await.map_err(failed)?
            }
        };
        bar.finish_and_clear();
        if self.output.is_some() || !std::io::stdout().is_terminal() {
            eprintln!("exported {}", words(&counts));
        }
        Ok(Done::ok(""))
    }
}

/// The counts as words.
pub(super) fn words(counts: &Counts) -> String {
    let Counts { numbers, displays, customers, records, quarantined, forgotten } = counts;
    format!(
        "{customers} customers ({records} records), {numbers} business numbers, {displays} display \
         numbers, {quarantined} quarantined webhooks, {forgotten} forgotten ids"
    )
}

/// A failure of the store, or of what was given.
pub(super) fn failed(error: Error) -> Failure {
    match error {
        Error::Invalid { problem, .. } => Failure::Given(problem),
        Error::Unavailable(why) | Error::DeadlineExceeded(why) => Failure::NoAnswer(why),
        other => Failure::Given(other.to_string()),
    }
}

/// A file that takes its place only when it is whole.
struct Part {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Part {
    fn make(path: &Path) -> Result<Self, Failure> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        // One that was left by a run that was killed may have been made with other rights.
        let _ = fs::remove_file(&part);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(|error| cannot(&part, &error))?;
        Ok(Self { path: part, file, is_kept: false })
    }

    fn keep(mut self, path: &Path) -> Result<(), Failure> {
        self.file.flush().and_then(|()| self.file.sync_all()).map_err(|e| cannot(path, &e))?;
        fs::rename(&self.path, path).map_err(|error| cannot(path, &error))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Given(format!("cannot write {}: {error}", path.display()))
}
