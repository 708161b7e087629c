//! The gate of this tree beside that of another revision, asked by the same load generator: only the
//! gate differs. In each round one right after the other, and the next time the other way round.

use std::path::Path;

use crate::{
    children::{gate_of, present},
    comparison::Comparison,
    measures::{How, Round, go},
    report::Report,
    server::Server,
};

/// 16,384 questions.
const LOAD: How = How { groups: 1024, ..How::FULL };

/// What one gate did, by the names of the table.
type Measured = Vec<(&'static str, f64)>;

pub(crate) fn compare(rounds: usize, base: &Path) -> Comparison {
    let mut comparison = Comparison::default();
    let mut round =
        Round { report: Report::default(), n: 0, number: 70_000_000, answer: String::new() };
    for n in 0..rounds {
        eprintln!("round {} of {rounds}", n + 1);
        for measure in [in_memory, on_redis] {
            let mut both = [Measured::new(), Measured::new()];
            let order = if n.is_multiple_of(2) { [0, 1] } else { [1, 0] };
            for which in order {
                both[which] = measure(&mut round, [base, present()][which]);
            }
            let [base, now] = both;
            for ((name, base), (_, now)) in std::iter::zip(base, now) {
                comparison.add(name, base, now);
            }
        }
    }
    comparison
}

fn in_memory(round: &mut Round, program: &Path) -> Measured {
    let served = gate_of(program, "memory:", 2, &[]);
    let asked = round.ask(&served, LOAD);
    vec![("memory", asked.seen.per_second()), ("memory: CPU per call", asked.cpu)]
}

fn on_redis(round: &mut Round, program: &Path) -> Measured {
    let mut server = Server::start();
    let served = gate_of(program, &server.url, 2, &[]);
    let generator = round.ready(&served, LOAD, &[]);
    let before = server.scripts();
    let asked = go(generator, &served.process);
    let decision = server.scripts().each_since(before);
    let alone = round.ask(&served, How::ALONE).seen;
    vec![
        ("redis", asked.seen.per_second()),
        ("redis: CPU per call", asked.cpu),
        ("redis time, AuthorizeCall", decision),
        ("redis: p50 of one at a time", alone.p50),
    ]
}
