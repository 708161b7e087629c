//! How much is under way at once: what is beyond is turned away at once, before it costs memory.

use std::sync::Arc;

use axum::{body::Body, extract::Request};
use http_body_util::{BodyExt as _, Limited};
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::service::status;

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Questions and reports about one customer.
    pub calls: usize,
    /// What carries much at once: batches, lists, erasures.
    pub batches: usize,
    /// Streams of changes.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 1024, batches: 32, streams: 10_000 }
    }
}

/// Kinds of work that are limited each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Call,
    Batch,
    Stream,
}

impl Class {
    /// `None`: health and reflection, which are always answered.
    fn of(path: &str) -> Option<Self> {
        let method = path.strip_prefix("/callgate.v1.")?;
        Some(match method {
            "CallPermissionService/AuthorizeCall"
            | "CallPermissionService/ReportCall"
            | "CallPermissionService/AuthorizePermissionRequest"
            | "CallPermissionService/GetPermission"
            | "CallPermissionService/GetBusinessNumber"
            | "CallPermissionService/UpdateBusinessNumber" => Self::Call,
            "CallPermissionService/WatchPermissions" => Self::Stream,
            _ => Self::Batch,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Batch => "batch",
            Self::Stream => "stream",
        }
    }

    /// The longest request of one customer has ids of some hundred bytes each. Bytes.
    fn request_bytes_max(self) -> Option<usize> {
        match self {
            Self::Call => Some(64 << 10),
            Self::Batch | Self::Stream => None,
        }
    }
}

/// Turns away what is beyond the limits.
pub(crate) struct Admission {
    calls: Places,
    batches: Places,
    streams: Places,
}

/// The places of one class.
struct Places {
    class: Class,
    limit: usize,
    free: Arc<Semaphore>,
    taken: Gauge,
}

impl Places {
    fn new(class: Class, limit: usize) -> Self {
        let free = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let taken = metrics::gauge!("callgate_in_flight", "class" => class.name());
        taken.set(0.0);
        Self { class, limit, free, taken }
    }

    fn take(&self) -> Result<Place, Status> {
        let name = self.class.name();
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            metrics::counter!("callgate_shed_total", "class" => name).increment(1);
            status::too_many(&format!("{} requests of class {name}", self.limit))
        })?;
        self.taken.increment(1.0);
        Ok(Place { taken: self.taken.clone(), _permit: permit })
    }
}

/// A place under the limits, given back when it is dropped.
pub(crate) struct Place {
    taken: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.decrement(1.0);
    }
}

/// The place of a stream, for as long as it lasts: the handler takes it.
#[derive(Clone)]
pub(crate) struct StreamPlace {
    _held: Arc<Place>,
}

impl StreamPlace {
    pub(crate) fn new(held: &Arc<Place>) -> Self {
        Self { _held: Arc::clone(held) }
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            calls: Places::new(Class::Call, limits.calls),
            batches: Places::new(Class::Batch, limits.batches),
            streams: Places::new(Class::Stream, limits.streams),
        }
    }

    /// Finds a place for a request, and bounds its body. `None`: it needs none.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<Option<Place>, Status> {
        let Some(class) = Class::of(request.uri().path()) else { return Ok(None) };
        let place = match class {
            Class::Call => &self.calls,
            Class::Batch => &self.batches,
            Class::Stream => &self.streams,
        }
        .take()?;
        if let Some(max) = class.request_bytes_max() {
            bound(request, max);
        }
        Ok(Some(place))
    }
}

fn bound(request: &mut Request, max: usize) {
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(Limited::new(body, max).map_err(move |error| {
        if error.is::<http_body_util::LengthLimitError>() {
            status::too_large(max)
        } else {
            Status::from_error(error)
        }
    }));
}
