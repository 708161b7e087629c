//! A gate that nobody asks: what it costs to have one in every pod.

use std::{fs, thread::sleep, time::Duration};

use crate::{children::gate, measures::Round, server::Server};

/// What a gate does once after its start is over by then.
const SETTLED: Duration = Duration::from_secs(2);
const MB: f64 = 1e6;

pub(super) fn idle(round: &mut Round) {
    let server = Server::start();
    // The first one writes what a new store needs; those that follow are what a pod starts.
    drop(gate(&server.url, 2, &[]));
    let served = gate(&server.url, 2, &[]);
    round.add("idle: start to ready on redis", served.start.as_secs_f64() * 1000.0);
    sleep(SETTLED);
    round.add("idle: resident memory", served.process.resident() as f64 / MB);
    if round.n == 0 {
        let size = fs::metadata(env!("CARGO_BIN_EXE_callgate")).unwrap().len();
        round.add("release binary", size as f64 / MB);
    }
}
