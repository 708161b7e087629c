//! Watching: the hub and its subscribers over a scripted store, and streams over a real one.

mod double;
mod drain;
mod follow;
mod lag;
mod listen;
mod slow;
mod snapshot;
mod storm;
mod stream;
mod sweeper;
mod trouble;
