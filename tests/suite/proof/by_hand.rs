//! The checker finds each kind of fault, and only that: ledgers written by hand.

use callgate::proto::{
    CallOutcome, CallReport, Event, EventStatus, Grant, GrantKind, Permission, PermissionReply,
    PermissionRequestReport, PermissionResponse, Quota, QuotaEntry, QuotaKind, Reason,
    RequestOutcome, event::Fact,
};

use crate::proof::{
    check::{Promise, check},
    ledger::{Answer, Asked, Entry, Moment, Verdict, at, pair},
    rules::Rules,
};

const PAIR: &str = "4001 15550199001";
/// A whole second, milliseconds.
const T: u64 = 1_800_000_000_000;

/// A ledger in the making. Times are milliseconds after [`T`].
#[derive(Debug, Default)]
struct Hand {
    entries: Vec<Entry>,
    seq: u64,
}

fn rules() -> Rules {
    Rules { calls_per_window: 3, call_window: 3000, lease: 2000, ..Rules::seconds() }
}

fn judged(t: u64) -> Permission {
    Permission { judged_at: Some(at(T + t)), ..Permission::default() }
}

fn reply(response: PermissionResponse) -> Fact {
    Fact::Reply(PermissionReply { response: response.into(), ..PermissionReply::default() })
}

fn accept() -> Fact {
    reply(PermissionResponse::Accept)
}

fn reject() -> Fact {
    reply(PermissionResponse::Reject)
}

fn call(id: &str, outcome: CallOutcome) -> Fact {
    let (call_id, outcome) = (id.to_owned(), outcome.into());
    Fact::Call(CallReport { call_id, outcome, ..CallReport::default() })
}

fn answered(id: &str) -> Fact {
    call(id, CallOutcome::Answered)
}

fn sent(id: &str) -> Fact {
    let (request_id, outcome) = (id.to_owned(), RequestOutcome::Sent.into());
    Fact::Request(PermissionRequestReport { request_id, outcome, ..Default::default() })
}

impl Hand {
    fn moment(&mut self, t: u64) -> Moment {
        self.seq += 1;
        Moment { seq: self.seq, ms: T + t }
    }

    /// Asked and answered before anything else is asked.
    fn push(&mut self, t: u64, asked: Asked, answer: Answer) {
        let sent = self.moment(t);
        let answer = Some((self.moment(t), answer));
        self.entries.push(Entry { pair: PAIR.to_owned(), asked, sent, answer });
    }

    /// Asked, and never answered.
    fn lose(&mut self, t: u64, asked: Asked) {
        let sent = self.moment(t);
        self.entries.push(Entry { pair: PAIR.to_owned(), asked, sent, answer: None });
    }

    /// An event of this time, named by it.
    fn tell(&mut self, t: u64, fact: Fact, status: EventStatus) {
        self.tell_late(t, t, fact, status);
    }

    fn tell_late(&mut self, t: u64, happened: u64, fact: Fact, status: EventStatus) {
        let permission = Some(Box::new(judged(t)));
        self.push(t, tell(happened, fact), Answer::Told { status, permission });
    }

    fn allow(&mut self, t: u64, id: &str) {
        self.verdict(t, id, |_| {});
    }

    /// An ALLOW by a yes of T, unless `change` makes another answer of it.
    fn verdict(&mut self, t: u64, id: &str, change: impl FnOnce(&mut Verdict)) {
        let grant = Grant {
            kind: GrantKind::Temporary.into(),
            granted_at: Some(at(T)),
            expires_at: Some(at(T + 60_000)),
            ..Grant::default()
        };
        let mut verdict = Verdict {
            is_allowed: true,
            reason: Reason::TemporaryPermission,
            blocked_by: Vec::new(),
            is_replayed: false,
            lease_expires_at: T + t + 2000,
            permission: Permission { grant: Some(grant), ..judged(t) },
        };
        change(&mut verdict);
        self.push(t, ask(id), Answer::Verdict(Box::new(verdict)));
    }

    fn deny(&mut self, t: u64, id: &str, reason: Reason) {
        self.verdict(t, id, |verdict| {
            (verdict.is_allowed, verdict.lease_expires_at) = (false, 0);
            verdict.blocked_by = vec![reason];
        });
    }

    fn allow_request(&mut self, t: u64, id: &str) {
        let verdict = Verdict {
            is_allowed: true,
            reason: Reason::NeverAsked,
            blocked_by: Vec::new(),
            is_replayed: false,
            lease_expires_at: T + t + 2000,
            permission: judged(t),
        };
        let asked = Asked::Request { request_id: id.to_owned(), replace: false };
        self.push(t, asked, Answer::Verdict(Box::new(verdict)));
    }

    /// GetPermission, with these calls in the window.
    fn view(&mut self, t: u64, used: &[&str], held: &[&str]) {
        let entry = |held: bool| move |id: &&str| entry_of(id, held);
        let of_calls: Vec<QuotaEntry> =
            used.iter().map(entry(false)).chain(held.iter().map(entry(true))).collect();
        let quota = |kind: QuotaKind, entries: Vec<QuotaEntry>| {
            let held = entries.iter().filter(|entry| entry.held).count();
            Quota {
                kind: kind.into(),
                used: u32::try_from(entries.len() - held).unwrap(),
                held: u32::try_from(held).unwrap(),
                entries,
                ..Quota::default()
            }
        };
        let quotas = vec![
            quota(QuotaKind::CallsInWindow, of_calls),
            quota(QuotaKind::CallsInPermission, Vec::new()),
            quota(QuotaKind::RequestsPerDay, Vec::new()),
            quota(QuotaKind::RequestsPerWeek, Vec::new()),
        ];
        let permission = Permission { quotas, ..judged(t) };
        self.push(t, Asked::View { as_of: None }, Answer::View(Box::new(permission)));
    }

    fn is_right(&self) {
        assert_eq!(self.broken(), []);
    }

    /// The promises that are found broken, each once.
    fn broken(&self) -> Vec<Promise> {
        let (violations, _) = check(&self.entries, &rules());
        let mut promises: Vec<Promise> = violations.iter().map(|found| found.promise).collect();
        promises.sort_unstable();
        promises.dedup();
        promises
    }
}

fn entry_of(id: &str, held: bool) -> QuotaEntry {
    QuotaEntry { id: id.to_owned(), held, ..QuotaEntry::default() }
}

fn ask(id: &str) -> Asked {
    Asked::Call { call_id: id.to_owned(), lease: None }
}

fn tell(happened: u64, fact: Fact) -> Asked {
    Asked::Tell(Box::new(Event {
        event_id: format!("{happened} {fact:?}"),
        pair: Some(pair(PAIR)),
        occurred_at: Some(at(T + happened)),
        fact: Some(fact),
    }))
}

const RECORDED: EventStatus = EventStatus::Recorded;
const DUPLICATE: EventStatus = EventStatus::Duplicate;

/// A yes at T, and `c1` allowed at 100 ms.
fn begun() -> Hand {
    let mut hand = Hand::default();
    hand.tell(0, accept(), RECORDED);
    hand.allow(100, "c1");
    hand
}

#[test]
fn what_is_right_is_found_right() {
    let mut hand = begun();
    hand.verdict(200, "c1", |verdict| {
        (verdict.is_replayed, verdict.lease_expires_at) = (true, T + 2100);
    });
    hand.view(250, &[], &["c1"]);
    hand.tell(300, answered("c1"), RECORDED);
    hand.push(400, ask("c1"), Answer::Exists);
    hand.view(500, &["c1"], &[]);
    hand.tell_late(600, 300, answered("c1"), DUPLICATE);
    hand.view(3299, &["c1"], &[]);
    hand.view(3300, &[], &[]);
    hand.is_right();
}

#[test]
fn a_lost_event_is_found() {
    let mut hand = begun();
    hand.tell_late(900, 0, accept(), RECORDED);
    assert_eq!(hand.broken(), [Promise::EventsStay]);
    // One that was not acknowledged may have been lost.
    let mut hand = Hand::default();
    hand.lose(0, tell(0, accept()));
    hand.tell_late(900, 0, accept(), RECORDED);
    hand.is_right();
}

#[test]
fn what_comes_back_after_it_was_forgotten_is_found() {
    let mut hand = begun();
    hand.push(500, Asked::Forget, Answer::Forgotten);
    hand.tell_late(900, 0, accept(), EventStatus::Stale);
    hand.view(1000, &[], &[]);
    hand.is_right();
    hand.tell_late(1100, 0, accept(), RECORDED);
    assert_eq!(hand.broken(), [Promise::EventsStay]);
}

#[test]
fn a_lost_hold_is_found_up_to_the_end_of_its_lease() {
    for (t, is_lost) in [(2099, true), (2100, false)] {
        let mut hand = begun();
        hand.allow(t, "c1");
        assert_eq!(hand.broken().contains(&Promise::HoldsStay), is_lost, "{t}");
    }
    // A sign of life renews it.
    for (t, is_lost) in [(2999, true), (3000, false)] {
        let mut hand = begun();
        hand.tell(1000, call("c1", CallOutcome::Ringing), RECORDED);
        hand.allow(t, "c1");
        assert_eq!(hand.broken().contains(&Promise::HoldsStay), is_lost, "{t}");
    }
}

#[test]
fn a_hold_that_a_no_took_back_is_not_missed() {
    let mut hand = begun();
    hand.deny(500, "c1", Reason::Rejected);
    hand.allow(600, "c1");
    hand.is_right();
    // Nobody knows what was answered to this one.
    let mut hand = begun();
    hand.lose(500, ask("c1"));
    hand.allow(600, "c1");
    hand.is_right();
    // A limit takes nothing back: what holds is not judged by it.
    let mut hand = begun();
    hand.deny(500, "c1", Reason::CallWindowLimit);
    assert_eq!(hand.broken(), [Promise::HoldsStay]);
}

#[test]
fn a_call_that_is_over_stays_over() {
    let mut hand = begun();
    hand.tell(300, call("c1", CallOutcome::Unanswered), RECORDED);
    hand.allow(400, "c1");
    assert_eq!(hand.broken(), [Promise::HoldsStay]);
    let mut hand = begun();
    hand.push(400, ask("c1"), Answer::Exists);
    assert_eq!(hand.broken(), [Promise::HoldsStay]);
    // Replayed, though nobody had asked; unless the gate itself asked twice.
    for (lease_ends, is_wrong) in [(2499, true), (2500, false)] {
        let mut hand = begun();
        hand.verdict(500, "c2", |verdict| {
            (verdict.is_replayed, verdict.lease_expires_at) = (true, T + lease_ends);
        });
        assert_eq!(hand.broken().contains(&Promise::HoldsStay), is_wrong, "{lease_ends}");
    }
}

#[test]
fn a_view_that_shows_too_little_or_too_much_is_found() {
    let held: [(&[&str], &[&str]); 3] = [(&[], &[]), (&["c1"], &[]), (&[], &["c1", "c2"])];
    for (used, shown) in held {
        let mut hand = begun();
        hand.view(500, used, shown);
        assert_eq!(hand.broken(), [Promise::CountsAgree], "{used:?} {shown:?}");
    }
    for (used, held) in [(&[][..], &[][..]), (&[], &["c1"]), (&["c1", "c2"], &[])] {
        let mut hand = begun();
        hand.tell(300, answered("c1"), RECORDED);
        hand.view(500, used, held);
        assert_eq!(hand.broken(), [Promise::CountsAgree], "{used:?} {held:?}");
    }
    // What may have happened may be shown, or not.
    for (used, held) in [(&["c1"][..], &[][..]), (&[], &["c1"])] {
        let mut hand = begun();
        hand.lose(300, tell(300, answered("c1")));
        hand.view(500, used, held);
        hand.is_right();
    }
}

#[test]
fn a_hold_that_is_shown_while_its_question_is_under_way_is_no_fault() {
    for (is_under_way, is_wrong) in [(true, false), (false, true)] {
        let mut hand = begun();
        hand.deny(200, "c2", Reason::Rejected);
        let asked = hand.entries.len() - 1;
        hand.view(300, &[], &["c1", "c2"]);
        if is_under_way {
            let answered = hand.moment(400);
            hand.entries[asked].answer.as_mut().unwrap().0 = answered;
        }
        assert_eq!(hand.broken().contains(&Promise::CountsAgree), is_wrong, "{is_under_way}");
    }
}

#[test]
fn one_call_too_many_is_found() {
    let mut hand = begun();
    hand.allow(100, "c2");
    hand.tell(150, answered("c2"), RECORDED);
    hand.allow(200, "c3");
    hand.is_right();
    hand.allow(300, "c4");
    assert_eq!(hand.broken(), [Promise::LimitsHold]);
}

#[test]
fn two_calls_for_the_last_slot_in_one_millisecond_are_found() {
    let mut hand = begun();
    hand.allow(100, "c2");
    // Both under way at once: nothing but the limit tells that one of them is wrong.
    hand.allow(300, "c3");
    hand.allow(300, "c4");
    let answered = hand.seq + 1;
    for entry in hand.entries.iter_mut().rev().take(2) {
        entry.answer.as_mut().unwrap().0.seq = answered;
    }
    assert_eq!(hand.broken(), [Promise::LimitsHold]);
}

#[test]
fn a_sign_of_life_that_revives_a_call_in_the_millisecond_of_another_is_no_excess() {
    // c1 lapsed at 2100; rung at 1000, it holds until 3000, once that is told.
    for (told, is_over) in [(2499, true), (2500, false)] {
        let mut hand = begun();
        hand.allow(600, "c2");
        hand.allow(610, "c3");
        hand.tell_late(told, 1000, call("c1", CallOutcome::Ringing), RECORDED);
        hand.allow(2500, "c4");
        // Both under way at once.
        let answered = hand.seq + 1;
        for entry in hand.entries.iter_mut().rev().take(2) {
            entry.answer.as_mut().unwrap().0.seq = answered;
        }
        assert_eq!(hand.broken().contains(&Promise::LimitsHold), is_over, "{told}");
    }
}

#[test]
fn a_slot_frees_at_the_end_of_a_lease_and_of_the_window() {
    // c1 holds until 2100; c2, answered at 150, counts until 3150.
    for (t, is_over) in [(2099, true), (2100, false)] {
        let mut hand = begun();
        hand.allow(110, "c2");
        hand.tell(150, answered("c2"), RECORDED);
        hand.allow(300, "c3");
        hand.allow(t, "c4");
        assert_eq!(hand.broken().contains(&Promise::LimitsHold), is_over, "{t}");
    }
    for (t, is_over) in [(3149, true), (3150, false)] {
        let mut hand = begun();
        hand.tell(120, answered("c1"), RECORDED);
        hand.allow(130, "c2");
        hand.tell(150, answered("c2"), RECORDED);
        hand.allow(3130, "c3");
        hand.allow(3140, "c4");
        hand.allow(t, "c5");
        assert_eq!(hand.broken().contains(&Promise::LimitsHold), is_over, "{t}");
    }
    // A report of which nobody knows whether it came may have freed one.
    let mut hand = begun();
    hand.allow(110, "c2");
    hand.allow(120, "c3");
    hand.lose(150, tell(150, call("c2", CallOutcome::Failed)));
    hand.allow(200, "c4");
    hand.is_right();
}

#[test]
fn an_allow_that_shows_its_own_excess_is_found() {
    for (used, held, is_over) in [(2, 1, false), (3, 1, true), (3, 0, true)] {
        let mut hand = begun();
        hand.verdict(200, "c2", |verdict| {
            let kind = QuotaKind::CallsInWindow.into();
            verdict.permission.quotas =
                vec![Quota { kind, limit: 3, used, held, ..Quota::default() }];
        });
        assert_eq!(hand.broken().contains(&Promise::LimitsHold), is_over, "{used} {held}");
    }
}

#[test]
fn one_call_too_many_of_a_permission_is_found() {
    let rules = rules();
    let mut hand = Hand::default();
    hand.tell(0, accept(), RECORDED);
    for n in 0..u64::from(rules.calls_per_permission) {
        let t = 1000 + 1040 * n;
        hand.allow(t, &format!("c{n}"));
        hand.tell(t + 100, answered(&format!("c{n}")), RECORDED);
    }
    hand.is_right();
    hand.allow(20_000, "c8");
    assert_eq!(hand.broken(), [Promise::LimitsHold]);
}

#[test]
fn one_permission_request_too_many_is_found() {
    let mut hand = Hand::default();
    for n in 0..rules().requests_per_day {
        hand.allow_request(u64::from(n), &format!("r{n}"));
    }
    hand.tell(100, sent("r0"), RECORDED);
    hand.is_right();
    hand.allow_request(1999, "r4");
    assert_eq!(hand.broken(), [Promise::LimitsHold]);
}

#[test]
fn calls_of_one_window_that_were_told_in_time_are_counted_by_their_own_times() {
    let mut hand = Hand::default();
    hand.tell(0, accept(), RECORDED);
    for (n, id) in ["c1", "c2", "c3", "c4"].into_iter().enumerate() {
        let t = 1000 * u64::try_from(n).unwrap();
        hand.verdict(t, id, |verdict| verdict.lease_expires_at = T + 60_000);
        // Each seems to be over when the next is asked about.
        hand.tell_late(t + 100, t, call(id, CallOutcome::Placed), RECORDED);
    }
    assert_eq!(hand.broken(), [Promise::LimitsHold]);
}

#[test]
fn a_no_is_a_no_until_a_later_yes_is_sent() {
    let mut hand = begun();
    hand.tell(1000, reject(), RECORDED);
    hand.allow(1500, "c2");
    assert_eq!(hand.broken(), [Promise::NoMeansNo]);

    let by_a_yes_of = |given: u64, sent_at: u64| {
        let mut hand = begun();
        hand.tell(1000, reject(), RECORDED);
        if sent_at < 4000 {
            hand.lose(sent_at, tell(given, accept()));
        }
        hand.verdict(4000, "c2", |verdict| {
            verdict.permission.grant.as_mut().unwrap().granted_at = Some(at(T + given));
        });
        if 4000 < sent_at {
            hand.tell_late(sent_at, given, accept(), RECORDED);
        }
        hand.broken()
    };
    assert_eq!(by_a_yes_of(2000, 2000), []);
    assert_eq!(by_a_yes_of(1999, 2000), [Promise::NoMeansNo], "the same second: the no wins");
    assert_eq!(by_a_yes_of(2000, 5000), [Promise::NoMeansNo], "sent after the ALLOW");
}

#[test]
fn an_allow_after_the_end_or_without_a_yes_is_found() {
    for (t, is_over) in [(59_999, false), (60_000, true)] {
        let mut hand = begun();
        hand.allow(t, "c2");
        assert_eq!(hand.broken().contains(&Promise::NoMeansNo), is_over, "{t}");
    }
    let mut hand = begun();
    hand.verdict(200, "c2", |verdict| verdict.permission.grant = None);
    assert_eq!(hand.broken(), [Promise::NoMeansNo]);
    // A request that was sent ends what was given in seconds before it.
    for (t, is_over) in [(999, false), (1000, true)] {
        let mut hand = begun();
        hand.tell(t, sent("r1"), RECORDED);
        hand.allow(1500, "c2");
        assert_eq!(hand.broken().contains(&Promise::NoMeansNo), is_over, "{t}");
    }
}
