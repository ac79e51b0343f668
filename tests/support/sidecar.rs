//! A sidecar in the test's own process, asked over a real socket by the generated clients.

#![allow(dead_code)] // each test binary uses a part of this

use std::net::SocketAddr;
use std::time::Duration;

use channel_kpi::clock::Clock;
use channel_kpi::config::{Config, Limits};
use channel_kpi::proto::channelkpi::v1::CreateTenantRequest;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{Record, TenantSettings, WriteRecordsRequest};
use channel_kpi::server::{Drained, Listen};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub struct Sidecar {
    pub data_dir: TempDir,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Drained>,
}

impl Sidecar {
    pub async fn start() -> Self {
        Self::start_on(tempfile::tempdir().expect("a directory for the test")).await
    }

    pub async fn start_on(data_dir: TempDir) -> Self {
        Self::start_with(data_dir, Limits::default()).await
    }

    /// With limits of the test's own; it never waits for load balancers.
    pub async fn start_with(data_dir: TempDir, limits: Limits) -> Self {
        Self::start_as(data_dir, limits, Clock::default()).await
    }

    /// With limits and a clock of the test's.
    pub async fn start_as(data_dir: TempDir, limits: Limits, clock: Clock) -> Self {
        let config = Config {
            data_dir: data_dir.path().to_owned(),
            listen: vec![Listen::Tcp(([127, 0, 0, 1], 0).into())],
            limits: Limits { drain_delay: Duration::ZERO, ..limits },
        };
        let sidecar = channel_kpi::open_by_clock(config, clock).await.expect("the directory is ours");
        let server = sidecar.bind().expect("some port is free");
        let Listen::Tcp(address) = server.local_addrs()[0] else { panic!("it listens on TCP") };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(sidecar.serve(server, stop.clone(), CancellationToken::new()));
        Self { data_dir, address, stop, serving }
    }

    /// Stops it in order, and leaves what it has stored.
    pub async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.serving.await.expect("the sidecar doesn't panic");
        self.data_dir
    }

    pub async fn connect(&self) -> Channel {
        self.endpoint().connect().await.expect("the sidecar listens")
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(format!("http://{}", self.address)).expect("an address makes a URL")
    }

    /// Clients on a connection of their own, each of whose streams holds so many bytes that weren't read.
    pub async fn caller_with_window(&self, tenant_id: &str, stream_window_bytes: u32) -> Caller {
        let endpoint = self.endpoint().initial_stream_window_size(stream_window_bytes);
        Self::caller_over(endpoint.connect().await.expect("the sidecar listens"), tenant_id)
    }

    /// Clients whose calls select a tenant, which need not be there.
    pub async fn caller(&self, tenant_id: &str) -> Caller {
        Self::caller_over(self.connect().await, tenant_id)
    }

    fn caller_over(channel: Channel, tenant_id: &str) -> Caller {
        let tenant = AsTenant(tenant_id.parse().expect("the test gives a value for metadata"));
        let channel = InterceptedService::new(channel, tenant);
        Caller {
            admin: AdminServiceClient::new(channel.clone()),
            records: RecordServiceClient::new(channel.clone()),
            kpis: KpiServiceClient::new(channel.clone()),
            boards: LeaderboardServiceClient::new(channel.clone()),
            analysis: AnalysisServiceClient::new(channel),
        }
    }

    /// Clients of a tenant that is created for them.
    pub async fn tenant(&self, tenant_id: &str, settings: TenantSettings) -> Caller {
        let mut caller = self.caller(tenant_id).await;
        let create = CreateTenantRequest { tenant_id: tenant_id.to_owned(), settings: Some(settings) };
        caller.admin.create_tenant(create).await.expect("the settings are valid");
        caller
    }
}

/// The clients of the services.
#[derive(Clone)]
pub struct Caller {
    pub admin: AdminServiceClient<InterceptedService<Channel, AsTenant>>,
    pub records: RecordServiceClient<InterceptedService<Channel, AsTenant>>,
    pub kpis: KpiServiceClient<InterceptedService<Channel, AsTenant>>,
    pub boards: LeaderboardServiceClient<InterceptedService<Channel, AsTenant>>,
    pub analysis: AnalysisServiceClient<InterceptedService<Channel, AsTenant>>,
}

impl Caller {
    /// Writes records that must be taken; the revision from which on figures show them.
    pub async fn write(&mut self, records: Vec<Record>) -> String {
        let request = WriteRecordsRequest { records, ..WriteRecordsRequest::default() };
        let answer = self.records.write_records(request).await.expect("the records are valid").into_inner();
        assert_eq!(answer.rejected_records, []);
        answer.revision_token
    }
}

#[derive(Clone)]
pub struct AsTenant(AsciiMetadataValue);

impl Interceptor for AsTenant {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("ckpi-tenant", self.0.clone());
        Ok(request)
    }
}
