//! Records as bytes: a server reads and writes them as a gate does, those of formats before as well.

use callgate::{
    engine::fact::InboundMessage,
    store::codec::{record_from_json, record_to_json},
};
use serde_json::{Value, json};

use super::*;
use crate::support::formats::older;

/// A server with one record.
struct Kept {
    store: RedisStore,
    client: redis::Connection,
    key: String,
    pair: Pair,
    now: u64,
    _server: Server,
}

impl Kept {
    async fn new() -> Self {
        let server = Server::redis7();
        let (store, mut client) = (open(server.url()).await, server.client());
        let (pair, now) = (pair_of(NUMBER, WA, ""), store.now().await.unwrap());
        at(&store, now, &pair, wrote()).await.unwrap();
        let key = cmd("KEYS").arg("*:pair:*").query::<Vec<String>>(&mut client).unwrap().remove(0);
        Self { store, client, key, pair, now: now.0, _server: server }
    }

    fn set(&mut self, bytes: &[u8]) {
        cmd("SET").arg(&self.key).arg(bytes).query::<()>(&mut self.client).unwrap();
    }

    /// Has the server read the record and write it.
    async fn rewrite(&mut self) -> Result<Value> {
        self.now += 1;
        at(&self.store, Millis(self.now), &self.pair, wrote()).await?;
        Ok(self.record().await)
    }

    /// As the server wrote it: byte by byte as a gate would.
    async fn record(&self) -> Value {
        let (bytes, _) = self.store.raw(&self.pair.number, &self.pair.customer).await.unwrap();
        let record = record_to_json(bytes.as_ref().unwrap()).unwrap();
        assert_eq!(record_from_json(record.clone()).ok(), bytes, "{record}");
        record
    }
}

fn wrote() -> Command {
    let provider_message_id = String::new();
    record(Millis::ZERO, Fact::InboundMessage(InboundMessage { provider_message_id }))
}

fn own(n: u64) -> String {
    format!("00793037-a076-4ea6-01b2-{n:012x}")
}

fn provider(n: u64) -> String {
    format!("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBJD{n:04}==")
}

fn request(now: u64, n: u64) -> Value {
    json!({
        "own": own(n), "provider": provider(n), "outcome": 3, "at": now - n, "held_until": 0,
        "first": now - n, "delivered_at": 0,
    })
}

/// Ids that are kept in fewer bytes, and an ACCEPT that answers one of many requests, or none of them.
#[tokio::test]
async fn a_server_reads_records_of_each_format_as_a_gate_does() {
    let mut kept = Kept::new().await;
    let (first, now) = (kept.record().await, kept.now);
    let mut answered: Vec<String> = [1, 2, 64, 65, 70, 71].map(own).into();
    answered.extend([1, 2, 64, 65, 70, 71].map(provider));
    answered.extend(["r", ""].map(str::to_owned));
    for id in answered {
        let mut record = first.clone();
        record["accept_at"] = now.into();
        record["accept_request"] = id.clone().into();
        record["requests"] = (1..=70).map(|n| request(now, n)).collect();
        record["rejects"] = json!([{"id": id, "at": now - 1}, {"id": own(3), "at": now}]);
        let bytes = record_from_json(record.clone()).unwrap();
        assert_eq!(record_to_json(&bytes), Ok(record.clone()));
        for format in [5, 6, 7] {
            kept.set(&if format == 7 { bytes.clone() } else { older(&bytes, format) });
            let written = kept.rewrite().await.unwrap();
            for name in ["accept_at", "accept_request", "requests", "rejects"] {
                assert_eq!(written[name], record[name], "format {format}, {id}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_record_is_read_by_nobody() {
    let mut kept = Kept::new().await;
    let mut record = kept.record().await;
    record["requests"] = json!([request(kept.now, 1)]);
    record["accept_at"] = kept.now.into();
    record["accept_request"] = provider(1).into();
    let mut bytes = record_from_json(record).unwrap();
    let place = bytes.windows(3).position(|bytes| bytes == [0xb8, 2, 0]).unwrap() + 1;
    kept.set(&bytes);
    assert!(kept.rewrite().await.is_ok());
    let mut wrong = vec![[&bytes[..], &[0]].concat(), bytes[..bytes.len() - 1].to_vec()];
    // Groups of values that nobody knows: their place is behind the counts of the lists.
    for (format, group) in [(6, 8), (7, 64)] {
        let mut unknown = if format == 7 { bytes.clone() } else { older(&bytes, format) };
        unknown[6] |= group;
        wrong.push(unknown);
    }
    // Places of requests that are not there.
    for place_of_none in [3, 0x81, 0xff] {
        bytes[place] = place_of_none;
        wrong.push(bytes.clone());
    }
    bytes.remove(place);
    wrong.push(bytes);
    for bytes in wrong {
        kept.set(&bytes);
        assert!(kept.rewrite().await.is_err(), "{bytes:?}");
        assert!(record_to_json(&bytes).is_err(), "{bytes:?}");
    }
}
