//! A thousand updates in one body, what is counted of them, and what was kept aside tried again.

use std::sync::Arc;

use callgate::{
    engine::{
        code::status_name,
        fact::{NumberReport, Told},
        pair::PhoneNumberId,
    },
    webhook::{self, RetryOutcome},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    door::{ANA, Door, NUMBER, T, at, options, profiles},
    flaky::Flaky,
};

const GARBAGE: &[u8] = include_bytes!("../../fixtures/meta/64_edge_garbage_expiration.json");
const AHEAD: &[u8] = include_bytes!("../../fixtures/meta/73_edge_timestamp_in_future.json");

fn body(messages: &[Value]) -> Vec<u8> {
    let metadata = json!({"display_phone_number": "15550100001", "phone_number_id": NUMBER});
    let value = json!({"metadata": metadata, "messages": messages});
    json!({"entry": [{"changes": [{"field": "messages", "value": value}]}]})
        .to_string()
        .into_bytes()
}

fn accept(from: &str, at: u64) -> Value {
    json!({"from": from, "id": format!("wamid.{from}"), "timestamp": at, "type": "interactive",
        "interactive": {"type": "call_permission_reply", "call_permission_reply": {
            "response": "accept", "is_permanent": true}}})
}

#[tokio::test]
async fn a_thousand_updates_in_one_body_are_recorded_each_by_itself() {
    let door = Door::open().await;
    let mut messages: Vec<_> = (0..1000).map(|n| accept(&format!("1555020{n:04}"), T)).collect();
    messages[500] = accept("15550200500", T + 3600);
    assert_eq!(door.post(body(&messages)).await, StatusCode::OK);
    for (n, kind) in [(0, 2), (499, 2), (500, 0), (501, 2), (999, 2)] {
        let view = door.view(NUMBER, &format!("1555020{n:04}"), "").await;
        assert_eq!(view.grant_kind, kind, "{n}");
    }
    assert_eq!(door.quarantined().await.len(), 1);
}

#[tokio::test]
async fn all_is_counted_and_nobody_is_named() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // The server runs on this thread.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let door = Door::open().await;
    let messages = [accept(ANA, T), accept("not-a-number-15550199003", T)];
    assert_eq!(door.post(body(&messages)).await, StatusCode::OK);
    assert_eq!(door.post(body(&messages[..1])).await, StatusCode::OK);
    assert_eq!(door.post(body(&[accept(ANA, T - 1)])).await, StatusCode::OK);
    door.clock.set(at(T + 500 * 24 * 3600));
    assert_eq!(door.post(body(&messages[..1])).await, StatusCode::OK);
    let other = json!({"entry": [{"changes": [{"field": "flows", "value": {}}]}]});
    assert_eq!(door.post(other.to_string()).await, StatusCode::OK);
    assert_eq!(door.post_signed(body(&messages), &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(door.post("not JSON").await, StatusCode::BAD_REQUEST);
    let told = handle.render();
    let count = |line: &str| {
        let line = told.lines().find(|told| told.starts_with(line));
        line.map_or("none", |line| line.rsplit(' ').next().unwrap())
    };
    let reply = "callgate_webhook_events_total{field=\"messages\",event=\"permission_reply\"";
    assert_eq!(count(&format!("{reply},result=\"recorded\"}}")), "1", "{told}");
    assert_eq!(count(&format!("{reply},result=\"duplicate\"}}")), "2", "{told}");
    assert_eq!(count(&format!("{reply},result=\"stale\"}}")), "1", "{told}");
    assert_eq!(count(&format!("{reply},result=\"quarantined\"}}")), "1", "{told}");
    let other = "callgate_webhook_events_total{field=\"other\",event=\"unknown_field\"";
    assert_eq!(count(&format!("{other},result=\"ignored\"}}")), "1", "{told}");
    assert_eq!(count("callgate_webhook_signature_failures_total"), "1", "{told}");
    assert_eq!(count("callgate_webhook_rejected_total{reason=\"not_json\"}"), "1", "{told}");
    for named in [ANA, "15550199003", NUMBER] {
        assert!(!told.contains(named), "{told}");
    }
}

#[tokio::test]
async fn what_was_not_understood_can_be_tried_again() {
    let door = Door::open().await;
    for body in [AHEAD, GARBAGE] {
        assert_eq!(door.post(body).await, StatusCode::OK);
    }
    let retry = async || {
        let mut outcomes = Vec::new();
        for entry in door.quarantined().await {
            outcomes.push(webhook::retry(&door.gate, &entry).await.unwrap());
        }
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        outcomes
    };
    let unclear = |why: &str| RetryOutcome::StillUnclear(why.to_owned());
    let garbage = unclear("expiration_timestamp is not a whole number");
    let ahead = unclear("occurred_at: is more than 5 min ahead of the clock");
    assert_eq!(retry().await, [garbage.clone(), ahead]);
    assert_eq!(door.quarantined().await.len(), 2);
    // The time that one of them tells has come.
    door.clock.set(at(T + 10 * 24 * 3600 + 60));
    let recorded = RetryOutcome::Recorded(1);
    assert_eq!(retry().await, [recorded, garbage]);
    assert_eq!(status_name(door.ana().await.status), "granted");
    let left = door.quarantined().await;
    assert_eq!(left.len(), 1);
    let kept: Value = serde_json::from_str(&left[0].change).unwrap();
    assert_eq!(kept["field"], json!("messages"));
    assert!(left[0].change.contains("soon") && !left[0].change.contains("Prueba"));
}

/// It may fail each time until Meta gives up, and nothing else of the body would ever be known.
#[tokio::test]
async fn what_cannot_be_recorded_now_holds_up_nothing_beside_it() {
    let broken = "15550199666";
    let door =
        Door::over(profiles(), options(), |memory| Arc::new(Flaky::at_one(memory, broken))).await;
    let metadata = json!({"display_phone_number": "15550100001", "phone_number_id": NUMBER});
    let messages = json!([accept(broken, T), accept("garbled", T), accept(ANA, T)]);
    let settings = json!({"timestamp": T, "phone_number_settings":
        {"phone_number_id": NUMBER, "calling": {"status": "DISABLED"}}});
    let restriction = json!({"phone_number": "15550100001", "event": "ACCOUNT_RESTRICTION",
        "restriction_info": {"restriction_type": "RESTRICTED_BUSINESS_INITIATED_CALLING"}});
    let body = json!({"entry": [{"time": T, "changes": [
        {"field": "messages", "value": {"metadata": metadata, "messages": messages}},
        {"field": "account_settings_update", "value": settings},
        {"field": "account_update", "value": restriction}]}]});
    for _ in 0..2 {
        assert_eq!(door.post(body.to_string()).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status_name(door.ana().await.status), "granted");
        let number = door.number(NUMBER).await;
        assert_eq!((number.calling, number.pause), (1, 2));
        assert_eq!(door.quarantined().await.len(), 1);
    }
}

/// As when a number moves to another account and back: other gates have told of the other one meanwhile.
#[tokio::test]
async fn a_display_number_that_comes_back_to_its_id_is_told_again() {
    let door = Door::open().await;
    let seen = |number: &str, time: u64| {
        let metadata = json!({"display_phone_number": "15550100001", "phone_number_id": number});
        let value = json!({"metadata": metadata, "messages": []});
        json!({"entry": [{"time": time, "changes": [{"field": "messages", "value": value}]}]})
    };
    let other = "800000000000009";
    for (number, time) in [(NUMBER, T - 900), (other, T - 600), (NUMBER, T - 300)] {
        assert_eq!(door.post(seen(number, time).to_string()).await, StatusCode::OK);
    }
    let restriction = |time: u64| {
        let restriction = json!({"phone_number": "15550100001", "event": "ACCOUNT_RESTRICTION",
            "restriction_info": {"restriction_type": "RESTRICTED_BUSINESS_INITIATED_CALLING"}});
        json!({"entry": [{"time": time, "changes":
            [{"field": "account_update", "value": restriction}]}]})
    };
    assert_eq!(door.post(restriction(T - 200).to_string()).await, StatusCode::OK);
    assert_eq!((door.number(NUMBER).await.pause, door.number(other).await.pause), (2, 0));
    // Another gate has told of the other one since; ours hears of its own again, some time later.
    let number = PhoneNumberId::parse(other, "").unwrap();
    door.gate.store().learn_display("15550100001", &number, at(T - 100)).await.unwrap();
    door.clock.set(at(T + 600));
    assert_eq!(door.post(seen(NUMBER, T + 600).to_string()).await, StatusCode::OK);
    let owner = door.gate.store().report_by_display(
        "15550100001",
        NumberReport { at: at(T + 600), ..NumberReport::default() },
    );
    assert_eq!(owner.await.unwrap().unwrap().as_str(), NUMBER);
}

/// So that a report that is sent again, or arrives late, undoes nothing that was told after it.
#[tokio::test]
async fn a_report_without_a_time_is_of_when_it_was_asked_for() {
    let mut store = None;
    let door = Door::over(profiles(), options(), |memory| {
        store.insert(Arc::new(Flaky::over(memory))).clone()
    })
    .await;
    let number = PhoneNumberId::parse(NUMBER, "").unwrap();
    let told = NumberReport { calling: Told::No, ..NumberReport::default() };
    let reply = door.gate.number(&number, Some(told)).await.unwrap();
    assert_eq!((reply.changed, reply.number.calling_at), (1, at(T)));
    assert_eq!(*store.unwrap().reported_at.lock().unwrap(), at(T), "as it was sent");
}
