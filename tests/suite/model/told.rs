//! One thing that was told: of whom, when, what, and under which ids it is kept.

use callgate::engine::fact::{CallOutcome, CallReport, Fact};

/// Meta's error: the provider knows of no permission.
pub const NO_PERMISSION: i32 = 138_006;

/// One thing that was told, or decided here.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it happened.
    pub at: u64,
    /// Of whom, by `wa_id` (its key), or "".
    pub wa: String,
    /// Of whom, by user id, or "".
    pub user: String,
    /// What.
    pub what: What,
    /// The call or request that it tells of is older than the horizon: what it was it stays, and its
    /// ids name it no more.
    pub is_closed: bool,
}

impl Told {
    /// Whether it is kept under this id: what is told by the user id alone under that, all other under
    /// the `wa_id`; a no that is told by both, and what is given back, under both.
    pub fn is_under(&self, id: &str) -> bool {
        let is_no = match &self.what {
            What::Fact(Fact::Reply(reply)) => !reply.accept,
            What::Fact(Fact::Call(call)) => call.error == NO_PERMISSION,
            _ => false,
        };
        !id.is_empty() && (self.wa == id || (self.user == id && (self.wa.is_empty() || is_no)))
    }

    /// Whether it is one of the calls and requests under this id: a refused call that was told by both
    /// ids is under the user id as a taking-away only.
    pub fn is_row_under(&self, id: &str) -> bool {
        self.wa.is_empty() || self.wa == id || !matches!(self.what, What::Fact(_))
    }
}

/// What was told or decided.
#[derive(Debug, Clone)]
pub enum What {
    /// By somebody.
    Fact(Fact),
    /// A call was allowed, and is held until then.
    HeldCall { own: String, until: u64 },
    /// What was held for this call was given back.
    ReleasedCall { own: String },
    /// A permission request was allowed.
    HeldRequest { own: String, until: u64 },
    /// See `ReleasedCall`.
    ReleasedRequest { own: String },
}

pub fn set(at: callgate::engine::time::Millis) -> Option<u64> {
    at.get().map(|at| at.0)
}

/// When the call was what the report says: for an answered one the pick-up, for one that was placed
/// when it was dialled.
pub fn time_of_call(report: &CallReport, at: u64) -> u64 {
    match report.outcome {
        CallOutcome::Answered => set(report.answered_at).unwrap_or(at),
        CallOutcome::Placed => set(report.placed_at).unwrap_or(at),
        _ => at,
    }
}
