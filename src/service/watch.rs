//! The stream of permission changes, which this version does not serve yet.

use futures_util::stream::BoxStream;
use tonic::Status;

use crate::proto::WatchPermissionsResponse;

/// What a subscriber gets.
pub(crate) type Changes = BoxStream<'static, Result<WatchPermissionsResponse, Status>>;

pub(crate) fn permissions() -> Result<Changes, Status> {
    Err(Status::unimplemented(
        "WatchPermissions is not served by this version; read GetPermission instead",
    ))
}
