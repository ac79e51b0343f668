//! KpiService: parse, ask the book, render. Each method has its file.

mod card;
mod contributing;
mod marketing;
mod pipeline;
mod quality;
mod scorecard;
mod series;

use tonic::{Request, Status};

use super::{Rpc, RpcResult, failure, page, parse, render, token};
use crate::book::{Book, Scope};
use crate::domain::calendar::{Date, Instant};
use crate::domain::premises::Premises;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::{Window, WindowSpec};
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

/// Today in the tenant's time zone, where no other day is asked for.
fn as_of_or_today(as_of: Option<Date>, settings: &Settings, now: Instant) -> Date {
    as_of.unwrap_or_else(|| settings.zone.local_date(now))
}

/// A window as dates.
fn window(spec: WindowSpec, as_of: Date, settings: &Settings) -> Result<Window, Status> {
    spec.resolve(as_of, &settings.period_starts()).ok_or_else(|| failure::window(as_of))
}

/// Whose rows a question folds.
fn scope(book: &Book, subject: &Subject, premises: &Premises) -> Result<Scope, Status> {
    let scope = book.scope(subject, &premises.filter, premises.roles);
    scope.ok_or_else(|| failure::no_subject(subject))
}
