//! Names of all codes as in the contract, and decisions in plain words.

use std::sync::Arc;

use callgate::{
    engine::{
        code, explain,
        gate::Answer,
        pair::Pair,
        profile::{NumberFacts, Profile},
        step::{Reply, View},
        time::Millis,
    },
    proto as pb,
};

use crate::service::ask::{CUSTOMER, DAY, HOUR, NUMBER, SECOND, T};

/// Every number that the contract has, with its name, and no other.
macro_rules! in_step {
    ($($module:ident, $name_of:ident, $enum:ident, $prefix:literal;)*) => {$({
        for number in 0..=u8::MAX {
            let known = pb::$enum::try_from(i32::from(number)).ok();
            let name = known.map_or_else(
                || "unspecified".to_owned(),
                |known| known.as_str_name().strip_prefix($prefix).unwrap().to_lowercase(),
            );
            assert_eq!(explain::$name_of(number), name, "{} {number}", stringify!($enum));
            let listed = code::$module::ALL.iter().any(|&(code, _)| code == number);
            assert_eq!(listed, known.is_some() && number != 0, "{} {number}", stringify!($enum));
        }
    })*};
}

#[test]
fn codes_are_the_contracts() {
    in_step! {
        decision, decision_name, Decision, "DECISION_";
        reason, reason_name, Reason, "REASON_";
        next_step, next_step_name, NextStep, "NEXT_STEP_";
        warning, warning_name, WarningCode, "WARNING_CODE_";
        status, status_name, PermissionStatus, "PERMISSION_STATUS_";
        grant_kind, grant_kind_name, GrantKind, "GRANT_KIND_";
        grant_source, grant_source_name, GrantSource, "GRANT_SOURCE_";
        quota, quota_name, QuotaKind, "QUOTA_KIND_";
        event_status, event_status_name, EventStatus, "EVENT_STATUS_";
    }
}

#[test]
fn spans_and_times_read_as_people_say_them() {
    let spans = [
        (24 * HOUR, "24 h"),
        (7 * DAY, "7 d"),
        (90 * SECOND, "90 s"),
        (60 * SECOND, "60 s"),
        (HOUR, "1 h"),
        (600 * SECOND, "10 min"),
        (36 * HOUR, "36 h"),
        (1500, "1500 ms"),
    ];
    for (ms, text) in spans {
        assert_eq!(explain::span(ms), text);
    }
    let midnight = T + 12 * HOUR;
    let times = [
        (T + 7_500_000, "14:05:00 UTC"),
        (midnight - 1000, "23:59:59 UTC"),
        // Rounded up, so that nobody calls early.
        (midnight - 999, "2026-11-17 00:00:00 UTC"),
        (midnight, "2026-11-17 00:00:00 UTC"),
        (T - 12 * HOUR - 1000, "2026-11-15 23:59:59 UTC"),
    ];
    for (at, text) in times {
        assert_eq!(explain::time(Millis(at), Millis(T)), text);
    }
}

fn answer(profile: Profile, reply: Reply) -> Answer {
    let pair = Pair::parse(NUMBER, CUSTOMER, "", "pair").unwrap();
    Answer { pair, profile: Arc::new(profile), reply: Reply { now: Millis(T), ..reply } }
}

fn view(used: [u32; 4], held: [u32; 4]) -> View {
    View {
        quota_limit: vec![5, 35, 1, 2],
        quota_used: used.to_vec(),
        quota_held: held.to_vec(),
        quota_free_at: vec![Millis::ZERO; 4],
        ..View::default()
    }
}

fn denied(blocked_by: &[u8]) -> Reply {
    Reply {
        decision: 2,
        reason: blocked_by[0],
        blocked_by: blocked_by.to_vec(),
        view: view([0; 4], [0; 4]),
        ..Reply::default()
    }
}

#[test]
fn denials_of_calls() {
    let atom = |reply| explain::call(&answer(Profile::atom(), reply));
    let table = [
        (10, "the customer was never asked for permission"),
        (12, "the customer rejected the permission request"),
        (13, "the customer took the permission back"),
        (
            14,
            "the provider took the permission back: 4 unanswered calls in a row, or it refused a call",
        ),
        (15, "the temporary permission has run out"),
        (16, "the customer did not answer the permission request within 24 h"),
    ];
    for (reason, text) in table {
        assert_eq!(atom(denied(&[reason])), text);
    }

    let mut pending = denied(&[11]);
    pending.view.status = 2;
    pending.view.valid_until = Millis(T + HOUR);
    assert_eq!(
        atom(pending),
        "asked at 2026-11-15 13:00:00 UTC, awaiting the customer's reply until 13:00:00 UTC"
    );

    let mut full = denied(&[20]);
    full.view = view([5, 5, 0, 0], [0; 4]);
    full.free_at = Millis(T + 7_500_000);
    assert_eq!(atom(full.clone()), "5 of 5 answered calls in 24 h; next free 14:05:00 UTC");

    full.view = view([3, 3, 0, 0], [2, 2, 0, 0]);
    full.free_at = Millis(T + DAY);
    assert_eq!(
        atom(full.clone()),
        "3 answered and 2 held of 5 calls in 24 h; next free 2026-11-17 12:00:00 UTC"
    );

    full.view = view([5, 35, 0, 0], [0; 4]);
    full.blocked_by = vec![20, 21];
    full.reason = 21;
    full.free_at = Millis::ZERO;
    full.view.expires_at = Millis(T + HOUR);
    assert_eq!(
        atom(full),
        "35 of 35 answered calls within this permission; also 5 of 5 answered calls in 24 h; \
         nothing frees before the permission ends 13:00:00 UTC"
    );

    let in_progress = Reply { free_at: Millis(T + HOUR), ..denied(&[22]) };
    let meta = explain::call(&answer(Profile::meta(), in_progress));
    assert_eq!(meta, "a call is in progress; next free 13:00:00 UTC");
}

#[test]
fn pauses_of_the_number() {
    let disabled = || NumberFacts { calling: 1, ..NumberFacts::default() };
    let paused =
        |until| NumberFacts { pause: 2, paused_until: Millis(until), ..NumberFacts::default() };
    let requests = |until| NumberFacts {
        request_pause: 2,
        requests_paused_until: Millis(until),
        ..NumberFacts::default()
    };
    let table = [
        (disabled(), "calling is disabled on the business number"),
        (paused(0), "the business number is paused without end"),
        (paused(T + HOUR), "the business number is paused until 13:00:00 UTC"),
        (
            NumberFacts { calling: 1, ..paused(T + HOUR) },
            "calling is disabled on the business number and the business number is paused until \
             13:00:00 UTC",
        ),
        (requests(0), "permission requests of the business number are paused without end"),
        (
            requests(T + HOUR),
            "permission requests of the business number are paused until 13:00:00 UTC",
        ),
    ];
    for (number, text) in table {
        let free_at = number.paused_until;
        let reply = Reply { number, free_at, ..denied(&[23]) };
        assert_eq!(explain::call(&answer(Profile::atom(), reply)), text);
    }
}

#[test]
fn allowed_calls() {
    let mut reply = Reply { decision: 1, reason: 1, ..Reply::default() };
    reply.view = view([2, 2, 0, 0], [1, 1, 0, 0]);
    reply.view.expires_at = Millis(T + 7 * DAY);
    let text = |reply: &Reply| explain::call(&answer(Profile::atom(), reply.clone()));
    let until = "permission until 2026-11-23 12:00:00 UTC; 3 of 5 calls in 24 h counted or held";
    assert_eq!(text(&reply), until);
    reply.replayed = 1;
    assert_eq!(text(&reply), format!("{until}; its slot was held already"));
    reply = Reply { decision: 1, reason: 2, view: view([0; 4], [1, 0, 0, 0]), ..Reply::default() };
    assert_eq!(text(&reply), "permanent permission; 1 of 5 calls in 24 h counted or held");
    reply.reason = 3;
    assert_eq!(text(&reply), "not a WhatsApp call: WhatsApp's permission rules do not apply");
}

#[test]
fn permission_requests() {
    let text = |profile, reply| explain::request(&answer(profile, reply));
    let allowed = |reason| Reply { decision: 1, reason, ..Reply::default() };
    assert_eq!(
        text(Profile::atom(), allowed(10)),
        "a permission request may be sent: the customer was never asked for permission"
    );
    let mut replacing = allowed(1);
    replacing.view.expires_at = Millis(T + HOUR);
    assert_eq!(
        text(Profile::atom(), replacing.clone()),
        "a permission request may be sent: it ends the permission until 13:00:00 UTC"
    );
    assert_eq!(
        text(Profile::meta(), replacing),
        "a permission request may be sent: it stands beside the permission until 13:00:00 UTC"
    );

    let mut full = Reply { free_at: Millis(T + DAY), ..denied(&[30]) };
    full.view = view([0; 4], [0, 0, 1, 1]);
    assert_eq!(
        text(Profile::atom(), full.clone()),
        "0 sent and 1 held of 1 permission requests in 24 h; next free 2026-11-17 12:00:00 UTC"
    );
    full.view = view([0, 0, 1, 2], [0; 4]);
    full.reason = 31;
    full.blocked_by = vec![30, 31];
    assert_eq!(
        text(Profile::atom(), full),
        "2 of 2 permission requests sent in 7 d; also 1 of 1 permission requests sent in 24 h; \
         next free 2026-11-17 12:00:00 UTC"
    );

    let mut in_effect = Reply { free_at: Millis(T + HOUR), ..denied(&[32]) };
    in_effect.view.expires_at = Millis(T + HOUR);
    assert_eq!(
        text(Profile::atom(), in_effect),
        "a permission until 13:00:00 UTC is in effect, and replace_permission is not set"
    );
    assert_eq!(
        text(Profile::meta(), denied(&[32])),
        "a permanent permission is in effect, and no request can replace it"
    );
}

#[test]
fn warnings() {
    let mut reply = Reply { decision: 1, reason: 1, ..Reply::default() };
    reply.view = view([4, 4, 0, 0], [1, 1, 0, 0]);
    reply.view.expires_at = Millis(T + HOUR);
    let table = [
        (1, 1, "1 unanswered call in a row: at 2 the customer is asked to review the permission"),
        (
            2,
            2,
            "2 unanswered calls in a row: the customer was asked to review the permission; 4 revoke it",
        ),
        (3, 3, "3 unanswered calls in a row: one more revokes the permission"),
        (4, 0, "this call is the last of 5 in 24 h"),
        (5, 0, "the permission ends 13:00:00 UTC"),
    ];
    for (code, streak, text) in table {
        reply.view.streak = streak;
        assert_eq!(explain::warning(code, &answer(Profile::atom(), reply.clone())), text);
    }
}
