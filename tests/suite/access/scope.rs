//! Who may see some business numbers sees, judges and hears of no others.

use std::sync::Arc;

use callgate::{
    engine::{
        gate::{Gate, Profiles},
        profile::Profile,
        scope::Scope,
        store::{Quarantined, Store as _},
        time::{Clock as _, Millis, WallClock},
    },
    proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient,
        quarantine_service_client::QuarantineServiceClient, watch_permissions_response::Message,
    },
    service::access::{Access, Client, Role, TokenHash},
    store::embedded::Embedded,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::interceptor::InterceptedService,
    transport::Channel,
};

use super::matrix::{A, B, client, gate, number, quarantined};
use crate::{service::ask, support::server::Server};

type Show = Box<dyn FnMut(Request<()>) -> Result<Request<()>, Status> + Send>;
type Calls = CallPermissionServiceClient<InterceptedService<Channel, Show>>;

fn show(token: &str) -> Show {
    let value: MetadataValue<Ascii> = format!("Bearer {token}").parse().unwrap();
    Box::new(move |mut request| {
        request.metadata_mut().insert("authorization", value.clone());
        Ok(request)
    })
}

fn calls(server: &Server, token: &str) -> Calls {
    CallPermissionServiceClient::with_interceptor(server.channel.clone(), show(token))
}

fn quarantine(
    server: &Server,
    token: &str,
) -> QuarantineServiceClient<InterceptedService<Channel, Show>> {
    QuarantineServiceClient::with_interceptor(server.channel.clone(), show(token))
}

/// One client for A alone and one for all, each with every role.
fn two() -> Vec<Client> {
    vec![
        client("on-a", &[Role::Admin], Scope::numbers([number(A)])),
        client("on-all", &[Role::Admin], Scope::All),
    ]
}

fn accept_on(number: &str, event_id: &str) -> pb::Event {
    let pair = ask::pair_of(number, ask::CUSTOMER);
    pb::Event { pair, ..ask::event(event_id, ask::T, ask::accept()) }
}

async fn status_on(calls: &mut Calls, number: &str) -> pb::PermissionStatus {
    let pair = ask::pair_of(number, ask::CUSTOMER);
    let got = calls.get_permission(pb::GetPermissionRequest { pair, as_of: None }).await.unwrap();
    got.into_inner().permission.unwrap().status()
}

#[tokio::test]
async fn a_batch_with_another_number_is_refused_whole() {
    let (server, _) = gate(two()).await;
    let (mut on_a, mut on_all) = (calls(&server, "on-a"), calls(&server, "on-all"));
    let mixed = || ask::events(vec![accept_on(A, "e1"), accept_on(B, "e2")]);
    let denied = on_a.record_events(mixed()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert!(denied.message().contains(B), "{}", denied.message());
    assert_eq!(status_on(&mut on_all, A).await, pb::PermissionStatus::None, "nothing is recorded");
    on_all.record_events(mixed()).await.unwrap();

    let check =
        |number| pb::CheckCall { pair: ask::pair_of(number, ask::CUSTOMER), ..Default::default() };
    let mixed = pb::CheckCallsRequest { checks: vec![check(A), check(B)] };
    assert_eq!(on_a.check_calls(mixed.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(on_all.check_calls(mixed).await.unwrap().into_inner().results.len(), 2);
}

#[tokio::test]
async fn a_stream_of_everything_is_of_everything_that_may_be_seen() {
    let (server, _) = gate(two()).await;
    let (mut on_a, mut on_all) = (calls(&server, "on-a"), calls(&server, "on-all"));
    let everything = pb::WatchPermissionsRequest::default();
    let mut seen_by_a = on_a.watch_permissions(everything.clone()).await.unwrap().into_inner();
    let mut seen_by_all = on_all.watch_permissions(everything).await.unwrap().into_inner();
    for stream in [&mut seen_by_a, &mut seen_by_all] {
        let first = stream.message().await.unwrap().unwrap();
        assert!(matches!(first.message, Some(Message::Progress(_))), "{first:?}");
    }
    // B first: who must not hear of it would hear it before A.
    for (n, number) in [B, A].into_iter().enumerate() {
        let events = ask::events(vec![accept_on(number, &format!("e{n}"))]);
        on_all.record_events(events).await.unwrap();
    }
    let next = async |stream: &mut tonic::Streaming<pb::WatchPermissionsResponse>| loop {
        if let Some(Message::Change(change)) = stream.message().await.unwrap().unwrap().message {
            return change.permission.unwrap().pair.unwrap().phone_number_id;
        }
    };
    assert_eq!(next(&mut seen_by_a).await, A);
    // Two partitions have no order between them.
    let mut both = [next(&mut seen_by_all).await, next(&mut seen_by_all).await];
    both.sort();
    assert_eq!(both, [A, B]);

    let named = |numbers: &[&str]| pb::WatchPermissionsRequest {
        phone_number_ids: numbers.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    on_a.watch_permissions(named(&[A])).await.unwrap();
    for request in [
        named(&[A, B]),
        named(&[B]),
        pb::WatchPermissionsRequest {
            pairs: ask::pair_of(B, ask::CUSTOMER).into_iter().collect(),
            snapshot: true,
            ..Default::default()
        },
    ] {
        let denied = on_a.watch_permissions(request).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn erasing_everywhere_is_erasing_everywhere_that_may_be_seen() {
    let (server, _) = gate(two()).await;
    let (mut on_a, mut on_all) = (calls(&server, "on-a"), calls(&server, "on-all"));
    let both = ask::events(vec![accept_on(A, "e1"), accept_on(B, "e2")]);
    on_all.record_events(both).await.unwrap();
    let customer = ask::pair_of(A, ask::CUSTOMER).unwrap().customer;
    let everywhere = pb::ForgetCustomerRequest { customer, phone_number_id: String::new() };
    let done = on_a.forget_customer(everywhere.clone()).await.unwrap().into_inner();
    assert_eq!(done.pairs_forgotten, 1);
    assert_eq!(status_on(&mut on_all, A).await, pb::PermissionStatus::None);
    assert_eq!(status_on(&mut on_all, B).await, pb::PermissionStatus::Granted);
    let done = on_all.forget_customer(everywhere).await.unwrap().into_inner();
    assert_eq!(done.pairs_forgotten, 1);
    assert_eq!(status_on(&mut on_all, B).await, pb::PermissionStatus::None);
}

#[tokio::test]
async fn what_was_kept_aside_is_shown_by_number() {
    let (server, _) = gate(two()).await;
    let listed = async |token: &str, page_size: u32| {
        let request = pb::ListQuarantinedRequest { page_size };
        let listed = quarantine(&server, token).list_quarantined(request).await.unwrap();
        let webhooks = listed.into_inner().webhooks;
        webhooks.into_iter().map(|webhook| webhook.phone_number_id).collect::<Vec<_>>()
    };
    assert_eq!(listed("on-a", 0).await, [A]);
    assert_eq!(listed("on-a", 1).await, [A], "those of others are not counted");
    let mut all = listed("on-all", 0).await;
    all.sort();
    assert_eq!(all, ["", A, B]);
    // One without a number may be of anybody.
    let mut texts = Vec::new();
    for id in [format!("kept-{B}"), "kept-".to_owned(), "nobody-kept-it".to_owned()] {
        let mut on_a = quarantine(&server, "on-a");
        let denied = on_a.get_quarantined(pb::GetQuarantinedRequest { id }).await.unwrap_err();
        assert_eq!(denied.code(), Code::NotFound);
        texts.push(denied.message().to_owned());
    }
    assert!(
        texts.iter().all(|text| *text == texts[0]),
        "it is not told whether there is one: {texts:?}"
    );
}

/// It may be large, and all of it is read: so no more than that is.
#[tokio::test]
async fn only_the_oldest_that_were_kept_aside_are_looked_through() {
    let now = WallClock::default().now().0 - 10_000;
    let kept = |n: u64, number: &str| Quarantined {
        id: format!("{number}-{n}"),
        received_at: Millis(now + n),
        ..quarantined(number)
    };
    let store = Embedded::memory(Arc::new(WallClock::default())).unwrap();
    for n in 0..1000 {
        store.quarantine(kept(n, B)).await.unwrap();
    }
    store.quarantine(kept(1000, A)).await.unwrap();
    let gate = Gate::new(Arc::new(store), Profiles::new(Profile::atom()));
    let on_a = gate.within(Scope::numbers([number(A)]));
    assert!(on_a.quarantined(10).await.unwrap().is_empty());
    gate.store().release_quarantined(&kept(0, B).id).await.unwrap();
    assert_eq!(on_a.quarantined(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_ends_when_its_client_may_not_see_it_any_more() {
    let (server, doorkeeper) = gate(two()).await;
    let open = async |token: &str| {
        let everything = pb::WatchPermissionsRequest::default();
        let mut calls = calls(&server, token);
        let mut stream = calls.watch_permissions(everything).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    };
    let (mut on_a, mut on_all) = (open("on-a").await, open("on-all").await);
    // The one keeps all that it had, under another name and beside a new client; the other loses.
    let [a, all] = <[Client; 2]>::try_from(two()).unwrap();
    let narrower = Client { scope: Scope::numbers([number(B)]), ..a };
    let other = client("other", &[Role::Caller], Scope::All);
    doorkeeper.replace(Access::new(vec![narrower, all.clone(), other]));
    let end = on_a.message().await.unwrap_err();
    assert_eq!(end.code(), Code::Unauthenticated, "{end:?}");
    assert!(end.message().contains("resume_token"), "{end:?}");
    let mut calls = calls(&server, "on-all");
    calls.record_events(ask::events(vec![accept_on(A, "e1")])).await.unwrap();
    let still = on_all.message().await.unwrap().unwrap();
    assert!(matches!(still.message, Some(Message::Change(_))), "{still:?}");

    // Its token was taken from it.
    doorkeeper.replace(Access::new(vec![Client { tokens: vec![TokenHash::of("new")], ..all }]));
    assert_eq!(on_all.message().await.unwrap_err().code(), Code::Unauthenticated);
}

/// A token is rotated, a client renamed, and a role or a number added: none of that takes anything away.
#[tokio::test]
async fn a_stream_goes_on_while_its_client_loses_nothing() {
    let caller = |scope| client("on-a", &[Role::Caller, Role::Recorder], scope);
    let only_a = || Scope::numbers([number(A)]);
    let (server, doorkeeper) = gate(vec![caller(only_a())]).await;
    let mut calls = calls(&server, "on-a");
    let everything = pb::WatchPermissionsRequest::default();
    let mut stream = calls.watch_permissions(everything).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let tokens = vec![TokenHash::of("new"), TokenHash::of("on-a")];
    let two = || Client { tokens: tokens.clone(), ..caller(only_a()) };
    let gains = [
        two(),
        Client { name: "renamed".to_owned(), ..two() },
        Client { roles: Role::ALL.to_vec(), ..two() },
        Client { scope: Scope::numbers([number(A), number(B)]), ..two() },
        Client { scope: Scope::All, ..two() },
    ];
    for (n, gained) in gains.into_iter().enumerate() {
        doorkeeper.replace(Access::new(vec![gained]));
        let event = accept_on(A, &format!("e{n}"));
        let event = pb::Event { occurred_at: ask::at(ask::T + n as u64), ..event };
        calls.record_events(ask::events(vec![event])).await.unwrap();
        let still = stream.message().await.unwrap().unwrap();
        assert!(matches!(still.message, Some(Message::Change(_))), "{n}: {still:?}");
    }
    doorkeeper.replace(Access::new(vec![two()]));
    let losses = [
        Client { roles: vec![Role::Recorder], ..two() },
        Client { scope: Scope::numbers([number(B)]), ..two() },
        Client { tokens: vec![TokenHash::of("new")], ..two() },
    ];
    for lost in losses {
        doorkeeper.replace(Access::new(vec![two()]));
        let everything = pb::WatchPermissionsRequest::default();
        let mut stream = calls.watch_permissions(everything).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        doorkeeper.replace(Access::new(vec![lost]));
        assert_eq!(stream.message().await.unwrap_err().code(), Code::Unauthenticated);
    }
}

/// As long as a door is open nobody has shown who they are.
#[tokio::test]
async fn streams_of_an_open_door_end_when_it_is_shut() {
    let (server, doorkeeper) = gate(Vec::new()).await;
    let everything = pb::WatchPermissionsRequest::default();
    let mut stream = server.calls.clone().watch_permissions(everything).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    doorkeeper.replace(Access::new(Vec::new()));
    server.calls.clone().record_events(ask::events(vec![accept_on(A, "e1")])).await.unwrap();
    let still = stream.message().await.unwrap().unwrap();
    assert!(matches!(still.message, Some(Message::Change(_))), "{still:?}");
    doorkeeper.replace(Access::new(two()));
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unauthenticated);
}
