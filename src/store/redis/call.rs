//! One call on an open connection: what is sent, when it counts as answered, and within what time.

use std::borrow::Cow;

use redis::{Cmd, Value, cmd};
use tokio::time::{Instant, timeout_at};

use crate::{
    engine::tally,
    store::redis::{
        admit::Session,
        fault::Fault,
        script::{LIBRARY, Script},
    },
    trace,
};

/// Commands of the server's own, as they are named in metrics and traces.
const OPERATIONS: [&str; 13] = [
    "client",
    "get",
    "hdel",
    "hget",
    "hmget",
    "info",
    "role",
    "smembers",
    "time",
    "xrange",
    "zrangebyscore",
    "zrem",
    "zrevrange",
];

/// What is sent.
#[derive(Debug)]
pub(super) enum Call<'a> {
    /// A command of the server's own.
    Plain(Cmd),
    /// One of ours. The first key says which master.
    Script { script: &'a Script, keys: Vec<String>, args: Vec<Vec<u8>> },
    /// A command of the server's own, to every master.
    Everywhere(Cmd),
}

/// When a call is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// When the server has answered.
    Direct,
    /// When enough replicas have what it wrote as well, where any are waited for. With its spot.
    Kept(usize),
}

/// How a script is called.
#[derive(Debug, Clone, Copy)]
enum Verb {
    /// As a function of the library.
    Fcall,
    /// By its SHA-1.
    EvalSha,
    /// By its text.
    Eval,
}

pub(super) async fn send(
    session: &Session,
    call: &Call<'_>,
    way: Way,
    until: Instant,
) -> std::result::Result<Value, Fault> {
    let begun = Instant::now();
    let answer = async {
        if let Call::Everywhere(command) = call {
            tally::round_trip(call.operation());
            let answers = session.wire.clone().send_to_masters(command).await;
            return answers.map(Value::Array).map_err(Fault::from);
        }
        let verb = call.verb(session);
        match send_once(session, call, verb, way, until).await {
            // After SCRIPT FLUSH, FUNCTION FLUSH or on a new master. EVAL leaves the script where it runs.
            Err(Fault::NoScript) => {
                if let (Verb::Fcall, Some(functions)) = (verb, &session.functions) {
                    functions.load_again(session.wire.clone());
                }
                send_once(session, call, Verb::Eval, way, until).await
            }
            first => first,
        }
    };
    let answer = timeout_at(until, answer).await.unwrap_or_else(|_| {
        let waited = until.saturating_duration_since(begun).as_millis();
        Err(Fault::Late(format!("no answer from the store within {waited} ms")))
    });
    if let Call::Script { script, .. } = call {
        metrics::histogram!("callgate_redis_script_duration_seconds", "script" => script.name)
            .record(begun.elapsed().as_secs_f64());
    }
    answer
}

async fn send_once(
    session: &Session,
    call: &Call<'_>,
    verb: Verb,
    way: Way,
    until: Instant,
) -> std::result::Result<Value, Fault> {
    let operation = call.operation();
    tally::round_trip(operation);
    let trip = trace::trip("redis", operation);
    let answer = match (way, &session.lanes, call.key()) {
        (Way::Kept(spot), Some(lanes), Some(key)) => {
            lanes.send(spot, &key, call.command(verb), until).await
        }
        _ => session.wire.clone().send(&call.command(verb)).await.map_err(Fault::from),
    };
    if let (Some(trip), Err(fault)) = (trip, &answer) {
        trip.failed(fault.kind());
    }
    answer
}

/// A command of the server's own that we send, in lower case.
fn known(command: &[u8]) -> &'static str {
    let all = OPERATIONS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(command));
    all.copied().unwrap_or("other")
}

impl Call<'_> {
    /// The first key: it says which master.
    fn key(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Script { keys, .. } => keys.first().map(|key| key.as_str().into()),
            Self::Plain(command) => match command.args_iter().nth(1) {
                Some(redis::Arg::Simple(key)) => Some(String::from_utf8_lossy(key)),
                _ => None,
            },
            Self::Everywhere(_) => None,
        }
    }

    /// What it is called in metrics and traces: the script, or the server's own command.
    fn operation(&self) -> &'static str {
        match self {
            Self::Script { script, .. } => script.name,
            Self::Plain(command) | Self::Everywhere(command) => match command.args_iter().next() {
                Some(redis::Arg::Simple(name)) => known(name),
                _ => "other",
            },
        }
    }

    /// How a script is called best.
    fn verb(&self, session: &Session) -> Verb {
        match self {
            Self::Script { script, .. } if script.is_in_library && session.functions.is_some() => {
                Verb::Fcall
            }
            _ => Verb::EvalSha,
        }
    }

    fn command(&self, verb: Verb) -> Cmd {
        match self {
            Self::Plain(command) | Self::Everywhere(command) => command.clone(),
            Self::Script { script, keys, args } => {
                let mut command = match verb {
                    Verb::Fcall => cmd("FCALL").arg(LIBRARY.function(script)).to_owned(),
                    Verb::EvalSha => cmd("EVALSHA").arg(&script.sha).to_owned(),
                    Verb::Eval => cmd("EVAL").arg(&script.text).to_owned(),
                };
                command.arg(keys.len()).arg(keys).arg(args);
                command
            }
        }
    }
}
