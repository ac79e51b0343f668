//! The one stack that every call goes through, from a socket or in process.
//!
//! In this order: the request id is taken over or made; a closed server, an unknown method, an
//! unreadable deadline or tenant, and too much work are refused; then the handler runs under the
//! call's deadline, its panics caught; whatever fails leaves as a status of ours. The answer carries
//! `x-request-id` and `ckpi-server-version`, and holds the call's permit to its end.
//!
//! Which methods exist, which of them stream, what health and reflection tell: all of it is read from
//! the descriptor sets. A routed method that isn't in them is not served.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use super::admission::{Admission, Permit};
use super::call::{Answer, Call};
use super::deadline::{self, Phase, deadline};
use super::health::{HealthRpc, Stage};
use super::life::Life;
use super::methods::{Method, MethodKind, Methods};
use super::request_id::{RequestIds, X_REQUEST_ID};
use crate::config::Limits;
use crate::domain::ids::TenantId;
use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::{Failure, FieldViolation, invalid_fields};

/// The header that selects the tenant of a call.
pub const CKPI_TENANT: &str = "ckpi-tenant";
/// The tenant of calls without that header.
pub const DEFAULT_TENANT: &str = "default";

const CKPI_SERVER_VERSION: HeaderName = HeaderName::from_static("ckpi-server-version");
const SERVER_VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
/// About the time that a load balancer takes to notice that an instance is gone.
const RETRY_AFTER_DRAINING: Duration = Duration::from_secs(1);
/// How much of a path that names no method goes back with the error.
const PATH_BYTES_MAX: usize = 256;

/// Cheap to clone; all clones are one server.
#[derive(Clone)]
pub struct Stack(Arc<Shared>);

struct Shared {
    routes: Routes,
    methods: Arc<Methods>,
    admission: Arc<Admission>,
    request_ids: RequestIds,
    stage: watch::Sender<Stage>,
    calls: TaskTracker,
    unary_time_max: Duration,
    stream_age_max: Duration,
    message_in_bytes_max: u32,
}

/// What the stack grants a call before its handler runs.
#[derive(Default)]
struct Admitted {
    deadline: Option<Instant>,
    permit: Option<Permit>,
    /// Of streams.
    reset: Option<CancellationToken>,
}

// === impl Stack ===

impl Stack {
    /// Adds health and reflection to `routes`, whose services `descriptor_sets` describe. The services
    /// themselves must be built with `max_decoding_message_size(limits.message_in_bytes_max)`.
    pub fn new(routes: Routes, descriptor_sets: &[&[u8]], limits: &Limits) -> Self {
        use tonic_reflection::pb::{v1, v1alpha};
        // The error details are described too: tools that ask reflection then show them as text.
        let infrastructure = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ];
        let described: Vec<&[u8]> = descriptor_sets.iter().chain(&infrastructure).copied().collect();
        let methods = Arc::new(Methods::of(described.iter().copied()));

        let (stage, stages) = watch::channel(Stage::Serving);
        let health = HealthRpc { methods: methods.clone(), stage: stages };
        let reflection = || {
            described.iter().fold(tonic_reflection::server::Builder::configure(), |builder, set| {
                builder.register_encoded_file_descriptor_set(set)
            })
        };
        let readable = "the descriptor sets were decoded above";
        let routes = routes
            .add_service(HealthServer::new(health))
            .add_service(reflection().build_v1().expect(readable))
            .add_service(reflection().build_v1alpha().expect(readable))
            .prepare();

        Self(Arc::new(Shared {
            routes,
            methods,
            admission: Admission::new(limits),
            request_ids: RequestIds::new(),
            stage,
            calls: TaskTracker::new(),
            unary_time_max: limits.unary_time_max,
            stream_age_max: limits.stream_age_max,
            message_in_bytes_max: limits.message_in_bytes_max,
        }))
    }

    /// The first step of a stop: health reports NOT_SERVING, calls are still taken.
    pub fn leave(&self) {
        self.0.stage.send_if_modified(|stage| std::mem::replace(stage, Stage::Leaving.max(*stage)) != *stage);
    }

    /// The second step: new calls are refused with SERVER_DRAINING, watches of health end.
    pub fn close(&self) {
        self.0.stage.send_replace(Stage::Closed);
        self.0.calls.close();
    }

    /// The third step: waits until the calls in work have ended, in process and over sockets. Waits
    /// for ever if the stack is never closed.
    pub async fn idle(&self) {
        self.0.calls.wait().await;
    }

    /// How many calls and streams are in work.
    pub fn in_work_count(&self) -> usize {
        self.0.calls.len()
    }
}

impl Service<Request<Body>> for Stack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let shared = &self.0;
        let in_work = shared.calls.token(); // before the stage is read: `idle` misses no admitted call
        let request_id = shared.request_ids.take_over_or_make(request.headers());
        let method = shared.methods.find(request.uri().path());
        let admitted = shared.admit(&mut request, method.map(|method| &**method));
        let (refusal, Admitted { deadline, permit, reset }) = match admitted {
            Ok(admitted) => (None, admitted),
            Err(refusal) => (Some(refusal), Admitted::default()),
        };
        let call = Call {
            span: tracing::error_span!("call", request_id = request_id.to_str().unwrap_or_default()),
            started_at: Instant::now(),
            deadline,
            message_in_bytes_max: shared.message_in_bytes_max,
            method: method.cloned(),
            code: None,
            _permit: permit,
            _in_work: in_work,
        };
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = match refusal {
            None => Box::pin(answer(shared.routes.clone(), request, call, request_id)),
            Some(refusal) => Box::pin(async { finish(refusal.into_http(), call, request_id) }),
        };
        Answering { deadline, reset, answer }
    }
}

// === impl Shared ===

impl Shared {
    fn admit(&self, request: &mut Request<Body>, method: Option<&Method>) -> Result<Admitted, Status> {
        if *self.stage.borrow() == Stage::Closed {
            return Err(Failure::new(
                ErrorReason::ServerDraining,
                "the server is stopping: try another, or again later",
            )
            .retry_after(RETRY_AFTER_DRAINING)
            .into());
        }
        let Some(method) = method else { return Err(unknown_method(request.uri().path())) };
        let ceiling = (method.kind == MethodKind::Unary).then_some(self.unary_time_max);
        let deadline = deadline(request.headers(), ceiling)?;
        if method.infrastructure {
            return Ok(Admitted { deadline, ..Admitted::default() });
        }
        let tenant = tenant(request.headers())?;
        let permit = self.admission.admit(method.kind, &tenant)?;
        request.extensions_mut().insert(tenant);
        let reset = (method.kind != MethodKind::Unary).then(|| {
            let life = Life::begin(self.stage.subscribe(), self.stream_age_max);
            let reset = life.resets();
            request.extensions_mut().insert(life);
            reset
        });
        Ok(Admitted { deadline, permit: Some(permit), reset })
    }
}

fn unknown_method(path: &str) -> Status {
    let path = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
    Failure::new(ErrorReason::MethodUnknown, format!("the server has no method {path}"))
        .with("path", path)
        .into()
}

fn tenant(headers: &HeaderMap) -> Result<TenantId, Status> {
    let invalid = |description: String| invalid_fields(vec![FieldViolation::new(CKPI_TENANT, description)]);
    let mut given = headers.get_all(CKPI_TENANT).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(TenantId::try_new(DEFAULT_TENANT).expect("it is a valid id")),
        (Some(id), None) => {
            let id = std::str::from_utf8(id.as_bytes()).map_err(|_| invalid("is not UTF-8".to_owned()))?;
            TenantId::try_new(id).map_err(|error| invalid(error.to_string()))
        }
        (Some(_), Some(_)) => Err(invalid("is given more than once".to_owned())),
    }
}

async fn answer(
    mut routes: Routes,
    request: Request<Body>,
    call: Call,
    request_id: HeaderValue,
) -> Response<Body> {
    let mut handler = pin!(routes.call(request));
    let handled = poll_fn(|cx| call.guard(|| handler.as_mut().poll(cx)));
    let handled = match call.deadline {
        Some(deadline) => timeout_at(deadline, handled).await,
        None => Ok(handled.await),
    };
    let response = match handled {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panicked)) => panicked.into_http(),
        Err(_) => deadline::exceeded(Phase::Work).into_http(),
    };
    finish(response, call, request_id)
}

fn finish(mut response: Response<Body>, mut call: Call, request_id: HeaderValue) -> Response<Body> {
    let headers = response.headers_mut();
    call.adopt_status(headers);
    headers.insert(X_REQUEST_ID, request_id);
    headers.insert(CKPI_SERVER_VERSION, SERVER_VERSION);
    response.map(|body| Body::new(Answer::new(body, call)))
}

/// The answer to come.
pub struct Answering {
    deadline: Option<Instant>,
    reset: Option<CancellationToken>,
    answer: Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
}

// === impl Answering ===

impl Answering {
    /// When the call is out of time, headers and body together.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Cancelled when a stream is to be reset from outside, since its client doesn't read.
    pub(super) fn reset(&self) -> Option<&CancellationToken> {
        self.reset.as_ref()
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.as_mut().poll(cx).map(Ok)
    }
}
