//! GetScorecard, BatchGetScorecards and ListScorecards.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::card::Cards;
use super::parse::Rows;
use super::render::scorecard::Card;
use super::token::Walk;
use super::{Caller, Rpc, RpcResult, failure, page, parse};
use crate::book::Book;
use crate::domain::calendar::{Date, Instant};
use crate::domain::filter::GroupValue;
use crate::domain::record::Settings;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::service::asking::tell_each;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetScorecardRequest>,
) -> RpcResult<pb::GetScorecardResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let (question, consistency) = parse::get_scorecard(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &consistency).await?;

    let question = Arc::new(question);
    let weighed = Arc::clone(&question);
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| weight(book, settings, &weighed, now);
    let answer =
        rpc.ask_weighed(&tenant, question.asked.premises.knowledge, weigh, move |book, settings, _| {
            let answer = answer(book, settings, &question, &request.premises, now)?;
            Ok((answer, book.revision()))
        });
    let (pb::ScorecardAnswer { scorecard, definition }, revision) = answer.await?;
    let revision_token = rpc.revision_token(&tenant, revision);
    Ok(Response::new(pb::GetScorecardResponse { scorecard, definition, revision_token }))
}

pub async fn batch_get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::BatchGetScorecardsRequest>,
) -> RpcResult<pb::BatchGetScorecardsResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let batch = parse::batch_get_scorecards(&request).map_err(failure::refusal)?;
    rpc.make_fresh(&tenant, &batch.consistency).await?;

    let batch = Arc::new(batch);
    let weighed = Arc::clone(&batch);
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| {
        let weights = weighed.questions.iter().map(|question| weight(book, settings, question, now));
        weights.fold(0, |sum: u64, weight| sum.saturating_add(weight).saturating_add(CARD_WEIGHT))
    };
    let answers = rpc.ask_weighed(&tenant, batch.knowledge, weigh, move |book, settings, caller| {
        let answers = batch.questions.iter().map(|asked| {
            caller.still_waits()?;
            answer(book, settings, asked, &request.premises, now)
        });
        Ok((answers.collect::<Result<Vec<_>, Status>>()?, book.revision()))
    });
    let (answers, revision) = answers.await?;
    let revision_token = rpc.revision_token(&tenant, revision);
    Ok(Response::new(pb::BatchGetScorecardsResponse { answers, revision_token }))
}

/// Of so many cards the windows before are told for all subjects at once rather than for each card.
const MANY_CARDS: usize = 50;

/// What a card costs beside the rows that it reads, in rows.
const CARD_WEIGHT: u64 = 500;

/// How many rows a question reads at most. One that can't be asked reads none.
fn weight(book: &Book, settings: &Settings, question: &parse::ScorecardQuestion, now: Instant) -> u64 {
    let cards = Cards::resolve(book, settings, &question.asked, question.asked.as_of, now);
    cards.map_or(0, |cards| cards.weight(&question.subject))
}

fn answer(
    book: &Book,
    settings: &Settings,
    question: &parse::ScorecardQuestion,
    premises: &Option<pb::Premises>,
    now: Instant,
) -> Result<pb::ScorecardAnswer, Status> {
    let cards = Cards::resolve(book, settings, &question.asked, question.asked.as_of, now)?
        .of_subject(&question.subject);
    let card = cards.subject(&question.subject)?;
    Ok(pb::ScorecardAnswer {
        scorecard: Some(cards.render(&card)),
        definition: Some(cards.definition(premises, card.oldest_rate_on)),
    })
}

pub async fn list<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::ListScorecardsRequest>,
) -> RpcResult<pb::ListScorecardsResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::list_scorecards(&request).map_err(failure::violations)?;
    let walk = rpc.walk(&tenant, &asked.page)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, knowledge, move |book, settings, caller| {
        let kept_day = walk.as_ref().and_then(|walk| walk.as_of);
        let as_of = asked.asked.as_of.or(kept_day);
        let cards = Cards::resolve(book, settings, &asked.asked, as_of, now)?;
        let Page { scorecards, definition, as_of, last_key } =
            rows(book, cards, &asked, walk.as_ref(), &request.premises, caller)?;
        let next = last_key.map(|last_key| Walk {
            first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
            as_of: Some(as_of),
            last_key,
        });
        Ok(pb::ListScorecardsResponse {
            scorecards,
            definition: Some(definition),
            next_page_token: tokens.page_token(&owner, &asked.page, next),
            revision_token: tokens.revision_token(&owner, book.revision()),
            revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
        })
    });
    answer.await.map(Response::new)
}

/// One page of a list.
struct Page {
    scorecards: Vec<pb::Scorecard>,
    definition: pb::Definition,
    as_of: Date,
    /// The sort key of the last row. None: the list ends here.
    last_key: Option<Vec<u8>>,
}

struct Row {
    scorecard: pb::Scorecard,
    oldest_rate_on: Option<Date>,
}

// === impl Row ===

impl Row {
    fn of(cards: &Cards<'_>, card: &Card<'_>) -> Self {
        Self { scorecard: cards.render(card), oldest_rate_on: card.oldest_rate_on }
    }
}

fn rows(
    book: &Book,
    mut cards: Cards<'_>,
    asked: &parse::ScorecardsQuestion,
    walk: Option<&Walk>,
    premises: &Option<pb::Premises>,
    caller: &Caller,
) -> Result<Page, Status> {
    let size = asked.page.size;
    if let Rows::Subjects { kind, include_sub_partners } = &asked.rows {
        cards = if size < MANY_CARDS {
            cards.of_kind(*kind, *include_sub_partners)
        } else {
            cards.of_many(*kind, *include_sub_partners)
        };
    }
    let (told, last_key) = match &asked.rows {
        Rows::Subjects { kind, include_sub_partners } => {
            let after = walk.map(page::last_id).transpose().map_err(failure::page_token)?;
            // One more than the page holds: whether there is a next page is known without asking again.
            let mut subjects = book.subjects(*kind, *include_sub_partners, after.as_deref(), size + 1);
            let goes_on = subjects.len() > size;
            subjects.truncate(size);
            let told =
                tell_each(&subjects, caller, |subject| Ok(Some(Row::of(&cards, &cards.subject(subject)?))))?;
            let last = subjects.last().filter(|_| goes_on).and_then(page::subject_id);
            (told, last.map(|id| id.as_bytes().to_vec()))
        }
        Rows::Groups { subject, dimension } => {
            let after = walk.map(page::last_group).transpose().map_err(failure::page_token)?;
            let values = cards.group_values(subject, dimension)?;
            let is_after = |value: &&GroupValue| after.as_ref().is_none_or(|after| *value > after);
            let mut values: Vec<&GroupValue> = values.iter().filter(is_after).take(size + 1).collect();
            let goes_on = values.len() > size;
            values.truncate(size);
            let told = tell_each(&values, caller, |value| {
                let card = cards.group(subject, dimension, value)?;
                Ok(card.map(|card| Row::of(&cards, &card)))
            })?;
            let last = values.last().filter(|_| goes_on).map(|value| page::group_key(value));
            (told, last)
        }
    };
    let oldest_rate_on = told.iter().flatten().filter_map(|row| row.oldest_rate_on).min();
    Ok(Page {
        scorecards: told.into_iter().flatten().map(|row| row.scorecard).collect(),
        definition: cards.definition(premises, oldest_rate_on),
        as_of: cards.as_of(),
        last_key,
    })
}
