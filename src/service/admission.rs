//! How much is under way at once: what is beyond is turned away at once, before it costs memory.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::service::{body::Bounded, status};

/// The longest request about one customer: it has a few ids of some hundred bytes each. Bytes.
const CALL_BYTES_MAX: usize = 64 << 10;

/// The methods that ask about one customer, or one business number, at a time.
const CALLS: [&str; 6] = [
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

/// The methods that take less than others, with the bytes that they take: a small request may be
/// compressed from a large one, so that these are bounded after that as well.
pub(crate) fn small(request_bytes_max: usize) -> impl Iterator<Item = (&'static str, usize)> {
    let calls = CALLS.into_iter().map(|path| (path, CALL_BYTES_MAX));
    let small = calls.chain([(STREAM, STREAM_BYTES_MAX)]);
    small.map(move |(path, bytes_max)| (path, bytes_max.min(request_bytes_max)))
}

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
    stream_room: Arc<Semaphore>,
    request_bytes_max: usize,
    request_time_max: Duration,
}

/// A request for a stream: a thousand business numbers, and a thousand pairs with long ids. Bytes.
const STREAM_BYTES_MAX: usize = 320 << 10;
/// All requests for streams that are on their way together. Bytes.
const STREAM_ROOM: usize = 8 << 20;
/// Pairs and numbers that a stream may name in its own place; of further ones so many, begun or not, take
/// a place each. A place is 40 KiB: a stream has 24 KiB, and a pair up to 1.9.
const NAMES_FREE: usize = 5;
const NAMES_PER_PLACE: usize = 16;

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
        Place::take(self.class, 1, self.limit, &self.free, &self.taken)
    }
}

/// How long an answer has its place.
pub(crate) enum Lasts {
    /// No longer.
    No,
    /// Until it is read, for a while.
    UntilRead,
    /// While its client may hear it, and waits for it.
    WhileItMay,
    /// However long it is.
    AsItDoes,
}

/// A place under the limits, or several, given back when it is dropped.
pub(crate) struct Place {
    class: Class,
    limit: usize,
    taken: Gauge,
    permits: OwnedSemaphorePermit,
}

impl Place {
    fn take(
        class: Class,
        count: u32,
        limit: usize,
        free: &Arc<Semaphore>,
        taken: &Gauge,
    ) -> Result<Self, Status> {
        let name = class.name();
        let permits = Arc::clone(free).try_acquire_many_owned(count).map_err(|_| {
            metrics::counter!("callgate_shed_total", "class" => name).increment(1);
            status::too_many(&format!("{limit} requests of class {name}"))
        })?;
        taken.increment(f64::from(count));
        Ok(Self { class, limit, taken: taken.clone(), permits })
    }

    /// How long an answer has this place, once it is there.
    pub(crate) fn lasts(&self) -> Lasts {
        match self.class {
            // It is short.
            Class::Call | Class::Probe => Lasts::No,
            // It is in memory until it is read.
            Class::Batch => Lasts::UntilRead,
            Class::Stream => Lasts::WhileItMay,
            // It has no handler of ours that would see to its end.
            Class::Other => Lasts::AsItDoes,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.decrement(self.permits.num_permits() as f64);
    }
}

/// The place of a stream, for as long as it lasts: the handler takes it.
#[derive(Clone)]
pub(crate) struct StreamPlace {
    held: Arc<Place>,
    _more: Option<Arc<Place>>,
}

impl StreamPlace {
    pub(crate) fn new(held: &Arc<Place>) -> Self {
        Self { held: Arc::clone(held), _more: None }
    }

    /// For a stream that names so many pairs and numbers.
    ///
    /// # Errors
    /// There are no places for as many.
    pub(crate) fn for_names(self, count: usize) -> Result<Self, Status> {
        let Place { class, limit, taken, permits } = &*self.held;
        let more = count.saturating_sub(NAMES_FREE).div_ceil(NAMES_PER_PLACE);
        if *limit <= more {
            return Err(status::too_wide(count, more + 1, *limit));
        }
        let more = match u32::try_from(more).unwrap_or(u32::MAX) {
            0 => None,
            more => Some(Arc::new(Place::take(*class, more, *limit, permits.semaphore(), taken)?)),
        };
        Ok(Self { _more: more, ..self })
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
            stream_room: Arc::new(Semaphore::new(Bounded::units(STREAM_ROOM))),
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
            Class::Stream => (&self.streams, Some((STREAM_BYTES_MAX.min(usual.0), usual.1))),
            Class::Probe => (&self.probes, Some(probe)),
            Class::Other if path == HEALTH_WATCH => (&self.others, Some(probe)),
            // A reflection listens to its client: its body has no end.
            Class::Other => (&self.others, None),
        };
        let place = places.take()?;
        if let Some((bytes_max, time_max)) = bounds {
            let body = std::mem::take(request.body_mut());
            let room = (class == Class::Stream).then(|| Arc::clone(&self.stream_room));
            *request.body_mut() = Body::new(Bounded::new(body, bytes_max, time_max, room));
        }
        Ok(place)
    }
}
