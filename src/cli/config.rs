//! `callgate config`: what would be in effect, what is in effect, and what there is.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use crate::{
    cli::{Done, Failure, Format, client::Gate, json, serve::Settings},
    config::{reference, show},
    proto::{self as pb, config_service_client::ConfigServiceClient},
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
    /// Prints the configuration that a running gate goes by
    ///
    /// With its version, its hash (gates with the same hash go by the same settings), the keys that
    /// wait for a restart, and why newer files were refused. Secrets are masked. Needs the role admin,
    /// on all business numbers, where the gate knows its clients. Exits with 1 if newer files were
    /// refused.
    #[command(
        after_help = "Example:\n  callgate config show --addr unix:/run/callgate/callgate.sock"
    )]
    Show {
        #[command(flatten)]
        gate: Box<Gate>,
        /// How to print the answer
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Prints the reference of all keys, as in docs/configuration.md
    #[command(after_help = "Example:\n  callgate config reference | less")]
    Reference,
}

impl Config {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        match self.verb {
            Verb::Show { gate, output } => show_running(&gate, output).await,
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

async fn show_running(gate: &Gate, output: Format) -> Result<Done, Failure> {
    let mut client = ConfigServiceClient::new(gate.channel().await?);
    let answer = client.get_config(gate.ask(pb::GetConfigRequest {})).await;
    let shown = answer.map_err(|status| gate.no_answer(&status))?.into_inner();
    let code = u8::from(!shown.refused.is_empty());
    let text = match output {
        Format::Json => json::pretty(&json::of("GetConfigResponse", &shown)),
        Format::Text => text(&shown),
    };
    Ok(Done { text, code })
}

fn text(shown: &pb::GetConfigResponse) -> String {
    let since = shown.applied_at.as_ref().map_or_else(String::new, ToString::to_string);
    let mut text = format!("# version {}, since {since}\n# hash {}\n", shown.version, shown.hash);
    if !shown.restart_needed.is_empty() {
        let _ = writeln!(
            text,
            "# changed, and waiting for a restart: {}",
            shown.restart_needed.join(", ")
        );
    }
    for problem in shown.refused.lines() {
        let _ = writeln!(text, "# newer files were refused: {problem}");
    }
    text + &shown.toml
}
