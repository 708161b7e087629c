//! What a figure becomes as there is more: pairs, watchers, calls in the window.

use std::fs;

use callgate::proto::{Event, RecordEventsRequest};
use tokio::task::JoinSet;

use crate::{
    children::{Served, gate},
    load::connect,
    measures::{Asked, How, Round, calls::now, generator, go, watching},
    mix::{CALLS_PER_DAY, CUSTOMERS, Mix, UNKNOWN, wa_id},
    runtime,
    server::Server,
};

const PAIRS: [usize; 4] = [1000, 10_000, 100_000, 1_000_000];
const WATCHERS: [usize; 4] = [1, 10, 100, 1000];
const CALLS: [usize; 3] = [5, 20, 100];
/// Each point is measured so often, afresh.
const TIMES: usize = 3;
/// Groups that are asked about, however many there are: 4096 questions.
const ASKED: usize = 256;
/// Deliveries of one measurement, about.
const DELIVERIES: usize = 50_000;
/// Customers that are told of together.
const BATCH: usize = 200;
/// Tellers at once.
const TELLERS: usize = 8;

pub(super) fn growth(round: &mut Round) {
    for pairs in PAIRS {
        eprintln!("growth: {pairs} pairs");
        for _ in 0..TIMES {
            pairs_on_redis(round, pairs);
        }
        let bytes = bytes_per_pair(round.number(), pairs, 3);
        round.report.grow("pairs", "redis bytes per pair, B", pairs, bytes);
        pairs_in_memory(round, pairs);
    }
    for watchers in WATCHERS {
        eprintln!("growth: {watchers} watchers");
        for _ in 0..TIMES {
            deliveries(round, watchers);
        }
    }
    for calls in CALLS {
        eprintln!("growth: {calls} calls in the window");
        for _ in 0..TIMES {
            calls_on_redis(round, calls);
            calls_in_memory(round, calls);
        }
    }
}

/// Of each group of customers three are pairs; those that are asked about are spread over all.
fn step(pairs: usize) -> usize {
    pairs / (CUSTOMERS - 1) / ASKED
}

fn pairs_on_redis(round: &mut Round, pairs: usize) {
    let mut server = Server::start();
    let served = gate(&server.url, 2, &[]);
    let mix = Mix::new(round.number(), 1, now());
    fill(&mut server, &served, &mix, pairs / (CUSTOMERS - 1));
    let time = redis_time(&mut server, &served, &mix, &["--step", &step(pairs).to_string()]);
    round.report.grow("pairs", "redis time, AuthorizeCall, us", pairs, time);
}

fn calls_on_redis(round: &mut Round, calls: usize) {
    let (directory, profile) = profile(calls);
    let mut server = Server::start();
    let served = gate(&server.url, 2, &["--config", &profile]);
    let more = calls - CALLS_PER_DAY;
    let mix = Mix { calls: more, ..Mix::new(round.number(), 1, now()) };
    fill(&mut server, &served, &mix, ASKED);
    let time = redis_time(&mut server, &served, &mix, &["--calls", &more.to_string()]);
    round.report.grow("calls in the window", "redis time, AuthorizeCall, us", calls, time);
    drop(directory);
}

/// Tells the gate of one group, and copies it until there are so many.
fn fill(server: &mut Server, served: &Served, mix: &Mix, groups: usize) {
    let known: Vec<_> = (0..CUSTOMERS).filter(|customer| *customer != UNKNOWN).collect();
    let (one, calls) = (mix.clone(), mix.calls);
    tell(served, known.clone(), move |customer| one.events_of(customer, calls + customer));
    for customer in known {
        let copies = (1..groups).map(|group| wa_id(group * CUSTOMERS + customer));
        server.copy_pair(mix.number, &wa_id(customer), copies);
    }
}

fn redis_time(server: &mut Server, served: &Served, mix: &Mix, more: &[&str]) -> f64 {
    let how = How { groups: ASKED, ..How::FULL };
    let generator = generator(served, mix.number, how, &[&["--prepared"], more].concat());
    let before = server.scripts();
    go(generator, &served.process);
    server.scripts().each_since(before)
}

/// As `--only bytes`, of pairs that are copies of one.
pub(super) fn bytes_per_pair(number: u64, pairs: usize, calls: usize) -> f64 {
    let mut server = Server::start();
    let served = gate(&server.url, 2, &[]);
    let mix = Mix { calls, ..Mix::new(number, 1, now()) };
    tell(&served, vec![0], move |customer| mix.events_of(customer, calls));
    drop(served);
    let before = server.memory();
    server.copy_pair(number, &wa_id(0), (1..=pairs).map(wa_id));
    (server.memory() - before) / pairs as f64
}

/// Those that are asked about are as in the mix, the others gave a permission.
fn pairs_in_memory(round: &mut Round, pairs: usize) {
    let served = gate("memory:", 2, &[]);
    let (number, step) = (round.number(), step(pairs));
    let all = Mix::new(number, pairs / (CUSTOMERS - 1), now());
    let is_asked = |group: usize| group.is_multiple_of(step) && group / step < ASKED;
    let others = (0..all.customers())
        .filter(|c| c % CUSTOMERS != UNKNOWN && !is_asked(c / CUSTOMERS))
        .collect();
    // The permission alone, without the request.
    tell(&served, others, move |customer| vec![all.events_of(customer, 0).remove(1)]);
    let asked = ask_in_memory(&served, number, ASKED, &["--step", &step.to_string()]);
    round.report.grow("pairs", "memory: CPU per call, us", pairs, asked.cpu);
}

fn calls_in_memory(round: &mut Round, calls: usize) {
    let (directory, profile) = profile(calls);
    let served = gate("memory:", 2, &["--config", &profile]);
    let more = (calls - CALLS_PER_DAY).to_string();
    // A quarter: each customer's calls are told one by one.
    let asked = ask_in_memory(&served, round.number(), ASKED / 4, &["--calls", &more]);
    round.report.grow("calls in the window", "memory: CPU per call, us", calls, asked.cpu);
    drop(directory);
}

fn ask_in_memory(served: &Served, number: u64, groups: usize, more: &[&str]) -> Asked {
    let how = How { groups, ..How::FULL };
    go(generator(served, number, how, more), &served.process)
}

fn deliveries(round: &mut Round, watchers: usize) {
    let changes = (DELIVERIES / watchers).clamp(100, 5000);
    let [without, with] = [0, watchers].map(|watchers| watching::cpu(round, watchers, changes));
    let each = (with - without) / (watchers * changes) as f64;
    round.report.grow("watchers", "memory: CPU per delivery, us", watchers, each);
}

/// The mix's rules, with another number of calls.
fn profile(calls: usize) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("callgate.toml");
    let text = format!(
        "default_profile = \"wide\"\n[profiles.wide]\nextends = \"atom\"\n\
         calls_per_window = {calls}\ncalls_per_permission = 0\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    (directory, file)
}

/// Tells of these customers, some at once.
fn tell<F>(served: &Served, customers: Vec<usize>, events: F)
where
    F: Fn(usize) -> Vec<Event> + Clone + Send + 'static,
{
    let each = customers.len().div_ceil(TELLERS);
    runtime(1).block_on(async {
        let client = connect(&served.grpc).await;
        let mut tellers = JoinSet::new();
        for customers in customers.chunks(each) {
            let (mut client, events) = (client.clone(), events.clone());
            let customers = customers.to_vec();
            tellers.spawn(async move {
                for some in customers.chunks(BATCH) {
                    let events = some.iter().flat_map(|customer| events(*customer)).collect();
                    client.record_events(RecordEventsRequest { events }).await.unwrap();
                }
            });
        }
        tellers.join_all().await;
    });
}
