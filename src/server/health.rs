//! `grpc.health.v1.Health`: every service serves until the process begins to stop.
//!
//! Guarantees: a Watch tells each change once, beginning with the state at its start; the last it
//! tells is NOT_SERVING, and then it ends by itself, so that it never holds up a stop.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::methods::Methods;
use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::status;

/// The life of a server, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Reports NOT_SERVING and still serves, until those who call have noticed.
    Leaving,
    /// Takes no new calls.
    Closed,
}

pub(super) struct HealthRpc {
    pub(super) methods: Arc<Methods>,
    pub(super) stage: watch::Receiver<Stage>,
}

// === impl HealthRpc ===

impl HealthRpc {
    /// The empty name stands for the whole server.
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.methods.has_service(service)
    }
}

#[tonic::async_trait]
impl Health for HealthRpc {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(status(ErrorReason::SymbolUnknown, "the server has no service of that name"));
        }
        Ok(Response::new(answer(serving(*self.stage.borrow()))))
    }

    type WatchStream = Watch;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watch>, Status> {
        let known = self.knows(&request.get_ref().service);
        let stages = WatchStream::new(self.stage.clone());
        Ok(Response::new(Watch { known, stages, told: None, ended: false }))
    }
}

fn serving(stage: Stage) -> ServingStatus {
    match stage {
        Stage::Serving => ServingStatus::Serving,
        Stage::Leaving | Stage::Closed => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

pub(super) struct Watch {
    known: bool,
    stages: WatchStream<Stage>,
    told: Option<ServingStatus>,
    ended: bool,
}

impl Stream for Watch {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            let Some(stage) = ready!(Pin::new(&mut self.stages).poll_next(cx)) else { break };
            self.ended = stage == Stage::Closed;
            let status = if self.known { serving(stage) } else { ServingStatus::ServiceUnknown };
            if self.told.replace(status) != Some(status) {
                return Poll::Ready(Some(Ok(answer(status))));
            }
        }
        Poll::Ready(None)
    }
}
