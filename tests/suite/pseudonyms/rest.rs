//! All that a store keeps of a customer, after everything that there is was told of them, and nothing
//! of it tells who they are: not even Meta's ids, which carry the number in base64.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use callgate::{
    engine::{
        attempt_id,
        time::{Clock as _, WallClock},
    },
    proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient, event::Fact,
        quarantine_service_client::QuarantineServiceClient,
    },
};
use redis::{Value, cmd};
use serde_json::Value as Json;
use tonic::transport::Channel;

use super::{KEYS, keys::on_disk, meta_id};
use crate::{servers::Server, support::process::Process, support::tally};

/// As it was told, and as it is kept: Brazil's ninth digit is left out of the key.
const SPELLED: &str = "5511987650143";
const KEY: &str = "551187650143";
const USER: &str = "BR.CANARY0143";
/// What must not be found: enough of either spelling, and of the user id, to know who it is.
const TRACES: [&str; 3] = ["1187650", "1198765", "CANARY0143"];
const NUMBER: &str = "800000000000001";
/// The day of the fixtures. Seconds.
const THEN: u64 = 1_794_787_200;

/// Tells everything of the customer by every door.
async fn tell_everything(gate: &Process, under_keys: bool) {
    let url = format!("http://{}", gate.grpc);
    let channel = Channel::from_shared(url).unwrap().connect_lazy();
    let mut calls = CallPermissionServiceClient::new(channel.clone());
    let now = WallClock::default().now().0 / 1000;
    for (n, (wa, user)) in [(SPELLED, ""), (KEY, USER), ("", USER)].into_iter().enumerate() {
        by_grpc(&mut calls, now, n as u64, wa, user).await;
    }
    let mut taken = 0;
    for folder in ["meta", "own"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
        for file in fs::read_dir(folder).unwrap() {
            let text = of_the_customer(&fs::read_to_string(file.unwrap().path()).unwrap(), now);
            let Ok(body) = serde_json::from_str::<Json>(&text) else { continue };
            taken += usize::from(gate.webhook(&body).await);
        }
    }
    assert!(taken > 40, "only {taken} webhooks");
    let odd = serde_json::json!({"object": "whatsapp_business_account", "entry": [{"changes": [{
        "field": "messages", "value": {"metadata": {"phone_number_id": NUMBER},
        "messages": [{"from": SPELLED, "from_user_id": USER, "type": "interactive",
            "id": meta_id("wamid", SPELLED, 99), "timestamp": "soon",
            "text": {"body": format!("I am {SPELLED}, {USER}.")}}]}}]}]});
    assert!(gate.webhook(&odd).await);
    let inspected = Command::new(Process::PROGRAM)
        .args(["inspect", NUMBER, SPELLED, "--addr", &gate.grpc])
        .output()
        .unwrap();
    let inspected = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(inspected.contains(SPELLED), "{inspected}");
    assert_eq!(inspected.contains("kept as              w"), under_keys, "{inspected}");
    let mut quarantine = QuarantineServiceClient::new(channel);
    let list = quarantine.list_quarantined(pb::ListQuarantinedRequest::default()).await;
    let kept = list.unwrap().into_inner().webhooks;
    let mut found = 0;
    for webhook in kept {
        let get = pb::GetQuarantinedRequest { id: webhook.id.clone() };
        let got = quarantine.get_quarantined(get).await.unwrap().into_inner();
        assert!(serde_json::from_str::<Json>(&got.change_json).is_ok(), "{got:?}");
        found += usize::from(got.change_json.contains(&format!("I am {SPELLED}")));
        let retry = pb::RetryQuarantinedRequest { id: webhook.id };
        quarantine.retry_quarantined(retry).await.unwrap();
    }
    assert_eq!(found, 1, "the odd one, as it came");
}

/// A fixture as if of this customer, with Meta's ids as they are in the field, and of today.
fn of_the_customer(text: &str, now: u64) -> String {
    let text = text.replace("15550199001", SPELLED).replace("US.10000000000000000001", USER);
    let mut told = String::new();
    for (n, piece) in text.split("\"wa").enumerate() {
        if n > 0 {
            told.push_str("\"wa");
        }
        let kind = ["mid.", "cid."].into_iter().find(|kind| piece.starts_with(kind));
        match kind {
            Some(kind) => {
                let id = meta_id("x", SPELLED, 0);
                told.push_str(&format!("{kind}{}{}", id.trim_start_matches("x."), &piece[4..]));
            }
            None => told.push_str(piece),
        }
    }
    let mut shifted = String::new();
    let mut digits = String::new();
    for c in told.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        match digits.parse::<u64>() {
            Ok(seconds) if digits.len() == 10 && digits.starts_with("1794") => {
                shifted.push_str(&(seconds + now / 86_400 * 86_400 - THEN).to_string());
            }
            _ => shifted.push_str(&digits),
        }
        digits.clear();
        shifted.push(c);
    }
    shifted
}

async fn by_grpc(
    calls: &mut CallPermissionServiceClient<Channel>,
    now: u64,
    n: u64,
    wa: &str,
    user: &str,
) {
    let customer = pb::Customer { wa_id: wa.to_owned(), user_id: user.to_owned() };
    let pair =
        || Some(pb::Pair { phone_number_id: NUMBER.to_owned(), customer: Some(customer.clone()) });
    let agent = || Some(pb::Agent { kind: 1, id: "bot:canary".to_owned() });
    let at = |seconds: u64| {
        Some(prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap(), nanos: 0 })
    };
    let request_id = meta_id("wamid", SPELLED, 10 + n);
    let facts = [
        Fact::Request(pb::PermissionRequestReport {
            request_id: format!("r{n}"),
            provider_message_id: request_id.clone(),
            outcome: pb::RequestOutcome::Sent.into(),
        }),
        Fact::Reply(pb::PermissionReply {
            response: 1,
            request_id: request_id.clone(),
            ..Default::default()
        }),
        Fact::Reply(pb::PermissionReply { response: 2, request_id, ..Default::default() }),
        Fact::Reply(pb::PermissionReply { response: 1, ..Default::default() }),
    ];
    for (m, fact) in facts.into_iter().enumerate() {
        let event = pb::Event {
            event_id: meta_id("wamid", SPELLED, 20 + m as u64),
            pair: pair(),
            occurred_at: at(now - 100 + 10 * n + m as u64),
            fact: Some(fact),
        };
        let told = calls.record_events(pb::RecordEventsRequest { events: vec![event] }).await;
        let result = told.unwrap().into_inner().results.remove(0);
        assert!(result.error.is_empty(), "{result:?}");
    }
    let authorize = pb::AuthorizeCallRequest {
        pair: pair(),
        agent: agent(),
        call_id: format!("c{n}"),
        ..Default::default()
    };
    calls.authorize_call(authorize).await.unwrap();
    let report = pb::CallReport {
        call_id: format!("c{n}"),
        provider_call_id: meta_id("wacid", SPELLED, 30 + n),
        outcome: pb::CallOutcome::Unanswered.into(),
        ..Default::default()
    };
    let report = pb::ReportCallRequest { pair: pair(), report: Some(report), occurred_at: None };
    calls.report_call(report).await.unwrap();
    let request = pb::AuthorizePermissionRequestRequest {
        pair: pair(),
        agent: agent(),
        request_id: format!("q{n}"),
        replace_permission: false,
    };
    calls.authorize_permission_request(request).await.unwrap();
    let get = pb::GetPermissionRequest { pair: pair(), as_of: None };
    calls.get_permission(get).await.unwrap();
}

/// The traces in some bytes: as they stand, and in whatever in them may be a packed id or base64.
fn traces(bytes: &[u8]) -> Vec<&'static str> {
    let bytes = &[bytes, &unpacked_ids(bytes)].concat()[..];
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .map(|alphabet| GeneralPurpose::new(alphabet, config));
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
    let mut texts = vec![bytes.to_vec()];
    for run in bytes.split(|b| !is_letter(b)).filter(|run| run.len() >= 10) {
        for start in 0..4 {
            let whole = (run.len() - start) / 4 * 4;
            let piece = &run[start..start + whole];
            texts.extend(engines.iter().filter_map(|engine| engine.decode(piece).ok()));
        }
    }
    let all = String::from_utf8_lossy(&texts.join(&b' ')).into_owned();
    TRACES.into_iter().filter(|trace| all.contains(trace)).collect()
}

/// Whatever may be an id of a call or a request as a record keeps it.
fn unpacked_ids(bytes: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    for text in bytes.split(|byte| *byte == 0) {
        let starts =
            (text.len().saturating_sub(64)..text.len()).filter(|at| text[*at] & 0xc0 == 0x80);
        for id in starts.filter_map(|at| attempt_id::unpack(&text[at..]).ok()) {
            ids.push(b' ');
            ids.extend(id.as_bytes());
        }
    }
    ids
}

/// Where traces are, by what stands there.
fn found(kept: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let told = kept
        .iter()
        .filter(|(name, bytes)| !traces(name.as_bytes()).is_empty() || !traces(bytes).is_empty());
    told.map(|(name, _)| name.clone()).collect()
}

fn flat(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Array(all) | Value::Set(all) => all.iter().for_each(|value| flat(value, bytes)),
        Value::Map(all) => all.iter().for_each(|(key, value)| {
            flat(key, bytes);
            flat(value, bytes);
        }),
        Value::BulkString(text) => bytes.extend(text.iter().chain(b"\n")),
        other => bytes.extend(format!("{other:?}\n").into_bytes()),
    }
}

/// Every key of the server with all that it holds.
fn all_of(server: &Server) -> BTreeMap<String, Vec<u8>> {
    let mut client = server.client();
    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut client).unwrap();
    let read = |key: &String| {
        let kind: String = cmd("TYPE").arg(key).query(&mut client).unwrap();
        let read = match kind.as_str() {
            "string" => cmd("GET").arg(key).to_owned(),
            "hash" => cmd("HGETALL").arg(key).to_owned(),
            "set" => cmd("SMEMBERS").arg(key).to_owned(),
            "zset" => cmd("ZRANGE").arg(key).arg(0).arg(-1).to_owned(),
            "list" => cmd("LRANGE").arg(key).arg(0).arg(-1).to_owned(),
            "stream" => cmd("XRANGE").arg(key).arg("-").arg("+").to_owned(),
            other => panic!("{key} is a {other}"),
        };
        let mut bytes = Vec::new();
        flat(&read.query(&mut client).unwrap(), &mut bytes);
        bytes
    };
    let mut read = read;
    keys.into_iter().map(|key| (key.clone(), read(&key))).collect()
}

fn serve(store: &str, key_file: Option<&Path>) -> Process {
    Process::serve_with(store, "127.0.0.1:0", &["--store-timeout", "5s"], |command| {
        if let Some(file) = key_file {
            command.env("CALLGATE_PRIVACY_KEY_FILE", file);
        }
    })
}

fn key_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{}\n{}\n", KEYS[0], KEYS[1])).unwrap();
    file
}

#[tokio::test]
async fn a_redis_under_keys_tells_nobody_who_its_customers_are() {
    let file = key_file();
    for keys in [None, Some(file.path())] {
        let server = Server::redis7();
        let gate = serve(server.url(), keys);
        tell_everything(&gate, keys.is_some()).await;
        let kept = all_of(&server);
        let found = found(&kept);
        if keys.is_some() {
            assert!(found.is_empty(), "the canary sings in {found:#?}");
            tally::count("keys of Redis in which no trace of the customer was found", kept.len());
            continue;
        }
        // Without keys it is found, so that it would be found.
        for kind in [":pair:", ":changes", ":due", ":quarantine"] {
            assert!(found.iter().any(|name| name.contains(kind)), "no trace in {kind}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_directory_under_keys_tells_nobody_who_its_customers_are() {
    let file = key_file();
    for keys in [None, Some(file.path())] {
        let dir = tempfile::tempdir().unwrap();
        let mut gate = serve(&format!("embedded:{}", dir.path().display()), keys);
        tell_everything(&gate, keys.is_some()).await;
        gate.kill();
        let mut kept = BTreeMap::new();
        // The bytes of the files, and the entries, should the files pack them.
        let mut folders = vec![dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    kept.insert(path.display().to_string(), fs::read(&path).unwrap());
                }
            }
        }
        let lines = if keys.is_some() { &KEYS[..2] } else { &[] };
        let store = Arc::new(on_disk(dir.path(), lines).unwrap());
        for (key, payload) in store.entries().await.unwrap() {
            kept.insert(format!("entry {}", hex::encode(&key)), [key, payload].concat());
        }
        let found = found(&kept);
        if keys.is_some() {
            assert!(found.is_empty(), "the canary sings in {found:#?}");
            assert!(kept.len() > 50, "hardly anything is kept: {}", kept.len());
        } else {
            for kind in ["entry 03", "entry 05", "entry 10", "/data/"] {
                assert!(found.iter().any(|name| name.contains(kind)), "{kind}: {found:?}");
            }
        }
    }
}
