//! Well-formed requests, for tests to ask or to spoil.

use callgate::{
    engine::time::Millis,
    proto::{self as pb, event::Fact},
};
use prost_types::Timestamp;

/// 2026-11-16T12:00:00Z.
pub const T: u64 = 1_794_830_400_000;
pub const SECOND: u64 = 1000;
pub const HOUR: u64 = 3600 * SECOND;
pub const DAY: u64 = 24 * HOUR;
pub const NUMBER: &str = "800000000000001";
/// Not the one that messages give as an example: no message may repeat it.
pub const CUSTOMER: &str = "15550142001";

pub fn at(ms: u64) -> Option<Timestamp> {
    let Millis(ms) = Millis(ms);
    Some(Timestamp {
        seconds: i64::try_from(ms / 1000).unwrap(),
        nanos: i32::try_from(ms % 1000).unwrap() * 1_000_000,
    })
}

pub fn pair_of(number: &str, wa_id: &str) -> Option<pb::Pair> {
    let customer = pb::Customer { wa_id: wa_id.to_owned(), user_id: String::new() };
    Some(pb::Pair { phone_number_id: number.to_owned(), customer: Some(customer) })
}

pub fn pair() -> Option<pb::Pair> {
    pair_of(NUMBER, CUSTOMER)
}

pub fn voice_agent() -> Option<pb::Agent> {
    Some(pb::Agent { kind: pb::AgentKind::VoiceAgent.into(), id: "bot:reminders".to_owned() })
}

pub fn human_agent() -> Option<pb::Agent> {
    Some(pb::Agent { kind: pb::AgentKind::HumanAgent.into(), id: "ana@example.com".to_owned() })
}

pub fn authorize(call_id: &str) -> pb::AuthorizeCallRequest {
    pb::AuthorizeCallRequest {
        pair: pair(),
        agent: voice_agent(),
        call_id: call_id.to_owned(),
        ..Default::default()
    }
}

pub fn authorize_request(request_id: &str) -> pb::AuthorizePermissionRequestRequest {
    pb::AuthorizePermissionRequestRequest {
        pair: pair(),
        agent: human_agent(),
        request_id: request_id.to_owned(),
        replace_permission: false,
    }
}

pub fn report(call_id: &str, outcome: pb::CallOutcome) -> pb::ReportCallRequest {
    pb::ReportCallRequest {
        pair: pair(),
        report: Some(pb::CallReport {
            call_id: call_id.to_owned(),
            outcome: outcome.into(),
            ..Default::default()
        }),
        occurred_at: None,
    }
}

pub fn event(event_id: &str, occurred_at: u64, fact: Fact) -> pb::Event {
    pb::Event {
        event_id: event_id.to_owned(),
        pair: pair(),
        occurred_at: at(occurred_at),
        fact: Some(fact),
    }
}

pub fn accept() -> Fact {
    Fact::Reply(pb::PermissionReply {
        response: pb::PermissionResponse::Accept.into(),
        ..Default::default()
    })
}

pub fn reject() -> Fact {
    Fact::Reply(pb::PermissionReply {
        response: pb::PermissionResponse::Reject.into(),
        ..Default::default()
    })
}

pub fn sent(request_id: &str) -> Fact {
    Fact::Request(pb::PermissionRequestReport {
        request_id: request_id.to_owned(),
        outcome: pb::RequestOutcome::Sent.into(),
        ..Default::default()
    })
}

pub fn call(call_id: &str, outcome: pb::CallOutcome) -> Fact {
    Fact::Call(pb::CallReport {
        call_id: call_id.to_owned(),
        outcome: outcome.into(),
        ..Default::default()
    })
}

pub fn events(events: Vec<pb::Event>) -> pb::RecordEventsRequest {
    pb::RecordEventsRequest { events }
}
