//! GetMarketingPerformance.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::parse::View;
use super::render::marketing;
use super::{Rpc, RpcResult, as_of_or_today, failure, parse, scope, weight, window};
use crate::book::{Book, MarketingQuestion};
use crate::domain::record::Settings;
use crate::domain::window::Window;
use crate::journal::Journal;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::recommendation::Levels;
use crate::kpi::rules::channel::channels;
use crate::proto::channelkpi::v1 as pb;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetMarketingPerformanceRequest>,
) -> RpcResult<pb::GetMarketingPerformanceResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::get_marketing_performance(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let asked = Arc::new(asked);
    let weighed = Arc::clone(&asked);
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| {
        let as_of = as_of_or_today(weighed.as_of, settings, now);
        // One that can't be asked reads nothing.
        let Ok(now) = window(weighed.window, as_of, settings) else { return 0 };
        if weighed.basis == Basis::Cohort || weighed.view >= View::Full {
            return u64::MAX;
        }
        weight(book, &weighed.subject, &weighed.premises, |scope| {
            let rows = |window: &Window| book.rows_dated(scope, window.counted()) + book.spend_count();
            rows(&now) + now.compared(weighed.comparison).as_ref().map_or(0, rows)
        })
    };
    let knowledge = asked.premises.knowledge;
    let answer = rpc.ask_weighed(&tenant, knowledge, weigh, move |book, settings, caller| {
        let as_of = as_of_or_today(asked.as_of, settings, now);
        let window = window(asked.window, as_of, settings)?;
        let before = window.compared(asked.comparison);
        let question = MarketingQuestion {
            subject: &asked.subject,
            filter: &asked.premises.filter,
            scope: &scope(book, &asked.subject, &asked.premises)?,
            basis: asked.basis,
            rates: asked.premises.exchange.rates_in(&window),
        };
        let told = |window: &Window| {
            caller.still_waits()?;
            Ok::<_, Status>(book.marketing(&question, window))
        };
        let judged = match asked.view >= View::Full {
            true => book.judged_marketing(&question, &window),
            false => None,
        };
        let levels = Levels::from(&settings.thresholds);
        let verdicts = judged.as_ref().map(|(older, judged)| channels(&judged.found, older, &levels));
        let (subject, name) = book.identify(&asked.subject);
        let told = marketing::Told {
            subject,
            name,
            basis: asked.basis,
            rates: question.rates,
            now: told(&window)?,
            before: before.as_ref().map(told).transpose()?,
            window,
            compared: before,
            verdicts: verdicts.unwrap_or_default(),
            judged_rate_on: judged.as_ref().and_then(|(_, judged)| judged.oldest_rate_on),
        };
        let performance = marketing::performance(&told, settings.reporting_currency);
        let definition = marketing::definition(&told, &request.premises, settings);
        Ok((performance, definition, book.revision()))
    });
    let (performance, definition, revision) = answer.await?;
    Ok(Response::new(pb::GetMarketingPerformanceResponse {
        performance: Some(performance),
        definition: Some(definition),
        revision_token: rpc.revision_token(&tenant, revision),
    }))
}
