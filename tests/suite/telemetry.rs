//! What operators see of a running gate: its metrics against their table in `docs/operations.md`, and its
//! traces at the end of a collector.

mod slow;
mod table;
