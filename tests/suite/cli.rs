//! The real binary: a gate on free ports, asked by the command line.

mod doctor;
mod watch;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use callgate::engine::time::{Clock as _, Millis, WallClock};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::servers::Server;

const NUMBER: &str = "436666719526789";
const ANA: &str = "15550199001";
const SECRET: &str = "hush-hush";

fn callgate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    // Nothing of whoever runs the tests gets in.
    command.env_clear().args(args);
    // Tests that run at once must not meet on the default port.
    command.env("CALLGATE_ADMIN_ADDR", "127.0.0.1:0");
    command
}

fn run(args: &[&str]) -> Output {
    callgate(args).output().unwrap()
}

fn run_with_input(args: &[&str], input: &str) -> Output {
    let mut child = callgate(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A running `callgate serve`, ended when dropped.
pub struct Gate {
    pub child: Child,
    stdout: BufReader<ChildStdout>,
    pub grpc: String,
    pub http: String,
    pub admin: String,
}

impl Gate {
    pub fn memory() -> Self {
        Self::serve(&["--store", "memory:"])
    }

    pub fn serve(args: &[&str]) -> Self {
        Self::serve_at("127.0.0.1:0", args)
    }

    fn serve_at(grpc: &str, args: &[&str]) -> Self {
        let ports = ["serve", "--grpc-addr", grpc, "--http-addr", "127.0.0.1:0"];
        Self::start(callgate(&[&ports, args].concat()))
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .env("CALLGATE_META_APP_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["listening", grpc, http, admin] = words[..] else {
            let mut log = String::new();
            child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            panic!("the gate did not start: {line:?}\n{log}");
        };
        let address = |word: &str| word.split_once('=').unwrap().1.to_owned();
        let (grpc, http, admin) = (address(grpc), address(http), address(admin));
        Self { child, stdout, grpc, http, admin }
    }

    fn ask(&self, args: &[&str]) -> Output {
        run(&[args, &["--addr", &self.grpc]].concat())
    }

    fn record(&self, lines: &str) -> Output {
        run_with_input(&["record", "-", "--addr", &self.grpc], lines)
    }

    /// Asks for an end, in order, and hands over the exit code and the log.
    fn terminate(mut self) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "only the addresses are on standard output");
        (self.child.wait().unwrap().code().unwrap(), log)
    }

    fn get(&self, path: &str) -> (u16, String) {
        web(async move |client| client.get(format!("http://{}{path}", self.admin)))
    }

    fn webhook(&self, body: &Value) -> u16 {
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let url = format!("http://{}/webhooks/meta", self.http);
        web(async move |client| {
            client.post(url).header("x-hub-signature-256", signature).body(body)
        })
        .0
    }
}

/// A runtime of one thread has no other that answers.
#[test]
fn it_answers_on_as_many_threads_as_it_is_told_or_may_use() {
    let workers = |gate: &Gate| {
        let tasks = fs::read_dir(format!("/proc/{}/task", gate.child.id())).unwrap();
        let names =
            tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.trim() == "tokio-rt-worker").count()
    };
    for (told, expected) in [("1", 0), ("3", 3)] {
        let gate = Gate::serve(&["--store", "memory:", "--worker-threads", told]);
        assert_eq!(workers(&gate), expected, "told {told}");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let one = allowed.trim().split([',', '-']).next().unwrap();
    let mut command = Command::new("taskset");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command.args(["-c", one, env!("CARGO_BIN_EXE_callgate"), "serve", "--store", "memory:"]);
    command.args(["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]);
    assert_eq!(workers(&Gate::start(command)), 0, "on one CPU");
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn web(request: impl AsyncFnOnce(reqwest::Client) -> reqwest::RequestBuilder) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let response = request(reqwest::Client::new()).await.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

fn ago(span: Duration) -> String {
    let now = WallClock::default().now();
    let span = u64::try_from(span.as_millis()).unwrap();
    Millis(now.0 - span).utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn event(id: &str, at: &str, fact: &str, what: Value) -> String {
    let pair = json!({"phone_number_id": NUMBER, "customer": {"wa_id": ANA}});
    let mut event = json!({"event_id": id, "occurred_at": at, "pair": pair});
    event[fact] = what;
    event.to_string()
}

fn accept() -> String {
    event("accept", &ago(minutes(60)), "reply", json!({"response": "PERMISSION_RESPONSE_ACCEPT"}))
}

fn answered(n: u64) -> String {
    let call = json!({"call_id": format!("call-{n}"), "outcome": "CALL_OUTCOME_ANSWERED"});
    event(&format!("answered-{n}"), &ago(minutes(50 - n)), "call", call)
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/meta/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_call_is_checked_from_first_to_last() {
    let gate = Gate::memory();
    let check = gate.ask(&["check", NUMBER, ANA]);
    assert_eq!(code(&check), 10, "{}", err(&check));
    let page = out(&check);
    assert!(page.starts_with("DENY (never asked): "), "{page}");
    assert!(page.contains(&format!("pair        {NUMBER} -> {ANA}")), "{page}");
    assert!(page.contains("next step   send a permission request"), "{page}");
    assert!(page.contains("calls in window       0 of 5 taken in 24 h"), "{page}");
    assert!(page.contains("requests per week     0 of 2 taken in 7 d"), "{page}");

    let accept = accept();
    let recorded = gate.record(&accept);
    assert_eq!(
        (code(&recorded), out(&recorded)),
        (0, "recorded 1, duplicate 0, stale 0, invalid 0\n".into())
    );
    let recorded = gate.record(&accept);
    assert_eq!(out(&recorded), "recorded 0, duplicate 1, stale 0, invalid 0\n");
    let check = gate.ask(&["check", NUMBER, "+15550199001"]);
    assert_eq!(code(&check), 0);
    assert!(out(&check).starts_with("ALLOW (temporary permission): "), "{}", out(&check));

    let check = gate.ask(&["check", NUMBER, ANA, "-o", "json"]);
    let json: Value = serde_json::from_str(&out(&check)).unwrap();
    assert_eq!(json["check"]["decision"], "DECISION_ALLOW");
    assert_eq!(json["permission"]["pair"]["customer"]["wa_id"], ANA);
    assert_eq!(json["permission"]["quotas"][0]["limit"], 5);

    let check = gate.ask(&["check", NUMBER, "US.1000"]);
    assert_eq!(code(&check), 10, "{}", err(&check));
    assert!(out(&check).contains("-> US.1000"), "{}", out(&check));

    for (customer, verdict) in [(ANA, "ALLOW"), ("US.1000", "DENY")] {
        let check = gate.ask(&["check", NUMBER, customer, "--exit-zero"]);
        assert_eq!(code(&check), 0, "any answer will do: {}", err(&check));
        assert!(out(&check).starts_with(verdict), "{}", out(&check));
    }
}

#[test]
fn no_answer_has_an_exit_code_of_its_own() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = port.local_addr().unwrap().to_string();
    drop(port);
    for verb in ["check", "inspect"] {
        let asked = run(&[verb, NUMBER, ANA, "--addr", &addr]);
        assert_eq!(code(&asked), 3);
        assert!(
            err(&asked).starts_with(&format!("callgate: no answer: {addr}: ")),
            "{}",
            err(&asked)
        );
    }
    assert_eq!(code(&run(&["check", NUMBER, ANA, "--exit-zero", "--addr", &addr])), 3);
    let asked = callgate(&["health"]).env("CALLGATE_ADDR", &addr).output().unwrap();
    assert_eq!(code(&asked), 3, "the variable names the gate");

    let gate = Gate::memory();
    let asked = gate.ask(&["check", "no-number", ANA]);
    assert_eq!(code(&asked), 3);
    assert!(
        err(&asked).contains("InvalidArgument") || err(&asked).contains("phone_number_id"),
        "{}",
        err(&asked)
    );
    assert_eq!(code(&run(&["check", NUMBER, ANA, "--addr", "https://127.0.0.1:1"])), 3);
    assert_eq!(code(&run(&["check", NUMBER])), 2, "usage");
}

#[test]
fn inspect_shows_every_counted_call_and_when_it_frees() {
    let gate = Gate::memory();
    let lines: Vec<String> = std::iter::once(accept()).chain((1..=5).map(answered)).collect();
    let recorded = gate.record(&lines.join("\n"));
    assert_eq!(
        out(&recorded),
        "recorded 6, duplicate 0, stale 0, invalid 0\n",
        "{}",
        err(&recorded)
    );

    let page = out(&gate.ask(&["inspect", NUMBER, ANA]));
    assert!(page.starts_with("DENY (call window limit): "), "{page}");
    assert!(page.contains("calls in window       5 of 5 taken in 24 h; next free "), "{page}");
    for n in 1..=5 {
        let line = page.lines().find(|line| line.contains(&format!("call-{n}  counted"))).unwrap();
        assert!(line.contains("; frees 2") && line.contains("(in 23 h"), "{line}");
    }
    assert!(page.contains("business number\n  id                    436666719526789\n"), "{page}");
    assert!(page.contains("not paused"), "{page}");
    assert!(page.contains("misses in a row      0 (the customer is warned at 2"), "{page}");

    let json = out(&gate.ask(&["inspect", NUMBER, ANA, "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["permission"]["quotas"][0]["entries"].as_array().unwrap().len(), 5);
    assert_eq!(json["business_number"]["profile"], "atom");
    assert_eq!(json["check"]["reason"], "REASON_CALL_WINDOW_LIMIT");

    let before = ago(minutes(55));
    let page = out(&gate.ask(&["inspect", NUMBER, ANA, "--at", &before]));
    assert!(page.contains("calls in window       0 of 5 taken"), "{page}");
    let verdict = "as of then, by all facts known now: ALLOW (temporary permission): ";
    assert!(page.starts_with(verdict), "{page}");
    let page = out(&gate.ask(&["inspect", NUMBER, ANA, "--as-of", &ago(minutes(65))]));
    assert!(page.contains(": DENY (never asked): "), "{page}");

    let too_early = gate.ask(&["inspect", NUMBER, ANA, "--at", &ago(minutes(9 * 24 * 60))]);
    assert_eq!(code(&too_early), 1);
    assert!(err(&too_early).contains("is older than the horizon"), "{}", err(&too_early));
}

#[test]
fn record_names_the_lines_that_are_wrong_and_records_the_rest() {
    let gate = Gate::memory();
    let unknown = event("x", &ago(minutes(3)), "reply", json!({"responze": 1}));
    let no_fact = event("y", &ago(minutes(3)), "call", json!({"outcome": "CALL_OUTCOME_ANSWERED"}));
    let lines = [accept(), String::new(), "{not json".into(), unknown, no_fact, answered(1)];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    let recorded = gate.ask(&["record", path.to_str().unwrap()]);
    assert_eq!(code(&recorded), 1);
    assert_eq!(out(&recorded), "recorded 2, duplicate 0, stale 0, invalid 3\n");
    let told = err(&recorded);
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 3: "), "{told:?}");
    assert!(told[1].starts_with("line 4: ") && told[1].contains("responze"), "{told:?}");
    assert!(told[2].starts_with("line 5: ") && told[2].contains("call"), "{told:?}");

    let many: Vec<String> = (0..1201).map(|_| accept()).collect();
    let recorded =
        run_with_input(&["record", "--addr", &gate.grpc, "-o", "json"], &many.join("\n"));
    let json: Value = serde_json::from_str(&out(&recorded)).unwrap();
    // Each is at a time of its own, or the same: all were taken in, in several batches.
    let sum: u64 = json.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((sum, json["invalid"].as_u64()), (1201, Some(0)));
    assert_eq!(code(&gate.ask(&["record", "/nowhere/events.jsonl"])), 1);
}

#[test]
fn the_admin_port_has_probes_and_metrics() {
    let gate = Gate::memory();
    assert_eq!(gate.get("/livez"), (200, "ok\n".into()));
    assert_eq!(gate.get("/readyz"), (200, "ready\n".into()));
    gate.ask(&["check", NUMBER, ANA]);
    let (status, metrics) = gate.get("/metrics");
    assert_eq!(status, 200);
    let line = r#"callgate_decisions_total{decision="deny",reason="never_asked",mode="check",agent_kind="none",channel="whatsapp"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("callgate_build_info{version=\"0.1.0\",rulebook=\""), "{metrics}");
    assert!(!metrics.contains(ANA), "{metrics}");
}

#[test]
fn the_gate_ends_in_order() {
    let gate = Gate::memory();
    let health = gate.ask(&["health"]);
    assert_eq!((code(&health), out(&health)), (0, "SERVING\n".into()));
    let one = gate.ask(&["health", "--service", "callgate.v1.CallPermissionService"]);
    assert_eq!(out(&one), "SERVING\n");
    let (code, log) = gate.terminate();
    assert_eq!(code, 0, "{log}");
    let messages: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].to_string())
        .collect();
    for message in ["serving", "draining", "stopped"] {
        assert!(messages.contains(&format!("\"{message}\"")), "{log}");
    }
}

#[test]
fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let addr = format!("unix:{}", dir.path().join("gate.sock").display());
    let gate = Gate::serve(&["--store", "memory:", "--log-format", "text"]);
    drop(gate);
    let mut child = callgate(&["serve", "--grpc-addr", &addr, "--http-addr", "127.0.0.1:0"])
        .env("CALLGATE_STORE", "memory:")
        .env("CALLGATE_ADMIN_ADDR", "off")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with(&format!("listening grpc={addr} http=127.0.0.1:")), "{line}");
    let check = run(&["check", NUMBER, ANA, "--addr", &addr]);
    assert_eq!(code(&check), 10, "{}", err(&check));
    assert_eq!(out(&run(&["health", "--addr", &addr])), "SERVING\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn every_decision_leaves_one_line_without_the_customers_number() {
    let gate = Gate::memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use callgate::proto as pb;
        let mut client = pb::call_permission_service_client::CallPermissionServiceClient::connect(
            format!("http://{}", gate.grpc),
        )
        .await
        .unwrap();
        let customer = pb::Customer { wa_id: ANA.into(), user_id: String::new() };
        client
            .authorize_call(pb::AuthorizeCallRequest {
                pair: Some(pb::Pair { phone_number_id: NUMBER.into(), customer: Some(customer) }),
                agent: Some(pb::Agent {
                    kind: pb::AgentKind::VoiceAgent.into(),
                    id: "bot:1".into(),
                }),
                call_id: "attempt-1".into(),
                ..pb::AuthorizeCallRequest::default()
            })
            .await
            .unwrap();
    });
    // Its connection would be waited for.
    drop(runtime);
    let (_, metrics) = gate.get("/metrics");
    assert!(metrics.contains(r#"mode="call""#), "{metrics}");
    let (_, log) = gate.terminate();
    assert!(!log.contains(ANA), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let decisions: Vec<Value> =
        lines.filter(|line| line["target"] == "callgate::decision").collect();
    assert_eq!(decisions.len(), 1, "{log}");
    let line = &decisions[0];
    assert_eq!(line["id"], "attempt-1");
    assert_eq!((&line["decision"], &line["reason"]), (&json!("deny"), &json!("never_asked")));
    assert_eq!((&line["agent_kind"], &line["agent"]), (&json!("voice_agent"), &json!("bot:1")));
    assert_eq!(line["customer"], "…9001");
}

#[test]
fn config_check_shows_what_is_in_effect_or_all_that_is_wrong() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/callgate.toml");
    let checked = callgate(&["config", "check", "--config", example, "--profile", "meta"])
        .env("CALLGATE_STORE", "redis://gate:hunter2@10.0.0.1")
        .env("CALLGATE_META_APP_SECRET", "alpha,beta")
        .env("CALLGATE_META_VERIFY_TOKEN", "gamma")
        .output()
        .unwrap();
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    let page = out(&checked);
    assert!(page.contains("store = \"redis://gate:****@10.0.0.1\"  # CALLGATE_STORE\n"), "{page}");
    assert!(page.contains("default_profile = \"meta\"  # --profile\n"), "{page}");
    assert!(page.contains("# app secret: 2 are set (****)\n"), "{page}");
    assert!(page.contains("[profiles.careful]\n") && page.contains("lease = \"1m\"\n"), "{page}");
    for secret in ["hunter2", "alpha", "beta", "gamma"] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    fs::write(&path, "strore = \"memory:\"\nhttp_addr = 1\n").unwrap();
    for verb in [&["config", "check"][..], &["serve"]] {
        let path = path.to_str().unwrap();
        let checked = run(&[verb, &["--config", path, "--store-timeout", "1h"]].concat());
        assert_eq!(code(&checked), 1);
        let told = err(&checked);
        assert!(
            told.contains(&format!("{path}:1: unknown key `strore`; did you mean `store`?")),
            "{told}"
        );
        assert!(told.contains(&format!("{path}:2: http_addr = 1: must be a string")), "{told}");
        assert!(
            told.contains("--store-timeout: store_timeout = \"1h\": must be from 1ms to 10s"),
            "{told}"
        );
    }
}

#[test]
fn a_profile_of_ones_own_judges() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callgate.toml");
    let toml =
        "default_profile = \"mine\"\n[profiles.mine]\ncalls_per_window = 2\ncall_window = \"2h\"\n";
    fs::write(&path, toml).unwrap();
    let gate = Gate::serve(&["--store", "memory:", "--config", path.to_str().unwrap()]);
    let lines = [accept(), answered(1), answered(2)].join("\n");
    gate.record(&lines);
    let check = gate.ask(&["check", NUMBER, ANA]);
    assert_eq!(code(&check), 10);
    let page = out(&check);
    assert!(page.contains("profile     mine\n"), "{page}");
    assert!(page.contains("calls in window       2 of 2 taken in 2 h; next free "), "{page}");
}

#[test]
fn a_webhook_that_is_not_understood_is_listed_shown_and_tried_again() {
    let gate = Gate::memory();
    assert_eq!(gate.webhook(&fixture("64_edge_garbage_expiration.json")), 200);
    let listed = out(&gate.ask(&["quarantine", "list"]));
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let id = listed.split_whitespace().next().unwrap();
    let shown = out(&gate.ask(&["quarantine", "show", id]));
    assert!(shown.contains("\"value\": {"), "{shown}");
    for which in [id, "--all"] {
        let tried = gate.ask(&["quarantine", "retry", which]);
        assert_eq!(code(&tried), 1, "{}", err(&tried));
        assert!(out(&tried).ends_with("0 understood, 1 not\n"), "{}", out(&tried));
    }
    let json = out(&gate.ask(&["quarantine", "list", "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["webhooks"][0]["id"], id);
    assert_eq!(code(&gate.ask(&["quarantine", "show", "nonesuch"])), 3);
}

#[test]
fn the_embedded_store_outlives_the_process_and_belongs_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().join("data").display());
    let gate = Gate::serve(&["--store", &store]);
    gate.record(&accept());
    let ports = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
    let second = run(&[&["serve", "--store", &store], &ports[..]].concat());
    assert_eq!(code(&second), 1);
    assert!(err(&second).contains(&format!("cannot use the store {store}")), "{}", err(&second));
    // Killed, not ended.
    drop(gate);
    let gate = Gate::serve(&["--store", &store]);
    assert_eq!(code(&gate.ask(&["check", NUMBER, ANA])), 0);
    assert_eq!(gate.terminate().0, 0);
}

#[test]
fn a_redis_that_is_away_at_the_start_is_found_later() {
    let mut redis = Server::redis7();
    redis.kill();
    let gate = Gate::serve(&["--store", redis.url()]);
    let check = gate.ask(&["check", NUMBER, ANA]);
    assert_eq!(code(&check), 3);
    // It lives, and nobody is sent to it: so far this may as well be a wrong address.
    assert_eq!(gate.get("/livez"), (200, "ok\n".into()));
    assert_eq!(gate.get("/readyz"), (503, "starting: the store was not reached yet\n".into()));
    let health = gate.ask(&["health"]);
    assert_eq!((code(&health), out(&health)), (1, "NOT_SERVING\n".into()));
    assert_eq!(gate.webhook(&fixture("01_reply_accept_temporary.json")), 503);
    redis.restart();
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let check = gate.ask(&["check", NUMBER, ANA]);
        if code(&check) == 10 {
            break;
        }
        assert!(Instant::now() < patience, "{}", err(&check));
    }
    let until = |state: (u16, &str)| {
        while gate.get("/readyz") != (state.0, state.1.into()) {
            assert!(Instant::now() < patience, "{:?}", gate.get("/readyz"));
        }
    };
    until((200, "ready\n"));
    assert_eq!(out(&gate.ask(&["health"])), "SERVING\n");
    // From now on a store that goes away takes no gate out of service.
    redis.kill();
    until((200, "ready, degraded: the store is away\n"));
    assert_eq!(out(&gate.ask(&["health"])), "SERVING\n");
    assert!(gate.get("/metrics").1.contains("\ncallgate_store_up 0\n"));
    redis.restart();
    until((200, "ready\n"));
    assert_eq!(gate.terminate().0, 0);
}

#[test]
fn a_redis_that_must_not_be_used_ends_the_start() {
    let redis = Server::with(&["maxmemory-policy allkeys-lru"]);
    let served = run(&[
        "serve",
        "--grpc-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
        "--store",
        redis.url(),
    ]);
    assert_eq!(code(&served), 1);
    assert!(err(&served).contains("maxmemory-policy"), "{}", err(&served));
}

#[test]
fn version_and_decode_need_no_gate() {
    let version = out(&run(&["version"]));
    assert_eq!(version, format!("callgate 0.1.0, rulebook {}\n", callgate::rulebook::sha()));
    // A number that is known as "1555" and nothing else.
    let hex = format!("01a431353535{}", "00".repeat(10));
    let decoded: Value =
        serde_json::from_str(&out(&run(&["decode", "--kind", "number", &hex]))).unwrap();
    assert_eq!(decoded["display"], "1555");
    let base64 = "AaQxNTU1AAAAAAAAAAAAAA==";
    let decoded = out(&run_with_input(&["decode", "--kind", "number", "-"], base64));
    assert_eq!(serde_json::from_str::<Value>(&decoded).unwrap()["display"], "1555");
    assert_eq!(code(&run(&["decode", "zz!"])), 1);
    assert_eq!(code(&run(&["decode", "01"])), 1);
}

#[test]
fn every_help_has_an_example() {
    let verbs: &[&[&str]] = &[
        &[],
        &["serve"],
        &["check"],
        &["inspect"],
        &["record"],
        &["watch"],
        &["quarantine"],
        &["quarantine", "list"],
        &["quarantine", "show"],
        &["quarantine", "retry"],
        &["config", "check"],
        &["config", "show"],
        &["config", "reference"],
        &["health"],
        &["token"],
        &["version"],
        &["decode"],
    ];
    for verb in verbs {
        let help = run(&[verb, &["--help"][..]].concat());
        assert_eq!(code(&help), 0);
        assert!(out(&help).contains("Example"), "{verb:?}: {}", out(&help));
        assert!(!out(&help).contains('\u{1b}'), "{verb:?} has colours in a pipe");
    }
    let help = out(&run(&["serve", "--help"]));
    for key in callgate::config::keys::KEYS.iter().filter(|key| key.has_flag) {
        assert!(help.contains(&format!("--{} <VALUE>", key.name)), "{}: {help}", key.name);
    }
}
