//! The one table from errors to gRPC statuses. Clients get a reason that a program can read and a
//! sentence without a customer's data; logs get the cause.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{engine::Error, watch::End};

/// Of all reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "callgate";
/// When a caller may try again after UNAVAILABLE: the store looks for its server about so often.
const RETRY_AFTER: Duration = Duration::from_millis(500);

const UNAVAILABLE: &str = "the store is unavailable, nothing is decided: do not dial. Repeat the \
    request with the same ids; what was done already is not done twice";
const TOO_LATE: &str = "the store did not answer in time, nothing is decided: do not dial. Repeat \
    the request with the same ids; what was done already is not done twice";
const INTERNAL: &str =
    "internal error, nothing is decided: do not dial. The gate's log has the cause";

/// As a gRPC status.
pub(crate) fn of(error: Error) -> Status {
    let text = text(&error);
    match error {
        Error::Invalid { field, problem } => {
            let mut details = reason("INVALID_FIELD");
            details.add_bad_request_violation(field, problem);
            Status::with_error_details(Code::InvalidArgument, text, details)
        }
        Error::AlreadyExists(_) => {
            Status::with_error_details(Code::AlreadyExists, text, reason("ATTEMPT_IS_OVER"))
        }
        Error::Exhausted(_) => {
            Status::with_error_details(Code::ResourceExhausted, text, reason("RECORD_IS_FULL"))
        }
        Error::NotFound(_) => Status::with_error_details(Code::NotFound, text, reason("NOT_FOUND")),
        Error::NotPermitted(problem) => {
            tracing::warn!(problem, "a client's numbers do not allow this");
            denied("numbers");
            not_permitted(text)
        }
        Error::OutOfRange(_) => {
            Status::with_error_details(Code::OutOfRange, text, reason("LOG_OUT_OF_RANGE"))
        }
        Error::Unavailable(cause) => {
            tracing::warn!(cause, "store unavailable");
            let mut details = reason("STORE_UNAVAILABLE");
            details.set_retry_info(Some(RETRY_AFTER));
            Status::with_error_details(Code::Unavailable, text, details)
        }
        Error::DeadlineExceeded(cause) => {
            tracing::warn!(cause, "store did not answer in time");
            Status::with_error_details(Code::DeadlineExceeded, text, reason("STORE_TOO_LATE"))
        }
        Error::Internal(cause) => {
            tracing::error!(cause, "internal error");
            Status::with_error_details(Code::Internal, text, reason("INTERNAL"))
        }
    }
}

/// The caller's own deadline has passed.
pub(crate) fn too_late() -> Status {
    const TEXT: &str = "the call's deadline has passed, nothing is decided: do not dial. Repeat the \
        request with the same ids; what was done already is not done twice";
    Status::with_error_details(Code::DeadlineExceeded, TEXT, reason("CALL_TOO_LATE"))
}

/// Counts somebody who asks and may not.
pub(crate) fn denied(reason: &'static str) {
    metrics::counter!("callgate_auth_failures_total", "reason" => reason).increment(1);
}

/// Who asks is known, and may not ask this.
pub(crate) fn not_permitted(text: String) -> Status {
    Status::with_error_details(Code::PermissionDenied, text, reason("NOT_PERMITTED"))
}

/// Who asks is not known.
pub(crate) fn unknown_client(text: &str) -> Status {
    Status::with_error_details(Code::Unauthenticated, text, reason("CLIENT_UNKNOWN"))
}

/// More is under way than the gate takes on at once.
pub(crate) fn too_many(what: &str) -> Status {
    let text = format!(
        "{what} are under way, which is all that this gate takes on at once; nothing is decided: do \
         not dial. Repeat the request a little later with the same ids"
    );
    let mut details = reason("TOO_MANY_AT_ONCE");
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, text, details)
}

/// A stream names more than this gate has room for, whatever else is under way.
pub(crate) fn too_wide(names: usize, places: usize, limit: usize) -> Status {
    let text = format!(
        "a stream of {names} pairs and numbers counts as {places} streams, and this gate has room for \
         {limit}: name fewer, or raise limits.streams"
    );
    Status::with_error_details(Code::FailedPrecondition, text, reason("STREAM_TOO_WIDE"))
}

/// A request is larger than anything it could have to say.
pub(crate) fn too_large(max: usize) -> Status {
    let text =
        format!("the request is larger than {max} bytes, which is all that this method takes");
    Status::with_error_details(Code::OutOfRange, text, reason("REQUEST_TOO_LARGE"))
}

/// A message has more parts than any has that says something.
pub(crate) fn too_many_fields(max: usize) -> Status {
    let text = format!(
        "the message has more than {max} fields, each item of a list counted by itself: a list takes \
         1000 items, split it"
    );
    Status::with_error_details(Code::OutOfRange, text, reason("REQUEST_TOO_LARGE"))
}

/// A request stopped on its way.
pub(crate) fn too_slow() -> Status {
    const TEXT: &str = "the request did not arrive in time, nothing is decided: do not dial. Repeat it \
        with the same ids";
    Status::with_error_details(Code::DeadlineExceeded, TEXT, reason("REQUEST_TOO_SLOW"))
}

/// An answer was not read.
pub(crate) fn unread() -> Status {
    const TEXT: &str = "the answer was not read in time. Repeat the request with the same ids; what was \
        done already is not done twice";
    Status::with_error_details(Code::DeadlineExceeded, TEXT, reason("ANSWER_UNREAD"))
}

/// A stream's client lost its rights.
pub(crate) fn no_longer_permitted() -> Status {
    const TEXT: &str = "what this client may see has changed: reconnect with your token, the \
        resume_token of the last message, and a credential that is known";
    denied("client_changed");
    Status::with_error_details(Code::Unauthenticated, TEXT, reason("CLIENT_CHANGED"))
}

/// Why a stream of changes ends.
pub(crate) fn of_end(end: End) -> Status {
    match end {
        End::Failed(error) => of(error),
        End::Draining => {
            const TEXT: &str = "this gate is shutting down: reconnect with your token, the \
                resume_token of the last message; nothing is lost";
            let mut details = reason("DRAINING");
            details.set_retry_info(Some(RETRY_AFTER));
            Status::with_error_details(Code::Unavailable, TEXT, details)
        }
    }
}

/// The deadline that the caller gave a stream has passed.
pub(crate) fn stream_too_late() -> Status {
    const TEXT: &str = "the deadline that was given to this stream has passed: reconnect with your \
        token, the resume_token of the last message; a stream needs no deadline";
    Status::with_error_details(Code::DeadlineExceeded, TEXT, reason("CALL_TOO_LATE"))
}

/// A handler panicked.
pub(crate) fn panicked() -> Status {
    Status::with_error_details(Code::Internal, INTERNAL, reason("INTERNAL"))
}

/// What a client may read of an error.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::Unavailable(_) => UNAVAILABLE.to_owned(),
        Error::DeadlineExceeded(_) => TOO_LATE.to_owned(),
        Error::Internal(_) => INTERNAL.to_owned(),
        Error::Invalid { .. }
        | Error::AlreadyExists(_)
        | Error::Exhausted(_)
        | Error::NotFound(_)
        | Error::NotPermitted(_)
        | Error::OutOfRange(_) => error.to_string(),
    }
}

fn reason(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}
