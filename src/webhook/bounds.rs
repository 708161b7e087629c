//! How much of bodies may be on its way at once, before anybody knows whose they are.
//!
//! What is counted is bytes, as they are announced, and not bodies: a stranger who holds a connection
//! open costs what it could send, and no more. Short bodies, as nearly all of Meta's are, have a half of
//! the room for themselves, so that long ones that never come do not keep them out.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{Method, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Options, Refusal, SIGNATURE_HEADER};

/// Bodies up to this one are short. Bytes.
const SHORT: usize = 64 << 10;
/// A body takes this much room at least: that of its connection. Bytes.
const LEAST: usize = 4 << 10;
/// Room is counted in these. Bytes.
const UNIT: usize = 1 << 10;
/// How long a body may take on its way.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);

pub(super) struct Bounds {
    short: Semaphore,
    long: Semaphore,
    body_max: usize,
    body_time_max: Duration,
    /// Of a webhook as a whole.
    pub(super) time_max: Duration,
}

impl Bounds {
    pub(super) fn new(options: &Options) -> Self {
        let Options { body_max, at_once_max, time_max, .. } = *options;
        let half = at_once_max.saturating_mul(body_max) / 2;
        let room =
            |least: usize| Semaphore::new(units(half.max(least)).min(Semaphore::MAX_PERMITS));
        Self {
            short: room(SHORT),
            long: room(body_max),
            body_max,
            body_time_max: BODY_TIME_MAX.min(time_max),
            time_max,
        }
    }

    /// Room for what a request announces; `None`: it brings nothing.
    pub(super) fn room(&self, request: &Request) -> Result<Option<SemaphorePermit<'_>>, Refusal> {
        if request.method() != Method::POST {
            return Ok(None);
        }
        // Who does not even pretend to be Meta is not listened to.
        if !request.headers().contains_key(SIGNATURE_HEADER) {
            return Err(Refusal::Signature);
        }
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = announced.unwrap_or(self.body_max).max(LEAST);
        if announced.is_some_and(|announced: usize| self.body_max < announced) {
            return Err(Refusal::TooLarge);
        }
        let room = if bytes <= SHORT { &self.short } else { &self.long };
        let units = u32::try_from(units(bytes)).unwrap_or(u32::MAX);
        room.try_acquire_many(units).map(Some).map_err(|_| Refusal::TooMany)
    }

    /// The request with all of its body.
    pub(super) async fn read(&self, request: Request) -> Result<Request, Refusal> {
        let (parts, body) = request.into_parts();
        let reading = Limited::new(body, self.body_max).collect();
        let read = tokio::time::timeout(self.body_time_max, reading).await;
        let bytes: Bytes = match read {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge),
            Ok(Err(_)) => return Err(Refusal::Unreadable),
            Err(_) => return Err(Refusal::TooSlow),
        };
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}
