//! A history as a story (`tests/stories/README.md`), and what a simpler one would be.

use std::fmt::Write as _;

use callgate::engine::{
    fact::{CallOutcome, Fact, NumberReport, RequestOutcome, Told},
    pair::WaId,
    profile::Profile,
    step::{Command, Reply},
    time::Millis,
};

use super::{
    play::{Act, Deed, played},
    referee::Referee,
};
use crate::stories::{
    START,
    moment::show,
    profile::{FLAGS, SPANS},
};

/// The deeds as a table, each with what the referee says to it.
pub fn story(profile: &Profile, deeds: &[Deed]) -> String {
    let mut text = format!("# A history\n{}\n", header(profile));
    if deeds.iter().any(|deed| matches!(deed.act, Act::Forget(_))) {
        text += "needs clock\n";
    }
    let mut referee = Referee::new(profile.clone());
    for deed in deeds {
        for deed in played(deed, &referee) {
            let when = show(Millis(deed.now), START);
            let (what, expected) = (row(&deed.act), said(&mut referee, &deed));
            let _ = writeln!(text, "{when:<15}| {what:<32}| {expected}");
        }
    }
    text
}

fn said(referee: &mut Referee, deed: &Deed) -> String {
    let key = |wa: &str| WaId::parse(wa, "wa").map_or(String::new(), |wa| wa.key().to_owned());
    let word = |is: bool, yes: &str, no: &str| if is { yes.to_owned() } else { no.to_owned() };
    match &deed.act {
        Act::Pair((wa, user), command) => {
            outcome(&referee.step((&key(wa), user), command, deed.now))
        }
        Act::Number(report) => {
            let reply = referee.number(Some(report), deed.now);
            word(
                reply.field.is_empty(),
                &word(reply.changed == 1, "CHANGED", "SAME"),
                "REFUSED invalid",
            )
        }
        Act::Forget((wa, user)) => {
            word(referee.forget((&key(wa), user), deed.now), "FORGOTTEN", "NOTHING")
        }
    }
}

/// What differs from the built-in profile of that name.
fn header(profile: &Profile) -> String {
    let base = Profile::built_in().into_iter().find(|base| base.name == profile.name);
    let value = |profile: &Profile| serde_json::to_value(profile).expect("plain data");
    let (base, this) = (value(&base.expect("built in")), value(profile));
    let mut text = format!("profile {}", profile.name);
    for (key, is) in this.as_object().expect("a profile is an object") {
        if base[key] == *is {
            continue;
        }
        let n = is.as_u64().unwrap_or_default();
        let value = if SPANS.contains(&key.as_str()) {
            show(Millis(n), Millis(0)).trim_start_matches('+').to_owned()
        } else if FLAGS.contains(&key.as_str()) {
            (n == 1).to_string()
        } else {
            n.to_string()
        };
        let _ = write!(text, "; {key} {value}");
    }
    text
}

fn time(word: &str, at: Millis) -> String {
    at.get().map_or(String::new(), |at| format!(" {word}{}", show(at, START)))
}

fn who((wa, user): &(String, String)) -> String {
    let wa = match wa.as_str() {
        "15550199001" => "A",
        "15550199002" => "B",
        other => other,
    };
    let user = match user.as_str() {
        "US.1000" => "U",
        "US.2000" => "V",
        other => other,
    };
    let both: Vec<&str> = [wa, user].into_iter().filter(|id| !id.is_empty()).collect();
    if both == ["A"] { String::new() } else { format!(" as {}", both.join("+")) }
}

fn row(act: &Act) -> String {
    match act {
        Act::Forget(of) => format!("forget{}", who(of)),
        Act::Number(report) => number(report),
        Act::Pair(of, command) => command_words(command) + &who(of),
    }
}

fn number(report: &NumberReport) -> String {
    let say = |word: &str, until: Millis| format!("number {word}{}", time("until ", until));
    let text = match report {
        NumberReport { calling: Told::Yes, .. } => "number calling enabled".to_owned(),
        NumberReport { calling: Told::No, .. } => "number calling disabled".to_owned(),
        NumberReport { pause: Told::No, .. } => "number resumed".to_owned(),
        NumberReport { pause: Told::Yes, paused_until, .. } => say("paused", *paused_until),
        NumberReport { request_pause: Told::No, .. } => "number requests resumed".to_owned(),
        NumberReport { request_pause: Told::Yes, requests_paused_until, .. } => {
            say("requests paused", *requests_paused_until)
        }
        NumberReport { inbound_call_grants: Told::Yes, .. } => {
            "number grants_inbound yes".to_owned()
        }
        _ => "number grants_inbound no".to_owned(),
    };
    text + &time("@", report.at)
}

fn ids(own: &str, provider: &str) -> String {
    if provider.is_empty() { own.to_owned() } else { format!("{own}/{provider}") }
}

fn command_words(command: &Command) -> String {
    match command {
        Command::Record { at, fact, spelled, .. } => {
            let spelled = if spelled.is_empty() { "" } else { " spelled" };
            format!("{}{}{spelled}", fact_words(fact), time("@", *at))
        }
        Command::AuthorizeCall { own_id, lease: 0 } => format!("authorize {own_id}"),
        Command::AuthorizeCall { own_id, lease } => format!("authorize {own_id} lease {lease}ms"),
        Command::AuthorizeRequest { own_id, replace } => {
            format!("authorize-request {own_id}{}", if *replace == 1 { " replace" } else { "" })
        }
        Command::Check {} => "check".to_owned(),
        Command::CheckAt { as_of } => format!("check{}", time("as_of ", *as_of)),
        Command::Settle {} => "settle".to_owned(),
        Command::View { as_of } => format!("view{}", time("as_of ", *as_of)),
    }
}

fn fact_words(fact: &Fact) -> String {
    let flag = |is: bool, word: &'static str| if is { word } else { "" };
    match fact {
        Fact::Identity {} => "identity".to_owned(),
        Fact::InboundMessage(_) => "inbound message".to_owned(),
        Fact::InboundCall(call) => format!("inbound call{}", flag(call.answered, " answered")),
        Fact::Reply(reply) => {
            let mut text = flag(reply.accept, "accept").to_owned();
            text += flag(!reply.accept, "reject");
            text += flag(reply.permanent, " permanent");
            text += flag(reply.automatic, " automatic");
            if !reply.request_id.is_empty() {
                text += &format!(" to {}", reply.request_id);
            }
            text + &time("expires ", reply.expires_at)
        }
        Fact::Request(report) => {
            let outcome = match report.outcome {
                RequestOutcome::Held | RequestOutcome::Sent => "sent",
                RequestOutcome::Refused => "refused",
                RequestOutcome::Undelivered => "undelivered",
                RequestOutcome::Delivered => "delivered",
            };
            let ids = ids(&report.request_id, &report.provider_message_id);
            format!("request {ids} {outcome}{}", flag(report.known_only, " known_only"))
        }
        Fact::Call(call) => {
            let outcome = match call.outcome {
                CallOutcome::Held | CallOutcome::NotPlaced => "not_placed",
                CallOutcome::Placed => "placed",
                CallOutcome::Ringing => "ringing",
                CallOutcome::Failed => "failed",
                CallOutcome::Canceled => "canceled",
                CallOutcome::Unanswered => "unanswered",
                CallOutcome::Rejected => "rejected",
                CallOutcome::Uncertain => "uncertain",
                CallOutcome::Answered => "answered",
            };
            let mut text = format!("call {} {outcome}", ids(&call.call_id, &call.provider_call_id));
            text += &time("dialled ", call.placed_at);
            text += &time("picked_up ", call.answered_at);
            text += &time("ended ", call.ended_at);
            if call.error != 0 {
                text += &format!(" error {}", call.error);
            }
            text + flag(call.pstn, " pstn")
        }
    }
}

/// What is expected of the last row, in short.
fn outcome(reply: &Reply) -> String {
    use callgate::engine::code;
    if !reply.refused.is_empty() {
        return format!("REFUSED {}", reply.refused);
    }
    let mut words = Vec::new();
    if reply.result > 0 {
        words.push(code::event_status_name(reply.result).to_uppercase());
    }
    if reply.decision > 0 {
        let (decision, reason) =
            (code::decision_name(reply.decision), code::reason_name(reply.reason));
        words.push(format!("{decision} {reason}").to_uppercase());
    }
    let view = &reply.view;
    words.push(format!("status {}", code::status_name(view.status).to_uppercase()));
    words.push(format!("streak {}", view.streak));
    for (n, quota) in ["window", "permission", "day", "week"].into_iter().enumerate() {
        let (used, held, limit) = (view.quota_used[n], view.quota_held[n], view.quota_limit[n]);
        words.push(format!("{quota} {used}+{held}/{limit}"));
    }
    words.join("; ")
}

/// The same deed with one thing less.
pub fn simpler(deed: &Deed) -> Vec<Deed> {
    let with = |command: Command, of: &(String, String)| Deed {
        now: deed.now,
        act: Act::Pair(of.clone(), command),
    };
    let Act::Pair(of, command) = &deed.act else { return Vec::new() };
    let mut simpler = Vec::new();
    match command {
        Command::Record { at, spelled, event_id, fact } => {
            let again = |at: Millis, fact: Fact| Command::Record {
                at,
                spelled: spelled.clone(),
                event_id: event_id.clone(),
                fact,
            };
            if at.0 != 0 {
                simpler.push(with(again(Millis::ZERO, fact.clone()), of));
            }
            simpler.extend(simpler_facts(fact).into_iter().map(|fact| with(again(*at, fact), of)));
        }
        Command::View { as_of } if as_of.0 != 0 => {
            simpler.push(with(Command::View { as_of: Millis::ZERO }, of));
        }
        Command::AuthorizeCall { own_id, lease } if *lease != 0 => {
            simpler.push(with(Command::AuthorizeCall { own_id: own_id.clone(), lease: 0 }, of));
        }
        _ => {}
    }
    simpler
}

fn simpler_facts(fact: &Fact) -> Vec<Fact> {
    let mut simpler = Vec::new();
    match fact {
        Fact::Call(call) => {
            let mut or = |is: bool, change: fn(&mut callgate::engine::fact::CallReport)| {
                if is {
                    let mut other = call.clone();
                    change(&mut other);
                    simpler.push(Fact::Call(other));
                }
            };
            or(call.placed_at.0 > 0, |call| call.placed_at = Millis::ZERO);
            or(call.answered_at.0 > 0, |call| call.answered_at = Millis::ZERO);
            or(call.ended_at.0 > 0, |call| call.ended_at = Millis::ZERO);
            or(call.error != 0, |call| call.error = 0);
            let has_both = !call.call_id.is_empty() && !call.provider_call_id.is_empty();
            or(has_both, |call| call.provider_call_id.clear());
            or(has_both, |call| call.call_id.clear());
        }
        Fact::Reply(reply) => {
            let mut or = |is: bool, change: fn(&mut callgate::engine::fact::Reply)| {
                if is {
                    let mut other = reply.clone();
                    change(&mut other);
                    simpler.push(Fact::Reply(other));
                }
            };
            or(!reply.request_id.is_empty(), |reply| reply.request_id.clear());
            or(reply.expires_at.0 > 0, |reply| reply.expires_at = Millis::ZERO);
            or(reply.permanent, |reply| reply.permanent = false);
        }
        Fact::Request(report) if report.known_only => {
            let mut other = report.clone();
            other.known_only = false;
            simpler.push(Fact::Request(other));
        }
        _ => {}
    }
    simpler
}
