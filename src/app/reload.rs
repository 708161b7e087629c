//! A configuration that changes under a running gate.
//!
//! The files are read again when one of them has other contents (a ConfigMap or a Secret that Kubernetes
//! swaps, a certificate that was renewed) and on SIGHUP. All of it is checked first, as at a start; then
//! what can change without a restart is swapped in, each thing at once. Until a mistake is mended the last
//! good configuration stays in force, and the files are tried again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::signal::unix::Signal;

use crate::{
    config::{self, Config, DoorName, Errors, Inputs, Loaded, show},
    door::Tls,
    engine::{
        gate::Gate,
        time::{Clock as _, WallClock},
    },
    service::{InEffect, Shown, access::Doorkeeper},
    telemetry, webhook,
};

/// How often it is looked whether files have changed.
const LOOKED_EVERY: Duration = Duration::from_secs(2);

/// What can change while it runs.
pub(super) struct Live {
    pub(super) gate: Gate,
    pub(super) doorkeeper: Doorkeeper,
    pub(super) webhooks: webhook::Secrets,
    pub(super) tls: BTreeMap<DoorName, Arc<Tls>>,
    pub(super) in_effect: InEffect,
}

impl Live {
    fn take_over(&self, config: &Config) {
        self.gate.judge_by(config.gate_profiles());
        self.doorkeeper.replace(config.access());
        self.webhooks.replace(config.app_secrets(), config.verify_token());
        for (door, identity) in &config.identities {
            if let Some(tls) = self.tls.get(door) {
                tls.replace(identity.clone());
            }
        }
        telemetry::filter(config);
    }
}

/// A configuration that is in effect from now on, as it is shown. Metrics tell of it as well.
pub(super) fn in_effect(config: &Config, version: u64, restart_needed: &[&'static str]) -> Shown {
    let toml = show::settings(config);
    let hash = hex::encode(Sha256::digest(&toml));
    telemetry::in_effect(config, &hash, version, restart_needed.len());
    Shown {
        toml,
        hash,
        version,
        applied_at: WallClock::default().now(),
        restart_needed: restart_needed.iter().map(ToString::to_string).collect(),
        refused: String::new(),
    }
}

/// Looks at the files until the process ends.
pub(super) async fn watch(live: Live, inputs: Inputs, loaded: Loaded, mut hang_up: Signal) {
    let mut watched = Watched { live, inputs, running: loaded, refused: None };
    let mut ticks = tokio::time::interval(LOOKED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            _ = ticks.tick() => false,
            Some(()) = hang_up.recv() => true,
        };
        if !is_asked && watched.running.files.paths().is_empty() {
            continue;
        }
        // Files may lie on a slow disk.
        let looked = tokio::task::spawn_blocking(move || {
            watched.look(is_asked);
            watched
        });
        watched = looked.await.expect("looking at files does not panic");
    }
}

struct Watched {
    live: Live,
    inputs: Inputs,
    running: Loaded,
    /// Why the newest files are not in effect.
    refused: Option<Errors>,
}

impl Watched {
    /// Reads again what has changed, what was wrong, or all that there is if somebody asked for it.
    fn look(&mut self, is_asked: bool) {
        let has_changed = self.running.files.has_changed();
        if !(has_changed || is_asked || self.refused.is_some()) {
            return;
        }
        match config::load_again(&self.inputs, &self.running.config) {
            Ok(loaded) if has_changed || self.refused.is_some() => self.follow(loaded, is_asked),
            Ok(_) => tracing::info!("the configuration was read again; nothing has changed"),
            Err(errors) => self.refuse(errors, is_asked),
        }
    }

    /// What was read is good by itself; what comes of it and of what runs has to be as well.
    fn follow(&mut self, loaded: Loaded, is_asked: bool) {
        match loaded.config.may_follow(&self.running.config) {
            Ok(()) => self.take_over(loaded),
            Err(errors) => self.refuse(errors, is_asked),
        }
    }

    fn take_over(&mut self, loaded: Loaded) {
        let restart_needed = &loaded.restart_needed;
        self.live.take_over(&loaded.config);
        let version = self.live.in_effect.get().version + 1;
        let shown = in_effect(&loaded.config, version, restart_needed);
        tracing::info!(version, hash = shown.hash, "a new configuration is in effect");
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if !restart_needed.is_empty() {
            tracing::warn!(
                keys = restart_needed.join(", "),
                "these keys change with a restart only"
            );
        }
        self.live.in_effect.set(shown);
        telemetry::configuration_read(true);
        (self.running, self.refused) = (loaded, None);
    }

    /// Said once, and again to who asks.
    fn refuse(&mut self, errors: Errors, is_asked: bool) {
        if self.refused.as_ref() == Some(&errors) && !is_asked {
            return;
        }
        tracing::error!(%errors, "the new configuration is wrong; the last good one stays in effect");
        telemetry::configuration_read(false);
        let before = self.live.in_effect.get();
        self.live.in_effect.set(Shown { refused: errors.to_string(), ..(*before).clone() });
        self.refused = Some(errors);
    }
}
