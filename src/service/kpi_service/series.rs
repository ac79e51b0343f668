//! GetSeries.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::card::Cards;
use super::parse::SeriesQuestion;
use super::render::{scorecard, series, value};
use super::{Caller, Rpc, RpcResult, blocking, failure, parse, scope};
use crate::book::Book;
use crate::domain::calendar::Instant;
use crate::domain::record::Settings;
use crate::domain::series::{Bucket, buckets};
use crate::journal::Journal;
use crate::kpi::Kpi;
use crate::kpi::figure::Ratio;
use crate::kpi::trend::trend;
use crate::proto::channelkpi::v1 as pb;

/// What a bucket costs beside the rows that it reads, in rows.
const BUCKET_WEIGHT: u64 = 100;

/// Trends that compare fewer pairs of buckets are told at once: some 10 ns each.
const PAIRS_AT_ONCE_MAX: usize = 50_000;

/// What the trend of a KPI is told from: of each bucket its figure, if that counts.
struct Course {
    kpi: Kpi,
    figures: Vec<Option<Ratio>>,
}

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetSeriesRequest>,
) -> RpcResult<pb::GetSeriesResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let question = parse::get_series(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &question.consistency).await?;

    let question = Arc::new(question);
    let weighed = Arc::clone(&question);
    let knowledge = question.asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| weight(book, settings, &weighed, now);
    let answer = rpc.ask_weighed(&tenant, knowledge, weigh, move |book, settings, caller| {
        let (answer, courses) = answer(book, settings, &question, &request.premises, now, caller)?;
        let revision_token = tokens.revision_token(&owner, book.revision());
        Ok((pb::GetSeriesResponse { revision_token, ..answer }, courses))
    });
    let (answer, courses) = answer.await?;
    Ok(Response::new(pb::GetSeriesResponse { trends: trends(courses).await?, ..answer }))
}

/// They are told when the book is free again: of many buckets they take longer than a book should be held.
async fn trends(courses: Vec<Course>) -> Result<Vec<pb::SeriesTrend>, Status> {
    let pair_count: usize = courses.iter().map(|course| course.figures.len().pow(2) / 2).sum();
    let tell = move || {
        let trend = |Course { kpi, figures }: &Course| series::trend(*kpi, figures, trend(figures));
        courses.iter().filter(|course| !course.figures.is_empty()).map(trend).collect()
    };
    if pair_count <= PAIRS_AT_ONCE_MAX { Ok(tell()) } else { blocking(move || Ok(tell())).await }
}

/// How many rows a question reads at most. One that can't be asked reads none.
fn weight(book: &Book, settings: &Settings, question: &SeriesQuestion, now: Instant) -> u64 {
    let SeriesQuestion { subject, unit, asked, .. } = question;
    let Ok(span) = Cards::window(settings, asked, asked.as_of, now) else { return 0 };
    let rates = asked.premises.exchange.rates_in(&span);
    let cards = |bucket| Cards::of_bucket(book, settings, asked, bucket, rates, None);
    if cards(span).scans_more(subject) {
        return u64::MAX;
    }
    let Ok(scope) = scope(book, subject, &asked.premises) else { return 0 };
    let weight = |bucket: &Bucket| {
        let weight = cards(bucket.window).weight_of_scope(&scope);
        weight.saturating_add(BUCKET_WEIGHT)
    };
    let buckets = buckets(&span, *unit, &settings.period_starts());
    // Of more there is no answer.
    let weights = buckets.iter().take(SeriesQuestion::BUCKETS_MAX).map(weight);
    weights.fold(0, u64::saturating_add)
}

/// All but trends and revision.
fn answer(
    book: &Book,
    settings: &Settings,
    SeriesQuestion { subject, unit, asked, .. }: &SeriesQuestion,
    premises: &Option<pb::Premises>,
    now: Instant,
    caller: &Caller,
) -> Result<(pb::GetSeriesResponse, Vec<Course>), Status> {
    let span = Cards::window(settings, asked, asked.as_of, now)?;
    let buckets = buckets(&span, *unit, &settings.period_starts());
    if buckets.len() > SeriesQuestion::BUCKETS_MAX {
        return Err(failure::too_many_buckets(buckets.len(), SeriesQuestion::BUCKETS_MAX));
    }
    // Also where no day has come and nothing is told.
    let scope = scope(book, subject, &asked.premises)?;
    let (survivor, name) = book.identify(subject);
    let rates = asked.premises.exchange.rates_in(&span);
    let mut points = Vec::with_capacity(buckets.len());
    let course = |&kpi| Course { kpi, figures: Vec::with_capacity(buckets.len()) };
    let mut courses: Vec<Course> = asked.kpis.iter().map(course).collect();
    let (mut oldest_rate_on, mut open_before_count) = (None, None);
    for bucket in &buckets {
        let cards = Cards::of_bucket(book, settings, asked, bucket.window, rates, open_before_count);
        caller.still_waits()?;
        let cards = cards.of_subject(subject);
        let card = cards.of_scope(subject, &scope, (survivor.clone(), name))?;
        open_before_count = Some(card.now.standing.open_after_count());
        oldest_rate_on = [oldest_rate_on, card.oldest_rate_on].into_iter().flatten().min();
        for Course { kpi, figures } in &mut courses {
            // Half a month's sum is no month's: what is cut or isn't over would bend the trend.
            figures.push(card.now.figure(*kpi).ok().filter(|_| !bucket.partial));
        }
        points.push(series::point(bucket, cards.render(&card)));
    }
    let answer = pb::GetSeriesResponse {
        subject: Some(value::subject(&survivor)),
        name: name.unwrap_or_default().to_owned(),
        points,
        definition: Some(scorecard::definition(&span, None, rates, premises, settings, oldest_rate_on)),
        revision_token: String::new(),
        trends: Vec::new(),
    };
    Ok((answer, courses))
}
