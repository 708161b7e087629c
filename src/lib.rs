//! callgate: may this business call this customer on WhatsApp, right now?
//!
//! ```text
//!             gRPC / UDS ─> service ─┐                       ┌─> store/embedded ─> Lua host ─┐
//!  Meta ─ HTTP ─> webhook ───────────┼─> engine ─ trait Store┤                               ├─> rulebook/*.lua
//!                                    │                       └─> store/redis ── EVALSHA ─────┘
//!                 service <─ watch ──┘ change log and deadlines
//!        config, telemetry, cli, app: the edges; nothing below knows them
//! ```
//!
//! Read in this order: [`engine`] (the domain), [`rulebook`] (the law), [`store`] (where steps
//! happen), [`archive`] (what they keep as a file), [`watch`] (what the stream tells, and when time tells
//! it), [`service`] and [`webhook`] (the two front doors), [`door`] (how connections reach them),
//! [`config`], [`app`], [`cli`]. [`trace`] is below all of them, as a logger is, and so is `lasting`.

pub mod app;
pub mod archive;
pub mod cli;
pub mod config;
pub mod door;
pub mod engine;
mod lasting;
pub mod rulebook;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod watch;
pub mod webhook;

/// The contract, generated from `proto/`.
pub mod proto {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated; documented in proto/"
    )]
    tonic::include_proto!("callgate.v1");
    /// For gRPC reflection.
    pub const DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/callgate_descriptor.bin"));
}
