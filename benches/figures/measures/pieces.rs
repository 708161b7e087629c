//! What a decision in Redis is made of: its pieces, each in a loop of its own.

use callgate::rulebook;

use crate::{measures::Round, server::Server};

const TIMES: usize = 20_000;

/// By figure of the table. The law loads and saves nothing, what it needs is read anew each time.
const PIECES: [(&str, &str); 5] = [
    ("in redis: reading the record", "codec.decode(kept)"),
    ("in redis: that and the law", "rulebook.step(command, profile, NOW, host)"),
    ("in redis: writing the record", "codec.encode(record)"),
    ("in redis: reading the question", "cmsgpack.unpack(packed)"),
    ("in redis: writing the answer", "cmsgpack.pack(rulebook.reply_of(reply))"),
];

pub(super) fn pieces(round: &mut Round) {
    let mut server = Server::start();
    let mut micros = |piece: &str| {
        let before = server.cpu();
        server.eval(&script(piece), TIMES);
        server.cpu() - before
    };
    let nothing = micros("");
    for (name, piece) in PIECES {
        let each = (micros(&format!("local _ = {piece}")) - nothing) / TIMES as f64;
        round.add(name, each);
    }
}

fn script(piece: &str) -> String {
    format!(
        "local rulebook = (function() {}\nreturn rulebook end)()\nlocal codec = (function() {}\nend)()\n{}\n\
         for _ = 1, TIMES do {piece} end",
        rulebook::DEFINITIONS,
        include_str!("../../../src/store/codec.lua"),
        include_str!("pieces.lua"),
    )
}
