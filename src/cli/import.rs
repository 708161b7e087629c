//! `callgate import`: joins what `callgate export` wrote to a store.

use std::{
    fs::File,
    io::{BufReader, Seek as _},
    path::PathBuf,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    app,
    archive::import::{May, check},
    cli::{Done, Failure, export, serve::Settings},
};

/// Joins all facts of an export to a store
///
/// Opens the store itself, by the file, variables and flags that `serve` takes: the embedded store only
/// while no gate has it open, a Redis also while gates use it. Facts join with what is there, by the same
/// rules as events that are told: newer ones stay, a later "no" stays a no, calls stay counted, whoever
/// was forgotten stays forgotten. So an import may be repeated, and one that broke off be run again.
/// Whom the file says to be forgotten is erased here as well; what happened after that stays.
///
/// Give it the configuration that the gates have: calls that are older than the horizon of their profiles
/// are summed up, here and in the file. Without --config, CALLGATE_CONFIG or --profile it is refused.
///
/// The file is read as a whole first: one that is cut off or was altered changes nothing.
///
/// Exits with 0 if all of it is joined; 1 if the file or the store is not as it should be; 3 if the store
/// is away.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate import --config callgate.toml callgate.jsonl
  callgate import --store redis://127.0.0.1:6379 --profile atom callgate.jsonl
  callgate import --config callgate.toml callgate.jsonl --dry-run")]
pub(super) struct Import {
    #[command(flatten)]
    settings: Settings,
    /// What `callgate export` wrote
    file: PathBuf,
    /// Only read the file and look whether the store would take it. A store that is not there yet is
    /// made all the same
    #[arg(long)]
    dry_run: bool,
    /// Take a file that is older than 8 d: it brings back customers who were forgotten since it was
    /// written. Forget them once more
    #[arg(long)]
    old: bool,
    /// Do not carry over who was forgotten lately, where the store has a key of its own. Forget them once
    /// more
    #[arg(long)]
    drop_forgotten: bool,
}

impl Import {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let config = self.settings.load_with_rules()?.config;
        let cannot = |error: std::io::Error| {
            Failure::Given(format!("cannot read {}: {error}", self.file.display()))
        };
        let mut file = File::open(&self.file).map_err(cannot)?;
        let bar = ProgressBar::new(file.metadata().map_err(cannot)?.len());
        let style = "{msg} {bar:30} {bytes}/{total_bytes} [{elapsed}, {eta} left]";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
        bar.set_message("reading");
        let checked = check(BufReader::new(bar.wrap_read(&file))).map_err(export::failed)?;
        let checked = checked.under(config.privacy.keys.as_ref()).map_err(export::failed)?;
        let told = export::words(&checked.counts);
        let key = checked.forgotten_key().map_err(export::failed)?;
        let store = app::open_archive(&config, Some(key)).await.map_err(export::failed)?;
        let may = May { be_old: self.old, lose_forgotten: self.drop_forgotten };
        checked.refuse(&*store, may).await.map_err(export::failed)?;
        if self.dry_run {
            bar.finish_and_clear();
            return Ok(Done::ok(format!("the file is whole: {told}\nnothing was imported\n")));
        }
        file.rewind().map_err(cannot)?;
        bar.set_position(0);
        bar.set_message("joining");
        let mut seen = |bytes| bar.inc(bytes);
        let profiles = config.gate_profiles();
        let joined = checked.join(BufReader::new(file), &*store, &profiles, &mut seen).await;
        bar.finish_and_clear();
        let joined = joined.map_err(export::failed)?;
        Ok(Done::ok(format!(
            "joined {told}\n{} lines told something new, {} nothing new, {} were left out since the \
             customer was forgotten\n",
            joined.changed, joined.same, joined.forgotten
        )))
    }
}
