//! AdminService: tenants.

use std::sync::Arc;

use tonic::{Request, Response};

use super::{Rpc, RpcResult, failure, parse, render};
use crate::domain::ids::TenantId;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::tenant::Tenant;

#[tonic::async_trait]
impl<J: Journal> pb::admin_service_server::AdminService for Rpc<J> {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> RpcResult<pb::CreateTenantResponse> {
        let (id, settings) = parse::create_tenant(request.get_ref()).map_err(failure::violations)?;
        let created = self.tenants.create(&id, settings, self.now()).await;
        let (tenant, revision) = created.map_err(|error| failure::registry(&id, error))?;
        Ok(Response::new(pb::CreateTenantResponse {
            tenant: Some(described(&tenant)),
            revision_token: self.revision_token(&tenant, revision.0),
        }))
    }

    async fn get_tenant(&self, request: Request<pb::GetTenantRequest>) -> RpcResult<pb::GetTenantResponse> {
        let id = parse::get_tenant(request.get_ref()).map_err(failure::violations)?;
        let tenant = self.existing(&id).await?;
        let revision = tenant.book().revision();
        Ok(Response::new(pb::GetTenantResponse {
            tenant: Some(described(&tenant)),
            revision_token: self.revision_token(&tenant, revision),
        }))
    }

    async fn configure_tenant(
        &self,
        request: Request<pb::ConfigureTenantRequest>,
    ) -> RpcResult<pb::ConfigureTenantResponse> {
        let (id, settings) = parse::configure_tenant(request.get_ref()).map_err(failure::violations)?;
        let configured = self.tenants.configure(&id, settings, self.now()).await;
        let (tenant, revision) = configured.map_err(|error| failure::registry(&id, error))?;
        Ok(Response::new(pb::ConfigureTenantResponse {
            tenant: Some(described(&tenant)),
            revision_token: self.revision_token(&tenant, revision.0),
        }))
    }

    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> RpcResult<pb::DeleteTenantResponse> {
        let id: TenantId = parse::delete_tenant(request.get_ref()).map_err(failure::violations)?;
        self.tenants.delete(&id).await.map_err(|error| failure::registry(&id, error))?;
        Ok(Response::new(pb::DeleteTenantResponse {}))
    }
}

fn described<J: Journal>(tenant: &Arc<Tenant<J>>) -> pb::Tenant {
    let book = tenant.book();
    let settings = book.records().settings.current();
    pb::Tenant {
        tenant_id: tenant.id().to_string(),
        settings: settings.map(|kept| render::record::settings(&kept.content)),
        settings_update_time: settings.map(|kept| render::value::instant(kept.key.update_time)),
        deal_count: book.records().deal_count() as i64,
        version_count: book.records().version_count() as i64,
    }
}
