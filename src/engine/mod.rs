//! The domain, without I/O: who is meant, what happened, what is asked, what is answered.
//!
//! In reading order: [`pair`] (who), [`time`] (when; [`wall`]: what
//! becomes of a host's clock that is set), [`fact`] (what happened), [`profile`] (the
//! rules as data), [`scope`] (of whom somebody may ask), [`step`] (one command on one pair, and its
//! reply), [`change`] (what the stream tells), [`store`] (where steps happen; [`archive`]: all that they
//! keep, for elsewhere), [`pseudonym`], `seal` and [`veil`] (a store that knows nobody), [`gate`] (the
//! questions as the edges ask them), [`code`] and [`explain`] (answers as names and sentences), `tally`
//! (what steps did, counted).
//!
//! Nothing here knows gRPC, HTTP, Redis or Lua; the wall clock is read in `wall` alone.

pub mod archive;
pub mod attempt_id;
pub mod change;
pub mod code;
pub mod error;
pub mod explain;
pub mod fact;
pub mod gate;
pub mod pair;
pub mod profile;
pub mod pseudonym;
pub mod scope;
pub(crate) mod seal;
pub mod step;
pub mod store;
pub(crate) mod tally;
pub mod time;
pub mod veil;
pub mod wall;

pub use error::{Error, Result};
