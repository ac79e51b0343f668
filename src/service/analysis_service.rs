//! AnalysisService: what stands behind the figures. Each method has its file.

mod advice;
mod explain;
mod plan;
mod recommend;
mod restate;
mod strategy;

use tonic::Request;

use super::kpi_service::Cards;
use super::{Caller, Rpc, RpcResult, failure, parse, render};
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

#[tonic::async_trait]
impl<J: Journal> pb::analysis_service_server::AnalysisService for Rpc<J> {
    async fn explain_change(
        &self,
        request: Request<pb::ExplainChangeRequest>,
    ) -> RpcResult<pb::ExplainChangeResponse> {
        explain::change(self, request).await
    }

    async fn list_recommendations(
        &self,
        request: Request<pb::ListRecommendationsRequest>,
    ) -> RpcResult<pb::ListRecommendationsResponse> {
        recommend::list(self, request).await
    }

    async fn get_plan(&self, request: Request<pb::GetPlanRequest>) -> RpcResult<pb::GetPlanResponse> {
        plan::get(self, request).await
    }

    async fn evaluate_strategy(
        &self,
        request: Request<pb::EvaluateStrategyRequest>,
    ) -> RpcResult<pb::EvaluateStrategyResponse> {
        strategy::evaluate(self, request).await
    }

    async fn compare_knowledge(
        &self,
        request: Request<pb::CompareKnowledgeRequest>,
    ) -> RpcResult<pb::CompareKnowledgeResponse> {
        restate::compare(self, request).await
    }
}
