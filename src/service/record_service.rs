//! RecordService: records in, records out.

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::token::Walk;
use super::{Rpc, RpcResult, blocking, failure, feed, page, parse, render};
use crate::book::StoredVersion;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::server::Life;

#[tonic::async_trait]
impl<J: Journal> pb::record_service_server::RecordService for Rpc<J> {
    async fn write_records(
        &self,
        request: Request<pb::WriteRecordsRequest>,
    ) -> RpcResult<pb::WriteRecordsResponse> {
        let tenant = self.tenant(&request).await?;
        failure::configured(tenant.id(), &tenant.book())?;
        let now = self.now();
        let accepted = parse::write_records(request.get_ref(), now).map_err(failure::refusal)?;
        // Where all were rejected there is nothing to write.
        let revision = if accepted.versions.is_empty() {
            tenant.book().revision()
        } else {
            tenant.write(now, accepted.versions).await.map_err(failure::append)?.0
        };
        Ok(Response::new(pb::WriteRecordsResponse {
            revision_token: self.revision_token(&tenant, revision),
            rejected_records: accepted.rejected.iter().map(rejection).collect(),
        }))
    }

    type IngestRecordsStream = BoxStream<'static, Result<pb::IngestRecordsResponse, Status>>;

    async fn ingest_records(
        &self,
        request: Request<Streaming<pb::IngestRecordsRequest>>,
    ) -> RpcResult<Self::IngestRecordsStream> {
        let tenant = self.tenant(&request).await?;
        failure::configured(tenant.id(), &tenant.book())?;
        let life = request.extensions().get::<Life>().cloned();
        let life = life.expect("the stack gives every stream one");
        Ok(Response::new(feed::answers(self.clone(), tenant, life, request.into_inner())))
    }

    async fn get_record(&self, request: Request<pb::GetRecordRequest>) -> RpcResult<pb::GetRecordResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::get_record(request.get_ref()).map_err(failure::violations)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let book = tenant.book();
        let versions = book.records().versions(&asked.key);
        if versions.is_empty() {
            return Err(failure::no_record(&asked.key));
        }
        Ok(Response::new(pb::GetRecordResponse {
            versions: versions.iter().map(stored).collect(),
            revision_token: self.revision_token(&tenant, book.revision()),
        }))
    }

    async fn list_records(
        &self,
        request: Request<pb::ListRecordsRequest>,
    ) -> RpcResult<pb::ListRecordsResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::list_records(request.get_ref()).map_err(failure::violations)?;
        let walk = self.walk(&tenant, &asked.page)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let rpc = self.clone();
        blocking(move || {
            let after = walk.as_ref().map(|walk| page::last_record(asked.kind, walk)).transpose();
            let after = after.map_err(failure::page_token)?;
            let book = tenant.book();
            let count = asked.page.size + 1;
            let mut versions = book.records().list(asked.kind, after.as_ref(), count, asked.include_deleted);
            let goes_on = versions.len() > asked.page.size;
            versions.truncate(asked.page.size);
            let next = versions.last().filter(|_| goes_on).map(|last| Walk {
                first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
                as_of: None,
                last_key: page::sort_key(&last.version.record.key()),
            });
            Ok(Response::new(pb::ListRecordsResponse {
                versions: versions.iter().map(stored).collect(),
                next_page_token: rpc.page_token(&tenant, &asked.page, next),
                revision_token: rpc.revision_token(&tenant, book.revision()),
                revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
            }))
        })
        .await
    }
}

fn stored(stored: &StoredVersion) -> pb::RecordVersion {
    render::record::record_version(&stored.version, stored.received_time, stored.current)
}

fn rejection((index, violations): &(usize, parse::Violations)) -> pb::RejectedRecord {
    pb::RejectedRecord {
        index: *index as i32,
        reason: pb::ErrorReason::InvalidField.into(),
        violations: kept(violations),
    }
}

/// What an answer tells of a record that was rejected.
pub(super) fn kept(violations: &parse::Violations) -> Vec<pb::FieldViolation> {
    let violation = |violation: &parse::Violation| pb::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
    };
    violations.kept().iter().map(violation).collect()
}
