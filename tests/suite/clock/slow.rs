//! Real gates on a host whose clock is set while they run: Debian's `faketime`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizeCallResponse, CheckCall, CheckCallResult,
    CheckCallsRequest, Customer, Decision, Event, EventStatus, GetPermissionRequest, Pair,
    Permission, PermissionReply, PermissionResponse, PermissionStatus, Reason, RecordEventsRequest,
    WatchPermissionsRequest, WatchPermissionsResponse,
    call_permission_service_client::CallPermissionServiceClient, event::Fact,
};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::{servers::Server, stream::now, support::process::Process, twins::Dice};

type Client = CallPermissionServiceClient<Channel>;

const NUMBER: &str = "800000000000001";
const HOUR: i64 = 3600;
/// Nothing that is worth a wait takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with a clock of its own.
struct FakeHost {
    directory: TempDir,
}

impl FakeHost {
    fn new() -> Self {
        let host = Self { directory: TempDir::new().unwrap() };
        host.set(0);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets its clock, so many seconds off the right time.
    fn set(&self, seconds: i64) {
        // Renamed into place: the file is read at every look at the clock.
        fs::write(self.path("new"), format!("{seconds:+}")).unwrap();
        fs::rename(self.path("new"), self.path("clock")).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn gate(&self, store: &str, arguments: &[&str]) -> Process {
        let log = fs::File::create(self.path("log")).unwrap();
        Process::serve_with(store, "127.0.0.1:0", arguments, |command| {
            command
                .env("LD_PRELOAD", library())
                .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
                .env("FAKETIME_NO_CACHE", "1")
                // Time since boot is nobody's to set.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .stderr(log);
        })
    }
}

/// Debian puts it where the machine's libraries are.
fn library() -> PathBuf {
    let under = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let found = under(Path::new("/usr/lib"))
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists());
    found.expect("libfaketime is missing: run scripts/setup, which installs the package faketime")
}

async fn client(gate: &Process) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", gate.grpc)).unwrap();
    Client::new(endpoint.connect().await.unwrap())
}

fn pair(customer: &str) -> Pair {
    let customer = Customer { wa_id: customer.to_owned(), user_id: String::new() };
    Pair { phone_number_id: NUMBER.to_owned(), customer: Some(customer) }
}

fn ms(at: &Timestamp) -> i64 {
    at.seconds * 1000 + i64::from(at.nanos) / 1_000_000
}

async fn authorize(client: &mut Client, customer: &str, call_id: &str) -> AuthorizeCallResponse {
    let question = AuthorizeCallRequest {
        pair: Some(pair(customer)),
        agent: Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() }),
        call_id: call_id.to_owned(),
        ..AuthorizeCallRequest::default()
    };
    client.authorize_call(question).await.unwrap().into_inner()
}

async fn reply(client: &mut Client, customer: &str, at: Timestamp, yes: bool) -> EventStatus {
    let response = if yes { PermissionResponse::Accept } else { PermissionResponse::Reject };
    let fact =
        Fact::Reply(PermissionReply { response: response.into(), ..PermissionReply::default() });
    let event = Event {
        event_id: uuid::Uuid::new_v4().to_string(),
        pair: Some(pair(customer)),
        occurred_at: Some(at),
        fact: Some(fact),
    };
    let request = RecordEventsRequest { events: vec![event] };
    client.record_events(request).await.unwrap().into_inner().results[0].status()
}

async fn permission(client: &mut Client, customer: &str) -> Permission {
    let request = GetPermissionRequest { pair: Some(pair(customer)), as_of: None };
    client.get_permission(request).await.unwrap().into_inner().permission.unwrap()
}

async fn judged_at(client: &mut Client) -> i64 {
    ms(&permission(client, "15550199001").await.judged_at.unwrap())
}

/// A customer's "no", as Meta sends it.
fn no(customer: &str, at: i64) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550100001", "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": customer}],
            "messages": [{
                "from": customer, "id": format!("wamid.{customer}.{at}"),
                "timestamp": at.to_string(), "type": "interactive",
                "interactive": {
                    "type": "call_permission_reply",
                    "call_permission_reply": {"response": "reject", "response_source": "user_action"}
                }
            }]
        }
    }]}]})
}

/// One slot per customer, as the default profile holds it.
fn one_call(directory: &Path) -> String {
    let path = directory.join("one.toml");
    let text =
        "default_profile = \"one\"\n[profiles.one]\nextends = \"atom\"\ncalls_per_window = 1\n";
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A gate on a directory, with one slot taken that lasts 90 s.
struct Scene {
    host: FakeHost,
    store: String,
    config: String,
}

impl Scene {
    fn new() -> Self {
        let host = FakeHost::new();
        let store = format!("embedded:{}", host.path("store").display());
        let config = one_call(host.directory.path());
        Self { host, store, config }
    }

    fn gate(&self) -> Process {
        self.host.gate(&self.store, &["--config", &self.config])
    }

    async fn take_the_slot(&self, gate: &Process) -> Client {
        let mut client = client(gate).await;
        assert_eq!(reply(&mut client, ANA, now(), true).await, EventStatus::Recorded);
        assert_eq!(authorize(&mut client, ANA, "first").await.decision(), Decision::Allow);
        client
    }
}

const ANA: &str = "15550199001";

/// The slot is taken: no second call is allowed.
async fn is_full(client: &mut Client, call_id: &str) -> bool {
    let answer = authorize(client, ANA, call_id).await;
    answer.decision() == Decision::Deny && answer.reason() == Reason::CallWindowLimit
}

#[tokio::test]
async fn a_clock_set_forward_frees_no_slot_early() {
    let scene = Scene::new();
    let gate = scene.gate();
    let mut client = scene.take_the_slot(&gate).await;
    let before = judged_at(&mut client).await;
    scene.host.set(HOUR);
    assert!(is_full(&mut client, "second").await);
    let after = judged_at(&mut client).await;
    assert!((before..before + 60_000).contains(&after), "it went {} ms", after - before);
    assert_eq!(gate.metric("callgate_clock_steps_total{direction=\"forward\"}").await, 1.0);
    assert!((-3601.0..=-3599.0).contains(&gate.metric("callgate_clock_offset_seconds").await));
    assert!(scene.host.log().contains("goes on at its own pace"), "{}", scene.host.log());

    // Set back, all is well again.
    scene.host.set(0);
    assert!(is_full(&mut client, "third").await);
    wait_for("the offset is gone", async || {
        gate.metric("callgate_clock_offset_seconds").await == 0.0
    })
    .await;
    let so_far = ms(&now());
    assert!((judged_at(&mut client).await - so_far).abs() < 5_000);
    assert_eq!(scene.host.log().matches("was set").count(), 2, "{}", scene.host.log());
}

#[tokio::test]
async fn a_clock_set_forward_keeps_no_no_waiting() {
    let scene = Scene::new();
    let gate = scene.gate();
    let mut client = scene.take_the_slot(&gate).await;
    scene.host.set(HOUR);
    judged_at(&mut client).await;
    // If the clock is right now, Meta's says the same.
    let said_at = now().seconds + HOUR;
    assert!(gate.webhook(&no(ANA, said_at)).await);
    let permission = permission(&mut client, ANA).await;
    assert_eq!(permission.status(), PermissionStatus::Revoked);
    assert!(said_at * 1000 <= ms(&permission.judged_at.unwrap()));
    assert!(scene.host.log().contains("agree that it is later"), "{}", scene.host.log());
    // What no clock of ours confirms is kept aside, and moves nothing.
    let before = judged_at(&mut client).await;
    assert!(gate.webhook(&no("15550199002", now().seconds + 3 * HOUR)).await);
    assert!(judged_at(&mut client).await < before + 60_000);
    assert_eq!(
        gate.metric(
            "callgate_webhook_events_total{field=\"messages\",event=\"permission_reply\",result=\"quarantined\"}"
        )
        .await,
        1.0
    );
}

#[tokio::test]
async fn a_clock_set_back_stops_time_and_not_the_gate() {
    let scene = Scene::new();
    let gate = scene.gate();
    let mut client = scene.take_the_slot(&gate).await;
    scene.host.set(-HOUR);
    let stands_at = judged_at(&mut client).await;
    assert!((stands_at - ms(&now())).abs() < 5_000);
    assert!(is_full(&mut client, "second").await);
    assert_eq!(reply(&mut client, "15550199003", now(), false).await, EventStatus::Recorded);
    assert_eq!(judged_at(&mut client).await, stands_at, "it stands");
    assert_eq!(gate.metric("callgate_clock_steps_total{direction=\"back\"}").await, 1.0);
    assert!((3590.0..=3600.0).contains(&gate.metric("callgate_clock_offset_seconds").await));
    assert!(scene.host.log().contains("time stands until"), "{}", scene.host.log());
    scene.host.set(0);
    wait_for("time goes on", async || stands_at < judged_at(&mut client).await).await;
}

#[tokio::test]
async fn a_restart_behind_the_store_does_not_go_back() {
    let scene = Scene::new();
    let mut gate = scene.gate();
    let mut client = scene.take_the_slot(&gate).await;
    let before = judged_at(&mut client).await;
    gate.kill();
    scene.host.set(-2 * HOUR);
    let gate = scene.gate();
    let mut client = self::client(&gate).await;
    // The time of the last commit: the gate judged a moment later and wrote nothing then.
    let stands_at = judged_at(&mut client).await;
    assert!((before - 5_000..=before).contains(&stands_at), "{before} {stands_at}");
    assert!(is_full(&mut client, "second").await);
    assert!(scene.host.log().contains("behind what this store was last written at"));
    // The first call ends and fills the window: still not two hours too early.
    assert_eq!(reply(&mut client, "15550199003", now(), false).await, EventStatus::Recorded);
    // NTP comes: no step to be mistrusted.
    scene.host.set(0);
    wait_for("time goes on", async || (judged_at(&mut client).await - ms(&now())).abs() < 5_000)
        .await;
    assert_eq!(gate.metric("callgate_clock_offset_seconds").await, 0.0);
}

/// Three gates whose hosts disagree by two hours, on one Redis: every answer is by Redis' clock.
#[tokio::test]
async fn on_one_redis_the_clocks_of_the_gates_do_not_matter() {
    let redis = Server::redis7();
    let hosts = [0, HOUR, -HOUR].map(|seconds| {
        let host = FakeHost::new();
        host.set(seconds);
        host
    });
    let config = one_call(hosts[0].directory.path());
    let gates = hosts.each_ref().map(|host| host.gate(redis.url(), &["--config", &config]));
    let mut clients = Vec::new();
    for gate in &gates {
        clients.push(client(gate).await);
    }
    let mut dice = Dice::throw();
    let mut compared = 0;
    for round in 0..40 {
        let customer = format!("1555019900{}", dice.below(4));
        let by = usize::try_from(dice.below(3)).unwrap();
        let yes = dice.below(3) != 0;
        match dice.below(3) {
            0 => assert_eq!(
                reply(&mut clients[by], &customer, now(), yes).await,
                EventStatus::Recorded,
                "gate {by}"
            ),
            1 => assert!(gates[by].webhook(&no(&customer, now().seconds)).await),
            _ => {
                let id = format!("call-{round}");
                let first = authorize(&mut clients[by], &customer, &id).await;
                for client in &mut clients {
                    let again = authorize(client, &customer, &id).await;
                    assert_eq!(again.decision(), first.decision());
                    assert_eq!(again.lease_expires_at, first.lease_expires_at);
                    assert_eq!(again.replayed, first.decision() == Decision::Allow);
                }
            }
        }
        compared += same_everywhere(&mut clients, &customer).await;
    }
    // What is too far ahead is so for all.
    for client in &mut clients {
        let at = |seconds: i64| Timestamp { seconds: now().seconds + seconds, nanos: 0 };
        assert_eq!(reply(client, "15550199009", at(330), true).await, EventStatus::Invalid);
        assert_ne!(reply(client, "15550199009", at(270), true).await, EventStatus::Invalid);
    }
    tokens_are_good_everywhere(&mut clients).await;
    for gate in &gates {
        let url = format!("http://{}/metrics", gate.admin);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        assert!(!text.contains("result=\"quarantined\""), "{text}");
    }
    crate::support::tally::count("answers compared between gates with skewed clocks", compared);
}

/// Asks every gate. Explanations say "in 89 s", so that a second may pass between two of them.
async fn same_everywhere(clients: &mut [Client], customer: &str) -> usize {
    let mut tries = 0;
    loop {
        let mut told = Vec::new();
        for client in clients.iter_mut() {
            told.push(all_of(client, customer).await);
        }
        if told.iter().all(|answer| *answer == told[0]) {
            return told.len();
        }
        tries += 1;
        assert!(tries < 50, "gates disagree: {told:#?}");
    }
}

/// What a gate says of a customer.
async fn all_of(client: &mut Client, customer: &str) -> (Permission, CheckCallResult) {
    let checks = vec![CheckCall { pair: Some(pair(customer)), ..CheckCall::default() }];
    let request = CheckCallsRequest { checks };
    let verdict = client.check_calls(request).await.unwrap().into_inner().results.remove(0);
    let mut permission = permission(client, customer).await;
    let judged = ms(&permission.judged_at.take().unwrap());
    assert!((judged - ms(&now())).abs() < 5_000, "judged by another clock: {judged}");
    (permission, verdict)
}

/// A token of one gate is good at the others: its age is not judged by their clocks.
async fn tokens_are_good_everywhere(clients: &mut [Client]) {
    let mut token = Vec::new();
    for turn in 0..clients.len() * 2 {
        let place = turn % clients.len();
        let request = WatchPermissionsRequest {
            resume_token: token.clone(),
            phone_number_ids: vec![NUMBER.to_owned()],
            ..WatchPermissionsRequest::default()
        };
        let mut stream = clients[place].watch_permissions(request).await.unwrap().into_inner();
        let other = (place + 1) % clients.len();
        let wrote = now();
        let customer = format!("155501991{turn:02}");
        assert_eq!(reply(&mut clients[other], &customer, wrote, true).await, EventStatus::Recorded);
        let hear = async {
            loop {
                let heard: WatchPermissionsResponse = stream.message().await.unwrap().unwrap();
                token.clone_from(&heard.resume_token);
                if format!("{heard:?}").contains(&customer) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hear).await.expect("the change is told");
    }
}
