//! Doors: where the gate listens, how connections come in, how requests over them end in order.
//!
//! ```text
//!  Listener (port or Unix socket) ─> Incoming: TLS, at most so many open ─> Connection with its Peer
//!                                                                             ├─> serve_grpc
//!                                                                             └─> serve_http
//! ```
//!
//! In reading order: [`address`], [`listener`], [`tls`] (what a door shows and asks for), [`connection`],
//! [`incoming`], [`greeting`], [`serve`]. Knows nothing of what is served.

pub mod address;
pub mod connection;
mod greeting;
pub mod incoming;
pub mod listener;
pub mod serve;
pub mod tls;

pub use self::{
    address::Address,
    connection::{Connection, Peer},
    incoming::{Incoming, Options},
    listener::Listener,
    serve::{serve_grpc, serve_http},
    tls::{ClientCertificate, Files, Identity, Protocol, Tls},
};
