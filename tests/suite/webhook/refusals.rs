//! Who may come in: the handshake, the signature, the size, and a store that is away.

use std::sync::{Arc, atomic::Ordering};

use callgate::webhook::{Options, SIGNATURE_HEADER};
use reqwest::StatusCode;

use super::{
    door::{Door, NUMBER, SECRET, T, at, options, profiles, sign},
    flaky::Flaky,
};

const ACCEPT: &[u8] = include_bytes!("../../fixtures/meta/01_reply_accept_temporary.json");
const TEXT: &[u8] = include_bytes!("../../fixtures/meta/36_unrelated_text_nonascii.json");
const SETTINGS: &[u8] =
    include_bytes!("../../fixtures/meta/43_account_settings_update_callback_disabled.json");
const RESTRICTION: &[u8] =
    include_bytes!("../../fixtures/meta/39_account_update_restricted_bic.json");
const BAD_AND_GOOD: &[u8] =
    include_bytes!("../../fixtures/meta/84_edge_one_bad_change_among_good.json");

async fn open(options: Options) -> Door {
    let door = Door::over(profiles(), options, |memory| memory).await;
    door.clock.set(at(T + 3600));
    door
}

async fn assert_nothing_recorded(door: &Door) {
    assert_eq!(door.ana().await.revision, 0);
    assert!(door.quarantined().await.is_empty());
}

#[tokio::test]
async fn the_handshake_wants_the_token_and_gives_back_the_challenge() {
    let door = Door::open().await;
    let get = async |query: &[(&str, &str)]| {
        let answer = door.client.get(&door.url).query(query).send().await.unwrap();
        let kind =
            answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (answer.status(), kind.unwrap_or_default(), answer.text().await.unwrap())
    };
    let token = "synthetic-verify-token";
    let query = |mode, token| {
        [("hub.mode", mode), ("hub.challenge", "<b>1158&"), ("hub.verify_token", token)]
    };
    let (status, kind, text) = get(&query("subscribe", token)).await;
    assert_eq!((status, &*text), (StatusCode::OK, "<b>1158&"));
    assert!(kind.starts_with("text/plain"), "{kind}");
    for query in [query("subscribe", "another"), query("subscribe", ""), query("", token)] {
        assert_eq!(get(&query).await.0, StatusCode::FORBIDDEN, "{query:?}");
    }
    assert_eq!(get(&[]).await.0, StatusCode::FORBIDDEN);
    for verify_token in [None, Some(String::new())] {
        let door = open(Options { verify_token, ..options() }).await;
        let answer =
            door.client.get(&door.url).query(&query("subscribe", "")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "without a token nobody knows it");
    }
}

#[tokio::test]
async fn only_the_secret_opens() {
    let door = open(options()).await;
    let good = sign(SECRET, ACCEPT);
    let mut altered = ACCEPT.to_vec();
    let last = altered.len() - 2;
    altered[last] ^= 1;
    let sha1 = "sha1=0f3c5a2e8f6f0b0f9c5d7a7d2b1c3e4f5a6b7c8d";
    let refused = async |body: &[u8], headers: &[(&str, &str)]| {
        let answer = door.post_signed(body.to_vec(), headers).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{headers:?}");
    };
    refused(ACCEPT, &[]).await;
    refused(ACCEPT, &[("x-hub-signature", sha1)]).await;
    refused(&altered, &[(SIGNATURE_HEADER, &good)]).await;
    let another = sign("another-secret", ACCEPT);
    for header in [&another, sha1, good.trim_start_matches("sha256="), ""] {
        refused(ACCEPT, &[(SIGNATURE_HEADER, header)]).await;
    }
    assert_nothing_recorded(&door).await;
    let odd_type = [(SIGNATURE_HEADER, &*good), ("content-type", "text/plain; charset=latin1")];
    assert_eq!(door.post_signed(ACCEPT.to_vec(), &odd_type).await, StatusCode::OK);
    assert_ne!(door.ana().await.revision, 0);
}

#[tokio::test]
async fn during_a_rotation_both_secrets_open() {
    let app_secrets = vec!["new-secret".to_owned(), SECRET.to_owned()];
    let door = open(Options { app_secrets, ..options() }).await;
    for secret in [SECRET, "new-secret"] {
        let signature = sign(secret, ACCEPT);
        let headers = [(SIGNATURE_HEADER, &*signature)];
        assert_eq!(door.post_signed(ACCEPT.to_vec(), &headers).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn without_a_secret_nobody_comes_in() {
    for app_secrets in [vec![], vec![String::new()]] {
        let door = open(Options { app_secrets, ..options() }).await;
        for secret in ["", SECRET] {
            let signature = sign(secret, ACCEPT);
            let headers = [(SIGNATURE_HEADER, &*signature)];
            let answer = door.post_signed(ACCEPT.to_vec(), &headers).await;
            assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_nothing_recorded(&door).await;
    }
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let door = open(Options { body_max: ACCEPT.len(), ..options() }).await;
    let mut longer = ACCEPT.to_vec();
    longer.push(b' ');
    assert_eq!(door.post(longer).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_nothing_recorded(&door).await;
    assert_eq!(door.post(ACCEPT).await, StatusCode::OK);
}

#[tokio::test]
async fn what_is_signed_but_no_json_is_a_bad_request() {
    let door = open(options()).await;
    for body in [&ACCEPT[..ACCEPT.len() / 2], b"", b"{\"entry\":[\xff]}", b"a=b"] {
        assert_eq!(door.post(body).await, StatusCode::BAD_REQUEST);
    }
    let unsigned = door.post_signed(b"a=b".to_vec(), &[]).await;
    assert_eq!(unsigned, StatusCode::UNAUTHORIZED, "the signature comes first");
    assert_nothing_recorded(&door).await;
    let other = door.client.put(&door.url).body(ACCEPT).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// Posts while the store goes away after 0, 1, 2, … calls: wherever that is, the body is not
/// acknowledged. Returns how many calls it takes.
async fn calls_until_acknowledged(first: Option<&[u8]>, body: &[u8]) -> (usize, Door) {
    let mut flaky = None;
    let door = Door::over(profiles(), options(), |memory| {
        let store = Arc::new(Flaky::over(memory));
        flaky = Some(store.clone());
        store
    })
    .await;
    door.clock.set(at(T + 3600));
    let flaky = flaky.expect("the door was built over it");
    if let Some(first) = first {
        assert_eq!(door.post(first).await, StatusCode::OK);
    }
    for calls in 0..20 {
        flaky.calls_left.store(calls, Ordering::SeqCst);
        let answer = door.post(body).await;
        flaky.calls_left.store(usize::MAX, Ordering::SeqCst);
        if answer == StatusCode::OK {
            return (calls, door);
        }
        assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE, "after {calls} calls");
    }
    panic!("never acknowledged")
}

#[tokio::test]
async fn while_the_store_is_away_meta_is_told_to_come_again() {
    // Of a number that was never seen: the clock, its display number twice, the fact.
    let (_, door) = calls_until_acknowledged(None, ACCEPT).await;
    assert_ne!(door.ana().await.grant_kind, 0);
    assert_eq!(door.number(NUMBER).await.display, "15550100001");
    // Of one that was: the clock, the fact, and two pieces that are kept aside.
    let (calls, door) = calls_until_acknowledged(Some(TEXT), BAD_AND_GOOD).await;
    assert_eq!(calls, 4);
    assert_eq!(door.quarantined().await.len(), 2);
    assert_ne!(door.ana().await.grant_kind, 0);
    // The clock and the number.
    let (calls, door) = calls_until_acknowledged(Some(TEXT), SETTINGS).await;
    assert_eq!((calls, door.number(NUMBER).await.calling), (2, 2));
    let (calls, door) = calls_until_acknowledged(Some(TEXT), RESTRICTION).await;
    assert_eq!((calls, door.number(NUMBER).await.pause), (2, 2));
}
