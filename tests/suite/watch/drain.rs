//! A server that drains ends its streams, and what their clients hold is enough to go on elsewhere.

use std::time::Duration;

use callgate::watch::End;
use tokio::sync::watch;

use super::{
    double::Double,
    listen::{from, next, of_all, of_numbers, opened, short, silence, told, told_next},
};

const ANA: &str = "15550142001";

#[tokio::test]
async fn what_waits_is_told_before_the_end() {
    let store = Double::new();
    let (drain, draining) = watch::channel(false);
    let watch = store.watch_with(Some(draining), Duration::ZERO);
    let mut other = opened(&watch, of_all()).await;
    let mut subscription = opened(&watch, of_all()).await;
    store.push("1", ANA, "a");
    store.push("1", ANA, "b");
    assert_eq!(told_next(&mut other, 2).await, ["a", "b"]);
    drain.send(true).unwrap();
    assert_eq!(told_next(&mut subscription, 2).await, ["a", "b"]);
    assert_eq!(next(&mut subscription).await.unwrap_err(), End::Draining);
    assert_eq!(next(&mut other).await.unwrap_err(), End::Draining);
    assert_eq!(watch.open(of_all()).await.unwrap_err(), End::Draining);
    drop((subscription, other));
    store.until_closed().await;
}

#[tokio::test]
async fn a_quiet_stream_ends_at_once_and_goes_on_elsewhere() {
    let store = Double::new();
    let (drain, draining) = watch::channel(false);
    let draining_soon = store.watch_with(Some(draining), Duration::ZERO);
    let mut subscription = draining_soon.open(of_numbers(&["1"])).await.unwrap();
    let token = next(&mut subscription).await.unwrap().resume_token;
    silence(&mut subscription).await;
    let waiting = tokio::spawn(async move { next(&mut subscription).await });
    drain.send(true).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err(), End::Draining);
    store.push("1", ANA, "meanwhile");
    let elsewhere = store.watch();
    let mut resumed = elsewhere.open(from(&token, of_numbers(&["1"]))).await.unwrap();
    assert_eq!(told(&mut resumed).await, "meanwhile");
}

#[tokio::test]
async fn a_flood_does_not_hold_the_end_up() {
    let store = Double::new();
    let (drain, draining) = watch::channel(false);
    let watch = store.watch_with(Some(draining), Duration::ZERO);
    let mut subscription = opened(&watch, of_all()).await;
    drain.send(true).unwrap();
    let mut token = Vec::new();
    let mut heard = 0;
    for n in 0..10_000 {
        store.push("1", ANA, &n.to_string());
        tokio::task::yield_now().await;
        match next(&mut subscription).await {
            Ok(message) => {
                assert_eq!(short(&message), heard.to_string());
                heard += 1;
                token = message.resume_token;
            }
            Err(end) => {
                assert_eq!(end, End::Draining);
                break;
            }
        }
    }
    assert!(heard <= 64, "{heard}");
    let elsewhere = store.watch();
    if heard != 0 {
        let mut resumed = elsewhere.open(from(&token, of_all())).await.unwrap();
        let message = tokio::time::timeout(Duration::from_secs(5), resumed.next()).await;
        let expected = [heard.to_string(), "progress".to_owned()];
        assert!(expected.contains(&short(&message.unwrap().unwrap())));
    }
}

#[tokio::test]
async fn one_that_catches_up_ends_where_it_is() {
    let store = Double::new();
    let (drain, draining) = watch::channel(false);
    let watch = store.watch_with(Some(draining), Duration::ZERO);
    let mut subscription = watch.open(of_all()).await.unwrap();
    let mut token = next(&mut subscription).await.unwrap().resume_token;
    drop(subscription);
    store.until_closed().await;
    for n in 0..500 {
        store.push("1", ANA, &n.to_string());
    }
    let mut resumed = watch.open(from(&token, of_all())).await.unwrap();
    assert_eq!(told(&mut resumed).await, "0");
    drain.send(true).unwrap();
    let mut heard = 1;
    while let Ok(message) = next(&mut resumed).await {
        assert_eq!(short(&message), heard.to_string());
        (heard, token) = (heard + 1, message.resume_token);
    }
    assert!(heard < 500, "what was read is told, and no more is read");
    let elsewhere = store.watch();
    let mut again = elsewhere.open(from(&token, of_all())).await.unwrap();
    assert_eq!(told(&mut again).await, heard.to_string());
}

#[tokio::test]
async fn a_server_that_is_gone_drains_as_well() {
    let store = Double::new();
    let (drain, draining) = watch::channel(false);
    let watch = store.watch_with(Some(draining), Duration::ZERO);
    let mut subscription = opened(&watch, of_all()).await;
    drop(drain);
    assert_eq!(next(&mut subscription).await.unwrap_err(), End::Draining);
}
