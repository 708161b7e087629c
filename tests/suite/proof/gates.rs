//! Clients of several gates. Each question goes to any of them, and into the ledger first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizePermissionRequestRequest, CallReport,
    Decision, Event, EventStatus, ForgetCustomerRequest, GetPermissionRequest, Pair, Permission,
    Reason, RecordEventsRequest, ReportCallRequest, call_permission_service_client as client,
    event::Fact,
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    proof::ledger::{Answer, Asked, Ledger, Verdict, at, ms, name, pair, somehow},
    twins::Dice,
};

type Client = client::CallPermissionServiceClient<Channel>;

/// Connections to each gate.
const CONNECTIONS: usize = 4;
/// How long one who met a gate that is gone waits before the next question.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the gates listen. One that is started anew may listen elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Gates {
    addresses: Arc<Mutex<Vec<String>>>,
    channels: Arc<Mutex<HashMap<String, Vec<Channel>>>>,
}

impl Gates {
    /// `IP:PORT` of each.
    pub(crate) fn new(addresses: Vec<String>) -> Self {
        Self { addresses: Arc::new(Mutex::new(addresses)), channels: Arc::default() }
    }

    /// The gate at this place is at another address now.
    pub(crate) fn moved(&self, place: usize, address: &str) {
        address.clone_into(&mut self.addresses.lock().unwrap()[place]);
    }

    /// A client of any gate.
    pub(crate) fn client(&self, dice: &mut Dice) -> Client {
        let address = dice.pick(&self.addresses.lock().unwrap()).clone();
        let mut channels = self.channels.lock().unwrap();
        let of_gate = channels.entry(address.clone()).or_insert_with(|| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            let endpoint = endpoint.connect_timeout(Duration::from_secs(1));
            (0..CONNECTIONS).map(|_| endpoint.connect_lazy()).collect()
        });
        Client::new(dice.pick(of_gate).clone())
    }
}

/// Asks, and writes down what was asked and answered.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    gates: Gates,
    ledger: Arc<Ledger>,
    patience: Duration,
}

impl Teller {
    pub(crate) fn new(gates: &Gates, ledger: &Arc<Ledger>, patience: Duration) -> Self {
        Self { gates: gates.clone(), ledger: Arc::clone(ledger), patience }
    }

    /// Anything but an event.
    pub(crate) async fn ask(&self, name: &str, asked: Asked, dice: &mut Dice) -> Answer {
        let client = self.gates.client(dice);
        let place = self.ledger.ask(name, asked.clone());
        // Whom one forgets one names in full.
        let whom = if asked == Asked::Forget { pair(name) } else { somehow(name, dice) };
        let answer = tokio::time::timeout(self.patience, send(client, whom, asked)).await;
        let answer = answer.unwrap_or_else(|_| Answer::Unknown("no answer in time".to_owned()));
        self.ledger.answer(place, answer.clone());
        self.pause_if_unknown(&answer).await;
        answer
    }

    pub(crate) async fn forget(&self, name: &str, dice: &mut Dice) -> Answer {
        self.ask(name, Asked::Forget, dice).await
    }

    /// Events of any pairs, in one batch; a single report of a call by ReportCall at times.
    pub(crate) async fn tell(&self, events: Vec<Event>, dice: &mut Dice) -> Vec<Answer> {
        let client = self.gates.client(dice);
        let places: Vec<usize> = events
            .iter()
            .map(|event| {
                let asked = Asked::Tell(Box::new(event.clone()));
                self.ledger.ask(&name(event.pair.as_ref().unwrap()), asked)
            })
            .collect();
        let one = match &events[..] {
            [Event { fact: Some(Fact::Call(report)), .. }] if dice.below(2) == 0 => {
                Some(report.clone())
            }
            _ => None,
        };
        let sent = async {
            match one {
                Some(report) => report_call(client, &events[0], report).await.map(|one| vec![one]),
                None => record(client, events).await,
            }
        };
        let answered = tokio::time::timeout(self.patience, sent).await;
        let answers = match answered {
            Ok(Ok(answers)) => answers,
            Ok(Err(status)) => vec![failed(&status); places.len()],
            Err(_) => vec![Answer::Unknown("no answer in time".to_owned()); places.len()],
        };
        for (place, answer) in places.into_iter().zip(&answers) {
            self.ledger.answer(place, answer.clone());
        }
        self.pause_if_unknown(&answers[0]).await;
        answers
    }

    async fn pause_if_unknown(&self, answer: &Answer) {
        if matches!(answer, Answer::Unknown(_)) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What an error says of what happened.
fn failed(status: &Status) -> Answer {
    match status.code() {
        Code::AlreadyExists => Answer::Exists,
        Code::InvalidArgument | Code::ResourceExhausted => {
            Answer::Refused(status.message().to_owned())
        }
        _ => Answer::Unknown(format!("{:?}: {}", status.code(), status.message())),
    }
}

async fn record(mut client: Client, events: Vec<Event>) -> Result<Vec<Answer>, Status> {
    let reply = client.record_events(RecordEventsRequest { events }).await?.into_inner();
    let answers = reply.results.into_iter().map(|result| {
        if result.status() == EventStatus::Invalid {
            return Answer::Refused(result.error);
        }
        let status = result.status();
        Answer::Told { status, permission: result.permission.map(Box::new) }
    });
    Ok(answers.collect())
}

async fn report_call(
    mut client: Client,
    event: &Event,
    report: CallReport,
) -> Result<Answer, Status> {
    let request = ReportCallRequest {
        pair: event.pair.clone(),
        report: Some(report),
        occurred_at: event.occurred_at,
    };
    let permission = client.report_call(request).await?.into_inner().permission.map(Box::new);
    Ok(Answer::Told { status: EventStatus::Unspecified, permission })
}

fn agent() -> Option<Agent> {
    Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() })
}

fn verdict(
    decision: i32,
    reason: i32,
    blocked_by: &[i32],
    lease_expires_at: Option<prost_types::Timestamp>,
    is_replayed: bool,
    permission: Option<Permission>,
) -> Answer {
    let reason_of = |reason: i32| Reason::try_from(reason).unwrap();
    Answer::Verdict(Box::new(Verdict {
        is_allowed: decision == i32::from(Decision::Allow),
        reason: reason_of(reason),
        blocked_by: blocked_by.iter().copied().map(reason_of).collect(),
        is_replayed,
        lease_expires_at: ms(lease_expires_at),
        permission: permission.unwrap_or_default(),
    }))
}

async fn send(client: Client, pair: Pair, asked: Asked) -> Answer {
    send_checked(client, pair, asked).await.unwrap_or_else(|status| failed(&status))
}

async fn send_checked(mut client: Client, pair: Pair, asked: Asked) -> Result<Answer, Status> {
    Ok(match asked {
        Asked::Call { call_id, lease } => {
            let lease = lease.map(|ms| prost_types::Duration {
                seconds: i64::try_from(ms / 1000).unwrap(),
                nanos: i32::try_from(ms % 1000).unwrap() * 1_000_000,
            });
            let (pair, agent) = (Some(pair), agent());
            let request =
                AuthorizeCallRequest { pair, agent, call_id, lease, ..Default::default() };
            let said = client.authorize_call(request).await?.into_inner();
            let lease = said.lease_expires_at;
            let blocked = &said.blocked_by;
            verdict(said.decision, said.reason, blocked, lease, said.replayed, said.permission)
        }
        Asked::Request { request_id, replace } => {
            let request = AuthorizePermissionRequestRequest {
                pair: Some(pair),
                agent: agent(),
                request_id,
                replace_permission: replace,
            };
            let said = client.authorize_permission_request(request).await?.into_inner();
            let lease = said.lease_expires_at;
            let blocked = &said.blocked_by;
            verdict(said.decision, said.reason, blocked, lease, said.replayed, said.permission)
        }
        Asked::Forget => {
            let request = ForgetCustomerRequest {
                customer: pair.customer,
                phone_number_id: pair.phone_number_id,
            };
            client.forget_customer(request).await?;
            Answer::Forgotten
        }
        Asked::View { as_of } => {
            let request = GetPermissionRequest { pair: Some(pair), as_of: as_of.map(at) };
            let said = client.get_permission(request).await?.into_inner();
            Answer::View(Box::new(said.permission.unwrap_or_default()))
        }
        Asked::Tell(event) => record(client, vec![*event]).await?.remove(0),
    })
}
