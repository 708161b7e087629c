//! The gRPC front door: the contract of `proto/callgate/v1` over [`Gate`](crate::engine::gate::Gate).
//!
//! A request is checked once, at the edge (`field`, `convert`), asked of the gate (`calls`,
//! `requests`, `events`, `reads`, `numbers`, `erasure`, `quarantine`, `configuration`, `watch`: one file
//! per concern), and its answer shown (`convert`). A no is an answer; an error becomes a status in one
//! table (`status`). `observe` sees to metrics and traces. [`router`] joins all services with health and
//! reflection; before any of them a request meets `access` (who asks, and may it) and `admission` (is
//! there room); `body` bounds what comes and ends what has no end. Nothing here knows a store or the
//! webhooks.

pub mod access;
mod admission;
mod body;
mod calls;
pub(crate) mod codec;
mod configuration;
mod convert;
mod erasure;
mod events;
mod field;
mod numbers;
mod observe;
mod quarantine;
mod reads;
mod requests;
mod router;
mod rpc;
mod status;
mod watch;

pub use admission::Limits;
pub use configuration::{InEffect, Shown};
pub(crate) use observe::stream_ends;
pub use quarantine::{Retried, Retry};
pub use router::{Health, Options, Router, router};
