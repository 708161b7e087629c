//! Instants and spans. Rules take `now` as an argument; only a [`Clock`] reads the wall clock.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use crate::engine::wall::WallClock;

/// Milliseconds since 1970-01-01T00:00:00Z, as an instant. 0 means "unset" wherever it crosses into
/// the rulebook.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Unset.
    pub const ZERO: Self = Self(0);

    /// The instant, unless unset.
    pub fn get(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }

    /// This instant and a span later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// As a calendar time in UTC.
    pub fn utc(self) -> DateTime<Utc> {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// A span in whole milliseconds, saturating.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Where the embedded store's time comes from. (Redis uses its own clock.)
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant. Never goes back.
    fn now(&self) -> Millis;

    /// A store was opened that was last written at `newest`: no earlier instant is given from now on.
    fn resume(&self, _newest: Millis) {}

    /// Meta has stamped something that was signed by its secret with `stamp`. See [`WallClock`].
    fn hear(&self, _stamp: Millis) {}
}

/// A clock elsewhere, as it was learned by asking it.
#[derive(Debug, Default)]
pub struct Learned(Mutex<Option<(Millis, Instant)>>);

impl Learned {
    /// It answered `told` to a question that was put at `asked`, and so about half way since.
    pub fn learn(&self, told: Millis, asked: Instant) {
        let learned = (told.plus(asked.elapsed() / 2), Instant::now());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(learned);
    }

    /// What it shows by now. `None`: it was never asked.
    pub fn now(&self) -> Option<Millis> {
        let learned = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.map(|(told, at)| told.plus(at.elapsed()))
    }
}

/// A clock that tests move by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Stands at `at`.
    pub fn at(at: Millis) -> Self {
        Self(AtomicU64::new(at.0))
    }

    /// Moves to `at`.
    pub fn set(&self, at: Millis) {
        self.0.store(at.0, Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}
