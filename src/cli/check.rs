//! `callgate check`: the verdict in plain words, with every quota.

use std::fmt::Write as _;

use clap::Args;
use prost_types::Timestamp;
use serde_json::json;

use crate::{
    cli::{
        Done, Failure, Format,
        client::{Gate, Pair},
        json, page,
    },
    engine::explain,
    proto as pb,
};

/// The exit code of a no.
const DENIED: u8 = 10;

/// Asks a running gate whether a call may be placed now; holds nothing
///
/// Exits with 0 if it may, 10 if not (0 with --exit-zero), 3 if there is no answer: then do not dial
/// either.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate check 436666719526789 15550199001
  callgate check 436666719526789 US.1000 -o json
  callgate check 436666719526789 +15550199001 --addr unix:/run/callgate/callgate.sock")]
pub(super) struct Check {
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    gate: Gate,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Exit with 0 for a no as well: to ask only whether there is an answer
    #[arg(long)]
    exit_zero: bool,
}

impl Check {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let (verdict, answer) = ask(&self.gate, self.pair.message(), None).await?;
        let permission = answer.permission.unwrap_or_default();
        let text = match self.output {
            Format::Json => json::pretty(&json!({
                "check": json::of("CheckCallResult", &verdict),
                "permission": json::of("Permission", &permission),
            })),
            Format::Text => text(&verdict, &permission),
        };
        let is_allowed = verdict.decision == pb::Decision::Allow as i32;
        Ok(Done { text, code: if is_allowed || self.exit_zero { 0 } else { DENIED } })
    }
}

/// The verdict and the state that it rests on. They are two reads: between them a call may happen.
/// `as_of` `None`: now.
pub(super) async fn ask(
    gate: &Gate,
    pair: pb::Pair,
    as_of: Option<Timestamp>,
) -> Result<(pb::CheckCallResult, pb::GetPermissionResponse), Failure> {
    let mut calls = gate.calls().await?;
    let check = pb::CheckCall { pair: Some(pair.clone()), as_of, ..pb::CheckCall::default() };
    let request = gate.ask(pb::CheckCallsRequest { checks: vec![check] });
    let answer = calls.check_calls(request).await.map_err(|status| gate.no_answer(&status))?;
    let verdict = answer.into_inner().results.into_iter().next().unwrap_or_default();
    match verdict.error.strip_prefix("checks[0].") {
        // Of what a person gives here, the time is what may be out of bounds.
        Some(problem) if problem.starts_with("as_of: ") => {
            return Err(Failure::Given(problem.to_owned()));
        }
        _ if verdict.error.is_empty() => {}
        _ => return Err(Failure::NoAnswer(verdict.error)),
    }
    let request = gate.ask(pb::GetPermissionRequest { pair: Some(pair), as_of });
    let answer = calls.get_permission(request).await.map_err(|status| gate.no_answer(&status))?;
    Ok((verdict, answer.into_inner()))
}

fn text(verdict: &pb::CheckCallResult, permission: &pb::Permission) -> String {
    let times = page::Times::of(permission);
    let mut text = String::new();
    let _ = writeln!(text, "{}", line(verdict));
    let _ = writeln!(text, "pair        {}", page::pair(permission.pair.as_ref()));
    let _ = writeln!(text, "permission  {}", page::status(permission, times));
    let step = page::next_step(verdict.next_step, verdict.callable_at.as_ref(), times);
    let _ = writeln!(text, "next step   {step}");
    let _ = writeln!(text, "profile     {}", permission.profile);
    let _ = writeln!(text, "quotas");
    for quota in &permission.quotas {
        let _ = writeln!(text, "{}", page::quota(quota, times));
    }
    text
}

/// "DENY (call window limit): 5 of 5 answered calls in 24 h; next free 14:05:00 UTC".
pub(super) fn line(verdict: &pb::CheckCallResult) -> String {
    let decision = explain::decision_name(page::code(verdict.decision)).to_uppercase();
    let reason = page::words(explain::reason_name(page::code(verdict.reason)));
    let others: Vec<String> = verdict
        .blocked_by
        .iter()
        .filter(|other| **other != verdict.reason)
        .map(|other| page::words(explain::reason_name(page::code(*other))))
        .collect();
    let also =
        if others.is_empty() { String::new() } else { format!("; also {}", others.join(", ")) };
    format!("{decision} ({reason}{also}): {}", verdict.explanation)
}
