//! How many webhooks are kept aside, as a metric.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::engine::gate::Gate;

/// How often it is asked: with Redis that is one small command for each partition.
const ASKED_EVERY: Duration = Duration::from_secs(60);

/// Keeps `callgate_quarantined` true. While the store is away it stands as it was. Never returns.
pub(super) async fn count(gate: Gate) {
    let gauge = metrics::gauge!("callgate_quarantined");
    let mut ticks = interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match gate.store().quarantine_size().await {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            Ok(size) => gauge.set(size as f64),
            Err(error) => tracing::debug!(%error, "what is kept aside cannot be counted now"),
        }
    }
}
