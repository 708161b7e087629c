//! The stream of permission changes: its request checked, its messages shown.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures_util::{StreamExt as _, stream::BoxStream};
use tonic::Status;

use crate::{
    engine::{
        self,
        change::Change,
        pair::{Pair, PhoneNumberId},
    },
    proto::{self as pb, watch_permissions_response::Message as Shown},
    service::{convert, field, status},
    watch::{self, Filter, Message, State, Told, Watch},
};

/// What a subscriber gets.
pub(crate) type Changes = BoxStream<'static, Result<pb::WatchPermissionsResponse, Status>>;

/// Opens a stream. It ends with `deadline`, if the caller gave it one.
pub(crate) async fn permissions(
    watch: &Watch,
    request: pb::WatchPermissionsRequest,
    deadline: Option<Instant>,
) -> Result<Changes, Status> {
    let request = self::request(request).map_err(status::of)?;
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
    Ok(match deadline {
        None => messages.boxed(),
        Some(deadline) => {
            let end = tokio::time::sleep_until(deadline.into());
            let too_late = futures_util::stream::once(async { Err(status::stream_too_late()) });
            messages.take_until(end).chain(too_late).boxed()
        }
    })
}

fn request(request: pb::WatchPermissionsRequest) -> engine::Result<watch::Request> {
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
    let pairs = pairs.into_iter().enumerate().map(pair).collect::<engine::Result<Vec<Pair>>>()?;
    Ok(watch::Request {
        filter: Filter::new(&numbers, pairs)?,
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
