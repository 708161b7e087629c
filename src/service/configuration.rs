//! The configuration in effect, shown.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    engine::{Result, scope::Scope, time::Millis},
    proto as pb,
    service::convert,
};

/// What the gate goes by. Whoever reads the configuration writes it here, and the door shows it.
#[derive(Debug, Clone, Default)]
pub struct InEffect(Arc<ArcSwap<Shown>>);

/// A configuration as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// As a file that would give it; secrets are masked.
    pub toml: String,
    /// SHA-256 of `toml`, in hexadecimal digits.
    pub hash: String,
    /// 1 after the start, and 1 more for each change.
    pub version: u64,
    /// Since when. The host's clock.
    pub applied_at: Millis,
    /// Keys whose new value waits for a restart.
    pub restart_needed: Vec<String>,
    /// Why the newest files are not in effect; empty: they are.
    pub refused: String,
}

impl InEffect {
    /// Shows this from now on.
    pub fn set(&self, shown: Shown) {
        self.0.store(Arc::new(shown));
    }

    /// What is shown now.
    pub fn get(&self) -> Arc<Shown> {
        self.0.load_full()
    }
}

pub(crate) struct Configuration {
    pub(crate) in_effect: InEffect,
}

impl Configuration {
    /// It names all business numbers, so it is not for those who may see some of them.
    pub(crate) fn get(&self, scope: &Scope) -> Result<pb::GetConfigResponse> {
        scope.check_all("the configuration")?;
        let shown = self.in_effect.get();
        Ok(pb::GetConfigResponse {
            toml: shown.toml.clone(),
            hash: shown.hash.clone(),
            version: shown.version,
            applied_at: convert::timestamp(shown.applied_at),
            restart_needed: shown.restart_needed.clone(),
            refused: shown.refused.clone(),
        })
    }
}
