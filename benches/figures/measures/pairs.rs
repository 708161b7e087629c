//! What one pair costs in Redis.

use callgate::proto::RecordEventsRequest;

use crate::{
    children::gate,
    load::connect,
    measures::{Round, calls::now},
    mix::Mix,
    runtime,
    server::Server,
};

/// Pairs that are told of, each with a request, a permission and three answered calls.
const PAIRS: usize = 20_000;
const CALLS: usize = 3;
const BATCH: usize = 200;

pub(super) fn bytes(round: &mut Round) {
    let mut server = Server::start();
    let served = gate(&server.url, 2, &[]);
    let mix = Mix::new(round.number(), PAIRS, now());
    let before = server.memory();
    runtime(1).block_on(async {
        let mut client = connect(&served.grpc).await;
        let events: Vec<_> = (0..PAIRS).flat_map(|c| mix.events_of(c, CALLS)).collect();
        for events in events.chunks(BATCH) {
            client.record_events(RecordEventsRequest { events: events.to_vec() }).await.unwrap();
        }
    });
    drop(served);
    server.drop_logs();
    round.add("redis bytes per pair", (server.memory() - before) / PAIRS as f64);
}
