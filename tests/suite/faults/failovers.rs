//! What a failover loses, counted: calls that were allowed and rejections that were acknowledged, and
//! are not known to the new master. Each is of a customer of its own, so that each is found or not.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use callgate::{
    engine::{
        Error,
        fact::{Fact, Reply as PermissionReply},
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        store::Store as _,
        time::Millis,
    },
    store::redis::{Options, RedisStore, Target, Wait},
};
use redis::cmd;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::servers::{Cluster, Server, wait, wait_within};

/// Gates at work, and what each has under way.
const GATES: usize = 2;
const AT_ONCE: usize = 12;
/// Finding a new master, or the verification, takes no longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the master is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its process is killed.
    Killed,
    /// It goes on serving those who are connected, and nobody else hears of it: a split network.
    CutOff,
}

/// What was acknowledged, and how much of it the new master does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) allows: usize,
    pub(super) of_allows: usize,
    pub(super) rejects: usize,
    pub(super) of_rejects: usize,
}

impl Lost {
    pub(super) fn add(&mut self, other: Self) {
        self.allows += other.allows;
        self.of_allows += other.of_allows;
        self.rejects += other.rejects;
        self.of_rejects += other.of_rejects;
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allows, of_allows, rejects, of_rejects } = self;
        write!(f, "lost {allows} of {of_allows} ALLOWs, {rejects} of {of_rejects} REJECTs")
    }
}

/// What was acknowledged so far.
#[derive(Debug, Default)]
struct Acknowledged {
    allows: Mutex<Vec<u64>>,
    rejects: Mutex<Vec<(u64, Millis)>>,
}

async fn store(url: &str, deadline: Duration, is_waiting: bool) -> RedisStore {
    let timeout = Duration::from_millis(200);
    let options = Options {
        call_deadline: deadline,
        connect_deadline: Duration::from_secs(5),
        wait: is_waiting.then_some(Wait { replicas: 1, timeout }),
        ..Options::default()
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match RedisStore::open(Target::parse(url).unwrap(), options.clone()).await {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn pair(n: u64) -> Pair {
    Pair::parse(&format!("40{:02}", n % 20), &format!("1555{n:07}"), "", "pair").unwrap()
}

fn reply(at: Millis, accept: bool) -> Command {
    let reply = PermissionReply {
        accept,
        permanent: accept,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    let fact = Fact::Reply(reply);
    Command::Record { at, spelled: String::new(), event_id: String::new(), fact }
}

fn authorize() -> Command {
    Command::AuthorizeCall { own_id: "only".to_owned(), lease: 3_600_000 }
}

async fn apply(store: &RedisStore, n: u64, command: Command) -> Result<Reply, Error> {
    let (pair, profile) = (pair(n), Profile::atom());
    store.apply(Step { pair: &pair, command, profile: &profile, now: Millis::ZERO }).await
}

const ALLOW: u8 = 1;
const RECORDED: u8 = 1;

/// Customers accept and are called, or reject, one after the other.
async fn work(store: Arc<RedisStore>, worker: u64, done: Arc<Acknowledged>, stop: Arc<AtomicBool>) {
    let mut n = worker * 100_000;
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        let Ok(now) = store.now().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        if n.is_multiple_of(2) {
            if apply(&store, n, reply(now, false)).await.is_ok() {
                done.rejects.lock().unwrap().push((n, now));
            }
        } else if apply(&store, n, reply(now, true)).await.is_ok()
            && let Ok(answer) = apply(&store, n, authorize()).await
            && answer.decision == ALLOW
        {
            done.allows.lock().unwrap().push(n);
        }
    }
}

/// Asks and tells everything once more. An attempt that is not held is allowed anew or denied, an
/// event that is not known is recorded.
async fn verify(store: &Arc<RedisStore>, done: &Acknowledged) -> Lost {
    let allows = done.allows.lock().unwrap().clone();
    let rejects = done.rejects.lock().unwrap().clone();
    let mut lost = Lost { of_allows: allows.len(), of_rejects: rejects.len(), ..Lost::default() };
    let mut steps: Vec<(bool, u64, Command)> =
        allows.into_iter().map(|n| (true, n, authorize())).collect();
    steps.extend(rejects.into_iter().map(|(n, at)| (false, n, reply(at, false))));
    let mut tasks = JoinSet::new();
    for chunk in steps.chunks(steps.len().div_ceil(AT_ONCE).max(1)) {
        let (chunk, store) = (chunk.to_vec(), Arc::clone(store));
        tasks.spawn(async move {
            let (mut allows, mut rejects) = (0, 0);
            for (is_call, n, command) in chunk {
                let answer = answered(&store, n, &command).await;
                if is_call {
                    allows += usize::from(answer.replayed == 0);
                } else {
                    rejects += usize::from(answer.result == RECORDED);
                }
            }
            (allows, rejects)
        });
    }
    for (allows, rejects) in tasks.join_all().await {
        lost.allows += allows;
        lost.rejects += rejects;
    }
    lost
}

/// An answer that is there at last: without waiting, since nothing may be lost by now.
async fn answered(store: &RedisStore, n: u64, command: &Command) -> Reply {
    let until = Instant::now() + PATIENCE;
    loop {
        match apply(store, n, command.clone()).await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

/// A master, its replica and a sentinel; work; the master is lost, the replica promoted.
pub(super) async fn once(loss: Loss, is_waiting: bool) -> Lost {
    let (mut master, replica) = Server::with_replica();
    let sentinel = Server::sentinel_of(&master);
    let mut watcher = sentinel.client();
    wait(|| {
        let known: Vec<redis::Value> =
            cmd("SENTINEL").arg("replicas").arg("mymaster").query(&mut watcher).unwrap();
        !known.is_empty()
    });
    let work = Work::start(sentinel.url(), is_waiting).await;
    match loss {
        Loss::Killed => master.kill(),
        Loss::CutOff => cut_off(&master, &replica, &sentinel),
    }
    wait(|| replica.role() == "master");
    // Those who are still on the old master, if it lives, have to find out.
    let rest = if loss == Loss::CutOff { 3000 } else { 1500 };
    let done = work.stop_after(Duration::from_millis(rest)).await;
    lost_of(&format!("redis://127.0.0.1:{}", replica.port()), &done).await
}

/// A cluster whose masters have a replica each; work; one master is killed, its replica promoted.
/// What is counted is of all three: the other two lose nothing.
pub(super) async fn once_in_a_cluster(is_waiting: bool) -> Lost {
    let mut cluster = Cluster::start();
    let replicas = [0, 1, 2].map(|master| cluster.replica_of(master));
    let work = Work::start(cluster.url(), is_waiting).await;
    cluster.nodes[0].kill();
    wait(|| replicas[0].role() == "master");
    let done = work.stop_after(Duration::from_millis(1500)).await;
    lost_of(cluster.url(), &done).await
}

/// Gates and their clients at work.
struct Work {
    done: Arc<Acknowledged>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Work {
    /// Returns when they have worked for a while.
    async fn start(url: &str, is_waiting: bool) -> Self {
        let (done, stop) = (Arc::new(Acknowledged::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for gate in 0..GATES {
            let store = Arc::new(store(url, Duration::from_millis(200), is_waiting).await);
            for n in 0..AT_ONCE {
                let worker = u64::try_from(gate * AT_ONCE + n).unwrap();
                tasks.spawn(work(Arc::clone(&store), worker, Arc::clone(&done), Arc::clone(&stop)));
            }
        }
        sleep(Duration::from_millis(500)).await;
        Self { done, stop, tasks }
    }

    async fn stop_after(self, rest: Duration) -> Arc<Acknowledged> {
        sleep(rest).await;
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        self.done
    }
}

async fn lost_of(url: &str, done: &Acknowledged) -> Lost {
    let patient = Arc::new(store(url, Duration::from_secs(10), false).await);
    verify(&patient, done).await
}

/// The replica hears nothing more of its master, nor the master of it; the sentinel promotes the
/// replica. Clients of the old master notice nothing.
fn cut_off(master: &Server, replica: &Server, sentinel: &Server) {
    let mut watcher = sentinel.client();
    // Once is not enough on a busy machine: a sentinel that was kept waiting stands still for 30 s, and a
    // failover that took too long is given up. While one is under way, another is refused.
    wait_within(Duration::from_secs(120), || {
        let _ = cmd("SENTINEL").arg("failover").arg("mymaster").query::<()>(&mut watcher);
        replica.role() == "master"
    });
    assert_eq!(master.role(), "master", "nobody has told it yet");
}
