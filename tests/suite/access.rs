//! Who may ask what: every method, role and business number; what is opened to whom; what changes while
//! a gate runs.

mod certificates;
mod matrix;
mod raw;
mod scope;
mod slow;
