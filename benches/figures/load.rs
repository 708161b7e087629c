//! The load generator: prepares its customers, says "ready", waits for a line, asks, and prints what it
//! saw as one line of JSON. Every answer is checked.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use callgate::proto::{
    RecordEventsRequest, call_permission_service_client::CallPermissionServiceClient,
};
use clap::Args;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::UnixStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
};
use tonic::transport::{Channel, Endpoint};

use crate::mix::Mix;

pub(crate) type Client = CallPermissionServiceClient<Channel>;

/// Events that are told together. At most 1000.
const BATCH: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// "127.0.0.1:50051", or "unix:/path".
    #[arg(long)]
    addr: String,
    /// The business number: each run has its own.
    #[arg(long)]
    number: u64,
    /// Groups of customers; 16 questions each.
    #[arg(long)]
    groups: usize,
    /// Questions that are under way at once.
    #[arg(long, default_value_t = 64)]
    streams: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Questions a second, whether answered or not (open loop); unset: each stream asks again when it
    /// has its answer (closed loop).
    #[arg(long)]
    rate: Option<u32>,
    /// Of the groups that the store knows, each so-many-th is asked about.
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// Answered calls of each customer, beside those of the mix.
    #[arg(long, default_value_t = 0)]
    calls: usize,
    /// The store knows the customers already.
    #[arg(long)]
    prepared: bool,
    /// The server knows no customers and answers with a constant: nothing is prepared or checked.
    #[arg(long)]
    constant: bool,
}

/// What was seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) questions: usize,
    pub(crate) allowed: usize,
    pub(crate) errors: usize,
    /// From the first question to the last answer.
    pub(crate) seconds: f64,
    /// Of an answer, in microseconds; in an open loop from the time at which it was to be asked.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// The first answers that were wrong.
    pub(crate) wrong: Vec<String>,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        self.questions as f64 / self.seconds
    }
}

/// One answer.
struct Answer {
    customer: usize,
    took: Duration,
    /// Whether it allows, or why it is wrong; `None`: an error.
    is_allowed: Option<Result<bool, String>>,
}

impl Load {
    pub(crate) fn run(self) {
        crate::runtime(1).block_on(async {
            let mut clients = Vec::new();
            for _ in 0..self.connections {
                clients.push(connect(&self.addr).await);
            }
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let now = i64::try_from(now).unwrap();
            let (step, calls) = (self.step, self.calls);
            let mix = Mix { step, calls, ..Mix::new(self.number, self.groups, now) };
            if !self.constant && !self.prepared {
                prepare(&clients, &mix).await;
            }
            println!("ready");
            std::io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
            let begin = Instant::now();
            let answers = match self.rate {
                Some(rate) => open_loop(&clients, &mix, rate).await,
                None => closed_loop(&clients, &mix, self.streams).await,
            };
            let seen = seen(&mix, begin.elapsed(), answers, !self.constant);
            println!("{}", serde_json::to_string(&seen).unwrap());
        });
    }
}

/// A connection of its own.
pub(crate) async fn connect(addr: &str) -> Client {
    let channel = match addr.strip_prefix("unix:") {
        Some(path) => {
            let path = path.to_owned();
            let connector = tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            Endpoint::from_static("http://localhost").connect_with_connector(connector).await
        }
        None => Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await,
    };
    Client::new(channel.unwrap())
}

/// Tells the gate of the customers.
async fn prepare(clients: &[Client], mix: &Mix) {
    let events: Vec<_> = mix.events().collect();
    let batches: Arc<Vec<Vec<_>>> = Arc::new(events.chunks(BATCH).map(<[_]>::to_vec).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut tellers = JoinSet::new();
    for n in 0..16 {
        let mut client = clients[n % clients.len()].clone();
        let (batches, next) = (Arc::clone(&batches), Arc::clone(&next));
        tellers.spawn(async move {
            while let Some(events) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = RecordEventsRequest { events: events.clone() };
                let answer = client.record_events(request).await.unwrap().into_inner();
                let bad = answer.results.iter().find(|result| !result.error.is_empty());
                assert!(bad.is_none(), "{bad:?}");
            }
        });
    }
    tellers.join_all().await;
}

async fn closed_loop(clients: &[Client], mix: &Mix, streams: usize) -> Vec<Answer> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for n in 0..streams {
        let mut client = clients[n % clients.len()].clone();
        let (next, mix) = (Arc::clone(&next), mix.clone());
        tasks.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= mix.questions() {
                    return answers;
                }
                answers.push(ask(&mut client, &mix, n, Instant::now()).await);
            }
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn open_loop(clients: &[Client], mix: &Mix, rate: u32) -> Vec<Answer> {
    let mut due = paced(mix.questions(), rate);
    let mut tasks = JoinSet::new();
    while let Some((n, due)) = due.recv().await {
        let (mut client, mix) = (clients[n % clients.len()].clone(), mix.clone());
        tasks.spawn(async move { ask(&mut client, &mix, n, due).await });
    }
    tasks.join_all().await
}

/// Each question when it is to be asked. By a thread: the runtime's timers are late by up to 1 ms.
fn paced(questions: usize, rate: u32) -> UnboundedReceiver<(usize, Instant)> {
    let (tx, rx) = unbounded_channel();
    let begin = Instant::now();
    std::thread::spawn(move || {
        for n in 0..questions {
            let due = begin + Duration::from_secs(1) * u32::try_from(n).unwrap() / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            tx.send((n, due)).unwrap();
        }
    });
    rx
}

async fn ask(client: &mut Client, mix: &Mix, n: usize, since: Instant) -> Answer {
    let (request, customer) = mix.question(n);
    let answer = client.authorize_call(request).await;
    let is_allowed = answer.ok().map(|answer| Mix::check(customer, answer.get_ref()));
    Answer { customer, took: since.elapsed(), is_allowed }
}

fn seen(mix: &Mix, took: Duration, answers: Vec<Answer>, is_checked: bool) -> Seen {
    let mut seen =
        Seen { questions: answers.len(), seconds: took.as_secs_f64(), ..Seen::default() };
    let mut allowed = vec![0; mix.customers()];
    let mut times = Vec::new();
    for answer in answers {
        times.push(answer.took);
        match answer.is_allowed {
            Some(Ok(is_allowed)) => allowed[answer.customer] += usize::from(is_allowed),
            Some(Err(why)) if is_checked => seen.wrong.push(why),
            Some(Err(_)) => {}
            None => seen.errors += 1,
        }
    }
    seen.allowed = allowed.iter().sum();
    if is_checked && seen.errors == 0 {
        let is_wrong = |customer: &usize| allowed[*customer] != Mix::allowed(*customer);
        let wrong = (0..mix.customers()).filter(is_wrong);
        let told = wrong.map(|c| format!("customer {c}: allowed {} times", allowed[c]));
        seen.wrong.extend(told);
    }
    seen.wrong.truncate(10);
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 1000].as_secs_f64() * 1e6;
    (seen.p50, seen.p99, seen.max) = (at(500), at(990), at(1000));
    seen
}
