//! `callgate quarantine`: webhooks that could not be understood.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::Value;
use tonic::transport::Channel;

use crate::{
    cli::{Done, Failure, Format, client::Gate, json},
    proto::{self as pb, quarantine_service_client::QuarantineServiceClient},
};

/// Lists, shows and retries webhooks that could not be understood
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate quarantine list
  callgate quarantine show \"$(callgate quarantine list | head -1 | cut -d' ' -f1)\"
  callgate quarantine retry --all")]
pub(super) struct Quarantine {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    gate: Gate,
    /// How to print the answer
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists what is kept aside, oldest first
    #[command(after_help = "Example:\n  callgate quarantine list --limit 1000")]
    List {
        /// At most so many, 1 to 1000
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Shows one, with the JSON as Meta sent it: it may hold customers' data
    #[command(
        after_help = "Example:\n  callgate quarantine show \"$(callgate quarantine list | head -1 | cut -d' ' -f1)\""
    )]
    Show {
        /// As `list` shows it
        id: String,
    },
    /// Tries one or all once more; exits with 1 if any is still not understood
    #[command(after_help = "Example:\n  callgate quarantine retry --all")]
    Retry {
        /// As `list` shows it
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All that are kept, up to 1000
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

type Client = QuarantineServiceClient<Channel>;

impl Quarantine {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let mut client = QuarantineServiceClient::new(self.gate.channel().await?);
        client = client.max_decoding_message_size(64 << 20);
        match &self.verb {
            Verb::List { limit } => {
                let listed = self.list(&mut client, *limit).await?;
                Ok(Done::ok(match self.output {
                    Format::Json => json::pretty(&json::of("ListQuarantinedResponse", &listed)),
                    Format::Text => listed.webhooks.iter().map(line).collect(),
                }))
            }
            Verb::Show { id } => self.show(&mut client, id).await,
            Verb::Retry { id: Some(id), .. } => self.retry(&mut client, vec![id.clone()]).await,
            Verb::Retry { id: None, .. } => {
                let listed = self.list(&mut client, 1000).await?;
                let ids = listed.webhooks.into_iter().map(|webhook| webhook.id).collect();
                self.retry(&mut client, ids).await
            }
        }
    }

    async fn list(
        &self,
        client: &mut Client,
        limit: u32,
    ) -> Result<pb::ListQuarantinedResponse, Failure> {
        let request = self.gate.ask(pb::ListQuarantinedRequest { page_size: limit });
        let answer = client.list_quarantined(request).await;
        Ok(answer.map_err(|status| self.gate.no_answer(&status))?.into_inner())
    }

    async fn show(&self, client: &mut Client, id: &str) -> Result<Done, Failure> {
        let request = self.gate.ask(pb::GetQuarantinedRequest { id: id.to_owned() });
        let answer = client.get_quarantined(request).await;
        let answer = answer.map_err(|status| self.gate.no_answer(&status))?.into_inner();
        if self.output == Format::Json {
            return Ok(Done::ok(json::pretty(&json::of("GetQuarantinedResponse", &answer))));
        }
        let change = serde_json::from_str::<Value>(&answer.change_json)
            .map_or(answer.change_json, |json| format!("{json:#}"));
        let webhook = answer.webhook.unwrap_or_default();
        Ok(Done::ok(format!("{}\n{change}\n", line(&webhook))))
    }

    async fn retry(&self, client: &mut Client, ids: Vec<String>) -> Result<Done, Failure> {
        let mut text = String::new();
        let mut unclear = 0;
        let total = ids.len();
        for id in ids {
            let request = self.gate.ask(pb::RetryQuarantinedRequest { id: id.clone() });
            let answer = client.retry_quarantined(request).await;
            let answer = answer.map_err(|status| self.gate.no_answer(&status))?.into_inner();
            if answer.understood {
                let _ = writeln!(text, "{id}  understood: {} recorded", answer.events_recorded);
            } else {
                unclear += 1;
                let _ = writeln!(text, "{id}  still not understood: {}", answer.reason);
            }
        }
        let _ = writeln!(text, "{} understood, {unclear} not", total - unclear);
        Ok(Done { text, code: u8::from(unclear != 0) })
    }
}

fn line(webhook: &pb::QuarantinedWebhook) -> String {
    let at = webhook.received_at.as_ref().map_or(String::new(), ToString::to_string);
    let number = match webhook.phone_number_id.as_str() {
        "" => "no known number",
        number => number,
    };
    format!("{}  {at}  {}  {number}  {}\n", webhook.id, webhook.field, webhook.reason)
}
