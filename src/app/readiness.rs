//! Whether calls should come here: live is not ready, and degraded is ready.
//!
//! A store that goes away takes no gate out of service: all gates of a fleet share it, a sidecar's
//! readiness is that of its bot, and the gate still answers, UNAVAILABLE. So it is a metric and a detail.
//! Before the store was reached for the first time it may as well be a wrong address: then nobody is sent
//! here.

use tokio::sync::watch;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The store was not reached yet.
    Starting,
    /// All is well.
    Ready,
    /// The store is away.
    Degraded,
    /// The end was asked for.
    Draining,
}

/// Shared by those who find out and those who tell.
#[derive(Debug, Clone)]
pub(super) struct Readiness(watch::Sender<State>);

impl Readiness {
    pub(super) fn starting() -> Self {
        Self(watch::Sender::new(State::Starting))
    }

    pub(super) fn state(&self) -> State {
        *self.0.borrow()
    }

    /// The store was asked.
    pub(super) fn store_answered(&self, is_up: bool) {
        self.0.send_if_modified(|state| {
            let next = match (*state, is_up) {
                (State::Draining, _) => State::Draining,
                (_, true) => State::Ready,
                (State::Starting, false) => State::Starting,
                (_, false) => State::Degraded,
            };
            let is_new = next != *state;
            *state = next;
            is_new
        });
    }

    /// The end was asked for.
    pub(super) fn drain(&self) {
        self.0.send_replace(State::Draining);
    }

    /// Ends once calls may come. Never where the end comes before.
    pub(super) async fn reached(&self) {
        let mut states = self.0.subscribe();
        let is_reached = |state: &State| matches!(state, State::Ready | State::Degraded);
        if states.wait_for(is_reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
