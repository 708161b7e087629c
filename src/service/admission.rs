//! How much is under way at once: what is beyond is turned away at once, before it costs memory.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::service::{body::Bounded, status};

/// The longest request about one customer: it has a few ids of some hundred bytes each. Bytes.
pub(crate) const CALL_BYTES_MAX: usize = 64 << 10;

/// The methods that ask about one customer, or one business number, at a time.
pub(crate) const CALLS: [&str; 6] = [
    "/callgate.v1.CallPermissionService/AuthorizeCall",
    "/callgate.v1.CallPermissionService/ReportCall",
    "/callgate.v1.CallPermissionService/AuthorizePermissionRequest",
    "/callgate.v1.CallPermissionService/GetPermission",
    "/callgate.v1.CallPermissionService/GetBusinessNumber",
    "/callgate.v1.CallPermissionService/UpdateBusinessNumber",
];

/// The method that streams.
const STREAM: &str = "/callgate.v1.CallPermissionService/WatchPermissions";

/// Questions for our health, and separately what is no method of ours otherwise (watches on our health,
/// reflection). Strangers may ask for health: so much they may cost at most, and it is far more than all
/// probes of a gate need.
const PROBES_MAX: usize = 1024;
/// A question for our health names a service. Bytes.
const PROBE_BYTES_MAX: usize = 1 << 10;
/// It is one packet; a machine that is busy may take its time.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);

/// The question of probes.
const PROBE: &str = "/grpc.health.v1.Health/Check";
/// A watch on our health.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

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
    Probe,
    Other,
}

impl Class {
    fn of(path: &str) -> Self {
        match path {
            STREAM => Self::Stream,
            _ if CALLS.contains(&path) => Self::Call,
            _ if path.starts_with("/callgate.v1.") => Self::Batch,
            PROBE => Self::Probe,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }
}

/// Turns away what is beyond the limits.
pub(crate) struct Admission {
    calls: Places,
    batches: Places,
    streams: Places,
    probes: Places,
    others: Places,
    request_bytes_max: usize,
    request_time_max: Duration,
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
        Ok(Place { class: self.class, taken: self.taken.clone(), _permit: permit })
    }
}

/// A place under the limits, given back when it is dropped.
pub(crate) struct Place {
    class: Class,
    taken: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Whether it lasts as long as the answer: of what carries much at once, which is in memory until
    /// it is read, and of what has no handler of ours that would see to its end. Other answers are short.
    pub(crate) fn lasts_as_its_answer(&self) -> bool {
        matches!(self.class, Class::Batch | Class::Other)
    }
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
    /// `request_bytes_max` is for all requests but those about one customer.
    pub(crate) fn new(
        limits: Limits,
        request_bytes_max: usize,
        request_time_max: Duration,
    ) -> Self {
        Self {
            request_bytes_max,
            request_time_max,
            calls: Places::new(Class::Call, limits.calls),
            batches: Places::new(Class::Batch, limits.batches),
            streams: Places::new(Class::Stream, limits.streams),
            probes: Places::new(Class::Probe, PROBES_MAX),
            others: Places::new(Class::Other, PROBES_MAX),
        }
    }

    /// Finds a place for a request, and bounds its body.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<Place, Status> {
        let path = request.uri().path();
        let class = Class::of(path);
        let usual = (self.request_bytes_max, self.request_time_max);
        let probe = (PROBE_BYTES_MAX, PROBE_TIME_MAX);
        let (places, bounds) = match class {
            Class::Call => (&self.calls, Some((CALL_BYTES_MAX.min(usual.0), usual.1))),
            Class::Batch => (&self.batches, Some(usual)),
            Class::Stream => (&self.streams, Some(usual)),
            Class::Probe => (&self.probes, Some(probe)),
            Class::Other if path == HEALTH_WATCH => (&self.others, Some(probe)),
            // A reflection listens to its client: its body has no end.
            Class::Other => (&self.others, None),
        };
        let place = places.take()?;
        if let Some((bytes_max, time_max)) = bounds {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Bounded::new(body, bytes_max, time_max));
        }
        Ok(place)
    }
}
