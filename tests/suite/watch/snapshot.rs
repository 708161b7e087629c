//! The present state first, then what follows: nothing between the two is missed or told twice.

use std::sync::Arc;

use callgate::{
    engine::{
        Error,
        change::Change,
        gate::{Gate, Profiles},
        pair::Pair,
        profile::Profile,
        veil::Veiled,
    },
    watch::{Message, Request, State, Told, Watch},
};

use super::{
    double::{Double, number_apart_from},
    listen::{failed, from, next, of_all, of_numbers, of_pairs, opened, short, silence, told},
};
use crate::pseudonyms;

const ANA: &str = "15550142001";
const BEN: &str = "15550142002";
const CAT: &str = "15550142003";

fn with_snapshot(request: Request) -> Request {
    Request { snapshot: true, ..request }
}

/// A change that leads to a state that a test can tell: its revision.
fn change(number: &str, wa: &str, revision: u64) -> Change {
    Change {
        number: number.to_owned(),
        wa: wa.to_owned(),
        event_id: revision.to_string(),
        revision,
        ..Change::default()
    }
}

fn revision(message: &Message) -> u64 {
    match &message.told {
        Told::Snapshot(State::Settled(answer)) => answer.reply.view.revision,
        Told::Snapshot(State::After(change)) => change.revision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_pair_is_told_once_in_the_order_asked_and_then_what_follows() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    store.push_change(change("1", ANA, 10));
    store.push_change(change(&other, BEN, 20));
    let pairs = [("1", CAT), (other.as_str(), BEN), ("1", ANA), ("1", CAT)];
    let mut subscription = watch.open(with_snapshot(of_pairs(&pairs))).await.unwrap();
    let mut revisions = Vec::new();
    for _ in 0..3 {
        revisions.push(revision(&next(&mut subscription).await.unwrap()));
    }
    assert_eq!(revisions, [0, 20, 10]);
    silence(&mut subscription).await;
    store.push_change(change("1", ANA, 11));
    assert_eq!(told(&mut subscription).await, "11");
}

#[tokio::test]
async fn what_happens_meanwhile_is_in_the_snapshot_and_is_not_told_again() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let on = other.clone();
    let mut settled = 0;
    // After each pair was settled, all pairs change, those that were settled before as well.
    store.on_settle(move |store, _| {
        settled += 1;
        for (number, wa) in [("1", ANA), (&on, BEN), ("1", CAT)] {
            store.push_change(change(number, wa, settled));
        }
    });
    let pairs = [("1", ANA), (other.as_str(), BEN), ("1", CAT)];
    let mut subscription = watch.open(with_snapshot(of_pairs(&pairs))).await.unwrap();
    let mut revisions = Vec::new();
    for _ in 0..3 {
        revisions.push(revision(&next(&mut subscription).await.unwrap()));
    }
    // Of one point per business number: where the last of its pairs was settled.
    assert_eq!(revisions, [2, 1, 2]);
    let mut rest = Vec::new();
    for _ in 0..4 {
        rest.push(told(&mut subscription).await);
    }
    rest.sort();
    assert_eq!(rest, ["2", "3", "3", "3"]);
    silence(&mut subscription).await;
}

/// The log has pseudonyms where pairs were asked for by ids.
#[tokio::test]
async fn what_happens_meanwhile_is_in_the_snapshot_of_a_store_without_ids() {
    let store = Double::new();
    let keys = pseudonyms::keys(&pseudonyms::KEYS);
    let veiled = Arc::new(Veiled::new(store.clone(), keys.clone()));
    let watch = Watch::new(Gate::new(veiled, Profiles::new(Profile::atom())), None);
    let kept = |wa| keys.pair(&Pair::parse("1", wa, "", "").unwrap()).customer.keys().remove(0);
    let (ana, ben) = (kept(ANA), kept(BEN));
    store.on_settle(move |store, pair| {
        if pair.customer.keys() == [ben.clone()] {
            store.push_change(change("1", &ana, 7));
        }
    });
    let request = with_snapshot(of_pairs(&[("1", ANA), ("1", BEN), ("1", CAT)]));
    let mut subscription = watch.open(request).await.unwrap();
    let mut revisions = Vec::new();
    for _ in 0..3 {
        revisions.push(revision(&next(&mut subscription).await.unwrap()));
    }
    assert_eq!(revisions, [7, 0, 0]);
}

#[tokio::test]
async fn a_change_before_a_pair_was_settled_does_not_outdate_it() {
    let store = Double::new();
    let watch = store.watch();
    store.on_settle(|store, pair| {
        if pair.customer.wa().unwrap().key() == BEN {
            store.push_change(change("1", ANA, 1));
            // And then a fact that changes nothing that is told.
            store.have_revision("1", ANA, 2);
        }
    });
    let request = with_snapshot(of_pairs(&[("1", BEN), ("1", ANA)]));
    let mut subscription = watch.open(request).await.unwrap();
    let first = revision(&next(&mut subscription).await.unwrap());
    let second = revision(&next(&mut subscription).await.unwrap());
    assert_eq!((first, second), (0, 2));
    silence(&mut subscription).await;
}

#[tokio::test]
async fn a_stream_that_breaks_among_its_snapshots_sends_them_again() {
    let store = Double::new();
    let watch = store.watch();
    let pairs = || of_pairs(&[("1", ANA), ("1", BEN), ("1", CAT)]);
    let mut subscription = watch.open(with_snapshot(pairs())).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(next(&mut subscription).await.unwrap().resume_token);
    }
    store.push_change(change("1", BEN, 7));
    for unfinished in &tokens[..2] {
        // Whether it is asked for or not: its first part was not enough.
        for request in [pairs(), with_snapshot(pairs())] {
            let mut again = watch.open(from(unfinished, request)).await.unwrap();
            let mut revisions = Vec::new();
            for _ in 0..3 {
                revisions.push(revision(&next(&mut again).await.unwrap()));
            }
            assert_eq!(revisions, [0, 7, 0]);
            silence(&mut again).await;
        }
        let error = failed(watch.open(from(unfinished, of_all())).await.map(|_| unreachable!()));
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "pairs"), "{error:?}");
    }
    // After the last one all were sent: from there it goes on, and sends none again.
    for request in [pairs(), with_snapshot(pairs())] {
        let mut resumed = watch.open(from(&tokens[2], request)).await.unwrap();
        assert_eq!(told(&mut resumed).await, "7");
        silence(&mut resumed).await;
    }
}

#[tokio::test]
async fn a_snapshot_needs_pairs() {
    let store = Double::new();
    let watch = store.watch();
    for request in [of_all(), of_numbers(&["1"])] {
        let refused = watch.open(with_snapshot(request)).await;
        let error = failed(refused.map(|_| unreachable!()));
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "snapshot"), "{error:?}");
    }
    assert_eq!(store.seen().opened, 0);
}

#[tokio::test]
async fn a_snapshot_that_fails_ends_the_stream_before_it_begins() {
    let store = Double::new();
    let watch = store.watch();
    let away = Error::Unavailable("away".to_owned());
    store.fail_to_settle("1", BEN, away.clone());
    let request = with_snapshot(of_pairs(&[("1", ANA), ("1", BEN)]));
    assert_eq!(failed(watch.open(request).await.map(|_| unreachable!())), away);
    // Its place is given back.
    store.until_closed().await;
}

#[tokio::test]
async fn a_large_snapshot_is_settled_a_few_at_a_time_and_sent_whole() {
    let store = Double::new();
    let watch = store.watch();
    let ids: Vec<String> = (0..1000).map(|n| format!("1555{n:07}")).collect();
    for (revision, wa) in (1..).zip(&ids) {
        store.push_change(change("1", wa, revision));
    }
    let pairs: Vec<(&str, &str)> = ids.iter().map(|wa| ("1", wa.as_str())).collect();
    let mut subscription = watch.open(with_snapshot(of_pairs(&pairs))).await.unwrap();
    for expected in 1..=1000 {
        assert_eq!(revision(&next(&mut subscription).await.unwrap()), expected);
    }
    let mut other = opened(&watch, of_pairs(&[("1", ANA)])).await;
    store.push_change(change("1", ANA, 1));
    store.push_change(change("1", &ids[500], 1001));
    assert_eq!(short(&next(&mut other).await.unwrap()), "1");
    assert_eq!(told(&mut subscription).await, "1001");
}
