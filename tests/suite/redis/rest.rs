//! Numbers, display numbers, quarantine, erasure, and the lives of keys.

use super::*;

/// The change log and the deadlines are keys without an end whose contents have one.
#[tokio::test]
async fn every_key_has_an_end_but_facts_without_one() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let now = store.now().await.unwrap();
    let temporary = pair_of(NUMBER, WA, "");
    let permanent = pair_of(NUMBER, "15550199002", "");
    at(&store, Millis::ZERO, &temporary, record(now, accept(false))).await.unwrap();
    at(&store, Millis::ZERO, &permanent, record(now, accept(true))).await.unwrap();
    everything_but_pairs(&store).await;
    let mut client = server.client();
    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut client).unwrap();
    let mut endless: Vec<String> = keys
        .into_iter()
        .filter(|key| cmd("PTTL").arg(key).query::<i64>(&mut client).unwrap() < 0)
        .collect();
    endless.sort();
    insta::assert_snapshot!(endless.join("\n"), @r#"
    callgate:meta
    callgate:{p07}:number:900000000000001
    callgate:{p07}:numbers
    callgate:{p08}:numbers
    callgate:{p45}:changes
    callgate:{p45}:due
    callgate:{p45}:erased
    callgate:{p45}:numbers
    callgate:{p60}:changes
    callgate:{p60}:due
    callgate:{p60}:numbers
    callgate:{p60}:pair:800000000000001:15550199002
    "#);
}

fn paused(at: Millis) -> NumberReport {
    NumberReport { at, pause: Told::Yes, ..NumberReport::default() }
}

fn kept_aside(id: &str, number: &str, received_at: u64, change: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        reason: "unknown shape".to_owned(),
        received_at: Millis(received_at),
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change: change.to_owned(),
    }
}

/// Numbers, display numbers, quarantine and erasure: each script but the shell.
pub(super) async fn everything_but_pairs(store: &RedisStore) {
    numbers_and_displays(store).await;
    quarantine_and_erasure(store).await;
}

async fn numbers_and_displays(store: &RedisStore) {
    let now = store.now().await.unwrap();
    let (id, display) = (number("900000000000001"), "15550100100");
    let unknown = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
    assert_eq!(unknown.changed, 0);
    assert_eq!(store.report_by_display(display, paused(now)).await.unwrap(), None);
    assert_eq!(store.report_by_display(display, paused(now)).await.unwrap(), None);
    for _ in 0..2 {
        store.learn_display(display, &id, Millis(now.0 - 1)).await.unwrap();
        let known = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
        assert_eq!((known.number.pause, known.number.pause_at), (2, now));
    }
    // An older telling does not win.
    store.learn_display(display, &number("900000000000002"), Millis(now.0 - 2)).await.unwrap();
    let report = NumberReport { at: now, calling: Told::No, ..NumberReport::default() };
    assert_eq!(store.report_by_display(display, report).await.unwrap(), Some(id.clone()));
    let known = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
    assert_eq!((known.number.calling, known.number.pause), (1, 2));

    let mut found = Vec::new();
    for partition in 0..store.partitions() {
        found.extend(store.numbers(partition).await.unwrap());
    }
    assert!(found.contains(&id) && !found.contains(&number("900000000000002")), "{found:?}");
}

async fn quarantine_and_erasure(store: &RedisStore) {
    let now = store.now().await.unwrap().0;
    let (id, other) = (number("900000000000003"), "900000000000004");
    let named = r#"{"from": "15550199777"}"#;
    let by_user = r#"{"user_id": "US.7777"}"#;
    for entry in [
        kept_aside("aa", id.as_str(), now - 3, named),
        kept_aside("bb", id.as_str(), now - 2, by_user),
        kept_aside("cc", id.as_str(), now - 1, "{}"),
        kept_aside("dd", other, now, named),
        kept_aside("ee", "", now + 1, named),
        kept_aside("aa", id.as_str(), now + 2, named),
    ] {
        store.quarantine(entry).await.unwrap();
    }
    let listed = |entries: Vec<Quarantined>| entries.into_iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(listed(store.quarantined(3).await.unwrap()), ["aa", "bb", "cc"]);
    assert_eq!(store.quarantined_by_id("ee").await.unwrap().unwrap().change, named);
    store.release_quarantined("cc").await.unwrap();
    assert_eq!(store.quarantined_by_id("cc").await.unwrap(), None);

    // Known by both ids, erased by one.
    let both = pair_of(id.as_str(), "15550199777", "US.7777");
    let told = Millis(now - 1000);
    at(store, Millis::ZERO, &both, record(told, accept(true))).await.unwrap();
    let asked = customer("15550199777", "");
    assert!(store.forget(&id, &asked, &Profile::atom()).await.unwrap());
    assert_eq!(store.raw(&id, &both.customer).await.unwrap(), (None, None));
    assert_eq!(listed(store.quarantined(9).await.unwrap()), ["dd"]);
    store.quarantine(kept_aside("ff", "", now + 3, named)).await.unwrap();
    assert_eq!(listed(store.quarantined(9).await.unwrap()), ["dd", "ff"]);
    store.forget_unfiled(&asked).await.unwrap();
    assert_eq!(listed(store.quarantined(9).await.unwrap()), ["dd"]);
    assert!(!store.forget(&id, &asked, &Profile::atom()).await.unwrap(), "there is nothing left");

    // Redelivered, under either id: from before the erasure. A new fact counts.
    for pair in [&both, &pair_of(id.as_str(), "", "US.7777")] {
        let reply = at(store, Millis::ZERO, pair, record(told, accept(true))).await.unwrap();
        assert_eq!(reply.result, 3, "stale");
    }
    assert_eq!(store.raw(&id, &both.customer).await.unwrap(), (None, None));
    let fresh = record(Millis(now + 60_000), accept(false));
    assert_eq!(at(store, Millis::ZERO, &both, fresh).await.unwrap().result, 1);
}

#[tokio::test]
async fn the_quarantine_is_bounded_by_count_and_age() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let now = store.now().await.unwrap().0;
    let month = callgate::engine::store::QUARANTINE_AGE_MAX;
    store.quarantine(kept_aside("old", NUMBER, now - month - 1, "{}")).await.unwrap();
    for i in 0..1001 {
        store.quarantine(kept_aside(&format!("{i:04}"), NUMBER, now + i, "{}")).await.unwrap();
    }
    let kept = store.quarantined(usize::MAX).await.unwrap();
    assert_eq!(kept.len(), 1000);
    assert_eq!((kept[0].id.as_str(), kept[999].id.as_str()), ("0001", "1000"));
    assert!(store.quarantined(0).await.unwrap().is_empty());
}
