//! The library of functions on the servers of one session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use redis::{RedisError, RedisResult, cmd};

use crate::store::redis::{connect::Wire, script::LIBRARY};

/// That the library was there when the session began.
#[derive(Debug, Default)]
pub(super) struct Functions {
    is_loading: Arc<AtomicBool>,
}

impl Functions {
    /// Gives the library to every master that has not got it.
    ///
    /// # Errors
    /// What the first of them answered that does not take it.
    pub(super) async fn load(wire: &mut Wire) -> RedisResult<()> {
        // Without REPLACE: what a gate brings that others have brought is not replicated once more.
        let load = cmd("FUNCTION").arg("LOAD").arg(&LIBRARY.text).to_owned();
        let refused = wire.ask_masters(&load).await?.into_iter().filter_map(Result::err);
        refused.filter(|error| !is_there(error)).map(Err).next().unwrap_or(Ok(()))
    }

    /// Gives the library to the masters again, after FUNCTION FLUSH or on a new master; once at a time,
    /// since it is large. Nobody waits for it, since one of the masters may be away: who finds it missing
    /// sends a script.
    pub(super) fn load_again(&self, mut wire: Wire) {
        if self.is_loading.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_loading = Arc::clone(&self.is_loading);
        tokio::spawn(async move {
            if let Err(error) = Self::load(&mut wire).await {
                tracing::warn!(why = %error, "the server has lost the functions and takes none");
            }
            is_loading.store(false, Ordering::Relaxed);
        });
    }
}

fn is_there(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("already exists"))
}
