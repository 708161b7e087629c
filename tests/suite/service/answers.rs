//! Questions with good input: calls, permission requests, reads.

use std::time::Duration;

use callgate::{
    engine::time::Millis,
    proto::{self as pb, Decision, NextStep, PermissionStatus, Reason, event::Fact},
};
use tonic::Code;

use crate::service::{
    ask::{self, CUSTOMER, DAY, HOUR, NUMBER, SECOND, T},
    gate::{fill, gate, quota},
};

#[tokio::test]
async fn nobody_is_called_unasked() {
    let gate = gate().await;
    let denied = gate.authorize("c1").await;
    assert_eq!(denied.decision(), Decision::Deny);
    assert_eq!(denied.reason(), Reason::NeverAsked);
    assert_eq!(denied.blocked_by().collect::<Vec<_>>(), [Reason::NeverAsked]);
    assert_eq!(denied.next_step(), NextStep::SendPermissionRequest);
    assert_eq!(denied.explanation, "the customer was never asked for permission");
    assert_eq!((denied.callable_at, denied.lease_expires_at), (None, None));
    assert_eq!(denied.call_id, "c1");
    let permission = denied.permission.unwrap();
    assert_eq!(permission.status(), PermissionStatus::None);
    assert_eq!(permission.pair, ask::pair());
    assert_eq!((permission.revision, permission.profile.as_str()), (0, "atom"));
    assert_eq!(permission.judged_at, ask::at(T));
    assert_eq!(fill(&permission), [(0, 0, 5), (0, 0, 35), (0, 0, 1), (0, 0, 2)]);
    let windows: Vec<_> =
        permission.quotas.iter().map(|quota| quota.window.map(|w| w.seconds)).collect();
    assert_eq!(windows, [Some(86_400), None, Some(86_400), Some(604_800)]);
    let streak = pb::UnansweredStreak { count: 0, warns_customer_at: 2, revokes_at: 4 };
    assert_eq!(permission.unanswered, Some(streak));
}

#[tokio::test]
async fn ask_accept_call_until_the_window_is_full() {
    let gate = gate().await;
    let asked = gate.authorize_request("r1").await;
    assert_eq!((asked.decision(), asked.reason()), (Decision::Allow, Reason::NeverAsked));
    assert_eq!(asked.lease_expires_at, ask::at(T + 90 * SECOND));
    assert!(gate.authorize_request("r1").await.replayed);
    let pending = gate.tell(ask::sent("r1")).await;
    assert_eq!(pending.status(), PermissionStatus::Pending);
    assert_eq!(pending.valid_until, ask::at(T + DAY));
    let again = gate.authorize_request("r2").await;
    assert_eq!((again.decision(), again.reason()), (Decision::Deny, Reason::RequestDayLimit));
    assert_eq!(again.requestable_at, ask::at(T + DAY));
    assert_eq!(
        again.explanation,
        "1 of 1 permission requests sent in 24 h; next free 2026-11-17 12:00:00 UTC"
    );
    assert_eq!(
        gate.authorize("c0").await.explanation,
        "asked at 12:00:00 UTC, awaiting the customer's reply until 2026-11-17 12:00:00 UTC"
    );

    gate.clock.advance(Duration::from_secs(60));
    let granted = gate.tell(ask::accept()).await;
    assert_eq!(granted.status(), PermissionStatus::Granted);
    let grant = granted.grant.unwrap();
    assert_eq!(grant.kind(), pb::GrantKind::Temporary);
    assert_eq!(grant.expires_at, ask::at(T + 60 * SECOND + 7 * DAY));

    for call in 1..=5 {
        let id = format!("c{call}");
        let allowed = gate.authorize(&id).await;
        assert_eq!(allowed.decision(), Decision::Allow, "{allowed:?}");
        assert_eq!(allowed.next_step(), NextStep::PlaceCall);
        assert_eq!(fill(allowed.permission.as_ref().unwrap())[0], (call - 1, 1, 5));
        assert_eq!(allowed.warnings.is_empty(), call != 5);
        if call == 5 {
            let text = "this call is the last of 5 in 24 h".to_owned();
            let code = pb::WarningCode::LastCallInWindow.into();
            assert_eq!(allowed.warnings, [pb::Warning { code, text }]);
        }
        assert!(gate.authorize(&id).await.replayed);
        let after = gate.report(&id, pb::CallOutcome::Answered).await;
        assert_eq!(fill(&after)[0], (call, 0, 5));
        assert!(after.quotas.iter().all(|quota| quota.entries.is_empty()));
        gate.clock.advance(Duration::from_secs(60));
    }

    let denied = gate.authorize("c6").await;
    assert_eq!((denied.decision(), denied.reason()), (Decision::Deny, Reason::CallWindowLimit));
    assert_eq!(denied.next_step(), NextStep::Wait);
    assert_eq!(denied.callable_at, ask::at(T + 60 * SECOND + DAY));
    assert_eq!(
        denied.explanation,
        "5 of 5 answered calls in 24 h; next free 2026-11-17 12:01:00 UTC"
    );
    let status = gate.server.calls.clone().authorize_call(ask::authorize("c5")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains("call_id"), "{status:?}");

    let now = gate.now().await;
    let window = quota(&now, pb::QuotaKind::CallsInWindow);
    let ids: Vec<_> = window.entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["c1", "c2", "c3", "c4", "c5"]);
    assert_eq!(window.entries[0].frees_at, window.next_free_at);
    let asked = &quota(&now, pb::QuotaKind::RequestsPerWeek).entries;
    assert_eq!((asked.len(), asked[0].id.as_str()), (1, "r1"));
}

#[tokio::test]
async fn telephony_needs_no_permission() {
    let gate = gate().await;
    let mut request = ask::authorize("");
    request.channel = pb::Channel::Pstn.into();
    request.agent = ask::human_agent();
    let mut calls = gate.server.calls.clone();
    let allowed = calls.authorize_call(request).await.unwrap().into_inner();
    assert_eq!(
        (allowed.decision(), allowed.reason()),
        (Decision::Allow, Reason::RulesNotApplicable)
    );
    assert_eq!(allowed.lease_expires_at, None);
    let mut told = ask::report(&allowed.call_id, pb::CallOutcome::Answered);
    told.report.as_mut().unwrap().channel = pb::Channel::Pstn.into();
    let permission = calls.report_call(told).await.unwrap().into_inner().permission.unwrap();
    assert_eq!((permission.revision, fill(&permission)[0]), (0, (0, 0, 5)));
}

#[tokio::test]
async fn an_id_that_is_not_given_is_made() {
    let gate = gate().await;
    gate.tell(ask::accept()).await;
    let (one, two) = (gate.authorize("").await, gate.authorize("").await);
    assert_ne!(one.call_id, two.call_id);
    for id in [one.call_id, gate.authorize_request("").await.request_id] {
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4);
    }
}

#[tokio::test]
async fn the_lease_is_as_long_as_asked() {
    let gate = gate().await;
    gate.tell(ask::accept()).await;
    for (id, seconds) in [("a", 5), ("b", 600)] {
        let lease = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = pb::AuthorizeCallRequest { lease, ..ask::authorize(id) };
        let mut calls = gate.server.calls.clone();
        let allowed = calls.authorize_call(request).await.unwrap().into_inner();
        let until = T + u64::try_from(seconds).unwrap() * SECOND;
        assert_eq!(allowed.lease_expires_at, ask::at(until));
    }
}

#[tokio::test]
async fn a_grant_both_permanent_and_with_an_end_is_temporary() {
    let gate = gate().await;
    let reply = |permanent, expires_at| {
        let response = pb::PermissionResponse::Accept.into();
        Fact::Reply(pb::PermissionReply { response, permanent, expires_at, ..Default::default() })
    };
    let both = gate.tell(reply(true, ask::at(T + DAY))).await.grant.unwrap();
    assert_eq!((both.kind(), both.expires_at), (pb::GrantKind::Temporary, ask::at(T + DAY)));
    gate.clock.advance(Duration::from_secs(1));
    let permanent = gate.tell(reply(true, None)).await.grant.unwrap();
    assert_eq!((permanent.kind(), permanent.expires_at), (pb::GrantKind::Permanent, None));
    let allowed = gate.authorize("c").await;
    assert_eq!(allowed.reason(), Reason::PermanentPermission);
    assert_eq!(allowed.explanation, "permanent permission; 1 of 5 calls in 24 h counted or held");
}

#[tokio::test]
async fn checks_judge_many_and_hold_nothing() {
    let gate = gate().await;
    gate.tell(ask::accept()).await;
    let revision = gate.now().await.revision;
    let unasked = pb::CheckCall {
        pair: ask::pair_of(NUMBER, "15550142002"),
        agent: ask::voice_agent(),
        ..Default::default()
    };
    let telephony = pb::CheckCall { channel: pb::Channel::Pstn.into(), ..unasked.clone() };
    let checks = vec![
        pb::CheckCall { pair: ask::pair(), ..Default::default() },
        unasked,
        pb::CheckCall::default(),
        telephony,
    ];
    let mut calls = gate.server.calls.clone();
    let response = calls.check_calls(pb::CheckCallsRequest { checks }).await.unwrap();
    let results = response.into_inner().results;
    let seen: Vec<_> = results.iter().map(|r| (r.decision(), r.reason(), r.status())).collect();
    assert_eq!(
        seen,
        [
            (Decision::Allow, Reason::TemporaryPermission, PermissionStatus::Granted),
            (Decision::Deny, Reason::NeverAsked, PermissionStatus::None),
            (Decision::Deny, Reason::Unspecified, PermissionStatus::Unspecified),
            (Decision::Allow, Reason::RulesNotApplicable, PermissionStatus::None),
        ]
    );
    assert_eq!(results[1].next_step(), NextStep::SendPermissionRequest);
    assert_eq!(results[1].explanation, "the customer was never asked for permission");
    assert!(results[2].error.starts_with("checks[2].pair.phone_number_id: "));
    assert_eq!(gate.now().await.revision, revision);
    // One that asks too far back is wrong by itself, also where no other could be judged.
    let too_far = pb::CheckCall {
        pair: ask::pair(),
        as_of: Some(prost_types::Timestamp { seconds: (T / 1000) as i64 - 30 * 86400, nanos: 0 }),
        ..Default::default()
    };
    for checks in [vec![too_far.clone()], vec![pb::CheckCall::default(), too_far]] {
        let last = checks.len() - 1;
        let response = calls.check_calls(pb::CheckCallsRequest { checks }).await.unwrap();
        let result = response.into_inner().results.swap_remove(last);
        assert!(result.error.starts_with(&format!("checks[{last}].as_of: ")), "{}", result.error);
    }
}

#[tokio::test]
async fn a_pair_is_shown_as_it_was_and_as_it_will_be() {
    let gate = gate().await;
    gate.clock.set(Millis(T + HOUR));
    gate.record(vec![ask::event("e", T, ask::accept())]).await;
    for (as_of, status) in [
        (T - 1, PermissionStatus::None),
        (T, PermissionStatus::Granted),
        (T + 7 * DAY - 1, PermissionStatus::Granted),
        (T + 7 * DAY, PermissionStatus::Expired),
    ] {
        let shown = gate.permission(Some(as_of)).await.unwrap();
        assert_eq!(shown.status(), status, "{as_of}");
        assert_eq!(shown.judged_at, ask::at(as_of));
    }
}

#[tokio::test]
async fn both_ids_are_shown_once_they_are_known() {
    let gate = gate().await;
    let mut event = ask::event("e", T, ask::accept());
    let both = pb::Customer { wa_id: format!("+{CUSTOMER}"), user_id: "US.1000".to_owned() };
    event.pair.as_mut().unwrap().customer = Some(both);
    gate.record(vec![event]).await;
    let shown = gate.now().await.pair.unwrap().customer.unwrap();
    assert_eq!((shown.wa_id.as_str(), shown.user_id.as_str()), (CUSTOMER, "US.1000"));
}
