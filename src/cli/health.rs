//! `callgate health`: for probes and scripts.

use clap::Args;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::cli::{Done, Failure, client::Gate};

/// Asks a running gate for its health (grpc.health.v1)
///
/// Exits with 0 if it serves, 1 if it does not (it drains), 3 if there is no answer.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  $ callgate health --addr unix:/run/callgate/callgate.sock
  SERVING")]
pub(super) struct Health {
    /// One service, e.g. callgate.v1.CallPermissionService; default: the whole server
    #[arg(long, default_value = "", hide_default_value = true)]
    service: String,
    #[command(flatten)]
    gate: Gate,
}

impl Health {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let mut health = HealthClient::new(self.gate.channel().await?);
        let request = self.gate.ask(HealthCheckRequest { service: self.service });
        let answer = health.check(request).await.map_err(|status| self.gate.no_answer(&status))?;
        let status = answer.into_inner().status();
        let code = u8::from(status != ServingStatus::Serving);
        Ok(Done { text: format!("{}\n", status.as_str_name()), code })
    }
}
