//! The webhooks of the fixtures, their changes put together to bodies anew, in any order, with
//! repeats, each posted to one of several gates on one store: one state.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use axum::{Router, body::Body, http::Request};
use callgate::{
    engine::{
        gate::{Gate, Profiles},
        pair::{Pair, PhoneNumberId},
        profile::Profile,
        step::View,
        store::Store,
        time::{ManualClock, Millis},
    },
    store::embedded::Embedded,
    webhook::{self, Options},
};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

use super::REPLICAS;
use crate::{support::tally, twins::Dice};

/// When most of the fixtures happen: 2026-11-16T12:00:00Z. Seconds.
const T: u64 = 1_794_830_400;
const SECRET: &str = "synthetic-app-secret";
const NUMBERS: [&str; 3] = ["800000000000001", "800000000000002", "899999999999999"];

/// Every change of every fixture, each an entry of its own. Some fixtures are no JSON.
fn changes() -> Vec<Value> {
    let mut changes = Vec::new();
    for folder in ["tests/fixtures/meta", "tests/fixtures/own"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let Ok(body) = serde_json::from_slice::<Value>(&fs::read(file).unwrap()) else {
                continue;
            };
            if body["object"] != "whatsapp_business_account" {
                continue;
            }
            for entry in body["entry"].as_array().into_iter().flatten() {
                for change in entry["changes"].as_array().into_iter().flatten() {
                    let mut alone = entry.clone();
                    alone["changes"] = json!([change]);
                    changes.push(alone);
                }
            }
        }
    }
    assert!(changes.len() > 50, "only {} changes", changes.len());
    changes
}

/// Moves every time of Meta's in a body by so many seconds.
fn moved(value: &mut Value, by: u64) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| moved(value, by)),
        Value::Object(fields) => fields.values_mut().for_each(|value| moved(value, by)),
        Value::Number(number) => {
            if let Some(at) = number.as_u64().filter(|at| is_time(*at)) {
                *value = json!(at + by);
            }
        }
        Value::String(text) => {
            if let Some(at) = text.parse().ok().filter(|at| is_time(*at)) {
                *text = (at + by).to_string();
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_time(seconds: u64) -> bool {
    seconds.abs_diff(T) < 100 * 24 * 3600
}

/// Bodies of one to four changes, in any order, some of them twice.
fn bodies(dice: &mut Dice, changes: &[Value], is_arranged: bool) -> Vec<Vec<u8>> {
    let mut deck: Vec<&Value> = changes.iter().collect();
    if is_arranged {
        deck.extend(changes.iter().filter(|_| dice.below(3) == 0));
        dice.shuffle(&mut deck);
    }
    let mut bodies = Vec::new();
    while !deck.is_empty() {
        let count = if is_arranged { 1 + dice.below(4) } else { 1 };
        let entries: Vec<&Value> =
            deck.drain(..usize::try_from(count).unwrap().min(deck.len())).collect();
        let body = json!({"object": "whatsapp_business_account", "entry": entries});
        bodies.push(body.to_string().into_bytes());
    }
    bodies
}

async fn post(door: &Router, body: Vec<u8>) {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let request = Request::post(webhook::PATH)
        .header(webhook::SIGNATURE_HEADER, signature)
        .body(Body::from(body))
        .unwrap();
    assert_eq!(door.clone().oneshot(request).await.unwrap().status(), 200);
}

/// All that is seen of the customers and numbers of the fixtures, as of several instants.
async fn state(gate: &Gate, moved: u64) -> BTreeMap<String, String> {
    let customers = [
        ("15550199001", ""),
        ("15550199002", ""),
        ("15550199077", ""),
        ("5511987654321", ""),
        ("", "US.10000000000000000001"),
        ("", "US.10000000000000000002"),
        ("", "US.10000000000000000077"),
    ];
    let mut state = BTreeMap::new();
    for number in NUMBERS {
        let id = PhoneNumberId::parse(number, "").unwrap();
        let facts = gate.number(&id, None).await.unwrap().number;
        state.insert(number.to_owned(), format!("{facts:?}"));
        for (wa, user) in customers {
            for after in [350, 950, 3100, 8600, 86_500] {
                let pair = Pair::parse(number, wa, user, "pair").unwrap();
                let as_of = Millis((T + moved + after) * 1000);
                let answer = gate.permission(pair, as_of).await.unwrap();
                let view = View { revision: 0, ..answer.reply.view };
                state.insert(format!("{number} {wa}{user} after {after} s"), format!("{view:?}"));
            }
        }
    }
    state
}

/// `stores` gives an empty store for each round; its clock stands a day or so after the fixtures.
async fn converges(stores: Vec<Arc<dyn Store>>) {
    let mut dice = Dice::throw();
    let (mut first, mut posted) = (None, 0);
    let by = stores[0].now().await.unwrap().0 / 1000 - T - 24 * 3600;
    let mut changes = changes();
    changes.iter_mut().for_each(|change| moved(change, by));
    for (round, store) in stores.into_iter().enumerate() {
        let gate = || Gate::new(Arc::clone(&store), Profiles::new(Profile::meta()));
        let options = || Options { app_secrets: vec![SECRET.to_owned()], ..Options::default() };
        let doors: Vec<Router> =
            (0..REPLICAS).map(|_| webhook::router(gate(), options())).collect();
        for body in bodies(&mut dice, &changes, round > 0) {
            posted += 1;
            post(dice.pick(&doors), body).await;
        }
        let state = state(&gate(), by).await;
        match &first {
            None => {
                let shows = |what: &str| state.values().any(|seen| seen.contains(what));
                assert!(shows("grant_kind: 2") && shows("grant_kind: 1") && shows("streak: 2"));
                first = Some(state);
            }
            Some(first) => assert_eq!(&state, first, "round {round}"),
        }
    }
    tally::count("webhooks in another order and grouping, to several gates", posted);
}

#[tokio::test]
async fn webhooks_in_any_order_and_grouping_over_any_gates_give_one_state() {
    let clock = Arc::new(ManualClock::at(Millis((T + 2 * 24 * 3600) * 1000)));
    let store = || -> Arc<dyn Store> { Arc::new(Embedded::memory(clock.clone()).unwrap()) };
    converges((0..8).map(|_| store()).collect()).await;
}

mod slow {
    use super::*;
    use crate::{servers::Server, stores::redis};

    #[tokio::test(flavor = "multi_thread")]
    async fn webhooks_in_any_order_over_gates_on_redis_give_one_state() {
        let servers: Vec<Server> = (0..3).map(|_| Server::redis7()).collect();
        let mut stores = Vec::new();
        for server in &servers {
            stores.push(redis(server.url()).await);
        }
        converges(stores).await;
    }
}
