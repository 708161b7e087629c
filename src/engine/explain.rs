//! Answers as plain sentences for a person.

/// The contract's name of a reason, without its prefix, in lower case: for logs and metrics.
pub fn reason_name(_reason: u8) -> &'static str {
    ""
}
