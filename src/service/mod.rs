//! The gRPC services: parse, ask, render. The only room that knows the wire and the domain.
//!
//! A handler parses its request into domain types, asks the book, and renders the answer; what goes
//! wrong becomes a status in `failure`. Deadlines, limits and request ids are the server's.

mod admin_service;
mod analysis_service;
mod asking;
mod failure;
mod feed;
mod kpi_service;
mod leaderboard_service;
mod page;
pub mod parse;
mod record_service;
pub mod render;
pub mod status;
pub mod token;

use std::sync::Arc;

use tonic::service::Routes;
use tonic::{Request, Response, Status};

use self::asking::{Caller, blocking};
use self::leaderboard_service::{LeaderboardRoutes, WatchedBoards};
use self::parse::{Consistency, PageRequest};
use self::token::{Owner, Walk};
use crate::clock::Clock;
use crate::config::Limits;
use crate::domain::calendar::{Date, Instant};
use crate::domain::ids::TenantId;
use crate::domain::record::Settings;
use crate::domain::window::{Window, WindowSpec};
use crate::journal::{Journal, Revision};
use crate::proto::channelkpi::v1 as pb;
use crate::server::DEFAULT_TENANT;
use crate::tenant::{Tenant, Tenants};

type RpcResult<T> = Result<Response<T>, Status>;

/// The handlers of all services.
struct Rpc<J> {
    tenants: Arc<Tenants<J>>,
    clock: Clock,
    limits: Arc<Limits>,
    watched: Arc<WatchedBoards<J>>,
}

/// The services over the tenants of a store.
pub fn routes<J: Journal>(tenants: Arc<Tenants<J>>, clock: Clock, limits: &Limits) -> Routes {
    use pb::admin_service_server::AdminServiceServer;
    use pb::analysis_service_server::AnalysisServiceServer;
    use pb::kpi_service_server::KpiServiceServer;
    use pb::record_service_server::RecordServiceServer;
    let message_in_bytes_max = limits.message_in_bytes_max as usize;
    let watched = Arc::new(WatchedBoards::new(clock.clone(), limits));
    let rpc = Rpc { tenants, clock, limits: Arc::new(limits.clone()), watched };
    Routes::new(RecordServiceServer::new(rpc.clone()).max_decoding_message_size(message_in_bytes_max))
        .add_service(KpiServiceServer::new(rpc.clone()).max_decoding_message_size(message_in_bytes_max))
        .add_service(AnalysisServiceServer::new(rpc.clone()).max_decoding_message_size(message_in_bytes_max))
        .add_service(LeaderboardRoutes { rpc: rpc.clone(), message_in_bytes_max })
        .add_service(AdminServiceServer::new(rpc).max_decoding_message_size(message_in_bytes_max))
}

// === impl Rpc ===

impl<J> Clone for Rpc<J> {
    fn clone(&self) -> Self {
        Self {
            tenants: Arc::clone(&self.tenants),
            clock: self.clock.clone(),
            limits: Arc::clone(&self.limits),
            watched: Arc::clone(&self.watched),
        }
    }
}

impl<J: Journal> Rpc<J> {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The tenant that the call selects.
    async fn tenant<T>(&self, request: &Request<T>) -> Result<Arc<Tenant<J>>, Status> {
        match request.extensions().get::<TenantId>() {
            Some(id) => self.existing(id).await,
            None => {
                let id = TenantId::try_new(DEFAULT_TENANT).expect("the default tenant's id is one");
                self.existing(&id).await
            }
        }
    }

    async fn existing(&self, id: &TenantId) -> Result<Arc<Tenant<J>>, Status> {
        self.tenants.get(id).await.map_err(|error| failure::registry(id, error))
    }

    /// Waits until the book is as fresh as the call demands.
    async fn make_fresh(&self, tenant: &Tenant<J>, consistency: &Consistency) -> Result<(), Status> {
        let fresh = match consistency {
            Consistency::MinimizeLatency => Ok(()),
            Consistency::FullyConsistent => tenant.up_to_date().await,
            Consistency::AtLeastAsFresh(token) => {
                let revision =
                    token::decode_revision(owner(tenant), token).map_err(failure::revision_token)?;
                tenant.at_least(Revision(revision)).await
            }
        };
        fresh.map_err(failure::freshness)
    }

    fn revision_token(&self, tenant: &Tenant<J>, revision: u64) -> String {
        token::encode_revision(owner(tenant), revision)
    }

    /// Where a list goes on; None at its first page.
    fn walk(&self, tenant: &Tenant<J>, page: &PageRequest) -> Result<Option<Walk>, Status> {
        let token = page.token.as_deref();
        token
            .map(|token| token::decode_page(owner(tenant), page.arguments_hash, token))
            .transpose()
            .map_err(failure::page_token)
    }

    /// The token of the next page; empty where there is none.
    fn page_token(&self, tenant: &Tenant<J>, page: &PageRequest, next: Option<Walk>) -> String {
        next.map_or_else(String::new, |walk| token::encode_page(owner(tenant), page.arguments_hash, walk))
    }
}

/// Today in the tenant's time zone, where no other day is asked for.
fn as_of_or_today(as_of: Option<Date>, settings: &Settings, now: Instant) -> Date {
    as_of.unwrap_or_else(|| settings.zone.local_date(now))
}

/// A window as dates.
fn window(spec: WindowSpec, as_of: Date, settings: &Settings) -> Result<Window, Status> {
    spec.resolve(as_of, &settings.period_starts()).ok_or_else(|| failure::window(as_of))
}

fn owner<J: Journal>(tenant: &Tenant<J>) -> Owner<'_> {
    Owner { store_id: tenant.store_id().0, tenant: tenant.id() }
}
