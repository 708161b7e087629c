//! Other ways to ask: over a Unix socket, and at a fixed rate whether answered or not.

use crate::{
    children::{Served, constant_at, gate},
    measures::{How, Round, go},
    server::Server,
};

/// Questions a second, and the name of that.
const RATES: [(usize, &str); 3] = [(1000, "1000/s"), (4000, "4000/s"), (8000, "8000/s")];

pub(super) fn unix_socket(round: &mut Round) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let (answer, server) = (round.answer.clone(), Server::start());
    let constant = |addr: &str| constant_at(addr, 2, &answer);
    let [tcp, unix] = [constant("127.0.0.1:0"), constant(&path("constant"))];
    ratios(round, "constant", &tcp, &unix, &["--constant"]);
    drop((tcp, unix));
    let gate = |addr: &str| gate(&server.url, 2, &["--grpc-addr", addr]);
    let [tcp, unix] = [gate("127.0.0.1:0"), gate(&path("gate"))];
    ratios(round, "redis", &tcp, &unix, &[]);
}

fn ratios(round: &mut Round, named: &str, tcp: &Served, unix: &Served, more: &[&str]) {
    let (mut rates, mut times) = ([0.0; 2], [0.0; 2]);
    let order = if round.n.is_multiple_of(2) { [0, 1] } else { [1, 0] };
    for which in order {
        let served = [tcp, unix][which];
        let generator = round.ready(served, How::FULL, more);
        rates[which] = go(generator, &served.process).seen.per_second();
        let generator = round.ready(served, How::ALONE, more);
        times[which] = go(generator, &served.process).seen.p50;
    }
    round.add(&format!("{named}: calls/s, Unix socket / TCP"), rates[1] / rates[0]);
    round.add(&format!("{named}: p50 of one at a time, Unix socket / TCP"), times[1] / times[0]);
}

/// Each time from the moment at which the question was to be asked: one that waits for those before
/// it is late, and told so.
pub(super) fn open_loop(round: &mut Round) {
    let server = Server::start();
    let served = gate(&server.url, 2, &[]);
    for (rate, named) in RATES {
        // About 4 s of it; a multiple of 256 groups.
        let how = How { groups: rate / 1000 * 256, ..How::FULL };
        let generator = round.ready(&served, how, &["--rate", &rate.to_string()]);
        let seen = go(generator, &served.process).seen;
        round.add(&format!("redis, {named} in an open loop: p50"), seen.p50);
        round.add(&format!("redis, {named} in an open loop: p99"), seen.p99);
    }
}
