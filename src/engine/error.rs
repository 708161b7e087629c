//! Failures. A denial is an answer and never one of these.

use thiserror::Error;

/// Result of the engine and of the stores.
pub type Result<T> = std::result::Result<T, Error>;

/// Why no answer could be given. The edges map it to a gRPC status or an HTTP code in one table
/// each; nothing was recorded for a step that ended with one of these, except possibly for
/// [`Error::Unavailable`] and [`Error::DeadlineExceeded`], which a caller repeats with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A field of the request is wrong. `field` is the path in the request, e.g. `pair.customer`.
    #[error("{field}: {problem}")]
    Invalid {
        /// Path of the field in the request.
        field: String,
        /// What is wrong with it, and the mend.
        problem: String,
    },
    /// The `call_id` or `request_id` names an attempt that is over already.
    #[error("{0}")]
    AlreadyExists(String),
    /// The record holds its 512 calls or 64 requests and none of them may go.
    #[error("{0}")]
    Exhausted(String),
    /// No such thing, e.g. a quarantined webhook.
    #[error("{0}")]
    NotFound(String),
    /// Who asks may not ask this.
    #[error("{0}")]
    NotPermitted(String),
    /// What a resumed stream would have to tell first is not in the log any more.
    #[error("{0}")]
    OutOfRange(String),
    /// The store cannot be reached or refuses to write. Repeat later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store did not answer in time. The step may have happened.
    #[error("the store did not answer in time: {0}")]
    DeadlineExceeded(String),
    /// A bug, or a record that this version cannot read.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A wrong field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    /// Whether the store may answer otherwise when it is asked again.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DeadlineExceeded(_))
    }
}
