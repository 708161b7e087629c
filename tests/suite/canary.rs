//! A canary: a customer's number that is told to a gate in every field of every request and webhook,
//! through every kind of trouble, and then looked for in all that the gate says to others than the
//! caller's own answers: its log, its metrics, its traces, the texts and details of its errors.
//!
//! The caller's own names for calls, requests and agents are logged as they are, on purpose.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use callgate::{
    engine::time::{Clock as _, WallClock},
    proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient, event::Fact,
        quarantine_service_client::QuarantineServiceClient,
    },
};
use hmac::{Hmac, Mac as _};
use redis::cmd;
use sha2::Sha256;
use tonic::{Status, transport::Channel};

use crate::{
    servers::Server,
    support::{
        collector::Collector,
        process::{Process, SECRET},
        tally,
    },
};

/// As it was told, and as it is kept: Brazil's ninth digit is left out of the key.
const SPELLED: &str = "5511987650143";
/// What must not be found: enough of either spelling, and of the user id, to know who it is.
const TRACES: [&str; 3] = ["1187650", "1198765", "CANARY0143"];
const USER: &str = "BR.CANARY0143";
const NUMBER: &str = "800000000000001";

/// A gate, and what it said that was no answer.
struct Aviary {
    gate: Process,
    said: Vec<String>,
    asked: usize,
}

impl Aviary {
    fn keep<T>(&mut self, what: &str, answer: Result<T, Status>) {
        self.asked += 1;
        if let Err(status) = answer {
            let details = String::from_utf8_lossy(status.details()).into_owned();
            self.said.push(format!("{what}: {status:?} {details}"));
        }
    }

    fn calls(&self) -> CallPermissionServiceClient<Channel> {
        CallPermissionServiceClient::new(self.channel())
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.gate.grpc)).unwrap().connect_lazy()
    }

    /// Every call of the contract about this customer, in good order and in bad.
    async fn ask_everything(&mut self, pair: &pb::Pair) {
        let mut calls = self.calls();
        let pair = || Some(pair.clone());
        let agent = || Some(pb::Agent { kind: 1, id: "bot:canary".to_owned() });
        for lease in [None, Some(prost_types::Duration { seconds: 1, nanos: 0 })] {
            let request = pb::AuthorizeCallRequest {
                pair: pair(),
                agent: agent(),
                call_id: "c1".to_owned(),
                lease,
                ..Default::default()
            };
            self.keep("AuthorizeCall", calls.authorize_call(request).await);
        }
        for outcome in [pb::CallOutcome::Ringing, pb::CallOutcome::Answered] {
            let report = pb::CallReport {
                call_id: "c1".to_owned(),
                provider_call_id: format!("wacid.{SPELLED}"),
                outcome: outcome.into(),
                ..Default::default()
            };
            let request =
                pb::ReportCallRequest { pair: pair(), report: Some(report), occurred_at: None };
            self.keep("ReportCall", calls.report_call(request).await);
        }
        let request = pb::AuthorizePermissionRequestRequest {
            pair: pair(),
            agent: agent(),
            request_id: "r1".to_owned(),
            replace_permission: false,
        };
        self.keep("AuthorizePermissionRequest", calls.authorize_permission_request(request).await);
        let events = [true, false].map(|is_good| pb::Event {
            event_id: SPELLED.to_owned(),
            pair: pair(),
            occurred_at: is_good.then(now),
            fact: Some(Fact::Reply(pb::PermissionReply { response: 1, ..Default::default() })),
        });
        let recorded = calls.record_events(pb::RecordEventsRequest { events: events.into() }).await;
        if let Ok(recorded) = &recorded {
            self.said.extend(recorded.get_ref().results.iter().map(|result| result.error.clone()));
        }
        self.keep("RecordEvents", recorded);
        let check = pb::CheckCallsRequest {
            checks: vec![pb::CheckCall { pair: pair(), ..Default::default() }],
        };
        self.keep("CheckCalls", calls.check_calls(check).await);
        let get = pb::GetPermissionRequest { pair: pair(), as_of: None };
        self.keep("GetPermission", calls.get_permission(get).await);
        let watch = pb::WatchPermissionsRequest {
            pairs: vec![pair().unwrap()],
            resume_token: SPELLED.into(),
            ..Default::default()
        };
        self.keep("WatchPermissions", calls.watch_permissions(watch).await);
        let number = pb::GetBusinessNumberRequest { phone_number_id: SPELLED.repeat(3) };
        self.keep("GetBusinessNumber", calls.get_business_number(number).await);
        let mut quarantine = QuarantineServiceClient::new(self.channel());
        let id = pb::GetQuarantinedRequest { id: SPELLED.to_owned() };
        self.keep("GetQuarantined", quarantine.get_quarantined(id).await);
    }

    /// Every webhook that we have, as if of this customer: signed, spoiled and unsigned.
    async fn post_everything(&mut self) {
        let (client, url) = (reqwest::Client::new(), format!("http://{}", self.gate.http));
        for folder in ["meta", "own"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
            for file in fs::read_dir(folder).unwrap() {
                let text = fs::read_to_string(file.unwrap().path()).unwrap();
                let text = text.replace("15550199001", SPELLED).replace("wacid.", SPELLED);
                let text = text.replace("US.10000000000000000001", USER);
                for body in [&text[..], &text[..text.len() / 2], &text.replace("from", "form")] {
                    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
                    mac.update(body.as_bytes());
                    let tag = hex::encode(mac.finalize().into_bytes());
                    for tag in [tag, SPELLED.to_owned()] {
                        let post = client.post(format!("{url}/webhooks/meta"));
                        let post = post.header("x-hub-signature-256", format!("sha256={tag}"));
                        let answer = post.body(body.to_owned()).send().await.unwrap();
                        self.said.push(answer.text().await.unwrap());
                        self.asked += 1;
                    }
                }
            }
        }
        let path = format!("/webhooks/meta?hub.mode=subscribe&hub.verify_token={SPELLED}");
        let admin = format!("http://{}", self.gate.admin);
        for door in [url, admin] {
            for path in [&path, "/metrics", "/readyz", &format!("/{SPELLED}")] {
                let answer = client.get(format!("{door}{path}")).send().await.unwrap();
                self.said.push(answer.text().await.unwrap());
            }
        }
    }
}

fn now() -> prost_types::Timestamp {
    let seconds = WallClock::default().now().0 / 1000;
    prost_types::Timestamp { seconds: seconds.try_into().unwrap(), nanos: 0 }
}

fn pair(wa_id: &str, user_id: &str) -> pb::Pair {
    let customer = pb::Customer { wa_id: wa_id.to_owned(), user_id: user_id.to_owned() };
    pb::Pair { phone_number_id: NUMBER.to_owned(), customer: Some(customer) }
}

/// Puts rubbish in place of each of the customer's records. Gives how many there were.
fn spoil(server: &Server) -> usize {
    let mut client = server.client();
    let keys: Vec<String> = cmd("KEYS").arg("*:pair:*").query(&mut client).unwrap();
    for key in &keys {
        cmd("SET").arg(key).arg(format!("rubbish {SPELLED}")).query::<()>(&mut client).unwrap();
    }
    keys.len()
}

#[tokio::test]
async fn a_customer_is_found_nowhere_but_in_answers() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let file = Stdio::from(fs::File::create(&log).unwrap());
    let mut server = Server::redis7();
    // `make test` is under load: what is slow here is not what is looked for.
    let collector = Collector::start().await;
    let patient = ["--store-timeout", "5s", "--otlp-endpoint", &collector.url];
    let gate = Process::serve_with(server.url(), "127.0.0.1:0", &patient, |command| {
        command.stderr(file);
    });
    let mut aviary = Aviary { gate, said: Vec::new(), asked: 0 };

    for (wa, user) in
        [(SPELLED, ""), ("", USER), (SPELLED, USER), ("+x5511987650143", "CANARY0143")]
    {
        aviary.ask_everything(&pair(wa, user)).await;
    }
    aviary.post_everything().await;
    let whole = pair(SPELLED, USER);
    assert!(spoil(&server) >= 2, "nothing was kept");
    aviary.ask_everything(&whole).await;
    aviary.post_everything().await;
    server.kill();
    aviary.ask_everything(&whole).await;
    aviary.post_everything().await;

    let Aviary { gate, mut said, asked } = aviary;
    gate.terminate().await;
    let spans = collector.spans().len();
    assert!(spans > asked, "there are hardly any spans: {spans}");
    said.extend(collector.requests().iter().map(|request| format!("{request:?}")));
    let errors = said.len();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.lines().count() > 20, "there is hardly a log: {log}");
    said.extend(log.lines().map(str::to_owned));
    assert!(said.iter().any(|line| line.contains("callgate_webhook")), "there are no metrics");
    println!("{asked} requests, {errors} errors and pages, {} lines of log", said.len() - errors);
    for line in &said {
        for trace in TRACES {
            assert!(!line.contains(trace), "the canary sings: {line}");
        }
    }
    tally::count("requests of which no trace of the customer was found", asked);
}

/// Panics of every kind that puts a customer into its text, each in a thread of its own.
fn panic_with_the_customer() {
    callgate::telemetry::withhold_panics();
    let metrics = callgate::telemetry::Metrics::install().unwrap();
    let spelled = std::hint::black_box(SPELLED.to_owned());
    let ways: [fn(&str); 6] = [
        |spelled| panic!("of {spelled}"),
        |spelled| assert_eq!(spelled, "another"),
        |spelled| {
            spelled.parse::<u8>().map_err(|_| spelled).expect("no customer");
        },
        |spelled| assert_ne!(spelled.parse::<u8>().map_err(|_| spelled), Err(spelled)),
        // Not between two characters: the text is told whole.
        |spelled| drop(format!("\u{e9}{spelled}")[1..].to_owned()),
        |spelled| std::panic::panic_any(spelled.to_owned()),
    ];
    for way in ways {
        let spelled = spelled.clone();
        assert!(std::thread::spawn(move || way(&spelled)).join().is_err());
    }
    assert!(std::thread::spawn(|| panic!("a text of the program")).join().is_err());
    let counted = metrics.render().lines().any(|line| line == "callgate_panics_total 7");
    assert!(counted, "each is counted");
}

/// In a process of its own, with the hook of the program.
#[test]
fn a_customer_is_not_found_in_panics() {
    const CHILD: &str = "CALLGATE_TEST_PANICS";
    if std::env::var_os(CHILD).is_some() {
        return panic_with_the_customer();
    }
    for backtrace in ["0", "1"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "canary::a_customer_is_not_found_in_panics", "--nocapture"])
            .env(CHILD, "1")
            .env("RUST_BACKTRACE", backtrace)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("panicked at ").count(), 7, "{said}");
        assert_eq!(said.matches("is withheld").count(), 6, "{said}");
        assert!(said.contains("a text of the program"), "{said}");
        assert_eq!(said.contains("panic_with_the_customer"), backtrace == "1", "{said}");
        for trace in TRACES {
            assert!(!said.contains(trace), "the canary sings: {said}");
        }
    }
    tally::count("panics of which no trace of the customer was found", 14);
}

/// A real one: no thread can be started with a stack as large as all memory.
#[test]
fn the_program_withholds_the_texts_of_its_panics() {
    let threads = ["--worker-threads", "2"];
    let mut command = Process::command(Process::PROGRAM, "memory:", "127.0.0.1:0", &threads);
    command.env("RUST_MIN_STACK", (1_u64 << 47).to_string()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it did not panic: {said}");
    assert!(said.contains("panicked at ") && said.contains("is withheld"), "{said}");
    assert!(!said.contains("spawn worker"), "{said}");
}
