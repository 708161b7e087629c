//! What a history may be made of: who is meant, under which profile, and for how long.

use callgate::engine::profile::Profile;

use super::quotas::DAY;
use crate::twins::Dice;

pub const SECOND: u64 = 1000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;

/// What a history may be made of.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Who may be meant.
    pub ids: &'static [(&'static str, &'static str)],
    /// Whether customers are forgotten: only where the host's clock is ours.
    pub forgets: bool,
    /// How long the host remembers that it erased something.
    pub remembers_erasures_for: u64,
    /// The longest pause between two commands.
    pub longest_pause: u64,
    /// How long a history may take, and how far before it begins something may have happened.
    pub longest: u64,
    pub before: u64,
    /// Both ids of the only customer are seen together before anything else.
    pub binds_first: bool,
}

pub const ONE: &[(&str, &str)] = &[("15550199001", "")];

/// One customer under one id.
pub const ALONE: Scope = Scope {
    ids: ONE,
    forgets: false,
    remembers_erasures_for: u64::MAX,
    longest_pause: 70 * DAY,
    // What was told last is still there: records are not let expire.
    longest: 290 * DAY,
    before: 100 * DAY,
    binds_first: false,
};

/// The same, and the customer is forgotten at times.
pub const FORGETTING: Scope = Scope { forgets: true, ..ALONE };

/// One customer under two ids that are seen together sooner or later.
pub const TWO: Scope = Scope {
    ids: &[("15550199001", ""), ("15550199001", ""), ("", "US.1000"), ("15550199001", "US.1000")],
    // Nothing is folded before it is known to be one customer's: that is beyond the horizon.
    longest_pause: DAY,
    longest: 7 * DAY,
    before: DAY - MINUTE,
    ..FORGETTING
};

/// One customer under two ids that are seen together before anything else, for as long as one under one
/// id.
pub const BOUND: Scope = Scope { ids: TWO.ids, binds_first: true, ..FORGETTING };

/// Two numbers, one of them in two spellings, and two users, in any combination: numbers change hands,
/// some go back and forth, users have several. Nothing is folded.
pub const OWNERS: Scope = Scope {
    ids: &[
        ("5511987654321", ""),
        ("551187654321", ""),
        ("15550199002", ""),
        ("", "US.1000"),
        ("", "US.2000"),
        ("5511987654321", "US.1000"),
        ("551187654321", "US.1000"),
        ("5511987654321", "US.2000"),
        ("15550199002", "US.1000"),
        ("15550199002", "US.2000"),
    ],
    ..TWO
};

/// The same with three of each, so that some are linked through others only.
pub const MANY: Scope = Scope {
    ids: &[
        ("15550199001", ""),
        ("15550199002", ""),
        ("15550199003", ""),
        ("", "US.1000"),
        ("", "US.2000"),
        ("", "US.3000"),
        ("15550199001", "US.1000"),
        ("15550199001", "US.2000"),
        ("15550199002", "US.2000"),
        ("15550199002", "US.3000"),
        ("15550199003", "US.3000"),
        ("15550199003", "US.1000"),
    ],
    ..TWO
};

/// A built-in profile, or one with random numbers.
pub fn profile(dice: &mut Dice) -> Profile {
    let mut p = dice.pick(&Profile::built_in()).clone();
    if dice.below(3) == 0 {
        return p;
    }
    p.temporary_permission = *dice.pick(&[5 * SECOND, HOUR, DAY, 7 * DAY, 7 * DAY, 20 * DAY]);
    p.request_lapses_after = *dice.pick(&[3 * SECOND, HOUR, DAY, 7 * DAY]);
    p.requests_per_day = *dice.pick(&[1, 2, 3]);
    p.requests_per_week = *dice.pick(&[1, 2, 4]);
    p.connected_call_resets_requests = dice.below(2) == 0;
    p.undelivered_request_counts = dice.below(2) == 0;
    p.request_ends_permission = dice.below(2) == 0;
    p.calls_per_window = *dice.pick(&[1, 2, 3, 5]);
    p.call_window = *dice.pick(&[5 * SECOND, HOUR, DAY, 10 * DAY]);
    p.calls_per_permission = *dice.pick(&[0, 1, 2, 4]);
    p.calls_at_once = *dice.pick(&[0, 1, 2]);
    p.longest_call = *dice.pick(&[MINUTE, HOUR]);
    (p.unanswered_warns_at, p.unanswered_revokes_at) = *dice.pick(&[(1, 2), (2, 4), (1, 3)]);
    p.canceled_is_unanswered = dice.below(2) == 0;
    p.inbound_call_grants = dice.below(2) == 0;
    p.lease = *dice.pick(&[5 * SECOND, 90 * SECOND, HOUR]);
    p.expiring_soon = *dice.pick(&[SECOND, HOUR, DAY]);
    p
}
