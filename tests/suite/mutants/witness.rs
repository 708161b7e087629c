//! For a mutant that survived: commands on which it answers otherwise than the rulebook, as rows of a
//! story, to write one from. None found proves nothing, but is where to look for an equivalent.

use std::fmt::Write as _;

use callgate::store::lua::Vm;
use futures_util::FutureExt as _;

use super::breaks::Mutant;
use crate::{
    stories::{START, Story, bare::Bare, moment, run},
    support::vm::broken_vm,
    twins::Dice,
};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const PROFILES: [&str; 12] = [
    "atom",
    "atom; calls_per_window 1; calls_per_permission 2; canceled_is_unanswered false",
    "atom; calls_per_window 2; call_window 1h; calls_at_once 1; longest_call 5m",
    "atom; temporary_permission 1h; call_window 1h; request_lapses_after 1h; unanswered_revokes_at 3",
    "atom; calls_per_permission 1; calls_at_once 2; unanswered_warns_at 1; unanswered_revokes_at 2",
    "atom; request_ends_permission false; connected_call_resets_requests true",
    "atom; undelivered_request_counts true; requests_per_day 2; requests_per_week 3",
    "atom; temporary_permission 20d; calls_per_permission 1; request_lapses_after 8d",
    "meta",
    "meta; inbound_call_grants true; requests_per_day 2; requests_per_week 2",
    "meta; calls_at_once 2; calls_per_window 2; calls_per_permission 3; request_ends_permission true",
    "meta-sandbox; calls_at_once 0; expiring_soon 2d; unanswered_revokes_at 3; unanswered_warns_at 1",
];

/// Spans at whose ends something happens.
const SPANS: [i64; 16] = [
    0,
    SECOND,
    90 * SECOND,
    5 * MINUTE,
    HOUR,
    HOUR + 90 * SECOND,
    2 * HOUR,
    DAY - HOUR,
    DAY,
    2 * DAY,
    7 * DAY - HOUR,
    7 * DAY,
    8 * DAY,
    20 * DAY,
    21 * DAY,
    400 * DAY,
];

struct Teller<'a> {
    dice: &'a mut Dice,
    now: i64,
    past: Vec<i64>,
}

impl Teller<'_> {
    fn is(&mut self, one_in: u64) -> bool {
        self.dice.below(one_in) == 0
    }

    fn pick<X: Copy>(&mut self, of: &[X]) -> X {
        *self.dice.pick(of)
    }

    /// An instant at which something happened, or a span before or after, to the millisecond.
    fn edge(&mut self) -> i64 {
        let past = self.past.clone();
        let at = self.pick(&past) + self.pick(&SPANS);
        at + self.pick(&[0, 0, 0, -1, 1, 500, -SECOND, SECOND])
    }

    fn go_on(&mut self) {
        let most = if self.is(40) { 410 * DAY } else { self.pick(&[SECOND, HOUR, DAY, 9 * DAY]) };
        for _ in 0..20 {
            let at = self.edge();
            if self.now <= at && at <= self.now + most {
                self.now = at;
                break;
            }
        }
        self.past.push(self.now);
    }

    /// When it happened: mostly now, else earlier, or a little ahead.
    fn at(&mut self) -> String {
        if self.is(2) {
            return String::new();
        }
        for _ in 0..20 {
            let at = self.edge() - if self.is(2) { self.pick(&SPANS) } else { 0 };
            if at <= self.now + 5 * MINUTE && self.now - 22 * DAY <= at {
                self.past.push(at);
                return format!(" @{}", shown(at));
            }
        }
        String::new()
    }

    fn time(&mut self, word: &str, one_in: u64, after: i64) -> String {
        if !self.is(one_in) {
            return String::new();
        }
        let mut at = self.edge();
        if after > 0 {
            at = self.now + self.pick(&SPANS[1..14]) + self.pick(&[0, -1, 1, 500]);
        }
        self.past.push(at);
        format!(" {word} {}", shown(at.min(self.now + 5 * MINUTE + after)))
    }

    fn ids(&mut self, own: &str, provider: &str) -> String {
        let (a, b) = (self.dice.below(3) + 1, self.dice.below(3) + 1);
        match self.dice.below(4) {
            0 => format!("/{provider}{b}"),
            1 => format!("{own}{a}/{provider}{b}"),
            _ => format!("{own}{a}"),
        }
    }

    fn who(&mut self, many: bool) -> &'static str {
        if many {
            self.pick(&[
                "", "", " as U", " as A+U", " as A+U", " as B", " as B+U", " as A+V", " as V",
                " as B+V",
            ])
        } else {
            ""
        }
    }

    fn command(&mut self, many: bool) -> String {
        let calls = [
            "answered",
            "answered",
            "unanswered",
            "unanswered",
            "rejected",
            "canceled",
            "uncertain",
            "placed",
            "ringing",
            "failed",
            "not_placed",
        ];
        let (at, who) = (self.at(), self.who(many));
        match self.dice.below(26) {
            0..3 => {
                let kind = self.pick(&["", "", "", " permanent", " automatic"]);
                let to = self.pick(&["", "", "", " to r1", " to r2", " to m1"]);
                format!("accept{kind}{to}{}{at}{who}", self.time("expires", 3, 59 * DAY))
            }
            3 => {
                format!("reject{}{at}{who}", self.pick(&["", "", " automatic", " to r1", " to m1"]))
            }
            4..7 => {
                let (id, known) = (self.ids("r", "m"), if self.is(9) { " known_only" } else { "" });
                let outcome = self.pick(&["sent", "sent", "delivered", "undelivered", "refused"]);
                format!("request {id} {outcome}{known}{at}{who}")
            }
            7..13 => {
                let (id, outcome) = (self.ids("c", "w"), self.pick(&calls));
                let times = self.time("dialled", 8, 0)
                    + &self.time("picked_up", 6, 0)
                    + &self.time("ended", 4, 0);
                let error = self.pick(&["", "", "", "", "", " error 138006", " error 7", " pstn"]);
                format!("call {id} {outcome}{times}{error}{at}{who}")
            }
            13 => format!("inbound {}{at}{who}", self.pick(&["call", "call answered", "message"])),
            14 => format!("identity{at} as {}", self.pick(&["A+U", "A+V", "B+U", "B+V"])),
            15 => {
                let what = self.pick(&[
                    "calling disabled",
                    "calling enabled",
                    "paused",
                    "resumed",
                    "requests paused",
                    "requests resumed",
                    "grants_inbound no",
                    "grants_inbound yes",
                ]);
                let until = if what.ends_with("paused") {
                    self.time("until", 2, DAY)
                } else {
                    String::new()
                };
                format!("number {what}{until}{at}")
            }
            16..20 => format!(
                "authorize c{}{}{who}",
                self.dice.below(3) + 1,
                self.pick(&["", "", " lease 10s", " lease 1h"])
            ),
            20 | 21 => format!(
                "authorize-request r{}{}{who}",
                self.dice.below(3) + 1,
                self.pick(&["", " replace"])
            ),
            22 => format!("settle{who}"),
            23 if self.is(2) => format!("check as_of {}{who}", shown(self.edge_before_now())),
            23 => format!("check{who}"),
            24 if self.is(8) => format!("forget{who}"),
            _ if self.is(2) => format!("view as_of {}{who}", shown(self.edge_before_now())),
            _ => format!("view{who}"),
        }
    }

    fn edge_before_now(&mut self) -> i64 {
        let at = self.edge();
        at.min(self.now).max(self.now - 9 * DAY)
    }
}

fn shown(at: i64) -> String {
    let start = i64::try_from(START.0).expect("this century");
    let text = moment::show(callgate::engine::time::Millis((start + at).unsigned_abs()), START);
    // "-1d2h" is said of the whole.
    text
}

/// A random story of rows whose expectations nobody reads.
fn history(dice: &mut Dice) -> (String, Vec<String>) {
    let profile = (*dice.pick(&PROFILES)).to_owned();
    let many = dice.below(2) == 0;
    let count = 3 + dice.below(14);
    let mut teller = Teller { dice, now: 0, past: vec![0] };
    let mut rows = Vec::new();
    for _ in 0..count {
        if !teller.is(3) {
            teller.go_on();
        }
        let (now, command) = (shown(teller.now), teller.command(many));
        rows.push(format!("{now} | {command}"));
    }
    let ids: &[&str] = if many { &["A", "B", "U", "V", "A+U"] } else { &["A"] };
    for id in ids {
        rows.push(format!("{} | view as {id}", shown(teller.now)));
        rows.push(format!("{} | check as {id}", shown(teller.now)));
    }
    (profile, rows)
}

fn story(profile: &str, rows: &[String]) -> Story {
    let mut text = format!("# x\nprofile {profile}\n");
    for row in rows {
        let _ = writeln!(text, "{row} | ALLOW");
    }
    let mut stories = crate::stories::parse("x.story", &text, START)
        .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    stories.swap_remove(0)
}

fn answers(host: &Bare, story: &Story) -> Vec<String> {
    run::answers(host, story, START).now_or_never().expect("a bare host never waits")
}

/// Random histories and what the rulebook answers to each.
pub struct Witnesses(Vec<(String, Vec<String>, Vec<String>)>);

impl Witnesses {
    pub fn new(seed: u64, count: usize) -> Self {
        let mut dice = Dice(seed);
        let mut host = Bare::new();
        let histories = (0..count).map(|_| {
            let (profile, rows) = history(&mut dice);
            let told = answers(&host, &story(&profile, &rows));
            host = std::mem::replace(&mut host, Bare::new()).emptied();
            (profile, rows, told)
        });
        Self(histories.collect())
    }

    /// The fewest rows that show the difference, and the last answer of both.
    pub fn against(&self, mutant: &Mutant) -> Option<String> {
        let vm = || broken_vm(&mutant.text()).expect("it was loaded before");
        let mut host = Bare::of(vm());
        for (profile, rows, told) in &self.0 {
            if answers(&host, &story(profile, rows)) != *told {
                return Some(shrink(profile, rows.clone(), &vm));
            }
            host = host.emptied();
        }
        None
    }
}

fn shrink(profile: &str, mut rows: Vec<String>, vm: &impl Fn() -> Vm) -> String {
    let differ = |rows: &[String]| {
        let story = story(profile, rows);
        let (sound, broken) = (answers(&Bare::new(), &story), answers(&Bare::of(vm()), &story));
        let n = std::iter::zip(&sound, &broken).position(|(a, b)| a != b)?;
        Some((n, sound[n].clone(), broken[n].clone()))
    };
    let (mut n, mut sound, mut broken) = differ(&rows).expect("it differed before");
    rows.truncate(n + 1);
    let mut i = 0;
    while i < rows.len() {
        let mut fewer = rows.clone();
        fewer.remove(i);
        match (!fewer.is_empty()).then(|| differ(&fewer)).flatten() {
            Some(found) => {
                (n, sound, broken) = found;
                fewer.truncate(n + 1);
                rows = fewer;
                i = 0;
            }
            None => i += 1,
        }
    }
    let mut text = format!("profile {profile}\n");
    for row in &rows {
        let _ = writeln!(text, "{row}");
    }
    let parts = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let (sound, broken) = (parts(&sound), parts(&broken));
    let differing: Vec<_> =
        std::iter::zip(&sound, &broken).filter(|(a, b)| a != b).take(4).collect();
    let _ = writeln!(text, "  is, was: {differing:?} ({} {})", sound.len(), broken.len());
    text
}
