//! A stream from its first message on: filters, tokens, Progress, what is read and what is open.

use std::{sync::Arc, time::Duration};

use callgate::{
    engine::{Error, change::Position, pair::Pair},
    watch::{Filter, Request, Subscription, Told},
};

use super::{
    double::{Double, number_apart_from, partition},
    listen::{
        NEVER, failed, from, next, of, of_all, of_numbers, of_pairs, opened, short, silence, told,
        told_next,
    },
};

const ANA: &str = "15550142001";
const BEN: &str = "15550142002";

#[tokio::test]
async fn the_first_message_comes_at_once_and_then_every_change_in_order() {
    let store = Double::new();
    store.push("1", ANA, "before");
    let watch = store.watch();
    let mut all = opened(&watch, of_all()).await;
    for n in 0..200 {
        store.push("1", ANA, &n.to_string());
    }
    let expected: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(told_next(&mut all, 200).await, expected);
    silence(&mut all).await;
}

/// So many messages in short, and then silence. Partitions may overtake each other.
async fn sorted(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut heard = told_next(subscription, count).await;
    heard.sort();
    silence(subscription).await;
    heard
}

#[tokio::test]
async fn each_hears_what_its_filter_names_and_nothing_else() {
    let store = Double::new();
    let watch = store.watch();
    let table = [
        (of_all(), vec!["1a", "1b", "2a", "2b", "3a", "4a"]),
        (of_numbers(&["1", "3"]), vec!["1a", "1b", "3a"]),
        (of_pairs(&[("1", ANA), ("2", BEN)]), vec!["1a", "2b"]),
    ];
    let mut streams = Vec::new();
    for (request, expected) in table {
        let mut stream = watch.open(request.clone()).await.unwrap();
        let token = next(&mut stream).await.unwrap().resume_token;
        streams.push((stream, from(&token, request), expected));
    }
    let changes = [("1", ANA), ("1", BEN), ("2", ANA), ("2", BEN), ("3", ANA), ("4", ANA)];
    for (digits, wa) in changes {
        store.push(digits, wa, &format!("{digits}{}", if wa == ANA { "a" } else { "b" }));
    }
    for (mut live, again, expected) in streams {
        assert_eq!(sorted(&mut live, expected.len()).await, expected);
        let mut read = watch.open(again).await.unwrap();
        assert_eq!(sorted(&mut read, expected.len()).await, expected);
    }
}

#[tokio::test]
async fn a_pair_is_met_by_either_of_its_ids_once() {
    let store = Double::new();
    let watch = store.watch();
    let both = Pair::parse("1", ANA, "US.1000", "").unwrap();
    let by_user = Pair::parse("1", "", "US.1000", "").unwrap();
    let filter = Filter::new(&[], vec![both, by_user]).unwrap();
    let mut subscription = opened(&watch, of(filter)).await;
    let change = |wa: &str, user: &str, tag: &str| callgate::engine::change::Change {
        number: "1".to_owned(),
        wa: wa.to_owned(),
        user: user.to_owned(),
        event_id: tag.to_owned(),
        ..Default::default()
    };
    store.push_change(change(ANA, "", "wa"));
    store.push_change(change("", "US.1000", "user"));
    store.push_change(change(ANA, "US.1000", "both"));
    store.push_change(change(BEN, "US.2000", "neither"));
    store.push_change(change("", "", "nobody"));
    assert_eq!(told_next(&mut subscription, 3).await, ["wa", "user", "both"]);
    silence(&mut subscription).await;
}

#[tokio::test]
async fn only_partitions_of_the_filters_are_attended_and_read() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let third = number_apart_from(&["1", &other]);
    let mut one = opened(&watch, of_numbers(&["1"])).await;
    let two = opened(&watch, of_pairs(&[(&other, ANA)])).await;
    let both = [partition("1"), partition(&other)].into();
    assert_eq!(store.seen().attended, both);
    for digits in ["1", &other, &third] {
        store.push(digits, ANA, digits);
    }
    assert_eq!(told(&mut one).await, "1");
    let read: std::collections::BTreeSet<u16> =
        store.seen().reads.iter().map(|(partition, _)| *partition).collect();
    assert!(read.is_subset(&both), "{read:?}");
    drop(two);
    store.until("attending less", |seen| seen.attended == [partition("1")].into()).await;
    store.forget_reads();
    store.push(&other, ANA, "unheard");
    store.push("1", ANA, "heard");
    assert_eq!(told(&mut one).await, "heard");
    assert!(store.seen().reads.iter().all(|(read, _)| *read == partition("1")));
}

#[tokio::test]
async fn nothing_is_open_unless_somebody_watches() {
    let store = Double::new();
    let watch = store.watch();
    assert_eq!(store.seen().opened, 0);
    let one = opened(&watch, of_all()).await;
    let two = opened(&watch, of_numbers(&["1"])).await;
    assert_eq!((store.seen().opened, store.seen().open), (1, 1));
    drop(one);
    drop(two);
    store.until_closed().await;
    assert!(store.seen().attended.is_empty());
    // And again.
    let mut one = opened(&watch, of_all()).await;
    store.push("1", ANA, "a");
    assert_eq!(told(&mut one).await, "a");
    assert_eq!(store.seen().opened, 2);
    // A watch that is gone ends its hub, whatever the time that it lingers.
    let lingering = store.watch_with(None, NEVER);
    let three = opened(&lingering, of_all()).await;
    drop((three, lingering, one));
    store.until_closed().await;
}

#[tokio::test]
async fn a_log_that_lingers_is_used_again_and_not_read_meanwhile() {
    let store = Double::new();
    let watch = store.watch_with(None, NEVER);
    drop(opened(&watch, of_all()).await);
    store.until("attending nothing", |seen| seen.attended.is_empty()).await;
    store.forget_reads();
    store.push("1", ANA, "unheard");
    let mut one = opened(&watch, of_all()).await;
    assert_eq!(store.seen().reads, []);
    store.push("1", ANA, "heard");
    assert_eq!(told(&mut one).await, "heard");
    assert_eq!(store.seen().opened, 1);
}

#[tokio::test]
async fn a_change_is_read_once_for_all() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscriptions = Vec::new();
    for _ in 0..20 {
        subscriptions.push(opened(&watch, of_numbers(&["1"])).await);
    }
    store.forget_reads();
    store.push("1", ANA, "a");
    let mut changes = Vec::new();
    for subscription in &mut subscriptions {
        let Told::Change(change) = next(subscription).await.unwrap().told else { panic!() };
        changes.push(change);
    }
    assert!(changes.iter().all(|change| Arc::ptr_eq(change, &changes[0])));
    assert_eq!(store.seen().reads, [(partition("1"), Position(0, 0))]);
}

#[tokio::test]
async fn progress_advances_over_what_others_hear() {
    let store = Double::new();
    let watch = store.watch();
    let quick = |request| Request { progress_interval: Duration::from_millis(20), ..request };
    let mut quiet = watch.open(quick(of_pairs(&[("1", ANA)]))).await.unwrap();
    let first = next(&mut quiet).await.unwrap().resume_token;
    let same = next(&mut quiet).await.unwrap().resume_token;
    assert_eq!(first, same, "nothing has happened");
    let mut other = opened(&watch, of_pairs(&[("1", BEN)])).await;
    for n in 0..5 {
        store.push("1", BEN, &n.to_string());
    }
    told_next(&mut other, 5).await;
    let progress = loop {
        let message = next(&mut quiet).await.unwrap();
        assert!(matches!(message.told, Told::Progress));
        if message.resume_token != first {
            break message.resume_token;
        }
    };
    drop((quiet, other));
    store.until_closed().await;
    store.forget_reads();
    drop(opened(&watch, from(&progress, of_pairs(&[("1", ANA)]))).await);
    // The token is at the end of the log already.
    assert_eq!(store.seen().reads, []);
}

#[tokio::test]
async fn progress_waits_for_silence_and_comes_again_and_again() {
    let store = Double::new();
    let watch = store.watch();
    let interval = Duration::from_millis(150);
    let request = Request { progress_interval: interval, ..of_all() };
    let mut subscription = opened(&watch, request).await;
    for _ in 0..2 {
        let began = std::time::Instant::now();
        assert_eq!(told(&mut subscription).await, "progress");
        assert!(interval <= began.elapsed());
        store.push("1", ANA, "a");
        assert_eq!(told(&mut subscription).await, "a");
    }
}

#[tokio::test]
async fn every_token_resumes_right_after_its_message() {
    let store = Double::new();
    let watch = store.watch();
    let numbers = ["1", "2", "3", "4", "5"];
    for n in 0..30 {
        store.push(numbers[n % 5], ANA, "before");
    }
    let mut whole = watch.open(of_all()).await.unwrap();
    let mut messages = vec![next(&mut whole).await.unwrap()];
    for n in 0..60 {
        store.push(numbers[n % 5], if n % 3 == 0 { ANA } else { BEN }, &n.to_string());
        messages.push(next(&mut whole).await.unwrap());
    }
    let expected: Vec<String> = messages.iter().map(short).collect();
    let widths: Vec<usize> = messages.iter().map(|message| message.resume_token.len()).collect();
    println!("tokens of {widths:?} bytes");
    for (index, message) in messages.iter().enumerate() {
        let mut resumed = watch.open(from(&message.resume_token, of_all())).await.unwrap();
        let mut rest = told_next(&mut resumed, 60 - index).await;
        let mut wanted = expected[index + 1..].to_vec();
        rest.sort();
        wanted.sort();
        assert_eq!(rest, wanted, "after message {index}");
        // The stream before it begins is told with Progress only if there was nothing else.
        if index == 60 {
            assert_eq!(told(&mut resumed).await, "progress");
        }
        silence_soon(&mut resumed).await;
    }
}

/// Another change is what comes next: cheaper than waiting for silence.
async fn silence_soon(subscription: &mut Subscription) {
    let quiet = tokio::time::timeout(Duration::from_millis(5), subscription.next()).await;
    assert!(quiet.is_err());
}

#[tokio::test]
async fn a_narrower_filter_resumes_and_a_wider_one_is_refused() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let mut both = watch.open(of_numbers(&["1", &other])).await.unwrap();
    let token = next(&mut both).await.unwrap().resume_token;
    drop(both);
    store.until_closed().await;
    store.push("1", ANA, "a");
    store.push(&other, ANA, "b");
    let mut narrower = watch.open(from(&token, of_pairs(&[("1", ANA)]))).await.unwrap();
    let message = next(&mut narrower).await.unwrap();
    assert_eq!(short(&message), "a");
    let wider = watch.open(from(&message.resume_token, of_numbers(&["1", &other]))).await;
    let error = failed(wider.map(|_| unreachable!()));
    let Error::Invalid { field, problem } = error else { panic!("{error:?}") };
    assert_eq!(field, "resume_token");
    assert!(problem.contains("other business numbers"), "{problem}");
}

#[tokio::test]
async fn a_token_of_another_store_is_refused() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscription = watch.open(of_all()).await.unwrap();
    let mut token = next(&mut subscription).await.unwrap().resume_token;
    *token.last_mut().unwrap() ^= 1;
    let refused = watch.open(from(&token, of_all())).await;
    let error = failed(refused.map(|_| unreachable!()));
    assert!(matches!(&error, Error::Invalid { field, .. } if field == "resume_token"), "{error:?}");
}

#[tokio::test]
async fn a_token_ahead_of_the_hub_is_told_nothing_twice() {
    let store = Double::new();
    let watch = store.watch();
    let mut early = opened(&watch, of_numbers(&["1"])).await;
    // The hub of another replica is quicker.
    store.be_silent(true);
    for tag in ["a", "b", "c"] {
        store.push("1", ANA, tag);
    }
    let quicker = store.watch();
    let token = {
        let mut subscription = quicker.open(of_numbers(&["1"])).await.unwrap();
        next(&mut subscription).await.unwrap().resume_token
    };
    let mut late = opened(&watch, from(&token, of_numbers(&["1"]))).await;
    store.be_silent(false);
    assert_eq!(told_next(&mut early, 3).await, ["a", "b", "c"]);
    silence(&mut late).await;
    store.push("1", ANA, "d");
    assert_eq!(told(&mut late).await, "d");
    assert_eq!(told(&mut early).await, "d");
}

#[tokio::test]
async fn entries_that_were_erased_hold_nobody_up() {
    let store = Double::new();
    let watch = store.watch();
    let one = || of_numbers(&["1"]);
    let mut subscription = watch.open(one()).await.unwrap();
    let token = next(&mut subscription).await.unwrap().resume_token;
    drop(subscription);
    store.until_closed().await;
    for n in 1..=5 {
        store.push("1", ANA, &n.to_string());
    }
    store.erase("1", &[1, 4, 5]);
    let mut resumed = watch.open(from(&token, one())).await.unwrap();
    assert_eq!(told(&mut resumed).await, "2");
    let end = next(&mut resumed).await.unwrap();
    assert_eq!(short(&end), "3");
    drop(resumed);
    store.until_closed().await;
    // That is where the log ends, though there is no entry: from there nothing is to be read.
    store.forget_reads();
    let mut resumed = opened(&watch, from(&end.resume_token, one())).await;
    assert_eq!(store.seen().reads, []);
    store.push("1", ANA, "6");
    let end = next(&mut resumed).await.unwrap();
    assert_eq!(short(&end), "6");
    // Nor does it matter that what was told last is erased.
    store.erase("1", &[2, 3, 6]);
    drop(opened(&watch, from(&end.resume_token, one())).await);
}

#[tokio::test]
async fn much_that_comes_at_once_is_read_to_its_end() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscription = opened(&watch, of_pairs(&[("1", ANA)])).await;
    store.be_silent(true);
    for n in 0..1000 {
        store.push("1", BEN, &n.to_string());
    }
    store.push("1", ANA, "at the end");
    // One notice for all of it.
    store.be_silent(false);
    assert_eq!(told(&mut subscription).await, "at the end");
}

#[tokio::test]
async fn a_long_way_through_what_others_hear_is_not_silent() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscription = watch.open(of_numbers(&["1"])).await.unwrap();
    let token = next(&mut subscription).await.unwrap().resume_token;
    drop(subscription);
    store.until_closed().await;
    for n in 0..2000 {
        store.push("1", BEN, &n.to_string());
    }
    store.push("1", ANA, "at last");
    let request = Request { progress_interval: Duration::ZERO, ..of_pairs(&[("1", ANA)]) };
    let mut resumed = watch.open(from(&token, request)).await.unwrap();
    let mut progress = Vec::new();
    loop {
        let message = next(&mut resumed).await.unwrap();
        match message.told {
            Told::Progress => progress.push(message.resume_token),
            Told::Change(_) => break,
            Told::Snapshot(_) => panic!(),
        }
    }
    assert!(2 < progress.len() && progress.windows(2).all(|two| two[0] != two[1]));
    // Each of them is a place to resume at.
    for token in &progress {
        let mut again = watch.open(from(token, of_pairs(&[("1", ANA)]))).await.unwrap();
        assert_eq!(told(&mut again).await, "at last");
    }
}
