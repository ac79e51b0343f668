//! ListRecommendations.

use tonic::{Request, Response, Status};

use super::advice::{Advice, Advisor, Windows};
use super::parse::{AdviceQuestion, RecommendationsQuestion};
use super::render::figure::Figures;
use super::render::{recommendation, scorecard};
use super::{Rpc, RpcResult, failure, parse};
use crate::domain::calendar::{Date, Instant};
use crate::domain::record::Settings;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::service::token::Walk;

pub async fn list<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::ListRecommendationsRequest>,
) -> RpcResult<pb::ListRecommendationsResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let RecommendationsQuestion { whom, rules, asked, page } =
        parse::list_recommendations(&request).map_err(failure::violations)?;
    let walk = rpc.walk(&tenant, &page)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, asked.premises.knowledge, move |book, settings, caller| {
        let kept_day = walk.as_ref().and_then(|walk| walk.as_of);
        let windows = windows(settings, &asked, kept_day, now)?;
        let advisor = Advisor::new((book, settings), &asked.premises, windows, &rules, caller);
        let mut keyed: Vec<(Vec<u8>, Advice<'_>)> =
            advisor.advice(&whom)?.into_iter().map(|advice| (advice.order_key(), advice)).collect();
        keyed.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let total_size = i32::try_from(keyed.len()).unwrap_or(i32::MAX);
        let from = walk.as_ref().map_or(0, |walk| keyed.partition_point(|(key, _)| *key <= walk.last_key));
        let mut rest = keyed.split_off(from);
        let goes_on = rest.len() > page.size;
        rest.truncate(page.size);
        let last_key = rest.last().filter(|_| goes_on).map(|(key, _)| key.clone());
        let listed: Vec<Advice<'_>> = rest.into_iter().map(|(_, advice)| advice).collect();
        let recommendations = recommendations(&advisor, &asked, listed)?;
        let next = last_key.map(|last_key| Walk {
            first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
            as_of: Some(advisor.windows().as_of()),
            last_key,
        });
        Ok(pb::ListRecommendationsResponse {
            recommendations,
            total_size,
            definition: Some(definition(&advisor, &request.premises, settings)),
            next_page_token: tokens.page_token(&owner, &page, next),
            revision_token: tokens.revision_token(&owner, book.revision()),
            revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
        })
    });
    answer.await.map(Response::new)
}

/// The days that are looked at.
pub fn windows(
    settings: &Settings,
    asked: &AdviceQuestion,
    kept_day: Option<Date>,
    now: Instant,
) -> Result<Windows, Status> {
    let as_of = asked.as_of.or(kept_day);
    Windows::resolve(settings, asked.window, asked.comparison, as_of, &asked.premises, now)
}

/// Some of what an advisor says, in this order, with the records behind each.
pub fn recommendations(
    advisor: &Advisor<'_>,
    asked: &AdviceQuestion,
    listed: Vec<Advice<'_>>,
) -> Result<Vec<pb::Recommendation>, Status> {
    let currency = advisor.settings().reporting_currency;
    let speaker = asked.language.speaker(currency);
    let told = listed.iter().map(|advice| {
        advisor.still_waits()?;
        let records = advisor.records(advice)?;
        let told = recommendation::Told {
            subject: &advice.subject,
            name: advisor.name_of(&advice.subject),
            finding: &advice.finding,
            deal_ids: records.deal_ids,
            lead_ids: records.lead_ids,
            record_count: records.record_count,
        };
        Ok(recommendation::recommendation(Figures { currency }, &speaker, told))
    });
    told.collect()
}

pub fn definition(
    advisor: &Advisor<'_>,
    premises: &Option<pb::Premises>,
    settings: &Settings,
) -> pb::Definition {
    let windows = advisor.windows();
    let oldest = advisor.oldest_rate_on();
    scorecard::definition(&windows.now, windows.before.as_ref(), windows.rates, premises, settings, oldest)
}
