//! What is kept, with good input: facts, business numbers, erasure, quarantine; and the bad input
//! that only the store's clock can judge.

use std::time::Duration;

use callgate::{
    engine::{profile::Profile, store::Quarantined, time::Millis},
    proto::{self as pb, Decision, EventStatus, NextStep, PermissionStatus, Reason, event::Fact},
    service::{Retried, Retry},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::service::{
    ask::{self, CUSTOMER, DAY, HOUR, NUMBER, SECOND, T},
    gate::{fill, gate, gate_with, quota},
};

#[tokio::test]
async fn a_bad_event_does_not_hold_the_others_up() {
    let gate = gate().await;
    let mut bad = ask::event("bad", T, ask::accept());
    bad.pair = None;
    let events = vec![
        ask::event("good", T, ask::accept()),
        bad,
        ask::event("again", T, ask::accept()),
        ask::event("old", T - 401 * DAY, ask::reject()),
    ];
    let results = gate.record(events).await;
    let seen: Vec<_> = results.iter().map(|r| (r.event_id.as_str(), r.status())).collect();
    assert_eq!(seen[1], ("bad", EventStatus::Invalid));
    assert_eq!(seen[3], ("old", EventStatus::Stale));
    // Which of the two equal ones comes first is open.
    let mut equal = [seen[0].1, seen[2].1];
    equal.sort();
    assert_eq!(equal, [EventStatus::Recorded, EventStatus::Duplicate]);
    assert_eq!(gate.now().await.status(), PermissionStatus::Granted);
}

#[tokio::test]
async fn every_call_outcome_is_the_contracts() {
    use pb::CallOutcome::{
        Answered, Canceled, Failed, NotPlaced, Placed, Rejected, Ringing, Unanswered, Uncertain,
    };
    // What the window counts, what it holds, and the streak.
    let table = [
        (Placed, (0, 1), 0),
        (Ringing, (0, 1), 0),
        (Answered, (1, 0), 0),
        (Unanswered, (0, 0), 1),
        (Rejected, (0, 0), 1),
        (Canceled, (0, 0), 1),
        (Failed, (0, 0), 0),
        (NotPlaced, (0, 0), 0),
        (Uncertain, (1, 0), 0),
    ];
    for (outcome, (used, held), streak) in table {
        let gate = gate().await;
        let after = gate.report("c", outcome).await;
        assert_eq!(fill(&after)[0], (used, held, 5), "{outcome:?}");
        assert_eq!(after.unanswered.unwrap().count, streak, "{outcome:?}");
    }
}

#[tokio::test]
async fn every_request_outcome_is_the_contracts() {
    use pb::RequestOutcome::{Delivered, Refused, Sent, Undelivered};
    let table =
        [(Sent, 1, true), (Delivered, 1, true), (Refused, 0, false), (Undelivered, 0, false)];
    for (outcome, used, is_pending) in table {
        let gate = gate().await;
        let mut fact = ask::sent("r");
        if let Fact::Request(request) = &mut fact {
            request.outcome = outcome.into();
        }
        let after = gate.tell(fact).await;
        assert_eq!(quota(&after, pb::QuotaKind::RequestsPerDay).used, used, "{outcome:?}");
        assert_eq!(after.status() == PermissionStatus::Pending, is_pending, "{outcome:?}");
    }
}

#[tokio::test]
async fn calling_and_writing_open_the_conversation() {
    let gate = gate().await;
    let wrote = Fact::InboundMessage(pb::InboundMessage::default());
    let after = gate.tell(wrote).await;
    assert_eq!(after.conversation_window_ends_at, ask::at(T + DAY));
    assert_eq!(after.grant, None);
    let called = Fact::InboundCall(pb::InboundCall { answered: true, ..Default::default() });
    let after = gate.tell(called).await;
    assert_eq!(after.grant.unwrap().source(), pb::GrantSource::InboundCall);
}

#[tokio::test]
async fn a_number_is_paused_and_resumed_by_hand() {
    use pb::UpdateBusinessNumberRequest as Told;
    let gate = gate().await;
    gate.tell(ask::accept()).await;
    let mut calls = gate.server.calls.clone();
    let request = pb::GetBusinessNumberRequest { phone_number_id: NUMBER.to_owned() };
    let unknown = calls.get_business_number(request).await.unwrap().into_inner();
    let blank = pb::BusinessNumber {
        phone_number_id: NUMBER.to_owned(),
        calling_enabled: true,
        profile: "atom".to_owned(),
        ..Default::default()
    };
    assert_eq!(unknown.business_number, Some(blank.clone()));
    // Nothing told, nothing recorded.
    assert_eq!(gate.update(Told::default()).await, blank);

    let until = ask::at(T + HOUR);
    let paused = gate.update(Told { paused_until: until, ..Told::default() }).await;
    assert_eq!((paused.paused_until, paused.paused_without_end), (until, false));
    assert_eq!(paused.updated_at, ask::at(T));
    let denied = gate.authorize("c").await;
    assert_eq!(denied.reason(), Reason::BusinessNumberPaused);
    assert_eq!(denied.callable_at, until);
    assert_eq!(denied.explanation, "the business number is paused until 13:00:00 UTC");

    // A time in the past ends it, even the very first.
    gate.clock.advance(Duration::from_secs(1));
    let epoch = Some(prost_types::Timestamp::default());
    let resumed = gate.update(Told { paused_until: epoch, ..Told::default() }).await;
    assert_eq!((resumed.paused_until, resumed.paused_without_end), (None, false));
    assert_eq!(gate.authorize("c").await.decision(), Decision::Allow);

    gate.clock.advance(Duration::from_secs(1));
    let told = Told {
        requests_paused_without_end: Some(true),
        inbound_call_grants: Some(false),
        ..Told::default()
    };
    let requests = gate.update(told).await;
    assert!(requests.requests_paused_without_end && !requests.paused_without_end);
    assert_eq!(requests.inbound_call_grants, Some(false));
    assert_eq!(gate.authorize("d").await.decision(), Decision::Allow);
    let denied = gate.authorize_request("r").await;
    assert_eq!(denied.reason(), Reason::BusinessNumberPaused);
    assert!(denied.explanation.starts_with("permission requests of the business number are"));

    gate.clock.advance(Duration::from_secs(1));
    let told = Told { calling_enabled: Some(false), ..Told::default() };
    assert!(!gate.update(told).await.calling_enabled);
    let denied = gate.authorize("e").await;
    assert_eq!(denied.next_step(), NextStep::FixBusinessNumber);
    let told =
        Told { paused_without_end: Some(true), requests_paused_until: until, ..Told::default() };
    let paused = gate.update(told).await;
    assert!(paused.paused_without_end && !paused.requests_paused_without_end);
    assert_eq!(paused.requests_paused_until, until);
}

#[tokio::test]
async fn the_forgotten_are_gone_on_one_number_or_on_all() {
    let gate = gate().await;
    let other = "800000000000002";
    let mut elsewhere = ask::event("e2", T, ask::accept());
    elsewhere.pair = ask::pair_of(other, CUSTOMER);
    gate.record(vec![ask::event("e1", T, ask::accept()), elsewhere]).await;
    let forget = |phone_number_id: &str| {
        let mut calls = gate.server.calls.clone();
        let customer = Some(pb::Customer { wa_id: CUSTOMER.to_owned(), user_id: String::new() });
        let phone_number_id = phone_number_id.to_owned();
        async move {
            let request = pb::ForgetCustomerRequest { customer, phone_number_id };
            calls.forget_customer(request).await.unwrap().into_inner().pairs_forgotten
        }
    };
    assert_eq!(forget(NUMBER).await, 1);
    assert_eq!(gate.now().await.status(), PermissionStatus::None);
    assert_eq!(forget("").await, 1);
    assert_eq!(forget("").await, 0);
    let again = gate.record(vec![ask::event("e1", T, ask::accept())]).await;
    assert_eq!(again[0].status(), EventStatus::Stale);
}

#[tokio::test]
async fn times_are_judged_by_the_stores_clock_and_named_by_their_path() {
    let gate = gate().await;
    let late = T + 300 * SECOND + 1;
    let mut calls = gate.server.calls.clone();
    let mut named = Vec::new();
    let violation = |status: Status| {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        status.get_error_details().bad_request().unwrap().field_violations[0].field.clone()
    };
    let good = || ask::report("c", pb::CallOutcome::Answered);
    let spoilt: [fn(&mut pb::ReportCallRequest, u64); 4] = [
        |r, at| r.occurred_at = ask::at(at),
        |r, at| r.report.as_mut().unwrap().placed_at = ask::at(at),
        |r, at| r.report.as_mut().unwrap().answered_at = ask::at(at),
        |r, at| r.report.as_mut().unwrap().ended_at = ask::at(at),
    ];
    for spoil in spoilt {
        let mut request = good();
        spoil(&mut request, late);
        named.push(violation(calls.report_call(request).await.unwrap_err()));
    }
    named.push(violation(gate.permission(Some(T - 9 * DAY)).await.unwrap_err()));
    assert_eq!(
        named,
        ["occurred_at", "report.placed_at", "report.answered_at", "report.ended_at", "as_of"]
    );

    let mut far = ask::accept();
    if let Fact::Reply(reply) = &mut far {
        reply.expires_at = ask::at(T + 60 * DAY + 1);
    }
    let mut call = ask::call("c", pb::CallOutcome::Answered);
    if let Fact::Call(report) = &mut call {
        report.ended_at = ask::at(late);
    }
    let events = vec![
        ask::event("a", late, ask::accept()),
        ask::event("b", T, far),
        ask::event("c", T, call),
    ];
    let results = gate.record(events).await;
    let fields = ["events[0].occurred_at", "events[1].reply.expires_at", "events[2].call.ended_at"];
    for (result, field) in results.iter().zip(fields) {
        assert_eq!(result.status(), EventStatus::Invalid, "{field}");
        assert!(result.error.starts_with(&format!("{field}: ")), "{}", result.error);
    }
    assert_eq!(gate.now().await.revision, 0);

    // Five minutes ahead, and 60 days, are fine.
    gate.record(vec![ask::event("a", late - 1, ask::accept())]).await;
    assert_eq!(gate.now().await.status(), PermissionStatus::Granted);
}

#[tokio::test]
async fn what_was_kept_aside_is_listed_shown_and_tried_again() {
    let retry = Retry::new(|gate, kept| {
        Box::pin(async move {
            if kept.id == "b" {
                return Ok(Retried::StillUnclear("no \"from\"".to_owned()));
            }
            gate.store().release_quarantined(&kept.id).await?;
            Ok(Retried::Recorded(2))
        })
    });
    let gate = gate_with(Profile::atom(), retry).await;
    for (id, received_at) in [("a", T - 2), ("b", T - 1)] {
        let kept = Quarantined {
            id: id.to_owned(),
            reason: "no \"from\"".to_owned(),
            received_at: Millis(received_at),
            field: "messages".to_owned(),
            phone_number_id: NUMBER.to_owned(),
            change: r#"{"field":"messages"}"#.to_owned(),
        };
        gate.store.quarantine(kept).await.unwrap();
    }
    let mut quarantine = gate.server.quarantine.clone();
    let list = |page_size| {
        let mut quarantine = gate.server.quarantine.clone();
        async move {
            let request = pb::ListQuarantinedRequest { page_size };
            let response = quarantine.list_quarantined(request).await.unwrap().into_inner();
            response.webhooks.into_iter().map(|webhook| webhook.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(0).await, ["a", "b"]);
    assert_eq!(list(1).await, ["a"]);

    let id = |id: &str| id.to_owned();
    let shown =
        quarantine.get_quarantined(pb::GetQuarantinedRequest { id: id("b") }).await.unwrap();
    let shown = shown.into_inner();
    assert_eq!(shown.change_json, r#"{"field":"messages"}"#);
    let webhook = shown.webhook.unwrap();
    assert_eq!((webhook.received_at, webhook.field.as_str()), (ask::at(T - 1), "messages"));

    let mut retry = async |of: &str| {
        quarantine.retry_quarantined(pb::RetryQuarantinedRequest { id: id(of) }).await
    };
    let understood = retry("a").await.unwrap().into_inner();
    assert_eq!((understood.understood, understood.events_recorded), (true, 2));
    let unclear = retry("b").await.unwrap().into_inner();
    assert_eq!((unclear.understood, unclear.reason.as_str()), (false, "no \"from\""));
    assert_eq!(retry("a").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(list(0).await, ["b"]);
}
