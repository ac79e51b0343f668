//! KpiService: parse, ask the book, render. Each method has its file.

mod card;
mod contributing;
mod marketing;
mod pipeline;
mod quality;
mod reads;
mod scorecard;
mod series;

pub(super) use self::card::Cards;

use tonic::{Request, Status};

use super::{Caller, Rpc, RpcResult, as_of_or_today, blocking, failure, page, parse, render, token, window};
use crate::book::{Book, Scope};
use crate::domain::filter::Filter;
use crate::domain::premises::Premises;
use crate::domain::subject::Subject;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

#[tonic::async_trait]
impl<J: Journal> pb::kpi_service_server::KpiService for Rpc<J> {
    async fn get_scorecard(
        &self,
        request: Request<pb::GetScorecardRequest>,
    ) -> RpcResult<pb::GetScorecardResponse> {
        scorecard::get(self, request).await
    }

    async fn batch_get_scorecards(
        &self,
        request: Request<pb::BatchGetScorecardsRequest>,
    ) -> RpcResult<pb::BatchGetScorecardsResponse> {
        scorecard::batch_get(self, request).await
    }

    async fn list_scorecards(
        &self,
        request: Request<pb::ListScorecardsRequest>,
    ) -> RpcResult<pb::ListScorecardsResponse> {
        scorecard::list(self, request).await
    }

    async fn get_pipeline(
        &self,
        request: Request<pb::GetPipelineRequest>,
    ) -> RpcResult<pb::GetPipelineResponse> {
        pipeline::get(self, request).await
    }

    async fn get_marketing_performance(
        &self,
        request: Request<pb::GetMarketingPerformanceRequest>,
    ) -> RpcResult<pb::GetMarketingPerformanceResponse> {
        marketing::get(self, request).await
    }

    async fn list_contributing_records(
        &self,
        request: Request<pb::ListContributingRecordsRequest>,
    ) -> RpcResult<pb::ListContributingRecordsResponse> {
        contributing::list(self, request).await
    }

    async fn get_data_quality(
        &self,
        request: Request<pb::GetDataQualityRequest>,
    ) -> RpcResult<pb::GetDataQualityResponse> {
        quality::get(self, request).await
    }

    async fn get_series(&self, request: Request<pb::GetSeriesRequest>) -> RpcResult<pb::GetSeriesResponse> {
        series::get(self, request).await
    }
}

/// How many rows a question reads at most, told before it is asked. Forming the scope of a filter may scan
/// more than any question may read at once; of a subject that nobody knows nothing is read.
fn weight(book: &Book, subject: &Subject, premises: &Premises, rows: impl FnOnce(&Scope) -> u64) -> u64 {
    if premises.filter != Filter::default() {
        return u64::MAX;
    }
    book.scope(subject, &premises.filter, premises.roles).map_or(0, |scope| rows(&scope))
}

/// Whose rows a question folds.
fn scope(book: &Book, subject: &Subject, premises: &Premises) -> Result<Scope, Status> {
    let scope = book.scope(subject, &premises.filter, premises.roles);
    scope.ok_or_else(|| failure::no_subject(subject))
}
