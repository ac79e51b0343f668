//! GetPipeline.

use std::sync::Arc;

use tonic::{Request, Response};

use super::parse::PipelineQuestion;
use super::reads::OPEN_DEAL_WEIGHT;
use super::render::pipeline;
use super::{Rpc, RpcResult, as_of_or_today, failure, parse, scope, weight};
use crate::book::{Book, Scope};
use crate::domain::calendar::{Date, Instant};
use crate::domain::record::Settings;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetPipelineRequest>,
) -> RpcResult<pb::GetPipelineResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::get_pipeline(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let asked = Arc::new(asked);
    let weighed = Arc::clone(&asked);
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| {
        let (since, _) = days(&weighed, settings, now);
        // Once for what is open, twice for what became of what was.
        let rows = |scope: &Scope| 3 * OPEN_DEAL_WEIGHT * book.rows_ending_after(scope, since);
        weight(book, &weighed.subject, &weighed.premises, rows).saturating_add(book.target_count())
    };
    let knowledge = asked.premises.knowledge;
    let answer = rpc.ask_weighed(&tenant, knowledge, weigh, move |book, settings, caller| {
        let (since, as_of) = days(&asked, settings, now);
        if since > as_of {
            return Err(failure::since(since, as_of));
        }
        let scope = scope(book, &asked.subject, &asked.premises)?;
        let rates_on = asked.premises.exchange.rates_of_stock(as_of);
        let open = book.pipeline(&scope, &asked.stages, as_of, rates_on, asked.expiring_days.into());
        caller.still_waits()?;
        let movement = book.movement(&scope, since, as_of, rates_on);
        caller.still_waits()?;
        let (subject, name) = book.identify(&asked.subject);
        let told = pipeline::Told {
            subject,
            name,
            since,
            as_of,
            rates_on,
            expiring_days: asked.expiring_days,
            open,
            movement,
            targets: book.targets(&asked.subject, asked.premises.roles, as_of, asked.premises.exchange),
        };
        let pipeline = pipeline::pipeline(&told, settings.reporting_currency);
        let definition = pipeline::definition(&told, &request, settings);
        Ok((pipeline, definition, book.revision()))
    });
    let (pipeline, definition, revision) = answer.await?;
    Ok(Response::new(pb::GetPipelineResponse {
        pipeline: Some(pipeline),
        definition: Some(definition),
        revision_token: rpc.revision_token(&tenant, revision),
    }))
}

/// Since when a question is about what changed, and the day that it is asked of.
fn days(asked: &PipelineQuestion, settings: &Settings, now: Instant) -> (Date, Date) {
    let as_of = as_of_or_today(asked.as_of, settings, now);
    (asked.since.unwrap_or_else(|| as_of.plus_months(-1)), as_of)
}
