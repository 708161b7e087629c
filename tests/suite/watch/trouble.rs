//! A store that is away, a log that was trimmed, lost or cannot be read, a hub that dies.

use std::time::Duration;

use callgate::{
    engine::Error,
    watch::{Request, Told},
};

use super::{
    double::{Double, number_apart_from},
    listen::{failed, from, next, of_all, of_numbers, opened, short, silence, told, told_next},
};

const ANA: &str = "15550142001";

fn away() -> Error {
    Error::Unavailable("away".to_owned())
}

#[tokio::test]
async fn a_stream_outlasts_a_store_that_is_away_and_says_nothing_meanwhile() {
    let store = Double::new();
    let watch = store.watch();
    let request = Request { progress_interval: Duration::from_millis(10), ..of_all() };
    let mut subscription = watch.open(request).await.unwrap();
    assert_eq!(told(&mut subscription).await, "progress");
    store.be_away(Some(away()));
    store.push("1", ANA, "a");
    // What the hub knew before it found out may still be told.
    let quiet = tokio::time::timeout(Duration::from_millis(50), async {
        loop {
            assert_eq!(told(&mut subscription).await, "progress");
        }
    });
    assert!(quiet.await.is_err());
    silence(&mut subscription).await;
    store.push("1", ANA, "b");
    store.be_away(None);
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let message = next(&mut subscription).await.unwrap();
        if !matches!(message.told, Told::Progress) {
            heard.push(short(&message));
        }
    }
    assert_eq!(heard, ["a", "b"]);
    assert_eq!(told(&mut subscription).await, "progress", "it can be said again");
}

#[tokio::test]
async fn a_stream_that_begins_while_the_store_is_away_says_so() {
    let store = Double::new();
    let watch = store.watch();
    store.be_away(Some(away()));
    let error = failed(watch.open(of_all()).await.map(|_| unreachable!()));
    assert_eq!(error, away());
    store.be_away(None);
    let mut early = watch.open(of_numbers(&["1"])).await.unwrap();
    let token = next(&mut early).await.unwrap().resume_token;
    store.be_away(Some(away()));
    // Whether or not its partitions are watched already.
    for request in [of_numbers(&["1"]), of_all()] {
        let error = failed(watch.open(request).await.map(|_| unreachable!()));
        assert_eq!(error, away());
    }
    store.push("1", ANA, "a");
    store.be_away(None);
    assert_eq!(told(&mut early).await, "a");
    // Its place it has, but what was before cannot be read.
    let resumed = watch.open(from(&token, of_numbers(&["1"]))).await;
    store.be_away(Some(away()));
    assert_eq!(failed(next(&mut resumed.unwrap()).await), away());
    store.push("1", ANA, "a again");
    store.be_away(None);
    assert_eq!(told(&mut early).await, "a again");
    let other = number_apart_from(&["1"]);
    let mut late = opened(&watch, of_numbers(&["1", &other])).await;
    store.push("1", ANA, "b");
    assert_eq!(told(&mut late).await, "b");
    store.push(&other, ANA, "c");
    assert_eq!(told(&mut late).await, "c");
    assert_eq!(told(&mut early).await, "b");
}

#[tokio::test]
async fn a_node_that_is_away_holds_up_only_what_is_on_it() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let quick = |request| Request { progress_interval: Duration::from_millis(20), ..request };
    let mut there = opened(&watch, quick(of_numbers(&["1"]))).await;
    let mut here = opened(&watch, quick(of_numbers(&[&other]))).await;
    let mut both = opened(&watch, of_numbers(&["1", &other])).await;
    store.be_away_at("1", true);
    store.push("1", ANA, "late");
    let began = std::time::Instant::now();
    for n in 0..100 {
        store.push(&other, ANA, &n.to_string());
        assert_eq!(told(&mut both).await, n.to_string());
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    silence(&mut there).await;
    let mut heard = told_next(&mut here, 110).await;
    heard.retain(|message| message != "progress");
    assert_eq!(heard.len(), 100, "and progress in between or after");
    // Who comes now is refused where nothing can be read.
    let error = failed(watch.open(of_numbers(&["1"])).await.map(|_| unreachable!()));
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    drop(opened(&watch, of_numbers(&[&other])).await);
    store.be_away_at("1", false);
    assert_eq!(told(&mut there).await, "late");
    assert_eq!(told(&mut both).await, "late");
    assert_eq!(told(&mut there).await, "progress");
}

#[tokio::test]
async fn who_comes_with_others_is_refused_for_none_of_them() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    store.be_away_at("1", true);
    // Their asks are answered together.
    let (there, here) =
        tokio::join!(watch.open(of_numbers(&["1", &other])), watch.open(of_numbers(&[&other])));
    let error = failed(there.map(|_| unreachable!()));
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let mut here = here.unwrap();
    assert_eq!(told(&mut here).await, "progress");
    store.push(&other, ANA, "a");
    assert_eq!(told(&mut here).await, "a");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_tried_again() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let there = opened(&watch, of_numbers(&["1"])).await;
    let mut here = opened(&watch, of_numbers(&[&other])).await;
    store.be_away_at("1", true);
    store.forget_reads();
    store.push("1", ANA, "unheard");
    store.until("trying", |seen| 3 < seen.reads.len()).await;
    drop(there);
    store.until("attending less", |seen| seen.attended.len() == 1).await;
    store.forget_reads();
    tokio::time::sleep(Duration::from_millis(500)).await;
    store.push(&other, ANA, "heard");
    assert_eq!(told(&mut here).await, "heard");
    assert_eq!(store.seen().reads.len(), 1, "{:?}", store.seen().reads);
}

#[tokio::test]
async fn one_that_lags_outlasts_it_as_well() {
    let store = Double::new();
    let watch = store.watch();
    let mut stalled = opened(&watch, of_all()).await;
    for n in 0..200 {
        store.push("1", ANA, &n.to_string());
    }
    // It loses its place with the first page that the hub reads.
    store.until_read().await;
    let heard = told_next(&mut stalled, 70).await;
    store.be_away(Some(away()));
    let waiting = tokio::spawn(async move {
        let mut rest = told_next(&mut stalled, 130).await;
        rest.push(told_next(&mut stalled, 1).await.remove(0));
        rest
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!waiting.is_finished());
    store.be_away(None);
    store.push("1", ANA, "200");
    let all: Vec<String> = heard.into_iter().chain(waiting.await.unwrap()).collect();
    assert_eq!(all, (0..=200).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_token_older_than_the_log_is_out_of_range() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscription = watch.open(of_all()).await.unwrap();
    let start = next(&mut subscription).await.unwrap().resume_token;
    for n in 1..=3 {
        store.push("1", ANA, &n.to_string());
    }
    let first = next(&mut subscription).await.unwrap().resume_token;
    drop(subscription);
    store.until_closed().await;
    store.trim("1", 1);
    let mut old = watch.open(from(&start, of_all())).await.unwrap();
    let error = failed(next(&mut old).await);
    assert!(matches!(&error, Error::OutOfRange(text) if text.contains("snapshot")), "{error:?}");
    // The one after it is at the very edge.
    let mut edge = watch.open(from(&first, of_all())).await.unwrap();
    assert_eq!(told_next(&mut edge, 2).await, ["2", "3"]);
    // So is one whose place was lost: what it would be told next may be something else.
    let last = {
        store.push("1", ANA, "4");
        next(&mut edge).await.unwrap().resume_token
    };
    drop((edge, old));
    store.until_closed().await;
    store.lose("1", 3);
    let mut lost = watch.open(from(&last, of_all())).await.unwrap();
    assert!(matches!(failed(next(&mut lost).await), Error::OutOfRange(_)));
}

#[tokio::test]
async fn only_who_is_behind_is_out_of_range() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let mut behind = opened(&watch, of_numbers(&["1"])).await;
    let mut elsewhere = opened(&watch, of_numbers(&[&other])).await;
    store.be_silent(true);
    for n in 1..=5 {
        store.push("1", ANA, &n.to_string());
    }
    let token = {
        let quicker = store.watch();
        let mut subscription = quicker.open(of_numbers(&["1"])).await.unwrap();
        next(&mut subscription).await.unwrap().resume_token
    };
    let mut ahead = opened(&watch, from(&token, of_numbers(&["1"]))).await;
    store.trim("1", 3);
    store.be_silent(false);
    assert!(matches!(failed(next(&mut behind).await), Error::OutOfRange(_)));
    silence(&mut ahead).await;
    store.push("1", ANA, "6");
    store.push(&other, ANA, "unharmed");
    assert_eq!(told(&mut ahead).await, "6");
    assert_eq!(told(&mut elsewhere).await, "unharmed");
}

#[tokio::test]
async fn a_log_that_lost_its_end_ends_the_streams_that_had_heard_it() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let mut heard = opened(&watch, of_numbers(&["1"])).await;
    let mut elsewhere = opened(&watch, of_numbers(&[&other])).await;
    store.push("1", ANA, "1");
    store.push("1", ANA, "2");
    assert_eq!(told_next(&mut heard, 2).await, ["1", "2"]);
    store.lose("1", 1);
    // Anything makes the hub look.
    store.be_silent(false);
    let error = failed(next(&mut heard).await);
    assert!(matches!(error, Error::OutOfRange(_)), "{error:?}");
    store.push(&other, ANA, "unharmed");
    assert_eq!(told(&mut elsewhere).await, "unharmed");
    // Who comes now starts from the end that there is.
    let mut new = opened(&watch, of_numbers(&["1"])).await;
    store.push("1", ANA, "another 2");
    assert_eq!(told(&mut new).await, "another 2");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_ends_the_streams_that_come_to_it() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscription = opened(&watch, of_all()).await;
    store.be_away(Some(Error::Internal("a change of a newer version".to_owned())));
    let error = failed(next(&mut subscription).await);
    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    store.be_away(None);
    let mut again = opened(&watch, of_all()).await;
    store.push("1", ANA, "a");
    assert_eq!(told(&mut again).await, "a");
}

#[tokio::test]
async fn a_hub_that_dies_is_replaced_and_nobody_misses_anything() {
    let store = Double::new();
    let watch = store.watch();
    let mut subscriptions = [opened(&watch, of_all()).await, opened(&watch, of_all()).await];
    store.panic_once();
    for n in 0..10 {
        store.push("1", ANA, &n.to_string());
    }
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for subscription in &mut subscriptions {
        assert_eq!(told_next(subscription, 10).await, expected);
    }
    assert_eq!(store.seen().opened, 2);
}
