//! Makes histories up: commands of every kind, at instants just before, at and just after those at
//! which something ends by the state that the referee knows.

use callgate::engine::{
    fact::{
        CallOutcome, CallReport, Fact, InboundCall, InboundMessage, NumberReport, Reply,
        RequestOutcome, RequestReport, Told,
    },
    step::Command,
    time::Millis,
};

use super::{
    play::{Act, Deed},
    quotas::{DAY, horizon},
    referee::Referee,
    scope::{HOUR, MINUTE, SECOND, Scope},
    used::Used,
};
use crate::{stories::START, twins::Dice};

/// How many numbers of calls and of requests are in use at a time.
const CALLS: u64 = 6;
const REQUESTS: u64 = 4;

#[derive(Debug)]
pub struct Author<'a> {
    pub dice: &'a mut Dice,
    pub scope: Scope,
    pub now: u64,
    used: Used,
}

const OUTCOMES: [CallOutcome; 13] = [
    CallOutcome::NotPlaced,
    CallOutcome::Placed,
    CallOutcome::Ringing,
    CallOutcome::Ringing,
    CallOutcome::Failed,
    CallOutcome::Canceled,
    CallOutcome::Unanswered,
    CallOutcome::Unanswered,
    CallOutcome::Rejected,
    CallOutcome::Uncertain,
    CallOutcome::Answered,
    CallOutcome::Answered,
    CallOutcome::Answered,
];

impl<'a> Author<'a> {
    pub fn new(dice: &'a mut Dice, scope: Scope) -> Self {
        Self { dice, scope, now: START.0, used: Used::default() }
    }

    /// The next thing that happens.
    pub fn next(&mut self, referee: &Referee) -> Deed {
        let pause = self.pause(referee);
        if self.now + pause < START.0 + self.scope.longest {
            self.now += pause;
        }
        let act = match self.dice.below(50) {
            _ if self.scope.binds_first && referee.sights.0.is_empty() => self.bond(),
            0..2 => Act::Number(self.number()),
            2 if self.scope.forgets => Act::Forget(self.who()),
            _ => {
                let who = self.who();
                let command = self.command(referee);
                Act::Pair(who.clone(), self.spelled(&who.0, command))
            }
        };
        let deed = Deed { now: self.now, act };
        self.used.allows(&deed, horizon(&referee.profile), self.scope);
        deed
    }

    fn who(&mut self) -> (String, String) {
        let (wa, user) = *self.dice.pick(self.scope.ids);
        (wa.to_owned(), user.to_owned())
    }

    fn bond(&mut self) -> Act {
        let both = self.scope.ids.iter().find(|(wa, user)| !wa.is_empty() && !user.is_empty());
        let (wa, user) = both.expect("somebody has both");
        let event_id = String::new();
        let fact = Fact::Identity {};
        let command = Command::Record { at: Millis::ZERO, spelled: String::new(), event_id, fact };
        Act::Pair(((*wa).to_owned(), (*user).to_owned()), command)
    }

    /// Meta's own spelling is told at times.
    fn spelled(&mut self, wa: &str, command: Command) -> Command {
        match command {
            Command::Record { at, event_id, fact, .. } => {
                let spelled = if self.is(3) { wa.to_owned() } else { String::new() };
                Command::Record { at, spelled, event_id, fact }
            }
            other => other,
        }
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.dice.below(one_in) == 0
    }

    /// How far time moves: often to an edge.
    fn pause(&mut self, referee: &Referee) -> u64 {
        let some = *self.dice.pick(&[0, 0, 0, 1, 500, SECOND, 30 * SECOND]);
        match self.dice.below(20) {
            0..11 => some,
            11..18 => self.edge_ahead(referee).unwrap_or(some),
            18 => self.dice.below(DAY),
            _ => {
                self.dice.below(*self.dice.clone().pick(&[DAY, 9 * DAY, self.scope.longest_pause]))
            }
        }
    }

    /// To an instant at which something ends, a millisecond before, or after.
    fn edge_ahead(&mut self, referee: &Referee) -> Option<u64> {
        let p = referee.profile.clone();
        let begun = referee.instants();
        let from = *self.dice.pick(&begun);
        let span = *self.dice.pick(&[
            0,
            p.lease,
            p.call_window,
            DAY,
            7 * DAY,
            p.temporary_permission,
            p.temporary_permission.saturating_sub(p.expiring_soon),
            p.request_lapses_after,
            p.longest_call,
            horizon(&p),
        ]);
        let edge = from + span + self.dice.below(3);
        (edge > self.now)
            .then(|| edge - 1 - self.now)
            .filter(|far| *far <= self.scope.longest_pause)
    }

    /// When something happened that is told now; 0: now.
    fn at(&mut self, referee: &Referee) -> u64 {
        match self.any_time(referee) {
            0 => 0,
            at => at.max(START.0 - self.scope.before),
        }
    }

    fn any_time(&mut self, referee: &Referee) -> u64 {
        let now = self.now;
        let horizon = horizon(&referee.profile);
        match self.dice.below(16) {
            0..6 => 0,
            6..8 => now - self.dice.below(5) * 500,
            8..10 => now - self.dice.below(HOUR),
            10..12 => {
                let known = *self.dice.pick(&referee.instants());
                let near = known + *self.dice.pick(&[0, 0, 1, 500, SECOND]) - self.dice.below(2);
                near.min(now + 300_000)
            }
            12 => now - self.dice.below(3 * DAY),
            13 => now + self.dice.below(300_003),
            14 => now - horizon + 1 - self.dice.below(3),
            _ => now - self.dice.below(10) * DAY - self.dice.below(2),
        }
    }

    fn command(&mut self, referee: &Referee) -> Command {
        match self.dice.below(20) {
            0..11 => {
                let at = self.at(referee);
                let event_id = format!("e{}", self.dice.below(1000));
                let fact = self.fact(referee);
                // An ending that comes later than the horizon cannot undo what was folded.
                let is_ending = matches!(&fact, Fact::Reply(reply) if !reply.accept)
                    || matches!(&fact, Fact::Call(call) if call.error == 138_006);
                let oldest = self.now - horizon(&referee.profile);
                let at = if is_ending && at < oldest { 0 } else { at };
                Command::Record { at: Millis(at), spelled: String::new(), event_id, fact }
            }
            11..15 => {
                let n = self.fresh(referee, 'c', CALLS);
                let lease = *self.dice.pick(&[0, 0, 5 * SECOND, 10 * MINUTE]);
                Command::AuthorizeCall { own_id: format!("c{n}"), lease }
            }
            15..17 => {
                let n = self.fresh(referee, 'r', REQUESTS);
                let replace = u8::from(self.is(3));
                Command::AuthorizeRequest { own_id: format!("r{n}"), replace }
            }
            17 => Command::Check {},
            18 => match self.as_of(referee) {
                0 => Command::Check {},
                as_of => Command::CheckAt { as_of: Millis(as_of) },
            },
            _ => Command::View { as_of: Millis(self.as_of(referee)) },
        }
    }

    /// Now, ahead, or back not so far that what was folded would be missed.
    fn as_of(&mut self, referee: &Referee) -> u64 {
        match self.dice.below(6) {
            0..3 => 0,
            3 => self.now + self.dice.below(9 * DAY),
            4 => self.edge_ahead(referee).map_or(0, |far| self.now + far),
            // Of what was folded the past says nothing any more.
            _ if referee.is_anything_old(self.now) => 0,
            _ => self.now - self.dice.below(DAY - 301 * SECOND),
        }
    }

    fn fact(&mut self, referee: &Referee) -> Fact {
        let sorts = if self.scope.ids.len() > 1 { 17 } else { 16 };
        match self.dice.below(sorts) {
            0..5 => Fact::Reply(self.reply(referee)),
            5..11 => Fact::Call(self.call(referee)),
            11..13 => Fact::Request(self.request(referee)),
            13..15 => Fact::InboundCall(InboundCall {
                provider_call_id: String::new(),
                answered: self.is(2),
            }),
            15 => Fact::InboundMessage(InboundMessage { provider_message_id: String::new() }),
            _ => Fact::Identity {},
        }
    }

    fn reply(&mut self, referee: &Referee) -> Reply {
        let accept = !self.is(3);
        let automatic = self.is(4);
        let n = self.fresh(referee, 'r', REQUESTS);
        let request_id = match self.dice.below(6) {
            0..2 if !automatic => format!("r{n}"),
            2 if !automatic => format!("m{n}a"),
            _ => String::new(),
        };
        let ends = self.now + *self.dice.pick(&[500, 1500, MINUTE, HOUR, DAY, 30 * DAY, 61 * DAY]);
        Reply {
            accept,
            permanent: accept && !automatic && self.is(4),
            expires_at: Millis(if accept && self.is(3) { ends } else { 0 }),
            automatic,
            request_id,
        }
    }

    /// A number for an id that names nothing older than the horizon.
    fn fresh(&mut self, referee: &Referee, kind: char, count: u64) -> u64 {
        let slot = self.dice.below(count);
        let edge = self.now.saturating_sub(horizon(&referee.profile));
        let fresh = (0..).map(|age| slot + 10 * age).find(|n| self.used.is_fresh(kind, *n, edge));
        fresh.expect("there are numbers enough")
    }

    /// Ids of an attempt: ours, ours and the provider's, the provider's alone.
    fn ids(&mut self, own: &str, provider: &str, n: u64) -> (String, String) {
        let is_second = self.is(3);
        let theirs = format!("{provider}{n}{}", if is_second { "b" } else { "a" });
        match self.dice.below(4) {
            0..2 => (format!("{own}{n}"), String::new()),
            2 => (format!("{own}{n}"), theirs),
            _ => (String::new(), theirs),
        }
    }

    fn call(&mut self, referee: &Referee) -> CallReport {
        let n = self.fresh(referee, 'c', CALLS);
        let (call_id, provider_call_id) = self.ids("c", "w", n);
        let outcome = *self.dice.pick(&OUTCOMES);
        let mut some = |one_in| {
            let is_told = self.is(one_in);
            Millis(if is_told { self.at(referee) } else { 0 })
        };
        let (placed_at, answered_at, ended_at) = (some(6), some(4), some(3));
        let oldest = self.now - horizon(&referee.profile);
        let placed_at = if placed_at.0 < oldest { Millis::ZERO } else { placed_at };
        let error = *self.dice.pick(&[0, 0, 0, 0, 138_006, 138_021]);
        let pstn = self.is(25);
        CallReport {
            call_id,
            provider_call_id,
            outcome,
            error,
            placed_at,
            answered_at,
            ended_at,
            pstn,
        }
    }

    fn request(&mut self, referee: &Referee) -> RequestReport {
        let n = self.fresh(referee, 'r', REQUESTS);
        let (request_id, provider_message_id) = self.ids("r", "m", n);
        let outcome = *self.dice.pick(&[
            RequestOutcome::Sent,
            RequestOutcome::Sent,
            RequestOutcome::Delivered,
            RequestOutcome::Refused,
            RequestOutcome::Undelivered,
        ]);
        RequestReport { request_id, provider_message_id, outcome, known_only: self.is(5) }
    }

    /// One thing at a time, as a story says it.
    fn number(&mut self) -> NumberReport {
        let at = Millis(if self.is(2) { 0 } else { self.now - self.dice.below(4) * MINUTE });
        let report = NumberReport { at, ..NumberReport::default() };
        let until = self.now + *self.dice.pick(&[SECOND, HOUR, DAY]);
        let until = Millis(if self.is(3) { 0 } else { until });
        let yes = |is_so: bool| if is_so { Told::Yes } else { Told::No };
        match self.dice.below(10) {
            0 => NumberReport { calling: Told::No, ..report },
            1..3 => NumberReport { calling: Told::Yes, ..report },
            3 => NumberReport { pause: Told::Yes, paused_until: until, ..report },
            4..6 => NumberReport { pause: Told::No, ..report },
            6 => NumberReport { request_pause: Told::Yes, requests_paused_until: until, ..report },
            7 => NumberReport { request_pause: Told::No, ..report },
            _ => NumberReport { inbound_call_grants: yes(self.is(2)), ..report },
        }
    }
}
