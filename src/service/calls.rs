//! Calls: may it be placed, and what became of it.

use crate::{
    engine::{
        Result, explain,
        fact::{Event, Fact},
        gate::{CallQuestion, Gate},
    },
    proto as pb,
    service::{convert, field},
};

pub(crate) async fn authorize(
    gate: &Gate,
    request: pb::AuthorizeCallRequest,
) -> Result<pb::AuthorizeCallResponse> {
    let question = CallQuestion {
        pair: convert::pair(request.pair, "pair")?,
        agent: convert::agent(request.agent, "agent")?,
        channel: convert::channel(request.channel, "channel")?,
        call_id: convert::attempt_id(request.call_id, "call_id")?,
        lease: field::lease(request.lease, "lease")?,
    };
    let call_id = question.call_id.clone();
    let answer = gate.authorize_call(question).await?;
    let reply = &answer.reply;
    Ok(pb::AuthorizeCallResponse {
        decision: i32::from(reply.decision),
        reason: i32::from(reply.reason),
        blocked_by: convert::codes(&reply.blocked_by),
        explanation: explain::call(&answer),
        next_step: i32::from(reply.next_step),
        callable_at: convert::timestamp(reply.free_at),
        call_id,
        lease_expires_at: convert::timestamp(reply.lease_expires_at),
        warnings: convert::warnings(&answer),
        permission: Some(convert::permission(&answer)),
        replayed: reply.replayed != 0,
    })
}

pub(crate) async fn report(
    gate: &Gate,
    request: pb::ReportCallRequest,
) -> Result<pb::ReportCallResponse> {
    let pair = convert::pair(request.pair, "pair")?;
    let report = convert::call_report(request.report.unwrap_or_default(), "report")?;
    let occurred_at = field::instant(request.occurred_at, "occurred_at")?;
    let event = Event {
        event_id: String::new(),
        pair,
        occurred_at,
        meta_spelling: false,
        fact: Fact::Call(report),
    };
    let path_of = |name: &str| if name == "occurred_at" { "" } else { "report" };
    let answer = gate.record(event).await.map_err(|error| field::under(path_of, error))?;
    Ok(pb::ReportCallResponse { permission: Some(convert::permission(&answer)) })
}
