//! Who does not take what is told costs nobody anything, and misses nothing.

use futures_util::{FutureExt as _, StreamExt as _};

use super::{
    double::{Double, number_apart_from, partition},
    listen::{from, next, of_all, of_numbers, opened, told, told_next},
};

const ANA: &str = "15550142001";
/// Far more than a queue holds, and several pages of the log.
const FLOOD: usize = 1000;

fn tags() -> Vec<String> {
    (0..FLOOD).map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn one_that_stalls_misses_nothing_and_delays_nobody() {
    let store = Double::new();
    let watch = store.watch();
    let mut stalled = opened(&watch, of_all()).await;
    let mut slow = opened(&watch, of_numbers(&["1"])).await;
    let mut quick = opened(&watch, of_numbers(&["1"])).await;
    let mut heard = Vec::new();
    for (n, tag) in tags().iter().enumerate() {
        store.push("1", ANA, tag);
        heard.push(told(&mut quick).await);
        if n % 10 == 0 {
            assert_eq!(told(&mut slow).await, (n / 10).to_string());
        }
    }
    assert_eq!(heard, tags());
    // What waits for them is bounded: two queues and a page of the log.
    assert!(store.held() <= 3 * 64, "{}", store.held());
    // While it catches up, more comes.
    let mut heard = Vec::new();
    for n in 0..FLOOD {
        if n % 3 == 0 {
            store.push("1", ANA, &(FLOOD + n / 3).to_string());
        }
        heard.push(told(&mut stalled).await);
    }
    assert_eq!(heard, tags());
    let rest: Vec<String> = (FLOOD..FLOOD + FLOOD.div_ceil(3)).map(|n| n.to_string()).collect();
    assert_eq!(told_next(&mut stalled, rest.len()).await, rest);
    assert_eq!(told_next(&mut slow, FLOOD - 100).await, tags()[100..]);
    assert_eq!(told_next(&mut slow, rest.len()).await, rest);
    assert_eq!(told_next(&mut quick, rest.len()).await, rest);
}

#[tokio::test]
async fn the_only_one_may_stall_as_well() {
    let store = Double::new();
    let watch = store.watch();
    let mut stalled = opened(&watch, of_numbers(&["1"])).await;
    for tag in tags() {
        store.push("1", ANA, &tag);
    }
    // It loses its place with the first page that the hub reads.
    store.until_read().await;
    assert_eq!(told_next(&mut stalled, FLOOD).await, tags());
    store.push("1", ANA, "live again");
    assert_eq!(told(&mut stalled).await, "live again");
}

#[tokio::test]
async fn a_crowd_that_stalls_together_comes_back_together() {
    let store = Double::new();
    let watch = store.watch();
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(opened(&watch, of_all()).await);
    }
    let mut quick = opened(&watch, of_all()).await;
    for tag in tags() {
        store.push("1", ANA, &tag);
        assert_eq!(told(&mut quick).await, tag);
    }
    let heard = crowd.iter_mut().map(|subscription| told_next(subscription, FLOOD));
    for heard in futures_util::future::join_all(heard).await {
        assert_eq!(heard, tags());
    }
}

#[tokio::test]
async fn a_long_way_behind_on_one_number_does_not_hold_up_another() {
    let store = Double::new();
    let watch = store.watch();
    let other = number_apart_from(&["1"]);
    let both = || of_numbers(&["1", &other]);
    let mut subscription = watch.open(both()).await.unwrap();
    let token = next(&mut subscription).await.unwrap().resume_token;
    drop(subscription);
    store.until_closed().await;
    for tag in tags() {
        store.push("1", ANA, &tag);
        store.push(&other, ANA, &format!("other {tag}"));
    }
    let mut resumed = watch.open(from(&token, both())).await.unwrap();
    let heard = told_next(&mut resumed, 2 * FLOOD).await;
    let first = |other: bool| {
        heard.iter().position(|message| message.starts_with("other") == other).unwrap()
    };
    assert!(first(true).max(first(false)) <= 64, "a page, and then the other number's turn");
    let (others, ones): (Vec<_>, Vec<_>) =
        heard.into_iter().partition(|message| message.starts_with("other"));
    assert_eq!(ones, tags());
    assert_eq!(others, tags().iter().map(|tag| format!("other {tag}")).collect::<Vec<_>>());
}

/// As the server does with a stream whose client has no room: nobody looks at it any more, whatever it was
/// about.
#[tokio::test]
async fn those_that_nobody_looks_at_any_more_keep_nobody_from_catching_up() {
    let store = Double::new();
    let watch = store.watch();
    let mut first = watch.open(of_all()).await.unwrap();
    let token = next(&mut first).await.unwrap().resume_token;
    for tag in tags() {
        store.push("1", ANA, &tag);
    }
    store.until_read().await;
    store.be_slow(true);
    let mut left = Vec::new();
    for n in 1..=40 {
        store.forget_reads();
        let resumed = watch.open(from(&token, of_all())).await.unwrap();
        let mut messages = resumed.into_messages().boxed();
        // Until its read has begun, or (of more than may read at once) waits for its turn.
        for _ in 0..100 {
            assert!(messages.next().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        assert!(16 < n || !store.seen().reads.is_empty(), "{n}");
        left.push(messages);
    }
    store.be_slow(false);
    let mut resumed = watch.open(from(&token, of_all())).await.unwrap();
    let heard = told_next(&mut resumed, FLOOD).await;
    assert_eq!(heard, tags());
}

/// Few changes match, then all of them do.
#[tokio::test]
async fn what_waits_for_one_that_stalls_is_a_page_whatever_matches() {
    let store = Double::new();
    let watch = store.watch();
    let beside = (1..).map(|n| format!("70{n}")).find(|n| partition(n) == partition("1")).unwrap();
    let mut first = watch.open(of_numbers(&["1"])).await.unwrap();
    let token = next(&mut first).await.unwrap().resume_token;
    drop(first);
    store.until_closed().await;
    for n in 0..448 {
        store.push(&beside, ANA, &format!("beside {n}"));
    }
    for tag in tags() {
        store.push("1", ANA, &tag);
    }
    let mut resumed = watch.open(from(&token, of_numbers(&["1"]))).await.unwrap();
    assert_eq!(told(&mut resumed).await, "0");
    assert!(store.held() <= 64, "{}", store.held());
    assert_eq!(told_next(&mut resumed, FLOOD - 1).await, tags()[1..]);
}
