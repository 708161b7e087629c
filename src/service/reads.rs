//! Reads: many pairs judged at once, or one pair in full. They hold nothing and bind no ids.

use crate::{
    engine::{
        Error, Result,
        code::decision,
        explain,
        gate::{Answer, CheckQuestion, Gate},
    },
    proto as pb,
    service::{convert, field, status},
};

pub(crate) async fn check_calls(
    gate: &Gate,
    request: pb::CheckCallsRequest,
) -> Result<pb::CheckCallsResponse> {
    let asked = field::batch(request.checks, "checks")?;
    let mut good = Vec::with_capacity(asked.len());
    let mut bad = Vec::with_capacity(asked.len());
    for (index, asked) in asked.into_iter().enumerate() {
        match check(asked, &path(index)) {
            Ok(question) => {
                good.push(question);
                bad.push(None);
            }
            Err(error) => bad.push(Some(error)),
        }
    }
    let answers = if good.is_empty() { Vec::new() } else { gate.check_calls(good).await? };
    if let Some(fault) = common_fault(&answers) {
        return Err(fault);
    }
    let mut answers = answers.into_iter();
    let results = bad.into_iter().enumerate().map(|(index, error)| {
        let answer = match error {
            Some(error) => Err(error),
            None => {
                let answer = answers.next().expect("the gate answers every check");
                let path = path(index);
                answer.map_err(|error| field::under(|_| &path, error))
            }
        };
        result(answer)
    });
    Ok(pb::CheckCallsResponse { results: results.collect() })
}

fn check(check: pb::CheckCall, path: &str) -> Result<CheckQuestion> {
    let pair = convert::pair(check.pair, &format!("{path}.pair"))?;
    let agent = convert::optional_agent(check.agent, &format!("{path}.agent"))?;
    let channel = convert::channel(check.channel, &format!("{path}.channel"))?;
    let as_of = field::instant(check.as_of, &format!("{path}.as_of"))?;
    Ok(CheckQuestion { pair, agent, channel, as_of })
}

fn path(index: usize) -> String {
    format!("checks[{index}]")
}

/// The store failed for every pair that could be judged: then no decision could be made, and the call says
/// so. What is wrong with a check is no fault of the store.
fn common_fault(answers: &[Result<Answer>]) -> Option<Error> {
    let is_answer = |answer: &&Result<Answer>| !matches!(answer, Err(Error::Invalid { .. }));
    let mut answers = answers.iter().filter(is_answer);
    let first = answers.next()?.as_ref().err()?;
    answers.all(Result::is_err).then(|| first.clone())
}

fn result(answer: Result<Answer>) -> pb::CheckCallResult {
    match answer {
        Ok(answer) => pb::CheckCallResult {
            decision: i32::from(answer.reply.decision),
            reason: i32::from(answer.reply.reason),
            blocked_by: convert::codes(&answer.reply.blocked_by),
            next_step: i32::from(answer.reply.next_step),
            callable_at: convert::timestamp(answer.reply.free_at),
            status: i32::from(answer.reply.view.status),
            error: String::new(),
            explanation: explain::call(&answer),
        },
        Err(error) => {
            if !matches!(error, Error::Invalid { .. }) {
                tracing::warn!(%error, "a pair could not be judged");
            }
            pb::CheckCallResult {
                decision: i32::from(decision::DENY),
                error: status::text(&error),
                ..pb::CheckCallResult::default()
            }
        }
    }
}

pub(crate) async fn permission(
    gate: &Gate,
    request: pb::GetPermissionRequest,
) -> Result<pb::GetPermissionResponse> {
    let pair = convert::pair(request.pair, "pair")?;
    let as_of = field::instant(request.as_of, "as_of")?;
    let kept_as = gate.pseudonym(&pair.customer);
    let answer = gate.permission(pair, as_of).await?;
    let mut permission = convert::permission(&answer);
    if let Some(as_of) = convert::timestamp(as_of) {
        permission.judged_at = Some(as_of);
    }
    Ok(pb::GetPermissionResponse {
        permission: Some(permission),
        kept_as: kept_as.as_ref().map(convert::kept_as),
    })
}
