//! A gate over the memory store, and its RPCs as tests ask them.

use std::sync::Arc;

use callgate::{
    engine::{
        profile::Profile,
        store::Store,
        time::{Clock, ManualClock, Millis},
    },
    proto::{self as pb, EventStatus, event::Fact},
    service::Retry,
    store::embedded::Embedded,
};
use tonic::Status;

use crate::{
    service::ask::{self, NUMBER, T},
    support::server::{Server, never_understood},
};

/// A gate whose clock the test moves.
pub struct Gate {
    pub server: Server,
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
}

/// Over the memory store, profile `atom`, at [`T`].
pub async fn gate() -> Gate {
    gate_with(Profile::atom(), never_understood()).await
}

pub async fn gate_with(profile: Profile, retry: Retry) -> Gate {
    let clock = Arc::new(ManualClock::at(Millis(T)));
    let store: Arc<dyn Store> = Arc::new(Embedded::memory(clock.clone()).unwrap());
    let server = Server::start_with(store.clone(), profile, retry).await;
    Gate { server, store, clock }
}

impl Gate {
    pub async fn authorize(&self, call_id: &str) -> pb::AuthorizeCallResponse {
        let mut calls = self.server.calls.clone();
        calls.authorize_call(ask::authorize(call_id)).await.unwrap().into_inner()
    }

    pub async fn authorize_request(&self, id: &str) -> pb::AuthorizePermissionRequestResponse {
        let mut calls = self.server.calls.clone();
        let request = ask::authorize_request(id);
        calls.authorize_permission_request(request).await.unwrap().into_inner()
    }

    pub async fn report(&self, call_id: &str, outcome: pb::CallOutcome) -> pb::Permission {
        let mut calls = self.server.calls.clone();
        let response = calls.report_call(ask::report(call_id, outcome)).await.unwrap();
        response.into_inner().permission.unwrap()
    }

    pub async fn record(&self, events: Vec<pb::Event>) -> Vec<pb::EventResult> {
        let mut calls = self.server.calls.clone();
        calls.record_events(ask::events(events)).await.unwrap().into_inner().results
    }

    pub async fn tell(&self, fact: Fact) -> pb::Permission {
        let results = self.record(vec![ask::event("e", self.clock.now().0, fact)]).await;
        assert_eq!(results[0].status(), EventStatus::Recorded, "{results:?}");
        results[0].permission.clone().unwrap()
    }

    pub async fn permission(&self, as_of: Option<u64>) -> Result<pb::Permission, Status> {
        let mut calls = self.server.calls.clone();
        let as_of = as_of.and_then(ask::at);
        let request = pb::GetPermissionRequest { pair: ask::pair(), as_of };
        Ok(calls.get_permission(request).await?.into_inner().permission.unwrap())
    }

    pub async fn now(&self) -> pb::Permission {
        self.permission(None).await.unwrap()
    }

    pub async fn update(&self, told: pb::UpdateBusinessNumberRequest) -> pb::BusinessNumber {
        let told = pb::UpdateBusinessNumberRequest { phone_number_id: NUMBER.to_owned(), ..told };
        let mut calls = self.server.calls.clone();
        let response = calls.update_business_number(told).await.unwrap();
        response.into_inner().business_number.unwrap()
    }
}

pub fn quota(permission: &pb::Permission, kind: pb::QuotaKind) -> &pb::Quota {
    permission.quotas.iter().find(|quota| quota.kind() == kind).unwrap()
}

/// Used, held, limit of each quota.
pub fn fill(permission: &pb::Permission) -> Vec<(u32, u32, u32)> {
    permission.quotas.iter().map(|quota| (quota.used, quota.held, quota.limit)).collect()
}
