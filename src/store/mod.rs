//! Where steps happen. [`codec`] is the record as bytes, [`lua`] the host that runs the rulebook in
//! this process; the stores are beside them.

pub mod codec;
pub mod embedded;
pub mod lua;
pub mod redis;
