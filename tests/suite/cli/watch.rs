//! `callgate watch`: what it prints, how it ends, how it goes on.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    ANA, Gate, NUMBER, accept, ago, answered, callgate, code, err, event, minutes, out, run,
};

/// A running `callgate watch`.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(gate: &str, args: &[&str]) -> Self {
        Self::with(callgate(&[&["watch", "--addr", gate], args].concat()))
    }

    fn with(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        match self.lines.recv_timeout(Duration::from_secs(20)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("nothing is printed"),
            Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// The next that is no progress.
    fn change(&self) -> Value {
        loop {
            let message = self.json();
            if message.get("progress").is_none() {
                return message;
            }
        }
    }

    /// Asks for the end: exit code, and what was told on standard error.
    fn end(mut self, signal: &str) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.ended()
    }

    fn ended(&mut self) -> (i32, String) {
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap().code().unwrap(), told)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rejected() -> String {
    event("reject", &ago(minutes(1)), "reply", json!({"response": "PERMISSION_RESPONSE_REJECT"}))
}

fn sent() -> String {
    let request = json!({"request_id": "request-1", "outcome": "REQUEST_OUTCOME_SENT"});
    event("sent", &ago(minutes(90)), "request", request)
}

fn missed(n: u64) -> String {
    let call = json!({"call_id": format!("missed-{n}"), "outcome": "CALL_OUTCOME_UNANSWERED"});
    event(&format!("missed-{n}"), &ago(minutes(40 - n)), "call", call)
}

#[test]
fn a_pipe_gets_a_line_of_json_per_message_and_any_of_them_is_gone_on_from() {
    let gate = Gate::memory();
    let watching = Watching::start(&gate.grpc, &["--number", NUMBER]);
    let first = watching.json();
    assert_eq!(first["progress"], json!({}));
    gate.record(&accept());
    gate.record(&rejected());
    let (granted, revoked) = (watching.json(), watching.json());
    assert_eq!(granted["change"]["cause"], "CHANGE_CAUSE_ACCEPTED");
    assert_eq!(granted["change"]["event_id"], "accept");
    assert_eq!(granted["change"]["permission"]["status"], "PERMISSION_STATUS_GRANTED");
    assert_eq!(revoked["change"]["cause"], "CHANGE_CAUSE_REVOKED");
    let last = revoked["resume_token"].as_str().unwrap();
    let (code, told) = watching.end("-INT");
    assert_eq!(code, 0);
    assert_eq!(told, format!("callgate: to go on from here: --resume '{last}'\n"));

    for (token, expected) in [(&first, &granted), (&granted, &revoked)] {
        let token = token["resume_token"].as_str().unwrap();
        let watching = Watching::start(&gate.grpc, &["--number", NUMBER, "--resume", token]);
        assert_eq!(watching.json(), *expected);
        assert_eq!(watching.end("-TERM").0, 0);
    }
}

#[test]
fn a_person_gets_a_line_per_change() {
    let gate = Gate::memory();
    let text = ["-o", "text", "--progress-interval", "1"];
    let watching = Watching::start(&gate.grpc, &text);
    // A number that nobody watches but who watches all: then it is known that it listens.
    while !gate.get("/metrics").1.contains("callgate_watchers 1") {
        thread::yield_now();
    }
    let story = [
        sent(),
        accept(),
        missed(1),
        missed(2),
        answered(15),
        answered(16),
        answered(17),
        answered(18),
        answered(19),
        rejected(),
    ];
    for line in &story {
        assert_eq!(code(&gate.record(line)), 0);
    }
    let pair = format!("  {NUMBER} -> {ANA}  ");
    for (status, starts, has) in [
        ("PENDING     ", "request sent: was none; waiting for the customer until ", "(in 22 h "),
        ("GRANTED     ", "accepted: was pending; temporary permission until ", "recorded 1 h"),
        ("GRANTED     ", "customer warned: 2 calls missed in a row, ", "4 end the permission"),
        ("GRANTED     ", "limit reached: no call is left; next free ", "(in 23 h"),
        (
            "REVOKED     ",
            "revoked: was granted; the customer took the permission back",
            "; recorded 1 min ",
        ),
    ] {
        let line = watching.line();
        let (at, rest) = line.split_once(&pair).unwrap_or_else(|| panic!("{line}"));
        assert!(at.ends_with(" UTC") && !line.contains('\x1b'), "{line}");
        let means = rest.strip_prefix(&format!("{status}  ")).unwrap_or_else(|| panic!("{line}"));
        assert!(means.starts_with(starts) && means.contains(has), "{line}");
    }
    let (code, told) = watching.end("-INT");
    assert_eq!((code, told.starts_with("callgate: to go on from here: --resume '")), (0, true));
}

#[test]
fn lines_are_coloured_where_that_is_wanted() {
    let gate = Gate::memory();
    gate.record(&accept());
    let pair = format!("{NUMBER}:{ANA}");
    let args = ["watch", "--addr", &gate.grpc, "--pair", &pair, "--snapshot", "-o", "text"];
    let coloured = |args: &[&str]| {
        let watching = Watching::with(callgate(args));
        let line = watching.line();
        assert!(
            line.contains("GRANTED") && line.contains("now: temporary permission until"),
            "{line}"
        );
        line.contains("\x1b[1;32mGRANTED")
    };
    assert!(!coloured(&args), "a pipe is no terminal");
    assert!(coloured(&[&args[..], &["--color", "always"]].concat()));
    assert!(!coloured(&[&args[..], &["--color", "never"]].concat()));
    // `script` gives it a terminal: text is the default there, and it is coloured.
    let binary = env!("CARGO_BIN_EXE_callgate");
    let command = format!("{binary} watch --addr {} --pair {pair} --snapshot", gate.grpc);
    for (no_colour, expected) in [("", true), ("1", false)] {
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("NO_COLOR", no_colour);
        let watching = Watching::with(script);
        let line = watching.line();
        assert!(line.contains("GRANTED"), "{line}");
        assert_eq!(line.contains("\x1b["), expected, "{line}");
    }
}

#[test]
fn a_gate_that_goes_and_comes_back_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    // A port of its own, which nobody else gets meanwhile: most likely.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let start = || Gate::serve_at(&port, &["--store", &store]);
    let gate = start();
    let mut watching = Watching::start(&port, &["--progress-interval", "1"]);
    assert_eq!(watching.json()["progress"], json!({}));
    gate.record(&accept());
    assert_eq!(watching.change()["change"]["event_id"], "accept");

    let (code, log) = gate.terminate();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("still under way"), "{log}");
    let mut told = BufReader::new(watching.child.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("shutting down") && line.ends_with("; reconnecting\n"), "{line}");

    let gate = start();
    line.clear();
    told.read_line(&mut line).unwrap();
    assert_eq!(line, "callgate: reconnected\n");
    gate.record(&rejected());
    assert_eq!(watching.change()["change"]["event_id"], "reject");
    // Killed, and something happens before it is back.
    drop(gate);
    let gate = start();
    gate.record(&event(
        "again",
        &ago(Duration::from_secs(1)),
        "reply",
        json!({"response": "PERMISSION_RESPONSE_ACCEPT"}),
    ));
    assert_eq!(watching.change()["change"]["event_id"], "again");
    watching.child.stderr = Some(told.into_inner());
    let (code, told) = watching.end("-INT");
    assert_eq!(code, 0);
    assert!(told.contains("reconnected"), "{told}");
}

#[test]
fn a_token_that_is_too_old_ends_it_unless_told_otherwise() {
    let gate = Gate::serve(&["--store", "memory:", "--change-log-length", "100"]);
    let watching = Watching::start(&gate.grpc, &["--number", NUMBER]);
    let token = watching.json()["resume_token"].as_str().unwrap().to_owned();
    drop(watching);
    let reply = |n: u64, response: &str| {
        let at = ago(Duration::from_secs(400 - n));
        event(&n.to_string(), &at, "reply", json!({"response": response}))
    };
    let responses = ["PERMISSION_RESPONSE_ACCEPT", "PERMISSION_RESPONSE_REJECT"];
    let lines: Vec<String> = (0..300).map(|n| reply(n, responses[n as usize % 2])).collect();
    assert_eq!(code(&gate.record(&lines.join("\n"))), 0);

    let args = ["watch", "--addr", &gate.grpc, "--number", NUMBER, "--resume", &token];
    let ended = run(&args);
    assert_eq!((code(&ended), out(&ended)), (4, String::new()), "{}", err(&ended));
    assert!(err(&ended).starts_with("callgate: changes were missed: "), "{}", err(&ended));
    assert_eq!(err(&ended).lines().count(), 1);

    let watching = Watching::with(callgate(&[&args[..], &["--skip-gap"]].concat()));
    assert_eq!(watching.json()["progress"], json!({}));
    gate.record(&reply(399, "PERMISSION_RESPONSE_ACCEPT"));
    assert_eq!(watching.change()["change"]["event_id"], "399");
    let (code, told) = watching.end("-INT");
    assert_eq!(code, 0);
    assert!(told.contains("changes were missed") && told.contains("--resume"), "{told}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let gate = Gate::memory();
    let mut child = callgate(&["watch", "--addr", &gate.grpc, "--progress-interval", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((code(&ended), err(&ended)), (0, String::new()));
}

#[test]
fn what_cannot_be_written_is_no_quiet_end() {
    let gate = Gate::memory();
    let watching = Watching::start(&gate.grpc, &[]);
    let token = watching.json()["resume_token"].as_str().unwrap().to_owned();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = callgate(&["watch", "--addr", &gate.grpc, "-o", "json", "--resume", &token])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(code(&ended), 1, "{}", err(&ended));
    let told = err(&ended);
    assert!(told.contains(&format!("--resume '{token}'")), "{told}");
    assert!(told.contains("cannot write what comes: No space left"), "{told}");
}

#[test]
fn what_is_wrong_with_what_was_given_is_said() {
    let gate = Gate::memory();
    let other = Gate::memory();
    let watching = Watching::start(&other.grpc, &[]);
    let foreign = watching.json()["resume_token"].as_str().unwrap().to_owned();
    let made_up = STANDARD.encode("no token");
    for (args, expected, says) in [
        (vec!["--pair", NUMBER], 2, "PHONE_NUMBER_ID:CUSTOMER"),
        (vec!["--snapshot"], 2, "--pair"),
        (vec!["--resume", "!"], 2, "is no token"),
        (vec!["--progress-interval", "301"], 2, "1..=300"),
        (vec!["--number", "+1"], 1, "phone_number_ids[0]: must be 1 to 32 digits"),
        (vec!["--pair", "436666719526789:x"], 1, "pairs[0].customer.wa_id"),
        (vec!["--resume", &made_up], 1, "resume_token: is damaged"),
        (vec!["--resume", &foreign], 1, "another store"),
    ] {
        let ended = run(&[&["watch", "--addr", &gate.grpc], &args[..]].concat());
        assert_eq!(code(&ended), expected, "{args:?}: {}", err(&ended));
        assert!(err(&ended).contains(says), "{args:?}: {}", err(&ended));
        assert_eq!(out(&ended), "");
    }
    let nowhere = run(&["watch", "--addr", "127.0.0.1:1"]);
    assert_eq!(code(&nowhere), 3, "{}", err(&nowhere));
    // By either id.
    let user = format!("{NUMBER}:US.1000");
    let watching = Watching::start(&gate.grpc, &["--pair", &user, "--snapshot"]);
    let snapshot = watching.json();
    assert_eq!(snapshot["snapshot"]["pair"]["customer"]["user_id"], "US.1000");
}
