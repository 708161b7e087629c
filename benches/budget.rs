//! By how much answers exceed the store's budget while Redis is well, slow or silent:
//! `cargo bench --bench budget`.
//!
//! One gate with a budget of 50 ms (`store_timeout`), 32 clients that ask whether they may call, one
//! question after the other, over gRPC. Redis answers late (CLIENT PAUSE) by less and by more than the
//! budget, or not at all (SIGSTOP). Gate, store and clients share the machine.

#![allow(clippy::unwrap_used, reason = "a benchmark that unwraps says where it failed")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, Customer, Pair,
    call_permission_service_client::CallPermissionServiceClient,
};
use tokio::{task::JoinSet, time::sleep};

type Client = CallPermissionServiceClient<tonic::transport::Channel>;

const BUDGET: Duration = Duration::from_millis(50);
const CLIENTS: usize = 32;
/// What one trouble lasts.
const TIME: Duration = Duration::from_secs(4);
/// Between two troubles.
const REST: Duration = Duration::from_secs(1);

/// A process that ends with us.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ended {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap().success());
    }
}

#[tokio::main]
async fn main() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .spawn();
    let Ok(server) = server else { return println!("no redis-server in PATH") };
    let server = Ended(server);
    let url = format!("redis://127.0.0.1:{port}");
    let mut admin = connect(&url).await;
    let (_gate, address) = serve(&url);
    let client = Client::connect(format!("http://{address}")).await.unwrap();

    let budget = BUDGET.as_millis();
    println!("budget {budget} ms, {CLIENTS} clients; ms, and by how much the longest exceeds it");
    println!(
        "{:<26} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "redis", "answers", "errors", "p50", "p99", "max", "exceeded"
    );
    show("is well", ask(&client, sleep(TIME)).await);
    for ms in [30_u64, 80] {
        let paused = async {
            let until = Instant::now() + TIME;
            while Instant::now() < until {
                let mut pause = redis::cmd("CLIENT");
                pause.arg("PAUSE").arg(ms).arg("ALL");
                pause.query_async::<()>(&mut admin).await.unwrap();
                sleep(Duration::from_millis(ms + 20)).await;
            }
        };
        show(&format!("late by up to {ms} ms"), ask(&client, paused).await);
        sleep(REST).await;
    }
    server.signal("STOP");
    show("silent", ask(&client, sleep(TIME)).await);
    server.signal("CONT");
    sleep(REST).await;
    show("is well again", ask(&client, sleep(TIME)).await);
}

async fn connect(url: &str) -> redis::aio::MultiplexedConnection {
    loop {
        let client = redis::Client::open(url).unwrap();
        match client.get_multiplexed_async_connection().await {
            Ok(connection) => return connection,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The program itself, and where it listens.
fn serve(store: &str) -> (Ended, String) {
    let budget = format!("{}ms", BUDGET.as_millis());
    let mut gate = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["serve", "--http-addr", "off", "--admin-addr", "off", "--grpc-addr", "127.0.0.1:0"])
        .args(["--store", store, "--store-timeout", &budget, "--log-filter", "off"])
        .env("CALLGATE_META_APP_SECRET", "bench")
        .env("CALLGATE_META_VERIFY_TOKEN", "bench")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(gate.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("grpc="));
    (Ended(gate), address.unwrap().to_owned())
}

/// How long each answer took, and whether it was an error, while `trouble` lasts.
async fn ask(client: &Client, trouble: impl Future) -> Vec<(Duration, bool)> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (mut client, stop) = (client.clone(), Arc::clone(&stop));
        clients.spawn(async move {
            let mut took = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = client.authorize_call(question(n, took.len())).await;
                took.push((asked.elapsed(), answer.is_err()));
            }
            took
        });
    }
    trouble.await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await.concat()
}

/// Nobody has a permission: each is denied, by a step of the store.
fn question(client: usize, n: usize) -> AuthorizeCallRequest {
    let wa_id = format!("1555{client:03}{:04}", n % 1000);
    let customer = Some(Customer { wa_id, user_id: String::new() });
    AuthorizeCallRequest {
        pair: Some(Pair { phone_number_id: "4001".to_owned(), customer }),
        agent: Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() }),
        call_id: format!("c{client}-{n}"),
        ..AuthorizeCallRequest::default()
    }
}

fn show(what: &str, mut took: Vec<(Duration, bool)>) {
    took.sort_unstable();
    let errors = took.iter().filter(|(_, is_error)| *is_error).count();
    let at = |part: usize| took[(took.len() - 1) * part / 1000].0;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what:<26} {:>8} {errors:>8} {:>8.2} {:>8.2} {:>8.2} {:>9.2}",
        took.len(),
        ms(at(500)),
        ms(at(990)),
        ms(at(1000)),
        ms(at(1000).saturating_sub(BUDGET)),
    );
}
