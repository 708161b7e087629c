//! Gates, writers that never rest, and who disturbs them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use callgate::engine::time::{Clock as _, Millis, WallClock};
use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, CallOutcome, CallReport, Customer, Event,
    GetPermissionRequest, InboundCall, Pair, Permission, PermissionReply, PermissionRequestReport,
    PermissionResponse, RecordEventsRequest, RequestOutcome,
    call_permission_service_client::CallPermissionServiceClient, event::Fact,
};
use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::{
    support::process::{Process, seconds},
    twins::Dice,
};

pub(super) type Client = CallPermissionServiceClient<Channel>;

/// Business numbers of the world: several partitions.
pub(super) const NUMBERS: [&str; 3] = ["4001", "4002", "4003"];
/// Customers of each number.
const CUSTOMERS: u64 = 6;
/// Nothing that is worth a wait takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Several gates on one store, each of which may be killed.
pub(super) struct World {
    store: String,
    config: String,
    gates: Mutex<Vec<Process>>,
    addresses: Mutex<Vec<String>>,
    _directory: TempDir,
}

impl World {
    pub(super) fn start(store: &str, gates: usize) -> Arc<Self> {
        let directory = TempDir::new().unwrap();
        let config = seconds(directory.path());
        let world = Self {
            store: store.to_owned(),
            config,
            gates: Mutex::default(),
            addresses: Mutex::default(),
            _directory: directory,
        };
        for _ in 0..gates {
            let gate = world.gate();
            world.addresses.lock().unwrap().push(gate.grpc.clone());
            world.gates.lock().unwrap().push(gate);
        }
        Arc::new(world)
    }

    fn gate(&self) -> Process {
        let arguments = ["--config", &self.config, "--store-timeout", "500ms"];
        Process::serve(&self.store, "127.0.0.1:0", &arguments)
    }

    /// Kills one gate as SIGKILL does, and starts another in its place.
    pub(super) fn kill_one(&self, dice: &mut Dice) {
        let place = {
            let mut gates = self.gates.lock().unwrap();
            let place = usize::try_from(dice.below(gates.len() as u64)).unwrap();
            gates[place].kill();
            place
        };
        let gate = self.gate();
        gate.grpc.clone_into(&mut self.addresses.lock().unwrap()[place]);
        self.gates.lock().unwrap()[place] = gate;
    }

    /// A client of any gate.
    pub(super) fn client(&self, dice: &mut Dice) -> Client {
        let address = dice.pick(&self.addresses.lock().unwrap()).clone();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Client::new(endpoint.connect_timeout(Duration::from_secs(1)).connect_lazy())
    }
}

pub(super) fn pair(number: &str, customer: u64) -> Pair {
    Pair {
        phone_number_id: number.to_owned(),
        customer: Some(Customer { wa_id: format!("1555019900{customer}"), user_id: String::new() }),
    }
}

pub(super) fn all_pairs() -> Vec<Pair> {
    NUMBERS.iter().flat_map(|n| (0..CUSTOMERS).map(move |c| pair(n, c))).collect()
}

/// The wall clock, which the gates and Redis read as well.
pub(crate) fn now() -> Timestamp {
    let Millis(ms) = WallClock::default().now();
    let seconds = i64::try_from(ms / 1000).unwrap();
    Timestamp { seconds, nanos: i32::try_from(ms % 1000).unwrap() * 1_000_000 }
}

fn fact(dice: &mut Dice) -> Fact {
    match dice.below(8) {
        0..3 => Fact::Reply(PermissionReply {
            response: PermissionResponse::Accept.into(),
            ..PermissionReply::default()
        }),
        3 => Fact::Reply(PermissionReply {
            response: PermissionResponse::Reject.into(),
            ..PermissionReply::default()
        }),
        4 => Fact::Request(PermissionRequestReport {
            request_id: uuid::Uuid::new_v4().to_string(),
            outcome: RequestOutcome::Sent.into(),
            ..PermissionRequestReport::default()
        }),
        5 => Fact::InboundCall(InboundCall::default()),
        _ => Fact::Call(CallReport {
            call_id: uuid::Uuid::new_v4().to_string(),
            outcome: dice.pick(&[CallOutcome::Answered, CallOutcome::Unanswered]).to_owned().into(),
            ..CallReport::default()
        }),
    }
}

/// Writes until told to stop; counts what was acknowledged.
async fn write(world: Arc<World>, mut dice: Dice, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let pair = pair(dice.pick::<&str>(&NUMBERS), dice.below(CUSTOMERS));
        let mut client = world.client(&mut dice);
        let is_done = if dice.below(3) == 0 {
            let question = AuthorizeCallRequest {
                pair: Some(pair),
                agent: Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() }),
                call_id: uuid::Uuid::new_v4().to_string(),
                ..AuthorizeCallRequest::default()
            };
            client.authorize_call(question).await.is_ok()
        } else {
            let event = Event {
                event_id: uuid::Uuid::new_v4().to_string(),
                pair: Some(pair),
                occurred_at: Some(now()),
                fact: Some(fact(&mut dice)),
            };
            client.record_events(RecordEventsRequest { events: vec![event] }).await.is_ok()
        };
        if is_done {
            done.fetch_add(1, Ordering::Relaxed);
        } else {
            // The gate is gone for a moment, or its store is.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Writers at work.
pub(super) struct Writers {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Writers {
    pub(super) fn start(world: &Arc<World>, count: u64, dice: &mut Dice) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let dice = Dice(dice.below(u64::MAX));
            tasks.spawn(write(Arc::clone(world), dice, Arc::clone(&stop), Arc::clone(&done)));
        }
        Self { tasks, stop, done }
    }

    /// How many steps were acknowledged.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until so many more steps were acknowledged.
    pub(super) async fn more(&self, count: usize) {
        let wanted = self.done() + count;
        let arrive = async {
            while self.done() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrive).await.expect("writers get on");
    }

    pub(super) async fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        self.done()
    }
}

/// What every pair is now, from any gate that answers.
pub(super) async fn permissions(world: &World, dice: &mut Dice) -> Vec<Permission> {
    let mut all = Vec::new();
    for pair in all_pairs() {
        let request = GetPermissionRequest { pair: Some(pair), as_of: None };
        let answer = world.client(dice).get_permission(request).await.unwrap().into_inner();
        all.push(answer.permission.unwrap());
    }
    all
}
