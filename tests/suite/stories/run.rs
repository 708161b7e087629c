//! Plays stories on a host and collects everything that came out otherwise than written.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use callgate::{
    engine::{
        Error, Result,
        change::{Change, Position},
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, NumberReply, NumberStep, Reply, Step, View},
        time::Millis,
    },
    proto::{ChangeCause, Decision, EventStatus},
};

use super::{
    Story,
    command::Act,
    expect::{Outcome, actual},
    host::Host,
    moment,
    story::Row,
    told::{self, Heard},
};

/// Plays all stories that the host can play.
///
/// # Panics
/// With every mismatch of every story.
pub(crate) async fn run_all(host: &dyn Host, stories: &[Story], start: Millis) {
    let has_clock = host.move_clock(start);
    let mut played = 0;
    let mut problems = String::new();
    for story in stories.iter().filter(|story| has_clock || !story.needs_clock) {
        played += 1;
        let mismatches = play(host, story, start).await;
        if !mismatches.is_empty() {
            let place = format!("tests/stories/{}:{}", story.file, story.line);
            let _ = write!(problems, "\n{place}: {}\n{mismatches}", story.title);
        }
    }
    assert!(played > 0, "no story to play on {}", host.name());
    assert!(problems.is_empty(), "on {}, {played} stories played:\n{problems}", host.name());
}

/// Every story has a business number of its own.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

async fn play(host: &dyn Host, story: &Story, start: Millis) -> String {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let number = PhoneNumberId::parse(&format!("8000{}{number:06}", std::process::id()), "number")
        .expect("digits");
    play_rows(host, story, &number, start, false).await
}

/// Whether a story comes out otherwise than written; plays it no further than that shows.
pub(crate) async fn fails(host: &dyn Host, story: &Story, start: Millis) -> bool {
    host.move_clock(start);
    let number = PhoneNumberId::parse("800000000000001", "number").expect("digits");
    !play_rows(host, story, &number, start, true).await.is_empty()
}

/// Everything that comes of each row, as text: answers, and what the stream tells.
pub(crate) async fn answers(host: &dyn Host, story: &Story, start: Millis) -> Vec<String> {
    host.move_clock(start);
    let number = PhoneNumberId::parse("800000000000001", "number").expect("digits");
    let (_, mut heard_to) = host.told(&number, None).await.expect("a log that can be read");
    let mut answers = Vec::new();
    for row in &story.rows {
        host.move_clock(row.now);
        let outcome = act(host, story, row, &number).await;
        let (told, end) = host.told(&number, Some(heard_to)).await.expect("a log that can be read");
        heard_to = end;
        let told: Vec<String> =
            told.iter().map(|change| serde_json::to_string(change).unwrap_or_default()).collect();
        answers.push(format!("{outcome:?}, {told:?}, {}", host.kept(&number)));
    }
    answers
}

async fn play_rows(
    host: &dyn Host,
    story: &Story,
    number: &PhoneNumberId,
    start: Millis,
    only_first: bool,
) -> String {
    let mut revision = 0;
    let mut mismatches = String::new();
    let (_, mut heard_to) = host.told(number, None).await.expect("a log that can be read");
    let mut heard = Heard::default();
    let (mut ids, mut now, mut did_rules_change) = (BTreeSet::new(), start, false);
    for row in &story.rows {
        host.move_clock(row.now);
        if now < row.now {
            now = row.now;
            if !did_rules_change {
                mismatches += &tells_late(host, story, number, &ids, now).await;
            }
        }
        match &row.act {
            Act::Pair(customer, _) => ids.extend(customer.keys()),
            Act::Forget(_) => {}
            Act::Number(report) => did_rules_change |= report.is_some(),
        }
        let outcome = act(host, story, row, number).await;
        let (told, end) = host.told(number, Some(heard_to)).await.expect("a log that can be read");
        heard_to = end;
        let mut wrong = compare(row, &outcome, revision, start);
        let wanted = row.expects.iter().find(|expect| expect.key == "changes");
        wrong += &wanted
            .and_then(|wanted| told::compare(&wanted.wanted, &told, start))
            .unwrap_or_default();
        wrong += &heard.hear(&told, start);
        wrong += &agrees(&heard, row, &outcome, start);
        if let Outcome::Pair(reply) = &outcome
            && reply.refused.is_empty()
        {
            revision = reply.view.revision;
        }
        if !wrong.is_empty() {
            let place = format!("  tests/stories/{}:{}", story.file, row.line);
            wrong.insert_str(0, &format!("{place}: {}\n", row.text));
        }
        mismatches += &wrong;
        if only_first && !mismatches.is_empty() {
            return mismatches;
        }
    }
    mismatches += &agrees_at_the_end(host, story, number, heard_to, heard, start).await;
    mismatches
}

/// Whoever is not due has nothing new: a sweeper that asks only for those who are due tells in time.
async fn tells_late(
    host: &dyn Host,
    story: &Story,
    number: &PhoneNumberId,
    ids: &BTreeSet<String>,
    now: Millis,
) -> String {
    let mut wrong = String::new();
    // Before anybody is settled: who is linked with them is settled as well.
    let not_due: Vec<&String> =
        ids.iter().filter(|id| host.is_due(number, id, now) == Some(false)).collect();
    for id in &not_due {
        let (_, before) = host.told(number, None).await.expect("a log that can be read");
        if let Err(error) = settle(host, story, number, id, now).await {
            let _ = writeln!(wrong, "    settling {id}: no answer: {}", shown(&error));
        }
        let (told, _) = host.told(number, Some(before)).await.expect("a log that can be read");
        for change in told {
            let mut own = [&change.wa, &change.user].into_iter().filter(|id| !id.is_empty());
            if own.all(|id| not_due.contains(&id)) {
                let _ = writeln!(wrong, "    not due at {}, and has changed: {change:?}", now.0);
            }
        }
    }
    wrong
}

async fn settle(
    host: &dyn Host,
    story: &Story,
    number: &PhoneNumberId,
    id: &str,
    now: Millis,
) -> Result<Reply> {
    let (wa, user) = if id.contains('.') { ("", id) } else { (id, "") };
    let customer = Customer::parse(wa, user, "customer").expect("an id of the story");
    let pair = Pair { number: number.clone(), customer };
    let command = Command::Settle {};
    host.step(Step { pair: &pair, command, profile: &story.profile, now }).await
}

/// After a step that wrote, what was told last is what is so.
fn agrees(heard: &Heard, row: &Row, outcome: &Outcome, start: Millis) -> String {
    let (Act::Pair(customer, command), Outcome::Pair(reply)) = (&row.act, outcome) else {
        return String::new();
    };
    let did_write = match command {
        Command::Record { .. } => reply.result == EventStatus::Recorded as u8,
        Command::AuthorizeCall { .. } | Command::AuthorizeRequest { .. } => {
            reply.decision == Decision::Allow as u8
        }
        // What is told is told under each id; the view looks under both.
        Command::Settle {} => customer.keys().len() == 1,
        Command::Check {} | Command::CheckAt { .. } | Command::View { .. } => false,
    };
    if did_write && reply.refused.is_empty() {
        heard.differs(&customer.keys()[0], &reply.view, row.now, start)
    } else {
        String::new()
    }
}

/// At the end every id that the story named is settled: only time may have had more to tell, and what
/// was told last is what is so.
async fn agrees_at_the_end(
    host: &dyn Host,
    story: &Story,
    number: &PhoneNumberId,
    mut heard_to: Position,
    mut heard: Heard,
    start: Millis,
) -> String {
    let mut ids = BTreeSet::new();
    let mut did_rules_change = false;
    let mut last = start;
    for row in &story.rows {
        last = last.max(row.now);
        match &row.act {
            Act::Pair(customer, _) | Act::Forget(customer) => ids.extend(customer.keys()),
            Act::Number(report) => did_rules_change |= report.is_some(),
        }
    }
    let mut wrong = String::new();
    for id in ids {
        let settled = match settle(host, story, number, &id, last).await {
            Ok(settled) => settled,
            Err(error) => {
                let _ = writeln!(wrong, "    settling {id}: no answer: {}", shown(&error));
                continue;
            }
        };
        let (told, end) = host.told(number, Some(heard_to)).await.expect("a log");
        heard_to = end;
        wrong += &heard.hear(&told, start);
        wrong += &heard.differs(&id, &settled.view, last, start);
        let by_rules = told.iter().filter(|change| change.cause == ChangeCause::Rules as u8);
        if !did_rules_change && by_rules.count() > 0 {
            let _ = writeln!(wrong, "    a change of {id} was not told when it happened");
        }
    }
    if !wrong.is_empty() {
        let place = format!("  tests/stories/{}:{}", story.file, story.line);
        wrong.insert_str(0, &format!("{place}: at the end\n"));
    }
    wrong
}

async fn act(host: &dyn Host, story: &Story, row: &Row, number: &PhoneNumberId) -> Outcome {
    let now = row.now;
    let outcome = match &row.act {
        Act::Pair(customer, command) => {
            let pair = Pair { number: number.clone(), customer: customer.clone() };
            let step = Step { pair: &pair, command: command.clone(), profile: &story.profile, now };
            host.step(step).await.map(|reply| Outcome::Pair(Box::new(reply)))
        }
        Act::Number(report) => {
            let step = NumberStep { number, report: report.clone(), now };
            host.number(step).await.map(|reply| Outcome::Number(Box::new(reply)))
        }
        Act::Forget(customer) => {
            host.forget(number, customer, &story.profile).await.map(Outcome::Forgot)
        }
    };
    outcome.unwrap_or_else(Outcome::Failed)
}

/// What differs, a line each.
fn compare(row: &Row, outcome: &Outcome, revision: u64, start: Millis) -> String {
    let mut wrong = String::new();
    if let Outcome::Failed(error) = outcome {
        let _ = writeln!(wrong, "    no answer: {}", shown(error));
        return wrong;
    }
    let refused = actual("refused", outcome, revision, start).unwrap_or_default();
    if !refused.is_empty() && !row.expects.iter().any(|expect| expect.key == "refused") {
        let _ = writeln!(wrong, "    refused: {refused} {}", problem(outcome));
        return wrong;
    }
    for expect in row.expects.iter().filter(|expect| expect.key != "changes") {
        let got = actual(&expect.key, outcome, revision, start);
        if got.as_ref() != Some(&expect.wanted) {
            let got = got.unwrap_or_else(|| "an answer that does not say".to_owned());
            let _ = writeln!(wrong, "    {}: expected {}, got {got}", expect.key, expect.wanted);
        }
    }
    wrong
}

fn shown(error: &Error) -> String {
    format!("{error:?}")
}

fn problem(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pair(reply) => format!("{} {}", reply.field, reply.problem),
        Outcome::Number(reply) => format!("{} {}", reply.field, reply.problem),
        Outcome::Forgot(_) | Outcome::Failed(_) => String::new(),
    }
}

/// A host that always gives the same answer, and one story that expects another: all that differs
/// is said at once, with its place.
#[tokio::test]
async fn every_mismatch_is_told_with_its_place() {
    struct Same;
    #[async_trait]
    impl Host for Same {
        fn name(&self) -> String {
            "same".to_owned()
        }
        async fn step(&self, _step: Step<'_>) -> Result<Reply> {
            let view = View { status: 1, ..View::default() };
            Ok(Reply { result: 1, view, ..Reply::default() })
        }
        async fn number(&self, _step: NumberStep<'_>) -> Result<NumberReply> {
            Err(Error::Unavailable("away".to_owned()))
        }
        async fn forget(&self, _: &PhoneNumberId, _: &Customer, _: &Profile) -> Result<bool> {
            Ok(true)
        }
        async fn told(
            &self,
            _: &PhoneNumberId,
            _: Option<Position>,
        ) -> Result<(Vec<Change>, Position)> {
            Ok((Vec::new(), Position::START))
        }
        fn move_clock(&self, _now: Millis) -> bool {
            true
        }
    }
    let start = super::START;
    let text = "# T\n+0 | accept | DUPLICATE; streak 1\n+1m | number paused | CHANGED\n\
                +1m | forget | FORGOTTEN\n";
    let stories = super::story::parse("x.story", text, start).unwrap();
    let mismatches = play(&Same, &stories[0], start).await;
    assert_eq!(
        mismatches,
        "  tests/stories/x.story:2: +0 | accept\n    \
           result: expected DUPLICATE, got RECORDED\n    streak: expected 1, got 0\n  \
         tests/stories/x.story:3: +1m | number paused\n    \
           no answer: Unavailable(\"away\")\n"
    );
    assert_eq!(moment::show(start, start), "+0");
}
