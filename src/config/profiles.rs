//! `[profiles.NAME]`: rules of one's own, each extending another profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::value::{Access, Key, Raw, did_you_mean},
    engine::profile::Profile,
};

const SECOND: u64 = 1000;
const DAY: u64 = 86_400 * SECOND;

/// Longest span: the retention, after which nothing is known any more.
const SPAN_MAX: u64 = 400 * DAY;

/// A record holds 512 calls. 32 are left for those that hold no slot (misses, failures, reports of
/// calls that were never authorized), so that a full window can still be reported about.
const CALLS_MAX: u32 = 512 - 32;

/// As many requests as Meta's own test numbers allow in a week.
const REQUESTS_MAX: u32 = 100;

const fn span(
    path: &'static str,
    about: &'static str,
    field: fn(&mut Profile) -> &mut u64,
) -> Key<Profile> {
    Key { path, name: "", has_flag: false, about, access: Access::Span(SECOND, SPAN_MAX, field) }
}

const fn count(
    path: &'static str,
    (min, max): (u32, u32),
    about: &'static str,
    field: fn(&mut Profile) -> &mut u32,
) -> Key<Profile> {
    Key { path, name: "", has_flag: false, about, access: Access::Count(min, max, field) }
}

const fn flag(
    path: &'static str,
    about: &'static str,
    field: fn(&mut Profile) -> &mut bool,
) -> Key<Profile> {
    Key { path, name: "", has_flag: false, about, access: Access::Flag(field) }
}

/// Every key of a profile, in the order of `docs/rules.md`.
pub static PROFILE_KEYS: &[Key<Profile>] = &[
    span(
        "temporary_permission",
        "How long a temporary permission lasts where the reply tells no expiry.",
        |p| &mut p.temporary_permission,
    ),
    span("request_lapses_after", "How long a sent request waits for its reply.", |p| {
        &mut p.request_lapses_after
    }),
    count("requests_per_day", (1, REQUESTS_MAX), "Permission requests in 24 h.", |p| {
        &mut p.requests_per_day
    }),
    count("requests_per_week", (1, REQUESTS_MAX), "Permission requests in 7 d.", |p| {
        &mut p.requests_per_week
    }),
    flag(
        "connected_call_resets_requests",
        "An answered call in either direction starts the request counts anew.",
        |p| &mut p.connected_call_resets_requests,
    ),
    flag(
        "undelivered_request_counts",
        "A request that could not be delivered counts all the same.",
        |p| &mut p.undelivered_request_counts,
    ),
    flag("request_ends_permission", "Sending a new request ends the permission in effect.", |p| {
        &mut p.request_ends_permission
    }),
    count("calls_per_window", (1, CALLS_MAX), "Answered calls in `call_window`.", |p| {
        &mut p.calls_per_window
    }),
    span("call_window", "The sliding window of `calls_per_window`.", |p| &mut p.call_window),
    count(
        "calls_per_permission",
        (0, CALLS_MAX),
        "Answered calls within one temporary permission; 0: no limit.",
        |p| &mut p.calls_per_permission,
    ),
    count("calls_at_once", (0, CALLS_MAX), "Calls at once; 0: no limit.", |p| &mut p.calls_at_once),
    span(
        "longest_call",
        "After this time an answered call of which no end was told is taken to be over.",
        |p| &mut p.longest_call,
    ),
    count(
        "unanswered_warns_at",
        (1, 99),
        "Misses in a row after which the customer is asked to review the permission. Less than \
         `unanswered_revokes_at`.",
        |p| &mut p.unanswered_warns_at,
    ),
    count(
        "unanswered_revokes_at",
        (2, 100),
        "Misses in a row that take the permission away.",
        |p| &mut p.unanswered_revokes_at,
    ),
    flag(
        "canceled_is_unanswered",
        "A call that the business ended while it rang is a miss.",
        |p| &mut p.canceled_is_unanswered,
    ),
    flag("inbound_call_grants", "A customer's call gives a temporary permission by itself.", |p| {
        &mut p.inbound_call_grants
    }),
    span("lease", "How long a slot is held without news of the call.", |p| &mut p.lease),
    span("expiring_soon", "How long before its end a permission is said to expire soon.", |p| {
        &mut p.expiring_soon
    }),
];

/// A value of a profile and where it stands: `FILE:LINE`.
#[derive(Debug)]
pub struct Entry {
    /// The row of [`PROFILE_KEYS`].
    pub key: &'static Key<Profile>,
    /// The value.
    pub raw: Raw,
    /// `FILE:LINE`.
    pub place: String,
}

/// One `[profiles.NAME]` as it was written.
#[derive(Debug)]
pub struct Table {
    /// Where it starts: `FILE:LINE`.
    pub place: String,
    /// What it extends, and where it says so.
    pub extends: Option<(String, String)>,
    /// Its own keys.
    pub entries: Vec<Entry>,
}

/// What a profile extends if it does not say.
pub const EXTENDS_BY_DEFAULT: &str = "atom";

/// Resolves every table into a profile. What is wrong goes to `errors`, and the profile that has it
/// is still there, so that names of it are not called unknown.
pub fn resolve(
    tables: &BTreeMap<String, Table>,
    errors: &mut Vec<String>,
) -> BTreeMap<String, Profile> {
    let mut resolving = Resolving {
        tables,
        errors,
        done: BTreeMap::new(),
        path: Vec::new(),
        broken: BTreeSet::new(),
    };
    for profile in Profile::built_in() {
        resolving.done.insert(profile.name.clone(), profile);
    }
    for name in tables.keys() {
        resolving.profile(name);
    }
    resolving.done
}

struct Resolving<'a> {
    tables: &'a BTreeMap<String, Table>,
    errors: &'a mut Vec<String>,
    done: BTreeMap<String, Profile>,
    path: Vec<&'a str>,
    /// Profiles with a wrong value, told already: what follows from it is not told.
    broken: BTreeSet<&'a str>,
}

impl<'a> Resolving<'a> {
    fn profile(&mut self, name: &'a str) -> Profile {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let table = &self.tables[name];
        self.path.push(name);
        let mut profile = self.base(name, table);
        self.path.pop();
        name.clone_into(&mut profile.name);
        for entry in &table.entries {
            if let Err(problem) = entry.key.set(&mut profile, &entry.raw) {
                self.errors.push(format!("{}: [profiles.{name}] {problem}", entry.place));
                self.broken.insert(name);
            }
        }
        self.check(name, table, &profile);
        self.done.insert(name.to_owned(), profile.clone());
        profile
    }

    fn base(&mut self, name: &'a str, table: &'a Table) -> Profile {
        let Some((base, place)) = &table.extends else {
            return self.done[EXTENDS_BY_DEFAULT].clone();
        };
        if self.path.contains(&base.as_str()) {
            let cycle = [self.path.as_slice(), &[base.as_str()]].concat().join(" -> ");
            self.errors.push(format!("{place}: [profiles.{name}] extends itself: {cycle}"));
        } else if self.done.contains_key(base) || self.tables.contains_key(base) {
            let profile = self.profile(base);
            if self.broken.contains(base.as_str()) {
                self.broken.insert(name);
            }
            return profile;
        } else {
            let known = self.done.keys().chain(self.tables.keys()).map(String::as_str);
            let hint = did_you_mean(base, known);
            self.errors.push(format!(
                "{place}: [profiles.{name}] extends \"{base}\", which is no profile{hint}"
            ));
        }
        self.broken.insert(name);
        Profile::atom()
    }

    fn check(&mut self, name: &str, table: &Table, profile: &Profile) {
        if self.broken.contains(name) || profile.unanswered_warns_at < profile.unanswered_revokes_at
        {
            return;
        }
        let of_streak = |e: &&Entry| e.key.path.starts_with("unanswered_");
        let place = table.entries.iter().find(of_streak).map_or(&table.place, |e| &e.place);
        self.errors.push(format!(
            "{place}: [profiles.{name}] unanswered_warns_at ({}) must be less than \
             unanswered_revokes_at ({})",
            profile.unanswered_warns_at, profile.unanswered_revokes_at
        ));
    }
}
