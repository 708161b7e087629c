//! What the change log says of a customer goes with the customer.

use std::sync::Arc;

use callgate::engine::{
    gate::{Gate, Profiles},
    store::Store,
};

use super::{
    due::due_key,
    log::{change, changes_key, partition, positions, turn, turns, write},
    *,
};

const FORGOTTEN: u8 = 14;

#[tokio::test]
async fn the_forgotten_leave_the_change_log() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
        let store = open(server.url()).await;
        let (log, p) = (store.change_log().await.unwrap(), partition(NUMBER));
        let both = pair_of(NUMBER, "15550199777", "US.7777");
        let stays = pair_of(NUMBER, WA, "");
        // A neighbour in the same partition has the same customer.
        let elsewhere =
            (1..).map(|n| format!("{NUMBER}{n:04}")).find(|number| partition(number) == p).unwrap();
        let neighbour = pair_of(&elsewhere, "15550199777", "US.7777");
        for back in [5000, 3000] {
            for pair in [&both, &stays, &neighbour] {
                turn(&store, pair, true, back).await;
                turn(&store, pair, false, back - 1000).await;
            }
        }
        let temporary = pair_of(NUMBER, "15550199777", "");
        at(&store, Millis::ZERO, &temporary, record(Millis::ZERO, accept(false))).await.unwrap();
        let before = log.read(p, Position::START, 100).await.unwrap();
        let due: usize = cmd("ZCARD").arg(due_key(NUMBER)).query(&mut server.client()).unwrap();
        assert_eq!((before.len(), due), (13, 2));

        // By one id; the other is linked.
        let asked = customer("", "US.7777");
        assert!(store.forget(&both.number, &asked, &Profile::atom()).await.unwrap());
        let after = log.read(p, Position::START, 100).await.unwrap();
        let stayed = before
            .iter()
            .filter(|logged| logged.change.wa != "15550199777" || logged.change.number != NUMBER);
        let mut stayed = positions(&stayed.cloned().collect::<Vec<_>>());
        assert_eq!(stayed.len(), 8);
        let last = after.last().unwrap();
        stayed.push(last.position);
        assert_eq!(positions(&after), stayed);
        let told = &last.change;
        assert_eq!((told.cause, told.previous_status, told.status), (FORGOTTEN, 3, 1));
        assert_eq!((told.wa.as_str(), told.user.as_str()), ("15550199777", "US.7777"));
        let due: usize = cmd("ZCARD").arg(due_key(NUMBER)).query(&mut server.client()).unwrap();
        assert_eq!(due, 0);
        let traces: Vec<String> =
            cmd("KEYS").arg("callgate:*:erasing").query(&mut server.client()).unwrap();
        assert_eq!(traces, Vec::<String>::new());

        // Whoever stands where something was erased goes on from there.
        for logged in &before {
            let rest = log.read(p, logged.position, 100).await.unwrap();
            let expected = after.iter().filter(|kept| logged.position < kept.position);
            assert_eq!(rest, expected.cloned().collect::<Vec<_>>());
        }
        let between = Position(before[0].position.0, before[0].position.1 + 7);
        assert!(matches!(log.read(p, between, 9).await, Err(Error::OutOfRange(_))));

        assert!(!store.forget(&both.number, &asked, &Profile::atom()).await.unwrap());
        assert_eq!(log.read(p, Position::START, 100).await.unwrap(), after, "told once");
    }
}

#[tokio::test]
async fn a_long_log_is_gone_through_piece_by_piece() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let (log, p) = (store.change_log().await.unwrap(), partition(NUMBER));
    let pair = pair_of(NUMBER, WA, "");
    let now = store.now().await.unwrap().0;
    for seq in 0..1700 {
        let wa = if seq % 3 == 0 { WA } else { "15550199002" };
        write(&server, p, &format!("{}-{seq}", now - 10_000), &change(NUMBER, wa, seq));
    }
    turns(&store, &pair, 2).await;
    assert!(store.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap());
    let (mut rest, mut after) = (Vec::new(), Position::START);
    loop {
        let page = log.read(p, after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        rest.extend(page);
    }
    assert_eq!(rest.len(), 1700 * 2 / 3 + 1);
    let theirs = rest.iter().filter(|logged| logged.change.wa == WA).collect::<Vec<_>>();
    assert_eq!(theirs.len(), 1);
    assert_eq!((theirs[0].change.cause, theirs[0].position), (FORGOTTEN, after));
}

#[tokio::test]
async fn an_erased_place_is_too_old_once_something_behind_it_was_trimmed() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let (log, p) = (store.change_log().await.unwrap(), partition(NUMBER));
    let pair = pair_of(NUMBER, WA, "");
    turn(&store, &pair, true, 0).await;
    cmd("DEL").arg(changes_key(p)).query::<()>(&mut server.client()).unwrap();
    // All of one instant, so that only the second part of a place tells them apart.
    let old = store.now().await.unwrap().0 - 8 * 24 * 3_600_000;
    for seq in 0..50 {
        let wa = if [5, 31, 32, 33].contains(&seq) { WA } else { "15550199002" };
        write(&server, p, &format!("{old}-{seq}"), &change(NUMBER, wa, seq));
    }
    let job = serde_json::json!({
        "number": NUMBER, "ids": [WA], "from": "-", "to": format!("{old}-49"),
    });
    let job = rmp_serde::to_vec_named(&job).unwrap();
    let erasing = format!("callgate:{{p{p:02}}}:erasing");
    cmd("RPUSH").arg(&erasing).arg(job).query::<()>(&mut server.client()).unwrap();
    assert!(
        !store.forget(&pair.number, &customer("15550199003", ""), &Profile::atom()).await.unwrap()
    );
    assert_eq!(log.read(p, Position(old, 5), 100).await.unwrap().len(), 41);
    store.due(10).await.unwrap();
    // 32 were trimmed, up to 35: four in between had been erased before.
    let left = log.read(p, Position(old, 35), 100).await.unwrap();
    assert_eq!(left.len(), 14);
    assert!(matches!(log.read(p, Position(old, 34), 100).await, Err(Error::OutOfRange(_))));
    for erased in [5, 31, 32, 33] {
        let read = log.read(p, Position(old, erased), 100).await;
        assert!(matches!(read, Err(Error::OutOfRange(_))), "{erased}: {read:?}");
    }
}

/// The gate ends right after the step that erases the records.
#[tokio::test]
async fn what_a_dead_gate_left_is_erased_by_whoever_looks_for_what_is_due() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let (log, p) = (store.change_log().await.unwrap(), partition(NUMBER));
    let now = store.now().await.unwrap().0;
    for seq in 0..1200 {
        let wa = if seq % 2 == 0 { WA } else { "15550199002" };
        write(&server, p, &format!("{now}-{seq}"), &change(NUMBER, wa, seq));
    }
    let job = serde_json::json!({
        "number": NUMBER, "ids": [WA], "from": "-", "to": format!("{now}-1199"),
    });
    let job = rmp_serde::to_vec_named(&job).unwrap();
    let erasing = format!("callgate:{{p{p:02}}}:erasing");
    cmd("RPUSH").arg(&erasing).arg(job).query::<()>(&mut server.client()).unwrap();
    let mut sizes = Vec::new();
    while sizes.last() != Some(&600) && sizes.len() < 9 {
        assert_eq!(store.due(10).await.unwrap(), []);
        let size: u64 = cmd("XLEN").arg(changes_key(p)).query(&mut server.client()).unwrap();
        sizes.push(size);
    }
    assert_eq!(sizes, [950, 700, 600]);
    let kept = log.read(p, Position::START, 1000).await.unwrap();
    assert!(kept.iter().all(|logged| logged.change.wa == "15550199002"));
    let left: u64 = cmd("EXISTS").arg(&erasing).query(&mut server.client()).unwrap();
    assert_eq!(left, 0);
}

/// On all other numbers they are gone all the same; repeating it would not help.
#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_no_other_from_being_erased() {
    let server = Server::redis7();
    let store = Arc::new(open(server.url()).await);
    let gate = Gate::new(Arc::clone(&store) as Arc<dyn Store>, Profiles::new(Profile::atom()));
    let numbers: Vec<String> = (0..5).map(|n| format!("{NUMBER}{n:03}")).collect();
    for number in &numbers {
        let pair = pair_of(number, WA, "");
        at(&store, Millis::ZERO, &pair, record(Millis::ZERO, accept(true))).await.unwrap();
    }
    let damaged = pair_key(&server, &pair_of(&numbers[2], WA, ""));
    cmd("SET").arg(&damaged).arg(b"\xfe").query::<()>(&mut server.client()).unwrap();
    for _ in 0..2 {
        let error = gate.forget(None, &customer(WA, "")).await.unwrap_err();
        let is_told =
            error.to_string().contains(&format!("everywhere but on number {}", numbers[2]));
        assert!(matches!(error, Error::Internal(_)) && is_told, "{error}");
    }
    for number in &numbers {
        let raw = store.raw(&pair_of(number, WA, "").number, &customer(WA, "")).await.unwrap();
        assert_eq!(raw.0.is_some(), *number == numbers[2], "{number}");
    }
}
