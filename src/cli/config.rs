//! `callgate config check` and `callgate config reference`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use crate::{
    cli::{Done, Failure, serve::Settings},
    config::{reference, show},
};

/// Checks and explains the configuration
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints the effective configuration, or all that is wrong with it
    ///
    /// Takes the file, variables and flags that `serve` takes. Each value is followed by where it
    /// came from; secrets are masked. Exits with 1 if anything is wrong.
    #[command(after_help = "Example:\n  callgate config check --config callgate.toml")]
    Check {
        #[command(flatten)]
        settings: Settings,
    },
    /// Prints the reference of all keys, as in docs/configuration.md
    #[command(after_help = "Example:\n  callgate config reference | less")]
    Reference,
}

impl Config {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self.verb {
            Verb::Reference => Ok(Done::ok(reference::render())),
            Verb::Check { settings } => {
                let loaded = settings.load()?;
                let mut text = show::show(&loaded);
                if !loaded.warnings.is_empty() {
                    text.push('\n');
                }
                for warning in &loaded.warnings {
                    let _ = writeln!(text, "# warning: {warning}");
                }
                Ok(Done::ok(text))
            }
        }
    }
}
