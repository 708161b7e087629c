//! Every bad field is INVALID_ARGUMENT that names it, and the store is not even asked.

use std::{fmt::Debug, sync::Arc};

use callgate::{
    engine::Error,
    proto::{self as pb, event::Fact},
};
use prost_types::{Duration, Timestamp};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::{
    service::ask::{self, CUSTOMER, NUMBER, T},
    support::{
        server::Server,
        stub::{Behaviour, Stub},
    },
};

/// How a good request is spoiled, and the field that is then named.
type Spoilt<R> = (&'static str, fn(&mut R));

async fn refuses<R: Clone, A: Debug, F>(good: &R, table: &[Spoilt<R>], mut call: impl FnMut(R) -> F)
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    for (row, (field, spoil)) in table.iter().enumerate() {
        let mut request = good.clone();
        spoil(&mut request);
        let status = call(request).await.unwrap_err();
        let row = format!("row {row}, {field}: {status:?}");
        assert_eq!(status.code(), Code::InvalidArgument, "{row}");
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 1, "{row}");
        assert_eq!(violations[0].field, *field, "{row}");
        assert!(!violations[0].description.is_empty(), "{row}");
        assert!(status.message().starts_with(&format!("{field}: ")), "{row}");
        assert!(!status.message().contains(CUSTOMER), "{row}");
    }
}

/// A server whose store fails the test's last line if it was asked.
async fn untouchable() -> (Server, Arc<Stub>) {
    let stub = Arc::new(Stub::new(Behaviour::Fails(Error::Internal("asked".to_owned()))));
    (Server::start(stub.clone()).await, stub)
}

fn customer(pair: &mut Option<pb::Pair>) -> &mut pb::Customer {
    pair.as_mut().unwrap().customer.as_mut().unwrap()
}

fn number(pair: &mut Option<pb::Pair>) -> &mut String {
    &mut pair.as_mut().unwrap().phone_number_id
}

/// One second before anything counts.
const TOO_EARLY: Option<Timestamp> = Some(Timestamp { seconds: 1_230_767_999, nanos: 0 });
const BAD_NANOS: Option<Timestamp> = Some(Timestamp { seconds: 1_794_830_400, nanos: -1 });
const MANY_NANOS: Option<Timestamp> =
    Some(Timestamp { seconds: 1_794_830_400, nanos: 1_000_000_000 });
const TOO_LATE: Option<Timestamp> = Some(Timestamp { seconds: 253_402_300_800, nanos: 0 });
const NEGATIVE: Option<Timestamp> = Some(Timestamp { seconds: i64::MIN, nanos: 0 });

fn lease(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration { seconds, nanos })
}

#[tokio::test]
async fn authorize_call() {
    let (server, stub) = untouchable().await;
    let table: &[Spoilt<pb::AuthorizeCallRequest>] = &[
        ("pair.phone_number_id", |r| r.pair = None),
        ("pair.phone_number_id", |r| number(&mut r.pair).clear()),
        ("pair.phone_number_id", |r| *number(&mut r.pair) = "+1555".to_owned()),
        ("pair.phone_number_id", |r| *number(&mut r.pair) = "8".repeat(33)),
        ("pair.customer", |r| r.pair.as_mut().unwrap().customer = None),
        ("pair.customer", |r| customer(&mut r.pair).wa_id.clear()),
        ("pair.customer.wa_id", |r| customer(&mut r.pair).wa_id = "155501".to_owned()),
        ("pair.customer.wa_id", |r| customer(&mut r.pair).wa_id = "1".repeat(16)),
        ("pair.customer.wa_id", |r| customer(&mut r.pair).wa_id = "1555-0199".to_owned()),
        ("pair.customer.wa_id", |r| customer(&mut r.pair).wa_id = "0555019900".to_owned()),
        ("pair.customer.user_id", |r| customer(&mut r.pair).user_id = "1000".to_owned()),
        ("agent.kind", |r| r.agent = None),
        ("agent.kind", |r| r.agent.as_mut().unwrap().kind = 0),
        ("agent.kind", |r| r.agent.as_mut().unwrap().kind = 3),
        ("agent.kind", |r| r.agent.as_mut().unwrap().kind = -1),
        ("agent.id", |r| r.agent.as_mut().unwrap().id = "a".repeat(257)),
        ("agent.id", |r| r.agent.as_mut().unwrap().id = "a\u{7f}".to_owned()),
        ("channel", |r| r.channel = 3),
        ("channel", |r| r.channel = -1),
        ("call_id", |r| r.call_id = "c".repeat(129)),
        ("call_id", |r| r.call_id = "a\nb".to_owned()),
        ("call_id", |r| r.call_id = "\u{85}".to_owned()),
        ("lease", |r| r.lease = lease(4, 999_999_999)),
        ("lease", |r| r.lease = lease(600, 1)),
        ("lease", |r| r.lease = lease(0, 0)),
        ("lease", |r| r.lease = lease(-5, 0)),
        ("lease", |r| r.lease = lease(6, -1)),
        ("lease", |r| r.lease = lease(6, 1_000_000_000)),
        ("lease", |r| r.lease = lease(i64::MAX, i32::MAX)),
    ];
    refuses(&ask::authorize("c1"), table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.authorize_call(r).await }
    })
    .await;
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn authorize_permission_request() {
    let (server, stub) = untouchable().await;
    let table: &[Spoilt<pb::AuthorizePermissionRequestRequest>] = &[
        ("pair.phone_number_id", |r| r.pair = None),
        ("pair.customer", |r| r.pair.as_mut().unwrap().customer = None),
        ("agent.kind", |r| r.agent = None),
        ("agent.kind", |r| r.agent.as_mut().unwrap().kind = 9),
        ("agent.id", |r| r.agent.as_mut().unwrap().id = "\t".to_owned()),
        ("request_id", |r| r.request_id = "r".repeat(129)),
        ("request_id", |r| r.request_id = "\0".to_owned()),
    ];
    refuses(&ask::authorize_request("r1"), table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.authorize_permission_request(r).await }
    })
    .await;
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn report_call() {
    let (server, stub) = untouchable().await;
    fn told(r: &mut pb::ReportCallRequest) -> &mut pb::CallReport {
        r.report.as_mut().unwrap()
    }
    let table: &[Spoilt<pb::ReportCallRequest>] = &[
        ("pair.phone_number_id", |r| r.pair = None),
        ("pair.customer", |r| r.pair.as_mut().unwrap().customer = None),
        ("report.call_id", |r| r.report = None),
        ("report.call_id", |r| told(r).call_id.clear()),
        ("report.call_id", |r| told(r).call_id = "c".repeat(129)),
        ("report.call_id", |r| told(r).call_id = "c\r".to_owned()),
        ("report.provider_call_id", |r| told(r).provider_call_id = "w".repeat(257)),
        ("report.provider_call_id", |r| told(r).provider_call_id = "\u{1b}".to_owned()),
        ("report.outcome", |r| told(r).outcome = 0),
        ("report.outcome", |r| told(r).outcome = 10),
        ("report.outcome", |r| told(r).outcome = -3),
        ("report.placed_at", |r| told(r).placed_at = TOO_EARLY),
        ("report.placed_at", |r| told(r).placed_at = BAD_NANOS),
        ("report.answered_at", |r| told(r).answered_at = MANY_NANOS),
        ("report.answered_at", |r| told(r).answered_at = NEGATIVE),
        ("report.ended_at", |r| told(r).ended_at = TOO_LATE),
        ("report.channel", |r| told(r).channel = 7),
        ("occurred_at", |r| r.occurred_at = TOO_EARLY),
        ("occurred_at", |r| r.occurred_at = Some(Timestamp::default())),
        ("occurred_at", |r| r.occurred_at = BAD_NANOS),
    ];
    refuses(&ask::report("c1", pb::CallOutcome::Answered), table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.report_call(r).await }
    })
    .await;
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn reads_numbers_and_erasure() {
    let (server, stub) = untouchable().await;
    let good = pb::GetPermissionRequest { pair: ask::pair(), as_of: ask::at(T) };
    let table: &[Spoilt<pb::GetPermissionRequest>] = &[
        ("pair.phone_number_id", |r| r.pair = None),
        ("pair.customer.wa_id", |r| customer(&mut r.pair).wa_id = "x".to_owned()),
        ("as_of", |r| r.as_of = BAD_NANOS),
        ("as_of", |r| r.as_of = TOO_EARLY),
        ("as_of", |r| r.as_of = TOO_LATE),
    ];
    refuses(&good, table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.get_permission(r).await }
    })
    .await;

    let table: &[Spoilt<pb::GetBusinessNumberRequest>] = &[
        ("phone_number_id", |r| r.phone_number_id.clear()),
        ("phone_number_id", |r| r.phone_number_id = "abc".to_owned()),
    ];
    let good = pb::GetBusinessNumberRequest { phone_number_id: NUMBER.to_owned() };
    refuses(&good, table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.get_business_number(r).await }
    })
    .await;

    let good = pb::UpdateBusinessNumberRequest {
        phone_number_id: NUMBER.to_owned(),
        paused_until: ask::at(T),
        requests_paused_until: ask::at(T),
        ..Default::default()
    };
    let table: &[Spoilt<pb::UpdateBusinessNumberRequest>] = &[
        ("phone_number_id", |r| r.phone_number_id.clear()),
        ("paused_until", |r| r.paused_until = BAD_NANOS),
        ("paused_until", |r| r.paused_until = TOO_LATE),
        ("paused_without_end", |r| r.paused_without_end = Some(true)),
        ("requests_paused_until", |r| r.requests_paused_until = MANY_NANOS),
        ("requests_paused_without_end", |r| r.requests_paused_without_end = Some(true)),
    ];
    refuses(&good, table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.update_business_number(r).await }
    })
    .await;

    let customer = Some(pb::Customer { wa_id: CUSTOMER.to_owned(), user_id: String::new() });
    let good = pb::ForgetCustomerRequest { customer, phone_number_id: NUMBER.to_owned() };
    let table: &[Spoilt<pb::ForgetCustomerRequest>] = &[
        ("customer", |r| r.customer = None),
        ("customer", |r| r.customer = Some(pb::Customer::default())),
        ("customer.wa_id", |r| r.customer.as_mut().unwrap().wa_id = "12".to_owned()),
        ("customer.user_id", |r| r.customer.as_mut().unwrap().user_id = "us.1".to_owned()),
        ("phone_number_id", |r| r.phone_number_id = "x".to_owned()),
    ];
    refuses(&good, table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.forget_customer(r).await }
    })
    .await;
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn batches_and_quarantine() {
    let (server, stub) = untouchable().await;
    let event = ask::event("e", T, ask::accept());
    let table: &[Spoilt<pb::RecordEventsRequest>] = &[
        ("events", |r| r.events.clear()),
        ("events", |r| r.events = vec![r.events[0].clone(); 1001]),
    ];
    refuses(&ask::events(vec![event]), table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.record_events(r).await }
    })
    .await;

    let table: &[Spoilt<pb::CheckCallsRequest>] = &[
        ("checks", |r| r.checks.clear()),
        ("checks", |r| r.checks = vec![r.checks[0].clone(); 1001]),
    ];
    let check = pb::CheckCall { pair: ask::pair(), ..Default::default() };
    refuses(&pb::CheckCallsRequest { checks: vec![check] }, table, |r| {
        let mut calls = server.calls.clone();
        async move { calls.check_calls(r).await }
    })
    .await;

    let table: &[Spoilt<pb::ListQuarantinedRequest>] = &[("page_size", |r| r.page_size = 1001)];
    refuses(&pb::ListQuarantinedRequest::default(), table, |r| {
        let mut quarantine = server.quarantine.clone();
        async move { quarantine.list_quarantined(r).await }
    })
    .await;
    let table: &[Spoilt<pb::GetQuarantinedRequest>] =
        &[("id", |r| r.id.clear()), ("id", |r| r.id = "a".repeat(257))];
    refuses(&pb::GetQuarantinedRequest { id: "a".to_owned() }, table, |r| {
        let mut quarantine = server.quarantine.clone();
        async move { quarantine.get_quarantined(r).await }
    })
    .await;
    let table: &[Spoilt<pb::RetryQuarantinedRequest>] = &[("id", |r| r.id.clear())];
    refuses(&pb::RetryQuarantinedRequest { id: "a".to_owned() }, table, |r| {
        let mut quarantine = server.quarantine.clone();
        async move { quarantine.retry_quarantined(r).await }
    })
    .await;
    assert_eq!(stub.asked(), 0);
}

fn reply(event: &mut pb::Event) -> &mut pb::PermissionReply {
    event.fact = Some(ask::accept());
    let Some(Fact::Reply(reply)) = &mut event.fact else { unreachable!() };
    reply
}

fn request(event: &mut pb::Event) -> &mut pb::PermissionRequestReport {
    event.fact = Some(ask::sent("r"));
    let Some(Fact::Request(request)) = &mut event.fact else { unreachable!() };
    request
}

fn call(event: &mut pb::Event) -> &mut pb::CallReport {
    event.fact = Some(ask::call("c", pb::CallOutcome::Answered));
    let Some(Fact::Call(call)) = &mut event.fact else { unreachable!() };
    call
}

#[tokio::test]
async fn a_bad_event_is_told_so_with_the_field() {
    let (mut server, stub) = untouchable().await;
    let table: &[Spoilt<pb::Event>] = &[
        ("event_id", |e| e.event_id.clear()),
        ("event_id", |e| e.event_id = "e".repeat(257)),
        ("event_id", |e| e.event_id = "a\u{9f}".to_owned()),
        ("pair.phone_number_id", |e| e.pair = None),
        ("pair.customer", |e| e.pair.as_mut().unwrap().customer = None),
        ("pair.customer.wa_id", |e| customer(&mut e.pair).wa_id = "1".to_owned()),
        ("occurred_at", |e| e.occurred_at = None),
        ("occurred_at", |e| e.occurred_at = TOO_EARLY),
        ("occurred_at", |e| e.occurred_at = BAD_NANOS),
        ("fact", |e| e.fact = None),
        ("reply.response", |e| reply(e).response = 0),
        ("reply.response", |e| reply(e).response = 3),
        ("reply.expires_at", |e| reply(e).expires_at = BAD_NANOS),
        ("reply.expires_at", |e| reply(e).expires_at = Some(Timestamp::default())),
        ("reply.request_id", |e| reply(e).request_id = "r".repeat(257)),
        ("request.request_id", |e| request(e).request_id.clear()),
        ("request.request_id", |e| request(e).request_id = "r".repeat(129)),
        ("request.provider_message_id", |e| request(e).provider_message_id = "w".repeat(257)),
        ("request.outcome", |e| request(e).outcome = 0),
        ("request.outcome", |e| request(e).outcome = 5),
        ("call.call_id", |e| call(e).call_id.clear()),
        ("call.outcome", |e| call(e).outcome = 0),
        ("call.channel", |e| call(e).channel = 3),
        ("call.placed_at", |e| call(e).placed_at = TOO_EARLY),
        ("call.ended_at", |e| call(e).ended_at = MANY_NANOS),
        ("inbound_call.provider_call_id", |e| {
            let provider_call_id = "w".repeat(257);
            e.fact = Some(Fact::InboundCall(pb::InboundCall { provider_call_id, answered: true }));
        }),
        ("inbound_message.provider_message_id", |e| {
            let provider_message_id = "\n".to_owned();
            e.fact = Some(Fact::InboundMessage(pb::InboundMessage { provider_message_id }));
        }),
    ];
    let spoilt = table.iter().map(|(_, spoil)| {
        let mut event = ask::event("e", T, ask::accept());
        spoil(&mut event);
        event
    });
    let request = ask::events(spoilt.collect());
    let results = server.calls.record_events(request).await.unwrap().into_inner().results;
    assert_eq!(results.len(), table.len());
    for (index, (result, (field, _))) in results.iter().zip(table).enumerate() {
        assert_eq!(result.status(), pb::EventStatus::Invalid, "{index} {field}");
        let path = format!("events[{index}].{field}: ");
        assert!(result.error.starts_with(&path), "{index} {field}: {}", result.error);
        assert_eq!(result.permission, None);
    }
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn a_bad_check_is_denied_with_the_field() {
    let (mut server, stub) = untouchable().await;
    let table: &[Spoilt<pb::CheckCall>] = &[
        ("pair.phone_number_id", |c| c.pair = None),
        ("pair.customer", |c| c.pair.as_mut().unwrap().customer = None),
        ("agent.kind", |c| c.agent = Some(pb::Agent { kind: 5, id: String::new() })),
        ("agent.id", |c| c.agent = Some(pb::Agent { kind: 0, id: "i".repeat(257) })),
        ("channel", |c| c.channel = 4),
    ];
    let spoilt = table.iter().map(|(_, spoil)| {
        let mut check = pb::CheckCall { pair: ask::pair(), ..Default::default() };
        spoil(&mut check);
        check
    });
    let request = pb::CheckCallsRequest { checks: spoilt.collect() };
    let results = server.calls.check_calls(request).await.unwrap().into_inner().results;
    for (index, (result, (field, _))) in results.iter().zip(table).enumerate() {
        assert_eq!(result.decision(), pb::Decision::Deny, "{index} {field}");
        let path = format!("checks[{index}].{field}: ");
        assert!(result.error.starts_with(&path), "{index} {field}: {}", result.error);
    }
    assert_eq!(stub.asked(), 0);
}
