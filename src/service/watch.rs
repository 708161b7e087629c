//! The stream of permission changes: its request checked, its messages shown.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tonic::Status;

use crate::{
    engine::{
        self,
        change::Change,
        pair::{Pair, PhoneNumberId},
        scope::Scope,
    },
    proto::{self as pb, watch_permissions_response::Message as Shown},
    service::{admission::StreamPlace, convert, field, status},
    watch::{self, Filter, Message, State, Told, Watch},
};

/// What a subscriber gets.
pub(crate) type Changes = BoxStream<'static, Result<pb::WatchPermissionsResponse, Status>>;

/// How far a stream may look, and when it ends though nothing failed.
pub(crate) struct Ends {
    /// The caller's own deadline, if it gave one.
    pub(crate) deadline: Option<Instant>,
    /// Its place under the limits, for as long as it lasts.
    pub(crate) place: Option<StreamPlace>,
    /// What the caller may hear of.
    pub(crate) scope: Scope,
    /// Ends when the caller may not hear it any more.
    pub(crate) lost: BoxFuture<'static, ()>,
}

/// Opens a stream.
pub(crate) async fn permissions(
    watch: &Watch,
    request: pb::WatchPermissionsRequest,
    ends: Ends,
) -> Result<Changes, Status> {
    let Ends { deadline, place, scope, lost } = ends;
    let names = request.phone_number_ids.len() + request.pairs.len();
    let request = self::request(request, &scope).map_err(status::of)?;
    let place = place.map(|place| place.for_names(names)).transpose()?;
    let subscription = watch.open(request).await.map_err(status::of_end)?;
    let messages = subscription.into_messages().map(|message| match message {
        Ok(message) => Ok(shown(message)),
        Err(end) => Err(status::of_end(end)),
    });
    // A panic costs the one stream, and its client is told.
    let messages = AssertUnwindSafe(messages).catch_unwind().map(|message| {
        message.unwrap_or_else(|_| {
            tracing::error!("a stream panicked");
            Err(status::panicked())
        })
    });
    let end = async move {
        let too_late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = too_late => status::stream_too_late(),
            () = lost => status::no_longer_permitted(),
        }
    };
    Ok(until(messages.boxed(), end.boxed(), place))
}

/// These messages, or those before the end and then its status. `place` is kept as long.
fn until(
    messages: Changes,
    end: BoxFuture<'static, Status>,
    place: Option<StreamPlace>,
) -> Changes {
    let open = Some((messages, end, place));
    stream::unfold(open, async |open| {
        let (mut messages, mut end, place) = open?;
        tokio::select! {
            biased;
            status = &mut end => Some((Err(status), None)),
            message = messages.next() => Some((message?, Some((messages, end, place)))),
        }
    })
    .boxed()
}

fn request(request: pb::WatchPermissionsRequest, scope: &Scope) -> engine::Result<watch::Request> {
    let pb::WatchPermissionsRequest {
        phone_number_ids,
        pairs,
        resume_token,
        snapshot,
        progress_interval,
    } = request;
    let number = |(index, id): (usize, &String)| {
        PhoneNumberId::parse(id, &format!("phone_number_ids[{index}]"))
    };
    let pair = |(index, pair)| convert::pair(Some(pair), &format!("pairs[{index}]"));
    let numbers =
        phone_number_ids.iter().enumerate().map(number).collect::<engine::Result<Vec<_>>>()?;
    numbers.iter().try_for_each(|number| scope.check(number))?;
    let pairs = pairs.into_iter().enumerate().map(pair).collect::<engine::Result<Vec<Pair>>>()?;
    Ok(watch::Request {
        filter: Filter::new(&numbers, pairs)?.within(scope)?,
        resume_token,
        snapshot,
        progress_interval: field::progress_interval(progress_interval, "progress_interval")?,
    })
}

fn shown(message: Message) -> pb::WatchPermissionsResponse {
    let Message { resume_token, told } = message;
    let message = match told {
        Told::Change(change) => Shown::Change(self::change(&change)),
        Told::Snapshot(State::Settled(answer)) => Shown::Snapshot(convert::permission(&answer)),
        Told::Snapshot(State::After(change)) => Shown::Snapshot(convert::permission_after(&change)),
        Told::Progress => Shown::Progress(pb::Progress {}),
    };
    pb::WatchPermissionsResponse { resume_token, message: Some(message) }
}

fn change(change: &Change) -> pb::PermissionChange {
    pb::PermissionChange {
        permission: Some(convert::permission_after(change)),
        previous_status: i32::from(change.previous_status),
        cause: i32::from(change.cause),
        occurred_at: convert::timestamp(change.occurred_at),
        recorded_at: convert::timestamp(change.recorded_at),
        event_id: change.event_id.clone(),
    }
}
