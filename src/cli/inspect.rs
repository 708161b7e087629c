//! `callgate inspect`: everything behind an answer, so that a surprise explains itself.

use std::fmt::Write as _;

use clap::Args;
use prost_types::Timestamp;
use serde_json::json;

use crate::{
    cli::{
        Done, Failure, Format, check,
        client::{Gate, Pair},
        json,
        page::{self, Times},
    },
    proto as pb,
};

/// Shows the whole state of a pair: permission, every quota with the calls that fill it and when
/// each frees, misses in a row, the business number
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate inspect 436666719526789 15550199001
  callgate inspect 436666719526789 US.1000 -o json
  callgate inspect 436666719526789 15550199001 --at \"$(date -ud '1 hour ago' +%FT%TZ)\"")]
pub(super) struct Inspect {
    #[command(flatten)]
    pair: Pair,
    /// Judge as of then (RFC 3339), by all facts known now: what AuthorizeCall would have answered. Not
    /// further back than the horizon, 8 days with the built-in profiles
    #[arg(long, visible_alias = "at", value_name = "TIME", value_parser = time)]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    gate: Gate,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write it as in 2026-06-11T14:05:00Z".to_owned())
}

/// All that is shown.
struct Seen {
    verdict: pb::CheckCallResult,
    /// Whether it is one of another instant.
    is_of_then: bool,
    permission: pb::Permission,
    /// In place of the ids, where the gate hides them from its store.
    kept_as: Option<pb::Customer>,
    number: pb::BusinessNumber,
}

impl Inspect {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let seen = self.look().await?;
        Ok(Done::ok(match self.output {
            Format::Json => json::pretty(&json!({
                "check": json::of("CheckCallResult", &seen.verdict),
                "permission": json::of("Permission", &seen.permission),
                "kept_as": seen.kept_as.as_ref().map(|kept| json::of("Customer", kept)),
                "business_number": json::of("BusinessNumber", &seen.number),
            })),
            Format::Text => seen.page(),
        }))
    }

    async fn look(&self) -> Result<Seen, Failure> {
        let gate = &self.gate;
        let pair = self.pair.message();
        let phone_number_id = pair.phone_number_id.clone();
        let (verdict, answer) = check::ask(gate, pair, self.as_of).await?;
        let pb::GetPermissionResponse { permission, kept_as } = answer;
        let permission = permission.unwrap_or_default();
        let mut calls = gate.calls().await?;
        let request = gate.ask(pb::GetBusinessNumberRequest { phone_number_id });
        let answer = calls.get_business_number(request).await;
        let answer = answer.map_err(|status| gate.no_answer(&status))?.into_inner();
        let number = answer.business_number.unwrap_or_default();
        let is_of_then = self.as_of.is_some();
        Ok(Seen { verdict, is_of_then, permission, kept_as, number })
    }
}

impl Seen {
    fn page(&self) -> String {
        let permission = &self.permission;
        let times = Times::of(permission);
        let mut text = String::new();
        let verdict = &self.verdict;
        let then = if self.is_of_then { "as of then, by all facts known now: " } else { "" };
        let _ = writeln!(text, "{then}{}\n", check::line(verdict));
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<20} {value}");
        };
        row("pair", &page::pair(permission.pair.as_ref()));
        if let Some(pb::Customer { wa_id, user_id }) = &self.kept_as {
            let ids = [wa_id.as_str(), user_id.as_str()].into_iter().filter(|id| !id.is_empty());
            row("kept as", &ids.collect::<Vec<_>>().join(" "));
        }
        if let Some(at) = &permission.judged_at {
            row("as of", &times.at(at));
        }
        row("permission", &page::status(permission, times));
        let at = verdict.callable_at.as_ref();
        row("next step", &page::next_step(verdict.next_step, at, times));
        row("misses in a row", &streak(permission.unanswered.unwrap_or_default()));
        let window = permission.conversation_window_ends_at.as_ref();
        let window = window
            .map_or("closed".to_owned(), |at| format!("open until {}", times.with_distance(at)));
        row("conversation", &window);
        row("profile", &permission.profile);
        row("revision", &permission.revision.to_string());
        quotas(&mut text, &permission.quotas, times);
        business_number(&mut text, &self.number, times);
        text
    }
}

fn streak(streak: pb::UnansweredStreak) -> String {
    format!(
        "{} (the customer is warned at {}, the permission goes at {})",
        streak.count, streak.warns_customer_at, streak.revokes_at
    )
}

fn quotas(text: &mut String, quotas: &[pb::Quota], times: Times) {
    let _ = writeln!(text, "\nquotas");
    for quota in quotas {
        let _ = writeln!(text, "{}", page::quota(quota, times));
        for entry in &quota.entries {
            let _ = writeln!(text, "    {}", self::entry(entry, times));
        }
    }
}

fn entry(entry: &pb::QuotaEntry, times: Times) -> String {
    let at = entry.at.as_ref().map_or(String::new(), |at| times.at(at));
    let frees = entry.frees_at.as_ref().map_or("does not free by time".to_owned(), |at| {
        format!("frees {}", times.with_distance(at))
    });
    let how = if entry.held { "held, outcome not known yet" } else { "counted" };
    format!("{at}  {}  {how}; {frees}", entry.id)
}

fn business_number(text: &mut String, number: &pb::BusinessNumber, times: Times) {
    let _ = writeln!(text, "\nbusiness number");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<21} {value}");
    };
    row("id", &number.phone_number_id);
    if !number.display_phone_number.is_empty() {
        row("shown as", &number.display_phone_number);
    }
    row("calling", if number.calling_enabled { "enabled" } else { "DISABLED: no call is allowed" });
    let paused = pause(number.paused_without_end, number.paused_until.as_ref(), times);
    row("calls", &paused);
    row("permission requests", &requests(number, times));
    row(
        "a customer's call",
        match number.inbound_call_grants {
            Some(true) => "gives permission (the number's own setting)",
            Some(false) => "gives no permission (the number's own setting)",
            None => "as the profile says; the number's own setting is not known",
        },
    );
    row("profile", &number.profile);
    if let Some(at) = &number.updated_at {
        row("last told", &times.with_distance(at));
    }
}

/// They stand still as long as calls do, at least.
fn requests(number: &pb::BusinessNumber, times: Times) -> String {
    if !number.calling_enabled {
        return "DISABLED with the calls".to_owned();
    }
    let is_without_end = number.paused_without_end || number.requests_paused_without_end;
    let untils = [&number.paused_until, &number.requests_paused_until].into_iter().flatten();
    pause(is_without_end, untils.max_by_key(|at| (at.seconds, at.nanos)), times)
}

fn pause(is_without_end: bool, until: Option<&Timestamp>, times: Times) -> String {
    match until {
        _ if is_without_end => "PAUSED by the provider, without end".to_owned(),
        Some(at) => format!("PAUSED by the provider until {}", times.with_distance(at)),
        None => "not paused".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_requests_stand_still_with_the_calls() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let number = pb::BusinessNumber { calling_enabled: true, ..pb::BusinessNumber::default() };
        let told = |number| requests(&number, Times::of(&pb::Permission::default()));
        assert_eq!(told(number.clone()), "not paused");
        let both = pb::BusinessNumber {
            paused_until: at(7200),
            requests_paused_until: at(3600),
            ..number.clone()
        };
        assert!(told(both.clone()).contains("until 1970-01-01 02:00:00 UTC"));
        let later = pb::BusinessNumber { requests_paused_until: at(10_800), ..both };
        assert!(told(later).contains("until 1970-01-01 03:00:00 UTC"));
        let endless = pb::BusinessNumber { paused_without_end: true, ..number.clone() };
        assert!(told(endless).contains("without end"));
        let disabled = pb::BusinessNumber { calling_enabled: false, ..number };
        assert_eq!(told(disabled), "DISABLED with the calls");
    }
}
