//! What several topics need: a real server over any store, and stores that misbehave on purpose.

pub mod collector;
pub mod formats;
pub mod process;
pub mod server;
pub mod stub;
pub mod tally;
pub mod vm;
