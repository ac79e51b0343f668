//! EvaluateStrategy.

use tonic::{Request, Response};

use super::parse;
use super::render::{record, scorecard, strategy};
use super::{Rpc, RpcResult, failure};
use crate::book::EffectQuestion;
use crate::journal::Journal;
use crate::kpi::peers::direction;
use crate::proto::channelkpi::v1 as pb;
use crate::service::as_of_or_today;

pub async fn evaluate<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::EvaluateStrategyRequest>,
) -> RpcResult<pb::EvaluateStrategyResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::evaluate_strategy(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, knowledge, move |book, settings, caller| {
        let found = book.strategy(&asked.strategy).ok_or_else(|| failure::no_strategy(&asked.strategy))?;
        let question = EffectQuestion {
            strategy: found,
            kpi: asked.kpi,
            days: asked.days,
            as_of: as_of_or_today(asked.as_of, settings, now),
            premises: &asked.premises,
        };
        let told = book.strategy_effects(&question, &|| !caller.has_gone());
        caller.still_waits()?;
        let told = told.ok_or_else(|| failure::days_after(found.start_on))?;
        let (window, before) = (&told.after, told.before.as_ref());
        let premises = &request.premises;
        let definition =
            scorecard::definition(window, before, told.rates, premises, settings, told.oldest_rate_on);
        let effect = |of_kind| strategy::strategy_effect(of_kind, direction(asked.kpi));
        Ok(pb::EvaluateStrategyResponse {
            effects: told.of_kinds.iter().map(effect).collect(),
            strategy: Some(record::strategy(&asked.strategy, Some(found))),
            kpi: request.kpi,
            days: asked.days.into(),
            definition: Some(definition),
            revision_token: tokens.revision_token(&owner, book.revision()),
        })
    });
    answer.await.map(Response::new)
}
