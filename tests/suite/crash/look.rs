//! What a client looks at after a restart: all that was acknowledged to it.

use std::sync::atomic::Ordering;

use callgate::proto::{
    AuthorizeCallRequest, Decision, Event, EventStatus, GetPermissionRequest, Pair, Permission,
    PermissionStatus, QuotaKind, RecordEventsRequest,
};
use tonic::Code;

use super::{
    client::{Client, agent},
    ledger::{Slot, agrees},
    world::World,
};

impl Client {
    pub(super) async fn permission(&self, pair: &Pair) -> Permission {
        let request = GetPermissionRequest { pair: Some(pair.clone()), as_of: None };
        let ask = async |world: &World| world.calls().get_permission(request.clone()).await;
        self.until_told(ask).await.into_inner().permission.unwrap()
    }

    async fn retell(&self, events: Vec<Event>) -> Vec<EventStatus> {
        if events.is_empty() {
            return Vec::new();
        }
        let request = RecordEventsRequest { events };
        let ask = async |world: &World| world.calls().record_events(request.clone()).await;
        let answer = self.until_told(ask).await.into_inner();
        answer.results.iter().map(callgate::proto::EventResult::status).collect()
    }

    /// Holds the gate to what it acknowledged of one customer.
    pub(super) async fn look(&mut self, place: usize) {
        let person = &self.people[place];
        let seen = self.permission(&person.pair).await;
        self.seen.looks.fetch_add(1, Ordering::Relaxed);
        let (name, status) = (person.name(), seen.status());
        let is_granted = status == PermissionStatus::Granted;
        assert_eq!(is_granted, person.is_granted, "{name}: {status:?}");
        agrees(&seen, QuotaKind::CallsInWindow, &person.calls, &name);
        agrees(&seen, QuotaKind::RequestsPerDay, &person.requests, &name);
        self.look_at_calls(place).await;
        // Some of what was acknowledged, and all of what may be.
        let person = &self.people[place];
        let mut again: Vec<Event> = Vec::new();
        for _ in 0..person.events.len().min(10) {
            again.push(self.dice.pick(&person.events).clone());
        }
        again.extend(person.events.iter().rev().take(5).cloned());
        self.seen.retold.fetch_add(again.len(), Ordering::Relaxed);
        for (status, event) in std::iter::zip(self.retell(again.clone()).await, again) {
            assert_eq!(status, EventStatus::Duplicate, "{name}: LOST {event:?}");
        }
    }

    /// Asks for calls once more: a held one stands, one that is over is known.
    async fn look_at_calls(&mut self, place: usize) {
        let person = &self.people[place];
        let ids: Vec<(String, Slot)> =
            person.calls.iter().map(|(id, s)| (id.clone(), *s)).collect();
        for _ in 0..ids.len().min(2) {
            let (id, slot) = self.dice.pick(&ids).clone();
            let question = AuthorizeCallRequest {
                pair: Some(self.people[place].pair.clone()),
                agent: agent(),
                call_id: id.clone(),
                ..AuthorizeCallRequest::default()
            };
            let name = self.people[place].name();
            let is_granted = self.people[place].is_granted;
            let ask =
                async |world: &World| match world.calls().authorize_call(question.clone()).await {
                    Err(status) if status.code() == Code::AlreadyExists => Ok(None),
                    answer => answer.map(|answer| Some(answer.into_inner())),
                };
            match slot {
                Slot::Held if is_granted => {
                    let answer = self.until_told(ask).await.expect("it is not over");
                    assert_eq!(answer.decision(), Decision::Allow, "{name}: LOST HOLD {id}");
                    assert!(answer.replayed, "{name}: LOST HOLD {id}");
                    self.seen.allows.fetch_add(1, Ordering::Relaxed);
                }
                Slot::Counts => {
                    assert!(self.until_told(ask).await.is_none(), "{name}: LOST CALL {id}");
                }
                _ => {}
            }
        }
    }

    /// Nothing comes back.
    pub(super) async fn look_at_forgotten(&mut self, place: usize) {
        let person = &self.forgotten[place];
        let name = person.name();
        let seen = self.permission(&person.pair).await;
        assert_eq!(seen.status(), PermissionStatus::None, "{name} is back");
        assert!(seen.quotas.iter().all(|quota| quota.entries.is_empty()), "{name} is back");
        let again: Vec<Event> = person.events.iter().rev().take(4).cloned().collect();
        for status in self.retell(again).await {
            assert_eq!(status, EventStatus::Stale, "{name} is back");
        }
    }
}
