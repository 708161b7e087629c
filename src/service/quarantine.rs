//! Webhooks that could not be understood: listed, shown, tried once more. How one is tried again is
//! the webhooks' own business and is passed in.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    engine::{Error, Result, gate::Gate, store::Quarantined},
    proto as pb,
    service::{
        convert,
        field::{self, BATCH_MAX, OTHER_ID_MAX},
    },
};

const PAGE_DEFAULT: usize = 100;

/// What became of a webhook that was tried once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// It is understood now and no longer kept; so many facts were recorded.
    Recorded(usize),
    /// It is still not understood, and why.
    StillUnclear(String),
}

type RetryFn = dyn Fn(Gate, Quarantined) -> BoxFuture<'static, Result<Retried>> + Send + Sync;

/// Tries a webhook once more, and releases it from the store if it is understood.
#[derive(Clone)]
pub struct Retry(Arc<RetryFn>);

impl Retry {
    /// `retry` is given the gate and what was kept.
    pub fn new<F>(retry: F) -> Self
    where
        F: Fn(Gate, Quarantined) -> BoxFuture<'static, Result<Retried>> + Send + Sync + 'static,
    {
        Self(Arc::new(retry))
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Retry")
    }
}

pub(crate) struct Quarantine {
    pub(crate) gate: Gate,
    pub(crate) retry: Retry,
}

impl Quarantine {
    pub(crate) async fn list(
        &self,
        gate: Gate,
        request: pb::ListQuarantinedRequest,
    ) -> Result<pb::ListQuarantinedResponse> {
        let limit = match usize::try_from(request.page_size).unwrap_or(usize::MAX) {
            0 => PAGE_DEFAULT,
            size if size <= BATCH_MAX => size,
            _ => return Err(Error::invalid("page_size", format!("must be at most {BATCH_MAX}"))),
        };
        let kept = gate.quarantined(limit).await?;
        Ok(pb::ListQuarantinedResponse {
            webhooks: kept.iter().map(convert::quarantined).collect(),
        })
    }

    pub(crate) async fn get(
        &self,
        gate: Gate,
        request: pb::GetQuarantinedRequest,
    ) -> Result<pb::GetQuarantinedResponse> {
        let kept = find(&gate, request.id).await?;
        Ok(pb::GetQuarantinedResponse {
            webhook: Some(convert::quarantined(&kept)),
            change_json: kept.change,
        })
    }

    pub(crate) async fn retry(
        &self,
        gate: Gate,
        request: pb::RetryQuarantinedRequest,
    ) -> Result<pb::RetryQuarantinedResponse> {
        let kept = find(&gate, request.id).await?;
        Ok(match (self.retry.0)(gate, kept).await? {
            Retried::Recorded(events) => pb::RetryQuarantinedResponse {
                understood: true,
                events_recorded: u32::try_from(events).unwrap_or(u32::MAX),
                reason: String::new(),
            },
            Retried::StillUnclear(reason) => {
                pb::RetryQuarantinedResponse { understood: false, events_recorded: 0, reason }
            }
        })
    }
}

async fn find(gate: &Gate, id: String) -> Result<Quarantined> {
    let id = field::required_id(id, OTHER_ID_MAX, "id")?;
    let kept = gate.quarantined_by_id(&id).await?;
    kept.ok_or_else(|| Error::NotFound("no webhook is kept aside under this id".to_owned()))
}
