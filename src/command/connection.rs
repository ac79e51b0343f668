//! The way to a sidecar: over a socket, or in process.
//!
//! One service stands under every generated client. It names the tenant, gives each call a deadline, and repeats a
//! call that found the sidecar unavailable: every call of this API may be repeated as it is (writes commute).
//!
//! That is for calls with one answer: it holds the whole answer in memory. Streams go past it, by [`Streams`].

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use channel_kpi::config::Config;
use clap::Args;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::failure::Failure;

const DEFAULT_URL: &str = "http://127.0.0.1:7443";
const DEFAULT_TENANT: &str = "default";

/// Which sidecar, and which tenant of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sidecar")]
pub struct ConnectionArgs {
    /// Where the sidecar serves: http://HOST:PORT or unix:/PATH [default: http://127.0.0.1:7443].
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    to: Option<String>,

    /// Work on this data directory itself, in process: no sidecar may be serving it.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The tenant.
    #[arg(long, default_value = DEFAULT_TENANT)]
    pub tenant: String,

    /// How long to wait for each answer.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    timeout: u32,
}

impl ConnectionArgs {
    /// Does some work with a connection to the sidecar.
    pub async fn with<T>(
        &self,
        work: impl AsyncFnOnce(Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let tenant = HeaderValue::from_str(&self.tenant)
            .ok()
            .filter(|tenant| tenant.to_str().is_ok())
            .ok_or_else(|| Failure::Usage("--tenant takes visible ASCII and inner spaces only".into()))?;
        let timeout = Duration::from_secs(self.timeout.into());
        let connected = |sidecar| Connection { sidecar, tenant, timeout };
        let Some(data_dir) = &self.data_dir else {
            let sidecar = over_socket(self.to.as_deref().unwrap_or(DEFAULT_URL)).await?;
            return work(connected(sidecar)).await;
        };
        let config = Config { data_dir: data_dir.clone(), ..Config::default() };
        let sidecar = channel_kpi::open(config).await?;
        let stack =
            ServiceExt::<Request<Body>>::map_err(sidecar.channel(), |never: Infallible| match never {});
        let outcome = work(connected(BoxCloneSyncService::new(stack))).await;
        sidecar.close().await;
        outcome
    }
}

/// Any sidecar: what tonic's channel and the in-process stack have in common.
type Sidecar = BoxCloneSyncService<Request<Body>, Response<Body>, StdError>;

async fn over_socket(to: &str) -> Result<Sidecar, Failure> {
    let wrong =
        || Failure::Usage(format!("--to {to}: write http://HOST:PORT, such as {DEFAULT_URL}, or unix:/PATH"));
    if !to.starts_with("http://") && !to.starts_with("unix:/") {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(to.to_owned()).map_err(|_| wrong())?;
    let connecting = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await;
    let channel = connecting.map_err(|source| Failure::Unreachable { to: to.into(), source })?;
    Ok(BoxCloneSyncService::new(channel.map_err(StdError::from)))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to one tenant of a sidecar, for generated clients.
#[derive(Clone)]
pub struct Connection {
    sidecar: Sidecar,
    tenant: HeaderValue,
    timeout: Duration,
}

/// Attempts at one call, as our published service configuration has it.
const ATTEMPTS_MAX: u32 = 4;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(())) // each attempt waits for a clone of its own to be ready
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = self.clone();
        Box::pin(async move { connection.call_repeatedly(request).await })
    }
}

impl Connection {
    /// A connection over a socket.
    pub async fn open(to: &str, tenant: &'static str, timeout: Duration) -> Result<Self, Failure> {
        let sidecar = over_socket(to).await?;
        Ok(Self { sidecar, tenant: HeaderValue::from_static(tenant), timeout })
    }

    /// The same way for streams, whose clients have a will of their own.
    pub fn streams(&self) -> Streams {
        Streams { sidecar: self.sidecar.clone(), tenant: self.tenant.clone() }
    }

    /// How long to wait for an answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn call_repeatedly(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        let message = body.collect().await?.to_bytes();
        parts.headers.insert("ckpi-tenant", self.tenant.clone());
        let timeout = HeaderValue::from_str(&format!("{}m", self.timeout.as_millis()))
            .expect("digits and a letter are a header's value");
        parts.headers.insert("grpc-timeout", timeout);

        let mut backoff = BACKOFF_FIRST;
        for _ in 1..ATTEMPTS_MAX {
            let answer = self.attempt(Request::from_parts(parts.clone(), message.clone())).await;
            let Some(wait) = answer.retry_after(backoff) else { return answer.into_result() };
            tokio::time::sleep(wait).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        self.attempt(Request::from_parts(parts, message)).await.into_result()
    }

    async fn attempt(&self, request: Request<Bytes>) -> Answer {
        let request = request.map(|message| Body::new(Full::new(message)));
        let call = async {
            let (parts, body) = self.sidecar.clone().oneshot(request).await?.into_parts();
            Ok::<_, StdError>((parts, body.collect().await?))
        };
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok((parts, body))) => {
                let in_trailers = || body.trailers().and_then(Status::from_header_map);
                let status = Status::from_header_map(&parts.headers).or_else(in_trailers);
                Answer { status, response: Some(Response::from_parts(parts, Body::new(body))) }
            }
            Ok(Err(error)) if error.is::<tonic::TimeoutExpired>() => self.no_answer(),
            Ok(Err(error)) => Answer { status: Some(Status::from_error(error)), response: None },
            Err(_) => self.no_answer(),
        }
    }

    fn no_answer(&self) -> Answer {
        let sentence =
            format!("no answer within {} s: try --timeout with more seconds", self.timeout.as_secs());
        Answer { status: Some(Status::deadline_exceeded(sentence)), response: None }
    }
}

/// A connection for streams: it names the tenant. When to give up, and to come back, is up to whoever streams.
#[derive(Clone)]
pub struct Streams {
    sidecar: Sidecar,
    tenant: HeaderValue,
}

impl Service<Request<Body>> for Streams {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(())) // each stream waits for a clone of its own to be ready
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert("ckpi-tenant", self.tenant.clone());
        Box::pin(self.sidecar.clone().oneshot(request))
    }
}

/// What one attempt came to.
struct Answer {
    status: Option<Status>,
    /// Absent where the call didn't come so far.
    response: Option<Response<Body>>,
}

impl Answer {
    /// How long to wait before the next attempt; nothing where another one wouldn't help.
    fn retry_after(&self, backoff: Duration) -> Option<Duration> {
        let status = self.status.as_ref()?;
        // A call that races with the end of a connection ends as CANCELLED, though nobody cancelled it.
        matches!(status.code(), Code::Unavailable | Code::Cancelled).then(|| {
            let asked_for = status.get_details_retry_info().and_then(|info| info.retry_delay);
            asked_for.unwrap_or(backoff).min(BACKOFF_MAX)
        })
    }

    fn into_result(self) -> Result<Response<Body>, Status> {
        match (self.response, self.status) {
            (Some(response), _) => Ok(response), // the generated client reads the status itself
            (None, Some(status)) => Err(status),
            (None, None) => Err(Status::unknown("the call ended without an answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
    use channel_kpi::proto::channelkpi::v1::kpi_service_server::{KpiService, KpiServiceServer};
    use channel_kpi::proto::channelkpi::v1::{
        BatchGetScorecardsRequest, BatchGetScorecardsResponse, GetDataQualityRequest, GetDataQualityResponse,
        GetMarketingPerformanceRequest, GetMarketingPerformanceResponse, GetPipelineRequest,
        GetPipelineResponse, GetScorecardRequest, GetScorecardResponse, GetSeriesRequest, GetSeriesResponse,
        ListContributingRecordsRequest, ListContributingRecordsResponse, ListScorecardsRequest,
        ListScorecardsResponse,
    };
    use tonic_types::ErrorDetails;

    use super::*;

    /// Answers with what it was given, then well; notes the headers of every call.
    #[derive(Clone, Default)]
    struct Scripted {
        failures: Arc<Mutex<VecDeque<Status>>>,
        headers: Arc<Mutex<Vec<(String, String)>>>,
    }

    #[tonic::async_trait]
    impl KpiService for Scripted {
        async fn get_scorecard(
            &self,
            request: tonic::Request<GetScorecardRequest>,
        ) -> Result<tonic::Response<GetScorecardResponse>, Status> {
            let header = |name: &str| {
                let value = request.metadata().get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            self.headers.lock().expect("free").push((header("ckpi-tenant"), header("grpc-timeout")));
            let failure = self.failures.lock().expect("free").pop_front();
            match failure {
                Some(status) if status.code() == Code::DeadlineExceeded => std::future::pending().await,
                Some(status) => Err(status),
                None => {
                    let answer = GetScorecardResponse { revision_token: "r".into(), ..Default::default() };
                    Ok(tonic::Response::new(answer))
                }
            }
        }

        async fn batch_get_scorecards(
            &self,
            _: tonic::Request<BatchGetScorecardsRequest>,
        ) -> Result<tonic::Response<BatchGetScorecardsResponse>, Status> {
            Err(Status::unimplemented("the test asks for no batch"))
        }

        async fn list_scorecards(
            &self,
            _: tonic::Request<ListScorecardsRequest>,
        ) -> Result<tonic::Response<ListScorecardsResponse>, Status> {
            Err(Status::unimplemented("the test lists nothing"))
        }

        async fn get_pipeline(
            &self,
            _: tonic::Request<GetPipelineRequest>,
        ) -> Result<tonic::Response<GetPipelineResponse>, Status> {
            Err(Status::unimplemented("the test asks for no pipeline"))
        }

        async fn get_marketing_performance(
            &self,
            _: tonic::Request<GetMarketingPerformanceRequest>,
        ) -> Result<tonic::Response<GetMarketingPerformanceResponse>, Status> {
            Err(Status::unimplemented("the test asks for no marketing"))
        }

        async fn get_series(
            &self,
            _: tonic::Request<GetSeriesRequest>,
        ) -> Result<tonic::Response<GetSeriesResponse>, Status> {
            Err(Status::unimplemented("the test asks for no series"))
        }

        async fn list_contributing_records(
            &self,
            _: tonic::Request<ListContributingRecordsRequest>,
        ) -> Result<tonic::Response<ListContributingRecordsResponse>, Status> {
            Err(Status::unimplemented("the test asks for no records behind a figure"))
        }

        async fn get_data_quality(
            &self,
            _: tonic::Request<GetDataQualityRequest>,
        ) -> Result<tonic::Response<GetDataQualityResponse>, Status> {
            Err(Status::unimplemented("the test asks for no findings"))
        }
    }

    fn unavailable() -> Status {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
        Status::with_error_details(Code::Unavailable, "The server is stopping.", details)
    }

    /// The code of the answer, and the headers of each attempt.
    async fn call(failures: Vec<Status>, timeout: Duration) -> (Code, Vec<(String, String)>) {
        let scripted = Scripted { failures: Arc::new(Mutex::new(failures.into())), ..Scripted::default() };
        let headers = Arc::clone(&scripted.headers);
        let server = KpiServiceServer::new(scripted);
        let server = ServiceExt::<Request<Body>>::map_err(server, |never: Infallible| match never {});
        let connection = Connection {
            sidecar: BoxCloneSyncService::new(server),
            tenant: HeaderValue::from_static("acme"),
            timeout,
        };
        let answer = KpiServiceClient::new(connection).get_scorecard(GetScorecardRequest::default()).await;
        let headers = headers.lock().expect("free").clone();
        (answer.map_or_else(|status| status.code(), |_| Code::Ok), headers)
    }

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn every_attempt_names_tenant_and_deadline() {
        let (code, headers) = call(vec![unavailable(), unavailable()], LONG).await;
        assert_eq!(code, Code::Ok);
        assert_eq!(headers, vec![("acme".to_owned(), "5000m".to_owned()); 3]);
    }

    #[tokio::test]
    async fn attempts_end() {
        let failures = std::iter::repeat_with(unavailable).take(10).collect();
        let (code, headers) = call(failures, LONG).await;
        assert_eq!((code, headers.len()), (Code::Unavailable, 4));
    }

    #[tokio::test]
    async fn only_what_may_pass_is_repeated() {
        for refusal in
            [Status::invalid_argument("no"), Status::resource_exhausted("no"), Status::internal("no")]
        {
            let expected = refusal.code();
            let (code, headers) = call(vec![refusal], LONG).await;
            assert_eq!((code, headers.len()), (expected, 1));
        }
    }

    #[tokio::test]
    async fn a_silent_sidecar_is_given_up() {
        let (code, headers) =
            call(vec![Status::deadline_exceeded("silent")], Duration::from_millis(20)).await;
        assert_eq!((code, headers.len()), (Code::DeadlineExceeded, 1));
    }
}
