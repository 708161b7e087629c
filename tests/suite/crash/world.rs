//! A gate on a directory, killed and started again under the feet of its clients.

use std::{
    fs,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use callgate::proto::{
    call_permission_service_client::CallPermissionServiceClient,
    quarantine_service_client::QuarantineServiceClient,
};
use tempfile::TempDir;
use tokio::task::{JoinSet, LocalSet};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{check, client::Client, ledger::Seen};
use crate::{
    support::{process::Process, tally},
    twins::Dice,
};

/// Business numbers of the world: several partitions.
pub(super) const NUMBERS: [&str; 3] = ["4001", "4002", "4003"];
/// Nothing that is worth a wait takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: u64 = 10;

/// Where the gate listens now.
#[derive(Debug, Clone, Default)]
struct Address {
    grpc: String,
    http: String,
}

pub(super) struct World {
    directory: TempDir,
    store: PathBuf,
    arguments: Vec<String>,
    gate: Mutex<Option<Process>>,
    address: Mutex<Address>,
    /// How often it was started.
    pub(super) starts: AtomicUsize,
    pub(super) stop: AtomicBool,
}

/// Limits that are met now and then, and no time that tells.
const RULES: &str = "default_profile = \"crash\"\n[profiles.crash]\nextends = \"atom\"\n\
    calls_per_window = 8\ncalls_per_permission = 0\nrequests_per_day = 8\nrequests_per_week = 8\n\
    request_ends_permission = false\nunanswered_warns_at = 99\nunanswered_revokes_at = 100\n\
    lease = \"1h\"\n";
/// See [`RULES`].
pub(super) const LIMIT: usize = 8;

impl World {
    pub(super) fn start(durability: &str) -> Arc<Self> {
        let directory = TempDir::new().unwrap();
        let store = directory.path().join("store");
        Self::start_on(store, directory, durability)
    }

    /// On this directory.
    pub(super) fn start_on(store: PathBuf, directory: TempDir, durability: &str) -> Arc<Self> {
        let config = directory.path().join("crash.toml");
        fs::write(&config, RULES).unwrap();
        let arguments = ["--config", config.to_str().unwrap(), "--embedded-durability", durability];
        let world = Arc::new(Self {
            arguments: arguments.map(ToOwned::to_owned).to_vec(),
            directory,
            store,
            gate: Mutex::default(),
            address: Mutex::default(),
            starts: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        world.restart();
        world
    }

    pub(super) fn store(&self) -> PathBuf {
        self.store.clone()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Starts a gate where there is none.
    pub(super) fn restart(&self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let store = format!("embedded:{}", self.store().display());
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let gate = Process::serve_with(&store, "127.0.0.1:0", &arguments, |command| {
            command.stderr(log);
        });
        *self.address.lock().unwrap() =
            Address { grpc: gate.grpc.clone(), http: gate.http.clone() };
        *self.gate.lock().unwrap() = Some(gate);
        self.starts.fetch_add(1, Ordering::SeqCst);
    }

    /// As [`World::restart`], while others go on.
    pub(super) async fn restart_beside(self: &Arc<Self>) {
        let world = Arc::clone(self);
        tokio::task::spawn_blocking(move || world.restart()).await.unwrap();
    }

    /// Waits until the gate ends by itself.
    pub(super) fn ended(&self) -> ExitStatus {
        let mut gate = self.gate.lock().unwrap().take().unwrap();
        gate.ended()
    }

    /// As SIGKILL does.
    pub(super) fn kill(&self) {
        if let Some(mut gate) = self.gate.lock().unwrap().take() {
            gate.kill();
        }
    }

    pub(super) fn http(&self) -> String {
        self.address.lock().unwrap().http.clone()
    }

    fn channel(&self) -> Channel {
        let address = self.address.lock().unwrap().grpc.clone();
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
    }

    pub(super) fn calls(&self) -> CallPermissionServiceClient<Channel> {
        CallPermissionServiceClient::new(self.channel())
    }

    pub(super) fn quarantine(&self) -> QuarantineServiceClient<Channel> {
        QuarantineServiceClient::new(self.channel())
    }
}

/// Clients at work, each a task of this thread. What they end with are those who were forgotten.
pub(super) struct Clients(JoinSet<Vec<String>>);

impl Clients {
    pub(super) fn start(world: &Arc<World>, seen: &Arc<Seen>, count: u64, dice: &mut Dice) -> Self {
        let mut clients = JoinSet::new();
        for n in 0..count {
            let client = Client::new(world, seen, n, Dice(dice.below(u64::MAX)));
            clients.spawn_local(client.live());
        }
        Self(clients)
    }

    /// Lets them end, and looks at what the gate keeps in quarantine.
    ///
    /// # Panics
    /// One found something wrong.
    pub(super) async fn stop(mut self, world: &Arc<World>, seen: &Arc<Seen>) -> Vec<String> {
        world.stop.store(true, Ordering::SeqCst);
        let mut forgotten = Vec::new();
        while let Some(client) = self.0.join_next().await {
            forgotten.extend(client.expect("a client found something wrong"));
        }
        check::quarantine(world, seen).await;
        forgotten
    }
}

/// Whether it is not known what became of the question: the gate is gone.
pub(super) fn is_gone(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal | Code::Aborted
    )
}

/// Whether the question was never asked: nobody listens.
pub(super) fn is_unasked(status: &Status) -> bool {
    status.message().contains("connect error")
}

/// Kills the gate at random instants until it is enough; then looks at all that was acknowledged.
/// Returns how often.
pub(super) async fn kill_under_load(
    durability: &str,
    is_enough: impl Fn(usize) -> bool,
    dice: &mut Dice,
) -> usize {
    LocalSet::new().run_until(killing(durability, is_enough, dice)).await
}

async fn killing(durability: &str, is_enough: impl Fn(usize) -> bool, dice: &mut Dice) -> usize {
    let world = World::start(durability);
    let seen = Arc::new(Seen::default());
    let watching = check::Watching::start(&world).await;
    let clients = Clients::start(&world, &seen, CLIENTS, dice);
    let mut kills = 0;
    while !is_enough(kills) {
        // From before the first answer to long after many.
        let span = *dice.pick(&[5, 50, 150, 400]);
        tokio::time::sleep(Duration::from_millis(dice.below(span))).await;
        world.kill();
        kills += 1;
        if dice.below(10) == 0 {
            check::log_and_views(&world.store(), None).await;
        }
        // Beside the clients, who knock while it starts.
        world.restart_beside().await;
    }
    let forgotten = clients.stop(&world, &seen).await;
    let heard = watching.all().await;
    world.kill();
    check::log_and_views(&world.store(), Some((&heard, &forgotten))).await;
    seen.count();
    assert!(!world.log().contains("panicked"), "{}", world.log());
    tally::count("changes heard over kills", heard.len());
    kills
}
