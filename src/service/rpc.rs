//! The RPCs of the contract's services, each handed to the file of its concern.

use tonic::{Request, Response, Status};

use crate::{
    engine::gate::Gate,
    proto::{
        self as pb, call_permission_service_server::CallPermissionService,
        quarantine_service_server::QuarantineService,
    },
    service::{
        calls, erasure, events, numbers, quarantine::Quarantine, reads, requests, router::Deadline,
        status, watch,
    },
    watch::Watch,
};

/// The front door of a gate.
pub(crate) struct CallPermission {
    pub(crate) gate: Gate,
    pub(crate) watch: Watch,
}

type Answered<T> = Result<Response<T>, Status>;

fn answered<T>(result: crate::engine::Result<T>) -> Answered<T> {
    result.map(Response::new).map_err(status::of)
}

#[tonic::async_trait]
impl CallPermissionService for CallPermission {
    type WatchPermissionsStream = watch::Changes;

    async fn authorize_call(
        &self,
        request: Request<pb::AuthorizeCallRequest>,
    ) -> Answered<pb::AuthorizeCallResponse> {
        answered(calls::authorize(&self.gate, request.into_inner()).await)
    }

    async fn report_call(
        &self,
        request: Request<pb::ReportCallRequest>,
    ) -> Answered<pb::ReportCallResponse> {
        answered(calls::report(&self.gate, request.into_inner()).await)
    }

    async fn authorize_permission_request(
        &self,
        request: Request<pb::AuthorizePermissionRequestRequest>,
    ) -> Answered<pb::AuthorizePermissionRequestResponse> {
        answered(requests::authorize(&self.gate, request.into_inner()).await)
    }

    async fn record_events(
        &self,
        request: Request<pb::RecordEventsRequest>,
    ) -> Answered<pb::RecordEventsResponse> {
        answered(events::record(&self.gate, request.into_inner()).await)
    }

    async fn check_calls(
        &self,
        request: Request<pb::CheckCallsRequest>,
    ) -> Answered<pb::CheckCallsResponse> {
        answered(reads::check_calls(&self.gate, request.into_inner()).await)
    }

    async fn get_permission(
        &self,
        request: Request<pb::GetPermissionRequest>,
    ) -> Answered<pb::GetPermissionResponse> {
        answered(reads::permission(&self.gate, request.into_inner()).await)
    }

    async fn watch_permissions(
        &self,
        request: Request<pb::WatchPermissionsRequest>,
    ) -> Answered<Self::WatchPermissionsStream> {
        let deadline = request.extensions().get::<Deadline>().map(|Deadline(at)| *at);
        watch::permissions(&self.watch, request.into_inner(), deadline).await.map(Response::new)
    }

    async fn forget_customer(
        &self,
        request: Request<pb::ForgetCustomerRequest>,
    ) -> Answered<pb::ForgetCustomerResponse> {
        answered(erasure::forget(&self.gate, request.into_inner()).await)
    }

    async fn get_business_number(
        &self,
        request: Request<pb::GetBusinessNumberRequest>,
    ) -> Answered<pb::GetBusinessNumberResponse> {
        answered(numbers::get(&self.gate, request.into_inner()).await)
    }

    async fn update_business_number(
        &self,
        request: Request<pb::UpdateBusinessNumberRequest>,
    ) -> Answered<pb::UpdateBusinessNumberResponse> {
        answered(numbers::update(&self.gate, request.into_inner()).await)
    }
}

#[tonic::async_trait]
impl QuarantineService for Quarantine {
    async fn list_quarantined(
        &self,
        request: Request<pb::ListQuarantinedRequest>,
    ) -> Answered<pb::ListQuarantinedResponse> {
        answered(self.list(request.into_inner()).await)
    }

    async fn get_quarantined(
        &self,
        request: Request<pb::GetQuarantinedRequest>,
    ) -> Answered<pb::GetQuarantinedResponse> {
        answered(self.get(request.into_inner()).await)
    }

    async fn retry_quarantined(
        &self,
        request: Request<pb::RetryQuarantinedRequest>,
    ) -> Answered<pb::RetryQuarantinedResponse> {
        answered(self.retry(request.into_inner()).await)
    }
}
