//! What the stream tells of: one change of a customer's permission, as the change log keeps it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::engine::{
    Result,
    code::{change_cause_name, status_name},
    step::View,
    time::Millis,
};

/// A place in the change log of one partition: that of an entry, or before the first
/// ([`Position::START`]). What the two numbers mean is the store's own; they only grow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position(pub u64, pub u64);

impl Position {
    /// Before every entry.
    pub const START: Self = Self(0, 0);
}

/// One change, as the rulebook tells it. In the log it is a MessagePack array of these fields in this
/// order, the same in both stores; its version is the first.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// [`Change::FORMAT`].
    pub format: u8,
    /// Meta's id of the business number.
    pub number: String,
    /// The customer's key as a `wa_id`, or "".
    pub wa: String,
    /// The customer's user id, or "".
    pub user: String,
    /// A `ChangeCause`.
    pub cause: u8,
    /// A `PermissionStatus`: what was told last.
    pub previous_status: u8,
    /// When it happened.
    pub occurred_at: Millis,
    /// When it was recorded.
    pub recorded_at: Millis,
    /// The event that caused it, or "".
    pub event_id: String,
    /// The rules that judged, and two of their numbers.
    pub profile: String,
    /// See `UnansweredStreak`.
    pub warns_at: u32,
    /// See `UnansweredStreak`.
    pub revokes_at: u32,
    /// The profile's window of calls. Milliseconds.
    pub call_window: u64,
    /// The instant for which the state was judged.
    pub judged_at: Millis,
    /// The state after the change: as in [`View`].
    pub wa_id: String,
    /// A `PermissionStatus`.
    pub status: u8,
    /// A `GrantKind`, or 0.
    pub grant_kind: u8,
    /// A `GrantSource`, or 0.
    pub grant_source: u8,
    /// When the grant in effect was given.
    pub granted_at: Millis,
    /// When the grant in effect ends; unset: permanent.
    pub expires_at: Millis,
    /// When the status changes by itself.
    pub valid_until: Millis,
    /// Misses in a row.
    pub streak: u32,
    /// The conversation window's end, or unset.
    pub conversation_ends_at: Millis,
    /// Grows with every recorded fact of the pair.
    pub revision: u64,
    /// See [`View`].
    pub quota_limit: Vec<u32>,
    /// See [`View`].
    pub quota_used: Vec<u32>,
    /// See [`View`].
    pub quota_held: Vec<u32>,
    /// See [`View`].
    pub quota_free_at: Vec<Millis>,
}

/// Without the customer, who is not for logs.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("number", &self.number)
            .field("cause", &change_cause_name(self.cause))
            .field("previous_status", &status_name(self.previous_status))
            .field("status", &status_name(self.status))
            .field("occurred_at", &self.occurred_at)
            .field("recorded_at", &self.recorded_at)
            .field("valid_until", &self.valid_until)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Change {
    /// The version of the fields.
    pub const FORMAT: u8 = 1;

    /// The state after the change.
    pub fn view(&self) -> View {
        View {
            wa_id: self.wa_id.clone(),
            user_id: self.user.clone(),
            status: self.status,
            grant_kind: self.grant_kind,
            grant_source: self.grant_source,
            granted_at: self.granted_at,
            expires_at: self.expires_at,
            valid_until: self.valid_until,
            streak: self.streak,
            conversation_ends_at: self.conversation_ends_at,
            revision: self.revision,
            quota_limit: self.quota_limit.clone(),
            quota_used: self.quota_used.clone(),
            quota_held: self.quota_held.clone(),
            quota_free_at: self.quota_free_at.clone(),
            ..View::default()
        }
    }
}

/// A change and where it stands in the log of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Where.
    pub position: Position,
    /// What. Shared by all who hear of it.
    pub change: Arc<Change>,
}

/// What may be read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These partitions have, or may have, new changes.
    Of(Vec<u16>),
    /// Any watched partition may have: notices may have been lost.
    OfAny,
}

/// The change log, open for reading. A store gives one; who holds it keeps its connections open.
#[async_trait]
pub trait ChangeLog: Send + Sync + std::fmt::Debug {
    /// Where the log of each of these partitions ends now.
    ///
    /// # Errors
    /// See [`Store`](crate::engine::store::Store).
    async fn tails(&self, partitions: &[u16]) -> Result<Vec<Position>>;

    /// The changes of a partition after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::engine::Error) if changes after `after` are not there any more
    /// (trimmed by age or length), or if `after` itself was lost (a failover, a restored backup): then
    /// what was told does not agree with the log any more. Else see
    /// [`Store`](crate::engine::store::Store).
    async fn read(&self, partition: u16, after: Position, limit: usize) -> Result<Vec<Logged>>;

    /// Replaces the set of partitions of which [`ChangeLog::news`] tells.
    ///
    /// # Errors
    /// See [`Store`](crate::engine::store::Store).
    async fn attend(&self, partitions: &[u16]) -> Result<()>;

    /// Waits for news of the attended partitions: at most a few seconds, so that what a notice missed
    /// is found all the same. For one caller at a time; dropping the future loses nothing.
    async fn news(&self) -> News;
}
