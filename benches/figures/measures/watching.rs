//! Those who watch: what one delivery costs the gate.

use callgate::proto::{
    RecordEventsRequest, WatchPermissionsRequest, watch_permissions_response::Message,
};
use tokio::task::JoinSet;

use crate::{
    children::{constant, gate},
    load::connect,
    measures::{How, Round, micros},
    mix::Mix,
    runtime,
};

const SUBSCRIBERS: usize = 200;
const CONNECTIONS: usize = 10;
/// Customers that give a permission, each one change.
const CHANGES: usize = 500;

/// The same events with and without subscribers; the difference is what they cost.
pub(super) fn deliveries(round: &mut Round) {
    let served = constant(2, &round.answer);
    let per_call = round.ask_constant(&served, How::FULL).cpu;
    drop(served);
    let [without, with] = [0, SUBSCRIBERS].map(|subscribers| cpu(round, subscribers, CHANGES));
    let each = (with - without) / (SUBSCRIBERS * CHANGES) as f64;
    round.add("watch: CPU per delivery", each);
    round.add("watch: CPU per delivery / constant's per call", each / per_call);
}

/// CPU time of the gate in microseconds.
pub(super) fn cpu(round: &mut Round, subscribers: usize, changes: usize) -> f64 {
    let served = gate("memory:", 2, &[]);
    let mix = Mix::new(round.number(), changes, super::calls::now());
    runtime(1).block_on(async {
        let mut connections = Vec::new();
        for _ in 0..=CONNECTIONS {
            connections.push(connect(&served.grpc).await);
        }
        let mut writer = connections.pop().unwrap();
        let mut hearing = JoinSet::new();
        for n in 0..subscribers {
            let mut client = connections[n % CONNECTIONS].clone();
            let request = WatchPermissionsRequest::default();
            let mut stream = client.watch_permissions(request).await.unwrap().into_inner();
            // The first message comes at once: from then on nothing is missed.
            stream.message().await.unwrap();
            hearing.spawn(async move {
                let mut left = changes;
                while left > 0 {
                    let message = stream.message().await.unwrap().unwrap().message.unwrap();
                    left -= usize::from(matches!(message, Message::Change(_)));
                }
            });
        }
        let before = served.process.cpu();
        for customer in 0..changes {
            // The permission alone, without the request: one change.
            let events = vec![mix.events_of(customer, 0).remove(1)];
            writer.record_events(RecordEventsRequest { events }).await.unwrap();
        }
        hearing.join_all().await;
        micros(served.process.cpu() - before)
    })
}
