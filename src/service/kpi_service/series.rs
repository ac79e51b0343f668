//! GetSeries.

use tonic::{Request, Response, Status};

use super::card::Cards;
use super::parse::SeriesQuestion;
use super::render::{scorecard, series, value};
use super::{Rpc, RpcResult, failure, parse, scope};
use crate::book::Book;
use crate::domain::calendar::Instant;
use crate::domain::record::Settings;
use crate::domain::series::buckets;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetSeriesRequest>,
) -> RpcResult<pb::GetSeriesResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let question = parse::get_series(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &question.consistency).await?;

    let knowledge = question.asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, knowledge, move |book, settings| {
        let answer = answer(book, settings, &question, &request.premises, now)?;
        Ok(pb::GetSeriesResponse { revision_token: tokens.revision_token(&owner, book.revision()), ..answer })
    });
    answer.await.map(Response::new)
}

/// All but the revision.
fn answer(
    book: &Book,
    settings: &Settings,
    SeriesQuestion { subject, unit, asked, .. }: &SeriesQuestion,
    premises: &Option<pb::Premises>,
    now: Instant,
) -> Result<pb::GetSeriesResponse, Status> {
    let span = Cards::window(settings, asked, asked.as_of, now)?;
    let buckets = buckets(&span, *unit, &settings.period_starts());
    if buckets.len() > SeriesQuestion::BUCKETS_MAX {
        return Err(failure::too_many_buckets(buckets.len(), SeriesQuestion::BUCKETS_MAX));
    }
    // Also where no day has come and nothing is told.
    scope(book, subject, &asked.premises)?;
    let rates = asked.premises.exchange.rates_in(&span);
    let mut points = Vec::with_capacity(buckets.len());
    let (mut oldest_rate_on, mut open_before_count) = (None, None);
    for bucket in &buckets {
        let cards = Cards::of_bucket(book, settings, asked, bucket.window, rates, open_before_count);
        let cards = cards.of_subject(subject);
        let card = cards.subject(subject)?;
        open_before_count = Some(card.now.standing.open_after_count());
        oldest_rate_on = [oldest_rate_on, card.oldest_rate_on].into_iter().flatten().min();
        points.push(series::point(bucket, cards.render(&card)));
    }
    let (survivor, name) = book.identify(subject);
    Ok(pb::GetSeriesResponse {
        subject: Some(value::subject(&survivor)),
        name: name.unwrap_or_default().to_owned(),
        points,
        definition: Some(scorecard::definition(&span, None, rates, premises, settings, oldest_rate_on)),
        revision_token: String::new(),
    })
}
