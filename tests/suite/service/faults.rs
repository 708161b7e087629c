//! No fault yields an answer, none leaks its cause, and one call's fault is not another's.

use std::{sync::Arc, time::Duration};

use callgate::{
    engine::{
        Error,
        gate::{Gate, Profiles},
        profile::Profile,
    },
    proto as pb,
    service::{Options, router},
};
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::{
    service::ask::{self, CUSTOMER, NUMBER, T},
    support::{
        server::{Server, never_understood},
        stub::{Behaviour, Stub},
    },
};

const SECRET: &str = "redis://10.0.0.7 holds 15550142001";

async fn over(behaviour: Behaviour) -> Server {
    Server::start(Arc::new(Stub::new(behaviour))).await
}

#[tokio::test]
async fn every_error_has_its_code_and_keeps_its_cause() {
    let table = [
        (Error::Unavailable(SECRET.to_owned()), Code::Unavailable, "STORE_UNAVAILABLE"),
        (Error::DeadlineExceeded(SECRET.to_owned()), Code::DeadlineExceeded, "STORE_TOO_LATE"),
        (Error::Internal(SECRET.to_owned()), Code::Internal, "INTERNAL"),
        (Error::AlreadyExists("is over".to_owned()), Code::AlreadyExists, "ATTEMPT_IS_OVER"),
        (Error::Exhausted("is full".to_owned()), Code::ResourceExhausted, "RECORD_IS_FULL"),
        (Error::NotFound("no such".to_owned()), Code::NotFound, "NOT_FOUND"),
        (Error::invalid("as_of", "is old"), Code::InvalidArgument, "INVALID_FIELD"),
    ];
    for (error, code, reason) in table {
        let mut server = over(Behaviour::Fails(error.clone())).await;
        let status = server.calls.authorize_call(ask::authorize("c")).await.unwrap_err();
        assert_eq!(status.code(), code, "{error}");
        assert!(!status.message().contains("10.0.0.7"), "{status:?}");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, reason);
        assert_eq!(details.retry_info().is_some(), code == Code::Unavailable);
        server.stop().await;
    }
}

#[tokio::test]
async fn no_rpc_makes_up_an_answer_while_the_store_is_away() {
    let server = over(Behaviour::Fails(Error::Unavailable(SECRET.to_owned()))).await;
    let (mut calls, mut quarantine) = (server.calls.clone(), server.quarantine.clone());
    let customer = Some(pb::Customer { wa_id: CUSTOMER.to_owned(), user_id: String::new() });
    let number = || NUMBER.to_owned();
    let check = pb::CheckCall { pair: ask::pair(), ..Default::default() };
    let outcomes = [
        calls.authorize_call(ask::authorize("c")).await.err(),
        calls.report_call(ask::report("c", pb::CallOutcome::Answered)).await.err(),
        calls.authorize_permission_request(ask::authorize_request("r")).await.err(),
        calls.record_events(ask::events(vec![ask::event("e", T, ask::accept())])).await.err(),
        calls.check_calls(pb::CheckCallsRequest { checks: vec![check] }).await.err(),
        calls
            .get_permission(pb::GetPermissionRequest { pair: ask::pair(), as_of: None })
            .await
            .err(),
        calls
            .forget_customer(pb::ForgetCustomerRequest { customer, phone_number_id: String::new() })
            .await
            .err(),
        calls
            .get_business_number(pb::GetBusinessNumberRequest { phone_number_id: number() })
            .await
            .err(),
        calls
            .update_business_number(pb::UpdateBusinessNumberRequest {
                phone_number_id: number(),
                calling_enabled: Some(false),
                ..Default::default()
            })
            .await
            .err(),
        quarantine.list_quarantined(pb::ListQuarantinedRequest { page_size: 0 }).await.err(),
        quarantine.get_quarantined(pb::GetQuarantinedRequest { id: "a".to_owned() }).await.err(),
        quarantine
            .retry_quarantined(pb::RetryQuarantinedRequest { id: "a".to_owned() })
            .await
            .err(),
    ];
    for (index, status) in outcomes.into_iter().enumerate() {
        let status = status.unwrap_or_else(|| panic!("RPC {index} made up an answer"));
        assert_eq!(status.code(), Code::Unavailable, "RPC {index}");
        assert!(!status.message().contains(CUSTOMER), "RPC {index}: {status:?}");
    }
}

#[tokio::test]
async fn a_pair_that_cannot_be_judged_is_denied_with_an_error_and_the_others_are_judged() {
    let fault = Error::Unavailable(SECRET.to_owned());
    let mut server = over(Behaviour::FailsFor(CUSTOMER, fault)).await;
    let check = |wa_id| pb::CheckCall { pair: ask::pair_of(NUMBER, wa_id), ..Default::default() };
    let checks = vec![check("15550199002"), check(CUSTOMER), check("15550199003")];
    let request = pb::CheckCallsRequest { checks };
    let results = server.calls.check_calls(request).await.unwrap().into_inner().results;
    let seen: Vec<_> =
        results.iter().map(|r| (r.decision(), r.reason(), r.error.is_empty())).collect();
    let judged = (pb::Decision::Deny, pb::Reason::NeverAsked, true);
    assert_eq!(seen, [judged, (pb::Decision::Deny, pb::Reason::Unspecified, false), judged]);
    assert!(results[1].error.contains("unavailable") && !results[1].error.contains("10.0.0.7"));
}

#[tokio::test]
async fn a_fault_fails_the_batch_and_a_full_record_only_its_event() {
    let batch = || {
        let mut other = ask::event("e1", T, ask::accept());
        other.pair = ask::pair_of(NUMBER, "15550199002");
        ask::events(vec![other, ask::event("e2", T, ask::accept())])
    };
    let fault = Error::Unavailable(SECRET.to_owned());
    let mut server = over(Behaviour::FailsFor(CUSTOMER, fault)).await;
    let status = server.calls.record_events(batch()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("not done twice"), "{status:?}");

    let full = Error::Exhausted("this pair holds too much".to_owned());
    let mut server = over(Behaviour::FailsFor(CUSTOMER, full)).await;
    let results = server.calls.record_events(batch()).await.unwrap().into_inner().results;
    assert_ne!(results[0].status(), pb::EventStatus::Invalid);
    assert_eq!(results[1].status(), pb::EventStatus::Invalid);
    assert_eq!(results[1].error, "this pair holds too much");
}

#[tokio::test]
async fn a_panic_costs_one_call_and_not_the_connection() {
    let mut server = over(Behaviour::Panics).await;
    for _ in 0..2 {
        let status = server.calls.authorize_call(ask::authorize("c")).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("made to panic"), "{status:?}");
    }
    let status = server.calls.authorize_call(ask::authorize("\n")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

/// What the routes themselves answer to a call with this `grpc-timeout`; the client's own timer must
/// not answer in their place.
async fn status_after(timeout: &str, stub: &Arc<Stub>) -> String {
    let gate = Gate::new(stub.clone(), Profiles::new(Profile::atom()));
    let routes = router(gate, Options::new(never_understood())).await.routes;
    let message = prost::Message::encode_to_vec(&ask::authorize("c"));
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = axum::http::Request::post("/callgate.v1.CallPermissionService/AuthorizeCall")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout)
        .body(axum::body::Body::from(body))
        .unwrap();
    let answer = routes.into_axum_router().oneshot(request);
    let response = tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap().unwrap();
    response.headers()["grpc-status"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_ends_with_its_deadline() {
    const DEADLINE_EXCEEDED: &str = "4";
    let stub = Arc::new(Stub::new(Behaviour::Hangs));
    for timeout in ["20m", "20000u", "5000000n"] {
        assert_eq!(status_after(timeout, &stub).await, DEADLINE_EXCEEDED, "{timeout}");
    }
    assert_eq!(stub.asked(), 3);
    // Nobody waits any more: the store is not even asked.
    assert_eq!(status_after("0S", &stub).await, DEADLINE_EXCEEDED);
    assert_eq!(stub.asked(), 3);

    // A malformed one is ignored.
    let fails = Arc::new(Stub::new(Behaviour::Fails(Error::AlreadyExists("over".to_owned()))));
    for timeout in ["1H", "5M", "5S", "soon", "", "m", "123456789m"] {
        assert_eq!(status_after(timeout, &fails).await, "6", "{timeout}");
    }
}
