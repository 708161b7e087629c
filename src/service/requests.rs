//! Permission requests: may it be sent. What became of it comes as an event.

use crate::{
    engine::{
        Result, explain,
        gate::{Gate, RequestQuestion},
    },
    proto as pb,
    service::convert,
};

pub(crate) async fn authorize(
    gate: &Gate,
    request: pb::AuthorizePermissionRequestRequest,
) -> Result<pb::AuthorizePermissionRequestResponse> {
    let question = RequestQuestion {
        pair: convert::pair(request.pair, "pair")?,
        agent: convert::agent(request.agent, "agent")?,
        request_id: convert::attempt_id(request.request_id, "request_id")?,
        replace_permission: request.replace_permission,
    };
    let request_id = question.request_id.clone();
    let answer = gate.authorize_request(question).await?;
    let reply = &answer.reply;
    Ok(pb::AuthorizePermissionRequestResponse {
        decision: i32::from(reply.decision),
        reason: i32::from(reply.reason),
        blocked_by: convert::codes(&reply.blocked_by),
        explanation: explain::request(&answer),
        requestable_at: convert::timestamp(reply.free_at),
        request_id,
        lease_expires_at: convert::timestamp(reply.lease_expires_at),
        permission: Some(convert::permission(&answer)),
        replayed: reply.replayed != 0,
    })
}
