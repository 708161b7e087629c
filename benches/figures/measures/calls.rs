//! Questions and events: over gRPC, on each store, against the constant server.

use std::time::Instant;

use callgate::proto::{
    Agent, AgentKind, CallOutcome, CallReport, CheckCall, CheckCallsRequest, Decision,
    RecordEventsRequest, ReportCallRequest,
};
use prost::Message as _;

use crate::{
    children::{constant, gate},
    load::{Client, connect},
    measures::{How, Round, go, median, micros},
    mix::Mix,
    runtime,
    server::Server,
};

/// Of the script of one GET, 64 at once.
const GETS: usize = 4000;
/// Requests that are sent one after the other to see their round trips.
const ALONE: usize = 500;
/// Times that 1000 pairs are checked.
const CHECKS: usize = 30;

/// What a gate answers to an allowed question, as hexadecimal digits.
pub(super) fn an_answer() -> String {
    let served = gate("memory:", 1, &[]);
    runtime(1).block_on(async {
        let mut client = connect(&served.grpc).await;
        let mix = Mix::new(70_000_000, 1, now());
        let events = mix.events_of(2, 2);
        client.record_events(RecordEventsRequest { events }).await.unwrap();
        // The first turn asks about each of the four.
        let answer = client.authorize_call(mix.question(2).0).await.unwrap().into_inner();
        assert_eq!(answer.decision(), Decision::Allow);
        hex::encode(answer.encode_to_vec())
    })
}

pub(super) fn now() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

pub(super) fn on_redis_and_constant(round: &mut Round) {
    let flavours = [(2, "2 threads"), (1, "1 thread")];
    for (threads, named) in flavours {
        // One right after the other, and the next time the other way round.
        let mut pair = [0.0; 2];
        let order = if round.n.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        for which in order {
            pair[which] = match which {
                0 => constant_at_full_load(round, threads, named),
                _ => redis_at_full_load(round, threads, named),
            };
        }
        round.add(&format!("authorize on redis / constant, {named}"), pair[1] / pair[0]);
    }
    one_at_a_time(round);
}

fn constant_at_full_load(round: &mut Round, threads: usize, named: &str) -> f64 {
    let served = constant(threads, &round.answer);
    let asked = round.ask_constant(&served, How::FULL);
    round.add(&format!("constant, {named}"), asked.seen.per_second());
    round.add(&format!("constant, {named}: CPU per call"), asked.cpu);
    asked.seen.per_second()
}

fn redis_at_full_load(round: &mut Round, threads: usize, named: &str) -> f64 {
    let mut server = Server::start();
    let served = gate(&server.url, threads, &[]);
    let one_get = server.one_get(GETS);
    let before_events = server.scripts();
    let generator = round.ready(&served, How::FULL, &[]);
    let before = server.scripts();
    let event = before.each_since(before_events);
    let asked = go(generator, &served.process);
    let decision = server.scripts().each_since(before);
    round.add(&format!("redis, {named}"), asked.seen.per_second());
    round.add(&format!("redis, {named}: CPU per call"), asked.cpu);
    if threads == 2 {
        round.add("redis, 2 threads: p99 of 64 streams", asked.seen.p99);
        round.add("redis time, script of one GET", one_get);
        round.add("redis time, AuthorizeCall", decision);
        round.add("redis time, event", event);
        round.add("redis time, AuthorizeCall / script of one GET", decision / one_get);
    }
    asked.seen.per_second()
}

fn one_at_a_time(round: &mut Round) {
    let served = constant(2, &round.answer);
    let constant = round.ask_constant(&served, How::ALONE).seen;
    drop(served);
    let mut server = Server::start();
    let served = gate(&server.url, 2, &[]);
    let generator = round.ready(&served, How::ALONE, &[]);
    let before = server.reads();
    let redis = go(generator, &served.process).seen;
    let reads = server.reads() - before;
    round.add("redis round trips, AuthorizeCall", reads / redis.questions as f64);
    round.add("constant: p50 of one at a time", constant.p50);
    round.add("redis: p50 of one at a time", redis.p50);
    round.add("redis: p99 of one at a time", redis.p99);
    round.add("p50 of one at a time, redis / constant", redis.p50 / constant.p50);
}

pub(super) fn embedded(round: &mut Round) {
    let served = gate("memory:", 2, &[]);
    let memory = round.ask(&served, How::FULL);
    drop(served);
    let served = constant(2, &round.answer);
    let constant = round.ask_constant(&served, How::FULL).seen;
    drop(served);
    round.add("memory, 2 threads", memory.seen.per_second());
    round.add("memory, 2 threads: CPU per call", memory.cpu);
    let ratio = memory.seen.per_second() / constant.per_second();
    round.add("authorize in memory / constant, 2 threads", ratio);
    let [durable, not_synced] = ["sync", "os"].map(|durability| {
        let directory = tempfile::tempdir().unwrap();
        let store = format!("embedded:{}", directory.path().join("store").display());
        let served = gate(&store, 2, &["--embedded-durability", durability]);
        let asked = round.ask(&served, How::MANY);
        if durability == "sync" {
            round.add("embedded sync: CPU per call", asked.cpu);
        }
        let rate = asked.seen.per_second();
        round.add(&format!("embedded {durability}, 256 callers"), rate);
        rate
    });
    round.add("embedded durable / not synced, 256 callers", durable / not_synced);
}

/// Round trips of what is not a question, and many pairs at once.
pub(super) fn batches(round: &mut Round) {
    let mut server = Server::start();
    let served = gate(&server.url, 2, &[]);
    let mix = Mix::new(round.number(), 250, now());
    let runtime = runtime(1);
    let mut client = runtime.block_on(connect(&served.grpc));
    let events: Vec<_> = mix.events().collect();
    let before = server.reads();
    runtime.block_on(async {
        for event in events.iter().take(ALONE) {
            let request = RecordEventsRequest { events: vec![event.clone()] };
            client.record_events(request).await.unwrap();
        }
    });
    round.add("redis round trips, event", (server.reads() - before) / ALONE as f64);
    runtime.block_on(async {
        let (_, rest) = events.split_at(ALONE);
        for events in rest.chunks(500) {
            client.record_events(RecordEventsRequest { events: events.to_vec() }).await.unwrap();
        }
    });
    let before = server.reads();
    runtime.block_on(async {
        for customer in 0..ALONE {
            client.report_call(report(&mix, customer)).await.unwrap();
        }
    });
    round.add("redis round trips, ReportCall", (server.reads() - before) / ALONE as f64);
    let (before, read_before) = (server.scripts(), server.functions());
    let times = runtime.block_on(check_all(&mut client, &mix));
    let (after, read) = (server.scripts(), server.functions());
    let busy = after.micros - before.micros;
    round.add("CheckCalls of 1000 on redis, round trips", (read - read_before) / CHECKS as f64);
    round.add("redis time, CheckCalls of 1000", busy / 1000.0 / CHECKS as f64);
    round.add("CheckCalls of 1000 on redis, p50", micros(median(times)) / 1000.0);
}

fn report(mix: &Mix, customer: usize) -> ReportCallRequest {
    let report = CallReport {
        call_id: format!("{customer:08}-0000-4000-8000-000000000999"),
        outcome: CallOutcome::Placed.into(),
        ..CallReport::default()
    };
    ReportCallRequest { pair: Some(mix.pair(customer)), report: Some(report), occurred_at: None }
}

async fn check_all(client: &mut Client, mix: &Mix) -> Vec<std::time::Duration> {
    let agent = Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() });
    let check = |customer| CheckCall {
        pair: Some(mix.pair(customer)),
        agent: agent.clone(),
        ..CheckCall::default()
    };
    let request = CheckCallsRequest { checks: (0..1000).map(check).collect() };
    let mut times = Vec::new();
    for _ in 0..CHECKS {
        let begin = Instant::now();
        let answer = client.check_calls(request.clone()).await.unwrap().into_inner();
        times.push(begin.elapsed());
        let allowed = answer.results.iter().filter(|r| r.decision() == Decision::Allow).count();
        assert_eq!(allowed, 750, "three of four may be called");
    }
    times
}
