//! Watching: every change of a permission reaches every subscriber, without gap, resumable.
//!
//! ```text
//!                         ┌────────────── hub: one task per process, while anybody watches ─────────────┐
//!  store: change log ───> │ reads what is new, per partition ─> routes: by all, by number, by pair ──┐  │
//!    of each partition    │ says on the board how far it is                                          │  │
//!        ^                └──────────────────────────────────────────────────────────────────────────┼──┘
//!        │ reads by itself while behind                                                    queue of 64
//!        └──────────────────────── subscriber: a cursor, a position per partition <──────────────────┘
//!                                      │ snapshot, then changes, Progress when quiet; each with a token
//!                                      v
//!                                  a gRPC stream
//!
//!  store: deadlines ─────> sweeper: settles what time alone has changed ─> a step, as any other ─> change log
//! ```
//!
//! A subscriber is its cursor: all that was told, and nothing else, lies at or before it. What is in
//! the queue begins where the feed was given, what was before is read from the log; so the two halves
//! meet without gap, and what comes twice is left out by its position. A subscriber that is slow, and
//! one whose hub had trouble, loses its queue and is nothing worse than one that resumes.
//!
//! In reading order: [`filter`] (what a stream is about), `cursor` (resume tokens), `routes`, `hub` and
//! its `task`, `snapshot` and `subscriber`, `sweeper`. Knows the engine only: no gRPC, no store's type.

mod backoff;
mod cursor;
pub mod filter;
mod hub;
mod routes;
mod snapshot;
mod subscriber;
mod sweeper;
mod task;

use std::{sync::Arc, time::Duration};

pub use self::{filter::Filter, subscriber::Subscription, sweeper::sweep};
use crate::engine::{
    Error,
    change::Change,
    gate::{Answer, Gate},
};

/// How long the hub outlives its last subscriber: one that reconnects finds it running.
const LINGERS: Duration = Duration::from_secs(5);

/// What a subscriber asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What the stream is about.
    pub filter: Filter,
    /// Go on after this message of an earlier stream. Empty: from now.
    pub resume_token: Vec<u8>,
    /// The present state of every pair first. Needs a filter by pairs. Of a stream that resumes, only
    /// one that broke off among its snapshots sends them, all of them again, asked or not.
    pub snapshot: bool,
    /// The longest silence.
    pub progress_interval: Duration,
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub struct Message {
    /// Resumes right after this message.
    pub resume_token: Vec<u8>,
    /// What.
    pub told: Told,
}

/// See [`Message`].
#[derive(Debug, Clone)]
pub enum Told {
    /// A change.
    Change(Arc<Change>),
    /// The state of a pair.
    Snapshot(State),
    /// Nothing happened up to here.
    Progress,
}

/// The state of a pair: as the gate settled it, or after a change that came right behind.
#[derive(Debug, Clone)]
pub enum State {
    /// As it was settled.
    Settled(Box<Answer>),
    /// After this change.
    After(Arc<Change>),
}

/// Why a stream ends. By itself it never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It cannot go on.
    Failed(Error),
    /// The server drains: another one, or the same one later, goes on from the token.
    Draining,
}

/// Opens streams of changes.
#[derive(Debug, Clone)]
pub struct Watch {
    gate: Gate,
    hub: hub::Hub,
    draining: Draining,
}

/// Whether the server drains: then every stream ends. `None`: it never does. A sender that is gone
/// drains as well.
pub type Draining = Option<tokio::sync::watch::Receiver<bool>>;

impl Watch {
    /// Over this gate.
    pub fn new(gate: Gate, draining: Draining) -> Self {
        Self::lingering(gate, draining, LINGERS)
    }

    /// The same, with another time that the change log stays open after its last subscriber.
    pub fn lingering(gate: Gate, draining: Draining, lingers: Duration) -> Self {
        let hub = hub::Hub::new(Arc::clone(gate.store()), lingers);
        Self { gate, hub, draining }
    }

    /// Opens a stream: its first message comes at once.
    ///
    /// # Errors
    /// [`End::Failed`] with `Invalid` for `snapshot` or `resume_token`, or with the store's error while
    /// that is away; [`End::Draining`].
    pub async fn open(&self, request: Request) -> Result<Subscription, End> {
        Subscription::open(self, request).await
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
