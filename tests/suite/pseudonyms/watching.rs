//! What streams show of a store without ids.

use std::sync::Arc;

use callgate::{
    engine::{
        gate::{Gate, Profiles},
        pair::Pair,
        profile::Profile,
        pseudonym::Keys,
        store::Store,
        time::ManualClock,
    },
    proto::{self as pb, watch_permissions_response::Message},
};
use tonic::Code;

use super::{KEYS, at, keys, memory, meta_id};
use crate::{
    service::ask::{self, NUMBER, T},
    support::server::Server,
};

const WA: &str = "+5511987654321";
const USER: &str = "BR.7";

fn pair(wa: &str, user: &str) -> pb::Pair {
    let customer = pb::Customer { wa_id: wa.to_owned(), user_id: user.to_owned() };
    pb::Pair { phone_number_id: NUMBER.to_owned(), customer: Some(customer) }
}

fn accept(pair: pb::Pair, event_id: &str, at: u64) -> pb::Event {
    let reply = pb::PermissionReply { response: 1, ..Default::default() };
    pb::Event {
        event_id: event_id.to_owned(),
        pair: Some(pair),
        occurred_at: ask::at(at),
        fact: Some(pb::event::Fact::Reply(reply)),
    }
}

type Stream = tonic::Streaming<pb::WatchPermissionsResponse>;

async fn watch(server: &Server, pairs: Vec<pb::Pair>, snapshot: bool) -> Stream {
    let request = pb::WatchPermissionsRequest { pairs, snapshot, ..Default::default() };
    server.calls.clone().watch_permissions(request).await.unwrap().into_inner()
}

/// Ids of the next message that is no Progress, and the event of a change.
async fn next(stream: &mut Stream) -> ([String; 2], String) {
    loop {
        let message = stream.message().await.unwrap().unwrap().message.unwrap();
        let (permission, event_id) = match message {
            Message::Change(change) => (change.permission, change.event_id),
            Message::Snapshot(permission) => (Some(permission), String::new()),
            Message::Progress(_) => continue,
        };
        let customer = permission.unwrap().pair.unwrap().customer.unwrap();
        return ([customer.wa_id, customer.user_id], event_id);
    }
}

fn ids(wa: &str, user: &str) -> [String; 2] {
    [wa.to_owned(), user.to_owned()]
}

#[tokio::test]
async fn pairs_are_told_as_they_were_asked_for_and_others_by_pseudonyms() {
    let keys = keys(&KEYS[..2]);
    let store = memory(Arc::new(ManualClock::at(at(T))), keys.clone());
    are_told_as_asked_for(store, &keys, T).await;
}

mod slow {
    use callgate::engine::veil::Veiled;

    use super::*;
    use crate::{pseudonyms::keys::on_redis, servers};

    #[tokio::test(flavor = "multi_thread")]
    async fn pairs_on_redis_are_told_as_they_were_asked_for() {
        let (server, keys) = (servers::Server::redis7(), keys(&KEYS[..2]));
        let redis = Arc::new(on_redis(server.url(), "s", &KEYS[..2]).await.unwrap());
        let store: Arc<dyn Store> = Arc::new(Veiled::new(redis, keys.clone()));
        let now = store.now().await.unwrap().0;
        are_told_as_asked_for(store, &keys, now).await;
    }
}

/// Streams of pairs and one of everything, from a snapshot to FORGOTTEN. It is `now` by the store.
async fn are_told_as_asked_for(store: Arc<dyn Store>, keys: &Keys, now: u64) {
    let server = Server::start(store).await;
    let mut calls = server.calls.clone();
    let mut streams = [
        watch(&server, vec![pair(WA, "")], true).await,
        watch(&server, vec![pair("551187654321", USER)], true).await,
        watch(&server, vec![pair("", USER)], true).await,
        watch(&server, vec![], false).await,
    ];
    let kept = keys.pair(&Pair::parse(NUMBER, WA, USER, "").unwrap()).customer.keys();
    let asked = [ids("5511987654321", ""), ids("551187654321", USER), ids("", USER)];
    for (stream, asked) in streams.iter_mut().zip(&asked) {
        assert_eq!(next(stream).await.0, *asked, "the snapshot");
    }
    let event = meta_id("wamid", "551187654321", 1);
    let told = accept(pair("5511987654321", USER), &event, now);
    let request = pb::RecordEventsRequest { events: vec![told] };
    let results = calls.record_events(request).await.unwrap().into_inner().results;
    let answered = results[0].permission.clone().unwrap().pair.unwrap();
    assert_eq!(answered, pair("5511987654321", USER), "as it was asked");
    let hashed = keys.name(event);
    for (stream, asked) in streams.iter_mut().zip(asked.iter().chain([&ids(&kept[0], &kept[1])])) {
        assert_eq!(next(stream).await, (asked.clone(), hashed.clone()));
    }

    // Which pseudonym is whose can be asked, and nothing can be asked by one.
    let get = |pair| pb::GetPermissionRequest { pair: Some(pair), as_of: None };
    let answer = calls.get_permission(get(pair(WA, USER))).await.unwrap().into_inner();
    let pseudonym = answer.kept_as.unwrap();
    assert_eq!(ids(&pseudonym.wa_id, &pseudonym.user_id), ids(&kept[0], &kept[1]));
    assert_eq!(answer.permission.unwrap().status(), pb::PermissionStatus::Granted);
    for (wa, user) in [(&*kept[0], ""), ("", &*kept[1])] {
        let refused = calls.get_permission(get(pair(wa, user))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let forget =
            pb::ForgetCustomerRequest { customer: pair(wa, user).customer, ..Default::default() };
        assert_eq!(calls.forget_customer(forget).await.unwrap_err().code(), Code::InvalidArgument);
    }
    // Nobody's name is in an answer that was not in the question.
    for (asked, shown) in
        [(pair(WA, ""), ids("5511987654321", "")), (pair("", USER), ids("", USER))]
    {
        let answer = calls.get_permission(get(asked)).await.unwrap().into_inner();
        let customer = answer.permission.unwrap().pair.unwrap().customer.unwrap();
        assert_eq!(ids(&customer.wa_id, &customer.user_id), shown);
    }

    let forget =
        pb::ForgetCustomerRequest { customer: pair("", USER).customer, ..Default::default() };
    let forgotten = calls.forget_customer(forget).await.unwrap().into_inner();
    assert_eq!(forgotten.pairs_forgotten, 1);
    for (stream, asked) in streams.iter_mut().zip(asked.iter().chain([&ids(&kept[0], &kept[1])])) {
        assert_eq!(next(stream).await.0, *asked, "FORGOTTEN");
    }
}

#[tokio::test]
async fn a_gate_without_keys_tells_no_pseudonyms() {
    let clock = Arc::new(ManualClock::at(at(T)));
    let store = Arc::new(callgate::store::embedded::Embedded::memory(clock).unwrap());
    let server = Server::start(store).await;
    let request = pb::GetPermissionRequest { pair: Some(pair(WA, USER)), as_of: None };
    let answer = server.calls.clone().get_permission(request).await.unwrap().into_inner();
    assert_eq!(answer.kept_as, None);
}

/// Who is due comes back from the store under a pseudonym, and is met by it.
#[tokio::test]
async fn what_time_does_is_told_of_a_pseudonym_as_well() {
    let clock = Arc::new(ManualClock::at(at(T)));
    let store = memory(clock.clone(), keys(&KEYS[..2]));
    let server = Server::start(store.clone()).await;
    let gate = Gate::new(store, Profiles::new(Profile::atom()));
    let sweeper = tokio::spawn(callgate::watch::sweep(gate));
    let told = accept(pair(WA, USER), "e", T);
    let request = pb::RecordEventsRequest { events: vec![told] };
    server.calls.clone().record_events(request).await.unwrap();
    let mut stream = watch(&server, vec![pair(WA, "")], true).await;
    assert_eq!(next(&mut stream).await.0, ids("5511987654321", ""));
    clock.set(at(T + 8 * ask::DAY));
    let expired = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        loop {
            let message = stream.message().await.unwrap().unwrap().message.unwrap();
            if let Message::Change(change) = message
                && change.cause() == pb::ChangeCause::Expired
            {
                return change.permission.unwrap();
            }
        }
    });
    let customer = expired.await.unwrap().pair.unwrap().customer.unwrap();
    assert_eq!(ids(&customer.wa_id, &customer.user_id), ids("5511987654321", ""));
    sweeper.abort();
}
