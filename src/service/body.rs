//! Bodies on their way in and out: a request is bounded in bytes and in time, an answer without end ends
//! when the server does.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    http::HeaderMap,
};
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{Instant, Sleep},
};
use tonic::Status;

use crate::service::status;

/// Of a gRPC message: whether it is compressed, and its length.
const MESSAGE_HEAD_LEN: usize = 5;
/// In which room for requests is counted. Bytes.
const UNIT: usize = 1 << 10;
/// What is handed over of an answer at once: the connection takes the next piece when its client has
/// room for more. Bytes.
const PIECE: usize = 64 << 10;

/// The body of a request of one message, refused as soon as it is known to be too large or too slow: one
/// that stops halfway would keep its place under the limits for as long as its client likes.
pub(crate) struct Bounded {
    body: Body,
    bytes_max: usize,
    /// Bytes that may still come.
    left: usize,
    is_begun: bool,
    until: Instant,
    /// Most requests are there at once and need none.
    late: Option<Pin<Box<Sleep>>>,
    /// That of all such requests together, in units of [`UNIT`], and what this one has of it.
    room: Option<Arc<Semaphore>>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Bounded {
    /// How many units so many bytes take.
    pub(crate) fn units(bytes: usize) -> usize {
        bytes.div_ceil(UNIT)
    }

    /// A message of at most `bytes_max`, all of it within `time_max` from now. What has come of it takes
    /// its part of `room`.
    pub(crate) fn new(
        body: Body,
        bytes_max: usize,
        time_max: Duration,
        room: Option<Arc<Semaphore>>,
    ) -> Self {
        Self {
            body,
            bytes_max,
            left: bytes_max.saturating_add(MESSAGE_HEAD_LEN),
            is_begun: false,
            until: Instant::now() + time_max,
            late: None,
            room,
            taken: None,
        }
    }

    /// For all that has come.
    fn take_room(&mut self) -> Result<(), Status> {
        let Some(room) = &self.room else { return Ok(()) };
        let came = self.bytes_max.saturating_add(MESSAGE_HEAD_LEN) - self.left;
        let has = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(Self::units(came).saturating_sub(has)).unwrap_or(u32::MAX);
        let taken = Arc::clone(room).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| status::too_many("large requests for streams"))?;
        match &mut self.taken {
            Some(all) => all.merge(taken),
            None => self.taken = Some(taken),
        }
        Ok(())
    }

    fn look_at(&mut self, data: &[u8]) -> Result<(), Status> {
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        // A head that comes in pieces is found too large when its message is.
        let announced = match data {
            [_, length @ ..] if is_first => length.first_chunk().copied().map(u32::from_be_bytes),
            _ => None,
        };
        let is_announced_too_large = announced
            .is_some_and(|length| usize::try_from(length).map_or(true, |n| self.bytes_max < n));
        match self.left.checked_sub(data.len()) {
            Some(left) if !is_announced_too_large => self.left = left,
            _ => return Err(status::too_large(self.bytes_max)),
        }
        Ok(())
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let until = self.until;
            let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(late.as_mut().poll(cx));
            return Poll::Ready(Some(Err(status::too_slow().into())));
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.look_at(data)?;
            self.take_room()?;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that has no end of its own, such as the answer to a watch on our health.
pub(crate) struct Ending {
    body: Body,
    /// `None` once it has come.
    end: Option<BoxFuture<'static, Option<Status>>>,
}

impl Ending {
    /// Ends once all that waits has been told: an answer with its status, a request without one.
    pub(crate) fn new(body: Body, end: BoxFuture<'static, Option<Status>>) -> Self {
        Self { body, end: Some(end) }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(end) = &mut this.end else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let status = ready!(end.as_mut().poll(cx));
        this.end = None;
        Poll::Ready(status.and_then(|status| trailers(&status)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.body.is_end_stream()
    }
}

/// An answer that keeps something, such as its place under the limits, until it was told or given up: it
/// is in memory for as long. Not beyond its end: a client that does not read would keep it for ever.
pub(crate) struct Held<T> {
    state: Arc<Mutex<State<T>>>,
    end: Option<AbortHandle>,
}

enum State<T> {
    Open(Kept<T>),
    /// It ended before it was read to its end, and this is to be told.
    Ended(Box<Status>),
    Over,
}

struct Kept<T> {
    body: Body,
    /// Of its last frame, what was not handed over yet.
    rest: Bytes,
    /// Who waits for more of it.
    reader: Option<Waker>,
    _held: T,
}

impl<T: Send + 'static> Held<T> {
    /// `end`: when it comes it is over, read or not, with that status; `None`: it may have no end.
    pub(crate) fn new(body: Body, held: T, end: Option<BoxFuture<'static, Status>>) -> Self {
        let kept = Kept { body, rest: Bytes::new(), reader: None, _held: held };
        let state = Arc::new(Mutex::new(State::Open(kept)));
        // Nobody looks at the body of a client that has no room: something else has to end it.
        let end = end.map(|end| {
            let state = Arc::clone(&state);
            let end = async move {
                let status = end.await;
                let mut state = lock(&state);
                let State::Open(kept) = &mut *state else { return };
                let reader = kept.reader.take();
                let over = std::mem::replace(&mut *state, State::Ended(Box::new(status)));
                drop(state);
                drop(over);
                if let Some(reader) = reader {
                    reader.wake();
                }
            };
            tokio::spawn(end).abort_handle()
        });
        Self { state, end }
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let over = std::mem::replace(&mut *lock(&self.state), State::Over);
        drop(over);
        if let Some(end) = &self.end {
            end.abort();
        }
    }
}

impl<T> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open(kept) => {
                let polled = kept.poll_frame(cx);
                kept.reader = polled.is_pending().then(|| cx.waker().clone());
                polled
            }
            State::Ended(status) => {
                let told = trailers(status).map(Ok);
                *state = State::Over;
                Poll::Ready(told)
            }
            State::Over => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &*lock(&self.state) {
            State::Open(kept) => kept.rest.is_empty() && kept.body.is_end_stream(),
            State::Ended(_) => false,
            State::Over => true,
        }
    }
}

impl<T> Kept<T> {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = PIECE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }
}

fn trailers(status: &Status) -> Option<Frame<Bytes>> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).ok()?;
    Some(Frame::trailers(trailers))
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{FutureExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_ended_says_why_to_whoever_waits_for_it() {
        let endless = || Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
        let end = async {
            tokio::task::yield_now().await;
            status::no_longer_permitted()
        };
        let held = Held::new(endless(), (), Some(end.boxed()));
        let told = Body::new(held).collect().await.unwrap();
        assert_eq!(told.trailers().unwrap()["grpc-status"], "16");
        let mut held = Held::new(endless(), (), None);
        assert!(held.frame().now_or_never().is_none(), "it has no end");
    }
}
