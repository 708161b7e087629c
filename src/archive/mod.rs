//! What a store keeps, as lines of JSON: for backups, and for moving to another store.
//!
//! ```text
//! {"header":{"format":"callgate facts","version":1,…}}
//! {"number":{…}}  {"display":{…}}  {"customer":{…}}  {"quarantined":{…}}  {"forgotten":{…}}   one a line
//! {"end":{…}}     how many there are of each, and the SHA-256 of all that stands before
//! ```
//! [`line`] is the lines, [`facts`] the records in them, [`export`] and [`import`] the ways, `rename` what
//! becomes of ids where a store of further keys takes them in. A reader
//! refuses what it does not know: a line left out could be a customer's no. What joining means is said
//! by the rulebook alone (`merge.lua`).

pub mod export;
pub mod facts;
pub mod import;
pub mod line;
mod rename;

/// What the header calls the format.
pub const FORMAT: &str = "callgate facts";
/// Grows when a reader of before would misread a file.
pub const VERSION: u32 = 1;
