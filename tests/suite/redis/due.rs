//! Deadlines: who gets them, and that they end.

use std::collections::BTreeSet;

use callgate::engine::store::{CustomersPage, Due};

use super::{log::partition, *};

pub(super) fn due_key(number: &str) -> String {
    format!("callgate:{{p{:02}}}:due", partition(number))
}

fn members(server: &Server, number: &str) -> Vec<String> {
    cmd("ZRANGE").arg(due_key(number)).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

fn set_due(server: &Server, number: &str, id: &str, at: u64) {
    let mut add = cmd("ZADD");
    add.arg(due_key(number)).arg(at).arg(format!("{number}:{id}"));
    add.query::<()>(&mut server.client()).unwrap();
}

fn due(number_text: &str, wa: &str, user: &str, at: u64) -> Due {
    let whom = (!wa.is_empty() || !user.is_empty()).then(|| customer(wa, user));
    Due { number: number(number_text), customer: whom, at: Millis(at) }
}

const OTHER: &str = "800000000000003";

#[tokio::test]
async fn what_is_due_is_told_oldest_first_until_it_is_settled() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
        let store = open(server.url()).await;
        let now = store.now().await.unwrap().0;
        assert_eq!(store.due(10).await.unwrap(), []);
        set_due(&server, NUMBER, WA, now - 1000);
        set_due(&server, NUMBER, "US.1000", now - 3000);
        set_due(&server, OTHER, "", now - 2000);
        set_due(&server, OTHER, "15550199002", now + 60_000);
        let expected = [
            due(NUMBER, "", "US.1000", now - 3000),
            due(OTHER, "", "", now - 2000),
            due(NUMBER, WA, "", now - 1000),
        ];
        assert_eq!(store.due(10).await.unwrap(), expected);
        assert_eq!(store.due(2).await.unwrap(), expected[..2]);
        assert_eq!(store.due(10).await.unwrap(), expected, "asking does not settle");

        // There is nothing to tell of either; settling ends it.
        for pair in [pair_of(NUMBER, WA, ""), pair_of(NUMBER, "", "US.1000")] {
            at(&store, Millis::ZERO, &pair, Command::Settle {}).await.unwrap();
        }
        assert_eq!(store.due(10).await.unwrap(), expected[1..2]);
        // Its settings changed once more meanwhile.
        set_due(&server, OTHER, "", now - 1);
        store.settled(&expected[1]).await.unwrap();
        let again = due(OTHER, "", "", now - 1);
        assert_eq!(store.due(10).await.unwrap(), std::slice::from_ref(&again));
        store.settled(&again).await.unwrap();
        assert_eq!(store.due(10).await.unwrap(), []);
        assert_eq!(members(&server, OTHER), [format!("{OTHER}:15550199002")]);
        let keys: Vec<String> = cmd("KEYS").arg("callgate:*").query(&mut server.client()).unwrap();
        let known = ["callgate:meta".to_owned(), due_key(OTHER)];
        let unknown = keys.iter().filter(|key| !key.ends_with(":sweeper") && !known.contains(key));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new(), "settling records nothing");
    }
}

#[tokio::test]
async fn a_deadline_that_names_nobody_is_dropped() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let key = due_key(NUMBER);
    for wrong in ["", "nobody", ":", "x:15550199001", "800000000000001:5511987654321"] {
        cmd("ZADD").arg(&key).arg(1).arg(wrong).query::<()>(&mut server.client()).unwrap();
    }
    set_due(&server, NUMBER, WA, 2);
    assert_eq!(store.due(10).await.unwrap(), [due(NUMBER, WA, "", 2)]);
    assert_eq!(members(&server, NUMBER), [format!("{NUMBER}:{WA}")]);
}

/// Asks until it gets something.
pub(super) async fn takes_over(store: &RedisStore, within: Duration) -> Vec<Due> {
    let until = Instant::now() + within;
    loop {
        let due = store.due(10).await.unwrap();
        if !due.is_empty() {
            return due;
        }
        assert!(Instant::now() < until, "nobody took over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_gate_gets_the_work_and_another_takes_over() {
    let server = Server::redis7();
    let (one, other) = (open(server.url()).await, open(server.url()).await);
    set_due(&server, NUMBER, WA, 1);
    set_due(&server, OTHER, WA, 2);
    let all = [due(NUMBER, WA, "", 1), due(OTHER, WA, "", 2)];
    assert_eq!(one.due(10).await.unwrap(), all);
    let begun = Instant::now();
    // Longer than a lease: it is renewed.
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(other.due(10).await.unwrap(), []);
        assert_eq!(one.due(10).await.unwrap(), all);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A gate that has no lease asks for one now and then only.
    let before = scripts_of(&server);
    for _ in 0..50 {
        assert_eq!(other.due(10).await.unwrap(), []);
    }
    assert!(scripts_of(&server) <= before + 2);

    let begun = Instant::now();
    drop(one);
    // Groups end one by one, since each is asked for with a jitter of its own.
    let mut due = BTreeSet::new();
    while due.len() < 2 {
        let taken = takes_over(&other, Duration::from_secs(10)).await;
        due.extend(taken.into_iter().map(|due| due.number.to_string()));
    }
    println!("taken over within {:?}", begun.elapsed());
    assert_eq!(due, BTreeSet::from([NUMBER.to_owned(), OTHER.to_owned()]));
}

#[tokio::test]
async fn a_gate_that_slept_does_not_believe_in_its_lease() {
    let server = Server::redis7();
    let (sleeper, other) = (open(server.url()).await, open(server.url()).await);
    set_due(&server, NUMBER, WA, 1);
    assert_eq!(sleeper.due(10).await.unwrap().len(), 1);
    // As if it had slept for longer than a lease.
    let leases: Vec<String> =
        cmd("KEYS").arg("callgate:*:sweeper").query(&mut server.client()).unwrap();
    assert_eq!(leases.len(), 8);
    cmd("DEL").arg(leases).query::<()>(&mut server.client()).unwrap();
    assert_eq!(other.due(10).await.unwrap().len(), 1);
    assert_eq!(sleeper.due(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_pair_is_due_by_itself_and_a_number_when_its_setting_changes() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let now = store.now().await.unwrap().0;
    let pair = pair_of(NUMBER, WA, "US.1000");
    // It ends in a moment; that it ends soon is told at once.
    let ends = now + 1500;
    let accept = Fact::Reply(PermissionReply {
        accept: true,
        permanent: false,
        expires_at: Millis(ends),
        automatic: false,
        request_id: String::new(),
    });
    at(&store, Millis::ZERO, &pair, record(Millis(now - 1), accept)).await.unwrap();
    let waiting: BTreeSet<String> = members(&server, NUMBER).into_iter().collect();
    let both = [format!("{NUMBER}:{WA}"), format!("{NUMBER}:US.1000")];
    assert_eq!(waiting, BTreeSet::from(both), "under both ids");
    assert_eq!(store.due(10).await.unwrap(), []);
    let due = takes_over(&store, Duration::from_secs(10)).await;
    assert_eq!(due.iter().map(|due| due.at.0).collect::<Vec<_>>(), [ends, ends]);
    for _ in 0..2 {
        let settled = at(&store, Millis::ZERO, &pair, Command::Settle {}).await.unwrap();
        assert_eq!(settled.view.status, 7, "expired");
    }
    assert_eq!(store.due(10).await.unwrap(), []);
    let log = store.change_log().await.unwrap();
    let told = log.read(partition(NUMBER), Default::default(), 10).await.unwrap();
    let told: Vec<u8> = told.iter().map(|logged| logged.change.cause).collect();
    assert_eq!(told, [3, 8, 9], "accepted, expiring soon, expired: once each");

    let report = |told| NumberReport { inbound_call_grants: told, ..NumberReport::default() };
    let id = number(NUMBER);
    let report = |told| NumberStep { number: &id, report: Some(report(told)), now: Millis::ZERO };
    assert_eq!(store.number(report(Told::Yes)).await.unwrap().changed, 1);
    assert_eq!(store.due(10).await.unwrap(), [], "as it was, where nothing was told");
    store.number(report(Told::No)).await.unwrap();
    let due = store.due(10).await.unwrap();
    assert_eq!((due.len(), &due[0].number, &due[0].customer), (1, &id, &None));
    store.settled(&due[0]).await.unwrap();
    assert_eq!(store.due(10).await.unwrap(), []);
}

/// All customers, page by page.
pub(super) async fn everybody(store: &RedisStore, number_text: &str) -> (BTreeSet<String>, usize) {
    let (mut found, mut from, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let page = store.customers(&number(number_text), &from).await.unwrap();
        let CustomersPage { customers, next } = page;
        found.extend(customers.iter().flat_map(Customer::keys));
        pages += 1;
        match next {
            Some(next) => from = next,
            None => return (found, pages),
        }
    }
}

#[tokio::test]
async fn all_customers_of_a_number_are_found() {
    let server = Server::redis7();
    let prefix = "call*g[a]te?".to_owned();
    let target = Target::parse(server.url()).unwrap();
    let store = RedisStore::open(target, Options { prefix, ..patient() }).await.unwrap();
    let mut expected = BTreeSet::new();
    for n in 0..1500_u32 {
        let (wa, user) = match n % 3 {
            0 => (format!("1555{n:07}"), String::new()),
            1 => (String::new(), format!("US.{n}")),
            _ => (format!("1555{n:07}"), format!("US.{n}")),
        };
        let pair = pair_of(NUMBER, &wa, &user);
        expected.extend(pair.customer.keys());
        at(&store, Millis::ZERO, &pair, record(Millis::ZERO, accept(true))).await.unwrap();
        // Another number, and a neighbour whose keys look alike.
        if n % 10 == 0 {
            let same = Pair { number: number(OTHER), ..pair };
            at(&store, Millis::ZERO, &same, record(Millis::ZERO, accept(true))).await.unwrap();
            let alike = format!("callxga{n}");
            cmd("SET").arg(&alike).arg(1).query::<()>(&mut server.client()).unwrap();
        }
    }
    let home = format!("call*g[a]te?:{{p{:02}}}:pair:{NUMBER}:", partition(NUMBER));
    let stray = format!("{home}no*body");
    cmd("SET").arg(stray).arg(1).query::<()>(&mut server.client()).unwrap();
    let (found, pages) = everybody(&store, NUMBER).await;
    assert_eq!(found, expected);
    assert!(pages > 1, "{pages}");
    assert_eq!(everybody(&store, "900000000000009").await.0, BTreeSet::new());

    // What another server said where to go on means nothing to this one: all are found all the same.
    let page = store.customers(&number(NUMBER), "").await.unwrap();
    let own = page.next.unwrap();
    let (server_id, cursor) = own.split_once(':').unwrap();
    let others = format!("{}:{cursor}", server_id.chars().rev().collect::<String>());
    let mut from = Some(others);
    let mut found = BTreeSet::new();
    while let Some(next) = from {
        let page = store.customers(&number(NUMBER), &next).await.unwrap();
        found.extend(page.customers.iter().flat_map(Customer::keys));
        from = page.next;
    }
    assert_eq!(found, expected);
}
