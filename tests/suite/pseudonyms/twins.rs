//! A store with ids and one without, side by side: every reply, every change on the log.

use std::{sync::Arc, time::Duration};

use callgate::{
    engine::{
        change::{Change, Position},
        fact::Fact,
        pair::{Pair, WaId},
        profile::Profile,
        pseudonym::Keys,
        step::{Command, Reply, Step},
        store::{Store, partition_of},
        time::{Clock, ManualClock},
        veil::Veiled,
    },
    store::{LogLimits, embedded::Embedded},
};

use super::{at, keys, meta_id};
use crate::{
    conformance::t,
    support::tally,
    twins::{Dice, command, pause},
};

/// One customer under many names, in the spellings of three countries, and others.
pub const CUSTOMERS: [(&str, &str); 11] = [
    ("15550199001", ""),
    ("+15550199001", "US.1"),
    ("", "US.1"),
    ("15550199001", "US.2"),
    ("15550199002", "US.1"),
    ("5511987654321", ""),
    ("551187654321", "BR.7"),
    ("5491123456789", "AR.1"),
    ("541123456789", ""),
    ("5215512345678", ""),
    ("525512345678", "MX.1"),
];

/// The rulebook decides some ties by the order of ids, so that twins need keys which keep that order
/// among the few ids of this test. In the field any order is as good as another.
pub fn orderly(count: usize) -> Vec<String> {
    let keep_order =
        |names: &[String], keys: &Keys| names.iter().map(|id| keys.name(id.clone())).is_sorted();
    let ids = |kind| {
        let mut ids: Vec<String> = (0..3).map(|n| meta_id(kind, "15550199001", n)).collect();
        ids.sort();
        ids
    };
    let (calls, messages) = (ids("wacid"), ids("wamid"));
    let users = |keys: &Keys| {
        let of = |user| keys.pair(&Pair::parse("1", "", user, "").unwrap()).customer.keys();
        of("US.1") < of("US.2")
    };
    let numbers = |keys: &Keys| {
        let of = |wa| keys.pair(&Pair::parse("1", wa, "", "").unwrap()).customer.keys();
        of("15550199001") < of("15550199002")
    };
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < count {
        let tried = (0..).map(|n| format!("{:064}", 1000 * lines.len() as u64 * 1000 + n));
        let mut good = tried.filter(|line| {
            let all: Vec<&str> = lines.iter().chain([line]).map(String::as_str).collect();
            let keys = &keys(&all);
            users(keys) && numbers(keys) && keep_order(&calls, keys) && keep_order(&messages, keys)
        });
        let next = good.next().unwrap();
        drop(good);
        lines.push(next);
    }
    lines
}

/// Meta's ids in place of the short ones, and own ids that come before them in any order.
pub fn with_meta_ids(command: Command) -> Command {
    let rename = |id: &mut String| {
        let n = id.get(1..).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        match id.chars().next() {
            Some('w') => *id = meta_id("wacid", "15550199001", n % 3),
            Some('m') => *id = meta_id("wamid", "15550199001", n % 3),
            Some('r') => *id = format!("a{n}"),
            _ => {}
        }
    };
    let mut command = command;
    match &mut command {
        Command::Record { fact: Fact::Call(report), .. } => rename(&mut report.provider_call_id),
        Command::Record { fact: Fact::Request(report), .. } => {
            rename(&mut report.request_id);
            rename(&mut report.provider_message_id);
        }
        Command::Record { fact: Fact::Reply(reply), .. } => {
            rename(&mut reply.request_id);
            // By either id of the request.
            if reply.request_id == "a0" || reply.request_id == "a1" {
                reply.request_id = meta_id("wamid", "15550199001", 1);
            }
        }
        Command::AuthorizeRequest { own_id, .. } => rename(own_id),
        _ => {}
    }
    command
}

/// What the veil is to make of a reply: ids as they were asked for, nobody else's.
fn veiled(keys: &Keys, asked: &Pair, mut reply: Reply) -> Reply {
    let view = &mut reply.view;
    let is_asked = WaId::parse(&view.wa_id, "").ok().as_ref() == asked.customer.wa();
    let wa = asked.customer.wa().filter(|_| is_asked);
    view.wa_id = wa.map_or("", |wa| wa.spelled()).to_owned();
    let user = asked.customer.user().filter(|user| user.as_str() == view.user_id);
    view.user_id = user.map_or("", |user| user.as_str()).to_owned();
    for id in &mut view.entry_id {
        *id = keys.name(std::mem::take(id));
    }
    reply
}

fn hidden(keys: &Keys, number: &str, change: &Change) -> Change {
    let mut change = change.clone();
    if let Ok(pair) = Pair::parse(number, &change.wa, &change.user, "") {
        let kept = keys.pair(&pair).customer;
        change.wa = kept.wa().map_or("", |wa| wa.key()).to_owned();
        change.user = kept.user().map_or("", |user| user.as_str()).to_owned();
    }
    if let Ok(shown) = WaId::parse(&change.wa_id, "") {
        let kept = keys.pair(&Pair::parse(number, shown.key(), "", "").unwrap());
        change.wa_id = kept.customer.keys().remove(0);
    }
    change.event_id = keys.name(change.event_id);
    change
}

async fn log(store: &dyn Store, pair: &Pair) -> Vec<Change> {
    let log = store.change_log().await.unwrap();
    let partition = partition_of(&pair.number, store.partitions());
    let read = log.read(partition, Position::START, usize::MAX).await.unwrap();
    let of_number = read.into_iter().map(|logged| (*logged.change).clone());
    of_number.filter(|change| change.number == pair.number.as_str()).collect()
}

/// A log that loses nothing.
const LOG: LogLimits = LogLimits { age: Duration::from_secs(1 << 40), length: u32::MAX };

fn memory(clock: &Arc<dyn Clock>) -> Arc<dyn Store> {
    Arc::new(Embedded::memory_with(LOG, Arc::clone(clock)).unwrap())
}

async fn play_in_memory(dice: Dice, count: usize) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(at(t())));
    let lines = orderly(2);
    let stores = [memory(&clock), memory(&clock)];
    play(dice, count, stores, keys(&[&lines[0], &lines[1]]), true).await;
}

/// On a store with ids, and one that is behind a veil of these keys. Nobody is forgotten where the two
/// have clocks of their own: a tombstone lives by them.
async fn play(
    mut dice: Dice,
    count: usize,
    [open, inner]: [Arc<dyn Store>; 2],
    keys: Keys,
    forgets: bool,
) {
    let hidden_ids = Veiled::new(Arc::clone(&inner), keys.clone());
    let profiles = Profile::built_in();
    let (mut now, mut number, mut changes) = (t(), 0, 0);
    for n in 0..count {
        if n % 200 == 0 {
            number += 1;
        }
        now += pause(&mut dice);
        let (wa, user) = dice.pick(&CUSTOMERS);
        let pair = Pair::parse(&format!("7{number:014}"), wa, user, "pair").unwrap();
        let profile = dice.pick(&profiles);
        if dice.below(100) == 0 && forgets {
            let (a, b) = (
                open.forget(&pair.number, &pair.customer, profile).await,
                hidden_ids.forget(&pair.number, &pair.customer, profile).await,
            );
            assert_eq!(a, b, "command {n}: forgets {:?}", pair.customer);
            continue;
        }
        let mut command = with_meta_ids(command(&mut dice, now));
        if let Command::Record { event_id, spelled, .. } = &mut command {
            if !spelled.is_empty() {
                *spelled = pair.customer.wa().map_or("", |wa| wa.spelled()).to_owned();
            }
            *event_id = dice.pick(&["e1".to_owned(), meta_id("wamid", wa, 7)]).clone();
        }
        // A spelling is no fact and is not kept where ids are hidden: then it writes nothing either.
        let mut without_spelling = command.clone();
        if let Command::Record { spelled, .. } = &mut without_spelling {
            spelled.clear();
        }
        let step = |command: &Command| Step {
            pair: &pair,
            command: command.clone(),
            profile,
            now: at(now),
        };
        let (plain, spelled) = (step(&without_spelling), step(&command));
        let is_check = matches!(command, Command::Check {});
        let (a, b) = if is_check {
            let mut replies = (open.read(vec![plain]).await, hidden_ids.read(vec![spelled]).await);
            (replies.0.remove(0), replies.1.remove(0))
        } else {
            (open.apply(plain).await, hidden_ids.apply(spelled).await)
        };
        let expected = veiled(&keys, &pair, a.unwrap());
        assert_eq!(expected, b.unwrap(), "command {n}: {command:?} at {now}");
        if n % 200 == 199 {
            let told = log(&*open, &pair).await;
            let expected: Vec<Change> =
                told.iter().map(|change| hidden(&keys, pair.number.as_str(), change)).collect();
            changes += expected.len();
            assert_eq!(expected, log(&*inner, &pair).await, "after command {n}");
        }
    }
    assert!(changes > count / 20, "only {changes} changes");
    tally::count("commands with the same answer with and without pseudonyms", count);
}

#[tokio::test]
async fn a_store_without_ids_answers_as_one_with_them() {
    play_in_memory(Dice::throw(), 4000).await;
}

mod slow {
    use super::*;
    use crate::{pseudonyms::keys::on_redis, servers::Server};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_without_ids_answers_as_a_store_with_them() {
        let server = Server::redis7();
        let lines = orderly(2);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(at(t())));
        let redis = on_redis(server.url(), "twin", &lines).await.unwrap();
        play(Dice::throw(), 4000, [memory(&clock), Arc::new(redis)], keys(&lines), false).await;
    }
}

mod soak {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    #[ignore = "make soak"]
    async fn a_store_without_ids_answers_as_one_with_them() {
        let end = Instant::now() + tally::soak();
        while Instant::now() < end {
            play_in_memory(Dice::throw(), 20_000).await;
        }
    }
}
