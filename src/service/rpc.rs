//! The RPCs of the contract's services, each handed to the file of its concern.

use futures_util::FutureExt as _;
use tonic::{Request, Response, Status};

use crate::{
    engine::gate::Gate,
    proto::{
        self as pb, call_permission_service_server::CallPermissionService,
        config_service_server::ConfigService, quarantine_service_server::QuarantineService,
    },
    service::{
        access::{Caller, Doorkeeper},
        admission::StreamPlace,
        calls,
        configuration::Configuration,
        erasure, events, numbers,
        quarantine::Quarantine,
        reads, requests,
        router::Deadline,
        status, watch,
    },
    watch::Watch,
};

/// The front door of a gate.
pub(crate) struct CallPermission {
    pub(crate) gate: Gate,
    pub(crate) watch: Watch,
    pub(crate) doorkeeper: Doorkeeper,
}

type Answered<T> = Result<Response<T>, Status>;

fn answered<T>(result: crate::engine::Result<T>) -> Answered<T> {
    result.map(Response::new).map_err(status::of)
}

/// The gate as far as who asks may look, and the question.
fn asked<T>(gate: &Gate, request: Request<T>) -> Result<(Gate, T), Status> {
    let scope = Caller::of(request.extensions())?.scope();
    Ok((gate.within(scope), request.into_inner()))
}

#[tonic::async_trait]
impl CallPermissionService for CallPermission {
    type WatchPermissionsStream = watch::Changes;

    async fn authorize_call(
        &self,
        request: Request<pb::AuthorizeCallRequest>,
    ) -> Answered<pb::AuthorizeCallResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(calls::authorize(&gate, request).await)
    }

    async fn report_call(
        &self,
        request: Request<pb::ReportCallRequest>,
    ) -> Answered<pb::ReportCallResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(calls::report(&gate, request).await)
    }

    async fn authorize_permission_request(
        &self,
        request: Request<pb::AuthorizePermissionRequestRequest>,
    ) -> Answered<pb::AuthorizePermissionRequestResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(requests::authorize(&gate, request).await)
    }

    async fn record_events(
        &self,
        request: Request<pb::RecordEventsRequest>,
    ) -> Answered<pb::RecordEventsResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(events::record(&gate, request).await)
    }

    async fn check_calls(
        &self,
        request: Request<pb::CheckCallsRequest>,
    ) -> Answered<pb::CheckCallsResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(reads::check_calls(&gate, request).await)
    }

    async fn get_permission(
        &self,
        request: Request<pb::GetPermissionRequest>,
    ) -> Answered<pb::GetPermissionResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(reads::permission(&gate, request).await)
    }

    async fn watch_permissions(
        &self,
        request: Request<pb::WatchPermissionsRequest>,
    ) -> Answered<Self::WatchPermissionsStream> {
        let caller = Caller::of(request.extensions())?.clone();
        let ends = watch::Ends {
            deadline: request.extensions().get::<Deadline>().map(|Deadline(at)| *at),
            place: request.extensions().get::<StreamPlace>().cloned(),
            scope: caller.scope(),
            lost: self.doorkeeper.no_longer(caller).boxed(),
        };
        watch::permissions(&self.watch, request.into_inner(), ends).await.map(Response::new)
    }

    async fn forget_customer(
        &self,
        request: Request<pb::ForgetCustomerRequest>,
    ) -> Answered<pb::ForgetCustomerResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(erasure::forget(&gate, request).await)
    }

    async fn get_business_number(
        &self,
        request: Request<pb::GetBusinessNumberRequest>,
    ) -> Answered<pb::GetBusinessNumberResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(numbers::get(&gate, request).await)
    }

    async fn update_business_number(
        &self,
        request: Request<pb::UpdateBusinessNumberRequest>,
    ) -> Answered<pb::UpdateBusinessNumberResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(numbers::update(&gate, request).await)
    }
}

#[tonic::async_trait]
impl QuarantineService for Quarantine {
    async fn list_quarantined(
        &self,
        request: Request<pb::ListQuarantinedRequest>,
    ) -> Answered<pb::ListQuarantinedResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(self.list(gate, request).await)
    }

    async fn get_quarantined(
        &self,
        request: Request<pb::GetQuarantinedRequest>,
    ) -> Answered<pb::GetQuarantinedResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(self.get(gate, request).await)
    }

    async fn retry_quarantined(
        &self,
        request: Request<pb::RetryQuarantinedRequest>,
    ) -> Answered<pb::RetryQuarantinedResponse> {
        let (gate, request) = asked(&self.gate, request)?;
        answered(self.retry(gate, request).await)
    }
}

#[tonic::async_trait]
impl ConfigService for Configuration {
    async fn get_config(
        &self,
        request: Request<pb::GetConfigRequest>,
    ) -> Answered<pb::GetConfigResponse> {
        let scope = Caller::of(request.extensions())?.scope();
        answered(self.get(&scope))
    }
}
