//! The gRPC front door: a real server on a port of its own and a real client, every RPC with good and
//! bad input.

mod answers;
pub mod ask;
mod bad_input;
mod door;
mod excess;
mod explain;
mod faults;
mod gate;
mod keeping;
mod limits;
mod sizes;
