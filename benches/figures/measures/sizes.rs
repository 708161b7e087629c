//! What one thing of each kind takes: for docs/sizing.md.

use std::{thread::sleep, time::Duration};

use callgate::proto::AuthorizeCallResponse;
use prost::Message as _;

use crate::{
    children::gate,
    measures::{How, Round, calls::now, go, growth::bytes_per_pair},
    mix::Mix,
    server::Server,
};

/// 8192 questions.
const LOAD: How = How { groups: 512, ..How::FULL };
/// Pairs whose memory is looked at.
const PAIRS: usize = 10_000;
/// Gates that nobody asks, beside one that looks for what is due.
const IDLE: usize = 20;
/// How long they are looked at, once they have settled.
const WHILE: Duration = Duration::from_secs(5);

pub(super) fn sizes(round: &mut Round) {
    traffic(round);
    messages(round);
    for (calls, name) in [(0, "no call"), (35, "35 calls")] {
        let bytes = bytes_per_pair(round.number(), PAIRS, calls);
        round.add(&format!("redis bytes per pair, {name}"), bytes);
    }
    idle_gates(round);
}

/// Between the gate, Redis and its replica; what the change log takes; what the gate takes.
fn traffic(round: &mut Round) {
    let (mut server, mut replica) = (Server::start(), Server::start());
    replica.follow(&server);
    let served = gate(&server.url, 2, &[]);
    let before = server.traffic();
    let generator = round.ready(&served, LOAD, &[]);
    let told = server.traffic();
    let asked = go(generator, &served.process).seen.questions;
    let after = server.traffic();
    let events = Mix::new(0, LOAD.groups, now()).events().count();
    for (what, n, from, to) in
        [("event", events, before, told), ("AuthorizeCall", asked, told, after)]
    {
        let each = |from: f64, to: f64| (to - from) / n as f64;
        round.add(&format!("{what}: to redis"), each(from.input, to.input));
        round.add(&format!("{what}: from redis"), each(from.output, to.output));
        round.add(&format!("{what}: to each replica"), each(from.replicated, to.replicated));
    }
    round.add("gate on redis: resident memory after load", served.process.resident() as f64 / 1e6);
    drop(served);
    let (changes, memory) = (server.changes(), server.memory());
    server.drop_logs();
    round.add("redis bytes per change on the log", (memory - server.memory()) / changes);
}

fn messages(round: &mut Round) {
    let request = Mix::new(70_000_000, 1, now()).question(2).0;
    round.add("AuthorizeCall: request", request.encoded_len() as f64);
    let answer = hex::decode(&round.answer).unwrap();
    let answer = AuthorizeCallResponse::decode(answer.as_slice()).unwrap();
    round.add("AuthorizeCall: answer", answer.encoded_len() as f64);
}

/// What a gate takes of Redis by being there.
fn idle_gates(round: &mut Round) {
    let mut server = Server::start();
    let _sweeps = gate(&server.url, 1, &[]);
    let one = while_idle(&mut server);
    let _idle: Vec<_> = (0..IDLE).map(|_| gate(&server.url, 1, &[])).collect();
    let all = while_idle(&mut server);
    round.add("idle gate: redis time in a second", (all.0 - one.0) / IDLE as f64);
    round.add("idle gate: memory in redis", (all.1 - one.1) / IDLE as f64 / 1e3);
}

/// Microseconds of each second, and bytes.
fn while_idle(server: &mut Server) -> (f64, f64) {
    sleep(WHILE);
    let before = server.cpu();
    sleep(WHILE);
    ((server.cpu() - before) / WHILE.as_secs_f64(), server.memory())
}
